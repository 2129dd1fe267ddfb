"""Strategies that know what they cannot know, each in a way of its own, and honest ones to compare them with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from alpha_arena.core.market import Market
from alpha_arena.core.types import Candles, Floats, Funding, Signals
from alpha_arena.features.indicators import ema, rolling_mean

HOUR = 3_600_000


@dataclass(frozen=True)
class Rule:
    """A strategy whose exposure is a function of the market."""

    exposure: Callable[[Market], Floats]
    stop: Callable[[Market], Floats] = lambda market: np.full(len(market), np.nan)
    lookback: int = 0
    max_position: float = 1.0
    max_leverage: float = 1.0

    def signals(self, market: Market) -> Signals:
        """Without a take."""
        none = np.full(len(market), np.nan)
        return Signals(self.exposure(market), self.stop(market), none, np.ones(len(market)))


def walk(rows: int, seed: int = 3) -> Market:
    """An hourly random walk with volume and three settlements a day."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, rows)))
    open_ = np.r_[100.0, close[:-1]]
    wick = 1 + np.abs(rng.normal(0, 0.004, (2, rows)))
    high, low = np.maximum(open_, close) * wick[0], np.minimum(open_, close) / wick[1]
    ts = np.arange(rows, dtype=np.int64) * HOUR
    settled = np.arange(rows // 8, dtype=np.int64) * 8 * HOUR
    funding = Funding(settled, rng.normal(0, 2e-4, settled.size))
    return Market.of("BTC/USDT:USDT", HOUR, Candles(ts, open_, high, low, close, rng.lognormal(2, 0.6, rows)), funding)


def later(values: Floats, steps: int = 1) -> Floats:
    """Each row gets the value of a later one, the last rows their own."""
    return np.r_[values[steps:], values[-steps:]]


def up(condition: np.ndarray) -> Floats:
    """1 where it holds, else 0."""
    return condition.astype(np.float64)


def centred(values: Floats, width: int = 11) -> Floats:
    """A rolling mean that is labelled in its middle."""
    return np.convolve(values, np.ones(width) / width, mode="same")


def tops(market: Market) -> Floats:
    """1 at highs that no bar of the next five exceeds."""
    ahead = np.lib.stride_tricks.sliding_window_view(np.r_[market.high, np.full(5, -np.inf)], 6).max(axis=1)
    return up(market.high >= ahead)


def alternating(market: Market) -> Floats:
    """Every tenth row from the first one on."""
    return up(np.arange(len(market)) % 10 == 0)


LEAKING: dict[str, tuple[Rule, str, str, int]] = {
    # strategy, column, output that moves, bars that it looks ahead, 0 for all
    "the next close": (Rule(lambda m: up(later(m.close) > m.close)), "close", "exposure", 1),
    "a centred mean": (Rule(lambda m: up(m.close > centred(m.close))), "close", "exposure", 5),
    "volume over the mean of all of it": (Rule(lambda m: up(m.volume / m.volume.mean() > 1.3)), "volume", "exposure", 0),
    "the next funding rate": (Rule(lambda m: up(later(m.funding) > 0)), "funding", "exposure", 1),
    "settlements by their number": (Rule(lambda m: up(later(np.repeat(m.funding_rate, 8)[: len(m)], 8) > 0)), "funding", "exposure", 7),
    "the next open": (Rule(lambda m: up(later(m.open) > m.open)), "open", "exposure", 1),
    "tops": (Rule(tops), "high", "exposure", 5),
    "a stop at the next low": (Rule(lambda m: np.ones(len(m)), lambda m: later(m.low)), "low", "stop", 1),
}
HONEST = {
    "a mean": Rule(lambda m: up(m.close > rolling_mean(m.close, 20)), lookback=19),
    "an average without end": Rule(lambda m: up(m.close > ema(m.close, 20))),
    "funding": Rule(lambda m: up(m.funding > 0)),
    "nothing": Rule(lambda m: np.zeros(len(m)), lookback=1),
}
