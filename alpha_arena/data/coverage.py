"""What is stored of each series, and what is missing of it, told from the stamps themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
from sqlalchemy import Connection, func

from alpha_arena.core.types import Ints
from alpha_arena.data import tables
from alpha_arena.data.candles import Series, of_series
from alpha_arena.data.database import Database

MISSING = "missing"
NO_TRADE = "no_trade"


def coverage_of(database: Database, connection: Connection, series: Series) -> dict[str, Any]:
    """First and last open (ms), rows, rows expected between them, missing rows, and the number of gaps these make."""
    stamp = tables.candles.c.ts
    query = of_series(series).with_only_columns(func.min(stamp), func.max(stamp), func.count())
    first, last, rows = connection.execute(query).one()
    expected = (last - first) // series.bar_ms + 1
    gaps = holes(database, connection, series).shape[0] if rows < expected else 0
    found = {"first_ts": first, "last_ts": last, "rows": rows, "expected": expected, "missing": expected - rows, "gaps": gaps}
    return {**series.key, **found}


def holes(database: Database, connection: Connection, series: Series) -> Ints:
    """Missing ranges, shape [gaps, 2]: the first missing open and the next present one, ms."""
    stamp = tables.candles.c.ts
    ts = database.matrix(connection, of_series(series).with_only_columns(stamp).order_by(stamp))[:, 0].astype(np.int64)
    row = np.flatnonzero(np.diff(ts) > series.bar_ms)
    return np.column_stack([ts[row] + series.bar_ms, ts[row + 1]])


def quiet(database: Database, connection: Connection, series: Series) -> Ints:
    """Runs of bars without a trade, shape [runs, 2]: the first such open and the end of the last such bar, ms."""
    stamp = tables.candles.c.ts
    query = of_series(series).with_only_columns(stamp).where(tables.candles.c.volume == 0).order_by(stamp)
    ts = database.matrix(connection, query)[:, 0].astype(np.int64)
    starts = np.flatnonzero(np.diff(ts, prepend=ts[:1] - 2 * series.bar_ms) > series.bar_ms)
    ends = np.append(starts[1:], ts.size)[: starts.size] - 1
    return np.column_stack([ts[starts], ts[ends] + series.bar_ms])


def gaps_of(database: Database, connection: Connection, series: Series) -> list[dict[str, Any]]:
    """Missing ranges and runs without trades of a series, ascending: start_ts, end_ts (exclusive), bars, kind (missing or no_trade)."""
    found = [(MISSING, *row) for row in holes(database, connection, series).tolist()]
    found += [(NO_TRADE, *row) for row in quiet(database, connection, series).tolist()]
    made = [{**series.key, "start_ts": a, "end_ts": b, "bars": (b - a) // series.bar_ms, "kind": kind} for kind, a, b in found]
    return sorted(made, key=lambda gap: int(gap["start_ts"]))


def record_gaps(database: Database, connection: Connection, series: Series) -> list[dict[str, Any]]:
    """Store the gaps of a series in place of those known before; the gaps."""
    table = tables.data_gaps
    connection.execute(table.delete().where(*(table.c[name] == value for name, value in series.key.items())))
    found = gaps_of(database, connection, series)
    database.upsert(connection, table, found, ("exchange", "symbol", "timeframe", "start_ts"))
    return found
