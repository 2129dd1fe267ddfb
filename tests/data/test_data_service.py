"""DataService on both databases: what is written is read, a second time changes nothing, questions without an answer say so."""

from __future__ import annotations

import json
import sqlite3
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from series import BTC, DAY, ETH, HOUR, MINUTE, START, eight_hourly, same, walk

from alpha_arena.core.errors import ConfigError, DataError, NoData, StoreError, UnknownName
from alpha_arena.core.timeframes import aggregate
from alpha_arena.core.types import Candles, Funding, Instrument
from alpha_arena.data import queries, tables
from alpha_arena.data.candles import all_series, holders
from alpha_arena.data.service import DataService, Series, Written
from alpha_arena.data.tables import METADATA


def test_what_is_written_is_read_and_a_second_time_changes_nothing(service: DataService) -> None:
    """Importing the same rows again changes 0 of them."""
    bars, paid = walk(500), eight_hourly(50)
    assert service.write_candles("okx", BTC, "1h", bars) == Written(500, 0, 0)
    assert service.write_candles("okx", BTC, "1h", bars) == Written(0, 0, 500)
    assert service.write_funding("okx", BTC, paid) == Written(50, 0, 0)
    assert service.write_funding("okx", BTC, paid) == Written(0, 0, 50)
    assert same(service.get_candles_range(BTC, "1h", 0, 2**60), bars)
    kept = service.get_funding_range(BTC, 0, 2**60)
    assert np.array_equal(kept.ts, paid.ts)
    assert np.array_equal(kept.rate, paid.rate)
    assert queries.candle_revisions(service) == []


def test_a_changed_bar_keeps_its_old_values_in_a_revision(service: DataService) -> None:
    bars = walk(10)
    service.write_candles("okx", BTC, "1h", bars)
    close = bars.close.copy()
    close[4] *= 1.001
    changed = Candles(bars.ts, bars.open, bars.high, bars.low, close, bars.volume)
    assert service.write_candles("okx", BTC, "1h", changed) == Written(0, 1, 9)
    assert same(service.get_candles_range(BTC, "1h", 0, 2**60), changed)
    revision = queries.candle_revisions(service, BTC)[0]
    assert revision["ts"] == bars.ts[4]
    assert (revision["old"][3], revision["new"][3]) == (bars.close[4], close[4])


def test_changed_funding_is_replaced(service: DataService) -> None:
    paid = eight_hourly(5)
    service.write_funding("okx", BTC, paid)
    rate = paid.rate.copy()
    rate[2] = 0.5
    more = Funding(np.append(paid.ts, paid.ts[-1] + HOUR), np.append(rate, 0.1))
    assert service.write_funding("okx", BTC, more) == Written(1, 1, 4)
    assert np.array_equal(service.get_funding_range(BTC, 0, 2**60).rate, more.rate)


NUMBERS = count()
ROWS = st.lists(st.tuples(st.integers(0, 12), st.sampled_from([1.0, 2.0, 3.5])), max_size=12, unique_by=lambda row: row[0])


def made(rows: list[tuple[int, float]]) -> Candles:
    """Bars from (hour, price) pairs."""
    ordered = sorted(rows)
    price = np.array([value for _, value in ordered])
    return Candles(np.array([START + hour * HOUR for hour, _ in ordered], np.int64), price, price, price, price, price)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(writes=st.lists(ROWS, max_size=4))
def test_any_writes_in_any_order_leave_the_last_value_of_each_bar(
    sqlite_service: DataService, writes: list[list[tuple[int, float]]]
) -> None:
    """A write is an upsert: its counts add up, repeating it changes nothing, and what is stored is the union with the newest values."""
    name, kept = f"SYMBOL-{next(NUMBERS)}", dict[int, float]()
    for rows in writes:
        done = sqlite_service.write_candles("x", name, "1h", made(rows))
        assert done.inserted == len({hour for hour, _ in rows} - kept.keys())
        assert done.changed == sum(kept.get(hour, value) != value for hour, value in rows)
        assert done.inserted + done.changed + done.unchanged == len(rows)
        assert sqlite_service.write_candles("x", name, "1h", made(rows)) == Written(0, 0, len(rows))
        kept |= dict(rows)
    assert same(sqlite_service.get_candles_range(name, "1h", 0, 2**60, "x"), made(list(kept.items())))


