"""The exchange's clock: it runs at its speed, stands when told, and never goes back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.exchange.embedded.clock import SimClock


class Wall:
    """The computer's clock, which people may set back."""

    ms = 1_000.0

    def __call__(self) -> float:
        """Now."""
        return self.ms


def test_it_runs_at_its_speed_and_real_is_one() -> None:
    wall = Wall()
    clock = SimClock("scaled", 5_000, 60.0, wall)
    wall.ms += 10
    assert clock.now_ms() == 5_600
    clock.set(mode="real", speed=500.0)
    wall.ms += 10
    assert (clock.now_ms(), clock.speed) == (5_610, 1.0)
    clock.set(mode="stepped")
    wall.ms += 10
    assert clock.now_ms() == 5_610
    clock.step_to(7_000)
    clock.step_to(6_000)
    assert clock.now_ms() == 7_000
    clock.set(mode="scaled", now_ms=6_500, speed=2.0)
    wall.ms += 10
    assert clock.now_ms() == 7_020


def test_a_computer_that_is_set_back_stops_it_until_it_has_caught_up() -> None:
    """A13."""
    wall = Wall()
    clock = SimClock("real", 0, wall=wall)
    wall.ms += 600_000
    assert clock.now_ms() == 600_000
    wall.ms -= 500_000
    assert clock.now_ms() == 600_000
    wall.ms += 500_001
    assert clock.now_ms() == 600_001


@given(st.lists(st.tuples(st.sampled_from(["wall", "step", "real", "scaled", "stepped"]), st.integers(-10_000, 10_000)), max_size=30))
def test_time_never_goes_back(moves: list[tuple[str, int]]) -> None:
    wall = Wall()
    clock, before = SimClock("scaled", 0, 7.0, wall), 0
    for what, amount in moves:
        if what == "wall":
            wall.ms += amount
        elif what == "step":
            clock.step_to(amount)
        else:
            clock.set(mode=what, now_ms=max(amount, 0), speed=3.0)
        assert clock.now_ms() >= before
        before = clock.now_ms()
