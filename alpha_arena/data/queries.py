"""What pages and reports read: rows as plain dicts, newest first where they have a time. Times are ms UTC, amounts quote currency."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, Table, func, select

from alpha_arena.core.trades import round_trips as closed_trips
from alpha_arena.core.types import Fill, Payment
from alpha_arena.data import tables
from alpha_arena.data.service import DataService

Row = dict[str, Any]
MOST = 5_000


def rows(service: DataService, query: Select[Any]) -> list[Row]:
    """The rows of a query."""
    with service.database.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def newest(table: Table, trader: str | None, limit: int, before_id: int | None, by: str = "id") -> Select[Any]:
    """A trader's (everybody's) newest rows, below an id where one is given."""
    query = select(table).order_by(table.c[by].desc()).limit(min(limit, MOST))
    query = query.where(table.c.trader == trader) if trader else query
    return query.where(table.c.id < before_id) if before_id is not None else query


def traders(service: DataService) -> list[Row]:
    """Every account: trader, cash, equity, initial_capital, peak_equity, opened_ts, updated_ts."""
    return rows(service, select(tables.balances).order_by(tables.balances.c.trader))


def balances(service: DataService, trader: str | None = None) -> list[Row]:
    """Accounts, of one trader where it is named."""
    return [row for row in traders(service) if trader in (None, row["trader"])]


def decisions(service: DataService, trader: str | None = None, limit: int = 60, before_id: int | None = None) -> list[Row]:
    """Decisions with their allocations, refusals and regime context."""
    found = [unpacked(row) for row in rows(service, newest(tables.decisions, trader, limit, before_id))]
    shares = allocations(service, [row["id"] for row in found])
    return [{**row, "allocations": shares.get(row["id"], [])} for row in found]


def decision(service: DataService, decision_id: int) -> Row | None:
    """One decision whole, None if there is none of that id."""
    found = rows(service, select(tables.decisions).where(tables.decisions.c.id == decision_id))
    return {**unpacked(found[0]), "allocations": allocations(service, [decision_id]).get(decision_id, [])} if found else None


def allocations(service: DataService, decision_ids: list[int]) -> Mapping[int, list[Row]]:
    """Shares by decision."""
    table = tables.strategy_allocations
    found: dict[int, list[Row]] = {}
    for row in rows(service, select(table).where(table.c.decision_id.in_(decision_ids)).order_by(table.c.id)):
        found.setdefault(row["decision_id"], []).append(row)
    return found


def unpacked(row: Row) -> Row:
    """A decision's row with its JSON columns as values."""
    return {**row, "regime_context": json.loads(row["regime_context"]), "refusals": json.loads(row["refusals"])}


def orders(
    service: DataService, trader: str | None = None, limit: int = 50, before_ts: int | None = None, state: str | None = None
) -> list[Row]:
    """Orders, newest first; of one state where it is named."""
    table = tables.orders
    query = select(table).order_by(table.c.created_ts.desc(), table.c.client_order_id).limit(min(limit, MOST))
    query = query.where(table.c.trader == trader) if trader else query
    query = query.where(table.c.state == state) if state else query
    return rows(service, query.where(table.c.created_ts < before_ts) if before_ts is not None else query)


def order_events(service: DataService, client_order_id: str) -> list[Row]:
    """An order's life, oldest first."""
    table = tables.order_lifecycle_events
    return rows(service, select(table).where(table.c.client_order_id == client_order_id).order_by(table.c.id))


def fills(service: DataService, trader: str | None = None, limit: int = 500, before_id: int | None = None) -> list[Row]:
    """Executions."""
    return rows(service, newest(tables.trades, trader, limit, before_id))


def positions(service: DataService, trader: str | None = None) -> list[Row]:
    """Held positions; flat ones are left out."""
    table = tables.positions
    query = select(table).order_by(table.c.trader, table.c.symbol)
    return [row for row in rows(service, query.where(table.c.trader == trader) if trader else query) if row["quantity"]]


def equity(service: DataService, trader: str, start_ts: int = 0, end_ts: int = 2**62) -> dict[str, list[Any]]:
    """Equity at each booked close as columns ts (of the close), equity, cash, notional; oldest first."""
    table = tables.equity_snapshots
    query = select(table.c.close_ts, table.c.equity, table.c.cash, table.c.notional)
    query = query.where(table.c.trader == trader, table.c.close_ts.between(start_ts, end_ts)).order_by(table.c.close_ts)
    with service.database.read() as connection:
        found = [list(column) for column in zip(*connection.execute(query), strict=True)] or [[], [], [], []]
    return dict(zip(("ts", "equity", "cash", "notional"), found, strict=True))


