"""Files of candles and funding: names, formats, folders, and the real defects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from samples import BTC, HOUR, NOW, StoppedClock, at, columns, file_source, spoilt, walk, write

from alpha_arena.core.errors import ConfigError, DataError
from alpha_arena.core.types import Candles, Funding
from alpha_arena.exchange.file import FileSource, Label, label

NAME = "okx_BTC-USDT-SWAP_1h_2024-01.parquet"
SETTLED = Funding(at("2024-01-01") + 8 * HOUR * np.arange(9), np.linspace(-1e-4, 3e-4, 9))


def held(source: FileSource, symbol: str = BTC, timeframe: str = "1h") -> Candles:
    return source.candles(symbol, timeframe, 0, NOW)


@pytest.mark.parametrize(
    ("stem", "venue", "symbol", "kind"),
    [
        ("okx_BTC-USDT-SWAP_1h_2023-01_2025-04", "okx", "BTC/USDT:USDT", "1h"),
        ("okx_XRP-USDT-SWAP_funding_2026-04_2026-07", "okx", "XRP/USDT:USDT", "funding"),
        ("okx_ETH-USDT-SWAP_1h-mark_2022-05_2025-04", "okx", "ETH/USDT:USDT", "mark"),
        ("okx_SOL-USDT_1d", "okx", "SOL/USDT", "1d"),
        ("binance_BTCUSDT-PERP_15m_2023-12_2025-04", "binance", "BTC/USDT:USDT", "15m"),
        ("binance_BTCUSDT-PERP_gappy_1h_2024-10_2025-02", "binance", "BTC/USDT:USDT", "1h"),
        ("binance_BTCUSDT-SPOT_2h_2017-08_2025-04", "binance", "BTC/USDT", "2h"),
        ("ftx_BTC-PERP_1m_2021-12_2022-02", "ftx", "BTC/USD:USD", "1m"),
        ("binance_BTCUSDT-PERP", "binance", "BTC/USDT:USDT", ""),
        ("raw_okx_ETH_1h_truncated_timestamps", "", "", ""),
        ("candles", "", "", ""),
    ],
)
def test_a_name_says_venue_symbol_and_timeframe(stem: str, venue: str, symbol: str, kind: str) -> None:
    assert label(stem) == Label(venue, symbol, kind)


REAL = {
    "binance_BTCUSDT-PERP_15m_2023-12_2025-04": (BTC, "15m", 49_536),
    "binance_BTCUSDT-PERP_1h_2020-08_2021-04": (BTC, "1h", 6_310),
    "binance_BTCUSDT-PERP_funding_2019-09_2025-04": (BTC, "funding", 6_179),
    "binance_BTCUSDT-SPOT_1h_2017-08_2021-04": ("BTC/USDT", "1h", 31_941),
    "binance_BTCUSDT-SPOT_2h_2017-08_2025-04": ("BTC/USDT", "2h", 33_713),
    "binance_ETHUSDT-PERP_funding_2024-07_2025-04": ("ETH/USDT:USDT", "funding", 885),
    "ftx_BTC-PERP_1m_2021-12_2022-02": ("BTC/USD:USD", "1m", 45_031),
    "okx_BTC-USDT-SWAP_15m_2023-01_2025-04": (BTC, "15m", 81_696),
    "okx_BTC-USDT-SWAP_1d_2022-01_2025-04": (BTC, "1d", 1_216),
    "okx_BTC-USDT-SWAP_1h_2023-01_2025-04": (BTC, "1h", 20_424),
    "okx_BTC-USDT-SWAP_4h_2022-01_2025-04": (BTC, "4h", 7_296),
    "okx_BTC-USDT-SWAP_5m_2022-05_2022-12": (BTC, "5m", 70_499),
    "okx_BTC-USDT-SWAP_funding_2026-04_2026-07": (BTC, "funding", 282),
    "okx_ETH-USDT-SWAP_1h_2024-01_2025-04": ("ETH/USDT:USDT", "1h", 11_664),
    "okx_ETH-USDT-SWAP_5m_2022-05_2022-12": ("ETH/USDT:USDT", "5m", 70_499),
    "okx_ETH-USDT-SWAP_funding_2026-04_2026-07": ("ETH/USDT:USDT", "funding", 282),
    "okx_XRP-USDT-SWAP_15m_2024-07_2025-04": ("XRP/USDT:USDT", "15m", 28_301),
    "okx_XRP-USDT-SWAP_funding_2026-04_2026-07": ("XRP/USDT:USDT", "funding", 282),
}


@pytest.mark.parametrize("stem", REAL)
def test_real_files_load_as_they_are(shared_data: Path, stem: str) -> None:
    """Symbol, timeframe and every row, with no setting but the path."""
    symbol, kind, count = REAL[stem]
    source = file_source(shared_data / f"{stem}.parquet", clock=StoppedClock(at("2026-11-01")))
    assert source.offers() == {symbol: (kind,)}
    rows = source.funding(symbol, 0, at("2030-01-01")) if kind == "funding" else source.candles(symbol, kind, 0, at("2030-01-01"))
    assert rows.ts.size == count


def test_mark_prices_are_no_candles(shared_data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds mark prices only"):
        file_source(shared_data / "okx_ETH-USDT-SWAP_1h-mark_2022-05_2025-04.parquet").offers()
    write(tmp_path, NAME, columns(walk(5)))
    write(tmp_path, "okx_BTC-USDT-SWAP_1h-mark_2024-01.parquet", columns(walk(9)))
    source = file_source(tmp_path)
    assert [str(item) for item in source.repairs(BTC, "1h")] == [
        "1 file of mark prices left out: okx_BTC-USDT-SWAP_1h-mark_2024-01.parquet"
    ]
    assert len(held(source)) == 5


def test_two_exchanges_in_one_folder_conflict(shared_data: Path) -> None:
    """D72: prices of two exchanges are never mixed; both files and the next step are named."""
    both = r"binance_BTCUSDT-PERP_15m_\S+ and okx_BTC-USDT-SWAP_15m_\S+ have different values for 2024-11-30 .*; import one of them, or a"
    with pytest.raises(DataError, match=both):
        file_source(shared_data, clock=StoppedClock(at("2026-11-01"))).offers()


def test_a_real_download_with_holes_loads_with_the_gaps_named(shared_data: Path) -> None:
    """defects: two holes of 500 bars stay holes."""
    source = file_source(shared_data / "defects" / "binance_BTCUSDT-PERP_gappy_1h_2024-10_2025-02.parquet")
    steps = np.diff(held(source).ts)
    assert (len(held(source)), (steps[steps > HOUR] // HOUR - 1).tolist()) == (2_418, [500, 500])


def test_real_jittered_funding_loads_on_the_minute(shared_data: Path) -> None:
    """defects: settlements up to 47 ms late equal those of the cleaned file."""
    source = file_source(shared_data / "defects" / "raw_binance_BTC_funding_jittered_stamps.csv", symbol=BTC)
    clean = file_source(shared_data / "binance_BTCUSDT-PERP_funding_2019-09_2025-04.parquet").funding(BTC, 0, NOW)
    assert source.funding(BTC, 0, NOW).ts.tolist() == clean.ts.tolist()
    assert np.array_equal(source.funding(BTC, 0, NOW).rate, clean.rate)
    assert [str(item) for item in source.repairs(BTC, "funding")] == ["2509 settlement stamps floored to the minute"]


def test_real_truncated_stamps_are_refused(shared_data: Path) -> None:
    """defects: ms // 10^6 cannot be undone without guessing."""
    source = file_source(shared_data / "defects" / "raw_okx_ETH_1h_truncated_timestamps.csv", symbol="ETH/USDT:USDT", timeframe="1h")
    with pytest.raises(DataError, match="row 1 has the stamp 1704067, which is no time from 2009 to 2100 in seconds, ms, us or ns"):
        source.offers()


