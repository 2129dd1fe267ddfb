"""Aggregation, higher timeframes and funding on rows are causal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.core.errors import ConfigError
from alpha_arena.core.funding import ASSUMED_RATE, complete
from alpha_arena.core.market import Market
from alpha_arena.core.timeframes import aggregate, timeframe_ms, timeframe_name
from alpha_arena.core.types import Candles, Funding

HOUR = 3_600_000


def walk(rows: int, start: int = 0, seed: int = 1) -> Candles:
    """A random walk of hourly bars."""
    rng = np.random.default_rng(seed)
    close = 100 + rng.normal(size=rows).cumsum()
    open_ = np.r_[100.0, close[:-1]]
    return Candles(
        start + np.arange(rows) * HOUR, open_, np.maximum(open_, close) + 1, np.minimum(open_, close) - 1, close, rng.uniform(1, 2, rows)
    )


@pytest.mark.parametrize(("name", "ms"), [("1m", 60_000), ("15m", 900_000), ("1h", HOUR), ("4h", 4 * HOUR), ("1d", 24 * HOUR)])
def test_timeframes_have_one_name_and_length(name: str, ms: int) -> None:
    """Name and length are each other's inverse."""
    assert timeframe_ms(name) == ms
    assert timeframe_name(ms) == name


@pytest.mark.parametrize("wrong", ["", "1", "h", "0m", "7m", "5h", "1w", "-1h", "36h", "1H"])
def test_a_wrong_timeframe_is_refused_with_the_right_ones(wrong: str) -> None:
    """The message lists what is allowed."""
    with pytest.raises(ConfigError, match="1m 5m 15m"):
        timeframe_ms(wrong)


def test_aggregation_leaves_incomplete_bars_out() -> None:
    """Hours 1 to 9 hold one whole 4 h bar; a hole spoils the bar that it lies in."""
    candles = walk(9, HOUR)
    four = aggregate(candles, HOUR, 4 * HOUR)
    assert four.ts.tolist() == [4 * HOUR]
    assert (four.open[0], four.close[0]) == (candles.open[3], candles.close[6])
    assert (four.high[0], four.low[0]) == (candles.high[3:7].max(), candles.low[3:7].min())
    holed = aggregate(candles[np.arange(9) != 4], HOUR, 4 * HOUR)
    assert len(holed) == 0
    assert len(aggregate(Candles.empty(), HOUR, 4 * HOUR)) == 0
    with pytest.raises(ConfigError, match="cannot be made"):
        aggregate(candles, HOUR, 90 * 60_000)


def test_aggregating_twice_is_aggregating_once() -> None:
    """1 h to 4 h to 12 h equals 1 h to 12 h."""
    candles = walk(48)
    twice, once = aggregate(aggregate(candles, HOUR, 4 * HOUR), 4 * HOUR, 12 * HOUR), aggregate(candles, HOUR, 12 * HOUR)
    assert twice.ts.tolist() == once.ts.tolist()
    np.testing.assert_allclose(twice.volume, once.volume)
    np.testing.assert_array_equal(twice.high, once.high)


@given(st.integers(1, 60), st.integers(0, 59))
def test_a_higher_timeframe_on_rows_does_not_know_the_future(rows: int, t: int) -> None:
    """Row t of `at` is the same whether or not later rows exist."""
    whole, t = Market.of("X", HOUR, walk(60)), min(t, rows - 1)
    cut = whole.upto(t).at("4h")
    np.testing.assert_array_equal(cut.close[t], whole.at("4h").close[t])
    assert cut.ts[t] == whole.at("4h").ts[t]


def test_a_higher_bar_shows_on_the_row_at_whose_close_it_has_closed() -> None:
    """The bar 00:00 to 04:00 is known at the close of the 03:00 row, not before."""
    four = Market.of("X", HOUR, walk(8)).at("4h")
    assert np.isnan(four.close[2])
    assert four.ts.tolist() == [-1, -1, -1, 0, 0, 0, 0, 4 * HOUR]


def test_funding_on_a_row_is_the_last_settled_by_its_close() -> None:
    """A rate settled at 08:00 is known at the close of the 07:00 bar."""
    market = Market.of("X", HOUR, walk(10), Funding(np.array([8 * HOUR]), np.array([0.001])))
    assert np.isnan(market.funding[6])
    assert market.funding[7] == 0.001
    assert market.upto(6).funding_ts.size == 0


def test_missing_settlements_are_assumed_never_zero() -> None:
    """D54: known at 0, 8, 16 and 40 h: 24 and 32 h are assumed, and so are those after the last."""
    known = Funding(np.array([0, 8, 16, 40]) * HOUR, np.array([1.0, 2.0, 3.0, 4.0]))
    full = complete(known, 56 * HOUR, HOUR)
    assert (full.ts // HOUR).tolist() == [0, 8, 16, 24, 32, 40, 48, 56]
    assert full.rate.tolist() == [1.0, 2.0, 3.0, ASSUMED_RATE, ASSUMED_RATE, 4.0, ASSUMED_RATE, ASSUMED_RATE]


def test_the_interval_is_the_last_known_one() -> None:
    """After an exchange goes from 8 h to 4 h settlements, missing ones are 4 h apart; a late one is not charged twice."""
    known = Funding(np.array([0, 8, 12]) * HOUR, np.ones(3))
    assert (complete(known, 21 * HOUR, HOUR).ts // HOUR).tolist() == [0, 8, 12, 16, 20]
    late = Funding(np.array([0, 8 * HOUR, 16 * HOUR + 60_000]), np.ones(3))
    assert not complete(late, 17 * HOUR, HOUR).assumed.any()
    assert complete(Funding.none(), HOUR, HOUR).ts.size == 0


def test_a_settlement_known_after_its_bar_is_charged_once_and_by_what_was_known_then() -> None:
    """D54: due at 40 h, told at 41 h, when the bar has closed: paper charged the assumed rate at 40 h, and so does a backtest later."""
    known = Funding(np.array([24, 32, 41, 48]) * HOUR, np.array([1.0, 2.0, 3.0, 4.0]))
    full = complete(known, 56 * HOUR, HOUR)
    assert (full.ts // HOUR).tolist() == [24, 32, 40, 48, 56]
    assert full.rate.tolist() == [1.0, 2.0, ASSUMED_RATE, 4.0, ASSUMED_RATE]
    assert (complete(known, 50 * HOUR, 4 * HOUR).ts // HOUR).tolist() == [24, 32, 41, 48]


@given(st.lists(st.integers(1, 20), min_size=1, max_size=12), st.sampled_from([1, 4]))
def test_what_is_charged_in_a_bar_never_depends_on_what_comes_after_it(steps: list[int], bar: int) -> None:
    """The causal law for funding: cut the history at any close, and what was charged up to there is the same."""
    ts = np.cumsum([0, *steps]) * HOUR
    whole = complete(Funding(ts, np.arange(ts.size, dtype=float)), int(ts[-1]), bar * HOUR)
    for close in range(bar * HOUR, int(ts[-1]) // (bar * HOUR) * bar * HOUR + 1, bar * HOUR):
        seen = ts < close
        cut = complete(Funding(ts[seen], np.arange(seen.sum(), dtype=float)), close - 1, bar * HOUR)
        assert cut.ts.tolist() == whole.ts[whole.ts < close].tolist()
        assert cut.rate.tolist() == whole.rate[whole.ts < close].tolist()


def test_arrays_cannot_be_written_to() -> None:
    """Values that travel are read-only."""
    market = Market.of("X", HOUR, walk(5))
    with pytest.raises(ValueError, match="read-only"):
        market.close[0] = 1.0
