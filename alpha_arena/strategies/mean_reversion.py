"""Back to the mean."""

from __future__ import annotations

from typing import Self

from pydantic import ConfigDict, model_validator
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import Market
from alpha_arena.core.types import Signals
from alpha_arena.features.indicators import rsi, z_score
from alpha_arena.strategies.state import (
    Bars,
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
class MeanReversion:
    """Buys far below the mean and sells far above it.

    Rule, with z = (close - SMA(ma_period)) / std(std_period): long if z <= -entry_std and RSI(rsi_period) < rsi_oversold; short if
    z >= entry_std and RSI > rsi_overbought. Left when z is back at -exit_std (short: at exit_std), or at a stop stop_loss_pct from the
    entry's close. No take.

    Source: short-term reversal (Jegadeesh, 1990; Lehmann, 1990) in its usual form of a z-score with an RSI filter.

    Earns after overshooting in a market that goes sideways; loses in trends, where the mean comes to the price instead, and most in a
    crash, which it buys.

    Attributes:
        lookback: 0: RSI and the position held depend on all earlier bars.
        ma_period, std_period: bars. entry_std, exit_std: standard deviations (ddof 0), exit_std below entry_std.
        stop_loss_pct: fraction of the entry's close.
    """

    ma_period: Bars
    std_period: Bars
    entry_std: Deviations
    exit_std: Deviations
    rsi_period: Bars
    rsi_oversold: RsiLevel
    rsi_overbought: RsiLevel
    stop_loss_pct: PriceFraction
    max_position: Margin
    max_leverage: Leverage

    @model_validator(mode="after")
    def _check(self) -> Self:
        ascending(exit_std=self.exit_std, entry_std=self.entry_std)
        ascending(rsi_oversold=self.rsi_oversold, rsi_overbought=self.rsi_overbought)
        return self

    @property
    def lookback(self) -> int:
        """All history."""
        return 0

    def signals(self, market: Market) -> Signals:
        """Exposure, stop and take of each row."""
        z, strength = z_score(market.close, self.ma_period, self.std_period), rsi(market.close, self.rsi_period)
        low = (z <= -self.entry_std) & (strength < self.rsi_oversold)
        high = (z >= self.entry_std) & (strength > self.rsi_overbought)
        entries = percent_stop(market, one_side(low, high), self.stop_loss_pct)
        return follow(market, entries, Exits(z >= -self.exit_std, z <= self.exit_std), self.max_position * self.max_leverage)
