"""No new risk on old data."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import View
from alpha_arena.core.types import Target
from alpha_arena.risk.limits import hold


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class StaleData:
    """Refuses new risk when the newest close lies too far behind the clock. max_age_bars: in bars of the traded timeframe."""

    max_age_bars: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]

    def limit(self, target: Target, symbol: str, view: View) -> Target:
        """Hold on stale data."""
        age_bars = (view.now_ms - view.ts) / view.study.markets[symbol].bar_ms
        if age_bars <= self.max_age_bars:
            return target
        return hold(target, view.exposure(symbol), f"newest close is {age_bars:.1f} > {self.max_age_bars:.1f} bars old")
