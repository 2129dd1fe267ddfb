"""An arena over history: all traders and what stands beside them on the same bars, each in its own account, on one board."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from math import inf, isnan
from typing import Any

import numpy as np

from alpha_arena.backtest.board import Board, board
from alpha_arena.backtest.consulted import UNPRICED
from alpha_arena.backtest.contest import Contest
from alpha_arena.backtest.contestants import Contestant, Kind, contamination, middle, of_run
from alpha_arena.backtest.folder import market_hashes
from alpha_arena.backtest.result import Run, plain
from alpha_arena.backtest.wording import date
from alpha_arena.core.market import Market
from alpha_arena.core.timeframes import timeframe_ms
from alpha_arena.data.service import DataService
from alpha_arena.data.trials import Tried, record_trials, tried
from alpha_arena.decision.llm import Llm
from alpha_arena.llm.guards import Purse
from alpha_arena.risk.drawdown_halt import DrawdownHalt
from alpha_arena.risk.limits import SLACK
from alpha_arena.settings import Settings, config_hash
from alpha_arena.wiring.advising import connected
from alpha_arena.wiring.backtesting import Progress, Window, are_generated, window
from alpha_arena.wiring.benchmarks import SIMULATED, Beside, Told, benchmarks, run_within, stages
from alpha_arena.wiring.desk import markets_of
from alpha_arena.wiring.estimating import Announce, announced
from alpha_arena.wiring.proof import extent, trial_of


@dataclass(frozen=True, slots=True)
class Entry:
    """A trader, or one asking of its model, with its run. of: the trader's id."""

    settings: Settings
    run: Run
    name: str
    of: str


def run_arena(
    settings: Settings, service: DataService, now_ms: int, progress: Progress | None = None, announce: Announce | None = None
) -> Contest:
    """Let all compete on stored candles, and count each trader as a thing that was tried.

    Args:
        announce: told what models may be asked and what that may cost, before anybody is.

    Raises:
        NoData: nothing is stored, or too few bars to choose a rule on and to compete on.
        ConfigError: models may be asked more often than most_calls.
    """
    markets = markets_of(settings, service, settings.end_ms)
    train, part = stages(markets, window(markets, settings.start_ms, settings.limit), fraction(settings))
    announced(settings, [(one, samples_of(settings)) for one in settings.traders], markets, part, announce)
    generated = are_generated(settings, service)
    entries, beside = competed(settings, service, markets, part, train, generated, progress)
    data_hash = service.data_hash(list(markets.values()))
    for symbol in markets:
        made = [replace(trial_of(one.run, one.settings, symbol, data_hash), search="arena") for one in entries]
        record_trials(service, settings.trader, now_ms, made)
    ever = max((tried(service, symbol, settings.timeframe, part.rows) for symbol in markets), key=lambda one: one.count)
    return contest(settings, service, markets, entries, beside, generated, ever)


def fraction(settings: Settings) -> float:
    """Part of the bars that the best rule is chosen on."""
    assert settings.arena is not None
    return settings.arena.train_fraction


def samples_of(settings: Settings) -> int:
    """How often each model is asked everything."""
    return settings.arena.samples if settings.arena else 1


def competed(
    settings: Settings,
    service: DataService,
    markets: Mapping[str, Market],
    part: Window,
    train: Window,
    generated: bool,
    progress: Progress | None = None,
) -> tuple[list[Entry], Beside]:
    """Everybody's runs over a window."""
    every = [own for trader in settings.traders for own in askings(settings, trader)]
    told = Told(progress, part.rows * (len(every) + SIMULATED))
    # all askings of a trader are one run, with one budget
    purses = {one.trader: Purse(one.decider.model.budget_usd) for one in settings.traders if isinstance(one.decider, Llm)}
    entries = []
    for name, of, own in every:
        run = run_within(connected(own, service, "backtest", purse=purses.get(of)), markets, part, generated, told.next(part.rows))
        entries.append(Entry(own, run, name, of))
    return entries, benchmarks(settings, markets, part, train, generated, told.next(part.rows * SIMULATED))


def askings(settings: Settings, trader: Settings) -> Iterator[tuple[str, str, Settings]]:
    """A trader with its name; one with a model once for each sample."""
    decider, of = trader.decider, trader.trader
    samples = samples_of(settings)
    if not isinstance(decider, Llm) or samples == 1:
        yield of, of, trader
        return
    for sample in range(samples):
        models = [replace(one, sample=sample) for one in (decider.model, *decider.fallbacks)]
        resolved = {**trader.resolved, "llm": {**trader.resolved["llm"], "sample": sample}}
        own = replace(decider, model=models[0], fallbacks=models[1:])
        yield f"{of} #{sample}", of, replace(trader, decider=own, resolved=resolved, config_hash=config_hash(resolved))


