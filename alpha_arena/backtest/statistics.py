"""Figures of a backtest (specs: quant §2.1).

Returns are simple, net, one a bar; the risk-free rate is 0; a year has 365 days. `ppy` is periods per year (core.timeframes.bars_per_year).
Equity starts with the initial capital, so that a loss in the first bar counts. NaN: not defined (too few values, nothing that varies).
"""

from __future__ import annotations

from math import e, inf, nan, sqrt
from statistics import NormalDist

import numpy as np

from alpha_arena.core.types import Floats

EULER_GAMMA = 0.5772156649015329
NORMAL = NormalDist()


def ratio(part: float, whole: float) -> float:
    """part / whole, NaN where whole is 0 or either is NaN."""
    return part / whole if whole else nan


def curve(initial: float, equity: Floats) -> Floats:
    """Equity with the initial capital before its first bar; shape [T + 1]."""
    return np.concatenate([[initial], equity])


def returns(curve: Floats) -> Floats:
    """Simple return of each bar; 0 after equity 0; shape [T]."""
    before = curve[:-1]
    return np.divide(np.diff(curve), before, out=np.zeros(before.size), where=before != 0)


def deviation(r: Floats) -> float:
    """Standard deviation, ddof 1; 0 for equal values, NaN for fewer than two."""
    if r.size < 2:
        return nan
    return float(np.std(r, ddof=1)) if np.ptp(r) > 0 else 0.0


def bar_sharpe(r: Floats) -> float:
    """Mean over standard deviation, per bar."""
    return ratio(float(np.mean(r)), deviation(r)) if r.size > 1 else nan


def sharpe(r: Floats, ppy: float) -> float:
    """Sharpe ratio, annualised."""
    return bar_sharpe(r) * sqrt(ppy)


def downside(r: Floats) -> float:
    """Root of the mean squared loss over all bars, gains counting as 0."""
    return sqrt(float(np.mean(np.minimum(r, 0) ** 2))) if r.size > 1 else nan


def sortino(r: Floats, ppy: float) -> float:
    """Sortino ratio, annualised."""
    return ratio(float(np.mean(r)), downside(r)) * sqrt(ppy) if r.size > 1 else nan


def volatility(r: Floats, ppy: float) -> float:
    """Standard deviation of returns, annualised."""
    return deviation(r) * sqrt(ppy)


def drawdowns(curve: Floats) -> Floats:
    """Equity over its highest so far, less 1: 0 at a peak, negative below it; same shape."""
    return curve / np.maximum.accumulate(curve) - 1


def max_drawdown(curve: Floats) -> float:
    """The deepest drawdown, 0 or negative."""
    return float(np.min(drawdowns(curve)))


def longest_drawdown(curve: Floats) -> int:
    """The most bars in a row that closed below the peak."""
    below = np.concatenate([[False], drawdowns(curve) < 0, [False]])
    edges = np.flatnonzero(np.diff(below))
    return int(np.max(edges[1::2] - edges[::2], initial=0))


def ulcer(curve: Floats) -> float:
    """Root of the mean squared drawdown over the bars (the start itself is not one)."""
    return sqrt(float(np.mean(drawdowns(curve)[1:] ** 2))) if curve.size > 1 else nan


def cagr(curve: Floats, ppy: float) -> float:
    """Compound growth a year; NaN without a bar or where equity ends below 0, infinite where a few bars' gain compounds beyond a float."""
    growth = curve[-1] / curve[0]
    if curve.size < 2 or growth < 0:
        return nan
    with np.errstate(over="ignore"):
        return float(growth ** (ppy / (curve.size - 1)) - 1)


def calmar(curve: Floats, ppy: float) -> float:
    """CAGR over the size of the deepest drawdown."""
    return ratio(cagr(curve, ppy), abs(max_drawdown(curve)))


def value_at_risk(r: Floats, share: float = 0.05) -> float:
    """The return that a share of all bars falls below, linearly interpolated."""
    return float(np.quantile(r, share)) if r.size else nan


