"""The leaderboard: contestants that saw the same bars with the same capital, side by side (specs: quant L10).

Rank is by return net of what the models cost. Contestants whose order could as well be luck share a group: within it a rank means nothing.
Returns and rates are fractions, money is quote currency (models are paid in USD), NaN: not defined or not known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import nan
from typing import Any

import numpy as np

from alpha_arena.backtest import statistics
from alpha_arena.backtest.contestants import BAND, Band, Consulted, Contestant, Kind
from alpha_arena.backtest.evidence import sharpes
from alpha_arena.backtest.overfitting import DRAWS, Interval, block_length, interval, pooled, resampled
from alpha_arena.backtest.result import plain
from alpha_arena.backtest.wording import number
from alpha_arena.core.errors import DataError
from alpha_arena.core.timeframes import UNIT_MS, bars_per_year
from alpha_arena.core.types import Floats

SURE = 0.95
# growth below this is ruin: its logarithm would outweigh all other bars
RUINED = 1e-12


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the board.

    Attributes:
        rank: by net_return, 1 first; None for benchmarks, samples, and contestants that are contaminated, silent or of
            unknown cost.
        group: its first is told apart from all below the group, and not from its last.
        net_return: less the models' cost; NaN where that is not known. sharpe, sharpe_error (standard error), sharpe_low, sharpe_high (95 %
            by stationary bootstrap), volatility: a year.
        psr: probability that the true Sharpe is above 0. dsr: the same against the luck of everything that was tried.
        least_days: until the Sharpe is told from 0 with 95 % confidence; infinite where it is not above 0.
        turnover: notional traded over mean equity, a year. exposure: mean of its size.
        llm_cost_usd, llm_cost_bps (of the initial capital), parse_failure_rate, fallback_rate, latency_ms (mean): NaN without a model.
        samples: askings of its model; return_low, return_high: their span, both its own return where there is one.
        beats, loses_to: benchmarks from which it is told apart, by their names.
        random_share: of the random traders, those that ended below what it has less its models' cost.
    """

    name: str
    kind: Kind
    of: str
    about: str
    contaminated: bool
    silent: bool
    total_return: float
    net_return: float
    volatility: float
    sharpe: float
    sharpe_error: float
    sharpe_low: float
    sharpe_high: float
    psr: float
    dsr: float
    least_days: float
    max_drawdown: float
    turnover: float
    exposure: float
    trades: int
    fees: float
    funding: float
    llm_cost_usd: float
    llm_cost_bps: float
    decisions: int
    parse_failure_rate: float
    fallback_rate: float
    latency_ms: float
    rank: int | None = None
    group: int | None = None
    samples: int = 1
    return_low: float = nan
    return_high: float = nan
    beats: tuple[str, ...] = ()
    loses_to: tuple[str, ...] = ()
    random_share: float = nan


