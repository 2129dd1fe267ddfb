"""How decisions have done, as a model is shown it: counts, ends, and too few (specs: quant L9)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.core.outcomes import Outcome
from alpha_arena.decision.brief import six
from alpha_arena.decision.feedback import LEAST, Group, feedback, lines

HOUR = 3_600_000


def outcome(n: int, gained: float, regime: str = "RANGE", exposure: float = 0.5, **parts: float) -> Outcome:
    """That ended, with a return."""
    own = tuple((parts or {"ema_trend": 1.0}).items())
    return Outcome("X", n * HOUR, (n + 1) * HOUR, (n + 1) * HOUR, regime, exposure, 1_000.0, own, 100.0, gained * 1_000, closed_ts=n)


def test_the_figures_are_those_of_what_held_a_position() -> None:
    """Golden numbers; one that wanted the other side has lost where the position has won."""
    won = [outcome(n, 0.02, "RANGE", ema_trend=1.5, breakout=-0.5) for n in range(5)]
    lost = [outcome(n, -0.01, "BREAKOUT", ema_trend=1.0) for n in range(5)]
    found = feedback([*won, *lost, outcome(11, -0.0005, exposure=0.0)])
    assert (found.last, found.n, found.flat, found.win_rate) == (11, 10, 1, 0.5)
    assert found.mean_return == pytest.approx(0.005)
    assert found.best_strategy == Group("ema_trend", 10, pytest.approx((5 * 1.5 * 0.02 - 5 * 0.01) / (5 * 1.5 + 5)))
    assert found.worst_strategy == Group("breakout", 5, pytest.approx(-0.02))
    assert (found.best_regime, found.worst_regime) == (Group("RANGE", 5, pytest.approx(0.02)), Group("BREAKOUT", 5, pytest.approx(-0.01)))
    text = lines(found, six)
    assert "win_rate_fraction: 0.5" in text
    assert "worst_strategy: breakout, mean_return_fraction -0.02, n=5" in text
    assert json.loads(json.dumps(found.told()))["best_regime"] == {"name": "RANGE", "n": 5, "mean_return": pytest.approx(0.02)}


def test_below_five_nothing_is_said_and_nobody_is_named() -> None:
    """Overall, and of each strategy and regime by its own count."""
    few = feedback([outcome(n, 0.01) for n in range(4)] + [outcome(9, -0.01, exposure=0.0)])
    assert (few.insufficient, few.win_rate, few.best_strategy) == (True, None, None)
    assert lines(few, six) == "insufficient (n=4, at least 5 are needed)"
    some = feedback([outcome(n, 0.01 * n, "RANGE" if n < 4 else "BREAKOUT", **{"a" if n < 5 else "b": 1.0}) for n in range(8)])
    assert (some.best_strategy, some.worst_strategy) == (Group("a", 5, pytest.approx(0.02)), None)
    assert (some.best_regime, some.worst_regime) == (None, None)
    assert "best_regime: insufficient" in lines(some, six)


def test_alike_is_neither_best_nor_worst() -> None:
    found = feedback([outcome(n, 0.01, a=0.6, b=0.4) for n in range(5)])
    assert found.best_strategy
    assert found.worst_strategy is None


MADE = st.tuples(st.floats(-0.5, 0.5), st.sampled_from("xyz"), st.sampled_from("ab"), st.sampled_from([0.0, 0.5, -1.0]))


@given(st.lists(MADE, max_size=40))
def test_a_named_group_has_enough_behind_it_and_the_best_is_not_worse(made: list[tuple[float, str, str, float]]) -> None:
    found = feedback([outcome(n, gained, regime, exposure, **{name: 1.0}) for n, (gained, regime, name, exposure) in enumerate(made)])
    assert found.n + found.flat == found.last == len(made)
    for best, worst in ((found.best_strategy, found.worst_strategy), (found.best_regime, found.worst_regime)):
        assert best is None or best.n >= LEAST
        assert worst is None or (best is not None and worst.n >= LEAST and worst.mean_return < best.mean_return)
    assert json.dumps(found.told(), allow_nan=False)
