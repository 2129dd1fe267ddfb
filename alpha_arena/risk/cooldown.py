"""A pause after a stop."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import View
from alpha_arena.core.types import Target
from alpha_arena.risk.limits import hold


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Cooldown:
    """Refuses new risk in a symbol for `bars` closes from a stop or liquidation, that of its own bar included."""

    bars: Annotated[int, Field(ge=0, le=10_000)]

    def limit(self, target: Target, symbol: str, view: View) -> Target:
        """Hold while cooling down."""
        last = view.risk.last_stop_ts.get(symbol)
        bar_ms = view.study.markets[symbol].bar_ms
        if last is None or view.ts - bar_ms >= last + self.bars * bar_ms:
            return target
        return hold(target, view.exposure(symbol), f"cooling down: {self.bars} bars from a stop")
