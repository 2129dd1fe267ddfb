"""Deaths at every point of longer lives: stops hit, orders that rest, fills in parts or late, protection that fails, trades by hand."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from live_world import BTC, SKIPPED, CrashPoint, World, check

from alpha_arena.core.types import Target

LONG = Target(0.5, stop=95.0, take=120.0)
SHORT = Target(-0.5, stop=115.0, take=80.0)
SCRIPT = {0: LONG, 1: LONG, 2: SHORT, 3: Target(-0.5, stop=112.0, take=80.0), 4: Target(0.0)}
CLOSES = [100.0, 101.0, 102.0, 103.0, 104.0]
WORLDS: dict[str, dict[str, Any]] = {
    "stop": {},
    "rests": {"rests": True},
    "late": {"lag_ms": 30_000},
    "parts": {"portion": Decimal("0.4"), "parts": 3},
    "unattached": {"attach_fails": True},
    "by hand": {},
}


def insist(made: World, what: Callable[[], object]) -> None:
    """As a scheduler: again after a death, and later where the account differs."""
    for _ in range(6):
        try:
            what()
            return
        except CrashPoint:
            made.restarts += 1
        except SKIPPED:
            made.clock.time += 20_000


def between(made: World, kind: str, bar: int) -> None:
    """What the market and others do after a cycle."""
    made.clock.time += 40_000
    if kind in ("rests", "parts"):
        made.venue.play()
    if kind == "stop" and bar in (0, 2):
        made.venue.move(BTC, "94.5" if bar == 0 else "116")
    if kind == "by hand" and bar == 1:
        made.venue.manual(BTC, "-20")
    insist(made, made.sync)


def lived(kind: str, dies_at: int | None) -> World:
    """Five bars, with a death at a point."""
    made = World(CLOSES, SCRIPT)
    for name, value in WORLDS[kind].items():
        setattr(made.venue, name, value)
    made.points, made.dies_at = 0, dies_at
    for bar in range(5):
        made.at(bar)
        insist(made, lambda bar=bar: made.cycle(bar))  # type: ignore[misc]
        between(made, kind, bar)
    made.clock.time += 60_000
    insist(made, made.sync)
    return made


@pytest.mark.parametrize("kind", WORLDS)
def test_a_longer_life_ends_with_both_books_the_same(kind: str) -> None:
    made = lived(kind, None)
    check(made)
    assert made.quantity == 0
    assert made.ledger().open_orders() == []


@pytest.mark.chaos
@pytest.mark.parametrize("kind", WORLDS)
def test_dying_at_each_point_of_a_longer_life_changes_nothing(kind: str) -> None:
    """A1, A8, A9, A11, A12: some hundred points each."""
    whole = lived(kind, None)
    expected, points = (whole.states(), whole.quantity), whole.points
    for point in range(points):
        made = lived(kind, point)
        check(made)
        assert (made.states(), made.quantity) == expected, point