def contestants(entries: list[Entry]) -> list[Contestant]:
    """Traders as contestants; one whose model was asked several times stands where the median of these stands."""
    made: list[Contestant] = []
    for of in dict.fromkeys(one.of for one in entries):
        own = [one for one in entries if one.of == of]
        kind: Kind = "sample" if len(own) > 1 else "trader"
        asked = [of_run(one.run, kind, one.name, about(one.settings), of) for one in own]
        if kind == "sample":
            # samples that fell back may have been answered by another model
            tainted = any(one.contaminated for one in asked)
            made.append(replace(middle(asked), kind="trader", name=of, of=of, contaminated=tainted))
        made += asked
    return made


def about(settings: Settings) -> str:
    """What a trader is, in a few words."""
    decider = settings.decider
    if isinstance(decider, Llm):
        return f"{decider.model.name}/{decider.model.model}"
    return f"{decider.name}: {next(iter(settings.strategies))}" if len(settings.strategies) == 1 else decider.name


def contest(
    settings: Settings,
    service: DataService,
    markets: Mapping[str, Market],
    entries: list[Entry],
    beside: Beside,
    generated: bool,
    ever: Tried,
) -> Contest:
    """The board with all that its folder holds."""
    every = [*contestants(entries), *beside.contestants]
    made = board(every, timeframe_ms(settings.timeframe), settings.seed, ever.count, ever.deviation, beside.band)
    assert settings.arena is not None
    return Contest(
        name=settings.arena.name,
        settings={**settings.resolved, "contestants": {one.name: one.settings.resolved for one in entries}},
        result=result_of(settings, made, entries, beside, generated),
        board=made,
        contestants=tuple(every),
        band=beside.band,
        hashes=market_hashes(markets),
        proof={
            "config_hash": settings.config_hash,
            "start_ts": made.start_ts,
            "end_ts": made.end_ts,
            "sources": {symbol: service.source(symbol, settings.source) for symbol in markets},
            "read": {symbol: extent(market) for symbol, market in markets.items()},
            "trials": dict.fromkeys(markets, ever.count),
            "deviation": dict.fromkeys(markets, ever.deviation),
        },
    )


def result_of(settings: Settings, made: Board, entries: list[Entry], beside: Beside, generated: bool) -> dict[str, Any]:
    """What board.json says."""
    training = asdict(beside.training) if beside.training else None
    return {
        "arena": settings.arena.name if settings.arena else "",
        "symbols": [instrument.symbol for instrument in settings.symbols],
        "timeframe": settings.timeframe,
        "synthetic": generated,
        **made.as_dict(),
        "training": plain(training),
        "notes": list(notes(settings, made, entries)),
    }


def notes(settings: Settings, made: Board, entries: list[Entry]) -> Iterator[str]:
    """What a reader of the board must hear, in sentences."""
    rows = {row.name: row for row in made.rows if row.kind == "trader"}
    for one in dict.fromkeys(entry.of for entry in entries):
        if rows[one].silent:
            yield (
                f"{one} is not ranked: none of its decisions is its model's answer, so that it kept what it had; record answers once, with "
                f"the provider's key in the environment: {recording(settings)}"
            )
        if isnan(rows[one].net_return):
            place = "its place is by the part that is known" if rows[one].rank else "it is not ranked"
            yield f"{one}: what its models cost is not known, so that {place}: {UNPRICED}"
    for one, why in {entry.of: why for entry in reversed(entries) if (why := contamination(entry.run))}.items():
        yield f"{one} is not ranked. {why}"
    halted = [f"{one.name} since {date(since)}" for one in entries if (since := halted_ts(one)) is not None]
    if halted:
        yield f"Halted at the drawdown limit of their own risk rules, without new risk from then on: {', '.join(halted)}"
    if made.tried > len(rows):
        yield f"DSR is deflated by all {made.tried:,} things that were ever tried on these candles"


def recording(settings: Settings) -> str:
    """The command that records what a model says over the very bars of this arena."""
    same = [one for one in settings.shown_overrides if one.partition("=")[0] not in ("llm.cache", "report")]
    return shlex.join(["alpha-arena", "arena", *same, "llm.cache=record"])


def halted_ts(entry: Entry) -> int | None:
    """Open of the bar at whose close a trader reached the drawdown at which it halts for good, ms; None where it never did."""
    limit = min((rule.max_drawdown for rule in entry.settings.rules if isinstance(rule, DrawdownHalt)), default=inf)
    ts, equity = (entry.run.equity[name].to_numpy() for name in ("ts", "equity"))
    peak = np.maximum.accumulate(np.maximum(equity, entry.settings.initial_capital))
    reached = np.flatnonzero(1 - equity / peak >= limit - SLACK)
    return int(ts[reached[0]]) if reached.size else None
