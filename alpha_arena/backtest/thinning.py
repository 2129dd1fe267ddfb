"""Fewer points for a page: candles are merged, lines keep the extremes of each stretch; never every n-th point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alpha_arena.core.timeframes import UNIT_MS
from alpha_arena.core.types import Candles, Floats, Ints

MOST_CANDLES = 2000
STRETCHES = 500
MEANS = 300
LENGTHS_MS = tuple(
    count * UNIT_MS[unit]
    for unit, counts in {"m": (1, 5, 15, 30), "h": (1, 2, 4, 6, 12), "d": (1, 2, 4, 7, 14, 28)}.items()
    for count in counts
)


def candle_ms(ts: Ints, bar_ms: int, most: int = MOST_CANDLES) -> int:
    """Length of the candles to draw: the bars' own where there are at most `most`, else the shortest usual length that does."""
    if ts.size <= most:
        return bar_ms
    span = int(ts[-1] - ts[0]) + bar_ms
    usual = [length for length in LENGTHS_MS if length % bar_ms == 0 and span // length + 2 <= most]
    return usual[0] if usual else -(-span // (most - 2) // bar_ms) * bar_ms


def merged(candles: Candles, length_ms: int) -> Candles:
    """Candles of a longer length, also from incomplete groups: first open, highest high, lowest low, last close, summed volume."""
    group = candles.ts // length_ms
    first = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    last = np.r_[first[1:], group.size] - 1
    return Candles(
        candles.ts[first],
        candles.open[first],
        np.maximum.reduceat(candles.high, first),
        np.minimum.reduceat(candles.low, first),
        candles.close[last],
        np.add.reduceat(candles.volume, first),
    )


def extremes(lines: Sequence[Floats], stretches: int = STRETCHES) -> Ints:
    """Rows to draw of lines that share their times: the ends, and each line's lowest and highest point of each stretch."""
    rows = lines[0].size
    edges = np.unique(np.linspace(0, rows, min(stretches, rows) + 1).astype(np.int64))[:-1]
    ends = np.r_[edges[1:], rows]
    peaks = [
        edge + pick(line[edge:end]) for line in lines for edge, end in zip(edges, ends, strict=True) for pick in (np.argmin, np.argmax)
    ]
    return np.unique(np.array([0, rows - 1, *peaks], np.int64))


def means(line: Floats, stretches: int = MEANS) -> tuple[Ints, Floats]:
    """First row and mean of each stretch, the bars themselves where they are few; the last row closes the last stretch."""
    edges = np.unique(np.linspace(0, line.size, min(stretches, line.size) + 1).astype(np.int64))
    mean = np.add.reduceat(line, edges[:-1]) / np.diff(edges)
    return np.r_[edges[:-1], line.size - 1], np.r_[mean, mean[-1]]
