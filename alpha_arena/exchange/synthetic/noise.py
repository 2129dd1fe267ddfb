"""Random words by name and time, and values that stay for a while.

A stream is named; its key is (seed, crc32(name)), so that renaming one changes the market. Each minute, or each cell, has a Philox4x64
counter of its own and so four words: any stretch of time is one call, and any minute can be reached alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from alpha_arena.core.types import Floats, Ints
from alpha_arena.exchange.synthetic.exact import normal

Words = NDArray[np.uint64]
Number = TypeVar("Number", np.float64, np.int64)

# Keeps counters positive before 1970. Part of the market's definition.
COUNTER_ORIGIN = 1 << 40

_names: dict[int, str] = {}


def key_word(name: str) -> int:
    """crc32 of the stream's name.

    Raises:
        ValueError: another stream used in this process has the same.
    """
    word = crc32(name.encode())
    other = _names.setdefault(word, name)
    if other != name:
        raise ValueError(f"streams {name!r} and {other!r} have the same crc32; rename one of them")
    return word


def words(seed: int, name: str, first: int, count: int) -> Words:
    """Four words for each counter first .. first + count - 1, shape [count, 4]. numpy steps the counter before its first block."""
    source = np.random.Philox(key=np.array([seed, key_word(name)], np.uint64), counter=first + COUNTER_ORIGIN)
    return source.random_raw(4 * count).reshape(count, 4)


def uniform(word: Words) -> Floats:
    """The middle of one of 2^52 equal parts of (0, 1): never 0 or 1."""
    return ((word >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


@dataclass(frozen=True, slots=True)
class Cells:
    """Values that stay for a while, over a stretch of minutes.

    Attributes:
        begin: first minute of each cell, ascending; the first may lie before the stretch. Shape [K].
        length: minutes of the stretch that each covers, at least 1; shape [K].
        value: uniform in (0, 1); shape [K].
    """

    begin: Ints
    length: Ints
    value: Floats

    @property
    def gauss(self) -> Floats:
        """The values as standard normals, shape [K]."""
        return normal(self.value)

    def spread(self, values: NDArray[Number]) -> NDArray[Number]:
        """One value a minute from one a cell."""
        return values if values.size == int(self.length.sum()) else np.repeat(values, self.length)


@dataclass(frozen=True, slots=True)
class Span:
    """The minutes start <= t < end since 1970 (UTC) of one seed."""

    seed: int
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def minutes(self) -> Ints:
        """All of them, shape [T]."""
        return np.arange(self.start, self.end)

    def earlier(self, minutes: int) -> Span:
        """The same with so many minutes before it."""
        return Span(self.seed, self.start - minutes, self.end)

    def words(self, name: str) -> Words:
        """Four words a minute, shape [T, 4]."""
        return words(self.seed, name, self.start, len(self))

    def cells(self, name: str, duration: int) -> Cells:
        """Cells of that mean duration in minutes: cell k begins at (k + u_k) * duration, so it lasts up to twice as long."""
        if duration == 1:
            return self._minutes(name)
        first = self.start // duration - 1
        drawn = words(self.seed, name, first, (self.end - 1) // duration - first + 1)
        index = np.arange(first, first + len(drawn))
        begin = index * duration + (uniform(drawn[:, 0]) * duration).astype(np.int64)
        bounds = np.minimum(np.maximum(np.append(begin, self.end), self.start), self.end)
        length = bounds[1:] - bounds[:-1]
        kept = length > 0
        return Cells(begin[kept], length[kept], uniform(drawn[kept, 1]))

    def _minutes(self, name: str) -> Cells:
        """Cells of one minute begin where they stand."""
        return Cells(self.minutes, np.ones(len(self), np.int64), uniform(self.words(name)[:, 1]))