def test_real_contradicting_hours_are_refused(shared_data: Path) -> None:
    """defects: seconds and ms are told apart row by row, but of two different closes for one hour nobody chooses; rows as in the file."""
    source = file_source(shared_data / "defects" / "raw_cdd_binance_spot_BTCUSDT_1h.csv", symbol="BTC/USDT", timeframe="1h")
    told = (
        r"rows 3451 and 3452 have different values for 2020-11-20 07:00 UTC: close 18212.0 and 18143.03 \(the widest of 2646 such pairs\)"
    )
    with pytest.raises(DataError, match=told):
        source.offers()


def test_the_same_file_without_its_second_rows_loads(shared_data: Path, tmp_path: Path) -> None:
    """What the refusal asks for works: newest first, two date formats, seconds and ms are put right and reported."""
    lines = (shared_data / "defects" / "raw_cdd_binance_spot_BTCUSDT_1h.csv").read_text().splitlines()
    hours: dict[int, str] = {}
    for line in lines[1:]:
        unix = int(float(line.split(",")[0]))
        hours.setdefault(unix if unix > 10**11 else unix * 1000, line)
    (tmp_path / "binance_BTCUSDT-SPOT_1h_x.csv").write_text("\n".join([lines[0], *hours.values()]))
    source = file_source(tmp_path)
    clean = file_source(shared_data / "binance_BTCUSDT-SPOT_1h_2017-08_2021-04.parquet")
    ours, theirs = held(source, "BTC/USDT"), held(clean, "BTC/USDT")
    assert ours.ts.tolist() == theirs.ts.tolist()
    assert np.array_equal(ours.close, theirs.close)
    assert [item.kind for item in source.repairs("BTC/USDT", "1h")] == ["units", "order", "zero_volume"]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("unit", ["ms", "s", "text", "datetime"])
