"""From a source into the store: what is imported, what a second import changes, how it resumes, and that nothing refused is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from samples import BTC, DAY, HOUR, MINUTE, NOW, Memory, StoppedClock, at, columns, file_source, spoilt, walk, write

from alpha_arena.core.errors import ConfigError, DataError, NoData, SourceError
from alpha_arena.core.quality import Gap, Repair
from alpha_arena.core.timeframes import aggregate, timeframe_ms
from alpha_arena.core.types import Candles, Funding
from alpha_arena.exchange.generated import GeneratedSource
from alpha_arena.ingest import SomeFailed, backfill, ingest, remembered

START = at("2024-01-01")
HOURS = "okx_BTC-USDT-SWAP_1h_2023-01_2025-04.parquet"
QUARTERS = "okx_BTC-USDT-SWAP_15m_2023-01_2025-04.parquet"
SETTLED = "binance_BTCUSDT-PERP_funding_2019-09_2025-04.parquet"


@dataclass
class Live:
    """An exchange that has bars of one lowest timeframe from START on, and remembers what it was asked."""

    rows: Candles
    natives: tuple[str, ...] = ("15m",)
    batch_bars: int = 96
    name: str = "live"
    asked: list[tuple[str, int, int]] = field(default_factory=list)

    def offers(self, symbols: Sequence[str] = ()) -> Mapping[str, tuple[str, ...]]:
        return dict.fromkeys(symbols or [BTC], (*self.natives, "funding"))

    def span(self, symbol: str, timeframe: str) -> tuple[int, int] | None:
        return None

    def repairs(self, symbol: str, timeframe: str) -> tuple[Repair, ...]:
        return ()

    def candles(self, symbol: str, timeframe: str, start_ms: int, end_ms: int) -> Candles:
        self.asked.append((timeframe, start_ms, end_ms))
        bar_ms = timeframe_ms(timeframe)
        rows = aggregate(self.rows, 15 * MINUTE, bar_ms)
        return rows[(rows.ts >= start_ms) & (rows.ts + bar_ms <= end_ms)]

    def funding(self, symbol: str, start_ms: int, end_ms: int) -> Funding:
        ts = np.arange(-(-start_ms // (8 * HOUR)) * 8 * HOUR, end_ms, 8 * HOUR)
        return Funding(ts, np.full(ts.size, 1e-4))


def exchange(days: int = 5, **given: object) -> Live:
    return Live(walk(96 * days, START, 15 * MINUTE), **given)  # type: ignore[arg-type]


def test_real_hours_load_whole_and_a_second_import_changes_nothing(shared_data: Path) -> None:
    """20,424 hours; D40: no bar is missing or doubled, a second run changes 0 rows."""
    store, source = Memory(), file_source(shared_data / HOURS)
    (first,), (second,) = (ingest(store, source, (), (), NOW, NOW) for _ in range(2))
    assert (first.rows, first.inserted, first.changed, first.unchanged, first.gaps) == (20_424, 20_424, 0, 0, ())
    assert (second.rows, second.inserted, second.changed, second.unchanged) == (20_424, 0, 0, 20_424)
    assert (first.first_ts, first.last_ts) == (at("2023-01-01"), at("2025-04-30T23:00"))


def test_hours_made_of_real_quarters_equal_the_file_of_hours(shared_data: Path) -> None:
    """Aggregated bars are those of the independent file; 15m rows are not stored unless asked for."""
    made, read = Memory(), Memory()
    reports = ingest(made, file_source(shared_data / QUARTERS), (), ("1h", "4h", "1d"), NOW, NOW)
    ingest(read, file_source(shared_data / HOURS), (), (), NOW, NOW)
    assert [(r.timeframe, r.made_of, r.rows) for r in reports] == [("1h", "15m", 20_424), ("4h", "15m", 5_106), ("1d", "15m", 851)]
    assert made.count("15m") == 0
    ours, theirs = (store.get_candles_range(BTC, "1h", 0, NOW) for store in (made, read))
    same = {name: np.allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-9, atol=0) for name in columns(ours)}
    assert all(same.values()), same


def test_the_highest_timeframe_that_divides_is_taken(tmp_path: Path) -> None:
    write(tmp_path, "okx_BTC-USDT-SWAP_15m_x.parquet", columns(walk(96, bar_ms=15 * MINUTE)))
    write(tmp_path, "okx_BTC-USDT-SWAP_1h_x.parquet", columns(walk(24)))
    reports = ingest(Memory(), file_source(tmp_path), (), ("15m", "30m", "1h", "4h"), NOW, NOW)
    assert {r.timeframe: r.made_of for r in reports} == {"15m": "15m", "30m": "15m", "1h": "1h", "4h": "1h"}


def test_a_lower_timeframe_is_refused_before_anything_is_stored(tmp_path: Path) -> None:
    store = Memory()
    source = file_source(write(tmp_path, "okx_BTC-USDT-SWAP_1h_x.parquet", columns(walk(24))))
    with pytest.raises(ConfigError, match="15m candles of BTC/USDT:USDT cannot be made of what the source has \\(1h\\)"):
        ingest(store, source, (), ("1h", "15m"), NOW, NOW)
    assert store.writes == 0


def test_funding_comes_from_its_own_path(shared_data: Path) -> None:
    """D45: settlements are kept by their own time; the rates of another exchange may stand in where they are named."""
    store = Memory()
    reports = ingest(store, file_source(shared_data / HOURS, funding_path=str(shared_data / SETTLED)), (), (), NOW, NOW)
    assert [(r.timeframe, r.rows) for r in reports] == [("1h", 20_424), ("funding", 6_179)]
    assert store.get_funding_range(BTC, at("2019-09-10T08:00"), at("2019-09-10T08:01")).rate.tolist() == [1e-4]


def test_one_bad_file_of_a_folder_keeps_all_of_it_out(tmp_path: Path) -> None:
    """D58: nothing is half-written: every file is read and checked before the first row is stored."""
    store, rows = Memory(), walk(48)
    write(tmp_path, "okx_BTC-USDT-SWAP_1h_x.parquet", columns(rows))
    write(tmp_path, "okx_ETH-USDT-SWAP_1h_x.parquet", columns(rows, close=spoilt(rows.close, 30, np.nan)))
    with pytest.raises(DataError, match=r"okx_ETH-USDT-SWAP_1h_x.parquet: row 31 \(2024-01-02 06:00 UTC\) has close nan"):
        ingest(store, file_source(tmp_path), (), (), NOW, NOW)
    assert store.writes == 0


def test_a_live_source_goes_on_after_the_last_stored_bar() -> None:
    """D40: no bar is missing or doubled between two calls, and only what is new is asked for."""
    store, source = Memory(), exchange()
    ingest(store, source, [BTC], ["15m"], START, START + 2 * DAY)
    source.asked.clear()
    bars, paid = ingest(store, source, [BTC], ["15m"], START, START + 3 * DAY + 7 * MINUTE)
    assert source.asked[0][1] == START + 2 * DAY
    assert (bars.rows, bars.inserted, bars.gaps, paid.inserted) == (96, 96, (), 4)
    assert store.get_candles_range(BTC, "15m", 0, NOW, "live").ts.tolist() == source.rows.ts[: 3 * 96].tolist()


def test_an_interrupted_import_resumes_where_it_stopped() -> None:
    """Every batch is a transaction; the next call asks for the rest only."""
    store, source = Memory(fail_at=2), exchange()
    with pytest.raises(KeyboardInterrupt):
        ingest(store, source, [BTC], ["15m"], START, START + 5 * DAY)
    assert store.count("15m", exchange="live") == 2 * 96
    store.fail_at = -1
    assert ingest(store, source, [BTC], ["15m"], START, START + 5 * DAY)[0].inserted == 3 * 96
    assert store.count("15m", exchange="live") == 5 * 96


def test_an_interrupted_backfill_asks_only_for_what_is_missing() -> None:
    store, source = Memory(fail_at=6), exchange()
    with pytest.raises(KeyboardInterrupt):
        backfill(store, source, [BTC], ["15m", "1h"], START, START + 5 * DAY)
    store.fail_at = -1
    source.asked.clear()
    reports = backfill(store, source, [BTC], ["15m", "1h"], START, START + 5 * DAY)
    assert [start for _, start, _ in source.asked] == [START + 3 * DAY, START + 4 * DAY]
    assert [(r.timeframe, r.rows, r.inserted, r.changed) for r in reports[:2]] == [("15m", 480, 192, 0), ("1h", 120, 48, 0)]


def test_a_backfill_asks_again_for_a_batch_with_a_hole() -> None:
    """A batch counts as stored only if none of its bars is missing."""
    store, source = Memory(), exchange()
    backfill(store, source, [BTC], ["15m"], START, START + 3 * DAY)
    del store.rows["live", BTC, "15m"][START + DAY + HOUR]
    source.asked.clear()
    report = backfill(store, source, [BTC], ["15m"], START, START + 3 * DAY)[0]
    assert [start for _, start, _ in source.asked] == [START + DAY]
    assert (report.rows, report.inserted, report.unchanged, report.gaps) == (288, 1, 287, ())


def test_an_import_that_starts_in_the_middle_of_a_day_has_every_whole_day() -> None:
    """Batches are cut where days begin, whatever time the first bar has."""
    store, source = Memory(), exchange(batch_bars=100)
    hours, days, _ = ingest(store, source, [BTC], ["1h", "1d"], START + 7 * HOUR, START + 5 * DAY)
    assert (hours.first_ts, hours.rows, hours.gaps) == (START + 7 * HOUR, 5 * 24 - 7, ())
    assert (days.first_ts, days.rows, days.gaps) == (START + DAY, 4, ())


def test_a_hole_since_the_last_stored_bar_is_reported() -> None:
    """D58: a hole is named, never filled."""
    store, source = Memory(), exchange()
    ingest(store, source, [BTC], ["15m"], START, START + DAY)
    source.rows = source.rows[source.rows.ts >= START + DAY + HOUR]
    assert ingest(store, source, [BTC], ["15m"], START, START + 2 * DAY)[0].gaps == (Gap(START + DAY, START + DAY + HOUR, 4),)


def test_a_bar_that_a_source_gives_before_its_close_is_not_stored() -> None:
    """Only closed bars: the newest one is dropped with a note, and comes with the next call."""

    class Early(Live):
        def candles(self, symbol: str, timeframe: str, start_ms: int, end_ms: int) -> Candles:
            return self.rows[(self.rows.ts >= start_ms) & (self.rows.ts < end_ms)]

    store, source = Memory(), Early(walk(96, START, 15 * MINUTE))
    report = ingest(store, source, [BTC], ["15m"], START, START + HOUR + 5 * MINUTE)[0]
    assert (report.rows, [item.kind for item in report.repairs]) == (4, ["unfinished"])
    assert ingest(store, source, [BTC], ["15m"], START, START + HOUR + 15 * MINUTE)[0].rows == 1


def test_higher_timeframes_wait_for_their_last_bar() -> None:
    """A day is stored when all of its bars are, in whatever steps they came."""
    store, source = Memory(), exchange()
    for hours in (5, 23, 30, 47, 48, 100):
        reports = ingest(store, source, [BTC], ["1h", "1d"], START, START + hours * HOUR)
        assert all(report.rows == report.inserted for report in reports)
    assert (store.count("1h", exchange="live"), store.count("1d", exchange="live")) == (100, 4)


def test_a_backfill_takes_the_range_and_no_more(shared_data: Path) -> None:
    store = Memory()
    source = file_source(shared_data / HOURS)
    (report,) = backfill(store, source, (), (), at("2024-01-01"), at("2024-02-01"))
    assert (report.rows, report.first_ts, report.last_ts) == (31 * 24, at("2024-01-01"), at("2024-01-31T23:00"))


def test_an_empty_range_says_what_there_is(shared_data: Path) -> None:
    """D59: the message tells the history that is at hand."""
    source = file_source(shared_data / HOURS)
    with pytest.raises(NoData, match=r"nothing from 2026-01-01 00:00 UTC .*it has BTC/USDT:USDT 1h from 2023-01-01 00:00 UTC to"):
        backfill(Memory(), source, (), (), at("2026-01-01"), at("2026-02-01"))
    with pytest.raises(ConfigError, match="start=2026-02-01 00:00 UTC is not before end=2026-01-01 00:00 UTC"):
        backfill(Memory(), source, (), (), at("2026-02-01"), at("2026-01-01"))


def test_progress_reaches_its_total_and_a_report_is_json() -> None:
    told: list[tuple[str, int, int]] = []
    reports = ingest(Memory(), exchange(), [BTC], ["1h"], START, START + 2 * DAY, lambda *step: told.append(step))
    assert told == [("BTC/USDT:USDT 15m", 96, 192), ("BTC/USDT:USDT 15m", 192, 192)]
    assert json.loads(json.dumps([report.as_dict() for report in reports]))[0]["rows"] == 48


def test_the_synthetic_market_is_stored_in_four_timeframes_without_its_minutes() -> None:
    """90 days of two symbols: 15m, 1h, 4h and 1d of one pass over the minutes, which are not stored; again: nothing new."""
    start, now = at("2017-03-01"), at("2017-05-30")
    source = GeneratedSource("synthetic", "realistic", 7, 90, 60.0, None, StoppedClock(now))
    store = Memory()
    reports = ingest(store, source, [BTC, "ETH/USDT:USDT"], ["15m", "1h", "4h", "1d"], start, now)
    expected = [("15m", 8_640), ("1h", 2_160), ("4h", 540), ("1d", 90), ("funding", 270)] * 2
    assert [(r.timeframe, r.inserted) for r in reports] == expected
    assert {r.made_of for r in reports} == {"1m", "funding"}
    assert not any(timeframe == "1m" for _, _, timeframe in store.rows)
    assert [r.rows for r in ingest(store, source, [BTC], ["15m", "1h", "4h", "1d"], start, now)] == [0] * 5
    stored = store.get_candles_range(BTC, "4h", start, now, "synthetic")
    direct = source.candles(BTC, "4h", start, now)
    assert all(np.array_equal(columns(stored)[name], columns(direct)[name]) for name in columns(direct))


@dataclass
class Deaf(Live):
    """Its server fails for one symbol."""

    def candles(self, symbol: str, timeframe: str, start_ms: int, end_ms: int) -> Candles:
        if symbol == BTC:
            raise SourceError("500 after 6 attempts")
        return super().candles(symbol, timeframe, start_ms, end_ms)


@dataclass
class Register:
    """What is remembered of imports."""

    kept: list[str] = field(default_factory=list)

    def record_ingest(self, started_ms: int, report: Mapping[str, object]) -> None:
        self.kept.append(f"{report['symbol']} {report['timeframe']}")

    def record_gaps(self, symbol: str | None = None, timeframe: str | None = None, exchange: str | None = None) -> list[dict[str, object]]:
        return []


def test_a_series_that_fails_does_not_keep_the_others_from_being_stored() -> None:
    """D38: the exchange has errors for one symbol; the other is imported and remembered, and the failure is told at the end."""
    store, source, register = Memory(), Deaf(walk(96 * 5, START, 15 * MINUTE)), Register()
    asked = [BTC, "ETH/USDT:USDT"]
    with pytest.raises(SomeFailed, match=r"1 of \d series failed, the others are stored: BTC/USDT:USDT 15m: 500 after 6 attempts"):
        remembered(register, NOW, lambda: ingest(store, source, asked, ["15m"], START, NOW))
    assert "ETH/USDT:USDT 15m" in register.kept
    assert "BTC/USDT:USDT 15m" not in register.kept
