"""No new risk on old data."""

from __future__ import annotations

from math import floor
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import View
from alpha_arena.core.types import Target
from alpha_arena.risk.limits import hold


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

    def _stands_still(self, symbol: str, view: View) -> bool:
        market, last = view.study.markets[symbol], view.t[symbol] + 1
        first = last - floor(self.max_age_bars) - 1
        if first < 0 or market.volume[last - 1] != 0:
            return False
        rows = slice(first, last)
        return not market.volume[rows].any() and bool(market.high[rows].max() == market.low[rows].min())
