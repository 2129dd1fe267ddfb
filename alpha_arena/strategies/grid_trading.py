"""Buying in steps on the way down, selling them on the way up."""

from __future__ import annotations

from math import ceil, floor

import numpy as np
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import Market
from alpha_arena.core.types import Bools, Floats, Signals
from alpha_arena.features.compiled import compiled
from alpha_arena.features.indicators import rolling_mean, rolling_std
from alpha_arena.strategies.state import Bars, Count, Deviations, Leverage, Margin, PriceFraction


@compiled
def _climb(mean: Floats, calm: Bools, high: Floats, low: Floats, close: Floats, count: int, spacing: float) -> tuple[Floats, Floats]:
    rungs_held, stops = np.zeros(close.size), np.full(close.size, np.nan)
    side, rungs, armed, anchor, stop = 0, 0, True, np.nan, np.nan
    for t in range(close.size):
        if rungs == 0:
            depth = (mean[t] - close[t]) / (mean[t] * spacing)
            armed = armed or abs(depth) < 1
            if armed and calm[t] and abs(depth) >= 1:
                side, anchor = (1 if depth > 0 else -1), mean[t]
                rungs = min(count, floor(abs(depth)))
                stop = anchor * (1 - side * (count + 1) * spacing)
        elif (low[t] <= stop) if side > 0 else (high[t] >= stop):
            rungs, armed = 0, False
        else:
            depth = (anchor - close[t]) / (anchor * spacing) * side
            if depth >= rungs + 1:
                rungs = min(count, floor(depth))
            elif depth <= rungs - 1:
                rungs = max(0, ceil(depth))
        if rungs > 0:
            rungs_held[t], stops[t] = side * rungs, stop
    return rungs_held, stops


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class GridTrading:
    """Adds a rung for each step the price moves away from its mean and takes one off for each step back.

    Rule: while flat the anchor is SMA(bb_period); the spacing is grid_range / grid_count of it, and d = (anchor - close) / spacing in
    quote. A grid starts when armed, |d| >= 1 and bb_std standard deviations are at most grid_range of the mean: long below it, short
    above, with min(grid_count, whole part of |d|) rungs; the anchor then stays. With e = d in the grid's sense, rungs grow to
    min(grid_count, whole part of e) when e >= rungs + 1, and shrink to max(0, ceiling of e) when e <= rungs - 1. The stop lies one
    spacing beyond the last rung; a bar that reaches it leaves the grid flat and disarmed until |d| < 1 again. Exposure is side *
    min(rungs * position_per_grid, max_position) * max_leverage.

    A gap can start a grid beyond its own stop: an executor opens no position whose stop is already passed, and the next bar disarms.

    Source: grid trading as exchanges' bots offer it, with a band filter and a stop that most of those lack; in substance an averaging-down
    mean reversion (a short straddle on the range).

    Earns small sums, often, in a range; loses many of them at once when the range is left: its losses are rare and large.

    Attributes:
        lookback: 0: the grid held depends on all earlier bars.
        grid_count: rungs. grid_range: reach of the grid on either side, fraction of the anchor. bb_period: bars.
        position_per_grid: margin of one rung as a fraction of equity; max_position: of all of them.
    """

    grid_count: Count
    grid_range: PriceFraction
    bb_period: Bars
    bb_std: Deviations
    position_per_grid: Margin
    max_position: Margin
    max_leverage: Leverage

    @property
    def lookback(self) -> int:
        """All history."""
        return 0

    def signals(self, market: Market) -> Signals:
        """Exposure and stop of each row; take is NaN."""
        mean, reach = rolling_mean(market.close, self.bb_period), self.bb_std * rolling_std(market.close, self.bb_period)
        spacing = self.grid_range / self.grid_count
        rungs, stop = _climb(mean, reach <= self.grid_range * mean, market.high, market.low, market.close, self.grid_count, spacing)
        margin = np.minimum(np.abs(rungs) * self.position_per_grid, self.max_position)
        return Signals(np.sign(rungs) * margin * self.max_leverage, stop, np.full(len(market), np.nan), np.ones(len(market)))
