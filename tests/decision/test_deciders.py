"""Deciders: one strategy, fixed weights, scores."""

from __future__ import annotations

from dataclasses import replace
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.core.market import Market, Study, View
from alpha_arena.core.types import REGIMES, Account, Candles, Position, Regimes, RiskState, Share, Signals
from alpha_arena.decision.combine import combine, normalised, over_rows
from alpha_arena.decision.drawn import Drawn
from alpha_arena.decision.portfolio import Portfolio, performance_score
from alpha_arena.decision.single import Single
from alpha_arena.decision.weighted import Weighted
from alpha_arena.settings import load

HOUR = 3_600_000
ROWS = 200
BARS = np.full(ROWS, 100.0)
MARKET = Market.of("X", HOUR, Candles(np.arange(ROWS) * HOUR, BARS, BARS, BARS, BARS, BARS))


def wish(exposure: float, stop: float = nan, take: float = nan) -> Signals:
    """The same wish at every row."""
    return Signals(np.full(ROWS, exposure), np.full(ROWS, stop), np.full(ROWS, take), np.ones(ROWS))


def view(signals: dict[str, Signals], regime: str = "RANGE", recent: dict[str, np.ndarray] | None = None) -> View:
    """The last close of a flat market."""
    code = np.full(ROWS, REGIMES.index(regime), np.int8)
    regimes = Regimes(code, *(np.full(ROWS, 0.5) for _ in range(5)))
    study = Study({"X": MARKET}, {"X": signals}, {"X": regimes}, {"X": recent or {name: np.ones(ROWS) for name in signals}})
    return View(ROWS * HOUR, ROWS * HOUR, {"X": ROWS - 1}, study, Account(10_000), RiskState(10_000), {"X": 100.0})


def portfolio(names: list[str], **changes: object) -> Portfolio:
    """A portfolio decider over strategies of leverage 2."""
    values: dict[str, object] = {
        "name": "portfolio",
        "strategies": names,
        "regime_fit": {},
        "regime_weight": 0.5,
        "performance_window": 100,
        "temperature": 0.1,
        "top": 3,
        "global_leverage": 1.0,
        "leverages": dict.fromkeys(names, 2.0),
    }
    return Portfolio(**{**values, **changes})  # type: ignore[arg-type]


def test_single_follows_its_strategy_levels_included() -> None:
    """Nothing is added and nothing is lost."""
    target = Single("single", ["a"], {"a": 3.0}).decide(view({"a": wish(0.6, 95, 110)}))["X"]
    assert (target.exposure, target.stop, target.take) == (0.6, 95, 110)
    assert [share.weight for share in target.shares] == [1.0]


def test_levels_are_the_weighted_mean_of_those_on_the_target_s_side() -> None:
    """Long 0.6 and 0.2 against short 0.3: the short's stop has no say; the longs' weigh 2 to 1."""
    signals = {"a": wish(0.6, 90, 120), "b": wish(0.2, 96, nan), "c": wish(-0.3, 105, 80)}
    decider = Weighted("weighted", ["a", "b", "c"], {"a": 2, "b": 1, "c": 1}, 1.0, dict.fromkeys("abc", 3.0))
    target = decider.decide(view(signals))["X"]
    assert target.exposure == pytest.approx(0.6 * 0.5 + 0.2 * 0.25 - 0.3 * 0.25)
    assert target.stop == pytest.approx(92)
    assert target.take == pytest.approx(120)


def test_a_mean_on_the_wrong_side_of_the_close_is_none() -> None:
    """A stop above the price of a long protects nothing; the risk rule will give it one."""
    decider = Weighted("weighted", ["a"], {}, 1.0, {"a": 3.0})
    target = decider.decide(view({"a": wish(0.6, 101, 99)}))["X"]
    assert isnan(target.stop)
    assert isnan(target.take)


@given(st.dictionaries(st.sampled_from("abcde"), st.tuples(st.floats(0.01, 10), st.floats(-3, 3)), min_size=1), st.floats(0.1, 2))
def test_weights_sum_to_one_and_the_sum_is_clipped(made: dict[str, tuple[float, float]], g: float) -> None:
    """The weighted sum of exposures, within the global leverage."""
    weights = normalised({name: weight for name, (weight, _) in made.items()})
    assert sum(weights.values()) == pytest.approx(1)
    decider = Weighted("w", list(made), {name: weight for name, (weight, _) in made.items()}, g, dict.fromkeys(made, 3.0))
    target = decider.decide(view({name: wish(exposure) for name, (_, exposure) in made.items()}))["X"]
    total = sum(weights[name] * exposure for name, (_, exposure) in made.items())
    assert target.exposure == pytest.approx(max(-g, min(g, total)))
    assert sum(share.weight for share in target.shares) == pytest.approx(1)


def test_weights_for_a_strategy_that_is_not_enabled_are_refused() -> None:
    """The message names it."""
    with pytest.raises(ValueError, match="'z'"):
        Weighted("weighted", ["a"], {"z": 1}, 1.0, {"a": 3.0})
    with pytest.raises(ValueError, match="positive"):
        Weighted("weighted", ["a"], {"a": 0}, 1.0, {"a": 3.0})


