"""Random histories and signals for laws that hold whatever happens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from candle_tables import HOUR, T0
from hypothesis import strategies as st

from alpha_arena.core.costs import Costs
from alpha_arena.core.market import Market
from alpha_arena.core.types import Candles, Floats, Funding, Instrument, Signals

INSTRUMENT = Instrument("BTC/USDT:USDT", lot=0.001, tick=0.01, contract_size=1.0, max_leverage=100, as_of="2024-01-01")
COSTS = Costs(
    taker_fee=0.0005,
    maker_fee=0.0002,
    slippage=0.0001,
    stop_slippage=0.0005,
    min_notional=10,
    diff_threshold=10,
    diff_fraction=0.01,
    maintenance_margin=0.004,
    rearm_bars=5,
)


@dataclass(frozen=True)
class History:
    """A market with gaps in price and time, signals that change often, and the leverage."""

    market: Market
    signals: Signals
    forced: np.ndarray
    leverage: float


def history(seed: int, rows: int = 80, leverage: float = 10.0) -> History:
    """From a seed: levels are often near the price, so that every kind of exit happens."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.03, rows)))
    open_ = np.r_[100, close[:-1]] * np.exp(rng.normal(0, 0.015, rows) * (rng.random(rows) < 0.4))
    high = np.maximum(open_, close) * np.exp(np.abs(rng.normal(0, 0.01, rows)))
    low = np.minimum(open_, close) * np.exp(-np.abs(rng.normal(0, 0.01, rows)))
    hours = np.cumsum(1 + (rng.random(rows) < 0.05) * rng.integers(1, 12, rows))
    settled = np.unique(rng.choice(int(hours[-1]) * 2, rows // 3)) * HOUR // 2
    funding = Funding(T0 + settled, rng.normal(0, 0.001, settled.size))
    market = Market.of("BTC/USDT:USDT", HOUR, Candles(T0 + hours * HOUR, open_, high, low, close, np.ones(rows)), funding)
    return History(market, wishes(rng, close, leverage), rng.random(rows) < 0.2, leverage)


def wishes(rng: np.random.Generator, close: Floats, leverage: float) -> Signals:
    """Targets that stay for a few bars, with levels given at half of the closes."""
    rows = close.size
    changed = rng.random(rows) < 0.3
    size = rng.choice([-1, -0.5, 0, 0, 0.5, 1], rows) * leverage * rng.choice([0.1, 0.5, 1.2], rows)
    exposure = size[np.maximum.accumulate(np.where(changed, np.arange(rows), 0))]
    side = np.where(exposure == 0, 1, np.sign(exposure))
    stop = np.where(rng.random(rows) < 0.5, close * (1 - side * rng.exponential(0.05, rows)), np.nan)
    take = np.where(rng.random(rows) < 0.5, close * (1 + side * rng.exponential(0.05, rows)), np.nan)
    return Signals(exposure, np.round(stop, 2), np.round(take, 2), np.ones(rows))


def inside(h: History, seed: int) -> Market:
    """Shorter bars that wander between each bar's low and high; some are missing."""
    rng, m = np.random.default_rng(seed), h.market
    low, high = np.repeat(m.low, 4), np.repeat(m.high, 4)
    first, last, one, other = (low + (high - low) * rng.random(low.size) for _ in range(4))
    top, bottom = np.maximum.reduce([first, last, one, other]), np.minimum.reduce([first, last, one, other])
    ts = (m.ts[:, None] + np.arange(4) * HOUR // 4).ravel()
    there = rng.random(ts.size) < 0.98
    return Market.of(m.symbol, HOUR // 4, Candles(ts, first, top, bottom, last, np.ones(ts.size))[there])


histories = st.builds(history, st.integers(0, 2**32 - 1), st.integers(2, 80), st.sampled_from([1.0, 3.0, 10.0, 50.0]))
