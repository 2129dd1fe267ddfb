"""A space of strategy parameters, and which of its combinations are tried."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor, prod
from typing import Any

import numpy as np

from alpha_arena.core.errors import ConfigError, UnknownName
from alpha_arena.core.ports import Strategy

RANGE = re.compile(r"(?P<low>-?[0-9.eE+-]+?)\.\.(?P<high>-?[0-9.eE+-]+?)(/(?P<step>[0-9.eE+-]+))?")
DIGITS = 12
MOST_VALUES = 100_000
# all whole numbers up to it are doubles
LARGEST = 2.0**53
MOST_COMBINATIONS = 2**53


@dataclass(frozen=True)
class Axis:
    """One parameter that is varied: over values, or between low and high where there are none.

    Attributes:
        whole: it takes whole numbers.
    """

    name: str
    values: tuple[Any, ...]
    low: float = 0.0
    high: float = 0.0
    whole: bool = False

    def drawn(self, rng: np.random.Generator) -> Any:
        """A value at random."""
        if self.values:
            return self.values[int(rng.integers(len(self.values)))]
        return int(rng.integers(int(self.low), int(self.high) + 1)) if self.whole else float(rng.uniform(self.low, self.high))


def axis_of(key: str, name: str, given: object, whole: bool) -> Axis:
    """An axis as it is written in YAML.

    Args:
        key: dotted, for messages. given: a list of values, LOW..HIGH/STEP, LOW..HIGH, or one value.
        whole: the parameter takes whole numbers.

    Raises:
        ConfigError: the range is empty or cannot be read.
    """
    found = RANGE.fullmatch(given) if isinstance(given, str) else None
    if found:
        return _range(key, name, found, whole)
    values = tuple(given) if isinstance(given, list | tuple) else (given,)
    nested = next((value for value in values if isinstance(value, list | dict)), None)
    if nested is not None:
        raise ConfigError(f"{key}: {nested} is no single value; give a list of them, or a range such as 5..20/5")
    if not values:
        raise ConfigError(f"{key}=[] is empty; give at least one value, or a range such as 5..20/5")
    return Axis(name, tuple(dict.fromkeys(values)), whole=whole)


def _range(key: str, name: str, found: re.Match[str], whole: bool) -> Axis:
    try:
        low, high = float(found["low"]), float(found["high"])
        step = float(found["step"]) if found["step"] else 0.0
    except ValueError:
        raise ConfigError(f"{key}={found[0]} is not LOW..HIGH/STEP with three numbers, such as 5..20/5") from None
    if low > high or (found["step"] and step <= 0):
        raise ConfigError(f"{key}={found[0]} is empty: LOW must not exceed HIGH, and STEP must be above 0")
    if max(abs(low), abs(high), step) > LARGEST:
        raise ConfigError(f"{key}={found[0]} is out of bounds: LOW, HIGH and STEP must lie between -{LARGEST:g} and {LARGEST:g}")
    if not step:
        return _drawn_from(key, name, found[0], low, high, whole)
    count = (high - low) / step + 1e-9
    if not count < MOST_VALUES:
        raise ConfigError(f"{key}={found[0]} has {count + 1:,.0f} values, more than {MOST_VALUES:,}; take a larger step")
    values = [round(low + number * step, DIGITS) for number in range(floor(count) + 1)]
    return Axis(name, tuple(int(value) if whole and value == int(value) else value for value in values), whole=whole)


def _drawn_from(key: str, name: str, given: str, low: float, high: float, whole: bool) -> Axis:
    """A range without steps; of a whole parameter its whole numbers."""
    if whole:
        low, high = ceil(low), floor(high)
    if low > high:
        raise ConfigError(f"{key}={given} holds no whole number, and the parameter takes no others")
    return Axis(name, (), low, high, whole)


@dataclass(frozen=True)
class Space:
    """The combinations of one strategy's axes; a number stands for each, the last axis runs fastest."""

    strategy: str
    axes: tuple[Axis, ...]

    @cached_property
    def size(self) -> int | None:
        """Combinations; None where an axis is a range of numbers."""
        return prod(len(axis.values) for axis in self.axes) if all(axis.values for axis in self.axes) else None

    def combination(self, number: int) -> dict[str, Any]:
        """One combination of a space of values."""
        out = {}
        for axis in reversed(self.axes):
            number, at = divmod(number, len(axis.values))
            out[axis.name] = axis.values[at]
        return {axis.name: out[axis.name] for axis in self.axes}

    def drawn(self, rng: np.random.Generator) -> dict[str, Any]:
        """One combination at random."""
        return {axis.name: axis.drawn(rng) for axis in self.axes}


class Candidates(Sequence[dict[str, Any]]):
    """The combinations of a space that are tried, each made when it is asked for.

    Args:
        trials: how many; None takes every one.
        seed: of the draws; the same seed draws the same, each combination of a space of values at most once.

    Raises:
        ConfigError: every one is asked for of a range without steps.
    """

    def __init__(self, space: Space, trials: int | None, seed: int) -> None:
        self.space, self.seed = space, seed
        if trials is None and space.size is None:
            open_ = next(axis for axis in space.axes if not axis.values)
            raise ConfigError(
                f"{open_.name}={open_.low:g}..{open_.high:g} has no step, so that it has no end of combinations; "
                "add /STEP, or take sweep.method=random or tpe"
            )
        if trials is None and (space.size or 0) > MOST_COMBINATIONS:
            raise ConfigError(
                f"the space of {space.strategy} has about {space.size:.0e} combinations, more than can be counted off; "
                "take fewer values, or sweep.method=random or tpe"
            )
        self._every = range(space.size) if space.size is not None and space.size <= MOST_COMBINATIONS else None
        most = len(self._every) if self._every is not None else MOST_COMBINATIONS
        self._count = most if trials is None else min(trials, most)

    @cached_property
    def _numbers(self) -> Sequence[int] | None:
        """Those that are tried, in their order; None where they are drawn value by value, of so many that none comes twice."""
        if self._every is None or self._count == len(self._every):
            return self._every
        return random.Random(self.seed).sample(self._every, self._count)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> dict[str, Any]:  # type: ignore[override]
        if not 0 <= number < self._count:
            raise IndexError(number)
        if self._numbers is not None:
            return self.space.combination(self._numbers[number])
        return self.space.drawn(np.random.default_rng((self.seed, number)))


@dataclass(frozen=True, slots=True)
class Template:
    """A strategy that is searched: its class, and the values of what is not varied."""

    kind: type[Strategy]
    values: Mapping[str, Any]

    def make(self, varied: Mapping[str, Any]) -> Strategy:
        """The strategy with these parameters.

        Raises:
            ValueError: a value is out of range, or two do not fit together.
        """
        return self.kind(**{**self.values, **varied})


def space_of(strategy: str, given: Mapping[str, object], whole: Mapping[str, bool]) -> Space:
    """A strategy's space.

    Args:
        whole: of each parameter that the strategy has, whether it takes whole numbers.

    Raises:
        UnknownName: the strategy has no such parameter. ConfigError: as axis_of.
    """
    for name in given:
        if name not in whole:
            raise UnknownName(f"parameter of {strategy}", name, whole)
    return Space(strategy, tuple(axis_of(f"sweep.strategies.{strategy}.{name}", name, value, whole[name]) for name, value in given.items()))
