"""Profile `spec`: a closed bar does to an account what simulation.md says, through the engine's own matching.

An order waits for the first bar that opens at or after its arrival; it is filled when that bar has closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import nan

from alpha_arena.core.types import Account, Fill, Instrument, Order, Payment, Position
from alpha_arena.exchange.embedded.algos import Hit, act, attach, live, release
from alpha_arena.exchange.embedded.contracts import DEFAULT_LEVER, Profile, SwapContract
from alpha_arena.exchange.embedded.feed import Feed
from alpha_arena.exchange.embedded.money import LIQUIDATED, Cashier, Quotes, signed
from alpha_arena.exchange.embedded.state import Algo, Client, Holding, PlacedOrder
from alpha_arena.exchange.matching import Bar, MatchingEngine, Settlement

LAPSED = "14"
MODE = "isolated"


class BarPlay:
    """Plays one instrument's bars for accounts.

    Args:
        instrument: the contract's rules as the matching engine takes them.
        attach_fails: whether protection that orders carry is not made (a fault).
    """

    def __init__(self, feed: Feed, rules: SwapContract, instrument: Instrument, profile: Profile, cashier: Cashier) -> None:
        self.feed, self.rules, self.instrument, self.profile, self.cashier = feed, rules, instrument, profile, cashier
        self.attach_fails = False

    def settlements(self, bar: Bar) -> tuple[list[Settlement], list[Settlement]]:
        """Those at the bar's open, and those inside it."""
        known = self.feed.funding(self.rules.inst_id, bar.ts - 1, bar.ts + self.feed.bar_ms - 1)
        made = [Settlement(ts, rate, False) for ts, rate in known]
        return [one for one in made if one.ts <= bar.ts], [one for one in made if one.ts > bar.ts]

    def play(self, client: Client, bar: Bar, carried: Sequence[Settlement], inside: Sequence[Settlement]) -> None:
        """One closed bar for one account."""
        orders = [
            order for order in client.orders.values() if order.open and order.inst_id == self.rules.inst_id and order.c_time <= bar.ts
        ]
        held = client.holdings.get((self.rules.inst_id, MODE))
        if not orders and (held is None or not held.pos):
            return
        engine = self._engine(client, held, orders)
        out = engine.advance(self.rules.symbol, bar, carried, inside)
        self._convert(client, bar, [*out.payments], out.fills)
        for order in orders:
            if order.open:
                self._lapse(client, order, bar.ts)
        release(self.cashier, client, self.rules.inst_id, MODE, bar.ts)

    def _engine(self, client: Client, held: Holding | None, orders: Sequence[PlacedOrder]) -> MatchingEngine:
        lever = client.levers.get((self.rules.inst_id, MODE), DEFAULT_LEVER)
        account = Account(float(client.cash), {self.rules.symbol: self._position(client, held)})
        engine = MatchingEngine(client.name, account, {self.rules.symbol: self.instrument}, self.profile.costs, float(lever))
        for order in orders:
            engine.submit(self._order(order))
        return engine

    def _position(self, client: Client, held: Holding | None) -> Position:
        if held is None or not held.pos:
            return Position()
        algo = self._protection(client, held.pos > 0)
        stop, take = (algo.sl_trigger_px, algo.tp_trigger_px) if algo else (None, None)
        return Position(float(self.rules.base(held.pos)), float(held.avg_px), level(stop), level(take))

    def _protection(self, client: Client, long: bool) -> Algo | None:
        """The newest live one that closes a position of this side."""
        closing = [algo for algo in live(client, self.rules.inst_id) if (algo.side == "sell") == long and algo.ord_type != "trigger"]
        return closing[-1] if closing else None

    def _order(self, order: PlacedOrder) -> Order:
        carried = order.attached[0] if order.attached else None
        stop, take = (level(carried.sl_trigger_px), level(carried.tp_trigger_px)) if carried else (nan, nan)
        quantity = float(self.rules.base(signed(order.side, order.sz)))
        return Order(order.ord_id, self.rules.symbol, quantity, stop=stop, take=take, reduce_only=order.reduce_only)

    def _convert(self, client: Client, bar: Bar, payments: Sequence[Payment], fills: Sequence[Fill]) -> None:
        for payment in payments:
            if payment.ts <= bar.ts:
                self._pay(client, payment, bar.open)
        for fill in fills:
            self._book(client, fill, bar)
        for payment in payments:
            if payment.ts > bar.ts:
                self._pay(client, payment, bar.close)

    def _pay(self, client: Client, payment: Payment, price: float) -> None:
        held = client.holdings[self.rules.inst_id, MODE]
        self.cashier.fund(client, held, Decimal(repr(payment.rate)), Decimal(repr(price)), payment.ts)

    def _book(self, client: Client, fill: Fill, bar: Bar) -> None:
        px, sz = Decimal(repr(fill.price)), self.rules.contracts(abs(fill.quantity))
        quotes = Quotes(px, px)
        if fill.reason == "signal":
            order = client.orders[fill.order_id]
            self.cashier.fill(client, order, sz, px, False, bar.ts, quotes)
            if order.attached and order.state == "filled":
                attach(self.cashier, client, order, bar.ts, self.attach_fails)
            elif order.attached:
                self._lapse(client, order, bar.ts)
            return
        last_ms, held = bar.ts + self.feed.bar_ms - 1, client.holdings[self.rules.inst_id, MODE]
        if fill.reason == "liquidation":
            self.cashier.forced(client, held, sz, px, last_ms, quotes, LIQUIDATED)
            return
        made = self._acted(client, held, fill, last_ms)
        self.cashier.fill(client, made, sz, px, fill.reason == "take", last_ms, quotes)

    def _acted(self, client: Client, held: Holding, fill: Fill, ts: int) -> PlacedOrder:
        """A protection stands for the whole position here, as simulation.md has it."""
        algo = self._protection(client, held.pos > 0)
        assert algo is not None
        side, trigger = ("sl", algo.sl_trigger_px) if fill.reason == "stop" else ("tp", algo.tp_trigger_px)
        made = act(self.cashier, client, algo, Hit(side, trigger or Decimal(0), None), ts)
        assert made is not None
        made.sz = algo.actual_sz = abs(held.pos)
        return made

    def _lapse(self, client: Client, order: PlacedOrder, ts: int) -> None:
        """The rest of an order is canceled; what was filled of it keeps its protection."""
        order.state, order.cancel_source, order.u_time = "canceled", LAPSED, ts
        self.cashier.touch(client, "order", order.ord_id, order)
        if order.acc_fill_sz and order.attached:
            attach(self.cashier, client, order, ts, self.attach_fails)


def level(price: Decimal | None) -> float:
    """NaN for none."""
    return nan if price is None else float(price)
