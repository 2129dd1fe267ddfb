"""What may be stored: laws of cleaning, and every kind of row that is refused, with the words a user reads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import DAY, HOUR, MINUTE, NOW, at, columns, spoilt, walk

from alpha_arena.core.errors import DataError
from alpha_arena.core.quality import CheckedCandles, Gap, check_candles, check_funding, find_gaps, merge_candles, merge_funding
from alpha_arena.core.types import Candles, Funding

SERIES = walk(60)
COUNT = st.integers(min_value=1, max_value=60)


def check(rows: Candles) -> CheckedCandles:
    return check_candles(rows, HOUR, NOW, "x.csv")


def same(a: Candles | Funding, b: Candles | Funding) -> bool:
    ours, theirs = columns(a), columns(b)
    return all(np.array_equal(ours[name], theirs[name]) for name in ours)


@st.composite
def subsets(draw: st.DrawFn) -> Candles:
    """Sound bars with holes."""
    keep = draw(st.lists(st.booleans(), min_size=60, max_size=60).filter(any))
    rows = SERIES[np.array(keep)]
    # two rows or more are an hour apart somewhere, or they would be bars of another timeframe
    return SERIES[:2] if len(rows) > 2 and np.diff(rows.ts).min() > HOUR else rows


@given(subsets(), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_their_repetition_do_not_matter(rows: Candles, random: st.DrawFn) -> None:
    order = list(range(len(rows))) * 2
    random.shuffle(order)  # type: ignore[attr-defined]
    assert same(check(rows[np.array(order)]).candles, rows)


@given(subsets())
def test_cleaning_is_idempotent_and_leaves_sound_rows_alone(rows: Candles) -> None:
    first = check(rows)
    assert same(first.candles, rows)
    assert first.repairs == ()
    assert same(check(first.candles).candles, first.candles)


@given(subsets())
def test_rows_and_gaps_together_are_the_whole_range(rows: Candles) -> None:
    """D58: every missing bar is counted, none is made up."""
    gaps = check(rows).gaps
    assert len(rows) + sum(gap.bars for gap in gaps) == (rows.ts[-1] - rows.ts[0]) // HOUR + 1
    missing = [ts for gap in gaps for ts in range(gap.start_ms, gap.end_ms, HOUR)]
    assert not set(missing) & set(rows.ts.tolist())


@given(subsets(), st.sampled_from([(1, 1000), (1000, 1), (1_000_000, 1)]))
def test_the_unit_of_stamps_does_not_matter(rows: Candles, unit: tuple[int, int]) -> None:
    times, per = unit
    other = Candles(**{**columns(rows), "ts": rows.ts * times // per})
    cleaned = check(other)
    assert same(cleaned.candles, rows)
    assert [(item.kind, item.rows) for item in cleaned.repairs] == [("units", len(rows))]


@given(st.lists(st.tuples(st.integers(0, 59), st.integers(1, 60)), min_size=1, max_size=5))
def test_files_that_overlap_with_equal_rows_merge_to_their_union(cuts: list[tuple[int, int]]) -> None:
    parts = [(f"{i}.csv", SERIES[a : a + n]) for i, (a, n) in enumerate(cuts)]
    merged, repairs = merge_candles(parts)
    union = sorted({ts for _, rows in parts for ts in rows.ts.tolist()})
    assert merged.ts.tolist() == union
    assert sum(item.rows for item in repairs) == sum(len(rows) for _, rows in parts) - len(union)


@given(st.integers(0, 59), st.sampled_from(["open", "high", "low", "close", "volume"]), st.sampled_from([np.nan, np.inf, -np.inf, -1.0]))
def test_a_cell_that_is_no_price_or_volume_is_refused_by_its_row(row: int, name: str, value: float) -> None:
    """D58, D72: nothing unsound is stored; file, row, time, column and value are named."""
    table = columns(SERIES)
    with pytest.raises(
        DataError, match=rf"^x.csv: row {row + 1} \(2024-01-0[123] \d\d:00 UTC\) has {name} {value}, allowed is a finite number"
    ):
        check(Candles(**{**table, name: spoilt(table[name], row, value)}))


@settings(max_examples=30)
@given(st.integers(0, 59), st.sampled_from(["high", "low"]))
def test_extremes_must_enclose_open_and_close(row: int, name: str) -> None:
    table = columns(SERIES)
    inside = (table["open"][row] + table["close"][row]) / 2
    with pytest.raises(DataError, match=rf"row {row + 1} .* has {name} .*, allowed is at (least|most) open"):
        check(Candles(**{**table, name: spoilt(table[name], row, inside)}))


def refused(match: str, rows: Candles, bar_ms: int = HOUR, now_ms: int = NOW) -> None:
    with pytest.raises(DataError, match=match) as told:
        check_candles(rows, bar_ms, now_ms, "x.csv")
    assert "nothing was stored" in str(told.value)


def moved(by_ms: int, row: int = 7) -> Candles:
    return Candles(**{**columns(SERIES), "ts": spoilt(SERIES.ts, row, SERIES.ts[row] + by_ms)})


def test_zero_prices_are_refused_and_zero_volume_is_kept() -> None:
    refused("has close 0.0, allowed is a finite number above 0", Candles(**columns(SERIES, close=spoilt(SERIES.close, 3, 0))))
    cleaned = check(Candles(**columns(SERIES, volume=spoilt(SERIES.volume, 3, 0))))
    assert (len(cleaned.candles), str(cleaned.repairs[0])) == (60, "1 bars without a trade were kept")


def test_misaligned_stamps_are_refused() -> None:
    refused(r"row 8 has ts 2024-01-01 07:00:00.001000 UTC, allowed is the open of a 1h bar", moved(1))
    refused(r"row 1 has ts 2024-01-01 01:00 UTC \(45 such rows\), allowed is the open of a 4h bar", SERIES[1:], 4 * HOUR)


def test_rows_of_another_timeframe_are_refused() -> None:
    refused("no two rows are closer than 240 minutes, so these are no 1h bars", walk(10, bar_ms=4 * HOUR))


@pytest.mark.parametrize("stamp", [0, -1, 1_704_067, 17_040_672_000, 99_999_999_999_999])
def test_stamps_that_are_no_time_are_refused(stamp: int) -> None:
    refused(f"row 8 has the stamp {stamp}, which is no time from 2009 to 2100", moved(stamp - int(SERIES.ts[7])))


def test_the_bar_that_is_still_open_is_dropped_and_later_ones_are_refused() -> None:
    """A bar is stored once it has closed, and what lies in the future is an error of unit or time zone."""
    last = int(SERIES.ts[-1])
    for now, kept in ((last, 59), (last + HOUR - 1, 59), (last + HOUR, 60)):
        cleaned = check_candles(SERIES, HOUR, now)
        assert (len(cleaned.candles), [item.kind for item in cleaned.repairs]) == (kept, ["unfinished"] * (60 - kept))
    refused("row 60 has ts 2024-01-03 11:00 UTC, allowed is a time not after now, 2024-01-03 10:59", SERIES, now_ms=last - 1)


def test_two_rows_of_one_time_with_different_values_are_refused() -> None:
    """The widest difference is shown, prices before volumes; nobody chooses between them."""
    twice = SERIES[np.r_[np.arange(60), 5, 9]]
    values = {"close": spoilt(twice.close, 60, SERIES.close[5] * 1.001), "volume": spoilt(twice.volume, 61, 777.0)}
    refused(rf"rows 6 and 61 have different values for 2024-01-01 05:00 UTC: close {SERIES.close[5]} and .* \(the widest of 2 such pairs\)",
            Candles(**columns(twice, **values)))  # fmt: skip


def test_two_files_with_different_values_are_both_named() -> None:
    other = Candles(**columns(SERIES[:9], close=spoilt(SERIES.close[:9], 4, SERIES.close[4] * 1.001)))
    with pytest.raises(DataError, match=r"a.csv and b.csv have different values for 2024-01-01 04:00 UTC: close .*; import one of them"):
        merge_candles([("a.csv", SERIES), ("b.csv", other)])


def test_a_gap_since_the_last_stored_bar_counts() -> None:
    first = int(SERIES.ts[0])
    assert find_gaps(SERIES.ts, HOUR, first - 3 * HOUR) == (Gap(first - 2 * HOUR, first, 2),)
    assert find_gaps(SERIES.ts[:0], HOUR, first) == ()


def test_no_rows_are_no_fault() -> None:
    assert check(Candles.empty()).repairs == ()
    assert check_funding(Funding.none(), NOW).repairs == ()


SETTLED = at("2024-01-01") + 8 * HOUR * np.arange(6)


def test_funding_stamps_are_floored_to_the_minute() -> None:
    cleaned = check_funding(Funding(SETTLED + np.array([0, 1, 47, 0, 0, 59_999]), np.full(6, 1e-4)), NOW)
    assert cleaned.funding.ts.tolist() == SETTLED.tolist()
    assert [str(item) for item in cleaned.repairs] == ["3 settlement stamps floored to the minute"]


@pytest.mark.parametrize("rate", [np.nan, np.inf, 0.51, -1.0])
def test_rates_that_are_no_fraction_are_refused(rate: float) -> None:
    with pytest.raises(DataError, match=rf"f.csv: row 3 \(2024-01-01 16:00 UTC\) has rate {rate}, allowed is a fraction from -0.5 to 0.5"):
        check_funding(Funding(SETTLED, spoilt(np.full(6, 1e-4), 2, rate)), NOW, "f.csv")


def test_funding_that_differs_or_lies_ahead_is_refused() -> None:
    with pytest.raises(DataError, match=r"rows 6 and 7 have different values for 2024-01-02 16:00 UTC: rate 0.0001 and 0.0002"):
        check_funding(Funding(np.r_[SETTLED, SETTLED[-1] + MINUTE // 2], np.r_[np.full(6, 1e-4), 2e-4]), NOW)
    with pytest.raises(DataError, match="row 6 has ts 2024-01-02 16:00 UTC, allowed is a time not after now, 2024-01-02 00:00 UTC"):
        check_funding(Funding(SETTLED[[0, 1, 2, 3, 3, 5]], np.full(6, 1e-4)), at("2024-01-01") + DAY)


def test_funding_of_two_files_merges() -> None:
    rates = np.full(6, 1e-4)
    merged, repairs = merge_funding([("a", Funding(SETTLED[:4], rates[:4])), ("b", Funding(SETTLED[2:], rates[2:]))])
    assert (merged.ts.tolist(), [str(item) for item in repairs]) == (
        SETTLED.tolist(),
        ["2 rows stand in more than one file, with equal values"],
    )
    with pytest.raises(DataError, match="a and b have different values"):
        merge_funding([("a", Funding(SETTLED, rates)), ("b", Funding(SETTLED, 2 * rates))])
