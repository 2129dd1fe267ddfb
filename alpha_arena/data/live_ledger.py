"""The ledger of an account at an exchange: what was sent and until when it may arrive, protections, the account's state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan
from typing import Any, Literal

from sqlalchemy import Column, Connection, Table, func, select, update

from alpha_arena.core.ids import derived_id
from alpha_arena.core.records import FINAL_STATES, OPEN_STATES, PAYMENT_KINDS, OrderEvent
from alpha_arena.core.types import Order
from alpha_arena.core.venue import Protection
from alpha_arena.data import controls, tables
from alpha_arena.data.ledger import Ledger
from alpha_arena.data.records import number, order_of

AccountState = Literal["READY", "UNRECONCILED", "DIFFERS", "HALTED"]

AFTER = "after bill "
RECENT = 20
REMEMBERED = 500


@dataclass(frozen=True, slots=True)
class Tracked:
    """An order of this trader that may be at the exchange.

    Attributes:
        created_ts: close at which it was decided. exchange_order_id: "" until it is known.
        attempts: how often it was sent. expires_ms: of the last attempt, by the exchange's clock; 0 where nothing can be on its way.
    """

    order: Order
    state: str
    created_ts: int
    filled: float
    exchange_order_id: str = ""
    attempts: int = 0
    expires_ms: int = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """A protective order that is this trader's own. client_order_id: of the entry that carries it, "" for one placed alone."""

    client_id: str
    symbol: str
    client_order_id: str
    quantity: float
    stop: float
    take: float
    state: str


def tracked_of(row: Any) -> Tracked:
    """From a row of orders joined with sent_orders."""
    sent = (row.exchange_order_id or "", row.attempts or 0, row.expires_ms or 0)
    return Tracked(order_of(row), row.state, row.created_ts, number(row.filled), *sent)


def claim_of(row: Any) -> Claim:
    """From a row of protections."""
    figures = (number(row.quantity), number(row.stop), number(row.take))
    return Claim(row.client_id, row.symbol, row.client_order_id, *figures, row.state)


