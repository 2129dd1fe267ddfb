"""Read models for people and pages: plain dicts, newest first unless said; unknown figures are None, times are ms UTC."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import accumulate
from typing import Any

from sqlalchemy import Select, Table, func, select

from alpha_arena.core.errors import UnknownName
from alpha_arena.core.ids import LEGS, order_id
from alpha_arena.core.records import OPEN_STATES
from alpha_arena.core.trades import OpenTrade, Trade
from alpha_arena.core.trades import round_trips as paired
from alpha_arena.core.types import Fill, Payment
from alpha_arena.data import tables
from alpha_arena.data.service import DataService

Row = dict[str, Any]
PARSED = ("regime_context", "refusals", "wanted", "held", "report", "result", "record", "old", "new", "parts")
CURSORS = ("decisions", "order_lifecycle_events", "trades", "bills", "halts", "alerts", "ingest_runs")


def plain(row: Mapping[Any, Any]) -> Row:
    """A row as a dict; columns of JSON are parsed."""
    return {name: json.loads(value) if name in PARSED and value else value for name, value in row.items()}


def rows(service: DataService, query: Select[Any]) -> list[Row]:
    """What a query finds."""
    with service.database.read() as connection:
        return [plain(row) for row in connection.execute(query).mappings()]


def matching(table: Table, **values: Any) -> Select[Any]:
    """Rows whose columns have the values; a value that is None is not asked for."""
    asked = [table.c[name] == value for name, value in values.items() if value is not None]
    return select(table).where(*asked)


def newest(table: Table, limit: int, **values: Any) -> Select[Any]:
    """The last `limit` rows, newest first."""
    return matching(table, **values).order_by(table.c.id.desc()).limit(limit)


def traders(service: DataService) -> list[Row]:
    """Every account with its newest decision's time, decider and timeframe and the reason of its halt ("" for none), by name."""
    found = balances(service)
    return [{**row, **_last_decision(service, row["trader"]), "halted": _halted(service, row["trader"])} for row in found]


def _last_decision(service: DataService, trader: str) -> Row:
    last = rows(service, newest(tables.decisions, 1, trader=trader))
    names = ("bar_ts", "decider", "timeframe", "catch_up")
    return {name: last[0][name] if last else None for name in names}


def _halted(service: DataService, trader: str) -> str:
    latched = halts(service, trader)
    return str(latched[-1]["reason"]) if latched else ""


def account_states(service: DataService) -> list[Row]:
    """How the accounts at exchanges stand: state, reason, since_ms and updated_ms, by trader."""
    return rows(service, select(tables.account_states).order_by(tables.account_states.c.trader))


def protected(service: DataService, trader: str) -> set[str]:
    """Symbols whose position has its stop or take at the exchange, as far as is known."""
    table = tables.protections
    return {row["symbol"] for row in rows(service, matching(table, trader=trader, state="LIVE"))}


def balances(service: DataService, trader: str | None = None) -> list[Row]:
    """Cash, equity at the last booked close, initial capital and peak, quote currency, by trader."""
    return rows(service, matching(tables.balances, trader=trader).order_by(tables.balances.c.trader))


def positions(service: DataService, trader: str | None = None) -> list[Row]:
    """What is held: quantity (signed, base), entry, stop and take (quote), by trader and symbol."""
    table = tables.positions
    found = rows(service, matching(table, trader=trader).order_by(table.c.trader, table.c.symbol))
    return [row for row in found if row["quantity"]]


def decisions(
    service: DataService,
    trader: str | None = None,
    limit: int = 60,
    before_id: int | None = None,
    symbol: str | None = None,
    after_id: int | None = None,
) -> list[Row]:
    """Decisions with their allocations; of those made before (after) another where its id is given."""
    table = tables.decisions
    query = newest(table, limit, trader=trader, symbol=symbol)
    query = query if before_id is None else query.where(table.c.id < before_id)
    query = query if after_id is None else query.where(table.c.id > after_id)
    return with_allocations(service, rows(service, query))