def test_ranges_are_half_open_and_limits_take_the_newest(service: DataService) -> None:
    bars = walk(48)
    service.write_candles("okx", BTC, "1h", bars)
    assert same(service.get_candles_range(BTC, "1h", int(bars.ts[5]), int(bars.ts[9])), bars[5:9])
    assert same(service.get_ohlcv(BTC, "1h", 7), bars[41:])
    assert same(service.get_ohlcv(BTC, "1h", 1000), bars)
    assert len(service.get_ohlcv(BTC, "1h", 0)) == 0
    assert service.last_ts("okx", BTC, "1h") == bars.ts[-1]
    assert service.last_ts("okx", BTC, "4h") is None


def test_a_timeframe_that_is_not_stored_is_made_of_the_highest_lower_one(service: DataService) -> None:
    minutes, quarters = walk(3 * 1440, bar_ms=MINUTE), walk(96, bar_ms=15 * MINUTE, seed=3)
    service.write_candles("okx", BTC, "1m", minutes)
    assert same(service.get_ohlcv(BTC, "1h", 1000), aggregate(minutes, MINUTE, HOUR))
    assert same(service.get_ohlcv(BTC, "1d", 2), aggregate(minutes, MINUTE, DAY)[1:])
    middle = service.get_candles_range(BTC, "4h", START + HOUR, START + 9 * HOUR)
    assert same(middle, aggregate(minutes, MINUTE, 4 * HOUR)[1:3])
    service.write_candles("okx", BTC, "15m", quarters)
    assert same(service.get_ohlcv(BTC, "1h", 1000), aggregate(quarters, 15 * MINUTE, HOUR))
    assert len(service.stored_range(Series("okx", BTC, "1h"), 0, 2**60)) == 0


def test_the_market_holds_bars_closed_by_then_and_what_was_settled(service: DataService) -> None:
    """D15: nothing that was not known at `end_ts` is in it."""
    bars, paid = walk(72), eight_hourly(12)
    service.write_candles("okx", BTC, "1h", bars)
    service.write_funding("okx", BTC, paid)
    end = START + 20 * HOUR + 30 * MINUTE
    market = service.market(BTC, "1h", end_ts=end)
    assert same(market.candles, bars[:20])
    assert market.funding_ts[-1] == START + 16 * HOUR
    assert market.funding[-1] == paid.rate[2]
    newest = service.market(BTC, "1h", limit=5)
    assert same(newest.candles, bars[67:])
    assert newest.funding_ts.size == 10
    assert len(service.market(BTC, "1h", end_ts=START)) == 0


def test_the_source_is_the_only_holder_or_must_be_named(service: DataService) -> None:
    """D59: what is missing is said with the command that brings it."""
    with pytest.raises(NoData, match=r"no candles of BTC/USDT:USDT are stored; run alpha-arena ingest symbol=btc exchange=NAME"):
        service.source(BTC)
    service.write_candles("okx", BTC, "1h", walk(3))
    assert service.source(BTC) == "okx"
    with pytest.raises(NoData, match=r"from file are stored \(there are some from okx\); run alpha-arena ingest symbol=btc exchange=file"):
        service.source(BTC, "file")
    service.write_candles("file", BTC, "4h", walk(3, bar_ms=4 * HOUR))
    with pytest.raises(ConfigError, match="stored from 2 sources; choose one with exchange=file or exchange=okx"):
        service.get_ohlcv(BTC, "1h", 5)
    assert service.source(BTC, "file") == "file"
    assert len(service.get_candles_range(BTC, "1h", 0, 2**60, "nowhere")) == 0
    assert service.series() == [Series("file", BTC, "4h"), Series("okx", BTC, "1h")]


def test_asking_what_is_stored_does_not_read_the_bars(sqlite_service: DataService) -> None:
    """SQLite counts its steps: they do not grow with the bars of a series."""
    for symbol in (BTC, ETH):
        sqlite_service.write_candles("okx", symbol, "1m", walk(20_000, bar_ms=MINUTE))
    steps: list[int] = []
    with sqlite_service.database.read() as connection:
        raw: Any = connection.connection.dbapi_connection
        raw.set_progress_handler(lambda: steps.append(1), 1_000)
        assert len(list(all_series(connection))) == 2
        assert holders(connection, tables.candles, ETH) == ["okx"]
        raw.set_progress_handler(None, 0)
    assert len(steps) <= 1