def round_trips(service: DataService, trader: str) -> list[Row]:
    """Closed trades from flat to flat, newest first, as a backtest lists them."""
    events = sorted(_fills(service, trader) + _payments(service, trader), key=lambda pair: pair[0])
    snapshots = tables.equity_snapshots
    marks = rows(service, select(snapshots.c.ts, snapshots.c.equity).where(snapshots.c.trader == trader).order_by(snapshots.c.ts))
    stamps = {row["ts"]: number for number, row in enumerate(marks)}
    initial = next((row["initial_capital"] for row in balances(service, trader)), 0.0)
    closed, _ = closed_trips([event for _, event in events], stamps, [row["equity"] for row in marks], initial)
    names = closed[0].__slots__ if closed else ()
    return [{name.rstrip("_"): getattr(trade, name) for name in names} for trade in reversed(closed)]


def _fills(service: DataService, trader: str) -> list[tuple[tuple[int, int, int], Fill | Payment]]:
    """Fills with their place in time: after the funding that a bar carries in, before that inside it."""
    table = tables.trades
    found = rows(service, select(table).where(table.c.trader == trader))
    return [((row["ts"], 1, row["id"]), fill_of(row)) for row in found]


def fill_of(row: Row) -> Fill:
    """A fill from its row."""
    names = ("trade_id", "client_order_id", "ts", "symbol", "quantity", "price", "fee", "reason")
    return Fill(*(row[name] for name in names))


def _payments(service: DataService, trader: str) -> list[tuple[tuple[int, int, int], Fill | Payment]]:
    table = tables.bills
    found = rows(service, select(table).where(table.c.trader == trader, table.c.kind == "funding"))
    return [((row["ts"], 0, row["id"]), Payment(row["ts"], row["symbol"], row["amount"], row["rate"], row["assumed"])) for row in found]


def sums(service: DataService, trader: str) -> Row:
    """What each kind of bill adds up to: deposit, realised, fee, funding."""
    table = tables.bills
    found = rows(service, select(table.c.kind, table.c.amount).where(table.c.trader == trader))
    totals: Row = dict.fromkeys(("deposit", "realised", "fee", "funding"), 0.0)
    for row in found:
        totals[row["kind"]] += row["amount"]
    return totals


def backtests(service: DataService, limit: int = 100) -> list[Row]:
    """Backtests that were run, with their result."""
    table = tables.backtests
    found = rows(service, select(table).order_by(table.c.created_ms.desc()).limit(min(limit, MOST)))
    return [{**row, "result": json.loads(row["result"])} for row in found]


def ingest_runs(service: DataService, limit: int = 100) -> list[Row]:
    """Imports, newest first, each with its report."""
    table = tables.ingest_runs
    found = rows(service, select(table).order_by(table.c.id.desc()).limit(min(limit, MOST)))
    return [{**row, "report": json.loads(row["report"])} for row in found]


def alerts(service: DataService, limit: int = 100) -> list[Row]:
    """What went wrong, newest first."""
    return rows(service, newest(tables.alerts, None, limit, None))


def halts(service: DataService, trader: str | None = None) -> list[Row]:
    """Latched halts that nobody has acknowledged."""
    table = tables.halts
    query = select(table).where(table.c.acknowledged_ms.is_(None)).order_by(table.c.id)
    return rows(service, query.where(table.c.trader == trader) if trader else query)


def browse(service: DataService, table: str, limit: int = 20) -> list[Row]:
    """The first rows of any table.

    Raises:
        KeyError: there is no such table.
    """
    return rows(service, select(tables.METADATA.tables[table]).limit(limit))


def cursors(service: DataService) -> Row:
    """The newest row of everything that a page shows: what has changed since is what differs here."""
    newest_ids = {
        name: tables.METADATA.tables[name].c.id for name in ("decisions", "order_lifecycle_events", "trades", "halts", "alerts", "bills")
    }
    with service.database.read() as connection:
        found: Row = {name: connection.execute(select(func.max(column))).scalar() or 0 for name, column in newest_ids.items()}
        snapshots = tables.equity_snapshots.c.close_ts
        found["equity_snapshots"] = connection.execute(select(func.max(snapshots))).scalar() or 0
    return found
