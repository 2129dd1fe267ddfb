"""Indicators against the vectors of their definitions, against TA-Lib, and in markets that stand still or have holes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import talib
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_arena.core.types import Floats
from alpha_arena.features.compiled import compiled
from alpha_arena.features.indicators import (
    adx,
    atr,
    bollinger,
    directional,
    efficiency_ratio,
    ema,
    lagged,
    log_slope,
    percentile_rank,
    rate_of_change,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_std,
    rsi,
    z_score,
)

T = np.arange(200.0)
CLOSE = 100 + 10 * np.sin(T / 9) + 0.1 * T + 3 * np.cos(T / 2.3)
OPEN = np.r_[CLOSE[0], CLOSE[:-1]]
HIGH = np.maximum(OPEN, CLOSE) + 1 + 0.5 * np.sin(T)
LOW = np.minimum(OPEN, CLOSE) - 1 - 0.5 * np.cos(T)
VOLUME = 1000 + 200 * np.sin(T / 5)

VECTORS = {
    "adx": (adx(HIGH, LOW, CLOSE, 14), {27: 28.375520, 50: 29.740909, 100: 41.180603, 199: 39.727258}),
    "plus_di": (directional(HIGH, LOW, CLOSE, 14)[0], {100: 13.371836}),
    "minus_di": (directional(HIGH, LOW, CLOSE, 14)[1], {100: 21.324055}),
    "atr": (atr(HIGH, LOW, CLOSE, 14), {14: 2.914298, 50: 2.708042, 100: 2.998249, 199: 2.906874}),
    "bb_width": (bollinger(CLOSE, 20, 2.0).width, {19: 0.15014824, 50: 0.09362806, 100: 0.18675799, 199: 0.13715999}),
    "efficiency_20": (efficiency_ratio(CLOSE, 20), {20: 0.25346337, 50: 0.45044248, 100: 0.40125430, 199: 0.26947375}),
    "efficiency_10": (efficiency_ratio(CLOSE, 10), {20: 0.09705453, 50: 0.14041534, 100: 0.11527808, 199: 0.93251322}),
    "volume_slope": (log_slope(VOLUME, 20), {19: -0.00830205, 50: -0.00624847, 100: 0.01970212, 199: 0.02581094}),
    "rsi": (rsi(CLOSE, 14), {14: 97.572559, 50: 35.916125, 100: 42.098863, 199: 37.494056}),
    "ema_20": (ema(CLOSE, 20), {19: 108.329346, 50: 97.258530, 100: 103.747331, 199: 122.499441}),
}
FIRST = {"adx": 27, "plus_di": 14, "minus_di": 14, "atr": 14, "bb_width": 19, "efficiency_20": 20, "efficiency_10": 10, "volume_slope": 19}
FIRST |= {"rsi": 14, "ema_20": 19}


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_of_the_definitions_hold(name: str) -> None:
    values, expected = VECTORS[name]
    assert {t: pytest.approx(value, abs=1e-6) for t, value in expected.items()} == {t: values[t] for t in expected}
    assert int(np.flatnonzero(np.isfinite(values))[0]) == FIRST[name]


def same(ours: Floats, theirs: Floats) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


def check_against_talib(high: Floats, low: Floats, close: Floats, period: int) -> None:
    same(ema(close, period), talib.EMA(close, period))
    same(rsi(close, period), talib.RSI(close, period))
    same(atr(high, low, close, period), talib.ATR(high, low, close, period))
    same(adx(high, low, close, period), talib.ADX(high, low, close, period))
    same(directional(high, low, close, period)[0], talib.PLUS_DI(high, low, close, period))
    same(rolling_mean(close, period), talib.SMA(close, period))
    same(rolling_max(high, period), talib.MAX(high, period))
    same(rolling_min(low, period), talib.MIN(low, period))
    same(rate_of_change(close, period), talib.ROCP(close, period))


@pytest.mark.parametrize("period", [2, 5, 14, 55])
def test_talib_agrees_on_real_candles(shared_data: Path, period: int) -> None:
    table = pq.read_table(shared_data / "okx_BTC-USDT-SWAP_1h_2023-01_2025-04.parquet")
    check_against_talib(*(table[name].to_numpy() for name in ("high", "low", "close")), period)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), bars=st.integers(3, 300), period=st.integers(2, 60))
def test_talib_agrees_on_random_walks(seed: int, bars: int, period: int) -> None:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, bars)))
    check_against_talib(close * (1 + rng.random(bars) * 0.01), close * (1 - rng.random(bars) * 0.01), close, period)


def test_bands_have_the_population_deviation() -> None:
    upper, middle, lower = talib.BBANDS(CLOSE, 20, 2.0, 2.0)
    bands = bollinger(CLOSE, 20, 2.0)
    np.testing.assert_allclose(bands, (lower, middle, upper), rtol=1e-8)
    assert rolling_std(CLOSE, 20)[19] == pytest.approx(float(CLOSE[:20].std(ddof=0)), rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), window=st.integers(2, 50), grid=st.sampled_from([0.01, 1.0]))
def test_percentile_is_the_share_that_is_not_larger(seed: int, window: int, grid: float) -> None:
    """With ties and holes, against the definition taken literally; a hole starts the window anew."""
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(0, 2, 160) / grid) * grid
    values[rng.random(160) < 0.02] = np.nan
    minimum = int(rng.integers(1, window + 1))
    expected = np.full(160, np.nan)
    for t in np.flatnonzero(np.isfinite(values)):
        holes = np.flatnonzero(np.isnan(values[:t]))
        seen = values[max(t - window + 1, holes[-1] + 1 if holes.size else 0) : t + 1]
        if seen.size >= minimum:
            expected[t] = (seen <= values[t]).mean()
    np.testing.assert_allclose(percentile_rank(values, window, minimum), expected, rtol=1e-12)


def test_a_market_that_stands_still_has_no_reading() -> None:
    """No RSI, no z and no efficiency; the deviation is exactly 0 although 0.1 has no exact sum."""
    still = np.full(700, 30_000.1)
    assert np.isnan(rsi(still, 14)).all()
    assert talib.RSI(still, 14)[-1] == 0, "what a rule would take for oversold"
    assert np.isnan(z_score(still, 20, 20)).all()
    assert np.isnan(efficiency_ratio(still, 20)).all()
    assert (rolling_std(still, 20)[19:] == 0).all()
    assert (rolling_mean(still, 20)[19:] == 30_000.1).all()
    assert np.isnan(adx(still, still, still, 14)).all()


def test_an_outage_leaves_rsi_where_it_was() -> None:
    """After 600 bars at one price RSI still reads what it read before."""
    close = np.r_[CLOSE, np.full(600, CLOSE[-1])]
    assert rsi(close, 14)[-1] == pytest.approx(rsi(CLOSE, 14)[-1], rel=1e-9)


def test_a_hole_restarts_what_is_smoothed() -> None:
    holed = CLOSE.copy()
    holed[60] = np.nan
    np.testing.assert_array_equal(ema(holed, 10)[61:], ema(CLOSE[61:], 10))
    np.testing.assert_array_equal(rsi(holed, 14)[61:], rsi(CLOSE[61:], 14))
    assert np.isnan(rolling_mean(holed, 20)[60:80]).all()
    assert np.isfinite(rolling_mean(holed, 20)[80:]).all()


@pytest.mark.parametrize("bars", [0, 1, 5])
def test_short_arrays_give_nothing(bars: int) -> None:
    high, low, close, volume = HIGH[:bars], LOW[:bars], CLOSE[:bars], VOLUME[:bars]
    arrays = [ema(close, 14), rsi(close, 14), adx(high, low, close, 14), rolling_std(close, 20), log_slope(volume, 20), lagged(close, 20)]
    arrays += [percentile_rank(close, 50, 20), bollinger(close, 20, 2.0).width, efficiency_ratio(close, 20)]
    assert [array.size for array in arrays] == [bars] * len(arrays)
    assert all(np.isnan(array).all() for array in arrays)


def test_compilation_needs_no_writable_folder() -> None:
    """A function that lies in no file has no place for its cache; it is compiled all the same."""
    names: dict[str, Callable[[Floats], float]] = {}
    exec("def total(values):\n    s = 0.0\n    for v in values:\n        s += v\n    return s\n", names)
    assert compiled(names["total"])(np.arange(5.0)) == 10


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), period=st.integers(2, 40), bars=st.integers(1, 150))
def test_windows_are_those_of_their_definitions(seed: int, period: int, bars: int) -> None:
    """Of each window alone, whatever came before: after a huge value, after a hole, and exactly where all are equal."""
    rng = np.random.default_rng(seed)
    values = 100 + np.cumsum(np.round(rng.normal(0, 1, bars), 1) * (rng.random(bars) < 0.7))
    values[rng.random(bars) < 0.02] = rng.choice([1e9, np.nan])
    windows = np.lib.stride_tricks.sliding_window_view(values, period) if bars >= period else np.empty((0, period))
    first = np.full(min(bars, period - 1), np.nan)
    np.testing.assert_allclose(rolling_mean(values, period), np.r_[first, windows.mean(axis=1)], rtol=1e-12)
    np.testing.assert_allclose(rolling_std(values, period), np.r_[first, windows.std(axis=1)], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(rolling_max(values, period), np.r_[first, windows.max(axis=1)])
    np.testing.assert_array_equal(rolling_min(values, period), np.r_[first, windows.min(axis=1)])
    flat = np.flatnonzero(np.ptp(windows, axis=1) == 0) + period - 1
    assert (rolling_std(values, period)[flat] == 0).all()
    np.testing.assert_array_equal(rolling_mean(values, period)[flat], values[flat])
