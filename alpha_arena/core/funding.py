"""Funding settlements with the unknown ones made explicit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alpha_arena.core.timeframes import FUNDING_INTERVAL_MS
from alpha_arena.core.types import Floats, Funding, Ints

ASSUMED_RATE = 0.0001


@dataclass(frozen=True, slots=True)
class CompleteFunding:
    """Settlements in ascending order; where `assumed`, the rate was not known and is ASSUMED_RATE. ts in ms, rate a fraction."""

    ts: Ints
    rate: Floats
    assumed: NDArray[np.bool_]


def filled(known: list[int], until_ms: int, bar_ms: int) -> tuple[list[int], list[int]]:
    """Rows of the settlements that count, and the times of those that must have happened and were not known when their bar had closed."""
    rows, added = [0], list[int]()
    last, interval = known[0], FUNDING_INTERVAL_MS
    for row, ts in enumerate([*known[1:], until_ms + bar_ms], 1):
        due = last + interval
        while due <= until_ms and ts >= (due // bar_ms + 1) * bar_ms:
            added.append(due)
            last, due = due, due + interval
        if row == len(known) or (added and last == added[-1] and ts < last + interval // 2):
            # what comes late has been charged already, at the assumed rate
            continue
        rows.append(row)
        interval, last = ts - last, ts
    return rows, added


def lacking(known: Ints, until_ms: int, bar_ms: int) -> bool:
    """Whether a settlement must have happened that is not known; the same question as in `filled`, of all of them at once."""
    due = known + np.concatenate([[FUNDING_INTERVAL_MS], np.diff(known)])
    later = np.concatenate([known[1:], [until_ms + bar_ms]])
    return bool(((due <= until_ms) & (later >= (due // bar_ms + 1) * bar_ms)).any())


def complete(funding: Funding, until_ms: int, bar_ms: int) -> CompleteFunding:
    """Add the settlements that must have happened but are not known, on the last known interval, up to `until_ms` (inclusive).

    Nothing is added before the first known settlement (whose interval is taken as 8 h), nor where none is known at all. One that is known
    before the bar in which it was due has closed is that one; where it comes later, up to half an interval, it is not paid a second time.
    So what is charged in a bar depends on nothing that is known only after its close (specs: simulation, "Inputs").

    Args:
        until_ms: the last time that counts. bar_ms: length of the bars in which it is charged.
    """
    if not funding.ts.size:
        return CompleteFunding(funding.ts, funding.rate, np.empty(0, np.bool_))
    if not lacking(funding.ts, until_ms, bar_ms):
        return CompleteFunding(funding.ts, funding.rate, np.zeros(funding.ts.size, np.bool_))
    rows, times = filled(funding.ts.tolist(), until_ms, bar_ms)
    added = np.array(times, np.int64)
    ts = np.concatenate([funding.ts[rows], added])
    rate = np.concatenate([funding.rate[rows], np.full(added.size, ASSUMED_RATE)])
    order = np.argsort(ts, kind="stable")
    return CompleteFunding(ts[order], rate[order], (np.arange(ts.size) >= len(rows))[order])
