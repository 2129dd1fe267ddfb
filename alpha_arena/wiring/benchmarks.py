"""What always stands beside an arena's traders, on the same bars, capital and costs: doing nothing, holding, rules, chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import nan

import numpy as np

from alpha_arena.backtest.contestants import Band, Contestant, of_record, of_run
from alpha_arena.backtest.result import Run
from alpha_arena.backtest.wording import date, number
from alpha_arena.core.errors import NoData
from alpha_arena.core.market import Market, Study
from alpha_arena.core.ports import TargetRule
from alpha_arena.core.types import Floats, Ints
from alpha_arena.decision.drawn import Drawn
from alpha_arena.decision.single import Single
from alpha_arena.engine import Trader
from alpha_arena.settings import Settings, beside, random_seeds
from alpha_arena.wiring.arrays import over_arrays
from alpha_arena.wiring.backtesting import Progress, Window, opens_of, simulate, trade
from alpha_arena.wiring.desk import study_of, trader_of

LEAST_BARS = 2
# holding and doing nothing have no stop: with one they would be rules
FLAT = ("decision=flat", "risk=none")
HOLD = ("decision=hold", "risk=none")
EQUAL, ENGINE, RANDOM = "decision=weighted", "decision=portfolio", "decision=random"
SIMULATED = 5


@dataclass(frozen=True, slots=True)
class Training:
    """What the best rule was chosen by. sharpes: of each rule alone, a year, NaN where it did not trade. chosen: "" where none did."""

    first_ts: int
    last_ts: int
    bars: int
    sharpes: Mapping[str, float]
    chosen: str


@dataclass(frozen=True, slots=True)
class Beside:
    """Benchmarks of a contest. training: None where there were no bars to choose a rule on; then there is no best_rule."""

    contestants: tuple[Contestant, ...]
    band: Band
    training: Training | None


def stages(markets: Mapping[str, Market], part: Window, fraction: float) -> tuple[Window, Window]:
    """Where the best rule is chosen and where all compete.

    So many bars as a fraction of the window choose, or all that are stored before it where they are at least that many; else the window's
    own first ones, and the contest begins after them.

    Raises:
        NoData: either would have fewer than two bars.
    """
    every = opens_of(markets)
    first, end = np.searchsorted(every, (part.first_ts, part.last_ts + 1))
    need = max(round(fraction * part.rows), LEAST_BARS)
    begin, cut = (0, first) if first >= need else (first, first + need)
    if end - cut < LEAST_BARS:
        raise NoData(f"{part.rows} bars are too few to choose a rule on and to compete on; widen start and end, or ingest more")
    return bars_of(every, begin, cut), bars_of(every, cut, end)


def bars_of(every: Ints, first: int, end: int) -> Window:
    """Rows first <= row < end as a window."""
    return Window(int(every[first]), int(every[end - 1]), int(end - first))


def benchmarks(
    settings: Settings,
    markets: Mapping[str, Market],
    contest: Window,
    train: Window | None = None,
    generated: bool = False,
    progress: Progress | None = None,
) -> Beside:
    """All benchmarks of an arena over a window.

    Args:
        settings: of the arena. markets: of its symbols, with all bars before the window.
        train: on which the best rule is chosen; None for all bars before the window, where there are any.
        generated: the candles are not real. progress: told (bars done, bars in all).
    """
    told = Told(progress, contest.rows * SIMULATED)
    if train is None and (before := window_before(markets, contest)).rows >= LEAST_BARS:
        train = before

    def made(name: str, about: str, own: Settings) -> Contestant:
        return of_run(run_within(own, markets, contest, generated, told.next(contest.rows)), "benchmark", name, about)

    equal, flat = on_terms(settings, "equal_weight", EQUAL), on_terms(settings, "flat", *FLAT, alone="")
    training = None if train is None else trained(equal, markets, train)
    randoms, band = random_traders(settings, markets, contest, told.next(contest.rows))
    found = [
        made("flat", "does nothing", flat),
        made("buy_and_hold", "buys once, keeps", on_terms(settings, "buy_and_hold", *HOLD, alone="")),
        made("equal_weight", f"{len(equal.strategies)} rules, equal weights", equal),
        *([] if training is None else [made("best_rule", because(training), best_of(equal, flat, training))]),
        randoms,
        made("portfolio", "rules by regime fit and performance", on_terms(settings, "portfolio", ENGINE)),
    ]
    return Beside(tuple(found), band, training)


def on_terms(settings: Settings, name: str, *overrides: str, alone: str | None = None) -> Settings:
    """A benchmark on an arena's terms; arguments as of `beside`.

    Of its risk rules those hold that look at a target alone, such as stops and limits of leverage; one that looks back on the account, a
    halt or a cool-down, is a trader's own doing.
    """
    made = beside(settings, name, *overrides, alone=alone)
    return replace(made, rules=tuple(one for one in made.rules if isinstance(one, TargetRule)))


class Told:
    """Progress over several runs in a row, as one. progress: None tells nobody."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.before = progress, total, 0

    def next(self, rows: int) -> Progress:
        """Progress of the next run, of so many bars."""
        before = self.before
        self.before += rows

        def told(done: int, _: int) -> None:
            if self.progress:
                self.progress(before + done, max(self.total, self.before))

        return told


