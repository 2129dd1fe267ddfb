"""The synthetic market: perpetual swaps as a pure function of (model, seed, symbol, time)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from alpha_arena.core.errors import ConfigError
from alpha_arena.core.types import Candles, Funding
from alpha_arena.exchange.synthetic.bars import MINUTE_MS, last_bars, path
from alpha_arena.exchange.synthetic.levels import Levels, levels
from alpha_arena.exchange.synthetic.model import MINUTES_A_DAY, REALISTIC, Model
from alpha_arena.exchange.synthetic.premium import SETTLEMENT_MINUTES, funding_rates

DAY_MS = MINUTES_A_DAY * MINUTE_MS
SETTLEMENT_MS = SETTLEMENT_MINUTES * MINUTE_MS
# Larger arrays leave the processor's cache
BATCH_DAYS = 16
FIELDS = ("ts", "open", "high", "low", "close", "volume")

Maker = Callable[[Levels, int, int], Candles]


class Synthetic:
    """A market that answers for any stretch of time since its epoch, always with the same bytes. Not evidence about any real market.

    Args:
        model: REALISTIC, or VIVID in which each regime's right strategy wins.
        seed: 0 to 2^64 - 1.
        cache: folder that keeps daily sums between processes, so that a first call takes milliseconds; None for none.

    Raises:
        ConfigError: seed out of range.
    """

    def __init__(self, model: Model = REALISTIC, seed: int = 7, cache: Path | None = None) -> None:
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
        return self._cut(made_last, symbol, start_ms, end_ms)

    def funding(self, symbol: str, start_ms: int, end_ms: int) -> Funding:
        """Settlements at 00, 08 and 16 UTC with start <= ts < end; none before the epoch.

        Raises:
            UnknownName: no such symbol.
        """
        source = self._levels(symbol)
        first = -(-max(start_ms, self.epoch_ms) // SETTLEMENT_MS)
        ts = np.arange(first, -(-end_ms // SETTLEMENT_MS)) * SETTLEMENT_MS
        return Funding(ts, funding_rates(source, ts // MINUTE_MS)) if ts.size else Funding.none()

    def _levels(self, symbol: str) -> Levels:
        return levels(self.model, symbol, self.seed, self.cache)

    def _cut(self, make: Maker, symbol: str, start_ms: int, end_ms: int) -> Candles:
        source = self._levels(symbol)
        start_ms = max(start_ms, self.epoch_ms)
        parts = [make(source, *days) for days in batches(start_ms, end_ms)]
        whole = joined(parts)
        return whole[(whole.ts >= start_ms) & (whole.ts < end_ms)]


def made_last(source: Levels, first: int, last: int) -> Candles:
    """Last-price bars of the days first <= day < last."""
    return last_bars(source.model, source.contract, path(source, first, last))


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
