"""The verdict: luck is not passed, skill is, a loss is rejected, and nothing that can be handed in breaks it."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from itertools import pairwise
from math import inf, nan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_arena.backtest import overfitting, statistics
from alpha_arena.backtest.evidence import Evidence, measured
from alpha_arena.backtest.verdict import Reason, Verdict, judge
from alpha_arena.wiring.judging import worth

COST, DRAWS = 0.0005, 200
ORDER = ("REJECT", "WEAK", "PASS")


def sides(draw: np.random.Generator, bars: int, trials: int = 1, held: int = 10) -> np.ndarray:
    """Long, flat or short for so many bars at a time; shape [bars, trials]."""
    return np.repeat(draw.choice([-1.0, 0.0, 1.0], (bars // held, trials)), held, axis=0)


def net(exposure: np.ndarray, market: np.ndarray) -> np.ndarray:
    """Returns of an exposure of shape [bars, trials], each change paid for."""
    return exposure * market[:, None] - COST * np.abs(np.diff(exposure, axis=0, prepend=0.0))


def alone(edge: float, seed: int = 1, bars: int = 2000) -> Evidence:
    """The only trial there is: a market that moves by `edge` a bar in its favour, noise of 1 % aside."""
    draw = np.random.default_rng(seed)
    exposure = sides(draw, bars)
    market = draw.normal(0, 0.01, bars) + edge * exposure[:, 0]
    returns = net(exposure, market)
    trades = returns.reshape(-1, 10).sum(axis=1)
    return Evidence(
        returns[:, 0], 365.0, exposure[:, 0], market, trades[trades != 0], COST, 1, nan, nan, None, np.zeros((bars, 0)), seed, nan
    )


def searched(seed: int, trials: int = 1000, bars: int = 1000, edge: float = 0.0) -> Evidence:
    """The best of so many trials without skill, the first of them with an edge."""
    draw = np.random.default_rng(seed)
    exposure = sides(draw, bars, trials)
    market = draw.normal(0, 0.01, bars) + edge * exposure[:, 0]
    returns = net(exposure, market)
    sharpes = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
    best = int(np.argmax(sharpes))
    closed = returns[:, best].reshape(-1, 10).sum(axis=1)
    return Evidence(
        returns[:, best],
        365.0,
        exposure[:, best],
        market,
        closed[closed != 0],
        COST,
        trials,
        statistics.deviation(sharpes),
        overfitting.effective_trials(returns),
        overfitting.blocks_of(returns),
        np.zeros((bars, 0)),
        seed,
    )


def reason(verdict: Verdict, name: str) -> Reason:
    """By its name."""
    return next(item for item in verdict.reasons if item.name == name)


@pytest.mark.parametrize("seed", range(10))
def test_the_best_of_a_thousand_without_skill_is_rejected(seed: int) -> None:
    """It earned, and looks sure where the search is not counted."""
    found = judge(searched(seed), DRAWS)
    assert found.grade == "REJECT"
    assert found.figures["net_return"] > 0
    assert found.figures["psr"] > 0.95
    assert reason(found, "deflated_sharpe").passed is False


@pytest.mark.parametrize("seed", range(4))
def test_skill_passes_alone_and_out_of_a_search(seed: int) -> None:
    """One trial with an edge of a fifth of the noise; the same edge found among a hundred."""
    single = judge(alone(0.002, seed), DRAWS)
    assert single.grade == "PASS", single.reasons
    assert reason(single, "overfitting").passed is None
    assert reason(single, "superior_ability").passed is None
    found = judge(searched(seed, 100, 2000, 0.003), DRAWS)
    assert found.grade == "PASS", found.reasons
    assert found.figures["pbo"] < 0.1
    assert found.figures["spa_p"] <= 0.05


def test_a_loss_is_rejected_whatever_else_holds() -> None:
    """By its first reason, and by what luck would do."""
    found = judge(alone(-0.001), DRAWS)
    assert found.grade == "REJECT"
    assert reason(found, "net_return").passed is False
    assert reason(found, "net_return").text.startswith("It lost ")
    assert reason(found, "track_record").value == inf


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("trades", {"trades": np.full(29, 0.02)}),
        ("trade_order", {"trades": np.tile([0.5, -0.4], 30)}),
        ("decay", {"in_sample_sharpe": 100.0}),
        ("random_entry", {"exposure": np.ones(2000)}),
        ("random_entry", {"market": np.full(2000, nan)}),
        ("superior_ability_of_the_schemes", {"candidates": np.random.default_rng(0).normal(0, 0.01, (2000, 5))}),
    ],
)
def test_one_thing_short_is_weak(name: str, change: dict[str, object]) -> None:
    """What fails without deciding, and what would decide and is not defined, is enough."""
    sure = alone(0.002)
    found = judge(replace(sure, **change), DRAWS)
    assert found.grade == "WEAK", found.reasons
    assert [item.name for item in found.reasons if item.passed is False] in ([name], [])
    assert reason(found, name).passed is not True


def test_a_walk_forward_is_asked_for_its_schemes_and_says_so() -> None:
    """Two candidates are not the trials that they were chosen from; a search is asked for all of its own."""
    search = searched(1, 100)
    schemes = np.stack([search.returns, np.roll(search.returns, 7)], axis=1)
    walked = judge(replace(search, candidates=schemes), DRAWS)
    told = reason(walked, "superior_ability_of_the_schemes").text
    assert "none of the 2 schemes" in told
    assert "the 100 combinations that they chose from are not in it" in told
    assert "the one scheme" in reason(judge(replace(search, candidates=schemes[:, :1]), DRAWS), "superior_ability_of_the_schemes").text
    assert "none of the 100 trials" in reason(judge(search, DRAWS), "superior_ability").text


def test_what_decides_rejects_alone() -> None:
    """Each of the three that luck can be seen in, everything else as it was."""
    sure = alone(0.002)
    late = replace(sure, exposure=np.roll(sure.exposure, 500))
    noise = overfitting.blocks_of(np.random.default_rng(3).normal(0, 1, (960, 30)))
    forced = overfitting.Blocks(noise.sums - noise.sums.mean(axis=0), noise.squares, noise.bars)
    for name, worse in (
        ("random_entry", late),
        ("overfitting", replace(sure, blocks=forced)),
        ("deflated_sharpe", replace(sure, trials=10**6, trial_deviation=0.1)),
    ):
        found = judge(worse, DRAWS)
        assert found.grade == "REJECT", found.reasons
        assert reason(found, name).passed is False


def test_figures_are_those_of_the_seed() -> None:
    """The same evidence twice, and with another seed."""
    sure = alone(0.001)
    assert judge(sure, DRAWS).as_dict() == judge(sure, DRAWS).as_dict() != judge(replace(sure, seed=9), DRAWS).as_dict()


@given(
    st.sampled_from([0.0, 0.0005, 0.001, 0.002]),
    st.integers(0, 20),
    st.lists(st.integers(1, 100_000), min_size=2, max_size=4),
    st.sampled_from([nan, 0.0, 0.01, 0.05]),
)
@settings(max_examples=40, deadline=None)
def test_more_trials_never_improve_the_grade(edge: float, seed: int, trials: list[int], deviation: float) -> None:
    """Nor any of the figures that count them."""
    evidence = replace(alone(edge, seed, 600), trial_deviation=deviation)
    found = [judge(replace(evidence, trials=count), 40) for count in sorted(trials)]
    grades = [ORDER.index(item.grade) for item in found]
    assert grades == sorted(grades, reverse=True)
    assert all(a.figures["dsr"] >= b.figures["dsr"] for a, b in pairwise(found))


FLAT = np.zeros(400)
DEGENERATE = {
    "never traded": {"returns": FLAT, "exposure": FLAT, "trades": np.zeros(0)},
    "constant gain": {"returns": np.full(400, 0.001)},
    "constant up to rounding": {"returns": np.diff(1.001 ** np.arange(401)) / 1.001 ** np.arange(400)},
    "one bar that moved": {"returns": np.eye(1, 400, 200)[0]},
    "two values": {"returns": np.tile([0.0, 0.01], 200)},
    "not numbers": {"returns": np.full(400, nan), "trades": np.array([nan])},
    "one infinite": {"returns": np.where(np.arange(400) == 3, inf, 0.01)},
    "ruined": {"returns": np.where(np.arange(400) == 3, -1.0, 0.01), "trades": np.array([-1.0, -2.0, 0.1])},
    "beyond ruin": {"returns": np.where(np.arange(400) == 3, -1.5, 0.01)},
    "market unknown": {"market": np.full(400, nan)},
    "market that ruins": {"market": np.full(400, -2.0)},
    "no spread of trials": {"trials": 5, "trial_deviation": nan, "effective_trials": nan},
    "spread of 0": {"trials": 5, "trial_deviation": 0.0, "effective_trials": 1.0},
    "equal trials": {"trials": 5, "blocks": overfitting.blocks_of(np.ones((400, 5)))},
    "trials without bars": {"trials": 5, "blocks": overfitting.blocks_of(np.ones((3, 5)))},
    "trials that are no numbers": {"trials": 5, "blocks": overfitting.blocks_of(np.full((400, 5), nan))},
    "candidates that rest": {"trials": 5, "candidates": np.zeros((400, 3))},
    "candidates of few bars": {"trials": 5, "candidates": np.ones((3, 3))},
    "candidates of none": {"trials": 5, "candidates": np.zeros((0, 0))},
    "in sample without gain": {"in_sample_sharpe": -1.0},
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_nothing_breaks_it(case: str) -> None:
    """A grade with sentences, JSON without NaN; warnings are errors here."""
    found = judge(replace(alone(0.0, 5, 400), **DEGENERATE[case]), 50)
    assert found.grade in ("REJECT", "WEAK")
    assert all(item.text.endswith(".") for item in found.reasons)
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["grade"] == found.grade


@given(st.lists(st.sampled_from([0.0, 0.01, -0.01, 0.02, 1e-12, -0.5, 1e-300]), max_size=25), st.sampled_from([1, 7]), st.integers(0, 9))
@settings(max_examples=150, deadline=None)
def test_short_histories_are_never_passed(returns: list[float], trials: int, seed: int) -> None:
    """Of any length from nothing."""
    r = np.array(returns)
    candidates = np.stack([r, np.roll(r, 1)], axis=1)
    evidence = Evidence(
        r, 8760.0, np.sign(r), r, r[r != 0], 0.0, trials, nan, nan, overfitting.blocks_of(candidates, 4), candidates, seed, 1.0
    )
    assert judge(evidence, 20).grade != "PASS"


@pytest.mark.parametrize("case", ["constant gain", "constant up to rounding"])
def test_a_gain_that_never_varies_has_no_sharpe(case: str) -> None:
    """Rounding is no risk: nothing that needs a Sharpe is defined, though all else passes."""
    found = judge(replace(alone(0.002), returns=np.resize(DEGENERATE[case]["returns"], 2000)), 50)
    assert found.grade == "WEAK"
    assert [reason(found, name).passed for name in ("probabilistic_sharpe", "deflated_sharpe", "track_record", "history")] == [None] * 4


@pytest.mark.slow
def test_a_long_history_needs_bounded_memory() -> None:
    """20,000 bars, 1,000 draws, 20 candidates and a thousand trials."""
    evidence = searched(1, 20, 20_000)
    many = overfitting.blocks_of(np.random.default_rng(1).normal(0, 0.01, (1600, 1000)))
    tracemalloc.start()
    judge(replace(evidence, blocks=many))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


def test_the_best_of_a_search_does_not_look_better_alone_or_among_its_copies() -> None:
    """What was tried before is not forgotten: it is worth at least as many trials as in the search that found it."""
    noise = np.random.default_rng(0).normal(0, 0.01, (800, 300))
    copies = noise[:, :1] * np.linspace(0.99, 1.01, 1000)
    found = worth(300, overfitting.blocks_of(noise))
    assert found == pytest.approx(300, rel=0.1)
    assert worth(300, None) >= found
    assert worth(1300, overfitting.blocks_of(copies)) >= found
    assert worth(1, None) == 1


@given(st.integers(0, 20), st.floats(2, 500))
@settings(max_examples=20, deadline=None)
def test_trials_that_spread_little_are_no_proof(seed: int, worth: float) -> None:
    """Copies of one trial narrow the spread; luck is still that of as many independent ones as they are worth."""
    evidence = replace(alone(0.001, seed, 600), trials=5_000, effective_trials=worth)
    padded, wide = (measured(replace(evidence, trial_deviation=spread), 40) for spread in (1e-6, 1.0))
    independent = statistics.expected_best(worth) / sqrt(599) * sqrt(evidence.ppy)
    assert padded["luck_sharpe"] == pytest.approx(independent)
    assert padded["dsr"] == pytest.approx(padded["dsr_effective"])
    assert wide["luck_sharpe"] > independent
