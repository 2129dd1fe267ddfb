"""Made-up bars and settlements."""

from __future__ import annotations

import numpy as np

from alpha_arena.core.types import Candles, Funding

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = 1_704_067_200_000


def walk(count: int, start_ms: int = START, bar_ms: int = HOUR, seed: int = 0) -> Candles:
    """Sound bars of a random walk."""
    rng = np.random.default_rng(seed)
    close = 40_000 * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
    opened = np.r_[40_000.0, close[:-1]] if count else close
    high, low = np.maximum(opened, close) * 1.002, np.minimum(opened, close) * 0.998
    return Candles(start_ms + bar_ms * np.arange(count), opened, high, low, close, rng.uniform(1, 9, count))


def eight_hourly(count: int, start_ms: int = START, seed: int = 0) -> Funding:
    """Settlements every 8 h."""
    rng = np.random.default_rng(seed)
    return Funding(start_ms + 8 * HOUR * np.arange(count), rng.normal(1e-4, 1e-4, count))


def same(a: Candles, b: Candles) -> bool:
    """Whether two series are equal to the last bit."""
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("ts", "open", "high", "low", "close", "volume"))
