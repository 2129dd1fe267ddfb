"""A cap on activity."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import View
from alpha_arena.core.timeframes import UNIT_MS
from alpha_arena.core.types import Bools, Signals, Target
from alpha_arena.core.walk import Walk
from alpha_arena.risk.limits import held_back, hold


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class MaxOrders:
    """Refuses new risk after `per_day` orders since 00:00 UTC."""

    per_day: Annotated[int, Field(ge=1, le=100_000)]

    def limit(self, target: Target, symbol: str, view: View) -> Target:
        """Hold once the day's orders are spent."""
        if view.risk.orders_today < self.per_day:
            return target
        return hold(target, view.exposure(symbol), f"{view.risk.orders_today} orders today >= {self.per_day}")

    def binds(self, signals: Signals, walk: Walk) -> Bools:
        """Where `limit` would hold."""
        day = (walk.ts + walk.market.bar_ms) // UNIT_MS["d"]
        before = np.cumsum(walk.orders) - walk.orders
        today = before - before[np.searchsorted(day, day)]
        return (today >= self.per_day) & held_back(signals.exposure, walk.exposure)
