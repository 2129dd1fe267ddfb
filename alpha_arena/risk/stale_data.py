"""No new risk on old data."""

from __future__ import annotations

from math import floor
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import Market, View
from alpha_arena.core.types import Bools, Ints, Signals, Target
from alpha_arena.core.walk import Walk
from alpha_arena.risk.limits import held_back, hold


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class StaleData:
    """Refuses new risk when the last bar in which anything was traded lies too far behind the clock.

    A feed that has died may repeat its last price for ever: bars at one price without volume are as old as the last one before them.

    Attributes:
        max_age_bars: in bars of the traded timeframe.
    """

    max_age_bars: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]

    def limit(self, target: Target, symbol: str, view: View) -> Target:
        """Hold on stale data."""
        age_bars = (view.now_ms - view.ts) / view.study.markets[symbol].bar_ms
        if age_bars > self.max_age_bars:
            return hold(target, view.exposure(symbol), f"newest close is {age_bars:.1f} > {self.max_age_bars:.1f} bars old")
        if self._stands_still(symbol, view):
            return hold(target, view.exposure(symbol), f"prices stand still without any trade for more than {self.max_age_bars:.1f} bars")
        return target

    def binds(self, signals: Signals, walk: Walk) -> Bools:
        """Where `limit` would hold: a close of the past is decided at once, so that only prices that stand still are stale."""
        still = still_for(walk.market)[len(walk.market) - walk.equity.size :]
        return (still > floor(self.max_age_bars)) & held_back(signals.exposure, walk.exposure)

    def _stands_still(self, symbol: str, view: View) -> bool:
        market, last = view.study.markets[symbol], view.t[symbol] + 1
        first = last - floor(self.max_age_bars) - 1
        if first < 0 or market.volume[last - 1] != 0:
            return False
        rows = slice(first, last)
        return not market.volume[rows].any() and bool(market.high[rows].max() == market.low[rows].min())


def still_for(market: Market) -> Ints:
    """Bars up to and including each row in which nothing was traded, all at one price; shape [T]."""
    quiet = (market.volume == 0) & (market.high == market.low)
    goes_on = quiet.copy()
    goes_on[1:] &= quiet[:-1] & (market.high[1:] == market.high[:-1])
    goes_on[:1] = False
    row = np.arange(quiet.size)
    return np.where(quiet, row - np.maximum.accumulate(np.where(goes_on, 0, row)) + 1, 0)
