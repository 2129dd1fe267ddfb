"""Bought once and kept: what every trader is held against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import View
from alpha_arena.core.types import Target


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Hold:
    """Enters at its first close and keeps what it has, whatever any strategy says.

    Attributes:
        strategies: enabled beside it; none is followed.
        exposure: signed notional / equity at the entry, the same part of it for each symbol; 0 stays flat.
        leverage: notional / margin; what grows beyond it, because equity shrinks, is sold.
        leverages: max_leverage by strategy, of no effect.
    """

    name: str
    strategies: Annotated[list[str], Field(min_length=1)]
    exposure: Annotated[float, Field(ge=-20, le=20, allow_inf_nan=False)]
    leverage: Annotated[float, Field(gt=0, le=20, allow_inf_nan=False)]
    leverages: dict[str, float]

    def decide(self, view: View) -> Mapping[str, Target]:
        """The present position where there is one, else the entry."""
        return {symbol: self._target(view, symbol) for symbol in view.t}

    def _target(self, view: View, symbol: str) -> Target:
        held = view.exposure(symbol)
        if held or not self.exposure:
            return Target(held, why="keeps what it has" if held else "stays flat")
        return Target(self.exposure / len(view.study.markets), why=f"buys {self.exposure:+.2f} once and keeps it")