def with_allocations(service: DataService, found: Sequence[Row]) -> list[Row]:
    """Decisions with the strategies behind each."""
    if not found:
        return []
    table = tables.strategy_allocations
    ids = [row["id"] for row in found]
    shares: dict[int, list[Row]] = {row_id: [] for row_id in ids}
    for share in rows(service, select(table).where(table.c.decision_id.between(min(ids), max(ids))).order_by(table.c.id)):
        shares.get(share["decision_id"], []).append(share)
    return [{**row, "allocations": shares[row["id"]]} for row in found]


def decision(service: DataService, decision_id: int) -> Row | None:
    """One decision with its allocations and orders, None if there is none of that id."""
    found = with_allocations(service, rows(service, matching(tables.decisions, id=decision_id)))
    if not found:
        return None
    made = found[0]
    names = [order_id(made["trader"], made["symbol"], made["timeframe"], made["bar_ts"], leg) for leg in LEGS]
    sent = [rows(service, matching(tables.orders, client_order_id=name)) for name in names]
    return {**made, "orders": [row for found in sent for row in found]}


def outcomes(service: DataService, trader: str, most: int = 50) -> list[Row]:
    """What came of a trader's decisions, the newest end first and what still runs (closed_ts None) before it, as of core.outcomes.

    Each with decision_id (of decisions), parts as a mapping from strategy to its part, and record_id: of the model's DecisionRecord, None
    where no model made it.
    """
    table, calls = tables.outcomes, tables.llm_calls
    ends = (table.c.closed_ts.is_not(None), table.c.closed_ts.desc(), table.c.bar_ts.desc(), table.c.symbol.desc())
    found = rows(service, matching(table, trader=trader).order_by(*ends).limit(most))
    made = [row["ts"] for row in found]
    said = select(calls.c.record).where(calls.c.trader == trader, calls.c.ts.in_(made)) if made else None
    told = [row["record"] for row in rows(service, said)] if said is not None else []
    names = {(one["symbol"], one["bar_close_ts"]): one["decision_id"] for one in told}
    return [{**row, "parts": dict(row["parts"]), "record_id": names.get((row["symbol"], row["ts"]))} for row in found]


def model_calls(service: DataService, trader: str, start_ts: int = 0, end_ts: int = 2**62) -> list[Row]:
    """What a trader's model was asked and said at closes with start_ts <= ts <= end_ts, oldest first; `record`: the DecisionRecord."""
    table = tables.llm_calls
    return rows(service, matching(table, trader=trader).where(table.c.ts.between(start_ts, end_ts)).order_by(table.c.ts, table.c.id))


def outcome(service: DataService, decision_id: int) -> Row | None:
    """What came of a decision that has ended: return_ (of equity), pnl, fees, funding, closed_ts; None while it runs or without a fill."""
    found = rows(service, matching(tables.outcomes, decision_id=decision_id).where(tables.outcomes.c.closed_ts.is_not(None)))
    return found[0] if found else None


def last_model_call(service: DataService, trader: str) -> Row | None:
    """The newest of these, None where nobody was ever asked."""
    return next(iter(rows(service, newest(tables.llm_calls, 1, trader=trader))), None)


def orders(
    service: DataService,
    trader: str | None = None,
    limit: int = 50,
    before_ts: int | None = None,
    state: str | None = None,
    symbol: str | None = None,
    open_only: bool = False,
) -> list[Row]:
    """Orders with what was filled of them: filled (signed, base), average and fee (quote); of those created before a time."""
    table = tables.orders
    query = matching(table, trader=trader, symbol=symbol, state=state).order_by(table.c.created_ts.desc(), table.c.client_order_id)
    query = query if before_ts is None else query.where(table.c.created_ts < before_ts)
    return rows(service, (query.where(table.c.state.in_(OPEN_STATES)) if open_only else query).limit(limit))


