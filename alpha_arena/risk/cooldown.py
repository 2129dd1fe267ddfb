"""A pause after a stop."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import View
from alpha_arena.core.types import Bools, Signals, Target
from alpha_arena.core.walk import Walk
from alpha_arena.risk.limits import held_back, hold


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

    def binds(self, signals: Signals, walk: Walk) -> Bools:
        """Where `limit` would hold."""
        # bar numbers, not times, would not see that bars may be missing
        ends = np.maximum.accumulate(np.where(walk.stopped, walk.ts + self.bars * walk.market.bar_ms, 0))
        return (walk.ts < ends) & held_back(signals.exposure, walk.exposure)
