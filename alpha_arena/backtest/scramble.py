"""Histories that agree with a market up to a row and differ after it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alpha_arena.core.market import Market
from alpha_arena.core.types import Candles, Floats, Funding

PRICES = ("open", "high", "low", "close")
COLUMNS = (*PRICES, "volume", "funding")
# a bar of noise moves by so much, standard deviation of its logarithm
STEP = 0.02
# how far a scrambled value lies from one that was, standard deviation of its logarithm
SPREAD = 0.7
LEAST_RATE = 1e-4


@dataclass(frozen=True, slots=True)
class Scrambler:
    """A market and other futures for it, drawn once and spliced in after any row.

    Attributes:
        columns: by name, shape [T]; what each column is scrambled to.
        rates: shape of market.funding_rate; what funding is scrambled to.
        steps: changes of the logarithm of price, shape [T]; wicks: relative size of the wicks, shape [2, T].
    """

    market: Market
    columns: dict[str, Floats]
    rates: Floats
    steps: Floats
    wicks: Floats

    @classmethod
    def of(cls, market: Market, rng: np.random.Generator) -> Scrambler:
        """Draw the futures."""
        rows = len(market)
        columns = {name: _elsewhere(getattr(market, name), rng) for name in COLUMNS[:-1]}
        size = max(float(np.abs(market.funding_rate).max(initial=0.0)), LEAST_RATE)
        rates = rng.normal(0, 3 * size, market.funding_rate.size)
        return cls(market, columns, rates, rng.normal(0, STEP, rows), np.abs(rng.normal(0, STEP / 2, (2, rows))))

    def column(self, name: str, t: int) -> Market:
        """One column alone differs after row t; the bars are then no longer well formed (a close may lie above the high)."""
        if name == "funding":
            return Market.of(self.market.symbol, self.market.bar_ms, self.market.candles, self._funding(t))
        changed: dict[str, Any] = {name: _spliced(getattr(self.market, name), self.columns[name], t)}
        return replace(self.market, **changed)

    def every(self, t: int) -> Market:
        """All columns differ after row t, each by itself."""
        columns = {name: _spliced(getattr(self.market, name), self.columns[name], t) for name in COLUMNS[:-1]}
        return Market.of(self.market.symbol, self.market.bar_ms, Candles(self.market.ts, **columns), self._funding(t))

    def noise(self, t: int) -> Market:
        """All bars after row t are those of a random walk from its close, volume and funding are scrambled."""
        m, after = self.market, slice(t + 1, None)
        close = m.close[t] * np.exp(np.cumsum(self.steps[after]))
        open_ = np.r_[m.close[t], close[:-1]] if close.size else close
        high, low = np.maximum(open_, close) * (1 + self.wicks[0, after]), np.minimum(open_, close) / (1 + self.wicks[1, after])
        bars = {"open": open_, "high": high, "low": low, "close": close, "volume": self.columns["volume"][after]}
        columns = {name: np.r_[getattr(m, name)[: t + 1], values] for name, values in bars.items()}
        return Market.of(m.symbol, m.bar_ms, Candles(m.ts, **columns), self._funding(t))

    def _funding(self, t: int) -> Funding:
        m = self.market
        settled = int(np.searchsorted(m.funding_ts, m.ts[t] + m.bar_ms, side="right"))
        return Funding(m.funding_ts, np.r_[m.funding_rate[:settled], self.rates[settled:]])


def _elsewhere(values: Floats, rng: np.random.Generator) -> Floats:
    """The values in another order, each moved; where all are 0 about 1."""
    moved: Floats = rng.permutation(values) * rng.lognormal(0, SPREAD, values.size)
    moved[moved == 0] = rng.lognormal(0, SPREAD, int((moved == 0).sum()))
    return moved


def _spliced(values: Floats, other: Floats, t: int) -> Floats:
    return np.concatenate([values[: t + 1], other[t + 1 :]])
