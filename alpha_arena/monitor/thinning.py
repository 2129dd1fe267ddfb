"""Fewer points than there are pixels, without losing a high, a low or the last value (specs: monitor §6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

import numpy as np

from alpha_arena.core.timeframes import timeframe_ms
from alpha_arena.core.types import Candles, Floats, Ints

LADDER_MS = tuple(timeframe_ms(name) for name in ("1m", "5m", "15m", "30m", "1h", "2h", "4h", "12h", "1d", "2d", "4d", "7d"))
MAX_BARS = 2_000
MAX_POINTS = 5_000


def drawn_bar_ms(range_ms: int, bars: int, stored_ms: Iterable[int]) -> int:
    """The finest bar that fits `bars` times into the range and that a stored timeframe divides.

    Args:
        range_ms: length of what is shown.
        bars: how many bars there is room for, at most MAX_BARS of which are used.
        stored_ms: lengths of the stored bars, at least one.

    Returns:
        length in ms: a stored one or one of the ladder; a multiple of the longest where not even that is enough.
    """
    stored = sorted(set(stored_ms))
    room = max(1, min(bars, MAX_BARS))
    known = sorted({bar for bar in {*LADDER_MS, *stored} if any(bar % one == 0 for one in stored)})
    fitting = (bar for bar in known if range_ms <= bar * room)
    return next(fitting, known[-1] * -(-range_ms // (known[-1] * room)))


def grouped(candles: Candles, bar_ms: int) -> Candles:
    """Bars of `bar_ms` from shorter ones, partly filled bars included: first open, highest high, lowest low, last close, summed volume."""
    if not len(candles):
        return candles
    opens = candles.ts // bar_ms * bar_ms
    first = np.flatnonzero(np.r_[True, opens[1:] != opens[:-1]])
    last = np.r_[first[1:], opens.size] - 1
    return Candles(
        ts=opens[first],
        open=candles.open[first],
        high=np.maximum.reduceat(candles.high, first),
        low=np.minimum.reduceat(candles.low, first),
        close=candles.close[last],
        volume=np.add.reduceat(candles.volume, first),
    )


def gaps(ts: Ints, bar_ms: int) -> list[tuple[int, int]]:
    """Missing stretches between bars: open of the first missing bar and end of the last, ms."""
    holes = np.flatnonzero(np.diff(ts) > bar_ms)
    return [(int(ts[row]) + bar_ms, int(ts[row + 1])) for row in holes]


def envelope(ts: Ints, series: Mapping[str, Floats], columns: int) -> tuple[Ints, dict[str, Floats]]:
    """Lowest and highest value of every pixel column of every series, in the order in which they occur, and the last value of all.

    Args:
        ts: ms, ascending, shape [T], shared by the series.
        series: values by name, shape [T], NaN where a series has none.
        columns: pixel columns to draw in.

    Returns:
        times, two to a column and evenly spaced so that an axis by index is one by time (a value stands less than a column from
        where it was), then the last one's own; and the values. Where there are no more rows than that, the rows themselves.
    """
    columns = max(1, min(columns, MAX_POINTS // (2 * max(1, len(series))) - 1))
    if ts.size <= 2 * columns + 1:
        return ts, dict(series)
    edges = np.linspace(int(ts[0]), int(ts[-1]) + 1, columns + 1)
    bounds = np.searchsorted(ts, edges)
    halves = np.linspace(int(ts[0]), int(ts[-1]) + 1, 2 * columns + 1)[:-1].astype(np.int64)
    return np.r_[halves, ts[-1]], {name: np.r_[_extremes(values, bounds), values[-1]] for name, values in series.items()}


def _extremes(values: Floats, bounds: Ints) -> Floats:
    pairs = np.full((len(bounds) - 1, 2), np.nan)
    for column, (start, stop) in enumerate(pairwise(bounds)):
        part = values[start:stop]
        if np.isfinite(part).any():
            pairs[column] = part[sorted((int(np.nanargmin(part)), int(np.nanargmax(part))))]
    return pairs.ravel()
