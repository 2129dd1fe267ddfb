"""Fixed weights over several strategies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

import numpy as np
from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import View
from alpha_arena.core.types import Floats, Ints, Share, Target
from alpha_arena.decision.combine import Enabled, GlobalLeverage, Weight, combine, normalised


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Weighted(Enabled):
    """Weights its strategies the same at every bar.

    Attributes:
        strategies: the enabled ones.
        weights: by strategy, any scale; a strategy without one gets 1; normalised to sum to 1.
        global_leverage: bound of the combined |exposure|.
        leverages: max_leverage by strategy, notional / margin.
    """

    name: str
    strategies: Annotated[list[str], Field(min_length=1)]
    weights: dict[str, Weight]
    global_leverage: GlobalLeverage
    leverages: dict[str, float]

    @model_validator(mode="after")
    def _weights_name_enabled_strategies(self) -> Self:
        unknown = sorted(set(self.weights) - set(self.strategies))
        if unknown:
            raise ValueError(f"weights name {unknown[0]!r}, which is not among the enabled strategies {self.strategies}")
        if not sum(self.weights.get(name, 1.0) for name in self.strategies):
            raise ValueError("all weights are 0; give at least one enabled strategy a positive weight")
        return self

    @property
    def normal(self) -> dict[str, float]:
        """Weights by strategy that sum to 1."""
        return normalised({name: self.weights.get(name, 1.0) for name in self.strategies})

    def weights_at(self, ts: Ints, bar_ms: int) -> Floats:
        """The same at each of these bars; shape [T, strategies]."""
        return np.tile(np.array(list(self.normal.values())), (ts.size, 1))

    def decide(self, view: View) -> Mapping[str, Target]:
        """The weighted target for each symbol."""
        shares = [Share(name, weight, 0.0, f"fixed weight {weight:.0%}") for name, weight in self.normal.items()]
        return {s: combine(shares, view.signals(s), t, view.prices[s], self.global_leverage) for s, t in view.t.items()}
