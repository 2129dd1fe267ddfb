"""Indicators shared by those who ask for the same: computed once, forgotten when room is short, never mistaken for another's."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from alpha_arena.features.indicators import atr, bollinger, ema, rolling_mean, rsi
from alpha_arena.features.shared import Memo, remembered, shared

calls: list[int] = []


@remembered
def counted(values: np.ndarray, period: int) -> np.ndarray:
    """Tells when it is really computed."""
    calls.append(period)
    return values * period


def held(values: np.ndarray) -> np.ndarray:
    """As a market holds its columns."""
    values.setflags(write=False)
    return values


@pytest.fixture(autouse=True)
def nothing_called() -> None:
    """Counts start anew."""
    calls.clear()


def test_once_for_each_parameter() -> None:
    """And for each array, known by identity; outside of the block every call computes."""
    one, other = held(np.arange(5.0)), held(np.arange(5.0))
    with shared(Memo()):
        made = [counted(one, 2), counted(one, 2), counted(one, 3), counted(other, 2)]
    assert calls == [2, 3, 2]
    assert made[0] is made[1]
    counted(one, 2)
    assert calls == [2, 3, 2, 2]


def test_results_cannot_be_changed() -> None:
    """Since others see them too."""
    with shared(Memo()), pytest.raises(ValueError, match="read-only"):
        counted(np.arange(5.0), 2)[0] = 1.0


def test_what_is_computed_of_an_array_that_changes_is_computed_anew() -> None:
    """A strategy may fill its own array step by step."""
    with shared(Memo()):
        own = np.arange(5.0)
        before = counted(own, 2)
        own += 1
        assert (counted(own, 2) - before).tolist() == [2.0] * 5


def test_an_array_that_is_gone_is_not_taken_for_another() -> None:
    """However often memory is used again."""
    with shared(Memo()):
        for step in range(200):
            assert counted(held(np.full(4, float(step))), 2)[0] == 2 * step
            gc.collect(0)


def test_room_is_bounded() -> None:
    """The least recently used go first."""
    values, memo = held(np.zeros(1000)), Memo(room=3 * 8000)
    with shared(memo):
        for period in (1, 2, 3, 1, 4, 1, 2):
            counted(values, period)
            assert memo.used <= memo.room
    assert calls == [1, 2, 3, 4, 2]


def test_indicators_are_the_same_shared_or_not() -> None:
    """To the bit, those made of others and of several arrays too."""
    rng = np.random.default_rng(1)
    close = held(100 * np.exp(np.cumsum(rng.normal(0, 0.01, 300))))
    high, low = held(close * 1.01), held(close * 0.99)
    asks = (lambda: ema(close, 9), lambda: rsi(close, 14), lambda: atr(high, low, close, 14), lambda: rolling_mean(close, 20))
    alone = [ask() for ask in asks]
    with shared(Memo()) as _:
        for _ in range(2):
            for ask, expected in zip(asks, alone, strict=True):
                assert np.array_equal(ask(), expected, equal_nan=True)
        assert np.array_equal(bollinger(close, 20, 2.0).width, bollinger(close, 20, 2.0).width, equal_nan=True)