def test_formats_and_kinds_of_time_read_alike(tmp_path: Path, suffix: str, unit: str) -> None:
    rows = walk(30)
    moments = rows.ts.astype("datetime64[ms]")
    stamps = {"ms": rows.ts, "s": rows.ts // 1000, "text": np.datetime_as_string(moments, unit="s").tolist(), "datetime": moments}[unit]
    table = {"Timestamp" if unit == "text" else "ts": stamps, **columns(rows, ts=None)}
    path = write(tmp_path, f"okx_BTC-USDT-SWAP_1h_x.{suffix}", table)
    assert held(file_source(path)).ts.tolist() == rows.ts.tolist()
    assert np.array_equal(held(file_source(path)).close, rows.close)


def test_times_with_a_zone_are_read_as_utc(tmp_path: Path) -> None:
    rows = walk(30)
    zoned = pa.array(rows.ts.astype("datetime64[ms]")).cast(pa.timestamp("ms", tz="Asia/Tokyo"))
    path = write(tmp_path, NAME, {"date": zoned, **columns(rows, ts=None)})
    assert held(file_source(path)).ts.tolist() == rows.ts.tolist()


def test_a_folder_is_one_history(tmp_path: Path) -> None:
    """Files that overlap with equal rows are joined; funding lies beside them."""
    rows = walk(100)
    write(tmp_path, "okx_BTC-USDT-SWAP_1h_a.parquet", columns(rows[:60]))
    write(tmp_path, "okx_BTC-USDT-SWAP_1h_b.csv", columns(rows[40:]))
    write(tmp_path, "binance_BTCUSDT-PERP_1h_c.csv", columns(walk(5, at("2023-01-01"))))
    write(tmp_path, "okx_BTC-USDT-SWAP_funding_a.parquet", columns(SETTLED))
    write(tmp_path, "okx_ETH-USDT-SWAP_4h_a.parquet", columns(walk(20, bar_ms=4 * HOUR)))
    (tmp_path / "README.md").write_text("not data")
    source = file_source(tmp_path)
    assert source.offers() == {BTC: ("1h", "funding"), "ETH/USDT:USDT": ("4h",)}
    assert source.offers(["ETH/USDT:USDT"]) == {"ETH/USDT:USDT": ("4h",)}
    assert held(source).ts[5:].tolist() == rows.ts.tolist()
    assert [str(item) for item in source.repairs(BTC, "1h")] == [
        "20 rows stand in more than one file, with equal values",
        "105 rows recorded at binance and okx are joined into one series",
    ]
    assert source.span(BTC, "1h") == (at("2023-01-01"), int(rows.ts[-1]) + HOUR)
    assert source.span(BTC, "4h") is None


def test_a_name_that_says_nothing_takes_symbol_and_timeframe_from_the_settings(tmp_path: Path) -> None:
    path = write(tmp_path, "candles.csv", columns(walk(9)))
    assert len(held(file_source(path, symbol=BTC, timeframe="1h"))) == 9
    with pytest.raises(
        ConfigError, match=r"candles.csv does not say symbol and timeframe .* exchange.symbol=BTC/USDT:USDT exchange.timeframe=1h"
    ):
        file_source(path).offers()


def test_a_symbol_that_no_file_holds_is_a_usage_error(tmp_path: Path) -> None:
    source = file_source(write(tmp_path, NAME, columns(walk(9))))
    with pytest.raises(ConfigError, match=r"holds no ETH/USDT:USDT, only BTC/USDT:USDT; name one of these"):
        source.offers(["ETH/USDT:USDT"])


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (None, "exchange.path is not set; give a Parquet or CSV file"),
        ("missing.parquet", r"exchange.path=\S*missing.parquet does not exist"),
        (".", "is a folder without"),
    ],
)
def test_a_path_that_leads_nowhere(tmp_path: Path, path: str | None, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        file_source(tmp_path / path if path else None).offers()
    with pytest.raises(ConfigError, match=r"exchange.funding_path=nowhere does not exist"):
        file_source(write(tmp_path, NAME, columns(walk(9))), funding_path="nowhere").offers()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (NAME, b"", "cannot be read as a Parquet file"),
        (NAME, b"ts,open\n1,2\n", "cannot be read as a Parquet file"),
        ("okx_BTC-USDT-SWAP_1h_x.csv", b"", "cannot be read as a CSV file"),
        ("okx_BTC-USDT-SWAP_1h_x.csv", b"ts,open,high,low,close,volume\n", "has no rows"),
        ("okx_BTC-USDT-SWAP_1h_x.csv", b"ts,open\n1,2,3\n", "cannot be read as a CSV file"),
    ],
)
def test_a_file_that_is_not_what_it_seems(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"^{name} {told}"):
        file_source(tmp_path / name).offers()


