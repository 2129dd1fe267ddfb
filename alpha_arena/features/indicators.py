"""Indicators over arrays: each is causal, has the length of its input and is NaN where not yet defined.

Smoothing is seeded as Wilder's book and TA-Lib seed it, standard deviations have ddof 0. They are computed here and held to TA-Lib by a
test, because TA-Lib's results depend on a process-wide setting (its unstable period), its RSI reads 0 instead of "undefined" after a NaN
and in a market that has not moved, and its running sums leave noise where a window is constant. A missing value restarts what is
smoothed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from alpha_arena.core.types import Floats
from alpha_arena.features.compiled import compiled


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
    state, count = 0.0, 0
    for t in range(values.size):
        value = values[t]
        if np.isnan(value):
            state, count = 0.0, 0
            continue
        count += 1
        state = state + value if count <= seed else decay * state + gain * value
        if count == seed:
            state *= seed_factor
        if count >= seed:
            out[t] = state
    return out


@compiled
def rolling_mean(values: Floats, period: int) -> Floats:
    """Mean of the last `period` values, the row's own included; exact where they are all equal."""
    out = np.full(values.size, np.nan)
    for t in range(period - 1, values.size):
        out[t] = values[t] + (values[t - period + 1 : t + 1] - values[t]).mean()
    return out


@compiled
def rolling_std(values: Floats, period: int) -> Floats:
    """Standard deviation (ddof 0) of the last `period` values; exactly 0 where they are all equal."""
    out = np.full(values.size, np.nan)
    for t in range(period - 1, values.size):
        out[t] = (values[t - period + 1 : t + 1] - values[t]).std()
    return out


@compiled
def rolling_max(values: Floats, period: int) -> Floats:
    """Largest of the last `period` values, NaN where one of them is."""
    out = np.full(values.size, np.nan)
    for t in range(period - 1, values.size):
        out[t] = values[t - period + 1 : t + 1].max()
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


def lagged(values: Floats, bars: int) -> Floats:
    """The value `bars` (at least 1) rows before, NaN in the first rows."""
    out = np.full(values.size, np.nan)
    out[bars:] = values[:-bars]
    return out


def rolling_min(values: Floats, period: int) -> Floats:
    """Smallest of the last `period` values, NaN where one of them is."""
    return -rolling_max(-values, period)


def ema(values: Floats, period: int) -> Floats:
    """Exponential moving average, alpha = 2 / (period + 1), seeded with the mean of the first `period` values."""
    alpha = 2 / (period + 1)
    return _recursive(values, period, 1 / period, 1 - alpha, alpha)


def wilder_mean(values: Floats, period: int) -> Floats:
    """Wilder's moving average (RMA), alpha = 1 / period, seeded with the mean of the first `period` values."""
    return _recursive(values, period, 1 / period, 1 - 1 / period, 1 / period)


def _wilder_sum(values: Floats, period: int) -> Floats:
    out = _recursive(values, period - 1, 1.0, 1 - 1 / period, 1.0)
    # the seed, a sum of period - 1 values, is no reading of its own
    out[np.isnan(lagged(out, 1))] = np.nan
    return out


def rsi(close: Floats, period: int) -> Floats:
    """Wilder's relative strength index, 0 to 100; first value in row `period`; undefined until the price has moved once."""
    change = close - lagged(close, 1)
    gain = wilder_mean(np.maximum(change, 0.0), period)
    loss = wilder_mean(np.maximum(-change, 0.0), period)
    return _ratio(100 * gain, gain + loss)


def true_range(high: Floats, low: Floats, close: Floats) -> Floats:
    """Largest of high - low and the distances of both from the last close, quote currency; undefined in the first row."""
    before = lagged(close, 1)
    return np.maximum(high, before) - np.minimum(low, before)


def atr(high: Floats, low: Floats, close: Floats, period: int) -> Floats:
    """Wilder's average true range, quote currency; first value in row `period`."""
    return wilder_mean(true_range(high, low, close), period)


def directional(high: Floats, low: Floats, close: Floats, period: int) -> tuple[Floats, Floats]:
    """Wilder's +DI and -DI, 0 to 100; first value in row `period`; undefined while the true range is 0 throughout."""
    up, down = high - lagged(high, 1), lagged(low, 1) - low
    missing = np.isnan(up + down)
    plus = np.where(missing, np.nan, np.where((up > down) & (up > 0), up, 0.0))
    minus = np.where(missing, np.nan, np.where((down > up) & (down > 0), down, 0.0))
    spread = _wilder_sum(true_range(high, low, close), period)
    return _ratio(100 * _wilder_sum(plus, period), spread), _ratio(100 * _wilder_sum(minus, period), spread)


def adx(high: Floats, low: Floats, close: Floats, period: int) -> Floats:
    """Wilder's average directional index, 0 to 100; first value in row 2 * period - 1."""
    plus, minus = directional(high, low, close, period)
    known = np.isfinite(plus)
    direction = np.where(known, 0.0, np.nan)
    moving = known & (plus + minus > 0)
    direction[moving] = 100 * np.abs(plus - minus)[moving] / (plus + minus)[moving]
    return wilder_mean(direction, period)


def bollinger(close: Floats, period: int, deviations: float) -> Bands:
    """Mean of the last `period` closes and the lines `deviations` standard deviations (ddof 0) off it."""
    middle, reach = rolling_mean(close, period), deviations * rolling_std(close, period)
    return Bands(middle - reach, middle, middle + reach)


def rate_of_change(close: Floats, period: int) -> Floats:
    """close / close[period bars ago] - 1, a fraction."""
    growth: Floats = close / lagged(close, period)
    return growth - 1


def z_score(close: Floats, mean_period: int, std_period: int) -> Floats:
    """Distance of the close from its mean in standard deviations (ddof 0), undefined where the deviation is 0."""
    return _ratio(close - rolling_mean(close, mean_period), rolling_std(close, std_period))


def efficiency_ratio(close: Floats, period: int) -> Floats:
    """Kaufman's efficiency: |net move| / path length over `period` bars, 0 to 1; 1 / sqrt(period) on a random walk, undefined at rest."""
    step = np.abs(close - lagged(close, 1))
    return _ratio(np.abs(close - lagged(close, period)), period * rolling_mean(step, period))


def log_slope(values: Floats, period: int) -> Floats:
    """Least-squares slope per bar of ln(value) over the last `period` bars; undefined where a value of them is not positive."""
    logs = np.log(np.where(values > 0, values, np.nan))
    weights = np.arange(period) - (period - 1) / 2
    out = np.full(values.size, np.nan)
    if values.size >= period:
        out[period - 1 :] = np.lib.stride_tricks.sliding_window_view(logs, period) @ (weights / (weights @ weights))
    return out


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
