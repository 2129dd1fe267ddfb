"""Strategies scored by how they fit the regime and by what they have earned of late."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, isnan
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import View
from alpha_arena.core.types import UNKNOWN_REGIME, Floats, Share, Target
from alpha_arena.decision.combine import Enabled, GlobalLeverage, combine, normalised

Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
NEUTRAL = 0.5


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Portfolio(Enabled):
    """Allocates to strategies by score = regime_weight x regime fit + (1 - regime_weight) x performance, both 0 to 1.

    The performance score is the logistic function of the t-statistic of the strategy's own bar returns, costs in, over the last
    `performance_window` bars (0.5 where it did not trade). Weights are proportional to exp(score / temperature) over the best `top`.

    Attributes:
        regime_fit: by strategy, then regime: 0 to 1; what is not named is 0.5.
        performance_window: bars. temperature: in units of score; smaller concentrates.
        global_leverage: bound of the combined |exposure|. leverages: max_leverage by strategy, notional / margin.
    """

    name: str
    strategies: Annotated[list[str], Field(min_length=1)]
    regime_fit: dict[str, dict[str, Score]]
    regime_weight: Score
    performance_window: Annotated[int, Field(ge=2, le=1_000_000)]
    temperature: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]
    top: Annotated[int, Field(ge=1, le=100)]
    global_leverage: GlobalLeverage
    leverages: dict[str, float]

    def decide(self, view: View) -> Mapping[str, Target]:
        """The allocation's target for each symbol."""
        return {s: combine(self.shares(view, s), view.signals(s), t, view.prices[s], self.global_leverage) for s, t in view.t.items()}

    def shares(self, view: View, symbol: str) -> list[Share]:
        """Weights with their scores and reasons, best first; they sum to 1."""
        t, regime = view.t[symbol], view.study.regimes[symbol].name(view.t[symbol])
        recent = view.study.recent[symbol]
        parts = {name: (self.fit(name, regime), performance_score(recent[name], t, self.performance_window)) for name in self.strategies}
        scores = {name: self.regime_weight * fit + (1 - self.regime_weight) * earned for name, (fit, earned) in parts.items()}
        best = sorted(scores, key=lambda name: (-scores[name], name))[: self.top]
        weights = normalised({name: exp((scores[name] - scores[best[0]]) / self.temperature) for name in best})
        return [Share(name, weight, 0.0, because(regime, *parts[name]), *parts[name]) for name, weight in weights.items()]

    def fit(self, strategy: str, regime: str) -> float:
        """How well a strategy suits a regime, 0 to 1; neutral where the regime is not known."""
        return NEUTRAL if regime == UNKNOWN_REGIME else self.regime_fit.get(strategy, {}).get(regime, NEUTRAL)


def because(regime: str, fit: float, earned: float) -> str:
    """The reason for a weight, in one sentence."""
    return f"fits {regime} {fit:.2f}, performance {earned:.2f}"


def performance_score(equity: Floats, t: int, window: int) -> float:
    """0 to 1 from an equity curve's last `window` bars up to row t: logistic of the t-statistic of its log returns; 0.5 without trades."""
    curve = np.log(np.maximum(equity[max(0, t - window) : t + 1], 1e-12))
    returns = np.diff(curve)
    deviation = float(returns.std()) if returns.size else 0.0
    if not deviation or isnan(deviation):
        return NEUTRAL
    statistic = float(returns.mean()) / deviation * returns.size**0.5
    return 1 / (1 + exp(-max(min(statistic, 50.0), -50.0)))
