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


def missing(known: list[int], until_ms: int) -> list[int]:
    """Times at which a settlement must have happened and none is known."""
    added: list[int] = []
    before = known[0] - FUNDING_INTERVAL_MS
    for ts, following in zip(known, [*known[1:], None], strict=True):
        interval = ts - before
        end = until_ms + 1 if following is None else following - interval // 2
        gap = range(ts + interval, end, interval)
        added += gap
        before = gap[-1] if gap else ts
    return added


def complete(funding: Funding, until_ms: int) -> CompleteFunding:
    """Add the settlements that must have happened but are not known, on the last known interval, up to `until_ms` (inclusive).

    Nothing is added before the first known settlement (whose interval is taken as 8 h), nor where none is known at all. A settlement up to
    half an interval late is taken as that one, not as a second. What is added at a time depends only on settlements before it and on none
    having come by then (specs: simulation, "Inputs").
    """
    if not funding.ts.size:
        return CompleteFunding(funding.ts, funding.rate, np.empty(0, np.bool_))
    added = np.array(missing(funding.ts.tolist(), until_ms), np.int64)
    ts = np.concatenate([funding.ts, added])
    rate = np.concatenate([funding.rate, np.full(added.size, ASSUMED_RATE)])
    order = np.argsort(ts, kind="stable")
    return CompleteFunding(ts[order], rate[order], (np.arange(ts.size) >= funding.ts.size)[order])
