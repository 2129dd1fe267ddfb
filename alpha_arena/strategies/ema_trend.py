"""Three averages in line."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import ConfigDict, model_validator
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import Market
from alpha_arena.core.types import Bools, Floats, Signals
from alpha_arena.features.compiled import compiled
from alpha_arena.features.indicators import ema, rolling_mean, rsi
from alpha_arena.features.shared import remembered
from alpha_arena.strategies.state import (
    RSI_PERIOD,
    VOLUME_PERIOD,
    AtrMultiple,
    Bars,
    Exits,
    Leverage,
    Margin,
    Ratio,
    RsiLevel,
    Sides,
    ascending,
    atr_levels,
    follow,
)


@remembered
@compiled
def _order(fast: Floats, medium: Floats, slow: Floats) -> tuple[Sides, Bools, Bools]:
    """+1 where the averages fall in order, -1 where they rise; where the fast one is below the medium one, and where above."""
    sides, below, above = np.empty(fast.size, np.int8), np.empty(fast.size, np.bool_), np.empty(fast.size, np.bool_)
    for t in range(fast.size):
        below[t], above[t] = fast[t] < medium[t], fast[t] > medium[t]
        sides[t] = (1 if above[t] & (medium[t] > slow[t]) else 0) - (1 if below[t] & (medium[t] < slow[t]) else 0)
    return sides, below, above


@remembered
@compiled
def _confirmed(
    sides: Sides, strength: Floats, long: tuple[float, float], short: tuple[float, float], volume: Floats, mean: Floats, busy: float
) -> Sides:
    """Sides with RSI within that side's bounds and enough volume; 0 elsewhere."""
    out = np.zeros(sides.size, np.int8)
    for t in range(sides.size):
        fits = (
            (strength[t] >= long[0]) & (strength[t] <= long[1]) if sides[t] > 0 else (strength[t] >= short[0]) & (strength[t] <= short[1])
        )
        out[t] = sides[t] if fits & (volume[t] > busy * mean[t]) else 0
    return out


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class EmaTrend:
    """Follows a trend while three moving averages stand in order.

    Rule: long where EMA(fast) > EMA(medium) > EMA(slow), RSI(14) lies in rsi_min..rsi_max and volume exceeds volume_threshold times its
    mean over 20 bars, that bar included; short where all is mirrored and RSI lies in rsi_short_min..rsi_short_max. Left when EMA(fast) is
    back across EMA(medium), or at a stop or take a multiple of the ATR from the entry's close.

    Source: the triple crossover of moving averages of trend-following commodity traders (R. C. Allen, 1970s); the RSI band keeps it out of
    moves that have already run, the volume filter out of idle hours.

    Earns in long directed moves, loses in small pieces, and often, where the price goes sideways: the averages cross late, and each false
    crossing pays fees twice.

    Attributes:
        lookback: 0: the averages and the position held depend on all earlier bars.
        ema_fast, ema_medium, ema_slow: bars, growing in this order.
        rsi_min, rsi_max, rsi_short_min, rsi_short_max: bounds, included. volume_threshold: multiple of the mean volume.
        stop_loss_atr, take_profit_atr: multiples of ATR(atr_period).
    """

    ema_fast: Bars
    ema_medium: Bars
    ema_slow: Bars
    atr_period: Bars
    stop_loss_atr: AtrMultiple
    take_profit_atr: AtrMultiple
    max_position: Margin
    max_leverage: Leverage
    rsi_min: RsiLevel
    rsi_max: RsiLevel
    rsi_short_min: RsiLevel
    rsi_short_max: RsiLevel
    volume_threshold: Ratio

    @model_validator(mode="after")
    def _check(self) -> Self:
        ascending(ema_fast=self.ema_fast, ema_medium=self.ema_medium, ema_slow=self.ema_slow)
        ascending(rsi_min=self.rsi_min, rsi_max=self.rsi_max)
        ascending(rsi_short_min=self.rsi_short_min, rsi_short_max=self.rsi_short_max)
        return self

    @property
    def lookback(self) -> int:
        """All history."""
        return 0

    def signals(self, market: Market) -> Signals:
        """Exposure, stop and take of each row."""
        fast, medium, slow = (ema(market.close, period) for period in (self.ema_fast, self.ema_medium, self.ema_slow))
        sides, below, above = _order(fast, medium, slow)
        bounds = (float(self.rsi_min), float(self.rsi_max)), (float(self.rsi_short_min), float(self.rsi_short_max))
        mean = rolling_mean(market.volume, VOLUME_PERIOD)
        sides = _confirmed(sides, rsi(market.close, RSI_PERIOD), *bounds, market.volume, mean, float(self.volume_threshold))
        entries = atr_levels(market, sides, self.atr_period, self.stop_loss_atr, self.take_profit_atr)
        return follow(market, entries, Exits(below, above), self.max_position * self.max_leverage)