def window_before(markets: Mapping[str, Market], contest: Window) -> Window:
    """All bars before a window; of 0 rows where there are none."""
    every = opens_of(markets)
    rows = int(np.searchsorted(every, contest.first_ts))
    return bars_of(every, 0, rows) if rows else Window(contest.first_ts, contest.first_ts, 0)


def upto(markets: Mapping[str, Market], part: Window) -> dict[str, Market]:
    """Markets that end with a window."""
    rows = {symbol: int(np.searchsorted(market.ts, part.last_ts + 1)) for symbol, market in markets.items()}
    return {symbol: market if rows[symbol] == len(market) else market.rows(0, rows[symbol]) for symbol, market in markets.items()}


def run_within(
    settings: Settings, markets: Mapping[str, Market], part: Window, generated: bool = False, progress: Progress | None = None
) -> Run:
    """A trader over a window, from a flat account."""
    return simulate(replace(settings, start_ms=part.first_ts, limit=None), upto(markets, part), generated, progress)


def trained(equal: Settings, markets: Mapping[str, Market], train: Window) -> Training:
    """Each rule alone on the training's bars, which are all that it sees."""
    sharpes = {name: sharpe_of(run_within(rule(equal, name), markets, train)) for name in equal.strategies}
    best = max(sharpes, key=lambda name: -np.inf if np.isnan(sharpes[name]) else sharpes[name])
    return Training(train.first_ts, train.last_ts, train.rows, sharpes, "" if np.isnan(sharpes[best]) else best)


def sharpe_of(run: Run) -> float:
    """A year, NaN where it is not defined."""
    found = run.result["sharpe"]
    return nan if found is None else float(found)


def rule(equal: Settings, strategy: str) -> Settings:
    """One of the rules that have equal weights, alone."""
    own = equal.strategies[strategy]
    decider = Single(name="single", strategies=[strategy], leverages={strategy: own.max_leverage})
    return replace(equal, strategies={strategy: own}, decider=decider)


def best_of(equal: Settings, flat: Settings, training: Training) -> Settings:
    """The rule that was chosen; doing nothing where none traded."""
    return rule(equal, training.chosen) if training.chosen else flat


def because(training: Training) -> str:
    """What was chosen, in a few words."""
    if not training.chosen:
        return "no rule traded in training: flat"
    sharpe = number(training.sharpes[training.chosen])
    return f"{training.chosen}, Sharpe {sharpe} from {date(training.first_ts)} to {date(training.last_ts)}"


def random_traders(
    settings: Settings, markets: Mapping[str, Market], contest: Window, progress: Progress | None = None
) -> tuple[Contestant, Band]:
    """The median random trader as a contestant, and the band of all."""
    own = on_terms(settings, "random", RANDOM)
    study, trader = study_of(own, upto(markets, contest), contest.first_ts), trader_of(own)
    seeds = random_seeds(settings)
    equities = np.zeros((seeds, contest.rows))
    for seed in range(seeds):
        equities[seed] = random_equity(study, seeded(trader, own.seed + seed), own.initial_capital, contest)
        if progress:
            progress((seed + 1) * contest.rows // seeds, contest.rows)
    median = int(np.argsort(equities[:, -1], kind="stable")[(seeds - 1) // 2])
    record = trade(study, seeded(trader, own.seed + median), own.initial_capital, contest).record
    return of_record(record, "random", f"median of {seeds} traders with random weights"), Band.of(record.ts, equities)


def seeded(trader: Trader, seed: int) -> Trader:
    """A random trader with another seed."""
    decider = trader.decider
    return replace(trader, decider=replace(decider, seed=seed)) if isinstance(decider, Drawn) else trader


def random_equity(study: Study, trader: Trader, capital: float, contest: Window) -> Floats:
    """Equity at each close of a window, over arrays where that is exact."""
    made, _, _ = over_arrays(study, trader, capital, contest.first_ts)
    return trade(study, trader, capital, contest).record.equity if made is None else made.equity
