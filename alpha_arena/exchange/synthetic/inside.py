"""What has been seen of a minute that is still running: open, two extremes and close are passed at drawn moments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from alpha_arena.core.types import Candles, Ints
from alpha_arena.exchange.synthetic.bars import MINUTE_MS, lots, path, prints
from alpha_arena.exchange.synthetic.levels import Levels
from alpha_arena.exchange.synthetic.model import MINUTES_A_DAY
from alpha_arena.exchange.synthetic.noise import Words, uniform

POINTS = 4


class Tick(NamedTuple):
    """Last price and the best bid and ask around it, one tick apart; quote currency."""

    last: float
    bid: float
    ask: float


@dataclass(frozen=True, slots=True)
class Day:
    """The four points that each minute of a day passes: open, first extreme, second extreme, close. Shape [1440, 4].

    Attributes:
        price, bid: ticks. moment: when each is passed, ms into the minute, ascending from 0. lots: of the whole minute, shape [1440].
    """

    price: Ints
    bid: Ints
    moment: Ints
    lots: Ints


@lru_cache(maxsize=64)
def points(levels: Levels, day: int) -> Day:
    """The points of a day since 1970."""
    way = path(levels, day, day + 1)
    done, words = prints(levels.contract, way), way.span.words(f"inside/{levels.contract.symbol}")
    rises = (words[:, 0] & np.uint64(1)).astype(np.bool_)
    first, second = np.where(rises, done.high, done.low), np.where(rises, done.low, done.high)
    # A high trades at the ask, a low at the bid
    price = np.stack([done.opened, first, second, done.closed], axis=1)
    bid = np.stack([done.bid[:-1], first - rises, second - ~rises, done.bid[1:]], axis=1)
    return Day(price, bid, moments(words), lots(levels, way))


def moments(words: Words) -> Ints:
    """0 and three drawn moments in order, ms, for each minute."""
    drawn = np.stack([uniform(words[:, i]) for i in range(1, POINTS)], axis=1) * MINUTE_MS
    return np.concatenate([np.zeros((len(words), 1), np.int64), np.sort(drawn.astype(np.int64), axis=1)], axis=1)


def locate(levels: Levels, ts_ms: int) -> tuple[Day, int, int]:
    """The day, its minute and the newest point passed at that moment."""
    minute = ts_ms // MINUTE_MS
    day, row = points(levels, minute // MINUTES_A_DAY), minute % MINUTES_A_DAY
    return day, row, int(np.searchsorted(day.moment[row], ts_ms % MINUTE_MS, side="right")) - 1


def tick(levels: Levels, ts_ms: int) -> Tick:
    """The market at that moment."""
    day, row, point = locate(levels, ts_ms)
    unit = levels.contract.ticks_per_unit
    bid = int(day.bid[row, point])
    return Tick(int(day.price[row, point]) / unit, bid / unit, (bid + 1) / unit)


def forming(levels: Levels, ts_ms: int) -> Candles:
    """The running minute's bar as far as it has been seen: one row; its volume grows evenly over the minute."""
    day, row, point = locate(levels, ts_ms)
    seen = day.price[row, : point + 1] / levels.contract.ticks_per_unit
    traded = int(day.lots[row]) * (ts_ms % MINUTE_MS) // MINUTE_MS
    values = seen[0], seen.max(), seen.min(), seen[-1], traded / levels.contract.lots_per_unit
    return Candles(np.array([ts_ms // MINUTE_MS * MINUTE_MS]), *(np.array([value], np.float64) for value in values))
