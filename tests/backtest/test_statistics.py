"""Published vectors (specs: quant §2.2) and laws of the figures."""

from __future__ import annotations

from math import inf, isnan, nan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.backtest import statistics as s

R = np.array([0.01, -0.02, 0.03, 0.005, -0.01, 0.02, -0.015, 0.01, 0, -0.005])
CURVE = s.curve(100.0, 100 * np.cumprod(1 + R))
TRIALS = np.array([0.05, -0.02, 0.1, 0.03, -0.08, 0.159448])
VECTORS = [
    ("mean", s.mean(R), 0.0025),
    ("deviation", s.deviation(R), 0.0156790731),
    ("bar_sharpe", s.bar_sharpe(R), 0.1594482010),
    ("sharpe", s.sharpe(R, 365), 3.0462536035),
    ("downside", s.downside(R), 0.0086602540),
    ("sortino", s.sortino(R, 365), 5.5151307026),
    ("total", CURVE[-1] / CURVE[0] - 1, 0.0241575887),
    ("max_drawdown", s.max_drawdown(CURVE), -0.02),
    ("cagr", s.cagr(CURVE, 365), 1.3899440681),
    ("calmar", s.calmar(CURVE, 365), 69.4972034040),
    ("profit_factor", s.profit_factor(R), 1.5),
    ("win_rate", s.win_rate(R[R != 0]), 0.5555555556),
    ("volatility", s.volatility(R, 365), 0.2995482710),
    ("skewness", s.skewness(R), 0.2392906026),
    ("kurtosis", s.kurtosis(R), 2.1444987073),
    ("psr", s.probabilistic_sharpe(s.bar_sharpe(R), 10, s.skewness(R), s.kurtosis(R)), 0.6864830377),
    ("ulcer", s.ulcer(CURVE), 0.0093837383),
    ("value_at_risk", s.value_at_risk(R), -0.01775),
    ("expected_shortfall", s.expected_shortfall(R), -0.02),
    ("dsr", s.deflated_sharpe(s.bar_sharpe(R), 10, s.skewness(R), s.kurtosis(R), s.deviation(TRIALS), 6), 0.5593794847),
    ("lo", s.lo_factor(0.2 ** np.arange(1, 12), 12), 2.87884869),
    ("wrong year", s.sharpe(R, 252), 2.5311617),
    ("expected_best 10", s.expected_best(10), 1.574598),
    ("expected_best 45", s.expected_best(45), 2.235640),
    ("expected_best 100", s.expected_best(100), 2.530603),
    ("expected_best 1000", s.expected_best(1000), 3.255122),
    ("best by luck of 100", sqrt(0.5 / 250) * s.expected_best(100), 0.113172),
    ("best by luck of 46", sqrt(0.5 / 250) * s.expected_best(46), 0.100362),
    ("days of another year", s.deflated_sharpe(2.5 / sqrt(252), 1250, -3, 10, sqrt(0.5 / 252), 100), 0.899672),
]


@pytest.mark.parametrize(("value", "expected"), [v[1:] for v in VECTORS], ids=[v[0] for v in VECTORS])
def test_vector(value: float, expected: float) -> None:
    """V5, and V1 to V4 where they use the same formulas."""
    assert value == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("trials", "skew", "kurt", "expected"),
    [
        (100, -3, 10, 0.900397),
        (46, -3, 10, 0.950502),
        (88, 0, 3, 0.950491),
        (10, -3, 10, 0.993880),
        (1000, -3, 10, 0.639915),
        (100, 0, 3, 0.942771),
    ],
)
def test_deflated_sharpe_of_the_paper(trials: int, skew: float, kurt: float, expected: float) -> None:
    """V1: annual Sharpe 2.5 over 1250 days of 250 a year, variance of the trials 1/2 a year."""
    assert s.deflated_sharpe(2.5 / sqrt(250), 1250, skew, kurt, sqrt(0.5 / 250), trials) == pytest.approx(expected, abs=1e-6)


def test_probabilistic_sharpe_of_the_paper() -> None:
    """V2."""
    psr = [s.probabilistic_sharpe(0.458, 24, *m, b) for b in (0, 1 / sqrt(12)) for m in ((-2.448, 10.164), (0, 3))]
    assert psr == pytest.approx([0.913361, 0.981675, 0.692674, 0.780106], abs=1e-6)
    assert s.least_track_record(0.458, -2.448, 10.164) == pytest.approx(34.5575, abs=1e-4)


def test_a_sharpe_without_error_is_certain() -> None:
    """Moments of two values can leave no error, or one below 0 by rounding; nothing is divided by it."""
    assert s.sharpe_error(1.0, 2.0, 5.0 - 1e-15) == 0.0
    assert [s.probabilistic_sharpe(1.0, 10, 2.0, 5.0 - 1e-15, b) for b in (0.0, 2.0)] == [1.0, 0.0]