@dataclass(frozen=True, slots=True)
class Board:
    """A leaderboard.

    Attributes:
        rows: ranked ones first, then benchmarks, those without a rank, samples.
        bars: of the contest; start_ts, end_ts: opens of the first and the last. tried: what DSR is deflated by.
        established: whether the best is told apart from all others. said: the same in a sentence.
    """

    rows: tuple[Row, ...]
    bars: int
    start_ts: int
    end_ts: int
    initial_capital: float
    tried: int
    established: bool
    said: str
    random: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As JSON can say it, None for what is not defined or infinite."""
        made: dict[str, Any] = plain(asdict(self))
        return made


def board(
    contestants: Sequence[Contestant],
    bar_ms: int,
    seed: int,
    tried: int = 0,
    trial_deviation: float = nan,
    band: Band | None = None,
    draws: int = DRAWS,
) -> Board:
    """Rank contestants; the same ones and seed have the same board.

    Args:
        bar_ms: length of a bar. tried: everything ever tried on these symbols and this timeframe; no less than the contestants count.
        trial_deviation: of the per-bar Sharpes of those, NaN where it is not known. draws: of each bootstrap.

    Raises:
        DataError: there are none, two have one name, or they did not have the same bars and capital.
    """
    first = checked(contestants)
    count = max(tried, askings(contestants))
    again = redrawn(contestants, bar_ms, seed, draws)
    ranked = ranking(contestants, again)
    alone = [row_of(one, bar_ms, count, trial_deviation) for one in contestants]
    rows = [held_against(row, place, contestants, again, band) for place, row in enumerate(alone)]
    rows = [replace(row, rank=ranked[place][0], group=ranked[place][1]) if place in ranked else row for place, row in enumerate(rows)]
    leaders = sum(group == 1 for _, group in ranked.values())
    shown = sorted(rows, key=lambda row: (row.kind == "sample", row.rank or len(rows) + 1, row.kind != "benchmark"))
    return Board(
        rows=tuple(shown),
        bars=first.ts.size,
        start_ts=int(first.ts[0]),
        end_ts=int(first.ts[-1]),
        initial_capital=first.initial_capital,
        tried=count,
        established=leaders == 1 < len(ranked),
        said=sentence(shown, leaders, len(ranked)),
        random=spread_of(band, first.initial_capital),
    )


def checked(contestants: Sequence[Contestant]) -> Contestant:
    """The first of contestants that can be compared; errors as of `board`."""
    if not contestants:
        raise DataError("a board needs at least one contestant")
    first, names = contestants[0], [(one.kind, one.name) for one in contestants]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise DataError(f"two contestants are called {twice[1]}, so that their rows could not be told apart; give each a name of its own")
    for one in contestants:
        if not np.array_equal(one.ts, first.ts) or one.initial_capital != first.initial_capital:
            raise DataError(f"{one.name} and {first.name} had other bars or another capital, so that they cannot be compared")
    return first


def askings(contestants: Sequence[Contestant]) -> int:
    """Things that were tried: traders, each sample of a model being one."""
    sampled = {one.of for one in contestants if one.kind == "sample"}
    return sum(one.kind == "sample" or (one.kind == "trader" and one.name not in sampled) for one in contestants)


def row_of(one: Contestant, bar_ms: int, tried: int, trial_deviation: float) -> Row:
    """What a contestant is by itself."""
    curve, model, ppy = one.curve, one.model, bars_per_year(bar_ms)
    r = statistics.returns(curve)
    told = sharpes(r, ppy, tried, trial_deviation)
    error = statistics.sharpe_error(statistics.bar_sharpe(r), statistics.skewness(r), statistics.kurtosis(r))
    gained = float(curve[-1] / curve[0]) - 1
    return Row(
        name=one.name,
        kind=one.kind,
        of=one.of or one.name,
        about=one.about,
        contaminated=one.contaminated,
        silent=one.silent,
        total_return=gained,
        net_return=gained if model is None else gained - model.cost_usd / one.initial_capital,
        volatility=statistics.volatility(r, ppy),
        sharpe=told["sharpe"],
        sharpe_error=error * float(np.sqrt(ppy / max(r.size - 1, 1))),
        sharpe_low=nan,
        sharpe_high=nan,
        psr=told["psr"],
        dsr=told["dsr"],
        least_days=told["least_bars"] * bar_ms / UNIT_MS["d"],
        max_drawdown=statistics.max_drawdown(curve),
        turnover=statistics.turnover(one.traded, one.equity, ppy),
        exposure=statistics.mean(np.abs(one.exposure)),
        trades=one.trades,
        fees=one.fees,
        funding=one.funding,
        **asked(model, one.initial_capital),
        return_low=gained,
        return_high=gained,
    )


def asked(model: Consulted | None, capital: float) -> dict[str, Any]:
    """The columns of models."""
    if model is None or not model.decisions:
        return {"decisions": 0, **dict.fromkeys(("llm_cost_usd", "llm_cost_bps", "parse_failure_rate", "fallback_rate", "latency_ms"), nan)}
    return {
        "decisions": model.decisions,
        "llm_cost_usd": model.cost_usd,
        "llm_cost_bps": model.cost_usd / capital * 1e4,
        "parse_failure_rate": model.parse_failures / model.decisions,
        "fallback_rate": model.fallbacks / model.decisions,
        "latency_ms": statistics.mean(model.latencies_ms),
    }


def held_against(row: Row, place: int, every: Sequence[Contestant], again: Redrawn, band: Band | None) -> Row:
    """A row with its interval and what it is held against: the samples of its model, benchmarks, traders at random."""
    one, between = every[place], interval(again.sharpes[:, place], SURE)
    share = band.share_below(float(one.net_curve[-1])) if band else nan
    row = replace(row, sharpe_low=between.low, sharpe_high=between.high, random_share=share)
    if one.kind != "trader":
        return row
    own = [float(other.equity[-1]) / other.initial_capital - 1 for other in every if other.kind == "sample" and other.of == one.name]
    gaps = {other.name: again.difference(place, beside) for beside, other in enumerate(every) if other.kind == "benchmark"}
    return replace(
        row,
        samples=max(len(own), 1),
        return_low=min(own, default=row.total_return),
        return_high=max(own, default=row.total_return),
        beats=tuple(name for name, gap in gaps.items() if gap.low > 0),
        loses_to=tuple(name for name, gap in gaps.items() if gap.high < 0),
    )


@dataclass(frozen=True, slots=True)
class Redrawn:
    """Contestants over bars drawn anew, the same bars for all; growth: logarithm, net of their models' cost; shape [draws, contestants]."""

    growth: Floats
    sharpes: Floats

    def difference(self, one: int, other: int) -> Interval:
        """Where one's log growth less the other's lies with 95 % confidence."""
        return interval(self.growth[:, one] - self.growth[:, other], SURE)


