"""Collecting funding, unhedged."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from pydantic import ConfigDict, model_validator
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import Market
from alpha_arena.core.types import Floats, Signals
from alpha_arena.features.indicators import rolling_max, rolling_mean, rolling_min
from alpha_arena.strategies.state import Exits, FundingRate, Leverage, Margin, Settlements, follow, no_levels, one_side


class Rates(NamedTuple):
    """Settled funding as known at each bar's close, NaN where there is not enough of it; shape [T], fractions per settlement."""

    newest: Floats
    lowest: Floats
    highest: Floats
    mean: Floats


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class FundingRateArbitrage:
    """Takes the side that receives funding while rates are extreme. The position is NAKED: nothing hedges the price.

    Rule, over settled rates only, the last one at or before the bar's close being the newest: short (it receives) if each of the last
    min_duration rates is at least min_funding_rate and the mean of the last history_window is at least exit_funding_rate; long mirrored on
    negative rates. Left when the newest rate is no longer at least exit_funding_rate in that sense. No stop and no take of its own.

    Source: the cash-and-carry trade of perpetual swaps, short the swap against spot. Here only the swap is traded, so it is an arbitrage in
    name alone: a day's price move outweighs months of funding.

    Earns funding, and the fall that often follows crowded longs; loses where the crowd is right for longer than funding pays, as in the
    rises of 2020 and 2021. At the usual 0.01 % per 8 hours it never trades.

    Attributes:
        lookback: 0: the position held depends on all earlier settlements.
        min_funding_rate, exit_funding_rate: fractions per settlement, exit_funding_rate not above min_funding_rate.
        min_duration, history_window: settlements, min_duration not above history_window.
    """

    min_funding_rate: FundingRate
    exit_funding_rate: FundingRate
    min_duration: Settlements
    history_window: Settlements
    max_position: Margin
    max_leverage: Leverage

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.exit_funding_rate > self.min_funding_rate:
            raise ValueError(f"exit_funding_rate ({self.exit_funding_rate:g}) must not exceed min_funding_rate ({self.min_funding_rate:g})")
        if self.min_duration > self.history_window:
            raise ValueError(f"min_duration ({self.min_duration}) must not exceed history_window ({self.history_window})")
        return self

    @property
    def lookback(self) -> int:
        """All history."""
        return 0

    def signals(self, market: Market) -> Signals:
        """Exposure of each row; stop and take are NaN."""
        rates, enough, least = self._rates(market), self.exit_funding_rate, self.min_funding_rate
        long = (rates.highest <= -least) & (rates.mean <= -enough)
        short = (rates.lowest >= least) & (rates.mean >= enough)
        # the negation also leaves where a rate is missing
        exits = Exits(~(rates.newest <= -enough), ~(rates.newest >= enough))
        return follow(market, no_levels(one_side(long, short)), exits, self.max_position * self.max_leverage)

    def _rates(self, market: Market) -> Rates:
        rate, span = market.funding_rate, self.min_duration
        settled = Rates(rate, rolling_min(rate, span), rolling_max(rate, span), rolling_mean(rate, self.history_window))
        newest = np.searchsorted(market.funding_ts, market.ts + market.bar_ms, side="right") - 1
        # the NaN put last is what row -1, "none settled yet", reads
        return Rates(*(np.append(values, np.nan)[newest] for values in settled))
