"""What a search has found: figures of every trial, which is best, and what is needed to judge the search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alpha_arena.backtest.columns import TALLIED
from alpha_arena.backtest.overfitting import Blocks
from alpha_arena.backtest.result import Run
from alpha_arena.backtest.verdict import Verdict
from alpha_arena.backtest.wording import COUNTS
from alpha_arena.core.market import Market
from alpha_arena.core.types import Floats, Ints

PAID = ("fees", "funding", "final_equity")


@dataclass(frozen=True, slots=True)
class Series:
    """What was tried on one symbol and timeframe.

    Attributes:
        bars: simulated ones. ppy: bars a year. capital: quote currency.
    """

    symbol: str
    timeframe: str
    bars: int
    ppy: float
    capital: float


@dataclass(frozen=True)
class Found:
    """A finished search.

    Attributes:
        table: a row a trial: symbol, timeframe, strategy, its varied parameters (as strategy.parameter, NaN of another strategy's), the
            figures of `figures_of`, and `refused`, "" for a trial that was made.
        objective: what is to be best, of trials with at least `least_trades` closed ones.
        axes: varied parameters by strategy. best: row of the best trial in the table.
        run: the best one with its whole path and all risk rules. result: what result.json holds, the verdict in it.
        read: what was read of each series, as meta.json names it; proof: what meta.json says of it.
    """

    name: str
    settings: Mapping[str, Any]
    objective: str
    least_trades: int
    table: pd.DataFrame
    axes: Mapping[str, Sequence[str]]
    best: int
    run: Run
    verdict: Verdict
    result: Mapping[str, Any] = field(repr=False)
    read: Mapping[str, Market] = field(default_factory=dict, repr=False)
    proof: Mapping[str, Any] = field(default_factory=dict, repr=False)


def figures_of(tallied: NDArray[np.float64], series: Series) -> dict[str, Floats]:
    """Figures of trials as result.json names them, NaN where not defined; shape [trials].

    Args:
        tallied: as TALLIED, shape [trials, figures].
    """
    t = dict(zip(TALLIED, tallied.T, strict=True))
    growth, years = t["final_equity"] / series.capital, series.bars / series.ppy
    mean = t["sum"] / series.bars
    variance = np.maximum(t["squares"] - series.bars * mean**2, 0.0) / max(series.bars - 1, 1)
    per_bar = divided(mean, np.sqrt(variance))
    cagr = np.where(growth >= 0, np.maximum(growth, 0.0) ** (1 / years), np.nan) - 1
    return {
        "total_return": growth - 1,
        "cagr": cagr,
        "sharpe": per_bar * np.sqrt(series.ppy),
        "bar_sharpe": per_bar,
        "calmar": divided(cagr, -t["max_drawdown"]),
        "max_drawdown": t["max_drawdown"],
        "profit_factor": np.where((t["lost"] == 0) & (t["won"] > 0), np.inf, divided(t["won"], t["lost"])),
        "win_rate": divided(t["wins"], t["trades"]),
        "exposure_time": t["bars_held"] / series.bars,
        **{name: t[name] for name in (*COUNTS, *PAID)},
    }


def objective_of(figures: Mapping[str, Floats] | pd.DataFrame, name: str, least_trades: int) -> Floats:
    """What is to be best, NaN of trials with fewer closed trades, and of those that never traded: to hold nothing loses nothing, and is no
    choice of parameters.

    Args:
        figures: as of figures_of, or a table of trials.
    """
    trades, held, values = (np.asarray(figures[key], np.float64) for key in ("trades", "exposure_time", name))
    return np.where((trades >= least_trades) & ((trades > 0) | (held > 0)), values, np.nan)


def divided(part: Floats, whole: Floats) -> Floats:
    """part / whole, NaN where whole is 0 or either is NaN."""
    out: Floats = np.full(part.shape, np.nan)
    np.divide(part, whole, out=out, where=(whole != 0) & ~np.isnan(whole))
    return out


def best_first(objective: Floats) -> Ints:
    """Rows from the best to the worst, those without the figure left out; of equal ones the first tried."""
    order = np.argsort(-objective, kind="stable")
    return order[~np.isnan(objective[order])]


def blocks_of_trials(sums: Floats, squares: Floats, bars: int) -> Blocks | None:
    """Of the trials that were made, for cross-validation; None where fewer than two were or a block has no bar.

    Args:
        sums, squares: shape [trials, blocks].
    """
    made = ~np.isnan(sums[:, 0])
    size = bars // sums.shape[1]
    return Blocks(sums[made].T, squares[made].T, size) if made.sum() > 1 and size else None


@dataclass(frozen=True, slots=True)
class Fold:
    """Parameters chosen on one stretch of bars and judged on the next; times are opens of bars, ms UTC, both ends in.

    Attributes:
        inside, outside: figures in training and in the test, as of `figures_of`.
    """

    number: int
    train_first_ts: int
    train_last_ts: int
    test_first_ts: int
    test_last_ts: int
    strategy: str
    parameters: Mapping[str, Any]
    inside: Mapping[str, float]
    outside: Mapping[str, float]


@dataclass(frozen=True)
class Walk:
    """All folds of one scheme. run: their tests in a row, as one history traded with the parameters chosen for each."""

    scheme: str
    folds: Sequence[Fold]
    run: Run
    verdict: Verdict


@dataclass(frozen=True)
class Walked:
    """A finished walk-forward; the first walk is the one that its result.json is about. read, proof: as of Found."""

    name: str
    settings: Mapping[str, Any]
    objective: str
    walks: Sequence[Walk]
    result: Mapping[str, Any] = field(repr=False)
    read: Mapping[str, Market] = field(default_factory=dict, repr=False)
    proof: Mapping[str, Any] = field(default_factory=dict, repr=False)
