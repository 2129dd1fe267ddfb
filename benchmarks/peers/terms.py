"""What all engines are told alike: the bars, the rule's numbers, the money. numpy alone, so that it runs in both environments."""

from __future__ import annotations

from pathlib import Path

import numpy as np

# EMA 9/21/55 in order, RSI(14) within bounds, volume above 1.2 times its mean over 20 bars; stop 2 and take 4 ATR(14) from the close
FAST, MEDIUM, SLOW, RSI, VOLUME, ATR = 9, 21, 55, 14, 20, 14
LONG, SHORT, BUSY, STOP, TAKE = (50, 70), (30, 50), 1.2, 2.0, 4.0
# large, so that whole units do not weigh; a position is 60 % of equity; the taker's fee on every fill, no slippage
CASH, SIZE, FEE = 1e8, 0.6, 0.0005
HOUR_MS = 3_600_000
# the search: fast average, slow average, stop, ten of each
FASTS, SLOWS, STOPS = range(5, 15), range(40, 90, 5), np.linspace(1.0, 3.25, 10)

Columns = dict[str, np.ndarray]


def bars(count: int, seed: int = 7) -> Columns:
    """Hours of a market with trends, calm and busy stretches; ts in ms, prices near 100; the first rows do not depend on the count."""
    steps = np.random.default_rng(seed)
    shocks, drifts = steps.standard_t(5, (count, 4)), np.random.default_rng(seed + 1).choice([-0.12, 0.0, 0.12], count // 200 + 1)
    calm = 0.004 * np.repeat(np.random.default_rng(seed + 2).choice([0.6, 1.0, 1.7], count // 100 + 1), 100)[:count]
    move = calm * (shocks[:, 0] * np.sqrt(3 / 5) + np.repeat(drifts, 200)[:count])
    walk = np.cumsum(move)
    # pulled back over thousands of bars, so that prices stay in one order of magnitude
    slow = np.convolve(walk, np.ones(2000) / 2000)[:count]
    close = 100 * np.exp(walk - slow)
    open_ = np.r_[100.0, close[:-1]]
    spread = calm[:, None] * np.abs(shocks[:, 1:3]) * 0.5
    high, low = np.maximum(open_, close) * (1 + spread[:, 0]), np.minimum(open_, close) * (1 - spread[:, 1])
    volume = 1000 * np.exp(0.5 * shocks[:, 3] + 20 * np.abs(move))
    ts = 1_577_836_800_000 + HOUR_MS * np.arange(count, dtype=np.int64)
    return {"ts": ts, "open": open_, "high": high, "low": low, "close": close, "volume": volume}


def combinations(count: int) -> list[tuple[int, int, float]]:
    """The first so many of the search's thousand: fast, slow, stop."""
    return [(fast, slow, float(stop)) for fast in FASTS for slow in SLOWS for stop in STOPS][:count]


def load(path: Path) -> Columns:
    """Bars from a file."""
    with np.load(path) as kept:
        return dict(kept)
