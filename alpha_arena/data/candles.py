"""Candles and funding as rows: reading into arrays, and writing that changes only what differs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Select, Table, insert, literal, select, tuple_, update

from alpha_arena.core.errors import DataError
from alpha_arena.core.timeframes import timeframe_ms
from alpha_arena.core.types import Candles, Floats, Funding, Ints
from alpha_arena.data import tables
from alpha_arena.data.database import Database

FOREVER = 2**62
VALUES = ("open", "high", "low", "close", "volume")


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

    @property
    def key(self) -> dict[str, str]:
        """Its columns."""
        return {"exchange": self.exchange, "symbol": self.symbol, "timeframe": self.timeframe}

    @property
    def bar_ms(self) -> int:
        """Length of a bar."""
        return timeframe_ms(self.timeframe)

    def __str__(self) -> str:
        return f"{self.timeframe} candles of {self.symbol} from {self.exchange}"


def all_series(connection: Connection, exchange: str = "", symbol: str = "") -> Iterator[Series]:
    """Stored series in order, by jumping from key to key; only those of one exchange and symbol where they are named."""
    columns = [tables.candles.c[name] for name in ("exchange", "symbol", "timeframe")]
    last: tuple[str, ...] = (exchange, symbol, "")
    while row := connection.execute(select(*columns).where(_beyond(last)).order_by(*columns).limit(1)).first():
        last = tuple(row)
        if symbol and last[:2] != (exchange, symbol):
            return
        yield Series(*last)


def _beyond(key: tuple[str, ...]) -> ColumnElement[bool]:
    """Rows after the last bar of a series: with the whole key SQLite jumps there, with a part of it it reads every bar on the way."""
    names = ("exchange", "symbol", "timeframe", "ts")
    return tuple_(*(tables.candles.c[name] for name in names)) > tuple_(*map(literal, (*key, FOREVER)))


def holders(connection: Connection, table: Table, symbol: str) -> list[str]:
    """The exchanges that hold a symbol in a table, by name."""
    found: list[str] = []
    column = table.c.exchange
    while (name := connection.execute(select(column).where(column > (found or [""])[-1]).order_by(column).limit(1)).scalar()) is not None:
        found.append(name)
    return [name for name in found if connection.execute(select(column).where(column == name, table.c.symbol == symbol).limit(1)).first()]


def of_series(series: Series, start_ts: int = 0, end_ts: int = FOREVER) -> Select[tuple[int, float, float, float, float, float]]:
    """Bars with start_ts <= ts < end_ts, in no order."""
    table = tables.candles
    query = select(table.c.ts, *(table.c[name] for name in VALUES))
    return query.where(*(table.c[name] == value for name, value in series.key.items()), table.c.ts >= start_ts, table.c.ts < end_ts)


def as_candles(rows: Floats) -> Candles:
    """Bars from rows of numbers."""
    return Candles(rows[:, 0].astype(np.int64), *(np.ascontiguousarray(rows[:, i]) for i in range(1, 6)))


def read_candles(database: Database, connection: Connection, series: Series, start_ts: int, end_ts: int) -> Candles:
    """Bars with start_ts <= ts < end_ts, ascending."""
    return as_candles(database.matrix(connection, of_series(series, start_ts, end_ts).order_by(tables.candles.c.ts)))


def newest_candles(database: Database, connection: Connection, series: Series, end_ts: int, limit: int) -> Candles:
    """The last `limit` bars with ts < end_ts, ascending."""
    query = of_series(series, 0, end_ts).order_by(tables.candles.c.ts.desc()).limit(max(limit, 0))
    return as_candles(database.matrix(connection, query)[::-1])


def edge_ts(connection: Connection, series: Series, newest: bool) -> int | None:
    """Open of the newest (oldest) stored bar, None without any."""
    stamp = tables.candles.c.ts
    query = of_series(series).with_only_columns(stamp).order_by(stamp.desc() if newest else stamp).limit(1)
    return connection.execute(query).scalar()


def refuse_unsound(candles: Candles, series: Series) -> None:
    """Refuse what no source may store.

    Raises:
        DataError: stamps that do not ascend or are off the grid, values that are not finite; the row is named.
    """
    _refuse(np.diff(candles.ts, prepend=candles.ts[:1] - 1) <= 0, candles.ts, f"{series}: ts must ascend, each bar once")
    _refuse(candles.ts % series.bar_ms != 0, candles.ts, f"{series}: ts must be a multiple of {series.bar_ms} ms")
    finite = np.logical_and.reduce([np.isfinite(getattr(candles, name)) for name in VALUES])
    _refuse(~finite, candles.ts, f"{series}: every value must be a finite number")


def _refuse(bad: NDArray[np.bool_], ts: Ints, rule: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(f"{rule}; row {row} with ts {int(ts[row])} is not so, nothing was written")


def differences(known: Candles, new: Candles) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which new rows are not known, and which are known with other values."""
    if not len(known):
        return np.ones(len(new), np.bool_), np.zeros(len(new), np.bool_)
    row = np.minimum(np.searchsorted(known.ts, new.ts), len(known) - 1)
    held = known.ts[row] == new.ts
    equal = np.logical_and.reduce([getattr(known, name)[row] == getattr(new, name) for name in VALUES])
    return ~held, held & ~equal


