"""DataService: the only door to the database for market data. Closed bars only, ascending; times are ms UTC."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, insert, select

from alpha_arena.core.errors import ConfigError, NoData
from alpha_arena.core.market import Market
from alpha_arena.core.timeframes import aggregate, timeframe_ms
from alpha_arena.core.types import Candles, Funding
from alpha_arena.data import tables
from alpha_arena.data.database import Database

FOREVER = 2**62
COLUMNS = ("ts", "open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did, in rows."""

    inserted: int = 0
    changed: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Series:
    """A stored series of candles."""

    exchange: str
    symbol: str
    timeframe: str


class DataService:
    """Market data in a database.

    Args:
        url: see Database. read_only: refuse every write.
    """

    def __init__(self, url: str, read_only: bool = False) -> None:
        self.database = Database(url, read_only)

    def upgrade(self) -> None:
        """Bring the schema to its newest form."""
        self.database.upgrade()

    def check_schema(self) -> None:
        """Refuse a database that is not migrated, with the command that migrates it."""
        self.database.check_schema()

    def batch(self) -> AbstractContextManager[None]:
        """One transaction for all writes within the block."""
        return self.database.batch()

    def close(self) -> None:
        """Release all connections."""
        self.database.close()

    def write_candles(self, exchange: str, symbol: str, timeframe: str, candles: Candles) -> Written:
        """Store bars; equal rows change nothing, a changed row's old and new values are kept in candle_revisions. One transaction."""
        if not len(candles):
            return Written()
        with self.database.write() as connection:
            known = self._read(connection, Series(exchange, symbol, timeframe), int(candles.ts[0]), int(candles.ts[-1]) + 1)
            fresh, changed = differences(known, candles)
            self._revise(connection, Series(exchange, symbol, timeframe), known, candles[changed])
            self._put(connection, Series(exchange, symbol, timeframe), candles[fresh | changed])
        return Written(int(fresh.sum()), int(changed.sum()), len(candles) - int(fresh.sum()) - int(changed.sum()))

    def _put(self, connection: Connection, series: Series, rows: Candles) -> None:
        if not len(rows):
            return
        mark = ", ".join([self.database.placeholder()] * 9)
        update = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])
        sql = f"INSERT INTO candles (exchange, symbol, timeframe, {', '.join(COLUMNS)}) VALUES ({mark})"
        sql += f" ON CONFLICT (exchange, symbol, timeframe, ts) DO UPDATE SET {update}"
        values = zip(*(getattr(rows, name).tolist() for name in COLUMNS), strict=True)
        connection.exec_driver_sql(sql, [(series.exchange, series.symbol, series.timeframe, *row) for row in values])

    def _revise(self, connection: Connection, series: Series, known: Candles, new: Candles) -> None:
        if not len(new):
            return
        old = known[np.searchsorted(known.ts, new.ts)]
        rows = [{**vars_of(series), "ts": int(ts), "old": row_json(old, i), "new": row_json(new, i)} for i, ts in enumerate(new.ts)]
        connection.execute(insert(tables.candle_revisions), rows)

    def write_funding(self, exchange: str, symbol: str, funding: Funding) -> Written:
        """Store settlements; equal rows change nothing. One transaction."""
        if not funding.ts.size:
            return Written()
        with self.database.write() as connection:
            known = self._read_funding(connection, exchange, symbol, int(funding.ts[0]), int(funding.ts[-1]) + 1)
            row = np.searchsorted(known.ts, funding.ts)
            held = np.append(known.ts, -1)[row] == funding.ts
            same = held & (np.append(known.rate, np.nan)[row] == funding.rate)
            new = zip(funding.ts[~same].tolist(), funding.rate[~same].tolist(), strict=True)
            rows = [{"exchange": exchange, "symbol": symbol, "ts": ts, "rate": rate} for ts, rate in new]
            self.database.upsert(connection, tables.funding_rates, rows, ("exchange", "symbol", "ts"))
        return Written(int((~held).sum()), int((held & ~same).sum()), int(same.sum()))

    def get_ohlcv(self, symbol: str, timeframe: str, limit: int, exchange: str | None = None) -> Candles:
        """The newest `limit` closed bars."""
        found = self.get_candles_range(symbol, timeframe, 0, FOREVER, exchange)
        return found[slice(max(len(found) - limit, 0), None)]

    def get_candles_range(self, symbol: str, timeframe: str, start_ts: int, end_ts: int, exchange: str | None = None) -> Candles:
        """Bars with start_ts <= ts < end_ts; of a timeframe that is not stored, aggregated from the highest lower one that is.

        Raises:
            NoData, ConfigError: as `source`.
        """
        where = self.source(symbol, exchange)
        with self.database.read() as connection:
            stored = self._made_of(connection, where, symbol, timeframe)
            rows = self._read(connection, Series(where, symbol, stored), start_ts, end_ts)
        return aggregate(rows, timeframe_ms(stored), timeframe_ms(timeframe))

    def _made_of(self, connection: Connection, exchange: str, symbol: str, timeframe: str) -> str:
        """The stored timeframe that serves: itself, or the highest lower one that divides it; itself where none does."""
        stored = {one.timeframe for one in self._series(connection, exchange, symbol)}
        length = timeframe_ms(timeframe)
        lower = [name for name in stored if timeframe_ms(name) < length and length % timeframe_ms(name) == 0]
        return timeframe if timeframe in stored or not lower else max(lower, key=timeframe_ms)

    def _read(self, connection: Connection, series: Series, start_ts: int, end_ts: int) -> Candles:
        mark = self.database.placeholder()
        sql = f"SELECT {', '.join(COLUMNS)} FROM candles WHERE exchange = {mark} AND symbol = {mark} AND timeframe = {mark}"
        sql += f" AND ts >= {mark} AND ts < {mark} ORDER BY ts"
        table = matrix(connection, sql, (*vars_of(series).values(), start_ts, end_ts), len(COLUMNS))
        return Candles(table[:, 0].astype(np.int64), *(np.ascontiguousarray(table[:, i]) for i in range(1, 6)))

    def _read_funding(self, connection: Connection, exchange: str, symbol: str, start_ts: int, end_ts: int) -> Funding:
        mark = self.database.placeholder()
        sql = f"SELECT ts, rate FROM funding_rates WHERE exchange = {mark} AND symbol = {mark} AND ts >= {mark} AND ts < {mark} ORDER BY ts"
        table = matrix(connection, sql, (exchange, symbol, start_ts, end_ts), 2)
        return Funding(table[:, 0].astype(np.int64), np.ascontiguousarray(table[:, 1]))

    def get_funding_range(self, symbol: str, start_ts: int, end_ts: int, exchange: str | None = None) -> Funding:
        """Settlements with start_ts <= ts < end_ts."""
        where = self.source(symbol, exchange)
        with self.database.read() as connection:
            return self._read_funding(connection, where, symbol, start_ts, end_ts)

    def get_latest_funding(self, symbol: str, exchange: str | None = None) -> dict[str, Any] | None:
        """The newest settlement: ts, rate, exchange; None where none is stored."""
        where = self.source(symbol, exchange)
        table = tables.funding_rates
        query = (
            select(table.c.ts, table.c.rate).where(table.c.exchange == where, table.c.symbol == symbol).order_by(table.c.ts.desc()).limit(1)
        )
        with self.database.read() as connection:
            row = connection.execute(query).first()
        return {"ts": row.ts, "rate": row.rate, "exchange": where} if row else None

    def get_latest_prices(self, symbol: str, exchange: str | None = None) -> dict[str, Any] | None:
        """The newest close over all stored timeframes: last, ts (its bar's close), exchange; None where nothing is stored."""
        where = self.source(symbol, exchange)
        with self.database.read() as connection:
            stored = list(self._series(connection, where, symbol))
            ends = {one: self._last_ts(connection, one) for one in stored}
            newest = max(
                ((ts + timeframe_ms(one.timeframe), one) for one, ts in ends.items() if ts is not None),
                key=lambda pair: pair[0],
                default=None,
            )
            if newest is None:
                return None
            ts = newest[0] - timeframe_ms(newest[1].timeframe)
            bar = self._read(connection, newest[1], ts, ts + 1)
        return {"last": float(bar.close[0]), "ts": newest[0], "exchange": where}

    def market(
        self, symbol: str, timeframe: str, end_ts: int | None = None, exchange: str | None = None, limit: int | None = None
    ) -> Market:
        """Bars that have closed by `end_ts` (all without it), the newest `limit` of them, with all settlements known by the last close."""
        bar_ms = timeframe_ms(timeframe)
        end = FOREVER if end_ts is None else end_ts - bar_ms + 1
        candles = self.get_candles_range(symbol, timeframe, 0, end, exchange)
        candles = candles if limit is None else candles[slice(max(len(candles) - limit, 0), None)]
        last = int(candles.ts[-1]) + bar_ms if len(candles) else 0
        return Market.of(symbol, bar_ms, candles, self.get_funding_range(symbol, 0, last + 1, exchange))

    def source(self, symbol: str, exchange: str | None = None) -> str:
        """The exchange to read a symbol from: the one that is named, else the only one that holds it.

        Raises:
            NoData: none holds it. ConfigError: several do and none is named.
        """
        with self.database.read() as connection:
            holders = sorted({one.exchange for one in self._series(connection) if one.symbol == symbol})
        if exchange in holders:
            return str(exchange)
        if not holders or exchange is not None:
            place = f" from {exchange}" if exchange else ""
            raise NoData(
                f"no candles of {symbol}{place} are stored (held by: {', '.join(holders) or 'none'}); run alpha-arena ingest first"
            )
        if len(holders) > 1:
            raise ConfigError(f"{symbol} is stored from several sources ({', '.join(holders)}); choose one with exchange=NAME")
        return holders[0]

    def _series(self, connection: Connection, exchange: str = "", symbol: str = "") -> Iterator[Series]:
        """Stored series in order, by jumping from key to key; of one exchange and symbol where they are named."""
        mark = self.database.placeholder()
        sql = f"SELECT exchange, symbol, timeframe FROM candles WHERE (exchange, symbol, timeframe) > ({mark}, {mark}, {mark})"
        sql += " ORDER BY exchange, symbol, timeframe LIMIT 1"
        last: tuple[str, ...] = (exchange, symbol, "")
        while row := connection.exec_driver_sql(sql, last).first():
            last = tuple(row)
            if symbol and last[:2] != (exchange, symbol):
                return
            yield Series(*last)

    def series(self) -> list[Series]:
        """All stored series."""
        with self.database.read() as connection:
            return list(self._series(connection))

    def last_ts(self, exchange: str, symbol: str, timeframe: str) -> int | None:
        """Open of the newest stored bar."""
        with self.database.read() as connection:
            return self._last_ts(connection, Series(exchange, symbol, timeframe))

    def _last_ts(self, connection: Connection, series: Series) -> int | None:
        mark = self.database.placeholder()
        sql = f"SELECT max(ts) FROM candles WHERE exchange = {mark} AND symbol = {mark} AND timeframe = {mark}"
        found = connection.exec_driver_sql(sql, tuple(vars_of(series).values())).scalar()
        return None if found is None else int(found)

    def record_ingest(self, started_ms: int, report: Mapping[str, Any]) -> None:
        """Keep what an import did; `report` as ingest.Report.as_dict gives it."""
        kept = {name: report[name] for name in ("exchange", "symbol", "timeframe", "inserted", "changed", "unchanged", "seconds")}
        with self.database.write() as connection:
            connection.execute(insert(tables.ingest_runs), [{**kept, "started_ms": started_ms, "report": json.dumps(report, default=str)}])

    def record_gaps(self, exchange: str, symbol: str, timeframe: str, gaps: Sequence[Mapping[str, Any]]) -> None:
        """Replace the known gaps of a series; each has start_ts, end_ts (exclusive), bars, kind."""
        table = tables.data_gaps
        with self.database.write() as connection:
            connection.execute(table.delete().where(table.c.exchange == exchange, table.c.symbol == symbol, table.c.timeframe == timeframe))
            rows = [{"exchange": exchange, "symbol": symbol, "timeframe": timeframe, **gap} for gap in gaps]
            if rows:
                connection.execute(insert(table), rows)

    def coverage(self) -> list[dict[str, Any]]:
        """Each stored series: first and last open, rows, rows expected between them, missing, gaps."""
        return [self._coverage(one) for one in self.series()]

    def _coverage(self, series: Series) -> dict[str, Any]:
        ts = self.get_candles_range(series.symbol, series.timeframe, 0, FOREVER, series.exchange).ts
        bar_ms = timeframe_ms(series.timeframe)
        steps = np.diff(ts) // bar_ms
        expected = int((ts[-1] - ts[0]) // bar_ms) + 1
        found = {"first_ts": int(ts[0]), "last_ts": int(ts[-1]), "rows": int(ts.size), "expected": expected}
        return {**vars_of(series), **found, "missing": expected - int(ts.size), "gaps": int((steps > 1).sum())}

    def gaps(self, series: Series) -> list[dict[str, Any]]:
        """Missing ranges of a series and runs of bars without trades: start_ts, end_ts (exclusive), bars, kind."""
        candles = self.get_candles_range(series.symbol, series.timeframe, 0, FOREVER, series.exchange)
        bar_ms = timeframe_ms(series.timeframe)
        holes = np.flatnonzero(np.diff(candles.ts) > bar_ms)
        missing = [gap(int(candles.ts[i]) + bar_ms, int(candles.ts[i + 1]), bar_ms, "missing") for i in holes]
        edges = np.flatnonzero(np.diff(np.r_[0, (candles.volume == 0).astype(np.int8), 0]))
        quiet = [gap(int(candles.ts[a]), int(candles.ts[b - 1]) + bar_ms, bar_ms, "no_trade") for a, b in edges.reshape(-1, 2)]
        return sorted(missing + quiet, key=lambda one: int(one["start_ts"]))

    def stats(self) -> list[dict[str, Any]]:
        """Rows in each table."""
        with self.database.read() as connection:
            names = sorted(tables.METADATA.tables)
            return [
                {"table": name, "rows": int(connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() or 0)} for name in names
            ]

    def data_hash(self, markets: Sequence[Market]) -> str:
        """SHA-256 of exactly the rows that the markets hold: candles and settlements."""
        digest = sha256()
        for market in markets:
            digest.update(f"{market.symbol} {market.bar_ms} ".encode())
            for name in (*COLUMNS, "funding_ts", "funding_rate"):
                digest.update(np.ascontiguousarray(getattr(market, name)).tobytes())
        return digest.hexdigest()


def gap(start_ts: int, end_ts: int, bar_ms: int, kind: str) -> dict[str, Any]:
    """A range of bars that are missing or empty."""
    return {"start_ts": start_ts, "end_ts": end_ts, "bars": (end_ts - start_ts) // bar_ms, "kind": kind}


def vars_of(series: Series) -> dict[str, str]:
    """The key columns of a series."""
    return {"exchange": series.exchange, "symbol": series.symbol, "timeframe": series.timeframe}


def row_json(candles: Candles, row: int) -> str:
    """Open, high, low, close, volume of a row."""
    return json.dumps([float(getattr(candles, name)[row]) for name in COLUMNS[1:]])


def differences(known: Candles, new: Candles) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which new rows are not known, and which are known with other values."""
    row = np.minimum(np.searchsorted(known.ts, new.ts), max(len(known) - 1, 0))
    if not len(known):
        return np.ones(len(new), np.bool_), np.zeros(len(new), np.bool_)
    held = known.ts[row] == new.ts
    equal = np.logical_and.reduce([getattr(known, name)[row] == getattr(new, name) for name in COLUMNS[1:]])
    return ~held, held & ~equal


def matrix(connection: Connection, sql: str, parameters: tuple[Any, ...], width: int) -> NDArray[np.float64]:
    """Rows of numbers as an array of shape [rows, width], read past SQLAlchemy's row objects."""
    cursor: Any = connection.connection.cursor()
    try:
        cursor.execute(sql, parameters)
        return np.fromiter(chain.from_iterable(cursor), np.float64).reshape(-1, width)
    finally:
        cursor.close()
