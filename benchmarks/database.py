"""How fast candles are written and read: python benchmarks/database.py [ROWS] (default 1,000,000).

Ratios are to plain sqlite3 on the same machine and moment: executemany for writing, fetchall and numpy for reading. Above 1 is faster.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

from alpha_arena.core.types import Candles
from alpha_arena.data.service import DataService

BTC, MINUTE = "BTC/USDT:USDT", 60_000
TABLE = """CREATE TABLE candles (exchange TEXT, symbol TEXT, timeframe TEXT, ts BIGINT, open REAL, high REAL, low REAL, close REAL,
volume REAL, PRIMARY KEY (exchange, symbol, timeframe, ts))"""


def bars(count: int) -> Candles:
    """Minutes of a random walk."""
    close = 40_000 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 1e-3, count)))
    return Candles(MINUTE * np.arange(count), close, close * 1.001, close * 0.999, close, close / 1e4)


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    began = perf_counter()
    work()
    return perf_counter() - began


def plain_write(path: Path, rows: Candles) -> None:
    """What sqlite3 alone does: one executemany in one transaction, the log and synchronisation as ours."""
    columns = (rows.ts, rows.open, rows.high, rows.low, rows.close, rows.volume)
    values = [("x", BTC, "1m", *row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", TABLE, "BEGIN IMMEDIATE"):
        connection.execute(statement)
    connection.executemany("INSERT INTO candles VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    connection.execute("COMMIT")
    connection.close()


def plain_read(path: Path) -> np.ndarray:
    """What sqlite3 and numpy alone do, on the same table as ours."""
    connection = sqlite3.connect(path)
    query = "SELECT ts, open, high, low, close, volume FROM candles WHERE exchange = 'x' AND symbol = ? AND timeframe = '1m' ORDER BY ts"
    found = np.array(connection.execute(query, (BTC,)).fetchall())
    connection.close()
    return found


def report(name: str, rows: int, ours: float, theirs: float | None = None) -> None:
    """A line of the table."""
    ratio = f"{theirs / ours:6.2f} x" if theirs else ""
    print(f"{name:34} {ours:7.2f} s {rows / ours:12,.0f} rows/s {ratio}")


def main(count: int) -> None:
    """Measure and print."""
    rows = bars(count)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ours.db"
        service = DataService(f"sqlite:///{path}")
        service.upgrade()
        theirs = seconds(lambda: plain_write(Path(folder) / "theirs.db", rows))
        report("write new rows", count, seconds(lambda: service.write_candles("x", BTC, "1m", rows)), theirs)
        report("write the same rows again", count, seconds(lambda: service.write_candles("x", BTC, "1m", rows)), theirs)
        theirs = min(seconds(lambda: plain_read(path)) for _ in range(3))
        report("read into arrays", count, min(seconds(lambda: service.get_candles_range(BTC, "1m", 0, 2**60)) for _ in range(3)), theirs)
        report("read the newest 2,000", 2_000, seconds(lambda: service.get_ohlcv(BTC, "1m", 2_000)))
        report("coverage", count, seconds(service.coverage))
        report("gaps", count, seconds(service.gaps))
        service.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
