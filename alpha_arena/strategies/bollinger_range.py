"""Fading the edges of a narrow range."""

from __future__ import annotations

from typing import Self

from pydantic import ConfigDict, model_validator
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import Market
from alpha_arena.core.types import Signals
from alpha_arena.features.indicators import bollinger, rsi
from alpha_arena.strategies.state import (
    RSI_PERIOD,
    Bars,
    Beyond,
    Deviations,
    Exits,
    Leverage,
    Margin,
    PriceFraction,
    RsiLevel,
    ascending,
    follow,
    one_side,
    percent_stop,
)


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class BollingerRange:
    """Buys at the lower Bollinger band and sells at the upper one while the bands are narrow.

    Rule: only where (upper - lower) / middle < bandwidth_max. Long if the low is at most lower * touch_threshold and RSI(14) <
    rsi_oversold; short if the high is at least upper / touch_threshold and RSI(14) > rsi_overbought. Left when the close has reached the
    present middle band, at a stop stop_loss_pct from the entry's close, or at a take: the middle band of the entry's bar where it lies on
    the winning side.

    Source: John Bollinger's bands (1980s) read as limits of a range, with Wilder's RSI (1978) as confirmation.

    Earns where the price swings inside a range, a little each time; loses where the range breaks: every breakout begins as a touch of a
    band.

    Attributes:
        lookback: 0: RSI and the position held depend on all earlier bars.
        bb_period: bars. bb_std: standard deviations (ddof 0). bandwidth_max: fraction of the middle band.
        touch_threshold: at least 1, ratio of prices that still counts as a touch. stop_loss_pct: fraction of the entry's close.
    """

    bb_period: Bars
    bb_std: Deviations
    rsi_oversold: RsiLevel
    rsi_overbought: RsiLevel
    bandwidth_max: PriceFraction
    touch_threshold: Beyond
    stop_loss_pct: PriceFraction
    max_position: Margin
    max_leverage: Leverage

    @model_validator(mode="after")
    def _check(self) -> Self:
        ascending(rsi_oversold=self.rsi_oversold, rsi_overbought=self.rsi_overbought)
        return self

    @property
    def lookback(self) -> int:
        """All history."""
        return 0

    def signals(self, market: Market) -> Signals:
        """Exposure, stop and take of each row."""
        bands, strength = bollinger(market.close, self.bb_period, self.bb_std), rsi(market.close, RSI_PERIOD)
        narrow = bands.width < self.bandwidth_max
        low = narrow & (market.low <= bands.lower * self.touch_threshold) & (strength < self.rsi_oversold)
        high = narrow & (market.high >= bands.upper / self.touch_threshold) & (strength > self.rsi_overbought)
        entries = percent_stop(market, one_side(low, high), self.stop_loss_pct, take=bands.middle)
        exits = Exits(market.close >= bands.middle, market.close <= bands.middle)
        return follow(market, entries, exits, self.max_position * self.max_leverage)
