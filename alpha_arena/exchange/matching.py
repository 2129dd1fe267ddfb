"""The matching engine: what an account's orders and levels become inside a bar (specs: simulation, "Inside bar t").

One engine serves the simulated executor and the embedded exchange. It works on bars, knows nothing of traders and decisions, and is driven
one bar and symbol at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isnan, nan
from typing import NamedTuple

from alpha_arena.core.accounting import book, closing, disarmed, liquidation_price, margin, margins, pay, tidy
from alpha_arena.core.costs import Costs
from alpha_arena.core.ids import derived_id
from alpha_arena.core.records import OrderEvent
from alpha_arena.core.sizing import floor_lots
from alpha_arena.core.types import Account, Fill, Instrument, Order, Payment, Position


class Bar(NamedTuple):
    """One bar, prices in quote currency; mark_low and mark_high decide liquidation where they are not NaN.

    `inside` are shorter bars that it consists of, which decide what came first in it; none where that is not known.
    """

    ts: int
    open: float
    high: float
    low: float
    close: float
    mark_low: float = nan
    mark_high: float = nan
    inside: tuple[Bar, ...] = ()

    @property
    def worst_long(self) -> float:
        """The price that decides whether a long is liquidated."""
        return self.low if isnan(self.mark_low) else self.mark_low

    @property
    def worst_short(self) -> float:
        """The price that decides whether a short is liquidated."""
        return self.high if isnan(self.mark_high) else self.mark_high


class Settlement(NamedTuple):
    """A funding settlement: rate as a fraction, `assumed` where it is not known."""

    ts: int
    rate: float
    assumed: bool


class Exit(NamedTuple):
    """A protective exit: its price after slippage and its fee rate (fraction of notional)."""

    reason: str
    price: float
    fee_rate: float


@dataclass(slots=True)
class Happened:
    """What a bar did, in order: fills and payments; protective orders made; steps of orders' lives."""

    fills: list[Fill]
    payments: list[Payment]
    exits: list[Order]
    events: list[OrderEvent]

    @classmethod
    def nothing(cls) -> Happened:
        """An empty record."""
        return cls([], [], [], [])


def losing_side(position: Position, stop: float, price: float) -> bool:
    """Whether a stop (NaN: none) lies strictly on the losing side of a price."""
    return isnan(stop) or (price - stop) * position.side > 0


def winning_side(position: Position, take: float, price: float) -> bool:
    """Whether a take (NaN: none) lies strictly on the winning side of a price."""
    return isnan(take) or (take - price) * position.side > 0


def reaches_take(position: Position, bar: Bar) -> bool:
    """Whether the bar traded through the take."""
    return ((bar.high if position.side > 0 else bar.low) - position.take) * position.side > 0


def opening_the_other_side(orders: Sequence[Order], closed: Position) -> list[Order]:
    """What remains of orders once the position that they met is closed: parts that open a position of the other sign."""
    left, kept = closed.quantity, []
    for order in orders:
        rest = tidy(left + order.quantity)
        if not order.reduce_only and rest * closed.side < 0:
            kept.append(replace(order, quantity=rest))
        left = rest if rest * closed.side > 0 else 0.0
    return kept


