"""Published vectors and laws of the figures that ask whether a result is luck (specs: quant §2.2)."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from arch.bootstrap import SPA
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from alpha_arena.backtest import overfitting as o
from alpha_arena.backtest import statistics as s

TINY = np.array([[3, 1, 0], [-1, 1, 0], [2, 0, 1], [-2, 0, 1]], float)


def test_the_tiny_case_split_by_split() -> None:
    """V6: mean return, ties in sample go to the lowest index."""
    found = o.overfit(o.blocks_of(TINY, 4), sharpe=False)
    assert found.logits == pytest.approx([-0.510826, -1.098612, 0, 0, -0.510826, -1.098612], abs=1e-6)
    assert found.pbo == 1.0


def test_noise_and_one_column_with_skill() -> None:
    """V6: the same array with and without a drift in one column."""
    noise = np.random.default_rng(42).normal(0, 1, (1000, 10))
    plain = o.overfit(o.blocks_of(noise))
    assert (plain.pbo, plain.loss) == pytest.approx((0.8148407148, 0.9114996115), abs=1e-9)
    assert plain.slope == pytest.approx(-0.674655, abs=1e-6)
    noise[:, 3] += 0.15
    skilled = o.overfit(o.blocks_of(noise))
    assert (skilled.pbo, skilled.loss) == pytest.approx((0.0480963481, 0.0500388500), abs=1e-9)


@pytest.mark.parametrize("trials", [7, 20, 100])
def test_over_many_sets_of_noise_the_best_is_in_the_lower_half_half_of_the_time(trials: int) -> None:
    """V6: one set of noise proves nothing."""
    draw = np.random.default_rng(7)
    assert 0.42 < np.mean([o.overfit(o.blocks_of(draw.normal(0, 1, (1000, trials)))).pbo for _ in range(40)]) < 0.62


@pytest.mark.parametrize(("edge", "pbo"), [(0.05, 0.45), (0.10, 0.32), (0.15, 0.14), (0.20, 0.02)])
def test_one_with_skill_among_a_hundred_is_found_the_better_the_more_it_has(edge: float, pbo: float) -> None:
    """V6: mean of 25 sets, whose standard error is 0.03."""
    draw = np.random.default_rng(11)
    skill = np.eye(1, 100) * edge
    found = [o.overfit(o.blocks_of(draw.normal(0, 1, (1000, 100)) + skill)).pbo for _ in range(25)]
    assert np.mean(found) == pytest.approx(pbo, abs=0.1)


@pytest.mark.parametrize("sharpe", [True, False])
def test_forced_overfitting_is_certain(sharpe: bool) -> None:
    """V6: columns without a mean over the whole sample: what one half gains the other loses."""
    noise = np.random.default_rng(3).normal(0, 1, (960, 30))
    assert o.overfit(o.blocks_of(noise - noise.mean(axis=0)), sharpe).pbo == 1.0


@given(st.lists(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), min_size=3, max_size=3), min_size=12, max_size=12))
@settings(max_examples=40, deadline=None)
def test_splits_are_those_of_the_definition(rows: list[list[float]]) -> None:
    """Each of them by itself, ties and columns that never vary included."""
    returns = np.array(rows)
    parts, expected = returns.reshape(6, 2, 3), []
    for inside in combinations(range(6), 3):
        here = parts[list(inside)].reshape(-1, 3).mean(axis=0)
        there = parts[[k for k in range(6) if k not in inside]].reshape(-1, 3).mean(axis=0)
        share = rankdata(there)[np.argmax(here)] / 4
        expected.append(np.log(share / (1 - share)))
    assert o.overfit(o.blocks_of(returns, 6), sharpe=False).logits == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("shape", "blocks"), [((100, 1), 4), ((100, 3), 5), ((3, 3), 4)])
def test_what_is_not_defined_is_refused(shape: tuple[int, int], blocks: int) -> None:
    with pytest.raises(ValueError, match="is not defined"):
        o.overfit(o.blocks_of(np.ones(shape), blocks))


@pytest.mark.parametrize(("trials", "years"), [(7, 1.9231), (10, 2.4794), (45, 4.9981), (46, 5.0363), (100, 6.4040), (1000, 10.5958)])
def test_least_history(trials: int, years: float) -> None:
    """V4: an annual Sharpe of 1."""
    assert o.least_backtest_years(trials, 1.0) == pytest.approx(years, abs=1e-4)


def test_effective_trials_of_copies_and_of_strangers() -> None:
    """Equal columns are one trial, independent ones nearly all."""
    draw = np.random.default_rng(0).normal(0, 1, (5000, 20))
    assert o.effective_trials(np.repeat(draw[:, :1], 20, axis=1)) == pytest.approx(1.0)
    assert o.effective_trials(draw) == pytest.approx(20, rel=0.02)
    assert o.effective_trials(np.zeros((10, 3))) == 0


def test_blocks_follow_the_dependence() -> None:
    """V8: 15.68 bars for AR(0.5), 1.47 for noise, within what one sample tells."""
    draw = np.random.default_rng(0).normal(0, 1, 2000)
    chained = draw.copy()
    for t in range(1, chained.size):
        chained[t] += 0.5 * chained[t - 1]
    assert o.block_length(draw) < 2.5
    assert 13 < o.block_length(chained) < 18
    assert o.block_length(np.zeros(100)) == 1.0


def test_superior_ability() -> None:
    """V7, within the tolerance that library versions need."""
    noise = np.random.default_rng(0).normal(0, 0.01, (1000, 50))
    zero = np.zeros(1000)
    assert o.superior(noise, zero, 1, block=10) == pytest.approx(0.270, abs=0.03)
    assert o.superior(noise, zero, 1) == pytest.approx(0.270, abs=0.03)
    noise[:, 7] += 0.0015
    assert o.superior(noise, zero, 1, block=10) == pytest.approx(0.002, abs=0.03)


@pytest.mark.slow
def test_superior_ability_is_rarely_seen_in_noise() -> None:
    """V7: 8 % of sets at 5 %, 13 % at 10 %, standard errors 2 and 3."""
    draw = np.random.default_rng(0)
    found = np.array([o.superior(draw.normal(0, 0.01, (500, 20)), np.zeros(500), 1, 500) for _ in range(100)])
    assert np.mean(found <= 0.05) < 0.15
    assert np.mean(found <= 0.10) < 0.22


def test_the_best_of_a_search_on_noise_is_not_superior() -> None:
    """One set in twenty at 5 %; the best 20 of the same trials alone would be called superior in half of the sets."""
    draw, all_, best = np.random.default_rng(3), [], []
    for _ in range(40):
        noise = draw.normal(0, 0.01, (800, 300))
        top = np.argsort(-noise.mean(axis=0))[:20]
        all_.append(o.superior_of_all(o.blocks_of(noise), 1, 400))
        best.append(o.superior_of_all(o.blocks_of(noise[:, top]), 1, 400))
    assert np.mean(np.array(all_) <= 0.05) < 0.15
    assert np.mean(np.array(best) <= 0.05) > 0.4


def test_an_edge_among_trials_of_other_sizes_is_superior() -> None:
    """Though others are larger and earn more by luck; one that never trades changes nothing."""
    returns = np.random.default_rng(1).normal(0, 0.01, (1600, 300))
    before = o.superior_of_all(o.blocks_of(returns), 1)
    returns[:, 7] = 0.1 * (returns[:, 7] + 0.0018)
    assert before > 0.1
    assert o.superior_of_all(o.blocks_of(returns), 1) < 0.02
    idle = np.column_stack([returns, np.zeros(1600)])
    assert o.superior_of_all(o.blocks_of(idle), 1) == o.superior_of_all(o.blocks_of(returns), 1)
    assert np.isnan(o.superior_of_all(o.blocks_of(np.zeros((160, 3))), 1))


def test_blocks_say_what_bars_say() -> None:
    """V7's noise, by sums over its blocks."""
    noise = np.random.default_rng(0).normal(0, 0.01, (1000, 50))
    assert o.superior_of_all(o.blocks_of(noise), 1) == pytest.approx(0.270, abs=0.1)
    noise[:, 7] += 0.0015
    assert o.superior_of_all(o.blocks_of(noise), 1) == pytest.approx(0.002, abs=0.03)


