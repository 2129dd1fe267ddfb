"""A process dies before and after every request and every write, once and again inside its recovery: the end is always the same."""

from __future__ import annotations

import pytest
from live_world import World, check

from alpha_arena.core.types import Target

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


@pytest.mark.parametrize("after", [26, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 3, 11, 47))])
def test_dying_again_inside_the_recovery_changes_nothing(after: int) -> None:
    """A1: killed twice."""
    for point in range(after % 5, POINTS, 5):
        world = played(point, after)
        assert world.restarts in (1, 2)
        expect_whole(world)
