"""No new risk on a weak opinion."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import View
from alpha_arena.core.types import Bools, Signals, Target
from alpha_arena.core.walk import Walk
from alpha_arena.risk.limits import held_back, hold


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class MinConfidence:
    """Refuses new risk below a confidence, 0 to 1."""

    minimum: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

    def limit(self, target: Target, symbol: str, view: View) -> Target:
        """Hold where the confidence is too low (or not a number)."""
        if target.confidence >= self.minimum:
            return target
        return hold(target, view.exposure(symbol), f"confidence {target.confidence:.2f} < {self.minimum:.2f}")

    def binds(self, signals: Signals, walk: Walk) -> Bools:
        """Where `limit` would hold."""
        return ~(signals.confidence >= self.minimum) & held_back(signals.exposure, walk.exposure)
