"""A cap on the notional of a symbol's position."""

from __future__ import annotations

import numpy as np
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import View
from alpha_arena.core.types import Bools, Signals, Target
from alpha_arena.core.walk import Walk
from alpha_arena.risk.limits import SLACK, QuoteLimit, shrink


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class MaxNotional:
    """Limits |exposure| x equity. limit_quote: quote currency."""

    limit_quote: QuoteLimit

    def limit(self, target: Target, symbol: str, view: View) -> Target:
        """Shrink to the cap."""
        equity = view.sizing_equity
        if equity <= 0 or abs(target.exposure) * equity <= self.limit_quote:
            return target
        why = f"notional {abs(target.exposure) * equity:,.0f} > {self.limit_quote:,.0f} quote"
        return shrink(target, self.limit_quote / equity, view.exposure(symbol), why)

    def binds(self, signals: Signals, walk: Walk) -> Bools:
        """Where `limit` would shrink."""
        return np.abs(signals.exposure) * walk.sizing > self.limit_quote * (1 - SLACK)
