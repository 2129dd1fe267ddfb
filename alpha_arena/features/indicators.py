"""Indicators over arrays: each is causal, has the length of its input and is NaN where not yet defined.

Smoothing is seeded as Wilder's book and TA-Lib seed it, standard deviations have ddof 0. They are computed here and held to TA-Lib by a
test, because TA-Lib's results depend on a process-wide setting (its unstable period), its RSI reads 0 instead of "undefined" after a NaN
and in a market that has not moved, and its running sums leave noise where a window is constant. A missing value restarts what is
smoothed.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np

from alpha_arena.core.types import Floats
from alpha_arena.features.compiled import compiled
from alpha_arena.features.shared import remembered

STRIDE = 4


class Bands(NamedTuple):
    """Bollinger bands, prices in quote currency."""

    lower: Floats
    middle: Floats
    upper: Floats

    @property
    def width(self) -> Floats:
        """(upper - lower) / middle, a fraction of price."""
        return (self.upper - self.lower) / self.middle


@compiled
def _recursive(values: Floats, seed: int, seed_factor: float, decay: float, gain: float) -> Floats:
    out = np.full(values.size, np.nan)
    # in strides from the seed on: a row waits for the state before its stride, not for its neighbour's, and the processor works ahead
    powers = decay ** np.arange(1, STRIDE + 1)
    start, later, step, count = 0.0, 0.0, 0, 0
    for t in range(values.size):
        value = values[t]
        if np.isnan(value):
            start, count = 0.0, 0
        elif count < seed:
            count, start = count + 1, start + value
            if count == seed:
                start, later, step = start * seed_factor, 0.0, 0
                out[t] = start
        else:
            later = decay * later + gain * value
            out[t] = powers[step] * start + later
            step += 1
            if step == STRIDE:
                start, later, step = out[t], 0.0, 0
    return out


# A window is the end of one block of `period` rows and the beginning of the next. What is gathered backwards over the one and forwards
# over the other makes it whole: two steps a row however long the window, and nothing has to be taken off again, so that what has left
# leaves no noise. The pivot, the younger block's first value, lies in each of that block's windows: equal values differ from it by 0.


@remembered
@compiled
def rolling_mean(values: Floats, period: int) -> Floats:
    """Mean of the last `period` values, the row's own included; exact where they are all equal."""
    out, sums = np.full(values.size, np.nan), np.zeros(period + 1)
    for block in range(0, values.size, period):
        pivot = values[block]
        for back in range(1, period if block else 1):
            sums[period - back] = sums[period - back + 1] + (values[block - back] - pivot)
        total = 0.0
        for t in range(block, min(block + period, values.size)):
            total += values[t] - pivot
            if t >= period - 1:
                out[t] = pivot + (total + sums[t - block + 1]) / period
    return out


@remembered
@compiled
def rolling_std(values: Floats, period: int) -> Floats:
    """Standard deviation (ddof 0) of the last `period` values; exactly 0 where they are all equal."""
    out, sums, squares = np.full(values.size, np.nan), np.zeros(period + 1), np.zeros(period + 1)
    for block in range(0, values.size, period):
        pivot = values[block]
        for back in range(1, period if block else 1):
            off = values[block - back] - pivot
            sums[period - back] = sums[period - back + 1] + off
            squares[period - back] = squares[period - back + 1] + off * off
        total = square = 0.0
        for t in range(block, min(block + period, values.size)):
            off = values[t] - pivot
            total, square = total + off, square + off * off
            if t >= period - 1:
                mean = (total + sums[t - block + 1]) / period
                out[t] = sqrt(max((square + squares[t - block + 1]) / period - mean * mean, 0.0))
    return out


@compiled
def _larger(one: float, other: float) -> float:
    return one if one >= other or np.isnan(one) else other