def test_a_history_summed_in_groups_has_nearly_the_same_answer() -> None:
    """Means stay; 6,000 bars are tested as 2,000."""
    returns = np.random.default_rng(0).normal(0.0001, 0.01, (6000, 5))
    short, block = o.pooled(returns), 30.0
    assert short.shape == (2000, 5)
    assert short.sum(axis=0) == pytest.approx(returns.sum(axis=0), abs=1e-12)
    whole = SPA(np.zeros(6000), -returns, block_size=30, reps=1000, seed=1)
    whole.compute()
    assert o.superior(returns, np.zeros(6000), 1, block=block / 3) == pytest.approx(float(whole.pvalues["consistent"]), abs=0.05)


def test_resampled_bars_keep_their_blocks() -> None:
    """Bars follow one another as often as a mean block of 10 says, the first follows the last, and each is drawn as often."""
    bars = 400
    drawn = np.concatenate(list(o.resampled(np.arange(bars, dtype=float), 1, draws=1000, block=10.0)))
    assert drawn.shape == (1000, bars)
    follows = (drawn[:, 1:] - drawn[:, :-1]) % bars == 1
    assert np.mean(follows) == pytest.approx(0.9, abs=0.005)
    assert np.ptp(np.bincount(drawn.astype(int).ravel(), minlength=bars)) < 800
    assert ((drawn[:, :-1] == bars - 1) & (drawn[:, 1:] == 0)).any()


