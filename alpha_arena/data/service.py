"""DataService: the only door to the database for market data. Closed bars only, ascending; times are ms UTC."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import Any

import numpy as np
from sqlalchemy import Connection, Table, func, insert, select

from alpha_arena.core.errors import ConfigError, NoData
from alpha_arena.core.market import Market
from alpha_arena.core.timeframes import aggregate, timeframe_ms
from alpha_arena.core.types import Candles, Funding, Instrument
from alpha_arena.data import candles as rows
from alpha_arena.data import coverage, tables
from alpha_arena.data.candles import FOREVER, VALUES, Series, Written
from alpha_arena.data.database import BUSY_MS, Database

KNOWN_PRICES = ("last", "mark", "index_price", "bid", "ask")
HASHED = ("ts", *VALUES, "funding_ts", "funding_rate")


class DataService:
    """Market data in a database; may be used from several threads.

    Readers say which exchange's rows they want; without it, those of the only one that holds the symbol.

    Args:
        url: see Database. read_only: refuse every write. busy_ms: how long a writer waits for another.
    """

    def __init__(self, url: str, read_only: bool = False, busy_ms: int = BUSY_MS) -> None:
        self.database = Database(url, read_only, busy_ms)

    def upgrade(self) -> None:
        """Bring the schema to its newest form; creates it where there is none."""
        self.database.upgrade()

    def check_schema(self) -> None:
        """Refuse a database that is not migrated, with the command that migrates it."""
        self.database.check_schema()

    def batch(self) -> AbstractContextManager[None]:
        """One transaction for all of this thread's writes within the block."""
        return self.database.batch()

    def close(self) -> None:
        """Release all connections."""
        self.database.close()

    def write_candles(self, exchange: str, symbol: str, timeframe: str, candles: Candles) -> Written:
        """Store closed bars in one transaction; equal rows change nothing, a changed row's old values are kept in candle_revisions.

        Raises:
            DataError: stamps that do not ascend or are off the timeframe's grid, values that are not finite; nothing is written.
        """
        series = Series(exchange, symbol, timeframe)
        rows.refuse_unsound(candles, series)
        if not len(candles):
            return Written()
        with self.database.write() as connection:
            return rows.write_candles(self.database, connection, series, candles)

    def write_funding(self, exchange: str, symbol: str, funding: Funding) -> Written:
        """Store settlements in one transaction; equal rows change nothing.

        Raises:
            DataError: stamps that do not ascend, rates that are not finite; nothing is written.
        """
        if not funding.ts.size:
            return Written()
        with self.database.write() as connection:
            return rows.write_funding(self.database, connection, exchange, symbol, funding)

    def write_price(self, exchange: str, symbol: str, ts: int, **prices: float) -> None:
        """Replace the newest known prices (quote currency): any of last, mark, index_price, bid, ask."""
        row = {"exchange": exchange, "symbol": symbol, "ts": ts, **dict.fromkeys(KNOWN_PRICES), **prices}
        with self.database.write() as connection:
            self.database.upsert(connection, tables.prices, [row], ("exchange", "symbol"))

    def write_instruments(self, exchange: str, instruments: Iterable[Instrument]) -> None:
        """Keep contract rules by the date from which they hold."""
        names = ("symbol", "lot", "tick", "contract_size", "max_leverage")
        kept = [{"exchange": exchange, "valid_from": one.as_of, **{name: getattr(one, name) for name in names}} for one in instruments]
        with self.database.write() as connection:
            self.database.upsert(connection, tables.instruments, kept, ("exchange", "symbol", "valid_from"))

    def get_ohlcv(self, symbol: str, timeframe: str, limit: int, exchange: str | None = None) -> Candles:
        """The newest `limit` closed bars; of a timeframe that is not stored, aggregated from the highest lower one that is.

        Raises:
            NoData, ConfigError: as `source`.
        """
        with self.database.read() as connection:
            return self._newest(connection, self._where(connection, symbol, exchange), timeframe, FOREVER, limit)

    def get_candles_range(self, symbol: str, timeframe: str, start_ts: int, end_ts: int, exchange: str | None = None) -> Candles:
        """Bars with start_ts <= ts < end_ts; of a timeframe that is not stored, aggregated from the highest lower one that is.

        An exchange that is named and holds none of them gives none.

        Raises:
            NoData, ConfigError: as `source`, where no exchange is named.
        """
        with self.database.read() as connection:
            return self._range(connection, self._where(connection, symbol, exchange), timeframe, start_ts, end_ts)

    def stored_range(self, series: Series, start_ts: int, end_ts: int) -> Candles:
        """As get_candles_range, of rows that are themselves stored."""
        with self.database.read() as connection:
            return rows.read_candles(self.database, connection, series, start_ts, end_ts)

    def _where(self, connection: Connection, symbol: str, exchange: str | None) -> Series:
        """Where to read a symbol's candles; the timeframe is left open."""
        return Series(exchange or self._only(connection, symbol, None, tables.candles), symbol, "")

    def _made_of(self, connection: Connection, where: Series, timeframe: str) -> Series:
        """The stored series that serves: the one asked for, else the highest lower one that divides it."""
        stored = {one.timeframe for one in rows.all_series(connection, where.exchange, where.symbol)}
        length = timeframe_ms(timeframe)
        lower = [name for name in stored if timeframe_ms(name) < length and length % timeframe_ms(name) == 0]
        chosen = timeframe if timeframe in stored or not lower else max(lower, key=timeframe_ms)
        return Series(where.exchange, where.symbol, chosen)

    def _range(self, connection: Connection, where: Series, timeframe: str, start_ts: int, end_ts: int) -> Candles:
        """A bar belongs to the range by its open, so what it is made of is read from the first such open to the end of the last bar."""
        made_of, bar_ms = self._made_of(connection, where, timeframe), timeframe_ms(timeframe)
        start, end = (-(-edge // bar_ms) * bar_ms for edge in (start_ts, min(end_ts, FOREVER)))
        found = rows.read_candles(self.database, connection, made_of, start, end)
        return aggregate(found, made_of.bar_ms, bar_ms)

    def _newest(self, connection: Connection, where: Series, timeframe: str, end_ts: int, limit: int) -> Candles:
        made_of = self._made_of(connection, where, timeframe)
        if made_of.timeframe == timeframe:
            return rows.newest_candles(self.database, connection, made_of, end_ts, limit)
        found = self._range(connection, where, timeframe, 0, end_ts)
        return found[max(len(found) - limit, 0) :]

    def get_funding_range(self, symbol: str, start_ts: int, end_ts: int, exchange: str | None = None) -> Funding:
        """Settlements with start_ts <= ts < end_ts; none where none are stored.

        Raises:
            ConfigError: several exchanges have some and none is named.
        """
        with self.database.read() as connection:
            where = self._funded(connection, symbol, exchange)
            return rows.read_funding(self.database, connection, where, symbol, start_ts, end_ts)

    def _funded(self, connection: Connection, symbol: str, exchange: str | None) -> str:
        """The exchange to read funding from, "" for none."""
        if exchange or not rows.holders(connection, tables.funding_rates, symbol):
            return exchange or ""
        return self._only(connection, symbol, None, tables.funding_rates)

    def get_latest_funding(self, symbol: str, exchange: str | None = None) -> dict[str, Any] | None:
        """The newest settlement: exchange, symbol, ts, rate (fraction of one interval); None where none is stored.

        Raises:
            ConfigError: several exchanges have some and none is named.
        """
        table = tables.funding_rates
        with self.database.read() as connection:
            where = self._funded(connection, symbol, exchange)
            query = select(table).where(table.c.exchange == where, table.c.symbol == symbol).order_by(table.c.ts.desc()).limit(1)
            found = connection.execute(query).mappings().first()
        return dict(found) if found else None

    def get_latest_prices(self, symbol: str, exchange: str | None = None) -> dict[str, Any]:
        """The newest close over all stored timeframes: exchange, symbol, last (quote), ts (that bar's close), timeframe; and mark,
        index_price, bid, ask with priced_ts where prices are stored (None where not).

        Raises:
            NoData, ConfigError: as `source`.
        """
        with self.database.read() as connection:
            where = self._only(connection, symbol, exchange, tables.candles)
            closes = {one: rows.edge_ts(connection, one, newest=True) or 0 for one in rows.all_series(connection, where, symbol)}
            series = max(closes, key=lambda one: (closes[one] + one.bar_ms, -one.bar_ms))
            bar = rows.newest_candles(self.database, connection, series, FOREVER, 1)
            known = self._known_prices(connection, where, symbol)
        last = {"last": float(bar.close[0]), "ts": closes[series] + series.bar_ms, "timeframe": series.timeframe}
        return {"exchange": where, "symbol": symbol, **last, **known}

    def _known_prices(self, connection: Connection, exchange: str, symbol: str) -> dict[str, Any]:
        table = tables.prices
        found = connection.execute(select(table).where(table.c.exchange == exchange, table.c.symbol == symbol)).mappings().first()
        prices = {name: found[name] if found else None for name in KNOWN_PRICES[1:]}
        return {**prices, "priced_ts": found["ts"] if found else None}

    def market(
        self, symbol: str, timeframe: str, end_ts: int | None = None, exchange: str | None = None, limit: int | None = None
    ) -> Market:
        """Bars that have closed by `end_ts` (all without it), the newest `limit` of them, with all settlements known by the last close.

        Raises:
            NoData, ConfigError: as `source`, where no exchange is named.
        """
        bar_ms = timeframe_ms(timeframe)
        end = FOREVER if end_ts is None else end_ts - bar_ms + 1
        with self.database.read() as connection:
            where = self._where(connection, symbol, exchange)
            whole = limit is None
            found = (
                self._range(connection, where, timeframe, 0, end) if whole else self._newest(connection, where, timeframe, end, limit or 0)
            )
            last = int(found.ts[-1]) + bar_ms if len(found) else 0
            funding = rows.read_funding(self.database, connection, where.exchange, symbol, 0, last + 1)
        return Market.of(symbol, bar_ms, found, funding)

    def source(self, symbol: str, exchange: str | None = None) -> str:
        """The exchange to read a symbol from: the one that is named, else the only one that holds candles of it.

        Raises:
            NoData: none holds it, or the one that is named does not. ConfigError: several do and none is named.
        """
        with self.database.read() as connection:
            return self._only(connection, symbol, exchange, tables.candles)

    def _only(self, connection: Connection, symbol: str, exchange: str | None, table: Table) -> str:
        held = rows.holders(connection, table, symbol)
        if exchange in held or (exchange is None and len(held) == 1):
            return exchange or held[0]
        what = "candles" if table is tables.candles else "funding"
        if exchange is None and held:
            choices = " or ".join(f"exchange={name}" for name in held)
            raise ConfigError(f"{what} of {symbol} are stored from {len(held)} sources; choose one with {choices}")
        place = f" from {exchange}" if exchange else ""
        others = f" (there are some from {', '.join(held)})" if held else ""
        short = symbol.partition("/")[0].lower()
        raise NoData(
            f"no {what} of {symbol}{place} are stored{others}; run alpha-arena ingest symbol={short} exchange={exchange or 'NAME'}"
        )

    def series(self) -> list[Series]:
        """All stored series, by exchange, symbol and timeframe."""
        with self.database.read() as connection:
            return list(rows.all_series(connection))

    def last_ts(self, exchange: str, symbol: str, timeframe: str) -> int | None:
        """Open of the newest stored bar, None without any."""
        with self.database.read() as connection:
            return rows.edge_ts(connection, Series(exchange, symbol, timeframe), newest=True)

    def record_ingest(self, started_ms: int, report: Mapping[str, Any]) -> None:
        """Keep what an import did; `report` as ingest.Report.as_dict gives it."""
        kept = {name: report[name] for name in ("exchange", "symbol", "timeframe", "inserted", "changed", "unchanged", "seconds")}
        with self.database.write() as connection:
            connection.execute(insert(tables.ingest_runs), [{**kept, "started_ms": started_ms, "report": json.dumps(report, default=str)}])

    def coverage(self) -> list[dict[str, Any]]:
        """Each stored series: exchange, symbol, timeframe, first_ts and last_ts (opens), rows, expected, missing, gaps."""
        with self.database.read() as connection:
            return [coverage.coverage_of(self.database, connection, one) for one in rows.all_series(connection)]

    def gaps(self, symbol: str | None = None, timeframe: str | None = None, exchange: str | None = None) -> list[dict[str, Any]]:
        """Missing ranges and runs of bars without trades, of the series that match: exchange, symbol, timeframe, start_ts, end_ts
        (exclusive), bars, kind (missing or no_trade)."""
        with self.database.read() as connection:
            chosen = [one for one in rows.all_series(connection) if matches(one, symbol, timeframe, exchange)]
            return [gap for one in chosen for gap in coverage.gaps_of(self.database, connection, one)]

    def record_gaps(self, symbol: str | None = None, timeframe: str | None = None, exchange: str | None = None) -> list[dict[str, Any]]:
        """As `gaps`, and keep them in data_gaps in place of those known before."""
        with self.database.write() as connection:
            chosen = [one for one in rows.all_series(connection) if matches(one, symbol, timeframe, exchange)]
            return [gap for one in chosen for gap in coverage.record_gaps(self.database, connection, one)]

    def stats(self) -> list[dict[str, Any]]:
        """Rows in each table, by its name."""
        with self.database.read() as connection:
            every = sorted(tables.METADATA.tables.items())
            return [{"table": name, "rows": connection.execute(select(func.count()).select_from(table)).scalar()} for name, table in every]

    def data_hash(self, markets: Iterable[Market]) -> str:
        """SHA-256, hexadecimal, of exactly the rows that the markets hold: candles and settlements, by symbol and bar length."""
        digest = sha256()
        for market in sorted(markets, key=lambda one: (one.symbol, one.bar_ms)):
            digest.update(f"{market.symbol} {market.bar_ms} {len(market)} {market.funding_ts.size}\n".encode())
            for name in HASHED:
                kind = "<i8" if name in ("ts", "funding_ts") else "<f8"
                digest.update(np.ascontiguousarray(getattr(market, name), kind).tobytes())
        return digest.hexdigest()


def matches(series: Series, symbol: str | None, timeframe: str | None, exchange: str | None) -> bool:
    """Whether a series is one of those asked for; None asks for any."""
    asked = {"symbol": symbol, "timeframe": timeframe, "exchange": exchange}
    return all(value is None or series.key[name] == value for name, value in asked.items())


__all__ = ["DataService", "Series", "Written"]