@remembered
@compiled
def rolling_max(values: Floats, period: int) -> Floats:
    """Largest of the last `period` values, NaN where one of them is."""
    out, before = np.full(values.size, np.nan), np.full(period + 1, -np.inf)
    for block in range(0, values.size, period):
        for back in range(1, period if block else 1):
            before[period - back] = _larger(values[block - back], before[period - back + 1])
        highest = -np.inf
        for t in range(block, min(block + period, values.size)):
            highest = _larger(values[t], highest)
            if t >= period - 1:
                out[t] = _larger(highest, before[t - block + 1])
    return out


@compiled
def _sorted_share(values: Floats, window: int, minimum: int) -> Floats:
    out = np.full(values.size, np.nan)
    ordered = np.empty(window)
    first = count = 0
    for t in range(values.size):
        value = values[t]
        if np.isnan(value):
            first, count = t + 1, 0
            continue
        if count == window:
            at = np.searchsorted(ordered[:count], values[first])
            ordered[at : count - 1] = ordered[at + 1 : count].copy()
            first, count = first + 1, count - 1
        at = np.searchsorted(ordered[:count], value, side="right")
        ordered[at + 1 : count + 1] = ordered[at:count].copy()
        ordered[at] = value
        count += 1
        if count >= minimum:
            out[t] = (at + 1) / count
    return out


@remembered
def lagged(values: Floats, bars: int) -> Floats:
    """The value `bars` (at least 1) rows before, NaN in the first rows."""
    out = np.full(values.size, np.nan)
    out[bars:] = values[:-bars]
    return out


@remembered
def rolling_min(values: Floats, period: int) -> Floats:
    """Smallest of the last `period` values, NaN where one of them is."""
    return -rolling_max(-values, period)


@remembered
def ema(values: Floats, period: int) -> Floats:
    """Exponential moving average, alpha = 2 / (period + 1), seeded with the mean of the first `period` values."""
    alpha = 2 / (period + 1)
    return _recursive(values, period, 1 / period, 1 - alpha, alpha)


@remembered
def wilder_mean(values: Floats, period: int) -> Floats:
    """Wilder's moving average (RMA), alpha = 1 / period, seeded with the mean of the first `period` values."""
    return _recursive(values, period, 1 / period, 1 - 1 / period, 1 / period)


def _wilder_sum(values: Floats, period: int) -> Floats:
    out = _recursive(values, period - 1, 1.0, 1 - 1 / period, 1.0)
    # the seed, a sum of period - 1 values, is no reading of its own
    out[np.isnan(lagged(out, 1))] = np.nan
    return out


@compiled
def _moves(values: Floats) -> tuple[Floats, Floats]:
    up, down = np.full(values.size, np.nan), np.full(values.size, np.nan)
    for t in range(1, values.size):
        change = values[t] - values[t - 1]
        if not np.isnan(change):
            up[t], down[t] = max(change, 0.0), max(-change, 0.0)
    return up, down


@compiled
def _part(one: Floats, other: Floats) -> Floats:
    out = np.full(one.size, np.nan)
    for t in range(one.size):
        whole = one[t] + other[t]
        if whole > 0:
            out[t] = 100 * one[t] / whole
    return out


@remembered
def rsi(close: Floats, period: int) -> Floats:
    """Wilder's relative strength index, 0 to 100; first value in row `period`; undefined until the price has moved once."""
    up, down = _moves(close)
    return _part(wilder_mean(up, period), wilder_mean(down, period))


@remembered
@compiled
def true_range(high: Floats, low: Floats, close: Floats) -> Floats:
    """Largest of high - low and the distances of both from the last close, quote currency; undefined in the first row."""
    out = np.full(close.size, np.nan)
    for t in range(1, close.size):
        before = close[t - 1]
        if not np.isnan(high[t] + low[t] + before):
            out[t] = max(high[t], before) - min(low[t], before)
    return out


