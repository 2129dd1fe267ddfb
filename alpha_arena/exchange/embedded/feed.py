"""The market that the embedded exchange plays: bars cut into points, and what of them may be told at a moment.

A bar of length B that opened at T gives four points: its open at T, the extreme nearer to it at T + B/4, the other at T + B/2, its close at
T + B - 1. Nothing that is told at a time depends on a later point (specs: faults, "What the embedded exchange models").
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import merge
from itertools import chain
from math import nan
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from alpha_arena.core.timeframes import FUNDING_INTERVAL_MS, UNIT_MS
from alpha_arena.core.types import Candles, Floats, Funding
from alpha_arena.exchange.matching import Bar

Kind = Literal["last", "mark", "index"]
HOUR_MS = UNIT_MS["h"]
# three days of minutes: whole hours of any market whose bars divide the hour
BARS_A_CHUNK = 4320
LOOK_BACK_BARS = 64
PRICES = ("open", "high", "low", "close")


class Point(NamedTuple):
    """A moment of trading: prices in quote currency; volume in base currency since the point before.

    jump: reached without trading in between. low, high: extremes of its bar, for those who fear the worst of it.
    """

    ts: int
    inst_id: str
    last: float
    volume: float
    mark: float
    index: float  # type: ignore[assignment]
    jump: bool
    low: float
    high: float


class MarketData(Protocol):
    """Bars of one length for any stretch of time; start <= ts < end."""

    def bars(self, symbol: str, start_ms: int, end_ms: int) -> Candles: ...
    def mark(self, symbol: str, start_ms: int, end_ms: int) -> Candles: ...
    def index(self, symbol: str, start_ms: int, end_ms: int) -> Candles: ...
    def funding(self, symbol: str, start_ms: int, end_ms: int) -> Funding: ...


@dataclass(frozen=True)
class Replay:
    """Stored candles as a market; mark and index are the traded prices unless marks are given.

    Args:
        candles, marks, settlements: by symbol.
    """

    candles: Mapping[str, Candles]
    settlements: Mapping[str, Funding]
    marks: Mapping[str, Candles]

    def bars(self, symbol: str, start_ms: int, end_ms: int) -> Candles:
        """Stored bars."""
        return between(self.candles[symbol], start_ms, end_ms)

    def mark(self, symbol: str, start_ms: int, end_ms: int) -> Candles:
        """Stored mark prices, else the traded ones."""
        return between(self.marks.get(symbol, self.candles[symbol]), start_ms, end_ms)

    def index(self, symbol: str, start_ms: int, end_ms: int) -> Candles:
        """The traded prices."""
        return self.bars(symbol, start_ms, end_ms)

    def funding(self, symbol: str, start_ms: int, end_ms: int) -> Funding:
        """Stored settlements."""
        known = self.settlements.get(symbol, Funding.none())
        rows = slice(*np.searchsorted(known.ts, [start_ms, end_ms]))
        return Funding(known.ts[rows], known.rate[rows])


def between(candles: Candles, start_ms: int, end_ms: int) -> Candles:
    """Bars with start <= ts < end."""
    return candles[slice(*np.searchsorted(candles.ts, [start_ms, end_ms]))]


@dataclass(frozen=True)
class Chunk:
    """A stretch of one instrument's market, start <= ts < end: its bars, their marks, and the points of both, each made when asked for."""

    market: MarketData
    inst_id: str
    symbol: str
    start_ms: int
    end_ms: int
    bar_ms: int

    @cached_property
    def bars(self) -> Candles:
        """Of traded prices."""
        return self.market.bars(self.symbol, self.start_ms, self.end_ms)

    @cached_property
    def mark(self) -> Candles:
        """Of the mark price, on the same rows."""
        return matched(self.market.mark(self.symbol, self.start_ms, self.end_ms), self.bars)

    @cached_property
    def index(self) -> Candles:
        """Of the index, on the same rows."""
        return matched(self.market.index(self.symbol, self.start_ms, self.end_ms), self.bars)

    @cached_property
    def points(self) -> Sequence[Point]:
        """Four a bar."""
        return cut(self.inst_id, self.bars, self.mark, self.index, self.bar_ms)

    @cached_property
    def stamps(self) -> Sequence[int]:
        """Times of the points."""
        return [point.ts for point in self.points]

    def of(self, kind: Kind) -> Candles:
        """Bars of a price."""
        return {"last": lambda: self.bars, "mark": lambda: self.mark, "index": lambda: self.index}[kind]()


