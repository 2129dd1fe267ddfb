"""Made-up series, files of them, and a warehouse in memory with DataService's interface."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from alpha_arena.core.errors import NoData
from alpha_arena.core.types import Candles, Funding
from alpha_arena.exchange.file import FileSource

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
BTC = "BTC/USDT:USDT"


def at(text: str) -> int:
    """ms of an ISO time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOW = at("2025-06-01")


@dataclass(frozen=True)
class StoppedClock:
    """A clock that stands still."""

    ms: int = NOW

    def now_ms(self) -> int:
        return self.ms


def walk(count: int, start_ms: int = at("2024-01-01"), bar_ms: int = HOUR, seed: int = 0) -> Candles:
    """Sound bars of a random walk."""
    rng = np.random.default_rng(seed)
    close = 40_000 * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
    opened = np.r_[40_000.0, close[:-1]] if count else close
    high, low = np.maximum(opened, close) * 1.002, np.minimum(opened, close) * 0.998
    return Candles(start_ms + bar_ms * np.arange(count), opened, high, low, close, rng.uniform(1, 9, count))


def columns(rows: Candles | Funding, **changed: Any) -> dict[str, Any]:
    """Columns as in a file; `changed` replaces some, None leaves one out."""
    names = {"rate": "funding_rate"}
    table = {names.get(item.name, item.name): getattr(rows, item.name) for item in fields(rows)} | changed
    return {name: values for name, values in table.items() if values is not None}


def spoilt(values: np.ndarray[Any, Any], row: int, value: float) -> np.ndarray[Any, Any]:
    """A copy with one cell replaced."""
    copy = np.array(values)
    copy[row] = value
    return copy


def write(folder: Path, name: str, table: dict[str, Any]) -> Path:
    """A Parquet or CSV file, by its suffix."""
    path = folder / name
    arrow = pa.table({key: pa.array(values) for key, values in table.items()})
    pq.write_table(arrow, path) if path.suffix == ".parquet" else csv.write_csv(arrow, path)
    return path


def file_source(path: Path | str | None, **given: Any) -> FileSource:
    """A file source with its clock at NOW."""
    settings = {"name": "file", "funding_path": None, "symbol": None, "timeframe": None, "clock": StoppedClock(), **given}
    return FileSource(path=str(path) if path else None, **settings)


@dataclass(frozen=True)
class Done:
    """What a write did."""

    inserted: int
    changed: int
    unchanged: int


@dataclass
class Memory:
    """A warehouse in memory; `writes` counts transactions, `fail_at` breaks one off before it changes anything."""

    rows: dict[tuple[str, str, str], dict[int, tuple[float, ...]]] = field(default_factory=dict)
    writes: int = 0
    fail_at: int = -1

    def _write(self, key: tuple[str, str, str], values: dict[int, tuple[float, ...]]) -> Done:
        if self.writes == self.fail_at:
            raise KeyboardInterrupt
        self.writes += 1
        held = self.rows.setdefault(key, {})
        inserted = len(values.keys() - held.keys())
        changed = sum(ts in held and held[ts] != row for ts, row in values.items())
        held |= values
        return Done(inserted, changed, len(values) - inserted - changed)

    def write_candles(self, exchange: str, symbol: str, timeframe: str, candles: Candles) -> Done:
        c = candles
        rows = zip(c.open.tolist(), c.high.tolist(), c.low.tolist(), c.close.tolist(), c.volume.tolist(), strict=True)
        return self._write((exchange, symbol, timeframe), dict(zip(c.ts.tolist(), rows, strict=True)))

    def write_funding(self, exchange: str, symbol: str, funding: Funding) -> Done:
        rows = ((rate,) for rate in funding.rate.tolist())
        return self._write((exchange, symbol, "funding"), dict(zip(funding.ts.tolist(), rows, strict=True)))

    def last_ts(self, exchange: str, symbol: str, timeframe: str) -> int | None:
        return max(self.rows.get((exchange, symbol, timeframe), {}), default=None)

    def _range(self, key: tuple[str, str, str], start: int, end: int, width: int) -> np.ndarray[Any, Any]:
        held = self.rows.get(key, {})
        return np.array([(ts, *held[ts]) for ts in sorted(held) if start <= ts < end]).reshape(-1, width)

    def get_candles_range(self, symbol: str, timeframe: str, start_ts: int, end_ts: int, exchange: str | None = None) -> Candles:
        table = self._range((exchange or "file", symbol, timeframe), start_ts, end_ts, 6)
        return Candles(table[:, 0].astype(np.int64), *table[:, 1:].T)

    def get_latest_funding(self, symbol: str, exchange: str | None = None) -> dict[str, Any] | None:
        if not any(key[:2] == (exchange, symbol) and key[2] != "funding" for key in self.rows):
            raise NoData(f"no candles of {symbol} from {exchange} are stored")
        held = self.rows.get((exchange or "file", symbol, "funding"), {})
        return {"ts": max(held), "rate": held[max(held)][0], "exchange": exchange} if held else None

    def get_funding_range(self, symbol: str, start_ts: int, end_ts: int, exchange: str | None = None) -> Funding:
        table = self._range((exchange or "file", symbol, "funding"), start_ts, end_ts, 2)
        return Funding(table[:, 0].astype(np.int64), table[:, 1])

    def count(self, timeframe: str, symbol: str = BTC, exchange: str = "file") -> int:
        """Rows of one series."""
        return len(self.rows.get((exchange, symbol, timeframe), {}))
