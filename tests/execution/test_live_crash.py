"""A process dies before and after every request and every write, once and again inside its recovery: the end is always the same."""

from __future__ import annotations

from contextlib import suppress

import pytest
from live_world import World, check

from alpha_arena.core.errors import StoreError
from alpha_arena.core.types import Target
from alpha_arena.core.venue import OutcomeUnknown, TryAgain, VenueError
from alpha_arena.execution.reconcile import Unreconciled

SCRIPT = {0: Target(0.5, stop=95.0, take=120.0), 1: Target(-0.5, stop=115.0, take=80.0)}
CLOSES = [100.0, 101.0]
STATES = ["FILLED", "FILLED", "FILLED"]


def played(dies_at: int | None, again_after: int | None = None) -> World:
    """Both bars, with a death at a point, and another so many points after it."""
    world = World(CLOSES, SCRIPT)
    world.points, world.dies_at = 0, dies_at

    def once_more(name: str, when: str) -> None:
        if again_after is not None and dies_at is not None and world.restarts == 1 and world.dies_at == dies_at:
            world.dies_at = world.points + again_after

    world.hook = once_more
    world.run()
    return world


POINTS = played(None).points
SENDS = ("send", "protect", "unprotect", "cancel")


def failing(nth: int, where: str, error: Exception, name: str = "") -> World:
    """Both bars; the n-th request (or write, or request of a name) fails, and the process goes on as a scheduler lets it."""
    world = World(CLOSES, SCRIPT)
    seen = 0

    def fail(asked: str, when: str) -> None:
        nonlocal seen
        if when != where or (asked == "store") != (name == "store") or (name and asked != name):
            return
        seen += 1
        if seen - 1 == nth:
            raise error

    world.hook = fail
    for bar in range(2):
        world.at(bar)
        for _ in range(3):
            with suppress(StoreError, VenueError, Unreconciled):
                world.cycle(bar)
    return world


def expect_whole(world: World) -> None:
    """Three orders, the last position short, both books the same."""
    assert world.states() == STATES
    assert world.quantity == -49.74
    check(world)


def test_nothing_dies() -> None:
    expect_whole(played(None))
    assert POINTS > 100


@pytest.mark.parametrize("part", range(8))
def test_dying_at_each_point_changes_nothing(part: int) -> None:
    """A1, D20: before and after each of the points; exactly one order a leg, no manual step, both books equal."""
    for point in range(part, POINTS, 8):
        world = played(point)
        assert world.restarts == 1, point
        expect_whole(world)


@pytest.mark.parametrize("after", [26, *(pytest.param(n, marks=pytest.mark.chaos) for n in (0, 3, 11, 47))])
def test_dying_again_inside_the_recovery_changes_nothing(after: int) -> None:
    """A1: killed twice."""
    for point in range(after % 5, POINTS, 5):
        world = played(point, after)
        assert world.restarts in (1, 2)
        expect_whole(world)


def test_each_write_fails_once() -> None:
    """C4: nothing is sent that could not be committed, and the next cycle goes on."""
    for nth in range(60):
        expect_whole(failing(nth, "before", StoreError("the disk is full"), "store"))


def test_each_request_fails_once() -> None:
    """A7: a call that was definitely not carried out."""
    for nth in range(60):
        expect_whole(failing(nth, "before", TryAgain("too many requests")))


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("name", SENDS)
def test_each_request_that_changes_something_gets_no_reply(name: str, where: str) -> None:
    """A2, A3, A4: carried out or not, nobody knows."""
    for nth in range(4):
        expect_whole(failing(nth, where, OutcomeUnknown("no reply"), name))
