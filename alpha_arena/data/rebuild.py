"""An account from what happened to it: deposits, decisions, fills and payments, in their order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import fsum
from typing import Any

from sqlalchemy import Connection, select

from alpha_arena.core.accounting import book, disarmed, pay
from alpha_arena.core.records import PAYMENT_KINDS, PROTECTIVE_REASONS
from alpha_arena.core.types import Account, Fill, Order
from alpha_arena.data import tables
from alpha_arena.data.records import fill_of, number, order_of, payment_of

DECIDED, PAID, FILLED = range(3)
Event = tuple[int, int, int, Any]


def decide(account: Account, row: Any) -> Account:
    """The account after a decision: the held position gets the levels and arming that it left."""
    held = json.loads(row.held)
    stop, take = number(held["stop"]), number(held["take"])
    position = replace(account.position(row.symbol), stop=stop, take=take, disarmed=held["disarmed"], disarmed_ts=held["disarmed_ts"])
    return account.put(row.symbol, position)


def fill(account: Account, made: Fill, order: Order | None) -> Account:
    """The account after a fill: a new position gets its order's levels, a protective exit disarms its side."""
    before = account.position(made.symbol)
    booked = book(account, made)
    after = booked.position(made.symbol)
    if made.reason in PROTECTIVE_REASONS:
        after = disarmed(after, before.side, made.ts)
    elif order and after.side not in (0, before.side):
        after = replace(after, stop=order.stop, take=order.take)
    return booked.put(made.symbol, after)


def happened(connection: Connection, trader: str) -> Iterable[Event]:
    """Everything that changed an account, by time; at one time decisions first, then funding, then fills."""
    found: list[Event] = []
    for table, rank in ((tables.decisions, DECIDED), (tables.bills, PAID), (tables.trades, FILLED)):
        rows = connection.execute(select(table).where(table.c.trader == trader)).all()
        found += [(row.ts, rank, row.id, row) for row in rows if rank != PAID or row.kind in PAYMENT_KINDS]
    return sorted(found, key=lambda event: event[:3])


def orders_of(connection: Connection, trader: str) -> Mapping[str, Order]:
    """All orders by id."""
    rows = connection.execute(select(tables.orders).where(tables.orders.c.trader == trader))
    return {row.client_order_id: order_of(row) for row in rows}


def rebuild(connection: Connection, trader: str) -> Account:
    """The account as its events make it: cash, positions, levels, arming. It must equal the stored one."""
    deposits = select(tables.bills.c.amount).where(tables.bills.c.trader == trader, tables.bills.c.kind == "deposit")
    account = Account(fsum(connection.execute(deposits).scalars()))
    orders = orders_of(connection, trader)
    for _, rank, _, row in happened(connection, trader):
        if rank == DECIDED:
            account = decide(account, row)
        elif rank == PAID:
            account = pay(account, payment_of(row))
        else:
            account = fill(account, fill_of(row), orders.get(row.client_order_id))
    return account
