"""What came of decisions, in the database: followed in the transaction that books a bar."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, insert, select, update

from alpha_arena.core.ids import LEGS, order_id
from alpha_arena.core.outcomes import Outcome, Outcomes, follow
from alpha_arena.core.records import Decision
from alpha_arena.core.types import Account, Fill, Order, Payment
from alpha_arena.data import tables
from alpha_arena.data.records import decision_of, share_of

TABLE = tables.outcomes
DECIDED = ("symbol", "bar_ts", "ts", "opened_ts", "regime", "exposure", "equity")
FOLLOWED = ("mark", "gross", "fees", "funding", "closed_ts", "horizon_bars", "ended_by")


def outcome_of(row: Any) -> Outcome:
    """An outcome from its row."""
    kept = {name: getattr(row, name) for name in (*DECIDED, *FOLLOWED)}
    return Outcome(**kept, parts=tuple((name, part) for name, part in json.loads(row.parts)))


def outcome_row(made: Outcome) -> dict[str, Any]:
    """An outcome as its table holds it, without trader and decision."""
    return {**asdict(made), "parts": json.dumps(made.parts), "pnl": made.pnl, "return_": made.return_}


def closed(connection: Connection, trader: str, ts: int, most: int) -> Sequence[Outcome]:
    """The newest `most` outcomes of a trader that had ended by a time, oldest first."""
    mine = (TABLE.c.trader == trader) & (TABLE.c.closed_ts <= ts)
    place = (TABLE.c.closed_ts.desc(), TABLE.c.bar_ts.desc(), TABLE.c.symbol.desc())
    found = connection.execute(select(TABLE).where(mine).order_by(*place).limit(most))
    return [outcome_of(row) for row in found][::-1]


def going_on(connection: Connection, trader: str, account: Account, working: Sequence[Order]) -> Outcomes:
    """What runs, to be followed in memory from here on.

    Args:
        account: as it is booked. working: orders that may yet be filled.
    """
    following = Following(connection, trader)
    held = {symbol: position.quantity for symbol, position in account.positions.items()}
    running = {symbol: one for symbol in held if (one := following.running(symbol))}
    found = {order.id: following.opens(order.symbol, order.id) for order in working}
    return Outcomes(running=running, held=held, decisions={name: one[1] for name, one in found.items() if one})


class Following:
    """Follows one trader's outcomes through what is booked in one transaction."""

    def __init__(self, connection: Connection, trader: str) -> None:
        self.connection = connection
        self.trader = trader

    def happened(self, held: float, event: Fill | Payment) -> None:
        """A fill or payment, in the order of what happened; `held`: quantity of its symbol before it."""
        running = self.running(event.symbol)
        found = self.opens(event.symbol, event.order_id) if isinstance(event, Fill) else None
        now, ended = follow(running, held, event, found[1] if found else None)
        if ended:
            self._update(ended)
        if now and found and (running is None or now.bar_ts != running.bar_ts):
            row = {"trader": self.trader, "decision_id": found[0], **outcome_row(now)}
            self.connection.execute(insert(TABLE), [row])
        elif now and now != running:
            self._update(now)

    def running(self, symbol: str) -> Outcome | None:
        """The outcome that runs for a symbol."""
        mine = (TABLE.c.trader == self.trader) & (TABLE.c.symbol == symbol) & TABLE.c.closed_ts.is_(None)
        row = self.connection.execute(select(TABLE).where(mine)).first()
        return outcome_of(row) if row else None

    def _update(self, made: Outcome) -> None:
        own = {name: value for name, value in outcome_row(made).items() if name in (*FOLLOWED, "pnl", "return_")}
        mine = (TABLE.c.trader == self.trader) & (TABLE.c.symbol == made.symbol) & TABLE.c.closed_ts.is_(None)
        self.connection.execute(update(TABLE).where(mine).values(own))

    def opens(self, symbol: str, name: str) -> tuple[int, Decision] | None:
        """The decision that an order was sent for, with its row's number; None for an order of others, and of a decision that has ended."""
        made, shares, orders = tables.decisions, tables.strategy_allocations, tables.orders
        sent = select(orders.c.created_ts).where(orders.c.client_order_id == name).scalar_subquery()
        mine = (made.c.trader == self.trader) & (made.c.symbol == symbol) & (made.c.ts == sent)
        for row in self.connection.execute(select(made).where(mine)):
            names = [order_id(row.trader, row.symbol, row.timeframe, row.bar_ts, leg) for leg in LEGS]
            if name in names and not self._has_ended(row.id):
                kept = self.connection.execute(select(shares).where(shares.c.decision_id == row.id).order_by(shares.c.id))
                return row.id, decision_of(row, [share_of(one) for one in kept])
        return None

    def _has_ended(self, decision_id: int) -> bool:
        query = select(TABLE.c.id).where(TABLE.c.decision_id == decision_id, TABLE.c.closed_ts.is_not(None))
        return self.connection.execute(query).first() is not None