def write_candles(database: Database, connection: Connection, series: Series, candles: Candles) -> Written:
    """Store sound bars; a changed row's old and new values are kept in candle_revisions."""
    known = read_candles(database, connection, series, int(candles.ts[0]), int(candles.ts[-1]) + 1)
    fresh, changed = differences(known, candles)
    added, revised = candles[fresh], candles[changed]
    if len(added):
        columns = (getattr(added, name).tolist() for name in ("ts", *VALUES))
        keys = tuple(series.key.values())
        database.append(connection, tables.candles, ((*keys, *row) for row in zip(*columns, strict=True)))
    if len(revised):
        _revise(connection, series, known[np.searchsorted(known.ts, revised.ts)], revised)
    return Written(len(added), len(revised), len(candles) - len(added) - len(revised))


def _revise(connection: Connection, series: Series, old: Candles, new: Candles) -> None:
    rows = [{**series.key, "ts": int(ts), "old": _json(old, i), "new": _json(new, i)} for i, ts in enumerate(new.ts)]
    connection.execute(insert(tables.candle_revisions), rows)
    for i, ts in enumerate(new.ts):
        mine = [tables.candles.c[name] == value for name, value in series.key.items()]
        values = {name: float(getattr(new, name)[i]) for name in VALUES}
        connection.execute(update(tables.candles).where(*mine, tables.candles.c.ts == int(ts)).values(**values))


def _json(candles: Candles, row: int) -> str:
    return json.dumps([float(getattr(candles, name)[row]) for name in VALUES])


def of_funding(exchange: str, symbol: str, start_ts: int, end_ts: int) -> Select[tuple[int, float]]:
    """Settlements with start_ts <= ts < end_ts, ascending."""
    table = tables.funding_rates
    mine = (table.c.exchange == exchange) & (table.c.symbol == symbol) & (table.c.ts >= start_ts) & (table.c.ts < end_ts)
    return select(table.c.ts, table.c.rate).where(mine).order_by(table.c.ts)


def read_funding(database: Database, connection: Connection, exchange: str, symbol: str, start_ts: int, end_ts: int) -> Funding:
    """Settlements with start_ts <= ts < end_ts, ascending."""
    rows = database.matrix(connection, of_funding(exchange, symbol, start_ts, end_ts))
    return Funding(rows[:, 0].astype(np.int64), np.ascontiguousarray(rows[:, 1]))


def write_funding(database: Database, connection: Connection, exchange: str, symbol: str, funding: Funding) -> Written:
    """Store settlements in ascending order; equal rows change nothing.

    Raises:
        DataError: stamps that do not ascend, rates that are not finite.
    """
    what = f"funding of {symbol} from {exchange}"
    _refuse(np.diff(funding.ts, prepend=funding.ts[:1] - 1) <= 0, funding.ts, f"{what}: ts must ascend, each settlement once")
    _refuse(~np.isfinite(funding.rate), funding.ts, f"{what}: the rate must be a finite number")
    known = read_funding(database, connection, exchange, symbol, int(funding.ts[0]), int(funding.ts[-1]) + 1)
    row = np.searchsorted(known.ts, funding.ts)
    held = np.append(known.ts, -1)[row] == funding.ts
    same = held & (np.append(known.rate, np.nan)[row] == funding.rate)
    new = zip(funding.ts[~same].tolist(), funding.rate[~same].tolist(), strict=True)
    rows = [{"exchange": exchange, "symbol": symbol, "ts": ts, "rate": rate} for ts, rate in new]
    database.upsert(connection, tables.funding_rates, rows, ("exchange", "symbol", "ts"))
    return Written(int((~held).sum()), int((held & ~same).sum()), int(same.sum()))
