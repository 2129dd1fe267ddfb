"""Weights drawn at random: what an allocation without any insight earns."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import View
from alpha_arena.core.types import Floats, Ints, Share, Target
from alpha_arena.decision.combine import Enabled, GlobalLeverage, combine

# draws that are made at once
CHUNK = 1_024


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Drawn(Enabled):
    """Weights its strategies by a draw from the uniform distribution over all weights that sum to 1, anew every so many bars.

    A draw belongs to its stretch of time, wherever a run begins: the same seed has the same weights at the same bar.

    Attributes:
        every_bars: bars between draws, counted from the epoch. seed: of the draws.
        global_leverage: bound of the combined |exposure|. leverages: max_leverage by strategy, notional / margin.
    """

    name: str
    strategies: Annotated[list[str], Field(min_length=1)]
    every_bars: Annotated[int, Field(ge=1, le=1_000_000)]
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)]
    global_leverage: GlobalLeverage
    leverages: dict[str, float]

    def decide(self, view: View) -> Mapping[str, Target]:
        """The drawn weights' target for each symbol."""
        made = {}
        for symbol, t in view.t.items():
            market = view.study.markets[symbol]
            (weights,) = self.weights_at(market.ts[t : t + 1], market.bar_ms)
            shares = [Share(name, float(weight), 0.0, "drawn at random") for name, weight in zip(self.strategies, weights, strict=True)]
            made[symbol] = combine(shares, view.signals(symbol), t, view.prices[symbol], self.global_leverage)
        return made

    def weights_at(self, ts: Ints, bar_ms: int) -> Floats:
        """Weights at bars that opened at these times, ms UTC; shape [T, strategies], each row sums to 1."""
        draws = ts // (bar_ms * self.every_bars)
        chunks = np.unique(draws // CHUNK)
        every = np.concatenate([drawn(self.seed, int(chunk), len(self.strategies)) for chunk in chunks])
        row: Ints = np.searchsorted(chunks, draws // CHUNK) * CHUNK + draws % CHUNK
        return every[row]


@lru_cache(maxsize=256)
def drawn(seed: int, chunk: int, strategies: int) -> Floats:
    """A chunk's draws in the order of their times; shape [CHUNK, strategies]."""
    made: Floats = np.random.default_rng([seed, chunk]).dirichlet(np.ones(strategies), CHUNK)
    return made
