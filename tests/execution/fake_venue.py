"""An account at an exchange in memory, keeping core.venue.Venue, that can lose, delay, split, repeat and reorder what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import wraps
from typing import Any

from alpha_arena.core.venue import (
    AccountConfig,
    ContractRules,
    ExchangeBalance,
    ExchangeBill,
    ExchangeFill,
    ExchangeOrder,
    ExchangePosition,
    OrderRejected,
    OrderRequest,
    OutcomeUnknown,
    Protection,
)

ZERO = Decimal(0)
LOT = Decimal("0.0001")


class Stepped:
    """A clock that stands until it is set, or somebody waits."""

    def __init__(self, now_ms: int) -> None:
        self.time = now_ms

    def now_ms(self) -> int:
        """Where it stands."""
        return self.time

    def wait(self, seconds: float) -> None:
        """Waiting takes its time."""
        self.time += round(seconds * 1000)


def nothing(name: str, when: str) -> None:
    """No fault."""


def call(method: Callable[..., Any]) -> Callable[..., Any]:
    """A request: it may be lost before it arrives, and its reply after it was carried out."""

    @wraps(method)
    def asked(self: FakeVenue, *given: Any) -> Any:
        self.calls.append(method.__name__)
        self.hook(method.__name__, "before")
        self.arrive()
        answer = method(self, *given)
        self.hook(method.__name__, "after")
        return answer

    return asked


@dataclass
class Held:
    """A net position."""

    quantity: Decimal = ZERO
    entry: Decimal = ZERO
    updated_ms: int = 0


@dataclass
class FakeVenue:
    """One account.

    Attributes:
        price: of every symbol, at which market orders fill. rests: market orders wait for `play`. parts: fills of an order.
        portion: what of an order is filled at once, the rest waiting for `complete`.
        lag_ms: until a fill is told (bills and positions are told at once); twice: fills are told twice and out of order.
        delay_ms: until a sent order arrives, its sender hearing nothing. attach_fails: attached protection is not made.
        silent_ms: age of what it says of the market.
        refuses_protection: how many protective orders are refused. hook: called before and after each request with its name.
    """

    clock: Stepped
    cash: Decimal = Decimal(10_000)
    price: dict[str, Decimal] = field(default_factory=dict)
    rests: bool = False
    parts: int = 1
    portion: Decimal = Decimal(1)
    lag_ms: int = 0
    twice: bool = False
    delay_ms: int = 0
    attach_fails: bool = False
    refuses_protection: int = 0
    silent_ms: int = 0
    hook: Callable[[str, str], None] = nothing
    name: str = "fake"

    def __post_init__(self) -> None:
        self.number = 0
        self.calls: list[str] = []
        self.orders: dict[str, ExchangeOrder] = {}
        self.requests: dict[str, OrderRequest] = {}
        self.all_fills: list[ExchangeFill] = []
        self.all_bills: list[ExchangeBill] = []
        self.held: dict[str, Held] = {}
        self.algos: dict[str, Protection] = {}
        self.late: list[tuple[int, OrderRequest, int]] = []
        self.withheld: set[str] = set()
        self.levers: dict[str, Decimal] = {}
        self.net = True
        self.bill("transfer", "", self.cash, cash=ZERO)

    def next(self) -> str:
        """A new id."""
        self.number += 1
        return str(1000 + self.number)

    def bill(self, kind: str, symbol: str, change: Decimal, cash: Decimal | None = None, **names: str) -> str:
        """Book a change of cash."""
        self.cash = (self.cash if cash is None else cash) + change
        made = ExchangeBill(self.next(), kind, symbol, change, self.cash, self.clock.time, **names)
        self.all_bills.append(made)
        return made.bill_id

    def trade(self, order: ExchangeOrder, quantity: Decimal, price: Decimal, rate: str = "0.0005", kind: str = "trade") -> None:
        """Fill a part of an order."""
        held = self.held.setdefault(order.symbol, Held())
        closed = (
            ZERO if held.quantity * quantity >= 0 else max(abs(quantity), abs(held.quantity)) * 0 + min(abs(quantity), abs(held.quantity))
        )
        pnl = closed * (price - held.entry) * (1 if held.quantity > 0 else -1)
        left = held.quantity + closed * (1 if quantity > 0 else -1)
        opened = quantity - closed * (1 if quantity > 0 else -1)
        if opened:
            held.entry = (left * held.entry + opened * price) / (left + opened)
        held.quantity, held.updated_ms = left + opened, self.clock.time
        fee = ZERO if kind != "trade" else abs(quantity) * price * Decimal(rate)
        trade_id = f"-{self.next()}" if kind != "trade" else self.next()
        bill = self.bill(kind, order.symbol, pnl - fee, trade_id=trade_id, order_id=order.order_id)
        forced, now = kind != "trade", self.clock.time
        self.all_fills.append(
            ExchangeFill(bill, trade_id, order.order_id, order.client_id, order.symbol, quantity, price, fee, False, now, forced)
        )
        filled = order.filled + quantity
        average = ((order.average or ZERO) * order.filled + price * quantity) / filled
        state: Any = "filled" if filled == order.quantity else "partially_filled"
        self.orders[order.order_id] = replace(order, filled=filled, average=average, fee=order.fee + fee, state=state, updated_ms=now)
        if state == "filled":
            self.attach(order.order_id)

    def attach(self, order_id: str) -> None:
        """Make the protection that an order carries, for what is filled of it."""
        order, asked = self.orders[order_id], self.requests.get(order_id)
        if asked is None or not asked.protection_id or not order.filled:
            return
        if self.attach_fails:
            self.orders[order_id] = replace(order, protection_failed="51279")
            return
        self.algo(asked.protection_id, order.symbol, -order.filled, asked.stop, asked.take)

    def algo(self, client_id: str, symbol: str, quantity: Decimal, stop: Decimal | None, take: Decimal | None) -> str:
        """A protective order."""
        name = self.next()
        self.algos[name] = Protection(name, client_id, symbol, quantity, stop, take, "live", created_ms=self.clock.time)
        return name

    def arrive(self) -> None:
        """Orders that were on their way reach the exchange."""
        due = [one for one in self.late if one[0] <= self.clock.time]
        self.late = [one for one in self.late if one[0] > self.clock.time]
        for _, asked, expires in due:
            if self.clock.time <= expires:
                self.accept(asked)

    def accept(self, asked: OrderRequest) -> str:
        """Take an order, even one whose client id was used before, as an exchange may."""
        position = self.held.get(asked.symbol, Held()).quantity
        if asked.reduce_only and position * asked.quantity >= 0:
            raise OrderRejected("nothing to reduce", "51169")
        quantity = asked.quantity
        if asked.reduce_only and abs(quantity) > abs(position):
            quantity = -position
        now, name = self.clock.time, self.next()
        made = ExchangeOrder(
            name, asked.client_id, asked.symbol, quantity, ZERO, None, ZERO, "live", asked.kind, asked.reduce_only, now, now
        )
        self.orders[name], self.requests[name] = made, asked
        if not self.rests and asked.kind == "market":
            self.execute(name, self.portion)
        return name

    def execute(self, name: str, portion: Decimal = Decimal(1)) -> None:
        """Fill so much of what is open of an order, in parts."""
        order = self.orders[name]
        left = order.quantity - order.filled
        total = (left * portion / LOT).to_integral_value() * LOT
        each = (total / self.parts / LOT).to_integral_value() * LOT
        for n in range(self.parts):
            size = total - each * (self.parts - 1) if n == self.parts - 1 else each
            if size:
                self.trade(self.orders[name], size, self.price[order.symbol] + n * Decimal("0.1"))

    def play(self) -> None:
        """Fill what rests."""
        for name, order in list(self.orders.items()):
            if order.state in ("live", "partially_filled") and order.kind == "market":
                self.execute(name)

    def give_up(self, name: str) -> None:
        """Cancel the rest of an order; what is filled keeps its protection."""
        self.orders[name] = replace(self.orders[name], state="canceled", cancel_source="14", updated_ms=self.clock.time)
        self.attach(name)

    def move(self, symbol: str, price: str) -> None:
        """The price moves; protection that it reaches acts."""
        self.price[symbol] = Decimal(price)
        for name, algo in list(self.algos.items()):
            held = self.held.get(symbol, Held())
            if algo.symbol != symbol or algo.state != "live" or not held.quantity or algo.quantity is None:
                continue
            down = algo.quantity < 0
            stop = algo.stop is not None and (self.price[symbol] <= algo.stop if down else self.price[symbol] >= algo.stop)
            take = algo.take is not None and (self.price[symbol] >= algo.take if down else self.price[symbol] <= algo.take)
            if stop or take:
                self.act(name, "stop" if stop else "take")

    def act(self, name: str, side: str) -> None:
        """A protective order becomes a market order."""
        algo, order_id = self.algos[name], self.next()
        quantity = max(algo.quantity or ZERO, -self.held[algo.symbol].quantity, key=lambda q: -abs(q))
        self.algos[name] = replace(algo, state="effective", order_id=order_id, side_hit=side)  # type: ignore[arg-type]
        self.own(order_id, algo.symbol, quantity, protection_id=algo.client_id, algo_id=name)
        self.trade(self.orders[order_id], quantity, self.price[algo.symbol])

    def own(self, order_id: str, symbol: str, quantity: Decimal, **more: Any) -> None:
        """An order that no request of the trader made."""
        now = self.clock.time
        made = ExchangeOrder(order_id, "", symbol, quantity, ZERO, None, ZERO, "live", "market", True, now, now)
        self.orders[order_id] = replace(made, **more)

    def manual(self, symbol: str, quantity: str) -> None:
        """Somebody trades on the account."""
        name = self.next()
        self.own(name, symbol, Decimal(quantity), client_id="byhand", reduce_only=False)
        self.trade(self.orders[name], Decimal(quantity), self.price[symbol])

    def rest_by_hand(self, symbol: str) -> str:
        """Somebody leaves a limit order."""
        name = self.next()
        self.own(name, symbol, Decimal("0.5"), client_id="byhand", reduce_only=False, kind="limit")
        return name

    def force(self, symbol: str, category: str = "full_liquidation", penalty: str = "-7") -> None:
        """The exchange closes the position."""
        name, quantity = self.next(), -self.held[symbol].quantity
        self.own(name, symbol, quantity, category=category)
        self.trade(self.orders[name], quantity, self.price[symbol], kind="adl" if category == "adl" else "liquidation")
        if category != "adl":
            self.bill("penalty", symbol, Decimal(penalty))
        for algo_id, algo in self.algos.items():
            self.algos[algo_id] = replace(algo, state="canceled") if algo.symbol == symbol and algo.state == "live" else algo

    def fund(self, symbol: str, amount: str) -> None:
        """A settlement."""
        self.bill("funding", symbol, Decimal(amount))

    @call
    def time_ms(self) -> int:
        return self.clock.time

    @call
    def config(self) -> AccountConfig:
        return AccountConfig("1", self.net, 2, frozenset({"read_only", "trade"}))

    @call
    def rules(self, symbol: str) -> ContractRules:
        return ContractRules(symbol, Decimal("0.01"), LOT, Decimal("0.1"), LOT, Decimal(120), Decimal(100), "live")

    @call
    def maintenance(self) -> str:
        return ""

    @call
    def balance(self) -> ExchangeBalance:
        return ExchangeBalance(self.cash, self.cash, self.cash, self.clock.time)

    @call
    def positions(self) -> Sequence[ExchangePosition]:
        return [
            ExchangePosition(symbol, one.quantity, one.entry, self.price[symbol], Decimal(3), ZERO, None, one.updated_ms)
            for symbol, one in self.held.items()
            if one.quantity
        ]

    @call
    def order(self, symbol: str, client_id: str) -> ExchangeOrder | None:
        return next((one for one in self.orders.values() if one.client_id == client_id and one.symbol == symbol), None)

    @call
    def order_by_id(self, symbol: str, order_id: str) -> ExchangeOrder | None:
        return self.orders.get(order_id)

    @call
    def open_orders(self, symbol: str) -> Sequence[ExchangeOrder]:
        return [one for one in self.orders.values() if one.symbol == symbol and one.state in ("live", "partially_filled")]

    @call
    def past_orders(self, symbol: str, since_ms: int) -> Sequence[ExchangeOrder]:
        return [one for one in self.orders.values() if one.symbol == symbol and one.state in ("filled", "canceled")][::-1]

    @call
    def fills(self, symbol: str, since_ms: int) -> Sequence[ExchangeFill]:
        told = [
            one
            for one in self.all_fills
            if one.symbol == symbol and one.ts >= since_ms and one.ts + self.lag_ms <= self.clock.time and one.bill_id not in self.withheld
        ]
        return [*told[::-1], *told] if self.twice else told

    @call
    def bills(self, since_ms: int) -> Sequence[ExchangeBill]:
        return [one for one in self.all_bills if one.ts >= since_ms]

    @call
    def protections(self, symbol: str) -> Sequence[Protection]:
        return [one for one in self.algos.values() if one.symbol == symbol and one.state == "live"]

    @call
    def protection(self, symbol: str, client_id: str) -> Protection | None:
        return next((one for one in self.algos.values() if one.client_id == client_id), None)

    @call
    def leverage(self, symbol: str) -> Decimal:
        return self.levers.get(symbol, Decimal(3))

    @call
    def mark_price(self, symbol: str) -> tuple[Decimal, int]:
        return self.price[symbol], self.clock.time - self.silent_ms

    @call
    def send(self, request: OrderRequest, expires_ms: int) -> str:
        if self.delay_ms:
            self.late.append((self.clock.time + self.delay_ms, request, expires_ms))
            raise OutcomeUnknown("no reply in time")
        if self.clock.time > expires_ms:
            raise OrderRejected("expired", "50036")
        return self.accept(request)

    @call
    def cancel(self, symbol: str, client_id: str) -> None:
        for name, one in list(self.orders.items()):
            if one.client_id == client_id and one.state in ("live", "partially_filled"):
                self.give_up(name)

    @call
    def protect(self, symbol: str, client_id: str, quantity: Decimal, stop: Decimal | None, take: Decimal | None) -> str:
        if self.refuses_protection:
            self.refuses_protection -= 1
            raise OrderRejected("the trigger price is beyond the last price", "51280")
        return self.algo(client_id, symbol, quantity, stop, take)

    @call
    def unprotect(self, symbol: str, algo_ids: Sequence[str]) -> None:
        for name in algo_ids:
            if self.algos[name].state == "live":
                self.algos[name] = replace(self.algos[name], state="canceled")

    @call
    def set_leverage(self, symbol: str, leverage: Decimal) -> None:
        self.levers[symbol] = leverage

    @call
    def set_net_mode(self) -> None:
        self.net = True

    @call
    def cancel_all_after(self, seconds: int) -> None:
        pass