def redrawn(contestants: Sequence[Contestant], bar_ms: int, seed: int, draws: int = DRAWS) -> Redrawn:
    """Stationary bootstrap of all contestants at once, in blocks that suit the one with the longest memory; of long histories neighbouring
    bars are summed first."""
    simple = np.stack([statistics.returns(one.curve) for one in contestants], axis=1)
    logs = np.stack([np.diff(log_growth(one)) for one in contestants], axis=1)
    count, both = len(contestants), pooled(np.concatenate([simple, logs], axis=1))
    block = max(block_length(column) for column in both.T[:count])
    year = float(np.sqrt(bars_per_year(bar_ms) * len(both) / len(simple)))
    made = [(part[..., count:].sum(axis=1), sharpes_along(part[..., :count]) * year) for part in resampled(both, seed, draws, block)]
    return Redrawn(*(np.concatenate(columns) for columns in zip(*made, strict=True)))


def sharpes_along(rows: Floats) -> Floats:
    """Per bar, along the middle axis; NaN where nothing varies."""
    spread = np.where(np.ptp(rows, axis=1) > 0, rows.std(axis=1, ddof=min(1, rows.shape[1] - 1)), 0.0)
    made: Floats = np.divide(rows.mean(axis=1), spread, out=np.full(spread.shape, nan), where=spread > 0)
    return made


def log_growth(one: Contestant) -> Floats:
    """Logarithm of the net curve over the initial capital; shape [T + 1]."""
    grown: Floats = np.log(np.maximum(one.net_curve / one.initial_capital, RUINED))
    return grown


def ranking(contestants: Sequence[Contestant], again: Redrawn) -> dict[int, tuple[int, int]]:
    """Rank and group by place, of those that have a rank: a group is its first and all down to the last that cannot be told from it."""
    able = [place for place, one in enumerate(contestants) if one.ranked]
    order = sorted(able, key=lambda place: (-float(contestants[place].net_curve[-1]), contestants[place].name))
    placed: dict[int, tuple[int, int]] = {}
    group = end = 0
    for rank, place in enumerate(order, 1):
        # one whose own luck is larger may be as good as the first, though one before it is not
        if rank > end:
            alike = [last for last in range(rank + 1, len(order) + 1) if not again.difference(place, order[last - 1]).low > 0]
            group, end = group + 1, max(alike, default=rank)
        placed[place] = (rank, group)
    return placed


def sentence(rows: Sequence[Row], leaders: int, ranked: int) -> str:
    """What the order is worth."""
    if not ranked:
        return "Nobody is ranked: all are benchmarks, or their models never answered, cost nobody knows what, or may know these bars."
    if ranked == 1:
        return "One contestant has no order; compare it with the benchmarks."
    if leaders == 1:
        return f"{rows[0].name} is told apart from all others with {number(SURE * 100, 0)} % confidence, pair by pair."
    who = "all" if leaders == ranked else "the first"
    return f"The order is not established: {who} {leaders} of {ranked} cannot be told apart with {number(SURE * 100, 0)} % confidence."


def spread_of(band: Band | None, capital: float) -> dict[str, float]:
    """Return of the random traders at 5, 50 and 95 %, and how many there are."""
    if band is None:
        return {}
    low, middle, high = (float(value) / capital - 1 for value in np.quantile(band.finals, BAND))
    return {"seeds": band.finals.size, "low": low, "middle": middle, "high": high}