class Feed:
    """A market cut into points.

    Args:
        market: bars of `bar_ms`. symbols: by inst_id.
        start_ms: before it there is a past to look at, but nothing is played.
    """

    def __init__(self, market: MarketData, symbols: Mapping[str, str], bar_ms: int = 60_000) -> None:
        self.market = market
        self.symbols = symbols
        self.bar_ms = bar_ms
        self.chunk_ms = BARS_A_CHUNK * bar_ms
        self._chunks: dict[str, dict[int, Chunk]] = {name: {} for name in symbols}
        self._hours: dict[tuple[str, int, Kind], Candles] = {}

    def points(self, after_ms: int, until_ms: int) -> Iterator[Point]:
        """Points with after < ts <= until, in the order of time, then of instrument."""
        lines = [self._points(name, after_ms, until_ms) for name in sorted(self.symbols)]
        return lines[0] if len(lines) == 1 else merge(*lines, key=lambda point: (point.ts, point.inst_id))

    def _points(self, name: str, after_ms: int, until_ms: int) -> Iterator[Point]:
        for chunk in self._over(name, after_ms + 1, until_ms + 1):
            first, last = bisect_left(chunk.stamps, after_ms + 1), bisect_left(chunk.stamps, until_ms + 1)
            yield from chunk.points[first:last] if last - first < len(chunk.points) else chunk.points

    def drive_bars(self, inst_id: str, after_ms: int, until_ms: int) -> list[Bar]:
        """Bars with open >= after and close <= until, with the extremes of their mark price."""
        made: list[Bar] = []
        for chunk in self._over(inst_id, after_ms, until_ms):
            rows = slice(*np.searchsorted(chunk.bars.ts, [after_ms, until_ms - self.bar_ms + 1]))
            columns = (getattr(chunk.bars, name)[rows].tolist() for name in ("ts", *PRICES))
            marks = (column[rows].tolist() for column in (chunk.mark.low, chunk.mark.high))
            made += [Bar(*row) for row in zip(*columns, *marks, strict=True)]
        return made

    def price(self, inst_id: str, now_ms: int) -> Point:
        """The newest point before a moment; the first one there is where it has none before."""
        for start in range(now_ms - self.bar_ms, now_ms - LOOK_BACK_BARS * self.chunk_ms, -self.chunk_ms):
            for chunk in reversed(list(self._over(inst_id, start, now_ms))):
                row = bisect_left(chunk.stamps, now_ms)
                if row:
                    return chunk.points[row - 1]
        return next(chunk.points[0] for chunk in self._over(inst_id, now_ms, now_ms + LOOK_BACK_BARS * self.chunk_ms) if chunk.points)

    def candles(
        self, inst_id: str, bar_ms: int, start_ms: int, end_ms: int, now_ms: int, kind: Kind = "last"
    ) -> tuple[Candles, NDArray[np.bool_]]:
        """Bars with start <= ts < end that have begun before now, the forming one included, and which have closed.

        There are none finer than the market's own.
        """
        if bar_ms < self.bar_ms or bar_ms % self.bar_ms:
            return Candles.empty(), np.empty(0, np.bool_)
        first = -(-start_ms // bar_ms) * bar_ms
        seen = self._seen(inst_id, first, min(-(-end_ms // bar_ms) * bar_ms, now_ms), now_ms, kind, bar_ms % HOUR_MS == 0)
        made = grouped(seen, bar_ms)
        return made, made.ts + bar_ms <= now_ms

    def _seen(self, inst_id: str, start_ms: int, end_ms: int, now_ms: int, kind: Kind, by_hours: bool) -> Candles:
        """Whole bars that have closed by now, and of the running one what its points have shown before now.

        Args:
            by_hours: the past need not be told in more detail.
        """
        closed_end = min(end_ms, now_ms // self.bar_ms * self.bar_ms)
        parts = []
        for number in self._numbers(start_ms, closed_end):
            whole = start_ms <= number * self.chunk_ms and (number + 1) * self.chunk_ms <= closed_end
            past = self._hours_of(inst_id, number, kind) if by_hours and whole else self._chunk(inst_id, number).of(kind)
            parts.append(between(past, start_ms, closed_end))
        if closed_end < end_ms:
            parts.append(self._forming(inst_id, max(closed_end, start_ms), now_ms, kind))
        return (
            Candles(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("ts", *PRICES, "volume")))
            if parts
            else Candles.empty()
        )

    def _forming(self, inst_id: str, open_ms: int, now_ms: int, kind: Kind) -> Candles:
        shown = list(self._points(inst_id, open_ms - 1, now_ms - 1))
        if not shown:
            return Candles.empty()
        prices = np.array([getattr(point, kind) for point in shown])
        volume = float(sum(point.volume for point in shown)) if kind == "last" else 0.0
        row = (open_ms, prices[0], prices.max(), prices.min(), prices[-1], volume)
        return Candles(np.array(row[:1], np.int64), *(np.array([value]) for value in row[1:]))

    def _hours_of(self, inst_id: str, number: int, kind: Kind) -> Candles:
        """A chunk by the hour, kept: who asks for days asks for many chunks, and again."""
        key = (inst_id, number, kind)
        if key not in self._hours:
            bars = self._chunk(inst_id, number).of(kind)
            self._hours[key] = grouped(bars, HOUR_MS) if self.bar_ms < HOUR_MS else bars
        return self._hours[key]

    def funding(self, inst_id: str, after_ms: int, until_ms: int) -> list[tuple[int, float]]:
        """Settlements with after < ts <= until, oldest first: time and rate as a fraction."""
        known = self.market.funding(self.symbols[inst_id], after_ms + 1, until_ms + 1)
        return list(zip(known.ts.tolist(), known.rate.tolist(), strict=True))

    def forecast(self, inst_id: str, now_ms: int) -> tuple[float, int, int, float]:
        """Expected rate, its settlement, the one after it, the last settled rate; the last one is what is expected."""
        past = self.funding(inst_id, now_ms - 30 * FUNDING_INTERVAL_MS, now_ms)
        interval = past[-1][0] - past[-2][0] if len(past) > 1 else FUNDING_INTERVAL_MS
        rate = past[-1][1] if past else 0.0001
        following = past[-1][0] + interval if past else now_ms // interval * interval + interval
        while following <= now_ms:
            following += interval
        return rate, following, following + interval, rate

    def _over(self, name: str, start_ms: int, end_ms: int) -> Iterator[Chunk]:
        for number in self._numbers(start_ms, end_ms):
            yield self._chunk(name, number)

    def _numbers(self, start_ms: int, end_ms: int) -> range:
        return range(start_ms // self.chunk_ms, -(-end_ms // self.chunk_ms))

    def _chunk(self, name: str, number: int) -> Chunk:
        kept = self._chunks[name]
        if number not in kept:
            while len(kept) >= 4:
                kept.pop(next(iter(kept)))
            start = number * self.chunk_ms
            kept[number] = Chunk(self.market, name, self.symbols[name], start, start + self.chunk_ms, self.bar_ms)
        return kept[number]


def matched(reference: Candles, bars: Candles) -> Candles:
    """A reference price's bars on the rows of the traded ones; where it has none, the traded price."""
    if len(reference) == len(bars) and bool((reference.ts == bars.ts).all()):
        return reference
    row = np.searchsorted(reference.ts, bars.ts).clip(max=max(len(reference) - 1, 0))
    there = reference.ts[row] == bars.ts if len(reference) else np.zeros(len(bars), np.bool_)
    o, h, lo, c = (np.where(there, getattr(reference, name)[row] if len(reference) else nan, getattr(bars, name)) for name in PRICES)
    return Candles(bars.ts, o, h, lo, c, np.zeros(len(bars)))


def cut(name: str, bars: Candles, mark: Candles, index: Candles, bar_ms: int) -> list[Point]:
    """Four points a bar."""
    low_first = bars.open - bars.low <= bars.high - bars.open
    ts = np.stack([bars.ts, bars.ts + bar_ms // 4, bars.ts + bar_ms // 2, bars.ts + bar_ms - 1], 1).ravel().tolist()
    last, marks, indices = (along(each, low_first) for each in (bars, mark, index))
    third = bars.volume / 3
    volume = np.stack([np.zeros(len(bars)), third, third, bars.volume - 2 * third], 1).ravel().tolist()
    jump = [True, False, False, False] * len(bars)
    extremes = (np.repeat(column, 4).tolist() for column in (bars.low, bars.high))
    return [Point(*row) for row in zip(ts, [name] * len(ts), last, volume, marks, indices, jump, *extremes, strict=True)]


def along(bars: Candles, low_first: NDArray[np.bool_]) -> list[float]:
    """Prices in the order of a bar's path."""
    first, second = np.where(low_first, bars.low, bars.high), np.where(low_first, bars.high, bars.low)
    path: Floats = np.stack([bars.open, first, second, bars.close], 1).ravel()
    return list(chain(path.tolist()))


def grouped(bars: Candles, bar_ms: int) -> Candles:
    """Bars of a longer timeframe, also those of which only a part is there."""
    if not len(bars):
        return bars
    group = bars.ts // bar_ms
    first = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    last = np.r_[first[1:], len(bars)] - 1
    return Candles(
        group[first] * bar_ms,
        bars.open[first],
        np.maximum.reduceat(bars.high, first),
        np.minimum.reduceat(bars.low, first),
        bars.close[last],
        np.add.reduceat(bars.volume, first),
    )