def test_latest_funding_and_prices(service: DataService) -> None:
    assert service.get_latest_funding(BTC) is None
    assert service.get_funding_range(BTC, 0, 2**60).ts.size == 0
    bars, paid = walk(5), eight_hourly(3)
    service.write_candles("okx", BTC, "1h", bars)
    service.write_candles("okx", BTC, "1d", walk(1, START - DAY, DAY))
    service.write_funding("okx", BTC, paid)
    assert service.get_latest_funding(BTC) == {"exchange": "okx", "symbol": BTC, "ts": paid.ts[-1], "rate": paid.rate[-1]}
    price = service.get_latest_prices(BTC)
    assert price["last"] == bars.close[-1]
    assert (price["ts"], price["timeframe"], price["mark"]) == (bars.ts[-1] + HOUR, "1h", None)
    service.write_price("okx", BTC, START, mark=41.5, index_price=41.25)
    service.write_price("okx", BTC, START + 1, mark=42.5)
    priced = service.get_latest_prices(BTC)
    assert (priced["mark"], priced["index_price"], priced["priced_ts"]) == (42.5, None, START + 1)
    service.write_funding("file", BTC, paid)
    with pytest.raises(ConfigError, match="funding of"):
        service.get_latest_funding(BTC)
    assert service.get_latest_funding(BTC, "file") is not None


