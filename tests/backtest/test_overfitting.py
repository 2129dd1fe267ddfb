"""Published vectors and laws of the figures that ask whether a result is luck (specs: quant §2.2)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_arena.backtest import overfitting as o

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


def test_over_many_sets_of_noise_the_best_is_in_the_lower_half_half_of_the_time() -> None:
    """V6: one set of noise proves nothing."""
    draw = np.random.default_rng(7)
    assert 0.42 < np.mean([o.overfit(o.blocks_of(draw.normal(0, 1, (400, 20)), 8)).pbo for _ in range(40)]) < 0.62


def test_forced_overfitting_is_certain() -> None:
    """V6: columns without a mean over the whole sample: what one half gains the other loses."""
    noise = np.random.default_rng(3).normal(0, 1, (960, 30))
    assert o.overfit(o.blocks_of(noise - noise.mean(axis=0)), sharpe=False).pbo == 1.0


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
    """V8: AR(0.5) needs long blocks, noise short ones."""
    draw = np.random.default_rng(0).normal(0, 1, 2000)
    chained = draw.copy()
    for t in range(1, chained.size):
        chained[t] += 0.5 * chained[t - 1]
    assert o.block_length(draw) < 4
    assert 8 < o.block_length(chained) < 30
    assert o.block_length(np.zeros(100)) == 1.0


def test_superior_ability() -> None:
    """V7, within the tolerance that library versions need."""
    noise = np.random.default_rng(0).normal(0, 0.01, (1000, 50))
    zero = np.zeros(1000)
    assert o.superior(noise, zero, 1) == pytest.approx(0.27, abs=0.06)
    noise[:, 7] += 0.0015
    assert o.superior(noise, zero, 1) < 0.02


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


def test_entries_at_random_times_keep_how_much_and_how_long_is_held() -> None:
    """A holding that knew the one good bar beats nearly all that did not; without a market all cost the same."""
    exposure, market = np.zeros(300), np.full(300, -0.001)
    exposure[100:110], market[100:110] = 1.0, 0.02
    drawn = o.random_entries(exposure, market, 0.0005, seed=1, draws=400)
    assert o.p_value(drawn, o.log_total(exposure, market, 0.0005)) < 0.05
    flat = o.random_entries(exposure, np.zeros(300), 0.0005, seed=1, draws=20)
    assert np.ptp(flat) < 0.0006
    assert o.log_total(np.array([2.0]), np.array([-0.6]), 0.0) == -np.inf


def test_a_p_value_is_never_zero() -> None:
    assert o.p_value(np.zeros(999), 1.0) == 0.001
    assert o.p_value(np.ones(999), 1.0) == 1.0