def order_events(service: DataService, client_order_id: str) -> list[Row]:
    """An order's life, oldest first."""
    table = tables.order_lifecycle_events
    return rows(service, matching(table, client_order_id=client_order_id).order_by(table.c.id))


def fills(
    service: DataService,
    trader: str | None = None,
    limit: int = 500,
    before_id: int | None = None,
    symbol: str | None = None,
    start_ts: int = 0,
    end_ts: int = 2**62,
) -> list[Row]:
    """Executions with start_ts <= ts < end_ts: quantity (signed, base), price, fee (quote, positive when paid)."""
    table = tables.trades
    query = newest(table, limit, trader=trader, symbol=symbol).where(table.c.ts >= start_ts, table.c.ts < end_ts)
    return rows(service, query if before_id is None else query.where(table.c.id < before_id))


def bills(service: DataService, trader: str | None = None, kind: str | None = None, limit: int = 100) -> list[Row]:
    """Changes of cash, quote currency, positive when received: deposit, fee, realised, or one of core.records.PAYMENT_KINDS."""
    return rows(service, newest(tables.bills, limit, trader=trader, kind=kind))


def sums(service: DataService, trader: str) -> Row:
    """What each kind of bill adds up to, quote currency: deposit, realised, fee, funding, what else there is; together the cash."""
    totals: Row = dict.fromkeys(("deposit", "realised", "fee", "funding"), 0.0)
    for bill in rows(service, matching(tables.bills, trader=trader)):
        totals[bill["kind"]] = totals.get(bill["kind"], 0.0) + bill["amount"]
    return totals


def equity(service: DataService, trader: str, start_ts: int = 0, end_ts: int = 2**62) -> dict[str, list[Any]]:
    """A trader's booked closes with start_ts <= ts <= end_ts, oldest first, as columns.

    Returns:
        ts (of the close), bar_ts (its bar's open), equity, cash, notional (quote, signed), exposure (fraction of equity, None without
        equity), drawdown (fraction below the highest equity since the account was opened, negative or 0).
    """
    table = tables.equity_snapshots
    found = rows(service, matching(table, trader=trader).order_by(table.c.ts))
    marks = {name: [row[name] for row in found] for name in ("equity", "cash", "notional")}
    peaks = accumulate(marks["equity"], max)
    marks["exposure"] = [row["notional"] / row["equity"] if row["equity"] > 0 else None for row in found]
    marks["drawdown"] = [value / peak - 1 if peak > 0 else 0.0 for value, peak in zip(marks["equity"], peaks, strict=True)]
    closes = [row["close_ts"] for row in found]
    left, right = bisect_left(closes, start_ts), bisect_right(closes, end_ts)
    columns: dict[str, list[Any]] = {"ts": closes, "bar_ts": [row["ts"] for row in found], **marks}
    return {name: values[left:right] for name, values in columns.items()}


def round_trips(service: DataService, trader: str) -> list[Row]:
    """Closed round trips, newest exit first (specs: simulation, "What a run leaves"); `return` is pnl / equity before the entry."""
    closed, _ = _paired(service, trader)
    return [{name.rstrip("_"): value for name, value in asdict(trade).items()} for trade in reversed(closed)]


def open_trips(service: DataService, trader: str) -> list[Row]:
    """Round trips that still run: symbol, entry_ts, quantity (signed), entry_price, fees, funding (paid is positive), gross profit."""
    _, running = _paired(service, trader)
    names = ("symbol", "entry_ts", "entry_price", "fees", "funding", "gross")
    return [{**{name: getattr(trip, name) for name in names}, "quantity": trip.position.quantity} for trip in running.values()]


