"""Levels that rules give to targets, over whole arrays, as machine code."""

from __future__ import annotations

from math import isnan

import numpy as np

from alpha_arena.core.types import Floats
from alpha_arena.features.compiled import compiled


@compiled
def _bare(exposure: Floats, stop: Floats) -> int:
    """Targets without a stop."""
    count = 0
    for row in range(stop.size):
        count += isnan(stop[row]) & (exposure[row] != 0)
    return count


@compiled
def _stopped(exposure: Floats, stop: Floats, close: Floats, max_loss: float) -> Floats:
    out = np.empty(stop.size)
    for row in range(stop.size):
        out[row] = stop[row]
        if isnan(stop[row]) and exposure[row] != 0:
            out[row] = close[row] * (1 - (max_loss if exposure[row] > 0 else -max_loss))
    return out


def stops_within(exposure: Floats, stop: Floats, close: Floats, max_loss: float) -> Floats:
    """The stops, and one at `max_loss` (fraction of price) from the close where a target has none; the same array where each has one."""
    return _stopped(exposure, stop, close, max_loss) if _bare(exposure, stop) else stop