@pytest.mark.parametrize("gone", ["ts", "open", "high", "low", "close", "volume"])
def test_a_missing_column_is_named(tmp_path: Path, gone: str) -> None:
    path = write(tmp_path, NAME, columns(walk(9), **{gone: None}))
    what = {"ts": "the bar's time", "volume": "the volume in base currency"}.get(gone, gone)
    with pytest.raises(DataError, match=rf"{NAME} has no column for {what} \(columns: .*\); name it '{gone}', nothing was stored"):
        file_source(path).offers()


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("x", r"row 2 has 'x' for close, allowed is a number"),
        ("", r"row 2 \(2024-01-01 01:00 UTC\) has close nan"),
        ("NaN", r"row 2 \(2024-01-01 01:00 UTC\) has close nan"),
        ("1e400", r"row 2 \(2024-01-01 01:00 UTC\) has close inf"),
        ("-5", r"row 2 \(2024-01-01 01:00 UTC\) has close -5.0, allowed is a finite number above 0"),
    ],
)
def test_a_cell_that_is_no_price_is_named(tmp_path: Path, cell: str, told: str) -> None:
    path = tmp_path / "okx_BTC-USDT-SWAP_1h_x.csv"
    rows = [f"{at('2024-01-01') + i * HOUR},5,6,4,{value},1" for i, value in enumerate(["5", cell, "5"])]
    path.write_text("\n".join(["ts,open,high,low,close,volume", *rows]))
    with pytest.raises(DataError, match=f"^{path.name}: {told}"):
        file_source(path).offers()


