"""The synthetic market: perpetual swaps as a pure function of (model, seed, symbol, time)."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from alpha_arena.core.errors import ConfigError, NoData
from alpha_arena.core.types import Candles, Funding
from alpha_arena.exchange.synthetic.bars import MINUTE_MS, Path, last_bars, path
from alpha_arena.exchange.synthetic.inside import Tick, forming, tick
from alpha_arena.exchange.synthetic.levels import Levels, levels
from alpha_arena.exchange.synthetic.model import MINUTES_A_DAY, REALISTIC, Model
from alpha_arena.exchange.synthetic.noise import Span
from alpha_arena.exchange.synthetic.premium import SETTLEMENT_MINUTES, funding_rates
from alpha_arena.exchange.synthetic.reference import index_bars, mark_bars
from alpha_arena.exchange.synthetic.volatility import regime_cells

DAY_MS = MINUTES_A_DAY * MINUTE_MS
SETTLEMENT_MS = SETTLEMENT_MINUTES * MINUTE_MS
# Larger arrays leave the processor's cache
BATCH_DAYS = 16
FIELDS = ("ts", "open", "high", "low", "close", "volume")

Maker = Callable[[Levels, Path], Candles]


class Synthetic:
    """A market that answers for any stretch of time since its epoch, always with the same bytes. Not evidence about any real market.

    Args:
        model: REALISTIC, or VIVID in which each regime's right strategy wins.
        seed: 0 to 2^64 - 1.
        cache: folder that keeps daily sums between processes, so that a first call takes milliseconds; None for none.

    Raises:
        ConfigError: seed out of range.
    """

    def __init__(self, model: Model = REALISTIC, seed: int = 7, cache: pathlib.Path | None = None) -> None:
        if not 0 <= seed < 2**64:
            raise ConfigError(f"seed {seed} of the synthetic market is out of range: choose a whole number from 0 to 2^64 - 1")
        self.model, self.seed, self.cache = model, seed, cache

    @property
    def epoch_ms(self) -> int:
        """Where the market begins, ms UTC."""
        return self.model.epoch_day * DAY_MS

    def bars(self, symbol: str, start_ms: int, end_ms: int) -> Candles:
        """Bars of one minute with start <= ts < end, on the tick; volume in base currency, whole lots. None before the epoch.

        Raises:
            UnknownName: no such symbol.
        """
        return self._cut(last_bars, symbol, start_ms, end_ms)

    def mark(self, symbol: str, start_ms: int, end_ms: int) -> Candles:
        """The mark price's bars on the same grid, volume 0.

        Raises:
            UnknownName: no such symbol.
        """
        return self._cut(mark_bars, symbol, start_ms, end_ms)

    def index(self, symbol: str, start_ms: int, end_ms: int) -> Candles:
        """The index's bars on the same grid, volume 0.

        Raises:
            UnknownName: no such symbol.
        """
        return self._cut(index_bars, symbol, start_ms, end_ms)

    def funding(self, symbol: str, start_ms: int, end_ms: int) -> Funding:
        """Settlements at 00, 08 and 16 UTC with start <= ts < end; none before the epoch.

        Raises:
            UnknownName: no such symbol.
        """
        source = self._levels(symbol)
        first = -(-max(start_ms, self.epoch_ms) // SETTLEMENT_MS)
        ts = np.arange(first, -(-end_ms // SETTLEMENT_MS)) * SETTLEMENT_MS
        return Funding(ts, funding_rates(source, ts // MINUTE_MS)) if ts.size else Funding.none()

    def tick(self, symbol: str, ts_ms: int) -> Tick:
        """Last price, best bid and best ask at that moment; nothing later has a part in it.

        Raises:
            UnknownName: no such symbol.
            NoData: before the epoch.
        """
        return tick(self._levels(symbol), self._known(ts_ms))

    def forming(self, symbol: str, ts_ms: int) -> Candles:
        """The bar of the running minute, one row, as far as it has been seen at that moment.

        Raises:
            UnknownName: no such symbol.
            NoData: before the epoch.
        """
        return forming(self._levels(symbol), self._known(ts_ms))

    def regime(self, start_ms: int, end_ms: int) -> NDArray[np.str_]:
        """The hidden regime of each minute with start <= ts < end. For tests only: no strategy, prompt or feature may see it."""
        cells, number = regime_cells(self.model, Span(self.seed, -(-start_ms // MINUTE_MS), -(-end_ms // MINUTE_MS)))
        return np.array([regime.name for regime in self.model.regimes])[cells.spread(number)]

    def _known(self, ts_ms: int) -> int:
        if ts_ms < self.epoch_ms:
            raise NoData(f"the synthetic market begins at {self.epoch_ms} ms; it has nothing at {ts_ms} ms, ask for a later time")
        return ts_ms

    def _levels(self, symbol: str) -> Levels:
        return levels(self.model, symbol, self.seed, self.cache)

    def _cut(self, make: Maker, symbol: str, start_ms: int, end_ms: int) -> Candles:
        source = self._levels(symbol)
        start_ms = max(start_ms, self.epoch_ms)
        whole = joined([make(source, path(source, *days)) for days in batches(start_ms, end_ms)])
        return whole[(whole.ts >= start_ms) & (whole.ts < end_ms)]


def batches(start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """Ranges of whole days that cover start <= t < end."""
    first, last = start_ms // DAY_MS, -(-end_ms // DAY_MS)
    for day in range(first, last, BATCH_DAYS):
        yield day, min(day + BATCH_DAYS, last)


def joined(parts: list[Candles]) -> Candles:
    """One table of them all."""
    if not parts:
        return Candles.empty()
    return Candles(*(np.concatenate([getattr(part, name) for part in parts]) for name in FIELDS))
