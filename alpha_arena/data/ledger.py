"""A trader's memory in the database: decisions, orders, fills, bills, positions, equity. It keeps `core.ports.Store`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import nan
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from alpha_arena.core.accounting import book, pay, realised
from alpha_arena.core.errors import AlreadyDecided, StoreError
from alpha_arena.core.records import OPEN_STATES, Booking, Decision, OrderEvent
from alpha_arena.core.timeframes import UNIT_MS
from alpha_arena.core.timeline import timeline
from alpha_arena.core.types import Account, Fill, Order, Payment, Position, RiskState
from alpha_arena.data import tables
from alpha_arena.data.lease import Lease
from alpha_arena.data.service import DataService

STOPS = ("stop", "liquidation")
CASH_TOLERANCE = 1e-6


def number(value: float | None) -> float:
    """NULL is NaN."""
    return nan if value is None else value


class Ledger:
    """One trader's account and history.

    Args:
        trader: its id. timeframe: that it decides on. exchange: where its orders go, e.g. "simulated".
        lease: checked in the same transaction as each intent.
    """

    def __init__(self, service: DataService, trader: str, timeframe: str, exchange: str, lease: Lease | None = None) -> None:
        self.database = service.database
        self.trader = trader
        self.timeframe = timeframe
        self.exchange = exchange
        self.lease = lease

    def open_account(self, initial_capital: float, ts: int) -> None:
        """Deposit the initial capital, quote currency; an account that exists is left as it is."""
        with self.database.write() as connection:
            if self._balance(connection) is not None:
                return
            cash = dict.fromkeys(("cash", "equity", "initial_capital", "peak_equity"), initial_capital)
            connection.execute(insert(tables.balances), [{"trader": self.trader, **cash, "opened_ts": ts, "updated_ts": ts}])
            connection.execute(insert(tables.bills), [self._bill(ts, "deposit", "", "initial", initial_capital)])

    def account(self) -> Account:
        """Cash and positions as of the last booked bar, with levels and arming.

        Raises:
            StoreError: the trader has no account.
        """
        with self.database.read() as connection:
            return self._account(connection)

    def _account(self, connection: Connection) -> Account:
        balance = self._balance(connection)
        if balance is None:
            raise StoreError(f"trader {self.trader!r} has no account yet; run alpha-arena trade trader.id={self.trader}")
        rows = connection.execute(select(tables.positions).where(tables.positions.c.trader == self.trader)).all()
        return Account(balance.cash, {row.symbol: position_of(row) for row in rows})

    def _balance(self, connection: Connection) -> Any:
        return connection.execute(select(tables.balances).where(tables.balances.c.trader == self.trader)).first()

    def open_orders(self) -> list[Order]:
        """Orders that were intended and have not come to an end."""
        table = tables.orders
        query = select(table).where(table.c.trader == self.trader, table.c.state.in_(OPEN_STATES)).order_by(table.c.created_ts)
        with self.database.read() as connection:
            return [order_of(row) for row in connection.execute(query)]

    def last_booked_ts(self) -> int | None:
        """Open of the newest bar that is booked."""
        table = tables.equity_snapshots
        return self._scalar(select(func.max(table.c.ts)).where(table.c.trader == self.trader))

    def decided_ts(self, symbol: str) -> int | None:
        """Open of the newest bar that is decided for a symbol."""
        table = tables.decisions
        mine = (table.c.trader == self.trader) & (table.c.symbol == symbol) & (table.c.timeframe == self.timeframe)
        return self._scalar(select(func.max(table.c.bar_ts)).where(mine))

    def _scalar(self, query: Any) -> int | None:
        with self.database.read() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else int(found)

    def risk(self, ts: int) -> RiskState:
        """What risk rules remember, for a decision at close `ts`."""
        with self.database.read() as connection:
            balance = self._balance(connection)
            return RiskState(
                peak_equity=balance.peak_equity if balance else 0.0,
                halted=self._halted(connection),
                orders_today=self._orders_since(connection, ts // UNIT_MS["d"] * UNIT_MS["d"], ts),
                last_stop_ts=self._last_stops(connection),
            )

    def _halted(self, connection: Connection) -> str:
        table = tables.halts
        open_ = (table.c.trader == self.trader) & table.c.acknowledged_ms.is_(None)
        return connection.execute(select(table.c.reason).where(open_).order_by(table.c.id).limit(1)).scalar() or ""

    def _orders_since(self, connection: Connection, start: int, end: int) -> int:
        table = tables.orders
        mine = (table.c.trader == self.trader) & (table.c.kind == "market") & table.c.created_ts.between(start, end)
        return int(connection.execute(select(func.count()).select_from(table).where(mine)).scalar() or 0)

    def _last_stops(self, connection: Connection) -> dict[str, int]:
        table = tables.trades
        mine = (table.c.trader == self.trader) & table.c.reason.in_(STOPS)
        rows = connection.execute(select(table.c.symbol, func.max(table.c.ts)).where(mine).group_by(table.c.symbol))
        return {symbol: int(ts) for symbol, ts in rows}

    def intend(self, decisions: Sequence[Decision], orders: Sequence[Order], positions: Mapping[str, Position]) -> None:
        """Commit what was decided and is about to be sent, with the held levels, in one transaction.

        Raises:
            AlreadyDecided: one of the bars has a decision; nothing is written.
            LeaseLost: the lease has passed to another process; nothing is written.
        """
        with self.database.write() as connection:
            if self.lease:
                self.lease.check(connection)
            for decision in decisions:
                self._decide(connection, decision)
            ts = decisions[0].ts if decisions else 0
            for order in orders:
                self._order(connection, order, ts, "INTENT", "decided")
            self._positions(connection, positions, ts)

    def _decide(self, connection: Connection, decision: Decision) -> None:
        if self._is_decided(connection, decision):
            bar = f"the {decision.timeframe} bar of {decision.symbol} that opened at {decision.bar_ts}"
            raise AlreadyDecided(f"{self.trader} has decided {bar} before; nothing was sent")
        made = connection.execute(insert(tables.decisions).values(**decision_row(decision)))
        key = made.inserted_primary_key
        shares = [{"trader": self.trader, "decision_id": key[0] if key else 0, **asdict(share)} for share in decision.target.shares]
        if shares:
            connection.execute(insert(tables.strategy_allocations), shares)

    def _is_decided(self, connection: Connection, decision: Decision) -> bool:
        table = tables.decisions
        key = (table.c.trader == decision.trader) & (table.c.symbol == decision.symbol) & (table.c.timeframe == decision.timeframe)
        return connection.execute(select(table.c.id).where(key, table.c.bar_ts == decision.bar_ts)).first() is not None

    def _order(self, connection: Connection, order: Order, ts: int, state: str, cause: str) -> None:
        values = {name: getattr(order, name) for name in ("symbol", "kind", "quantity", "price", "stop", "take", "reduce_only")}
        row = {"client_order_id": order.id, "trader": self.trader, "exchange": self.exchange, "state": state, "cause": cause}
        sums = {"filled": 0.0, "average": nan, "fee": 0.0, "created_ts": ts, "updated_ts": ts}
        self.database.upsert(connection, tables.orders, [{**row, **values, **sums}], ("client_order_id",), update=False)
        self._event(connection, OrderEvent(order.id, ts, state, cause))

    def _positions(self, connection: Connection, positions: Mapping[str, Position], ts: int) -> None:
        rows = [{"trader": self.trader, "symbol": symbol, **asdict(position), "updated_ts": ts} for symbol, position in positions.items()]
        self.database.upsert(connection, tables.positions, rows, ("trader", "symbol"))

    def event(self, event: OrderEvent) -> None:
        """Append to an order's life and keep its newest state."""
        with self.database.write() as connection:
            self._event(connection, event)

    def _event(self, connection: Connection, event: OrderEvent) -> None:
        row = {"trader": self.trader, "client_order_id": event.order_id, "ts": event.ts, "state": event.state, "cause": event.cause}
        connection.execute(insert(tables.order_lifecycle_events), [row])
        mine = tables.orders.c.client_order_id == event.order_id
        connection.execute(update(tables.orders).where(mine).values(state=event.state, cause=event.cause, updated_ts=event.ts))

    def book(self, booking: Booking) -> None:
        """Record a bar's fills, payments, events, account and equity in one transaction; a bar that is booked already changes nothing.

        Raises:
            StoreError: fills and payments do not explain the account; nothing is written.
        """
        with self.database.write() as connection:
            if self._snapshot_exists(connection, booking.ts):
                return
            self._explain(connection, booking)
            for order in booking.exits:
                self._order(connection, order, booking.ts, "WORKING", f"{order.kind} level of the held position")
            self._fills(connection, booking.fills)
            for event in booking.events:
                self._event(connection, event)
            self._positions(connection, booking.account.positions, booking.close_ts)
            self._equity(connection, booking)

    def _snapshot_exists(self, connection: Connection, ts: int) -> bool:
        table = tables.equity_snapshots
        return connection.execute(select(table.c.ts).where(table.c.trader == self.trader, table.c.ts == ts)).first() is not None

    def _explain(self, connection: Connection, booking: Booking) -> None:
        """A bill for every change of cash, checked against the account that the executor gives."""
        account, bills = self._account(connection), []
        for row, event in enumerate(timeline([booking])):
            bills += self._bills(account, event, row)
            account = pay(account, event) if isinstance(event, Payment) else book(account, event)
        if abs(account.cash - booking.account.cash) > CASH_TOLERANCE * max(1.0, abs(account.cash)):
            raise StoreError(
                f"{self.trader}: the bar {booking.ts} ends with cash {booking.account.cash}, its fills and payments explain {account.cash}"
            )
        if bills:
            connection.execute(insert(tables.bills), bills)

    def _bills(self, account: Account, event: Fill | Payment, row: int) -> list[dict[str, Any]]:
        if isinstance(event, Payment):
            bill = self._bill(event.ts, "funding", event.symbol, f"{event.symbol} {event.ts} {row}", event.amount)
            return [{**bill, "rate": event.rate, "assumed": event.assumed}]
        profit = realised(account.position(event.symbol), event)
        made = [self._bill(event.ts, "fee", event.symbol, event.trade_id, -event.fee)] if event.fee else []
        return made + ([self._bill(event.ts, "realised", event.symbol, event.trade_id, profit)] if profit else [])

    def _bill(self, ts: int, kind: str, symbol: str, reference: str, amount: float) -> dict[str, Any]:
        row = {"trader": self.trader, "ts": ts, "kind": kind, "symbol": symbol, "reference": reference}
        return {**row, "amount": amount, "rate": nan, "assumed": False}

    def _fills(self, connection: Connection, fills: Sequence[Fill]) -> None:
        for fill in fills:
            row = {"exchange": self.exchange, "trader": self.trader, "client_order_id": fill.order_id, **asdict(fill)}
            row.pop("order_id")
            self.database.upsert(connection, tables.trades, [row], ("exchange", "trade_id"), update=False)
        for order_id in dict.fromkeys(fill.order_id for fill in fills):
            self._fill_order(connection, order_id)

    def _fill_order(self, connection: Connection, order_id: str) -> None:
        """Sum an order's fills into its row."""
        rows = connection.execute(select(tables.trades).where(tables.trades.c.client_order_id == order_id)).all()
        filled = sum(row.quantity for row in rows)
        worth = sum(abs(row.quantity) * row.price for row in rows) / sum(abs(row.quantity) for row in rows)
        mine = tables.orders.c.client_order_id == order_id
        connection.execute(update(tables.orders).where(mine).values(filled=filled, average=worth, fee=sum(row.fee for row in rows)))

    def _equity(self, connection: Connection, booking: Booking) -> None:
        held = booking.account.positions.items()
        notional = sum(position.quantity * booking.prices[symbol] for symbol, position in held if position.quantity)
        cash = {"equity": booking.equity, "cash": booking.account.cash}
        row = {"trader": self.trader, "ts": booking.ts, "close_ts": booking.close_ts, **cash, "notional": notional}
        connection.execute(insert(tables.equity_snapshots), [row])
        peak = max(self._balance(connection).peak_equity, booking.equity)
        mine = tables.balances.c.trader == self.trader
        connection.execute(update(tables.balances).where(mine).values(**cash, peak_equity=peak, updated_ts=booking.close_ts))

    def halt(self, ts: int, reason: str) -> None:
        """Latch a halt until it is acknowledged; one that is latched already is kept."""
        with self.database.write() as connection:
            if not self._halted(connection):
                connection.execute(insert(tables.halts), [{"trader": self.trader, "ts": ts, "reason": reason}])

    def acknowledge(self, ts: int, by: str) -> int:
        """Lift the trader's halts; returns how many. The peak that drawdown is measured from starts anew at the present equity."""
        table = tables.halts
        with self.database.write() as connection:
            mine = (table.c.trader == self.trader) & table.c.acknowledged_ms.is_(None)
            lifted = connection.execute(update(table).where(mine).values(acknowledged_ms=ts, acknowledged_by=by)).rowcount
            if lifted:
                mine_too = tables.balances.c.trader == self.trader
                connection.execute(update(tables.balances).where(mine_too).values(peak_equity=tables.balances.c.equity))
        return int(lifted)

    def rebuild(self) -> Account:
        """The account from its events alone: deposits, fills and funding. Levels and arming are not events and stay empty."""
        with self.database.read() as connection:
            bills = connection.execute(select(tables.bills).where(tables.bills.c.trader == self.trader).order_by(tables.bills.c.id)).all()
            fills = connection.execute(
                select(tables.trades).where(tables.trades.c.trader == self.trader).order_by(tables.trades.c.id)
            ).all()
        cash = sum(bill.amount for bill in bills if bill.kind in ("deposit", "funding"))
        account = Account(cash)
        for row in fills:
            account = book(
                account, Fill(row.trade_id, row.client_order_id, row.ts, row.symbol, row.quantity, row.price, row.fee, row.reason)
            )
        return account


def position_of(row: Any) -> Position:
    """A position from its row."""
    levels = (number(row.entry), number(row.stop), number(row.take))
    return Position(row.quantity, *levels, disarmed=row.disarmed, disarmed_ts=row.disarmed_ts)


def order_of(row: Any) -> Order:
    """An order from its row."""
    levels = (number(row.price), number(row.stop), number(row.take))
    return Order(row.client_order_id, row.symbol, row.quantity, row.kind, *levels, reduce_only=row.reduce_only)


def decision_row(decision: Decision) -> dict[str, Any]:
    """A decision as its table holds it."""
    same = ("trader", "symbol", "timeframe", "bar_ts", "ts", "decider", "equity", "price", "config_hash", "catch_up")
    target = decision.target
    return {
        **{name: getattr(decision, name) for name in same},
        **{name: getattr(target, name) for name in ("exposure", "stop", "take", "confidence", "why")},
        "wanted_exposure": decision.wanted.exposure,
        "regime": decision.regime.current,
        "regime_context": json.dumps(asdict(decision.regime)),
        "refusals": json.dumps([asdict(refusal) for refusal in decision.refusals]),
    }
