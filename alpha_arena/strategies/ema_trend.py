"""Three averages in line."""

from __future__ import annotations

from typing import Self

from pydantic import ConfigDict, model_validator
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import Market
from alpha_arena.core.types import Signals
from alpha_arena.features.indicators import ema, rolling_mean, rsi
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
    ascending,
    atr_levels,
    follow,
    one_side,
)


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
        strength = rsi(market.close, RSI_PERIOD)
        busy = market.volume > self.volume_threshold * rolling_mean(market.volume, VOLUME_PERIOD)
        up = (fast > medium) & (medium > slow) & (strength >= self.rsi_min) & (strength <= self.rsi_max)
        down = (fast < medium) & (medium < slow) & (strength >= self.rsi_short_min) & (strength <= self.rsi_short_max)
        entries = atr_levels(market, one_side(busy & up, busy & down), self.atr_period, self.stop_loss_atr, self.take_profit_atr)
        return follow(market, entries, Exits(fast < medium, fast > medium), self.max_position * self.max_leverage)