def test_the_regime_decides_between_strategies_that_have_earned_alike() -> None:
    """The one that fits gets most, with its score parts beside it."""
    fit = {"trend": {"RANGE": 0.0, "STRONG_TREND": 1.0}, "range": {"RANGE": 1.0, "STRONG_TREND": 0.0}}
    decider = portfolio(["trend", "range"], regime_fit=fit)
    signals = {"trend": wish(0.6), "range": wish(-0.5)}
    for regime, best in (("RANGE", "range"), ("STRONG_TREND", "trend")):
        shares = decider.decide(view(signals, regime))["X"].shares
        assert shares[0].strategy_id == best
        assert shares[0].weight > 0.95
        assert (shares[0].regime_score, shares[0].performance_score) == (1.0, 0.5)
        assert regime in shares[0].reasoning
        assert sum(share.weight for share in shares) == pytest.approx(1)


def test_the_one_that_has_earned_is_preferred_and_only_the_past_counts() -> None:
    """D74: performance comes from the strategy's own simulated equity up to this close, whatever comes later."""
    rng = np.random.default_rng(3)
    good, bad = (np.exp(np.cumsum(rng.normal(drift, 0.002, ROWS))) for drift in (0.001, -0.001))
    decider = portfolio(["good", "bad"], regime_weight=0.0)
    shares = decider.decide(view({"good": wish(0.5), "bad": wish(0.5)}, recent={"good": good, "bad": bad}))["X"].shares
    assert (shares[0].strategy_id, shares[0].weight > 0.9) == ("good", True)
    changed = good.copy()
    changed[100:] = 1e-6
    assert performance_score(good, 99, 50) == performance_score(changed, 99, 50)


def test_a_strategy_that_never_traded_is_neutral_and_scores_stay_within_bounds() -> None:
    """0.5 without trades; even a curve that explodes scores at most 1."""
    assert performance_score(np.ones(50), 49, 20) == 0.5
    assert performance_score(np.ones(50), 0, 20) == 0.5
    assert 0.5 < performance_score(np.exp(np.linspace(0, 50, 50) + np.tile([0, 0.01], 25)), 49, 40) <= 1


def test_combining_nothing_active_is_flat_with_a_reason() -> None:
    """No strategy in a position: exposure 0, and it says so."""
    decider = portfolio(["a"])
    target = combine(decider.shares(view({"a": wish(0.0)}), "X"), {"a": wish(0.0)}, 5, 100.0, 1.0)
    assert (target.exposure, target.why) == (0.0, "no strategy is in a position")
    assert decider.leverage == 2.0


RANDOM = load("decide", ["decision=random"]).decider
LEVELS = st.one_of(st.just(nan), st.floats(80, 120))
WISHES = st.lists(st.tuples(st.sampled_from([-0.7, 0.0, 0.4, 1.0]), LEVELS, LEVELS), min_size=3, max_size=3)


@given(st.lists(WISHES, min_size=2, max_size=4), st.floats(0.3, 2.0), st.integers(0, 2**40))
def test_arrays_are_combined_as_each_row_is(wishes: list[list[tuple[float, float, float]]], limit: float, seed: int) -> None:
    """Exposure, levels and confidence, to the bit."""
    close = np.array([100.0, 100.0, 90.0])
    signals = {str(n): Signals(*(np.array(column) for column in zip(*one, strict=True)), np.full(3, 0.7)) for n, one in enumerate(wishes)}
    weights = np.random.default_rng(seed).dirichlet(np.ones(len(signals)), 3)
    made = over_rows(weights, list(signals.values()), close, limit)
    for t in range(3):
        shares = [Share(name, float(weight), 0.0) for name, weight in zip(signals, weights[t], strict=True)]
        target = combine(shares, signals, t, float(close[t]), limit)
        assert (made.exposure[t], repr(float(made.stop[t])), repr(float(made.take[t]))) == (
            target.exposure,
            repr(target.stop),
            repr(target.take),
        )
        assert made.confidence[t] == pytest.approx(target.confidence, abs=1e-12)


def test_random_weights_belong_to_their_time() -> None:
    """Wherever a run begins: the same seed and bar have the same weights, which change every 24 bars, sum to 1 and favour nobody."""
    assert isinstance(RANDOM, Drawn)
    ts = HOUR * np.arange(24 * 3_000)
    weights = RANDOM.weights_at(ts, HOUR)
    np.testing.assert_array_equal(weights[500:700], RANDOM.weights_at(ts[500:700], HOUR))
    assert np.flatnonzero(np.diff(weights[:, 0])).tolist() == [*range(23, ts.size - 1, 24)]
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    # the uniform distribution over weights: mean 1/6, variance 5 / (36 * 7)
    assert weights.mean(axis=0) == pytest.approx([1 / 6] * 6, abs=0.01)
    assert weights.var(axis=0) == pytest.approx([5 / 252] * 6, abs=0.002)
    other = replace(RANDOM, seed=RANDOM.seed + 1).weights_at(ts, HOUR)
    assert np.corrcoef(weights[::24, 0], other[::24, 0])[0, 1] == pytest.approx(0, abs=0.05)


def test_holding_buys_once() -> None:
    """Flat it enters, held it keeps whatever is held; flat stays flat."""
    hold, flat = (load("decide", [f"decision={name}"]).decider for name in ("hold", "flat"))
    here = view({"ema_trend": wish(-1.0)})
    assert hold.decide(here)["X"].exposure == 1.0
    held = replace(here, account=Account(7_000, {"X": Position(50, 60.0)}))
    assert hold.decide(held)["X"].exposure == held.exposure("X") == pytest.approx(5_000 / 9_000)
    assert flat.decide(here)["X"].exposure == 0
    assert (hold.leverage, flat.leverage) == (1.2, 1)
