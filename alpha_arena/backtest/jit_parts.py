"""The parts of the compiled loop that know nothing of an account: whole lots, the log of fills, the settlements in their order."""

from __future__ import annotations

from math import floor

import numpy as np

from alpha_arena.backtest.columns import Done, Log
from alpha_arena.core.types import Bools, Floats, Ints
from alpha_arena.features.compiled import compiled, inlined

TOLERANCE, NEVER = 1e-9, 2**62


@inlined
def whole(quotient: float) -> int:
    """Whole lots in a quotient; one that is within 1e-9 below an integer counts as that integer."""
    return floor(quotient + TOLERANCE)


@inlined
def sign(value: float) -> int:
    """+1, 0 or -1."""
    return (1 if value > 0 else 0) - (1 if value < 0 else 0)


@inlined
def opposed(one: int, other: int) -> bool:
    """Whether two quantities have different signs; no product, which could overflow."""
    return sign(one) * sign(other) < 0


@compiled
def new_log(room: int) -> Log:
    """An empty log."""
    row, lots, reason = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    return Log(row, lots, np.empty(room), np.empty(room), reason, np.zeros(1, np.int64))


@inlined
def append(log: Log, row: int, done: Done) -> None:
    """Write a fill down, if there was one."""
    if done.lots != 0:
        i = log.used[0]
        log.row[i], log.lots[i], log.price[i], log.fee[i], log.reason[i] = row, done.lots, done.price, done.fee, done.reason
        log.used[0] = i + 1


@inlined
def due_at(ts: Ints, event: int) -> int:
    """When the next settlement is due, never after the last."""
    return ts[event] if event < ts.size else NEVER


@inlined
def settle(ts: Ints, rate: Floats, assumed: Bools, first: int, until: int, notional: float) -> tuple[int, float, int]:
    """Funding at ts < until from event `first` on: the next event, what the position's notional pays, payments of an assumed rate."""
    paid, unknown = 0.0, 0
    while first < ts.size and ts[first] < until:
        paid += notional * rate[first]
        unknown += 1 if assumed[first] and notional != 0 else 0
        first += 1
    return first, paid, unknown


@inlined
def misplaced(side: int, first: float, stop: float, take: float) -> bool:
    """Whether a new position's stop is not strictly on its losing side of the open, or its take not strictly on the winning side."""
    return (first - stop) * side <= 0 or (take - first) * side <= 0
