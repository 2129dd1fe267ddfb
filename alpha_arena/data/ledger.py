"""A trader's memory in the database: decisions, orders, fills, bills, positions, equity. It keeps `core.ports.Store`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from math import nan
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from alpha_arena.core.accounting import book, pay, realised
from alpha_arena.core.advice import completed
from alpha_arena.core.errors import AlreadyDecided, StoreError
from alpha_arena.core.outcomes import Outcome, Outcomes
from alpha_arena.core.records import FINAL_STATES, OPEN_STATES, PAYMENT_KINDS, Booking, Decision, OrderEvent
from alpha_arena.core.timeframes import UNIT_MS
from alpha_arena.core.timeline import timeline
from alpha_arena.core.types import FLAT, RUINED, Account, Fill, Order, Payment, Position, RiskState
from alpha_arena.data import controls, tables
from alpha_arena.data.lease import Lease
from alpha_arena.data.outcomes import Following, closed, going_on
from alpha_arena.data.rebuild import rebuild
from alpha_arena.data.records import ORDERED, decision_of, decision_row, fill_row, order_of, position_of, reference, share_of
from alpha_arena.data.service import DataService

STOPS = ("stop", "liquidation")
TOLERANCE = 1e-6
EXIT_STARTS = {kind: ("WORKING", f"{kind} level of the held position") for kind in ("stop", "take", "liquidation")}
EXIT_STARTS["external"] = ("EXTERNAL", "not an order of this trader")
FOUND = ("WORKING", "found at the exchange")


class Ledger:
    """One trader's account and history.

    Args:
        trader: its id. timeframe: that it decides on. exchange: where its orders go, e.g. "simulated".
        lease: checked in the same transaction as each write.
    """

    def __init__(self, service: DataService, trader: str, timeframe: str, exchange: str, lease: Lease | None = None) -> None:
        self.database = service.database
        self.trader = trader
        self.timeframe = timeframe
        self.exchange = exchange
        self.lease = lease

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self.database.write() as connection:
            if self.lease:
                self.lease.check(connection)
            yield connection

    def open_account(self, initial_capital: float, ts: int) -> None:
        """Deposit the initial capital, quote currency; an account that exists is left as it is."""
        with self.database.read() as connection:
            if self._balance(connection):
                return
        with self._write() as connection:
            if self._balance(connection):
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
        if not balance:
            raise StoreError(f"trader {self.trader!r} has no account yet; run alpha-arena trade trader.id={self.trader}")
        rows = connection.execute(select(tables.positions).where(tables.positions.c.trader == self.trader))
        return Account(balance.cash, {row.symbol: position_of(row) for row in rows})

    def _balance(self, connection: Connection) -> Any:
        return connection.execute(select(tables.balances).where(tables.balances.c.trader == self.trader)).first()

    def rebuild(self) -> Account:
        """The account from its events alone: deposits, decisions, fills and funding; it equals `account()`."""
        with self.database.read() as connection:
            return rebuild(connection, self.trader)

    def outcomes(self, ts: int, most: int) -> Sequence[Outcome]:
        """The newest `most` outcomes that had ended by a time, oldest first."""
        with self.database.read() as connection:
            return closed(connection, self.trader, ts, most)

    def going_on(self) -> Outcomes:
        """The outcomes that run, to be followed in memory from the last booked bar on."""
        account, working = self.account(), self.open_orders()
        with self.database.read() as connection:
            return going_on(connection, self.trader, account, working)

    def decisions(self) -> list[Decision]:
        """All that was decided, oldest first."""
        made, shares = tables.decisions, tables.strategy_allocations
        with self.database.read() as connection:
            rows = connection.execute(select(made).where(made.c.trader == self.trader).order_by(made.c.id)).all()
            kept = connection.execute(select(shares).where(shares.c.trader == self.trader).order_by(shares.c.id)).all()
        by_decision: dict[int, list[Any]] = {row.id: [] for row in rows}
        for row in kept:
            by_decision[row.decision_id].append(share_of(row))
        return [decision_of(row, by_decision[row.id]) for row in rows]

    def open_orders(self) -> list[Order]:
        """Orders that were intended and have not come to an end, oldest first; of one moment those that close first."""
        table = tables.orders
        turn = (table.c.created_ts, table.c.reduce_only.desc(), table.c.client_order_id)
        query = select(table).where(table.c.trader == self.trader, table.c.state.in_(OPEN_STATES))
        with self.database.read() as connection:
            return [order_of(row) for row in connection.execute(query.order_by(*turn))]

    def last_booked_ts(self) -> int | None:
        """Open of the newest bar that is booked."""
        with self.database.read() as connection:
            return self._last_booked(connection)

    def _last_booked(self, connection: Connection) -> int | None:
        table = tables.equity_snapshots
        return connection.execute(select(func.max(table.c.ts)).where(table.c.trader == self.trader)).scalar()

    def bar_ms(self) -> int | None:
        """Length of the bars that the account was booked by, None for one that has seen none."""
        table = tables.equity_snapshots
        query = select(table.c.close_ts - table.c.ts).where(table.c.trader == self.trader).order_by(table.c.ts.desc()).limit(1)
        with self.database.read() as connection:
            return connection.execute(query).scalar()

    def engaged(self) -> set[str]:
        """Symbols with a position or an open order."""
        positions, orders = tables.positions, tables.orders
        held = select(positions.c.symbol, positions.c.quantity).where(positions.c.trader == self.trader)
        working = select(orders.c.symbol).where(orders.c.trader == self.trader, orders.c.state.in_(OPEN_STATES))
        with self.database.read() as connection:
            return {row.symbol for row in connection.execute(held) if row.quantity} | set(connection.execute(working).scalars())

    def decided_ts(self, symbol: str | None = None) -> int | None:
        """Open of the newest bar that is decided for a symbol, or for any."""
        table = tables.decisions
        mine = (table.c.trader == self.trader) & (table.c.timeframe == self.timeframe)
        query = select(func.max(table.c.bar_ts)).where(mine if symbol is None else mine & (table.c.symbol == symbol))
        with self.database.read() as connection:
            return connection.execute(query).scalar()

    def risk(self, ts: int) -> RiskState:
        """What risk rules remember and people have told, for a decision at close `ts`."""
        with self.database.read() as connection:
            balance = self._balance(connection)
            return RiskState(
                peak_equity=balance.peak_equity if balance else 0.0,
                halted=self._halted(connection),
                orders_today=self._orders_between(connection, ts // UNIT_MS["d"] * UNIT_MS["d"], ts),
                last_stop_ts=self._last_stops(connection),
                told=controls.with_file(controls.read(connection, self.trader), controls.kill_file(self.database)),
            )

    def _halted(self, connection: Connection) -> str:
        table = tables.halts
        open_ = (table.c.trader == self.trader) & table.c.acknowledged_ms.is_(None)
        reasons = connection.execute(select(table.c.reason).where(open_).order_by(table.c.id)).scalars().all()
        return RUINED if RUINED in reasons else next(iter(reasons), "")

    def _orders_between(self, connection: Connection, start: int, end: int) -> int:
        table = tables.orders
        mine = (table.c.trader == self.trader) & (table.c.kind == "market") & table.c.created_ts.between(start, end)
        return connection.execute(select(func.count()).select_from(table).where(mine)).scalar() or 0

    def _last_stops(self, connection: Connection) -> dict[str, int]:
        table = tables.trades
        mine = (table.c.trader == self.trader) & table.c.reason.in_(STOPS)
        rows = connection.execute(select(table.c.symbol, func.max(table.c.ts)).where(mine).group_by(table.c.symbol))
        return {row.symbol: row[1] for row in rows}

    def intend(self, decisions: Sequence[Decision], orders: Sequence[Order], positions: Mapping[str, Position]) -> None:
        """Commit what was decided and is about to be sent, with the held levels, in one transaction.

        Raises:
            AlreadyDecided: one of the bars has a decision; nothing is written.
            LeaseLost: the lease has passed to another process; nothing is written.
        """
        if not decisions:
            return
        with self._write() as connection:
            for decision in decisions:
                self._decide(connection, decision, positions.get(decision.symbol, FLAT))
                self._advised(connection, decision, [order.id for order in orders if order.symbol == decision.symbol])
            for order in orders:
                self._order(connection, order, decisions[0].ts, "INTENT", "decided")
            self._positions(connection, positions, decisions[0].ts)

    def _decide(self, connection: Connection, decision: Decision, held: Position) -> None:
        if self._is_decided(connection, decision):
            bar = f"the {decision.timeframe} bar of {decision.symbol} that opened at {decision.bar_ts}"
            raise AlreadyDecided(f"{self.trader} has decided {bar} before; nothing was sent")
        table = tables.decisions
        made = connection.execute(insert(table).returning(table.c.id), decision_row(decision, held)).scalar_one()
        shares = [{"trader": self.trader, "decision_id": made, **asdict(share)} for share in decision.target.shares]
        if shares:
            connection.execute(insert(tables.strategy_allocations), shares)

    def _advised(self, connection: Connection, decision: Decision, order_ids: Sequence[str]) -> None:
        """Keep what a model was asked and said, with what came of it."""
        advice = decision.wanted.advice
        if advice and advice.record:
            record = completed(advice, decision.target.exposure, [asdict(refusal) for refusal in decision.refusals], order_ids)
            same = {"provider": advice.provider, "model": advice.model, "prompt_sha256": advice.prompt_sha256}
            row = {"trader": self.trader, "ts": decision.ts, **same, "record": record, "cost_usd": advice.cost_usd}
            connection.execute(insert(tables.llm_calls), [row])

    def _is_decided(self, connection: Connection, decision: Decision) -> bool:
        table = tables.decisions
        key = (table.c.trader == decision.trader) & (table.c.symbol == decision.symbol) & (table.c.timeframe == decision.timeframe)
        return connection.execute(select(table.c.id).where(key, table.c.bar_ts == decision.bar_ts)).first() is not None

    def _order(self, connection: Connection, order: Order, ts: int, state: str, cause: str) -> None:
        row = {"client_order_id": order.id, "trader": self.trader, "exchange": self.exchange, "state": state, "cause": cause}
        sums = {"filled": 0.0, "average": nan, "fee": 0.0, "created_ts": ts, "updated_ts": ts}
        values = {name: getattr(order, name) for name in ORDERED}
        self.database.upsert(connection, tables.orders, [{**row, **values, **sums}], ("client_order_id",), update=False)
        self._event(connection, OrderEvent(order.id, ts, state, cause))

    def _positions(self, connection: Connection, positions: Mapping[str, Position], ts: int) -> None:
        rows = [{"trader": self.trader, "symbol": symbol, **asdict(position), "updated_ts": ts} for symbol, position in positions.items()]
        self.database.upsert(connection, tables.positions, rows, ("trader", "symbol"))

    def event(self, event: OrderEvent) -> None:
        """Append to an order's life; one that is known changes nothing, and what has come to an end stays so."""
        with self._write() as connection:
            self._event(connection, event)

    def _event(self, connection: Connection, event: OrderEvent) -> None:
        ended = select(tables.orders.c.state).where(
            tables.orders.c.client_order_id == event.order_id, tables.orders.c.state.in_(FINAL_STATES)
        )
        if connection.execute(ended).first():
            return
        row = {"trader": self.trader, "client_order_id": event.order_id, "ts": event.ts, "state": event.state, "cause": event.cause}
        self.database.upsert(connection, tables.order_lifecycle_events, [row], ("client_order_id", "ts", "state"), update=False)
        table = tables.orders
        connection.execute(
            update(table).where(table.c.client_order_id == event.order_id).values(state=event.state, cause=event.cause, updated_ts=event.ts)
        )

    def book(self, booking: Booking) -> None:
        """Record a bar's fills, payments, events, account and equity in one transaction; what is known changes nothing.

        Of a bar that is booked already, fills and payments that come late are absorbed: cash and positions change, equity at its close not.

        Raises:
            StoreError: fills and payments do not explain the account; nothing is written.
            LeaseLost: the lease has passed to another process; nothing is written.
        """
        with self._write() as connection:
            last = self._last_booked(connection)
            late = last is not None and booking.ts <= last
            known = self._known(connection, booking)
            news = [event for event in timeline([booking]) if reference(event) not in known]
            began = {fill.order_id: fill.ts for fill in reversed(booking.fills)}
            for order in booking.exits:
                self._order(connection, order, began.get(order.id, booking.ts), *EXIT_STARTS.get(order.kind, FOUND))
            if news or not late:
                self._changes(connection, booking, news)
                self._positions(connection, booking.account.positions, booking.close_ts)
                (self._cash if late else self._equity)(connection, booking)
            for event in booking.events:
                self._event(connection, event)

    def _changes(self, connection: Connection, booking: Booking, events: Sequence[Fill | Payment]) -> None:
        """A bill for every change of cash, checked against the account that the executor gives; outcomes follow."""
        account, bills, following = self._account(connection), [], Following(connection, self.trader)
        for event in events:
            bills += self._bills(account, event)
            following.happened(account.position(event.symbol).quantity, event)
            account = pay(account, event) if isinstance(event, Payment) else book(account, event)
        self._explained(booking, account)
        if bills:
            connection.execute(insert(tables.bills), bills)
        self._fills(connection, [event for event in events if isinstance(event, Fill)])

    def _known(self, connection: Connection, booking: Booking) -> set[str]:
        """References of the booking's fills and payments that are stored already."""
        trades, bills = tables.trades, tables.bills
        filled = [reference(fill) for fill in booking.fills]
        paid = [reference(payment) for payment in booking.payments]
        mine = (bills.c.trader == self.trader) & bills.c.kind.in_(PAYMENT_KINDS)
        queries = (
            (filled, select(trades.c.trade_id).where(trades.c.exchange == self.exchange, trades.c.trade_id.in_(filled))),
            (paid, select(bills.c.reference).where(mine, bills.c.reference.in_(paid))),
        )
        return {name for asked, query in queries if asked for name in connection.execute(query).scalars()}

    def _explained(self, booking: Booking, account: Account) -> None:
        given = booking.account
        pairs = [("cash", given.cash, account.cash)]
        symbols = given.positions.keys() | account.positions.keys()
        pairs += [(f"position in {name}", given.position(name).quantity, account.position(name).quantity) for name in sorted(symbols)]
        for what, said, explained in pairs:
            if abs(said - explained) > TOLERANCE * max(1.0, abs(explained)):
                bar = f"{self.trader}: the bar that opened at {booking.ts} ends with {what} {said}"
                raise StoreError(f"{bar}, but its fills and payments explain {explained}; nothing was booked, compare with the exchange")

    def _bills(self, account: Account, event: Fill | Payment) -> list[dict[str, Any]]:
        if isinstance(event, Payment):
            bill = self._bill(event.ts, event.kind, event.symbol, reference(event), event.amount)
            return [{**bill, "rate": event.rate, "assumed": event.assumed}]
        profit = realised(account.position(event.symbol), event)
        made = [self._bill(event.ts, "fee", event.symbol, event.trade_id, -event.fee)] if event.fee else []
        return made + ([self._bill(event.ts, "realised", event.symbol, event.trade_id, profit)] if profit else [])

    def _bill(self, ts: int, kind: str, symbol: str, name: str, amount: float) -> dict[str, Any]:
        row = {"trader": self.trader, "ts": ts, "kind": kind, "symbol": symbol, "reference": name}
        return {**row, "amount": amount, "rate": nan, "assumed": False}

    def _fills(self, connection: Connection, fills: Sequence[Fill]) -> None:
        if fills:
            same = {"exchange": self.exchange, "trader": self.trader}
            connection.execute(insert(tables.trades), [{**same, **fill_row(fill)} for fill in fills])
        for order_id in dict.fromkeys(fill.order_id for fill in fills):
            self._sum_up(connection, order_id)

    def _sum_up(self, connection: Connection, order_id: str) -> None:
        """Sum an order's fills into its row."""
        rows = connection.execute(select(tables.trades).where(tables.trades.c.client_order_id == order_id)).all()
        filled = sum(row.quantity for row in rows)
        average = sum(abs(row.quantity) * row.price for row in rows) / sum(abs(row.quantity) for row in rows)
        mine = tables.orders.c.client_order_id == order_id
        connection.execute(update(tables.orders).where(mine).values(filled=filled, average=average, fee=sum(row.fee for row in rows)))

    def _cash(self, connection: Connection, booking: Booking) -> None:
        """Cash and equity after what came late; the peak is that of closes."""
        mine = tables.balances.c.trader == self.trader
        connection.execute(update(tables.balances).where(mine).values(cash=booking.account.cash, equity=booking.equity))

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
        """Latch a halt until it is acknowledged; one that is latched already is kept, and only that equity is gone is latched beside it."""
        with self._write() as connection:
            latched = self._halted(connection)
            if not latched or (reason == RUINED and latched != RUINED):
                connection.execute(insert(tables.halts), [{"trader": self.trader, "ts": ts, "reason": reason}])

    def acknowledge(self, ts: int, by: str) -> int:
        """Lift the trader's halts; returns how many. The peak that drawdown is measured from starts anew at the present equity."""
        table = tables.halts
        with self._write() as connection:
            mine = (table.c.trader == self.trader) & table.c.acknowledged_ms.is_(None)
            lifted = connection.execute(update(table).where(mine).values(acknowledged_ms=ts, acknowledged_by=by)).rowcount
            if lifted:
                owned = tables.balances.c.trader == self.trader
                connection.execute(update(tables.balances).where(owned).values(peak_equity=tables.balances.c.equity))
        return lifted
