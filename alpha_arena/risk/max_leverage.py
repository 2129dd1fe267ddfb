"""A cap on exposure."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import View
from alpha_arena.core.types import Bools, Signals, Target
from alpha_arena.core.walk import Walk
from alpha_arena.risk.limits import shrink


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class MaxLeverage:
    """Limits |exposure|, notional / equity. limit: at most 125."""

    limit_exposure: Annotated[float, Field(gt=0, le=125, allow_inf_nan=False)]

    def limit(self, target: Target, symbol: str, view: View) -> Target:
        """Shrink to the cap."""
        if abs(target.exposure) <= self.limit_exposure:
            return target
        why = f"leverage {abs(target.exposure):.2f} > {self.limit_exposure:.2f} x equity"
        return shrink(target, self.limit_exposure, view.exposure(symbol), why)

    def binds(self, signals: Signals, walk: Walk) -> Bools:
        """Where `limit` would shrink: whether it demands the reduction depends on what is held."""
        return np.abs(signals.exposure) > self.limit_exposure
