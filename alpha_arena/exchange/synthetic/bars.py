"""Bars of one minute from a day's path of log prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alpha_arena.core.types import Candles, Floats, Ints
from alpha_arena.exchange.synthetic.exact import exp, log, normal
from alpha_arena.exchange.synthetic.increments import UNIT, increments
from alpha_arena.exchange.synthetic.levels import Levels
from alpha_arena.exchange.synthetic.model import MINUTES_A_DAY, Contract, Model
from alpha_arena.exchange.synthetic.noise import Span, Words, uniform
from alpha_arena.exchange.synthetic.volatility import Volatility, gauss

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Path:
    """Log of price / anchor over the minutes of whole days.

    Attributes:
        edge: at each minute's open and at the last close, shape [T + 1]. high, low: extremes, shape [T].
        sigma, volatility: of each minute's shock.
    """

    span: Span
    edge: Floats
    high: Floats
    low: Floats
    sigma: Floats
    volatility: Volatility

    @property
    def move(self) -> Floats:
        """Log return of each minute, shape [T]."""
        return self.edge[1:] - self.edge[:-1]


@dataclass(frozen=True, slots=True)
class Prints:
    """Trades of each minute in whole ticks, shape [T], and the bid at each minute's open and at the last close, shape [T + 1]."""

    opened: Ints
    high: Ints
    low: Ints
    closed: Ints
    bid: Ints


def path(levels: Levels, first: int, last: int) -> Path:
    """The path of the days first <= day < last since 1970."""
    span = Span(levels.seed, first * MINUTES_A_DAY, last * MINUTES_A_DAY)
    steps = increments(levels.model, levels.contract, span)
    pulls = np.repeat(np.array([levels.pull(day) for day in range(first, last)], np.int64), MINUTES_A_DAY)
    edge = np.cumsum(np.concatenate([np.array([levels.at(first)], np.int64), steps.units - pulls])) * UNIT
    high, low = extremes(edge, steps.sigma, span.words(bar_name(levels.contract)))
    return Path(span, edge, high, low, steps.sigma, steps.volatility)


def bar_name(contract: Contract) -> str:
    """The stream of what happens inside a bar: two extremes, two bits for open and close, volume."""
    return f"bar/{contract.symbol}"


def extremes(edge: Floats, sigma: Floats, words: Words) -> tuple[Floats, Floats]:
    """Highest and lowest log price: the exact laws of the extremes of a Brownian path that is tied at both ends."""
    start, move, spread = edge[:-1], edge[1:] - edge[:-1], -2.0 * sigma * sigma
    up = np.sqrt(move * move + spread * log(uniform(words[:, 0])))
    down = np.sqrt(move * move + spread * log(uniform(words[:, 1])))
    return start + (move + up) * 0.5, start + (move - down) * 0.5


def ticks(contract: Contract, log_price: Floats) -> Floats:
    """Price in ticks, not yet whole."""
    return exp(log_price) * (contract.anchor * contract.ticks_per_unit)


def prints(contract: Contract, path: Path) -> Prints:
    """Open and close trade at the bid or at the ask, by a coin each, so that a bar opens at the last close or one tick from it."""
    coin = path.span.words(bar_name(contract))[:, 2].astype(np.int64)
    bid = np.floor(ticks(contract, path.edge)).astype(np.int64)
    opened, closed = bid[:-1] + (coin & 1), bid[1:] + (coin >> 1 & 1)
    high = np.maximum(np.floor(ticks(contract, path.high)).astype(np.int64), np.maximum(opened, closed))
    low = np.minimum(np.floor(ticks(contract, path.low)).astype(np.int64), np.minimum(opened, closed))
    return Prints(opened, high, low, closed, bid)


def candles(contract: Contract, span: Span, prices: Sequence[Ints], volume: Floats) -> Candles:
    """Bars from open, high, low, close in whole ticks."""
    opened, high, low, closed = (n / contract.ticks_per_unit for n in prices)
    return Candles(span.minutes * MINUTE_MS, opened, high, low, closed, volume)


def last_bars(levels: Levels, path: Path) -> Candles:
    """Bars of the last price."""
    done = prints(levels.contract, path)
    return candles(levels.contract, path.span, (done.opened, done.high, done.low, done.closed), volume(levels, path))


def volume(levels: Levels, path: Path) -> Floats:
    """Base currency in whole lots."""
    return lots(levels, path) / levels.contract.lots_per_unit


def lots(levels: Levels, path: Path) -> Ints:
    """Lots traded in each minute, shape [T].

    They follow fast volatility and season with power 1.45, slow volatility with .45, and the bar's range.
    """
    contract, state = levels.contract, path.volatility
    size = 1.45 * (state.fast + state.season) + 0.45 * state.slow
    size += 0.6 * log((path.high - path.low) / path.sigma)
    size += activity(levels.model, contract, path.span)
    size += 0.42 * normal(uniform(path.span.words(bar_name(contract))[:, 3]))
    return np.floor(exp(size) * (contract.minute_volume * contract.lots_per_unit)).astype(np.int64)


def activity(model: Model, contract: Contract, span: Span) -> Floats:
    """Log volume that has nothing to do with volatility, most of it common to all symbols."""
    total = np.zeros(len(span))
    for duration, variance in model.activity:
        total += gauss(span, f"activity/{duration}", duration, variance * model.activity_shared)
        total += gauss(span, f"activity/{contract.symbol}/{duration}", duration, variance * (1.0 - model.activity_shared))
    return total
