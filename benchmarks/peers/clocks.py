"""How time is taken: process CPU time, medians, after a warm run. The standard library alone, so that it runs in both environments."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter, process_time
from typing import TypeVar

Made = TypeVar("Made")
ENOUGH_S, MOST, LEAST = 2.0, 15, 3


def timed(work: Callable[[], Made], clock: Callable[[], float] = process_time) -> tuple[float, Made]:
    """Seconds that a call takes, and what it gives."""
    began = clock()
    made = work()
    return clock() - began, made


def typical(work: Callable[[], Made], enough_s: float = ENOUGH_S, clock: Callable[[], float] = process_time) -> tuple[float, Made]:
    """Median seconds of a call, by `clock`; a call that alone takes longer than `enough_s` is timed once."""
    began = perf_counter()
    first, made = timed(work, clock)
    taken = [first]
    while first < enough_s and len(taken) < MOST and (len(taken) < LEAST or perf_counter() - began < enough_s):
        taken.append(timed(work, clock)[0])
    return median(taken), made
