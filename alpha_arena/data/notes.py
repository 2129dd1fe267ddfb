"""Rows that commands and flows leave behind: alerts and the backtests that were run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert

from alpha_arena.data import tables
from alpha_arena.data.records import plain
from alpha_arena.data.service import DataService


def record_alert(service: DataService, ts: int, severity: str, kind: str, message: str, trader: str = "") -> None:
    """Keep something that a person must hear of. severity: info, warning, error."""
    row = {"trader": trader, "ts": ts, "severity": severity, "kind": kind, "message": message}
    with service.database.write() as connection:
        connection.execute(insert(tables.alerts), [row])


def record_backtest(service: DataService, row: Mapping[str, Any], result: Mapping[str, Any], trades: Sequence[Mapping[str, Any]]) -> None:
    """Keep a backtest; `row` has the columns of its table (name unique), `result` is what result.json holds."""
    same = ("symbol", "entry_ts", "exit_ts", "side", "quantity", "entry_price", "exit_price", "fees", "funding", "pnl", "exit_reason")
    own = {"trader": row["trader"], "backtest": row["name"]}
    trips = [{**own, **{name: trade[name] for name in same}} for trade in trades]
    with service.database.write() as connection:
        service.database.upsert(connection, tables.backtests, [{**row, "result": json.dumps(plain(result))}], ("name",))
        connection.execute(tables.backtest_trades.delete().where(tables.backtest_trades.c.backtest == row["name"]))
        if trips:
            connection.execute(insert(tables.backtest_trades), trips)
