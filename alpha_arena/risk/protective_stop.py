"""Every position is protected."""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import View
from alpha_arena.core.types import Floats, Signals, Target

Loss = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ProtectiveStop:
    """Gives a target without a stop one at `max_loss` (fraction of price) from the close."""

    max_loss: Loss

    def limit(self, target: Target, symbol: str, view: View) -> Target:
        """Add the stop; the exposure is left alone."""
        if not target.exposure or not isnan(target.stop):
            return target
        side = 1 if target.exposure > 0 else -1
        return replace(target, stop=view.prices[symbol] * (1 - side * self.max_loss))

    def over(self, signals: Signals, close: Floats) -> Signals:
        """`limit` on every row."""
        from alpha_arena.risk.levels import stops_within

        return replace(signals, stop=stops_within(signals.exposure, signals.stop, close, self.max_loss))