class LiveLedger(Ledger):
    """A Ledger whose orders go to an exchange; each method that writes is a transaction that checks the lease."""

    def tracked(self) -> list[Tracked]:
        """Orders that have not come to an end: those that close first, then oldest first."""
        table = tables.orders
        found = self._tracked(table.c.state.in_(OPEN_STATES))
        return sorted(found, key=lambda one: (one.created_ts, not one.order.reduce_only, one.order.id))

    def tracked_order(self, order_id: str) -> Tracked | None:
        """One order of this trader, whatever its state."""
        return next(iter(self._tracked(tables.orders.c.client_order_id == order_id)), None)

    def entries(self, symbol: str) -> list[Tracked]:
        """The last orders that opened or may open a position, newest first."""
        table = tables.orders
        mine = (table.c.symbol == symbol) & table.c.reduce_only.is_(False) & (table.c.kind == "market")
        return self._tracked(mine, RECENT)

    def exits(self, symbol: str, created_ts: int) -> list[Tracked]:
        """Reduce-only orders of one moment, whatever their state."""
        table = tables.orders
        return self._tracked((table.c.symbol == symbol) & table.c.reduce_only.is_(True) & (table.c.created_ts == created_ts))

    def rejected_in_a_row(self) -> int:
        """How many of the last orders the exchange refused, up to the last one that it took."""
        table = tables.orders
        last = self._tracked(table.c.state.in_((*FINAL_STATES, "WORKING", "PARTIAL")) & (table.c.kind == "market"), RECENT)
        return next((n for n, one in enumerate(last) if one.state != "REJECTED"), len(last))

    def _tracked(self, which: Any, newest: int | None = None) -> list[Tracked]:
        order, sent = tables.orders, tables.sent_orders
        joined = order.outerjoin(sent, order.c.client_order_id == sent.c.client_order_id)
        columns = (order, sent.c.exchange_order_id, sent.c.attempts, sent.c.expires_ms)
        query = select(*columns).select_from(joined).where(order.c.trader == self.trader, which)
        query = query.order_by(order.c.created_ts.desc()).limit(newest) if newest else query
        with self.database.read() as connection:
            return [tracked_of(row) for row in connection.execute(query)]

    def intend_order(self, order: Order, ts: int, cause: str) -> None:
        """Commit an order that no decision made, before it is sent; one that is known changes nothing."""
        with self._write() as connection:
            self._order(connection, order, ts, "INTENT", cause)

    def sending(self, order: Order, ts: int, expires_ms: int) -> str:
        """Commit that an order is about to be sent, unless a switch or a halt forbids it.

        Args:
            ts: now. expires_ms: when the exchange will discard it, by its clock.

        Returns:
            why it may not be sent, "" where it may; the refusal is committed as the order's end.
        """
        with self._write() as connection:
            refusal = self._forbidden(connection, order)
            cause = f"not sent: {refusal}" if refusal else f"sent, discarded by the exchange after {expires_ms}"
            self._event(connection, OrderEvent(order.id, ts, "LAPSED" if refusal else "SENT", cause))
            if not refusal:
                self._sent(connection, order.id, ts, expires_ms)
        return refusal

    def _forbidden(self, connection: Connection, order: Order) -> str:
        if order.reduce_only:
            return ""
        told = controls.with_file(controls.read(connection, self.trader), controls.kill_file(self.database))
        halted = self._halted(connection)
        return told.no_entries or (f"trading is halted ({halted})" if halted else "")

    def _sent(self, connection: Connection, order_id: str, ts: int, expires_ms: int) -> None:
        table = tables.sent_orders
        before = connection.execute(select(table.c.attempts).where(table.c.client_order_id == order_id)).scalar() or 0
        row = {"client_order_id": order_id, "trader": self.trader, "exchange_order_id": "", "attempts": before + 1}
        self.database.upsert(connection, table, [{**row, "sent_ms": ts, "expires_ms": expires_ms}], ("client_order_id",))

    def not_on_its_way(self, order_id: str) -> None:
        """The last attempt was definitely not carried out."""
        self._update_sent(order_id, expires_ms=0)

    def at_the_exchange(self, order_id: str, exchange_order_id: str) -> None:
        """Remember the exchange's id of an order."""
        self._update_sent(order_id, exchange_order_id=exchange_order_id)

    def _update_sent(self, order_id: str, **values: Any) -> None:
        table = tables.sent_orders
        with self._write() as connection:
            connection.execute(update(table).where(table.c.client_order_id == order_id).values(**values))

    def booked(self, bill_ids: Iterable[str]) -> set[str]:
        """Those of the exchange's bills that are stored, as fills or as payments."""
        asked = list(bill_ids)
        filled = self._stored(tables.trades, tables.trades.c.trade_id, asked)
        return filled | self._stored(tables.bills, tables.bills.c.reference, asked, tables.bills.c.kind.in_(PAYMENT_KINDS))

    def _stored(self, table: Table, column: Column[Any], asked: list[str], *which: Any) -> set[str]:
        query = select(column).where(table.c.trader == self.trader, column.in_(asked), *which)
        with self.database.read() as connection:
            return set(connection.execute(query).scalars()) if asked else set()

    def knows(self, order_ids: Iterable[str]) -> set[str]:
        """Those client order ids that are stored as this trader's, EXTERNAL ones included."""
        table, asked = tables.orders, list(order_ids)
        return self._stored(table, table.c.client_order_id, asked)

    def open_after(self, cash: float, ts: int, bill_id: str) -> None:
        """Open the account with the exchange's cash.

        Args:
            cash: quote. ts: now, by the exchange's clock. bill_id: of the last change of that cash, "" for none.
        """
        with self.database.batch():
            self.open_account(cash, ts)
            mine = (tables.bills.c.trader == self.trader) & (tables.bills.c.kind == "deposit")
            with self._write() as connection:
                connection.execute(update(tables.bills).where(mine).values(reference=f"{AFTER}{bill_id}"))

    def opened_ms(self) -> int:
        """When the account was opened, 0 where it is not."""
        with self.database.read() as connection:
            balance = self._balance(connection)
        return int(balance.opened_ts) if balance else 0

    def ours(self, bill_id: str, ts: int, moved: bool = False) -> bool:
        """Whether a change of cash came after the account was opened: what was before is in its first cash. Ids only grow.

        Args:
            moved: it is a transfer; at the very moment of opening, where the exchange told no bill, it made the first cash.
        """
        mine = (tables.bills.c.trader == self.trader) & (tables.bills.c.kind == "deposit")
        with self.database.read() as connection:
            first = connection.execute(select(tables.bills.c.ts, tables.bills.c.reference).where(mine)).first()
        if first is None or ts != first.ts:
            return first is not None and bool(ts > first.ts)
        mark = first.reference.removeprefix(AFTER) if first.reference.startswith(AFTER) else ""
        return (len(bill_id), bill_id) > (len(mark), mark) if mark else not moved

    def claim(self, symbol: str, quantity: float, stop: float, take: float, ts: int) -> Claim:
        """Commit a protective order before it is placed; its client id has not been used before.

        Args:
            quantity: signed closing quantity, base currency. stop, take: prices, NaN for none.
        """
        table = tables.protections
        with self._write() as connection:
            last = connection.execute(select(func.max(table.c.number)).where(table.c.trader == self.trader)).scalar() or 0
            made = Claim(derived_id(self.trader, "protection", last + 1), symbol, "", quantity, stop, take, "INTENT")
            self._claim(connection, made, last + 1, ts)
        return made

    def claim_attached(self, order: Order, client_id: str, ts: int) -> None:
        """Commit the protection that an entry carries; one that is known changes nothing."""
        made = Claim(client_id, order.symbol, order.id, -order.quantity, order.stop, order.take, "INTENT")
        with self._write() as connection:
            self._claim(connection, made, 0, ts)

    def claim_again(self, found: Protection, order_id: str, ts: int) -> None:
        """Claim one at the exchange whose row is lost; one that has a name which this trader does not give is left alone.

        Args:
            order_id: of the entry that carries it, "" for one placed alone.
        """
        table = tables.protections
        with self.database.read() as connection:
            last = connection.execute(select(func.max(table.c.number)).where(table.c.trader == self.trader)).scalar() or 0
        names = {derived_id(self.trader, "protection", n): n for n in range(last + 1, last + 1 + REMEMBERED)}
        if not order_id and found.client_id not in names:
            return
        quantity, stop, take = (nan if figure is None else float(figure) for figure in (found.quantity, found.stop, found.take))
        made = Claim(found.client_id, found.symbol, order_id, quantity, stop, take, "LIVE")
        with self._write() as connection:
            self._claim(connection, made, names.get(found.client_id, 0), ts)

    def _claim(self, connection: Connection, made: Claim, nth: int, ts: int) -> None:
        names = ("client_id", "symbol", "client_order_id", "quantity", "stop", "take", "state")
        row = {"trader": self.trader, "number": nth, "created_ms": ts, **{name: getattr(made, name) for name in names}}
        self.database.upsert(connection, tables.protections, [row], ("client_id",), update=False)

    def claims(self, symbol: str) -> dict[str, Claim]:
        """The last protective orders of this trader, whatever became of them, by client id."""
        table = tables.protections
        query = select(table).where(table.c.trader == self.trader, table.c.symbol == symbol)
        query = query.order_by(table.c.created_ms.desc(), table.c.number.desc()).limit(REMEMBERED)
        with self.database.read() as connection:
            return {row.client_id: claim_of(row) for row in connection.execute(query)}

    def claim_is(self, client_id: str, state: str) -> None:
        """Keep what became of a protective order: LIVE, DONE or FAILED."""
        table = tables.protections
        with self._write() as connection:
            connection.execute(update(table).where(table.c.client_id == client_id, table.c.state != state).values(state=state))

    def halted(self) -> str:
        """Reason of the latched halt, "" for none."""
        with self.database.read() as connection:
            return self._halted(connection)

    def is_now(self, state: AccountState, reason: str, ts: int) -> int:
        """Keep how the account stands; returns since when it has, for DIFFERS: since when it has differed in just this way."""
        table = tables.account_states
        with self._write() as connection:
            row = connection.execute(select(table).where(table.c.trader == self.trader)).first()
            # another difference may be one that is about to be told
            same = row is not None and row.state == state and (state != "DIFFERS" or row.reason == reason)
            since = int(row.since_ms) if row is not None and same else ts
            kept = {"trader": self.trader, "state": state, "reason": reason, "since_ms": since, "updated_ms": ts}
            self.database.upsert(connection, table, [kept], ("trader",))
        return since

    def stands(self) -> tuple[str, str]:
        """State and reason as last kept; ("", "") where nothing was."""
        table = tables.account_states
        with self.database.read() as connection:
            row = connection.execute(select(table).where(table.c.trader == self.trader)).first()
        return (row.state, row.reason) if row else ("", "")

    def audit(self, ts: int, action: str, detail: str) -> None:
        """Append to what was done to this account."""
        with self._write() as connection:
            controls.audit(connection, self.trader, ts, action, "alpha-arena", detail)


__all__ = ["AccountState", "Claim", "LiveLedger", "Tracked"]