def _paired(service: DataService, trader: str) -> tuple[list[Trade], dict[str, OpenTrade]]:
    table = tables.equity_snapshots
    marks = rows(service, matching(table, trader=trader).order_by(table.c.ts))
    stamps = [row["ts"] for row in marks]
    events = sorted(_events(service, trader), key=lambda pair: pair[:2])
    bars = {event.ts: max(bisect_right(stamps, event.ts) - 1, 0) for _, _, event in events}
    capital = balances(service, trader)
    initial = float(capital[0]["initial_capital"]) if capital else 0.0
    return paired([event for _, _, event in events], bars, [row["equity"] for row in marks], initial)


def _events(service: DataService, trader: str) -> list[tuple[int, int, Fill | Payment]]:
    """Fills and funding with their order: by time, funding first, since what is settled at an open was carried into it."""
    names = ("trade_id", "ts", "symbol", "quantity", "price", "fee", "reason")
    made = [
        Fill(order_id=row["client_order_id"], **{name: row[name] for name in names})
        for row in rows(service, matching(tables.trades, trader=trader).order_by(tables.trades.c.id))
    ]
    table = tables.bills
    paid = rows(service, matching(table, trader=trader, kind="funding").order_by(table.c.id))
    settled = [Payment(row["ts"], row["symbol"], row["amount"], row["rate"], row["assumed"]) for row in paid]
    return [(fill.ts, 1, fill) for fill in made] + [(payment.ts, 0, payment) for payment in settled]


def backtests(service: DataService, limit: int = 100) -> list[Row]:
    """Recorded backtests with their result.json."""
    table = tables.backtests
    return rows(service, select(table).order_by(table.c.created_ms.desc(), table.c.name).limit(limit))


def backtest_trades(service: DataService, backtest: str) -> list[Row]:
    """A recorded backtest's round trips, in the order of their exits."""
    table = tables.backtest_trades
    return rows(service, matching(table, backtest=backtest).order_by(table.c.id))


def ingest_runs(service: DataService, limit: int = 100) -> list[Row]:
    """What imports did."""
    return rows(service, newest(tables.ingest_runs, limit))


def alerts(service: DataService, limit: int = 100, trader: str | None = None) -> list[Row]:
    """Warnings."""
    return rows(service, newest(tables.alerts, limit, trader=trader))


def halts(service: DataService, trader: str | None = None, open_only: bool = True) -> list[Row]:
    """Latched halts that nobody has acknowledged; without `open_only` also the others."""
    table = tables.halts
    query = newest(table, 1000, trader=trader)
    return rows(service, query.where(table.c.acknowledged_ms.is_(None)) if open_only else query)


def candle_revisions(service: DataService, symbol: str | None = None, limit: int = 100) -> list[Row]:
    """Stored bars that a later import changed: old and new open, high, low, close, volume."""
    return rows(service, newest(tables.candle_revisions, limit, symbol=symbol))


def cursors(service: DataService) -> dict[str, int]:
    """The newest id of each table that grows, and the newest booked close: they change whenever anything shown may have changed."""
    with service.database.read() as connection:
        last = {name: connection.execute(select(func.max(tables.METADATA.tables[name].c.id))).scalar() for name in CURSORS}
        last["equity"] = connection.execute(select(func.max(tables.balances.c.updated_ts))).scalar()
        last["acknowledged"] = connection.execute(select(func.max(tables.halts.c.acknowledged_ms))).scalar()
    return {name: int(value or 0) for name, value in last.items()}


def browse(service: DataService, table: str, limit: int = 20, offset: int = 0) -> list[Row]:
    """Rows of any table, the last ones first where rows are numbered or have a time.

    Raises:
        UnknownName: there is no such table.
    """
    if table not in tables.METADATA.tables:
        raise UnknownName("table", table, tables.METADATA.tables)
    found = tables.METADATA.tables[table]
    order = next((found.c[name].desc() for name in ("id", "ts", "created_ts", "created_ms") if name in found.c), None)
    return rows(service, (select(found) if order is None else select(found).order_by(order)).limit(limit).offset(offset))
