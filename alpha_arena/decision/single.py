"""One strategy decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import View
from alpha_arena.core.types import Share, Target


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Single:
    """Follows one strategy.

    Attributes:
        strategies: its name, alone in a list.
        leverages: max_leverage by strategy, notional / margin.
    """

    name: str
    strategies: Annotated[list[str], Field(min_length=1, max_length=1)]
    leverages: dict[str, float]

    @property
    def leverage(self) -> float:
        """Leverage of its positions."""
        return self.leverages[self.strategies[0]]

    def decide(self, view: View) -> Mapping[str, Target]:
        """The strategy's own target for each symbol."""
        return {symbol: self._target(view, symbol) for symbol in view.t}

    def _target(self, view: View, symbol: str) -> Target:
        strategy = self.strategies[0]
        signals, t = view.signals(symbol)[strategy], view.t[symbol]
        exposure = signals.exposure.item(t)
        why = f"{strategy} is {'long' if exposure > 0 else 'short' if exposure < 0 else 'flat'}"
        return signals.at(t, why, (Share(strategy, 1.0, exposure, why),))
