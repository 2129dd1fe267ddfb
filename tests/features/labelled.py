"""A market whose regimes are known: six generators joined at random."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alpha_arena.core.market import Market
from alpha_arena.core.types import REGIMES, Candles, Floats

HOUR_MS = 3_600_000
STEPS = 12
SIGMA = 0.005
# bars; 118 on average
MEAN_DWELL = {"STRONG_TREND": 130, "WEAK_TREND": 130, "RANGE": 130, "BREAKOUT": 60, "HIGH_VOLATILITY": 130, "LOW_VOLATILITY": 130}
# standard deviation of a bar in SIGMA; drift in SIGMA a bar; pull to the segment's first price per bar; volume in its mean
SHAPES = {
    "STRONG_TREND": (0.9, 0.40, 0.0, 1.1),
    "WEAK_TREND": (0.9, 0.15, 0.0, 1.0),
    "RANGE": (0.8, 0.0, 0.12, 0.9),
    "BREAKOUT": (1.4, 0.60, 0.0, 2.5),
    "HIGH_VOLATILITY": (2.4, 0.0, 0.02, 1.4),
    "LOW_VOLATILITY": (0.35, 0.0, 0.02, 0.6),
}


def labelled_market(seed: int, bars: int = 6000) -> tuple[Market, NDArray[np.int8]]:
    """Bars of 1h with the code of each bar's true regime; a pure function of the seed.

    Segments have exponential lengths, at least 10 bars; no regime follows itself; noise has Student's t with 5 degrees of freedom.
    """
    rng = np.random.default_rng(seed)
    codes = _labels(rng, bars)
    path = _path(rng, codes)
    return _market(rng, codes, path), codes


def _labels(rng: np.random.Generator, bars: int) -> NDArray[np.int8]:
    codes = np.empty(bars, np.int8)
    t, code = 0, int(rng.integers(6))
    while t < bars:
        length = max(10, int(rng.exponential(MEAN_DWELL[REGIMES[code]])))
        codes[t : t + length] = code
        t, code = t + length, int(rng.choice([other for other in range(6) if other != code]))
    return codes


def _path(rng: np.random.Generator, codes: NDArray[np.int8]) -> Floats:
    """Log price within each bar, shape [T, STEPS + 1]; the first column is the open."""
    starts = np.r_[True, codes[1:] != codes[:-1]]
    signs = rng.choice([-1.0, 1.0], codes.size)
    heavy = np.sqrt(3 / rng.chisquare(5, codes.size))
    noise = rng.normal(size=(codes.size, STEPS)) / np.sqrt(STEPS)
    path = np.empty((codes.size, STEPS + 1))
    price, anchor, sign = np.log(20_000.0), 0.0, 1.0
    for t, code in enumerate(codes):
        if starts[t]:
            anchor, sign = price, signs[t]
        deviation, drift, pull, _ = SHAPES[REGIMES[code]]
        step = SIGMA * deviation * heavy[t] * noise[t] + (SIGMA * drift * sign - pull * (price - anchor)) / STEPS
        path[t] = price + np.r_[0.0, np.cumsum(step)]
        price = path[t, -1]
    return path


def _market(rng: np.random.Generator, codes: NDArray[np.int8], path: Floats) -> Market:
    prices = np.exp(path)
    level = np.array([SHAPES[name][3] for name in REGIMES])[codes]
    volume = 100 * level * np.exp(rng.normal(0, 0.4, codes.size))
    ts = np.arange(codes.size, dtype=np.int64) * HOUR_MS
    candles = Candles(ts, prices[:, 0], prices.max(axis=1), prices.min(axis=1), prices[:, -1], volume)
    return Market.of("BTC/USDT:USDT", HOUR_MS, candles)
