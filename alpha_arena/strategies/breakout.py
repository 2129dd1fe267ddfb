"""Leaving a channel on volume."""

from __future__ import annotations

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import Market
from alpha_arena.core.types import Signals
from alpha_arena.features.indicators import lagged, rolling_max, rolling_mean, rolling_min
from alpha_arena.strategies.state import AtrMultiple, Bars, Beyond, Exits, Leverage, Margin, Ratio, atr_levels, follow, one_side


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Breakout:
    """Enters where the close leaves the channel of the bars before it.

    Rule: long if the close exceeds the highest high of the lookback_period bars before, times breakout_threshold, and volume exceeds
    volume_threshold times the mean volume of those bars; short if the close is below their lowest low / breakout_threshold on such volume.
    Left at a stop or take a multiple of the ATR from the entry's close, or turned by a breakout of the other side; nothing else.

    Source: Richard Donchian's channel (1960s), the Turtles' entry (1983), with a volume filter.

    Earns when a move goes on after a new extreme, in few large trades; loses where new extremes are sold back at once, as most are.

    Attributes:
        lookback: 0: the ATR and the position held depend on all earlier bars.
        lookback_period: bars, the entry's own not among them. breakout_threshold: at least 1, ratio of prices.
        stop_loss_atr, take_profit_atr: multiples of ATR(atr_period).
    """

    lookback_period: Bars
    breakout_threshold: Beyond
    volume_threshold: Ratio
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
        ceiling = lagged(rolling_max(market.high, self.lookback_period), 1) * self.breakout_threshold
        floor = lagged(rolling_min(market.low, self.lookback_period), 1) / self.breakout_threshold
        busy = market.volume > self.volume_threshold * lagged(rolling_mean(market.volume, self.lookback_period), 1)
        side = one_side(busy & (market.close > ceiling), busy & (market.close < floor))
        entries = atr_levels(market, side, self.atr_period, self.stop_loss_atr, self.take_profit_atr)
        never = side == 2
        return follow(market, entries, Exits(never, never), self.max_position * self.max_leverage)
