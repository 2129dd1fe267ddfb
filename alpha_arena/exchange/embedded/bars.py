"""Candles as OKX serves them: which bars, in which order, in which units, and with which defects asked for (specs: okx-wire §2.4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alpha_arena.core.types import Candles, Floats
from alpha_arena.exchange.embedded import paging
from alpha_arena.exchange.embedded.codes import wrong
from alpha_arena.exchange.embedded.faults import Edit
from alpha_arena.exchange.embedded.ports import Kind
from alpha_arena.exchange.embedded.route import Call
from alpha_arena.exchange.embedded.rows import text

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
# a Monday; weeks open on it
MONDAY = 4 * DAY
EAST = 8 * HOUR
PLAIN = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1H": 60, "2H": 120, "4H": 240}
LONG = {"6H": 6 * HOUR, "12H": 12 * HOUR, "1D": DAY, "2D": 2 * DAY, "3D": 3 * DAY, "1W": 7 * DAY}
RECENT = 1_440


@dataclass(frozen=True, slots=True)
class Span:
    """A bar's length, and when one of them opens: at offset_ms after a multiple of it."""

    bar_ms: int
    offset_ms: int = 0

    def opening(self, ts: int) -> int:
        """The open of the bar that holds a time."""
        return ts - (ts - self.offset_ms) % self.bar_ms


def span(name: str) -> Span:
    """The span of a `bar` parameter; without "utc", bars from six hours on open by UTC+8.

    Raises:
        Rejection: 51000, it is none of OKX's.
    """
    bare = name.removesuffix("utc")
    if name in PLAIN:
        return Span(PLAIN[name] * MINUTE)
    if bare not in LONG:
        raise wrong("bar")
    shift = (MONDAY if bare == "1W" else 0) - (EAST if name == bare else 0)
    return Span(LONG[bare], shift % LONG[bare])


def candle_rows(call: Call, inst_id: str, ct_val: float, kind: Kind, cap: int, recent: bool) -> list[list[str]]:
    """Rows newest first: nine cells for last prices, six for mark and index.

    Args:
        ct_val: base currency in a contract. recent: only the last 1440 bars; else any, but closed ones alone.
    """
    shape = span(call.query.get("bar") or "1m")
    now = call.faults.stale_ms or call.market_ms
    after, before = paging.whole(call.query, "after", paging.LARGEST), paging.whole(call.query, "before", -1)
    limit = paging.limit(call.query, cap, 100)
    end = shape.opening(min(after, now + 1) - 1) + shape.bar_ms
    oldest = max(before + 1, shape.opening(now) - (RECENT - 1) * shape.bar_ms if recent else 0)
    start = max(shape.opening(oldest + shape.bar_ms - 1), end - (limit + (not recent)) * shape.bar_ms)
    bars, closed = _served(call, inst_id, shape, (start, end, now), kind)
    written = _rows(bars, closed.tolist(), ct_val if kind == "last" else 0.0)
    rows = [row for row in reversed(written) if recent or row[-1] == "1"][:limit]
    return _spoiled(call, inst_id, _frozen(call, inst_id, kind, rows) if call.faults.frozen_ms else rows)


def _frozen(call: Call, inst_id: str, kind: Kind, rows: list[list[str]]) -> list[list[str]]:
    """What has opened since prices stand still is flat and without volume."""
    since = call.faults.frozen_ms
    price = text(getattr(call.exchange.feed.price(inst_id, since), kind))
    return [row if int(row[0]) < since else [row[0], *[price] * 4, *["0"] * (len(row) - 6), row[-1]] for row in rows]


def _served(call: Call, inst_id: str, shape: Span, times: tuple[int, int, int], kind: Kind) -> tuple[Candles, NDArray[np.bool_]]:
    start, end, now = times
    feed = call.exchange.feed
    if start >= end:
        return Candles.empty(), np.empty(0, dtype=np.bool_)
    if not shape.offset_ms:
        return feed.candles(inst_id, shape.bar_ms, start, end, now, kind)
    bars, closed = feed.candles(inst_id, HOUR, start, end, now, kind)
    return _merged(bars, closed, shape)


def _merged(bars: Candles, closed: NDArray[np.bool_], shape: Span) -> tuple[Candles, NDArray[np.bool_]]:
    """Hours to bars that open between UTC's multiples."""
    if not len(bars):
        return bars, closed
    opens = bars.ts - (bars.ts - shape.offset_ms) % shape.bar_ms
    first = np.flatnonzero(np.r_[True, np.diff(opens) > 0])
    last = np.r_[first[1:], opens.size] - 1
    merged = Candles(
        opens[first],
        bars.open[first],
        np.maximum.reduceat(bars.high, first),
        np.minimum.reduceat(bars.low, first),
        bars.close[last],
        np.add.reduceat(bars.volume, first),
    )
    done = closed[last] & (bars.ts[last] + HOUR == opens[first] + shape.bar_ms)
    return merged, done


def _rows(bars: Candles, closed: list[bool], ct_val: float) -> list[list[str]]:
    """Cells oldest first; with ct_val 0 there are no volumes. Quote volume is at the typical price."""
    prices = [_cells(column) for column in (bars.open, bars.high, bars.low, bars.close)]
    volumes: list[list[str]] = []
    if ct_val:
        typical = (bars.high + bars.low + bars.close) / 3
        volumes = [_cells(column) for column in (bars.volume / ct_val, bars.volume, bars.volume * typical)]
    confirm = ["1" if done else "0" for done in closed]
    return [list(row) for row in zip(map(str, bars.ts.tolist()), *prices, *volumes, confirm, strict=True)]


def _cells(column: Floats) -> list[str]:
    return [text(value) for value in column.round(8).tolist()]


def _spoiled(call: Call, inst_id: str, rows: list[list[str]]) -> list[list[str]]:
    if call.faults.edits:
        rows = [spoiled for row in rows for spoiled in _edited(row, call.faults.edits.get((inst_id, int(row[0]))))]
    return rows[::-1] if call.faults.reversed_rows else rows


def _edited(row: list[str], edit: Edit | None) -> list[list[str]]:
    if edit is None:
        return [row]
    if edit.kind in ("gap", "dup"):
        return [row] * (2 if edit.kind == "dup" else 0)
    changed = list(row)
    if edit.kind == "set":
        changed[edit.column] = edit.value
    else:
        changed[1:5] = [text(round(float(price) * edit.factor, 8)) for price in row[1:5]]
    return [changed]


def day_figures(call: Call, inst_id: str, kind: Kind) -> tuple[dict[str, str], float]:
    """open24h, high24h, low24h, sodUtc0, sodUtc8 from hours, and the base volume of these 24 hours."""
    now, bar_ms = call.market_ms, max(HOUR, call.exchange.feed.bar_ms)
    end = now // bar_ms * bar_ms + bar_ms
    bars, _ = call.exchange.feed.candles(inst_id, bar_ms, end - DAY, end, now, kind)
    if not len(bars):
        return dict.fromkeys(("open24h", "high24h", "low24h", "sodUtc0", "sodUtc8"), ""), 0.0
    prices = {"open24h": bars.open[0], "high24h": bars.high.max(), "low24h": bars.low.min()}
    prices |= {"sodUtc0": _opened(bars, Span(DAY).opening(now)), "sodUtc8": _opened(bars, span("1D").opening(now))}
    return {name: text(round(float(price), 8)) for name, price in prices.items()}, float(bars.volume.sum())


def _opened(bars: Candles, ts: int) -> float:
    return float(bars.open[min(int(np.searchsorted(bars.ts, ts)), len(bars) - 1)])
