"""Thinning keeps what a reader of a chart must not miss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.core.types import Candles, Floats
from alpha_arena.monitor.thinning import LADDER_MS, MAX_BARS, MAX_POINTS, drawn_bar_ms, envelope, gaps, grouped

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

values = st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), min_size=1, max_size=300).map(lambda v: np.array(v, np.float64))


@st.composite
def bars(draw: st.DrawFn) -> Candles:
    """Minutes with holes."""
    minutes = sorted(draw(st.sets(st.integers(0, 2_000), min_size=1, max_size=200)))
    closes = np.array(draw(st.lists(st.floats(1, 1e6), min_size=len(minutes), max_size=len(minutes))))
    opens = np.r_[closes[:1], closes[:-1]]
    high, low = np.maximum(opens, closes) * 1.01, np.minimum(opens, closes) * 0.99
    return Candles(np.array(minutes, np.int64) * MINUTE, opens, high, low, closes, np.ones(len(minutes)))


@given(bars(), st.sampled_from([bar for bar in LADDER_MS if bar <= DAY]))
def test_a_drawn_bar_has_first_open_highest_high_lowest_low_last_close_and_summed_volume(candles: Candles, bar_ms: int) -> None:
    """D29: nothing is lost by drawing fewer bars; each is checked against the rows it is made of."""
    drawn = grouped(candles, bar_ms)
    assert drawn.ts.tolist() == sorted({ts // bar_ms * bar_ms for ts in candles.ts.tolist()})
    for row, ts in enumerate(drawn.ts.tolist()):
        part = candles[(candles.ts >= ts) & (candles.ts < ts + bar_ms)]
        assert (drawn.open[row], drawn.close[row]) == (part.open[0], part.close[-1])
        assert (drawn.high[row], drawn.low[row]) == (part.high.max(), part.low.min())
        assert drawn.volume[row] == pytest.approx(part.volume.sum())


@given(st.integers(HOUR, 3_000 * DAY), st.integers(1, 5_000), st.sampled_from([[MINUTE], [HOUR, 4 * HOUR], [15 * MINUTE, HOUR], [DAY]]))
def test_the_finest_bar_that_fits_is_drawn(range_ms: int, room: int, stored: list[int]) -> None:
    """Never more bars than there is room for (nor than MAX_BARS), and no finer one of the ladder would have fitted."""
    bar = drawn_bar_ms(range_ms, room, stored)
    assert range_ms <= bar * min(room, MAX_BARS)
    assert any(bar % one == 0 for one in stored)
    finer = [one for one in {*LADDER_MS, *stored} if one < bar and any(one % s == 0 for s in stored)]
    assert all(range_ms > one * min(room, MAX_BARS) for one in finer)


@given(values, st.integers(1, 80))
def test_every_pixel_column_keeps_its_extremes(series: Floats, columns: int) -> None:
    """The lowest and highest value of each column are drawn, as they occurred; nothing is invented; the last value is last."""
    ts = np.arange(series.size, dtype=np.int64) * HOUR
    at, thin = envelope(ts, {"a": series}, columns)
    assert at.size == thin["a"].size <= max(series.size, 2 * columns + 1)
    assert np.array_equal(thin["a"][-1], series[-1], equal_nan=True)
    if at.size == series.size:
        return
    edges = np.linspace(0, int(ts[-1]) + 1, columns + 1)
    for column in range(columns):
        part = series[(ts >= edges[column]) & (ts < edges[column + 1])]
        pair = thin["a"][2 * column : 2 * column + 2]
        finite = part[np.isfinite(part)]
        assert sorted(pair.tolist()) == [finite.min(), finite.max()] if finite.size else np.isnan(pair).all()


@given(st.integers(1, 20_000), st.integers(1, 40), st.integers(1, 6_000))
def test_an_answer_never_holds_more_points_than_allowed(rows: int, series: int, columns: int) -> None:
    """However many traders there are."""
    ts = np.arange(rows, dtype=np.int64)
    at, thin = envelope(ts, {str(n): np.zeros(rows) for n in range(series)}, columns)
    assert at.size * len(thin) <= max(MAX_POINTS, series * 3)


@pytest.mark.parametrize(("ts", "missing"), [([], []), ([0], []), ([0, 1, 2], []), ([0, 1, 4, 5, 7], [(2, 4), (6, 7)])])
def test_holes_between_bars_are_named(ts: list[int], missing: list[tuple[int, int]]) -> None:
    """From the first missing bar's open to the next bar's."""
    assert gaps(np.array(ts, np.int64) * HOUR, HOUR) == [(a * HOUR, b * HOUR) for a, b in missing]
