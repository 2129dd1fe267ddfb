"""Spaces of parameters: what is written is what is tried, each combination once, the same by the same seed."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.backtest.space import Axis, Candidates, Space, axis_of, space_of
from alpha_arena.core.errors import ConfigError, UnknownName

WHOLE = {"fast": True, "slow": True, "level": False}


def values(given: object, whole: bool = False) -> tuple[object, ...]:
    """Of an axis as it is written."""
    return axis_of("sweep.strategies.x.fast", "fast", given, whole).values


@pytest.mark.parametrize(
    ("given", "whole", "expected"),
    [
        ([5, 9, 9, 12], True, (5, 9, 12)),
        ("5..17/4", True, (5, 9, 13, 17)),
        ("5..16/4", True, (5, 9, 13)),
        ("0.1..0.5/0.1", False, (0.1, 0.2, 0.3, 0.4, 0.5)),
        ("-1..1/0.5", False, (-1.0, -0.5, 0.0, 0.5, 1.0)),
        ("1e-4..3e-4/1e-4", False, (0.0001, 0.0002, 0.0003)),
        (7, True, (7,)),
        ("7..7/1", True, (7,)),
        ("2..3", True, ()),
    ],
)
def test_an_axis_as_it_is_written(given: object, whole: bool, expected: tuple[object, ...]) -> None:
    """Both ends are in, no rounding shows, whole numbers stay whole."""
    assert values(given, whole) == expected


@pytest.mark.parametrize(
    "given", [[], [[1, 2]], "9..5/1", "5..9/0", "5..9/-1", "1e..2", "0..1/1e-9", "1..1e400", "1..1e400/1", "0..1e30", "0..9e15/1e-300"]
)
def test_a_range_that_is_empty_or_endless_is_refused(given: object) -> None:
    """By its key."""
    with pytest.raises(ConfigError, match=r"sweep\.strategies\.x\.fast"):
        values(given)


def test_whole_numbers_between_two_that_are_not() -> None:
    """Are drawn from, none below LOW; where there are none the range is empty."""
    axis = axis_of("sweep.strategies.x.fast", "fast", "5.5..8.5", True)
    assert (axis.low, axis.high) == (6, 8)
    with pytest.raises(ConfigError, match=r"fast=5\.2\.\.5\.8 holds no whole number"):
        axis_of("sweep.strategies.x.fast", "fast", "5.2..5.8", True)


def test_a_space_beyond_counting() -> None:
    """Every combination cannot be tried, some can; nothing is as large as the space."""
    space = Space("x", tuple(Axis(f"p{n}", tuple(range(1000))) for n in range(10)))
    with pytest.raises(ConfigError, match=r"about 1e\+30 combinations.*fewer values"):
        Candidates(space, None, 1)
    some = Candidates(space, 50, 1)
    assert len({tuple(one.values()) for one in some}) == len(some) == 50


def test_a_parameter_that_the_strategy_has_not() -> None:
    """Is refused with the nearest name."""
    with pytest.raises(UnknownName, match="did you mean 'fast'"):
        space_of("x", {"fsat": [1]}, WHOLE)


axes = st.lists(st.integers(1, 5), min_size=0, max_size=4).map(
    lambda sizes: tuple(Axis(f"p{n}", tuple(range(size))) for n, size in enumerate(sizes))
)


@given(axes)
def test_a_grid_is_every_combination_once(found: tuple[Axis, ...]) -> None:
    """In the order of nested loops, the last axis running fastest; a space without axes is tried once."""
    made = [tuple(one.values()) for one in Candidates(Space("x", found), None, 0)]
    assert made == list(product(*(axis.values for axis in found)))


@given(axes, st.integers(1, 40), st.integers(0, 2**63 - 1))
def test_draws_of_values_are_distinct_and_repeatable(found: tuple[Axis, ...], trials: int, seed: int) -> None:
    """No combination twice, never more than there are, the same by the same seed."""
    space = Space("x", found)
    one, other = (list(Candidates(space, trials, seed)) for _ in range(2))
    assert one == other
    assert len({tuple(values.values()) for values in one}) == len(one) == min(trials, space.size or 0)


@given(st.integers(0, 2**63 - 1))
def test_draws_of_ranges_lie_in_them(seed: int) -> None:
    """Whole where the parameter is; a draw does not depend on how many there are."""
    space = space_of("x", {"fast": "5..9", "level": "0.5..0.75"}, WHOLE)
    many = Candidates(space, 50, seed)
    assert all(isinstance(one["fast"], int) and 5 <= one["fast"] <= 9 and 0.5 <= one["level"] <= 0.75 for one in many)
    assert list(Candidates(space, 3, seed)) == [many[n] for n in range(3)]


def test_a_grid_over_a_range_without_steps_is_refused() -> None:
    """With what to do."""
    with pytest.raises(ConfigError, match=r"fast=5\.\.9 has no step.*sweep\.method=random"):
        Candidates(space_of("x", {"fast": "5..9"}, WHOLE), None, 0)


def test_a_space_larger_than_memory() -> None:
    """Is drawn from without being laid out."""
    space = Space("x", tuple(Axis(f"p{n}", tuple(range(1000))) for n in range(6)))
    assert space.size == 10**18
    assert len(list(Candidates(space, 5, 1))) == 5