def expected_shortfall(r: Floats, share: float = 0.05) -> float:
    """Mean of the returns at or below the value at risk."""
    return float(np.mean(r[r <= value_at_risk(r, share)])) if r.size else nan


def skewness(r: Floats) -> float:
    """Third standardised moment of the population."""
    return _moment(r, 3)


def kurtosis(r: Floats) -> float:
    """Fourth standardised moment of the population, 3 for the normal."""
    return _moment(r, 4)


def _moment(r: Floats, order: int) -> float:
    spread = float(np.std(r)) ** order if r.size > 1 and np.ptp(r) > 0 else 0.0
    return ratio(float(np.mean((r - np.mean(r)) ** order)), spread) if spread else nan


def profit_factor(pnl: Floats) -> float:
    """Won over lost, on closed trades net of fees and funding; infinite without losses, NaN without trades that won or lost."""
    won, lost = float(pnl[pnl > 0].sum()), float(-pnl[pnl < 0].sum())
    return won / lost if lost else (inf if won else nan)


def win_rate(pnl: Floats) -> float:
    """Share of closed trades that won; one that ended at exactly 0 counts as a trade, not as a win."""
    return float(np.mean(pnl > 0)) if pnl.size else nan


def mean(values: Floats) -> float:
    """Arithmetic mean, NaN of nothing."""
    return float(np.mean(values)) if values.size else nan


def turnover(notional: float, equity: Floats, ppy: float) -> float:
    """Notional traded (each way counts) over mean equity, a year."""
    return ratio(ratio(notional, mean(equity)), equity.size / ppy)


def lo_factor(autocorrelations: Floats, q: int) -> float:
    """What a per-bar Sharpe is multiplied with to be one of q bars, where returns are autocorrelated (Lo 2002).

    Args:
        autocorrelations: of lags 1 to q - 1.
    """
    weights = q - np.arange(1, q)
    return q / sqrt(q + 2 * float(weights @ autocorrelations))


def sharpe_error(sr: float, skew: float, kurt: float) -> float:
    """Standard error of a per-bar Sharpe, times the root of the number of bars less 1; 0 for some returns of only two values."""
    variance = 1 - skew * sr + (kurt - 1) / 4 * sr**2
    return sqrt(variance) if not variance < 0 else 0.0


def probabilistic_sharpe(sr: float, bars: int, skew: float, kurt: float, benchmark: float = 0.0) -> float:
    """Probability that the true per-bar Sharpe exceeds a benchmark (Bailey and Lopez de Prado 2012)."""
    error = sharpe_error(sr, skew, kurt)
    if not error:
        return float(sr > benchmark)
    return NORMAL.cdf((sr - benchmark) * sqrt(bars - 1) / error)


def expected_best(trials: float) -> float:
    """Expected highest of so many independent standard normal draws (correlated ones are worth a fraction); 0 for fewer than two."""
    if trials < 2:
        return 0.0
    return (1 - EULER_GAMMA) * NORMAL.inv_cdf(1 - 1 / trials) + EULER_GAMMA * NORMAL.inv_cdf(1 - 1 / (trials * e))


def deflated_sharpe(sr: float, bars: int, skew: float, kurt: float, trial_deviation: float, trials: float) -> float:
    """Probabilistic Sharpe against what the best of all trials would show by luck (Bailey and Lopez de Prado 2014).

    Args:
        trial_deviation: standard deviation (ddof 1) of the trials' per-bar Sharpes.
    """
    return probabilistic_sharpe(sr, bars, skew, kurt, trial_deviation * expected_best(trials))


def least_track_record(sr: float, skew: float, kurt: float, benchmark: float = 0.0, confidence: float = 0.95) -> float:
    """Bars until the per-bar Sharpe exceeds the benchmark with this confidence; infinite where it does not exceed it."""
    if not sr > benchmark:
        return inf
    return 1 + (sharpe_error(sr, skew, kurt) * NORMAL.inv_cdf(confidence) / (sr - benchmark)) ** 2
