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


def last_intervals(ts: Ints) -> Ints:
    """The interval known at each settlement: the time since the one before it; 8 h at the first."""
    return np.diff(ts, prepend=ts[0] - FUNDING_INTERVAL_MS)


def complete(funding: Funding, until_ms: int) -> CompleteFunding:
    """Add the settlements that must have happened but are not known, on the last known interval, up to `until_ms` (inclusive).

    Nothing is added before the first known settlement, nor where none is known at all. A settlement up to half an interval late is taken
    as that one, not as a second. Causal: what is added at a time depends only on settlements before it (specs: simulation, "Inputs").
    """
    if not funding.ts.size:
        return CompleteFunding(funding.ts, funding.rate, np.empty(0, np.bool_))
    interval = last_intervals(funding.ts)
    following = np.append(funding.ts[1:] - interval[:-1] // 2 - 1, until_ms)
    missing = np.maximum((following - funding.ts) // interval, 0)
    step = np.arange(missing.sum()) - np.repeat(np.cumsum(missing) - missing, missing) + 1
    added = np.repeat(funding.ts, missing) + step * np.repeat(interval, missing)
    ts = np.concatenate([funding.ts, added])
    rate = np.concatenate([funding.rate, np.full(added.size, ASSUMED_RATE)])
    order = np.argsort(ts, kind="stable")
    return CompleteFunding(ts[order], rate[order], (np.arange(ts.size) >= funding.ts.size)[order])