@pytest.mark.parametrize(
    ("stamp", "told"),
    [("soon", "row 2 has 'soon' for the bar's time"), ("", "row 2 has (None|the time nan)"), ("1e300", r"row 2 has the time 1e\+300")],
)
def test_a_stamp_that_is_no_time_is_named(tmp_path: Path, stamp: str, told: str) -> None:
    path = tmp_path / "okx_BTC-USDT-SWAP_1h_x.csv"
    path.write_text(f"ts,open,high,low,close,volume\n{at('2024-01-01')},5,6,4,5,1\n{stamp},5,6,4,5,1\n")
    with pytest.raises(DataError, match=f"^{path.name}: {told}"):
        file_source(path).offers()


def test_the_bar_that_is_open_by_the_clock_is_dropped(tmp_path: Path) -> None:
    rows = walk(30)
    source = file_source(write(tmp_path, NAME, columns(rows)), clock=StoppedClock(int(rows.ts[-1]) + 5))
    assert held(source).ts.tolist() == rows.ts[:-1].tolist()
    assert [item.kind for item in source.repairs(BTC, "1h")] == ["unfinished"]


def test_ranges_are_cut_at_start_and_before_end(tmp_path: Path) -> None:
    rows = walk(30)
    source = file_source(write(tmp_path, NAME, columns(rows)), funding_path=str(write(tmp_path, "x.csv", columns(SETTLED))), symbol=BTC)
    assert source.candles(BTC, "1h", int(rows.ts[3]), int(rows.ts[7])).ts.tolist() == rows.ts[3:7].tolist()
    assert source.funding(BTC, int(SETTLED.ts[2]), int(SETTLED.ts[5])).rate.tolist() == SETTLED.rate[2:5].tolist()
    assert len(source.candles("XRP/USDT:USDT", "1h", 0, NOW)) == 0
    assert source.funding("XRP/USDT:USDT", 0, NOW).ts.size == 0


def test_unknown_settings_are_refused() -> None:
    with pytest.raises((ValidationError, TypeError), match="paht"):
        file_source("x.csv", paht="x.csv")


def test_contradicting_rows_of_a_csv_name_their_rows(tmp_path: Path) -> None:
    rows = walk(5)
    twice = rows[np.array([0, 1, 2, 3, 4, 2])]
    path = write(tmp_path, "okx_BTC-USDT-SWAP_1h_x.csv", columns(twice, low=spoilt(twice.low, 5, 1.0)))
    with pytest.raises(DataError, match="rows 3 and 6 have different values for 2024-01-01 02:00 UTC: low"):
        file_source(path).offers()


def test_a_long_csv_may_change_its_way_of_writing(tmp_path: Path) -> None:
    """Whole ms at first and seconds with a decimal point a megabyte later are one column of times."""
    rows = walk(30_000, bar_ms=60_000)
    lines = [
        f"{ts if i < 25_000 else ts / 1000},5.12345678901,6.12345678901,4.12345678901,5.2,1.5" for i, ts in enumerate(rows.ts.tolist())
    ]
    path = tmp_path / "okx_BTC-USDT-SWAP_1m_x.csv"
    path.write_text("\n".join(["ts,open,high,low,close,volume", *lines]))
    assert held(file_source(path), BTC, "1m").ts.tolist() == rows.ts.tolist()
