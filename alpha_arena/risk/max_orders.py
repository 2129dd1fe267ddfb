"""A cap on activity."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import View
from alpha_arena.core.types import Target
from alpha_arena.risk.limits import hold


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class MaxOrders:
    """Refuses new risk after `per_day` orders since 00:00 UTC."""

    per_day: Annotated[int, Field(ge=1, le=100_000)]

    def limit(self, target: Target, symbol: str, view: View) -> Target:
        """Hold once the day's orders are spent."""
        if view.risk.orders_today < self.per_day:
            return target
        return hold(target, view.exposure(symbol), f"{view.risk.orders_today} orders today >= {self.per_day}")