@remembered
def atr(high: Floats, low: Floats, close: Floats, period: int) -> Floats:
    """Wilder's average true range, quote currency; first value in row `period`."""
    return wilder_mean(true_range(high, low, close), period)


@remembered
def directional(high: Floats, low: Floats, close: Floats, period: int) -> tuple[Floats, Floats]:
    """Wilder's +DI and -DI, 0 to 100; first value in row `period`; undefined while the true range is 0 throughout."""
    up, down = high - lagged(high, 1), lagged(low, 1) - low
    missing = np.isnan(up + down)
    plus = np.where(missing, np.nan, np.where((up > down) & (up > 0), up, 0.0))
    minus = np.where(missing, np.nan, np.where((down > up) & (down > 0), down, 0.0))
    spread = _wilder_sum(true_range(high, low, close), period)
    return _ratio(100 * _wilder_sum(plus, period), spread), _ratio(100 * _wilder_sum(minus, period), spread)


@remembered
def adx(high: Floats, low: Floats, close: Floats, period: int) -> Floats:
    """Wilder's average directional index, 0 to 100; first value in row 2 * period - 1."""
    plus, minus = directional(high, low, close, period)
    known = np.isfinite(plus)
    direction = np.where(known, 0.0, np.nan)
    moving = known & (plus + minus > 0)
    direction[moving] = 100 * np.abs(plus - minus)[moving] / (plus + minus)[moving]
    return wilder_mean(direction, period)


@remembered
def bollinger(close: Floats, period: int, deviations: float) -> Bands:
    """Mean of the last `period` closes and the lines `deviations` standard deviations (ddof 0) off it."""
    middle, reach = rolling_mean(close, period), deviations * rolling_std(close, period)
    return Bands(middle - reach, middle, middle + reach)


@remembered
def rate_of_change(close: Floats, period: int) -> Floats:
    """close / close[period bars ago] - 1, a fraction."""
    growth: Floats = close / lagged(close, period)
    return growth - 1


@remembered
def z_score(close: Floats, mean_period: int, std_period: int) -> Floats:
    """Distance of the close from its mean in standard deviations (ddof 0), undefined where the deviation is 0."""
    return _ratio(close - rolling_mean(close, mean_period), rolling_std(close, std_period))


@remembered
def efficiency_ratio(close: Floats, period: int) -> Floats:
    """Kaufman's efficiency: |net move| / path length over `period` bars, 0 to 1; 1 / sqrt(period) on a random walk, undefined at rest."""
    step = np.abs(close - lagged(close, 1))
    return _ratio(np.abs(close - lagged(close, period)), period * rolling_mean(step, period))


@remembered
def log_slope(values: Floats, period: int) -> Floats:
    """Least-squares slope per bar of ln(value) over the last `period` bars; undefined where a value of them is not positive."""
    logs = np.log(np.where(values > 0, values, np.nan))
    weights = np.arange(period) - (period - 1) / 2
    out = np.full(values.size, np.nan)
    if values.size >= period:
        out[period - 1 :] = np.lib.stride_tricks.sliding_window_view(logs, period) @ (weights / (weights @ weights))
    return out


@remembered
def percentile_rank(values: Floats, window: int, minimum: int) -> Floats:
    """Share of the last `window` values that are at most the row's own, the row included, 0 to 1.

    While fewer than `window` are known, of those there are, from `minimum` on.
    """
    return _sorted_share(values, window, minimum)


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    out = np.full(numerator.size, np.nan)
    np.divide(numerator, denominator, out=out, where=denominator > 0)
    return out


__all__ = [
    "Bands",
    "adx",
    "atr",
    "bollinger",
    "directional",
    "efficiency_ratio",
    "ema",
    "lagged",
    "log_slope",
    "percentile_rank",
    "rate_of_change",
    "rolling_max",
    "rolling_mean",
    "rolling_min",
    "rolling_std",
    "rsi",
    "true_range",
    "wilder_mean",
    "z_score",
]