def test_intervals_are_the_figures_of_resampled_histories() -> None:
    """As statistics has them, one history at a time."""
    r = np.random.default_rng(2).normal(0.001, 0.02, 300)
    drawn = np.concatenate(list(o.resampled(r, 3, 100)))
    curves = [s.curve(1.0, np.cumprod(1 + row)) for row in drawn]
    found = o.intervals(r, 365, 3, 100)
    for name, values in (
        ("sharpe", [s.sharpe(row, 365) for row in drawn]),
        ("cagr", [s.cagr(curve, 365) for curve in curves]),
        ("max_drawdown", [s.max_drawdown(curve) for curve in curves]),
    ):
        ends = np.quantile(values, (0.05, 0.95), method="nearest")
        assert (found[name].low, found[name].high) == pytest.approx(ends, rel=1e-9), name


def test_intervals_hold_the_figure_and_are_those_of_the_seed() -> None:
    r = np.random.default_rng(5).normal(0.0005, 0.01, 1500)
    found = o.intervals(r, 365, seed=1, draws=200)
    sharpe = float(np.mean(r) / np.std(r, ddof=1) * np.sqrt(365))
    assert found["sharpe"].low < sharpe < found["sharpe"].high
    assert found["max_drawdown"].high < 0
    assert found == o.intervals(r, 365, seed=1, draws=200) != o.intervals(r, 365, seed=2, draws=200)


@given(st.lists(st.floats(-0.2, 0.3), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_the_order_of_trades_moves_the_drawdown_between_its_bounds(trades: list[float]) -> None:
    """V8: the total stays; the deepest drawdown lies between the worst trade alone and all losses in a row."""
    found = o.shuffled_drawdowns(np.array(trades), seed=1, draws=50)
    losses = [r for r in trades if r < 0]
    deepest, least = np.prod([1 + r for r in losses]) - 1, min([*trades, 0.0])
    assert np.all(found >= deepest - 1e-12)
    assert np.all(found <= least + 1e-12)
    totals = np.prod(1 + np.concatenate(list(o.shuffled(np.array(trades), seed=1, draws=50))), axis=1)
    assert totals == pytest.approx(np.prod(1 + np.array(trades)), abs=1e-12, rel=1e-12)


def test_entries_at_random_times_keep_how_much_and_how_long_is_held() -> None:
    """A holding that knew the one good bar beats nearly all that did not; without a market all cost the same."""
    exposure, market = np.zeros(300), np.full(300, -0.001)
    exposure[100:110], market[100:110] = 1.0, 0.02
    drawn = o.random_entries(exposure, market, 0.0005, seed=1, draws=400)
    assert o.p_value(drawn, o.log_total(exposure, market, 0.0005)) < 0.05
    flat = o.random_entries(exposure, np.zeros(300), 0.0005, seed=1, draws=20)
    assert np.ptp(flat) < 0.0006
    assert o.log_total(np.array([2.0]), np.array([-0.6]), 0.0) == -np.inf


def test_each_arrangement_of_holdings_is_as_likely() -> None:
    """A long of two bars and a short of one among one flat bar: six arrangements, told apart by what each earns."""
    market = np.array([0.01, 0.03, 0.09, 0.27])
    totals = o.random_entries(np.array([1.0, 1.0, 0.0, -1.0]), market, 0.0, seed=1, draws=6000)
    places = [[1, 1, -1, 0], [1, 1, 0, -1], [0, 1, 1, -1], [-1, 1, 1, 0], [-1, 0, 1, 1], [0, -1, 1, 1]]
    expected = sorted(float(np.log1p(np.array(place) * market).sum()) for place in places)
    seen, counts = np.unique(np.round(totals, 9), return_counts=True)
    assert seen == pytest.approx(expected, abs=1e-8)
    assert np.ptp(counts) < 200


def test_a_p_value_is_never_zero() -> None:
    assert o.p_value(np.zeros(999), 1.0) == 0.001
    assert o.p_value(np.ones(999), 1.0) == 1.0