class MatchingEngine:
    """One account's orders, positions and cash.

    Args:
        owner: name of the account, part of the ids it makes.
        account: to start from.
        instruments: by symbol.
        costs: fees, slippage, margins.
        leverage: notional / margin of every position.
    """

    def __init__(self, owner: str, account: Account, instruments: Mapping[str, Instrument], costs: Costs, leverage: float) -> None:
        self.owner = owner
        self.account = account
        self.instruments = instruments
        self.costs = costs
        self.leverage = leverage
        self.pending: dict[str, dict[str, Order]] = {}

    def submit(self, order: Order) -> OrderEvent:
        """Accept a market order for the next bar's open, after those that are waiting; the same id again changes nothing."""
        self.pending.setdefault(order.symbol, {})[order.id] = order
        return OrderEvent(order.id, 0, "WORKING", "accepted, fills at the next open")

    def engaged(self, symbol: str) -> bool:
        """Whether a bar can do anything to a symbol: an order waits, or something is held."""
        return bool(self.pending.get(symbol) or self.account.position(symbol).quantity)

    def advance(self, symbol: str, bar: Bar, carried: Sequence[Settlement], inside: Sequence[Settlement]) -> Happened:
        """Apply one closed bar to a symbol.

        Args:
            carried: settlements after the last bar's span and up to this open. inside: those within this bar.
        """
        out = Happened.nothing()
        orders: Sequence[Order] = list(self.pending.pop(symbol, {}).values())
        if self.account.position(symbol).quantity:
            if carried:
                self._settle(symbol, bar.open, carried, out)
            orders = self._gap(symbol, bar, orders, out)
        for order in orders:
            self._fill(order, bar, out)
        if self.account.position(symbol).quantity:
            self._protect(symbol, bar, out)
            if inside:
                self._settle(symbol, bar.close, inside, out)
        return out

    def _settle(self, symbol: str, price: float, settlements: Sequence[Settlement], out: Happened) -> None:
        quantity = self.account.position(symbol).quantity
        for ts, rate, assumed in settlements if quantity else ():
            payment = Payment(ts, symbol, -quantity * price * rate, rate, assumed)
            self.account = pay(self.account, payment)
            out.payments.append(payment)

    def _gap(self, symbol: str, bar: Bar, orders: Sequence[Order], out: Happened) -> Sequence[Order]:
        """Exit at an open beyond a level; of the orders only what opens the other side remains."""
        position = self.account.position(symbol)
        leaving = self._exit_at_open(position, bar.open)
        if not leaving:
            return orders
        self._exit(symbol, bar.ts, leaving, out)
        kept = opening_the_other_side(orders, position)
        why, ids = f"the position was closed by its {leaving.reason} first", {order.id for order in kept}
        out.events += [OrderEvent(order.id, bar.ts, "LAPSED", why) for order in orders if order.id not in ids]
        return kept

    def _exit_at_open(self, position: Position, price: float) -> Exit | None:
        if not isnan(position.stop) and not losing_side(position, position.stop, price):
            return self._stopped(position, price, (price - self._ends(position)) * position.side <= 0)
        if not isnan(position.take) and (price - position.take) * position.side > 0:
            return Exit("take", position.take, self.costs.maker_fee)
        return None

    def _ends(self, position: Position) -> float:
        """Where it is liquidated; minus infinity for a long without leverage."""
        price = liquidation_price(position, self.leverage, self.costs.maintenance_margin, self.costs.taker_fee)
        return price if price > 0 else -inf

    def _stopped(self, position: Position, price: float, liquidated: bool) -> Exit:
        """The stop, worsened by stop_slippage; where liquidation was reached too, that, unless the stop is nearer and loses no more."""
        side = position.side
        stop = Exit("stop", price * (1 - self.costs.stop_slippage * side), self.costs.taker_fee)
        nearer = (position.stop - self._ends(position)) * side > 0
        loss = abs(position.quantity) * (position.entry - stop.price) * side
        return self._liquidation(position) if liquidated and not (nearer and loss <= margin(position, self.leverage)) else stop

    def _liquidation(self, position: Position) -> Exit:
        """Costs exactly the margin, without a fee."""
        return Exit("liquidation", position.entry * (1 - position.side / self.leverage), 0.0)

    def _protect(self, symbol: str, bar: Bar, out: Happened) -> None:
        position = self.account.position(symbol)
        leaving = self._exit_inside(position, bar)
        if leaving and leaving.reason != "take" and reaches_take(position, bar):
            leaving = next(filter(None, (self._exit_in_part(position, part) for part in bar.inside)), leaving)
        if leaving:
            self._exit(symbol, bar.ts, leaving, out)

    def _exit_in_part(self, position: Position, part: Bar) -> Exit | None:
        """The exit in a shorter bar, which may open beyond a level."""
        return self._exit_at_open(position, part.open) or self._exit_inside(position, part)

    def _exit_inside(self, position: Position, bar: Bar) -> Exit | None:
        """Stop, liquidation or take within the bar; where it does not say which came first, the worse for the trader."""
        side = position.side
        worst, best = (bar.low, bar.high) if side > 0 else (bar.high, bar.low)
        liquidated = ((bar.worst_long if side > 0 else bar.worst_short) - self._ends(position)) * side <= 0
        if (worst - position.stop) * side <= 0:
            return self._stopped(position, position.stop, liquidated)
        if liquidated:
            return self._liquidation(position)
        return Exit("take", position.take, self.costs.maker_fee) if (best - position.take) * side > 0 else None

    def _exit(self, symbol: str, ts: int, leaving: Exit, out: Happened) -> None:
        position = self.account.position(symbol)
        # both sides may be stopped in one bar
        name = derived_id(self.owner, symbol, ts, leaving.reason, position.side)
        order = Order(name, symbol, -position.quantity, leaving.reason, leaving.price, reduce_only=True)
        fee = abs(position.quantity) * leaving.price * leaving.fee_rate
        self._book(Fill(f"{name}-1", name, ts, symbol, order.quantity, leaving.price, fee, leaving.reason), out)
        self.account = self.account.put(symbol, disarmed(self.account.position(symbol), position.side, ts))
        out.exits.append(order)
        out.events.append(OrderEvent(name, ts, "FILLED", f"{leaving.reason} reached"))

    def _fill(self, order: Order, bar: Bar, out: Happened) -> None:
        """Fill a market order at the open: the part that closes a position, then as much of its opening part as free margin allows."""
        price = bar.open * (1 + self.costs.slippage * (1 if order.quantity > 0 else -1))
        closed = closing(self.account.position(order.symbol), order.quantity)
        if closed:
            self._trade(order, 1, bar.ts, closed, price, out)
        opened = 0.0 if order.reduce_only else self._opening(order, bar.open, price, tidy(order.quantity - closed))
        if opened:
            fresh = not self.account.position(order.symbol).quantity
            self._trade(order, 2 if closed else 1, bar.ts, opened, price, out)
            if fresh:
                self._attach(order)
        out.events.append(self._outcome(order, bar.ts, tidy(closed + opened)))

    def _opening(self, order: Order, open_price: float, price: float, wanted: float) -> float:
        """Signed quantity that may be opened, whole lots."""
        if not wanted or not self._levels_valid(order, wanted, open_price):
            return 0.0
        free = self.account.cash - margins(self.account, self.leverage)
        affordable = floor_lots(max(free, 0.0) / (price * (1 / self.leverage + self.costs.taker_fee)), self.instruments[order.symbol].lot)
        return wanted if abs(wanted) <= affordable else affordable * (1 if wanted > 0 else -1)

    def _levels_valid(self, order: Order, wanted: float, open_price: float) -> bool:
        """A new position needs its stop on the losing and its take on the winning side of the open."""
        if self.account.position(order.symbol).quantity:
            return True
        opened = Position(wanted)
        return losing_side(opened, order.stop, open_price) and winning_side(opened, order.take, open_price)

    def _attach(self, order: Order) -> None:
        held = replace(self.account.position(order.symbol), stop=order.stop, take=order.take)
        self.account = self.account.put(order.symbol, held)

    def _trade(self, order: Order, part: int, ts: int, quantity: float, price: float, out: Happened) -> None:
        fee = abs(quantity) * price * self.costs.taker_fee
        self._book(Fill(f"{order.id}-{part}", order.id, ts, order.symbol, quantity, price, fee), out)

    def _book(self, fill: Fill, out: Happened) -> None:
        self.account = book(self.account, fill)
        out.fills.append(fill)

    def _outcome(self, order: Order, ts: int, filled: float) -> OrderEvent:
        if filled == order.quantity:
            return OrderEvent(order.id, ts, "FILLED", "at the open")
        if filled:
            return OrderEvent(
                order.id, ts, "FILLED", f"{filled} of {order.quantity}; the rest lapsed for want of free margin or valid levels"
            )
        return OrderEvent(order.id, ts, "LAPSED", "no free margin, or the open lay beyond its levels")