def test_track_record_of_the_paper() -> None:
    """V3; where the benchmark is not exceeded no record is long enough."""
    daily = s.least_track_record(2 / sqrt(252), 0, 3, 1 / sqrt(252))
    weekly = s.least_track_record(2 / sqrt(52), 0, 3, 1 / sqrt(52))
    monthly = s.least_track_record(2 / sqrt(12), 0, 3, 1 / sqrt(12))
    skewed = s.least_track_record(2 / sqrt(12), -0.72, 5.78, 1 / sqrt(12))
    assert [daily, weekly, monthly, skewed] == pytest.approx([688.2080, 147.0993, 38.8776, 59.8951], abs=1e-4)
    assert s.least_track_record(0.1, 0, 3, 0.1) == inf


def test_a_loss_in_the_first_bar_is_a_drawdown() -> None:
    """V5: the initial capital is the first peak."""
    assert s.max_drawdown(s.curve(1.0, np.array([0.9, 0.945]))) == pytest.approx(-0.1, abs=1e-12)


@pytest.mark.parametrize("r", [np.zeros(5), np.full(7, 0.01), np.array([0.1]), np.array([])], ids=["flat", "steady", "one", "none"])
def test_undefined_is_nan(r: np.ndarray) -> None:
    """No 0 and no infinity where nothing varies or too little is known."""
    assert isnan(s.sharpe(r, 365))
    assert isnan(s.sortino(r, 365))


def test_trades_without_losses_or_at_all() -> None:
    """Profit factor is infinite without losses; a trade at exactly 0 counts as a trade."""
    assert s.profit_factor(np.array([1.0, 0.0])) == inf
    assert isnan(s.profit_factor(np.zeros(1)))
    assert isnan(s.win_rate(np.array([])))
    assert s.win_rate(np.array([1.0, 0.0])) == 0.5


def test_turnover_counts_each_way() -> None:
    """Buying and selling 100 % of equity once in half a year is four times a year."""
    assert s.turnover(2000.0, np.full(4380, 1000.0), 8760) == pytest.approx(4)


def test_ruin() -> None:
    """Equity at 0 or below: growth is -100 % or undefined, returns stay finite."""
    assert s.cagr(np.array([100.0, 0.0]), 365) == -1
    assert isnan(s.cagr(np.array([100.0, -5.0]), 365))
    assert s.cagr(np.array([100.0, 200.0]), 525_600) == inf
    assert s.returns(np.array([100.0, 0.0, 0.0])).tolist() == [-1, 0]


def test_longest_drawdown() -> None:
    """In bars, and 0 where equity only rises."""
    assert s.longest_drawdown(np.array([1, 2, 1.5, 1.9, 2, 1.9, 3, 2, 2, 2.0])) == 3
    assert s.longest_drawdown(np.array([1, 2.0])) == 0


moves = st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=40).map(lambda x: np.array(x))


@given(moves, st.floats(0.01, 1000))
def test_ratios_do_not_depend_on_the_capital(r: np.ndarray, scale: float) -> None:
    """Money scales, ratios stay."""
    small, large = s.curve(1.0, np.cumprod(1 + r)), s.curve(scale, scale * np.cumprod(1 + r))
    for figure in (s.max_drawdown, s.ulcer, lambda c: s.cagr(c, 365)):
        assert figure(large) == pytest.approx(figure(small), rel=1e-6, abs=1e-9)


@given(moves, st.floats(0, 0.1))
def test_more_return_cannot_deepen_the_drawdown(r: np.ndarray, gift: float) -> None:
    """Raising every return."""
    poor, rich = s.curve(1.0, np.cumprod(1 + r)), s.curve(1.0, np.cumprod(1 + r + gift))
    assert s.max_drawdown(rich) >= s.max_drawdown(poor) - 1e-12
    assert s.max_drawdown(poor) <= 0


@given(moves)
def test_turned_returns_turn_the_sharpe(r: np.ndarray) -> None:
    """Mirrored; NaN stays NaN."""
    assert s.sharpe(-r, 365) == pytest.approx(-s.sharpe(r, 365), nan_ok=True)


@given(st.lists(st.floats(-100, 100), max_size=30).map(lambda x: np.array(x)))
def test_profit_factor_mirrors(pnl: np.ndarray) -> None:
    """Winners and losers exchanged: the inverse."""
    factor = s.profit_factor(pnl)
    inverse = 0.0 if factor == inf else (inf if factor == 0 else 1 / factor)
    assert s.profit_factor(-pnl) == pytest.approx(inverse, rel=1e-9, nan_ok=True)


def test_ratio_of_nothing() -> None:
    """NaN in, NaN out; nothing is divided by 0."""
    assert isnan(s.ratio(1.0, 0.0))
    assert isnan(s.ratio(1.0, nan))