def test_coverage_counts_what_is_missing_and_gaps_say_where(service: DataService) -> None:
    """D58: holes and bars without a trade are told apart and recorded."""
    bars = walk(50)
    keep = np.ones(50, np.bool_)
    keep[[10, 11, 12, 30]] = False
    volume = bars.volume.copy()
    volume[[5, 6, 13, 49]] = 0
    service.write_candles("okx", BTC, "1h", Candles(bars.ts, bars.open, bars.high, bars.low, bars.close, volume)[keep])
    service.write_candles("okx", ETH, "1h", walk(20))
    row = next(row for row in service.coverage() if row["symbol"] == BTC)
    assert row == {"exchange": "okx", "symbol": BTC, "timeframe": "1h", "first_ts": START, "last_ts": START + 49 * HOUR} | {
        "rows": 46,
        "expected": 50,
        "missing": 4,
        "gaps": 2,
    }
    found = [(g["kind"], (g["start_ts"] - START) // HOUR, (g["end_ts"] - START) // HOUR, g["bars"]) for g in service.gaps(BTC)]
    assert found == [
        ("no_trade", 5, 7, 2),
        ("missing", 10, 13, 3),
        ("no_trade", 13, 14, 1),
        ("missing", 30, 31, 1),
        ("no_trade", 49, 50, 1),
    ]
    assert service.gaps(ETH) == []
    assert service.record_gaps() == service.gaps()
    assert len(queries.browse(service, "data_gaps")) == 5
    service.write_candles("okx", BTC, "1h", bars)
    assert service.record_gaps(BTC, "1h", "okx") == []
    assert queries.browse(service, "data_gaps") == []


def test_the_hash_is_of_exactly_the_rows_read(service: DataService) -> None:
    service.write_candles("okx", BTC, "1h", walk(30))
    service.write_candles("okx", ETH, "1h", walk(30, seed=1))
    btc, eth = service.market(BTC, "1h"), service.market(ETH, "1h")
    whole = service.data_hash([btc, eth])
    assert whole == service.data_hash([eth, btc])
    assert len(whole) == 64
    assert len({whole, service.data_hash([btc]), service.data_hash([btc.rows(0, 29), eth]), service.data_hash([btc.rows(1, 30), eth])}) == 4
    service.write_funding("okx", BTC, eight_hourly(2))
    assert service.data_hash([service.market(BTC, "1h"), eth]) != whole


def broken(**columns: object) -> Candles:
    """Four sound bars with some columns replaced."""
    bars = walk(4)
    return Candles(
        **{name: np.asarray(columns.get(name, getattr(bars, name))) for name in ("ts", "open", "high", "low", "close", "volume")}
    )


@pytest.mark.parametrize(
    ("bars", "words"),
    [
        (broken(ts=START + HOUR * np.array([0, 2, 1, 3])), "ts must ascend, each bar once; row 2"),
        (broken(ts=START + HOUR * np.array([0, 1, 1, 3])), "ts must ascend, each bar once; row 2"),
        (broken(ts=START + HOUR * np.arange(4) + 1), "ts must be a multiple of 3600000 ms; row 0"),
        (broken(close=np.array([1.0, np.nan, 1.0, 1.0])), "every value must be a finite number; row 1"),
        (broken(volume=np.array([1.0, 1.0, 1.0, np.inf])), "every value must be a finite number; row 3"),
    ],
)
def test_unsound_bars_are_refused_whole(sqlite_service: DataService, bars: Candles, words: str) -> None:
    with pytest.raises(DataError, match=words):
        sqlite_service.write_candles("okx", BTC, "1h", bars)
    assert sqlite_service.series() == []


def test_unsound_funding_is_refused_whole(sqlite_service: DataService) -> None:
    for ts, rate in (([2, 1], [0.0, 0.0]), ([1, 2], [0.0, float("nan")])):
        with pytest.raises(DataError, match=r"nothing was written"):
            sqlite_service.write_funding("okx", BTC, Funding(np.array(ts), np.array(rate)))
    assert sqlite_service.get_latest_funding(BTC) is None


def write_and_break_off(service: DataService) -> None:
    """A batch that is interrupted after its first write."""
    with service.batch():
        service.write_candles("okx", BTC, "1h", walk(5))
        assert len(service.get_ohlcv(BTC, "1h", 10)) == 5
        raise KeyboardInterrupt


def test_a_batch_is_one_transaction(service: DataService) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_and_break_off(service)
    assert service.series() == []
    with service.batch():
        service.write_candles("okx", BTC, "1h", walk(5))
        service.write_funding("okx", BTC, eight_hourly(1))
    assert service.source(BTC) == "okx"


def test_imports_instruments_and_rows_of_any_table_can_be_looked_at(service: DataService) -> None:
    report = {"exchange": "file", "symbol": BTC, "timeframe": "1h", "inserted": 3, "changed": 0, "unchanged": 1, "seconds": 0.5, "gaps": []}
    service.record_ingest(START, report)
    assert queries.ingest_runs(service)[0]["report"] == report
    service.write_instruments("okx", [Instrument(BTC, 0.0001, 0.1, 0.01, 100, "2024-05-01")])
    assert queries.browse(service, "instruments")[0]["lot"] == 0.0001
    assert {"table": "instruments", "rows": 1} in service.stats()
    assert len(service.stats()) == len(METADATA.tables)
    with pytest.raises(UnknownName, match="unknown table 'order', did you mean 'orders'"):
        queries.browse(service, "order")


def test_floats_come_back_to_the_last_bit(service: DataService) -> None:
    """Candles are REAL, ledger figures the shortest decimal text."""
    values = np.array([0.1, 1 / 3, 1e-300, 123456789.123456789])
    bars = Candles(START + HOUR * np.arange(4), values, values, values, values, values)
    service.write_candles("x", BTC, "1h", bars)
    assert same(service.get_ohlcv(BTC, "1h", 4), bars)
    service.write_price("x", BTC, 1, mark=1 / 3, index_price=1e-9)
    price = service.get_latest_prices(BTC)
    assert (price["mark"], price["index_price"]) == (1 / 3, 1e-9)


def test_candles_lie_in_key_order_and_money_as_decimal_text(sqlite_service: DataService, tmp_path: Path) -> None:
    sqlite_service.write_price("x", BTC, 1, mark=1e-9)
    with sqlite3.connect(tmp_path / "arena.db") as raw:
        assert "WITHOUT ROWID" in raw.execute("SELECT sql FROM sqlite_master WHERE name = 'candles'").fetchone()[0]
        assert raw.execute("SELECT mark, typeof(mark) FROM prices").fetchone() == ("1E-9", "text")
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    raw.close()


def test_a_read_only_service_writes_nothing(service: DataService, url: str) -> None:
    service.write_candles("okx", BTC, "1h", walk(3))
    reader = DataService(url, read_only=True)
    assert len(reader.get_ohlcv(BTC, "1h", 5)) == 3
    with pytest.raises(StoreError, match="may not be written to"):
        reader.write_candles("okx", BTC, "1h", walk(4))
    with pytest.raises(StoreError, match="may not be written to"):
        reader.record_ingest(1, json.loads('{"exchange":"","symbol":"","timeframe":"","inserted":0,"changed":0,"unchanged":0,"seconds":0}'))
    reader.close()
    assert len(service.get_ohlcv(BTC, "1h", 5)) == 3
