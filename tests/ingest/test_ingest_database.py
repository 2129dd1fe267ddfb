"""Imports into a real database: twice, interrupted, from all three kinds of source, and with wrong rows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from samples import BTC, DAY, HOUR, NOW, StoppedClock, at, columns, file_source, spoilt, walk, write

from alpha_arena.core.errors import DataError, NoData, StoreError
from alpha_arena.core.types import Candles
from alpha_arena.data.service import DataService, Written
from alpha_arena.exchange.generated import GeneratedSource
from alpha_arena.ingest import backfill, ingest

START, END = at("2017-03-01"), at("2017-03-31")
FRAMES = ("15m", "1h", "4h", "1d")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[DataService]:
    """An empty, migrated database."""
    found = DataService(f"sqlite:///{tmp_path / 'market.db'}")
    found.upgrade()
    yield found
    found.close()


class CutOff(DataService):
    """A database whose user presses Ctrl-C at the n-th write."""

    writes_left = 3

    def write_candles(self, exchange: str, symbol: str, timeframe: str, candles: Candles) -> Written:
        self.writes_left -= 1
        if self.writes_left < 0:
            raise KeyboardInterrupt
        return super().write_candles(exchange, symbol, timeframe, candles)


def generated(now_ms: int = END) -> GeneratedSource:
    return GeneratedSource("synthetic", "realistic", 7, 90, 60.0, None, StoppedClock(now_ms))


def contents(service: DataService) -> dict[str, list[list[float]]]:
    """Every stored series."""
    found = {}
    for one in service.series():
        rows = service.get_candles_range(one.symbol, one.timeframe, 0, NOW, one.exchange)
        found[f"{one.symbol} {one.timeframe}"] = [values.tolist() for values in columns(rows).values()]
    return found


def test_20424_real_hours_twice(service: DataService, shared_data: Path) -> None:
    """The second import changes 0 rows; what is read back is what the file holds, to the bit."""
    source = file_source(
        shared_data / "okx_BTC-USDT-SWAP_1h_2023-01_2025-04.parquet",
        funding_path=str(shared_data / "binance_BTCUSDT-PERP_funding_2019-09_2025-04.parquet"),
    )
    first, second = ([(r.rows, r.inserted, r.changed) for r in ingest(service, source, (), (), NOW, NOW)] for _ in range(2))
    assert first == [(20_424, 20_424, 0), (6_179, 6_179, 0)]
    assert second == [(20_424, 0, 0), (6_179, 0, 0)]
    stored, given = service.get_candles_range(BTC, "1h", 0, NOW), source.candles(BTC, "1h", 0, NOW)
    assert all(np.array_equal(columns(stored)[name], columns(given)[name]) for name in columns(given))
    newest = service.get_latest_funding(BTC)
    assert newest
    assert (newest["ts"], newest["rate"], newest["exchange"]) == (at("2025-04-30T16:00"), -3.797e-05, "file")


def test_a_live_market_in_many_steps_equals_one_step(service: DataService, tmp_path: Path) -> None:
    """D40: whatever the steps, no bar or settlement is missing or doubled, and what is known is not asked for or written again."""
    for now in (START + 90 * 60_000, START + 5 * HOUR, START + 2 * DAY, END - HOUR, END):
        reports = ingest(service, generated(now), [BTC], FRAMES, START, now)
        assert all(report.rows == report.inserted for report in reports)
    other = DataService(f"sqlite:///{tmp_path / 'other.db'}")
    other.upgrade()
    whole = ingest(other, generated(), [BTC], FRAMES, START, END)
    assert [report.rows for report in whole] == [30 * 96, 30 * 24, 30 * 6, 30, 90]
    assert contents(service) == contents(other)
    assert service.get_funding_range(BTC, 0, NOW).ts.tolist() == other.get_funding_range(BTC, 0, NOW).ts.tolist()
    other.close()


@pytest.mark.parametrize("call", ["ingest", "backfill"])
def test_an_interrupted_import_leaves_whole_batches_and_is_resumed(tmp_path: Path, call: str) -> None:
    """Half of the timeframes of a batch may be there; repeated, the call completes each of them."""
    service = CutOff(f"sqlite:///{tmp_path / 'market.db'}")
    service.upgrade()

    def again() -> None:
        if call == "ingest":
            ingest(service, generated(), [BTC], FRAMES, START, END)
        else:
            backfill(service, generated(), [BTC], FRAMES, START, END)

    with pytest.raises(KeyboardInterrupt):
        again()
    assert {one.timeframe for one in service.series()} == {"15m", "1h", "4h"}
    service.writes_left = 100
    again()
    assert [(row["timeframe"], row["rows"], row["missing"]) for row in service.coverage()] == [
        ("15m", 2_880, 0), ("1d", 30, 0), ("1h", 720, 0), ("4h", 180, 0)]  # fmt: skip
    service.close()


def test_bars_that_the_store_could_make_itself_are_stored_when_asked_for(service: DataService) -> None:
    """A backfill of hours after one of quarters stores hours."""
    backfill(service, generated(), [BTC], ["15m"], START, END)
    report = backfill(service, generated(), [BTC], ["1h"], START, END)[0]
    assert (report.inserted, report.unchanged) == (720, 0)
    assert service.last_ts("synthetic", BTC, "1h") == END - HOUR


def test_a_corrected_file_changes_the_rows_that_differ(service: DataService, tmp_path: Path) -> None:
    """B2: a later revision is stored as changed rows, and only those."""
    rows = walk(48)
    path = write(tmp_path, "okx_BTC-USDT-SWAP_1h_x.parquet", columns(rows))
    ingest(service, file_source(path), (), (), NOW, NOW)
    write(tmp_path, path.name, columns(rows, volume=spoilt(rows.volume, 7, 3.25)))
    (report,) = ingest(service, file_source(path), (), (), NOW, NOW)
    assert (report.inserted, report.changed, report.unchanged) == (0, 1, 47)
    assert service.get_candles_range(BTC, "1h", 0, NOW).volume[7] == 3.25


def test_nothing_of_a_refused_file_is_stored(service: DataService, tmp_path: Path) -> None:
    rows = walk(48)
    write(tmp_path, "okx_BTC-USDT-SWAP_1h_x.parquet", columns(rows))
    write(tmp_path, "okx_ETH-USDT-SWAP_1h_x.parquet", columns(rows, open=spoilt(rows.open, 30, -1.0)))
    with pytest.raises(DataError, match="nothing was stored"):
        ingest(service, file_source(tmp_path), (), (), NOW, NOW)
    assert service.series() == []


def test_a_read_only_database_is_refused(service: DataService, tmp_path: Path) -> None:
    reader = DataService(f"sqlite:///{tmp_path / 'market.db'}", read_only=True)
    with pytest.raises(StoreError):
        ingest(reader, file_source(write(tmp_path, "okx_BTC-USDT-SWAP_1h_x.parquet", columns(walk(9)))), (), (), NOW, NOW)
    reader.close()
    with pytest.raises(NoData):
        service.source(BTC)


def test_a_report_is_recorded(service: DataService, tmp_path: Path) -> None:
    """What `ingest` returns is what ingest_runs keeps."""
    path = write(tmp_path, "okx_BTC-USDT-SWAP_1h_x.parquet", columns(walk(48)))
    for report in ingest(service, file_source(path), (), (), NOW, NOW):
        service.record_ingest(NOW, report.as_dict())
    assert {row["table"]: row["rows"] for row in service.stats()}["ingest_runs"] == 1
