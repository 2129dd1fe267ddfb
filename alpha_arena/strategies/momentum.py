"""Going with a strong move."""

from __future__ import annotations

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import Market
from alpha_arena.core.types import Signals
from alpha_arena.features.indicators import lagged, rate_of_change, rolling_mean, rsi
from alpha_arena.strategies.state import (
    AtrMultiple,
    Bars,
    Exits,
    Leverage,
    Margin,
    PriceFraction,
    Ratio,
    RsiLevel,
    atr_levels,
    follow,
    one_side,
)


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Momentum:
    """Goes with a move that is large, growing and on volume.

    Rule, with ROC = close / close[momentum_period bars ago] - 1: long if ROC > price_momentum_threshold, volume exceeds
    volume_momentum_threshold times its mean over momentum_period bars (that bar included) and RSI(rsi_period) has risen by more than
    rsi_momentum_threshold in momentum_period bars; short mirrored. Left when ROC no longer has the position's sign, or at a stop or take a
    multiple of the ATR from the entry's close.

    Source: time-series momentum (Moskowitz, Ooi and Pedersen, 2012), on bars instead of months.

    Earns when large moves continue for days; loses at their ends, and to gaps: it buys high by design. Trades seldom.

    Attributes:
        lookback: 0: RSI, ATR and the position held depend on all earlier bars.
        momentum_period: bars. price_momentum_threshold: fraction of price over that span. rsi_momentum_threshold: points of RSI.
        stop_loss_atr, take_profit_atr: multiples of ATR(atr_period).
    """

    momentum_period: Bars
    price_momentum_threshold: PriceFraction
    volume_momentum_threshold: Ratio
    rsi_period: Bars
    rsi_momentum_threshold: RsiLevel
    atr_period: Bars
    stop_loss_atr: AtrMultiple
    take_profit_atr: AtrMultiple
    max_position: Margin
    max_leverage: Leverage

    @property
    def lookback(self) -> int:
        """All history."""
        return 0

    def signals(self, market: Market) -> Signals:
        """Exposure, stop and take of each row."""
        roc, strength = rate_of_change(market.close, self.momentum_period), rsi(market.close, self.rsi_period)
        gain = strength - lagged(strength, self.momentum_period)
        busy = market.volume > self.volume_momentum_threshold * rolling_mean(market.volume, self.momentum_period)
        up = busy & (roc > self.price_momentum_threshold) & (gain > self.rsi_momentum_threshold)
        down = busy & (roc < -self.price_momentum_threshold) & (gain < -self.rsi_momentum_threshold)
        entries = atr_levels(market, one_side(up, down), self.atr_period, self.stop_loss_atr, self.take_profit_atr)
        return follow(market, entries, Exits(roc <= 0, roc >= 0), self.max_position * self.max_leverage)
