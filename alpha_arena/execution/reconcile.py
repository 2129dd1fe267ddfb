"""What the exchange has done to an account since it was last booked, and whether that explains how the account stands there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import nan

from alpha_arena.core.accounting import closing, pay, tidy
from alpha_arena.core.errors import AlphaArenaError
from alpha_arena.core.ids import LEGS, derived_id, order_id
from alpha_arena.core.records import Booking, OrderEvent
from alpha_arena.core.types import Account, Fill, Order, Payment
from alpha_arena.core.venue import ExchangeBill, ExchangeFill, ExchangeOrder, ExchangePosition
from alpha_arena.data.live_ledger import LiveLedger, Tracked
from alpha_arena.data.rebuild import fill as booked_fill
from alpha_arena.execution.tracker import DONE, Tracker, state_of

MADE_BY_EXCHANGE = ("stop", "take", "liquidation", "external")
TRADED = ("trade", "liquidation", "adl")
MINUTE_MS = 60_000
OVERLAP_MS = 600_000
EXACT = 1e-9
ROUNDING = 1e-6


class Unreconciled(AlphaArenaError):
    """Ledger and exchange differ: nothing was booked and nothing may be sent until they agree again."""


class Differs(Unreconciled):
    """There is a difference that nothing explains yet."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened since the last booking.

    Attributes:
        unexplained: what the exchange has not told yet, "" where ledger and exchange agree.
        foreign: what somebody else did to the account, each a reason to halt.
        positions: as the exchange states them, by symbol.
        cash_only: nothing but cash differs: a bill, most likely of funding, is told late.
    """

    booking: Booking
    unexplained: str
    foreign: tuple[str, ...]
    positions: Mapping[str, ExchangePosition]
    cash_only: bool = False


@dataclass(slots=True)
class Draft:
    """A booking while it is made."""

    account: Account
    fills: list[Fill] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    exits: dict[str, Order] = field(default_factory=dict)
    events: list[OrderEvent] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def book(self, made: Fill, order: Order | None) -> None:
        """Apply a fill, in two where it closes a position and opens the other side."""
        closed = closing(self.account.position(made.symbol), made.quantity)
        opened = tidy(made.quantity - closed)
        both = bool(closed and opened)
        first = replace(made, quantity=closed, fee=made.fee * closed / made.quantity) if both else made
        rest = replace(made, trade_id=f"{made.trade_id}-2", quantity=opened, fee=made.fee - first.fee)
        for part in (first, rest) if both else (made,):
            self.account = booked_fill(self.account, part, order)
            self.fills.append(part)

    def pay(self, payment: Payment) -> None:
        """Apply a change of cash."""
        self.account = pay(self.account, payment)
        self.payments.append(payment)

    def filled(self, name: str) -> float:
        """What of an order is in this draft, signed."""
        return tidy(sum(fill.quantity for fill in self.fills if fill.order_id == name))


def external_id(exchange_order_id: str) -> str:
    """Name of somebody else's order in the ledger."""
    return derived_id("external", exchange_order_id)


def oldest_first(fills: Iterable[ExchangeFill]) -> list[ExchangeFill]:
    """Each once, in the order in which they happened, however they were told."""
    return sorted({fill.bill_id: fill for fill in fills}.values(), key=lambda fill: (fill.ts, len(fill.bill_id), fill.bill_id))


class Reconciler:
    """Compares an exchange's account with its ledger; writes nothing and sends nothing.

    Args:
        symbols: that the trader trades; positions in others are not its own.
        bar_ms: length of its bars, to which fills are attributed. prices: last closes at the bar that opened at a time, by symbol.
    """

    def __init__(
        self, tracker: Tracker, ledger: LiveLedger, symbols: Sequence[str], bar_ms: int, prices: Callable[[int], Mapping[str, float]]
    ) -> None:
        self.tracker, self.venue, self.ledger, self.symbols = tracker, tracker.venue, ledger, tuple(symbols)
        self.ask, self.clock, self.bar_ms, self.prices = tracker.ask, tracker.clock, bar_ms, prices

    def changes(self, ts: int, full: bool = False, adopt: bool = False) -> Changes:
        """What happened until now, as a booking of the bar that opened at `ts`.

        Args:
            full: ask for everything since the account was opened, not only since the last booking.
            adopt: explain what the exchange does not by entries of somebody else.

        Raises:
            VenueError: a call failed; nothing is concluded from it.
        """
        draft = Draft(self.ledger.account())
        held = {position.symbol: position for position in self.ask(self.venue.positions)}
        balance = self.ask(self.venue.balance)
        since, tracked = self._since(full), self.ledger.tracked()
        told = self._fills(draft, since)
        self._bills(draft, since, told, adopt)
        self._orders(draft, tracked)
        self._strangers(draft)
        apart = self._apart(draft, held)
        if adopt:
            self._adopt(draft, held, apart, tracked)
        missing = [] if adopt else [*draft.missing, *self._differences(apart)]
        unpaid = [] if missing else self._cash(draft, balance.cash, adopt)
        said = "; ".join([*missing, *unpaid])
        return Changes(self._booking(ts, draft), said, tuple(dict.fromkeys(draft.foreign)), held, bool(unpaid))

    def _booking(self, ts: int, draft: Draft) -> Booking:
        prices, account = self.prices(ts), draft.account
        parts = (tuple(draft.fills), tuple(draft.payments), tuple(draft.exits.values()), tuple(draft.events))
        return Booking(ts, ts + self.bar_ms, account, account.equity(prices), prices, *parts)

    def _since(self, full: bool) -> int:
        opened, last = self.ledger.opened_ms(), self.ledger.last_booked_ts()
        waiting = [one.created_ts for one in self.ledger.tracked()]
        return opened if full or last is None else max(opened, min([last, *waiting]) - OVERLAP_MS)

    def _fills(self, draft: Draft, since: int) -> set[str]:
        """Book new fills; returns bill and trade ids of all that were told."""
        told = oldest_first(one for symbol in self.symbols for one in self.ask(lambda name=symbol: self.venue.fills(name, since)))  # type: ignore[misc]
        known = self.ledger.booked(fill.bill_id for fill in told)
        for fill in told:
            if fill.bill_id not in known and self.ledger.ours(fill.bill_id, fill.ts):
                self._attribute(draft, fill)
        return {name for fill in told for name in (fill.bill_id, fill.trade_id)}

    def _attribute(self, draft: Draft, fill: ExchangeFill) -> None:
        mine = self.ledger.tracked_order(fill.client_id) if fill.client_id else None
        if mine is None:
            self._made_elsewhere(draft, fill)
            return
        reason = mine.order.kind if mine.order.kind in MADE_BY_EXCHANGE else "signal"
        draft.book(self._fill(fill, mine.order.id, reason), mine.order)

    def _fill(self, fill: ExchangeFill, name: str, reason: str) -> Fill:
        figures = (tidy(float(fill.quantity)), float(fill.price), float(fill.fee))
        return Fill(fill.bill_id, name, fill.ts // self.bar_ms * self.bar_ms, fill.symbol, *figures, reason)

    def _made_elsewhere(self, draft: Draft, fill: ExchangeFill) -> None:
        """A fill of a protection, of an order that the ledger lost, or of somebody else's."""
        made = self.ask(lambda: self.venue.order_by_id(fill.symbol, fill.order_id))
        order = self._order_of(fill, made)
        known = order.id in draft.exits or bool(self.ledger.knows((order.id,)))
        if not known:
            draft.exits[order.id] = order
        reason = order.kind if order.kind in MADE_BY_EXCHANGE else "signal"
        draft.book(self._fill(fill, order.id, reason), order)
        if reason in ("liquidation", "external"):
            forced = f"forced by the exchange ({made.category if made else 'liquidation'})" if fill.forced else "not made by this trader"
            draft.foreign.append(f"{fill.symbol}: {fill.quantity} at {fill.price} was {forced}")
        self._end_of_exit(draft, order, made)

    def _end_of_exit(self, draft: Draft, order: Order, made: ExchangeOrder | None) -> None:
        before = self.ledger.tracked_order(order.id)
        booked = tidy((before.filled if before else 0.0) + draft.filled(order.id))
        state, cause = state_of(made, booked) if made else ("FILLED", "as its fill says")
        said = f"{order.kind} reached, {cause}" if order.kind in ("stop", "take") else cause
        draft.events = [event for event in draft.events if event.order_id != order.id]
        draft.events.append(OrderEvent(order.id, self.clock.now_ms(), state, said))

    def _order_of(self, fill: ExchangeFill, made: ExchangeOrder | None) -> Order:
        quantity = float(made.quantity if made else fill.quantity)
        claim = self.ledger.claims(fill.symbol).get(made.protection_id) if made and made.protection_id else None
        if claim is not None:
            side = self._side_hit(fill, claim.client_id, claim.stop, claim.take)
            level = claim.stop if side == "stop" else claim.take
            return Order(claim.client_id, fill.symbol, quantity, side, level, reduce_only=True)
        if fill.client_id and fill.client_id in self._lost(fill):
            return Order(fill.client_id, fill.symbol, quantity, reduce_only=bool(made and made.reduce_only))
        adl = made is not None and made.category == "adl"
        kind = "liquidation" if fill.forced and not adl else "external"
        return Order(external_id(fill.order_id), fill.symbol, quantity, kind, reduce_only=bool(made and made.reduce_only))

    def _side_hit(self, fill: ExchangeFill, name: str, stop: float, take: float) -> str:
        found = self.ask(lambda: self.venue.protection(fill.symbol, name))
        if found is not None and found.side_hit:
            return found.side_hit
        price = float(fill.price)
        return "take" if not abs(price - stop) <= abs(price - take) else "stop"

    def _lost(self, fill: ExchangeFill) -> set[str]:
        """Names that this trader's orders of the bars around a fill would have: a ledger restored from a copy has lost them."""
        bar = fill.ts // self.bar_ms * self.bar_ms
        of = (self.ledger.trader, fill.symbol, self.ledger.timeframe)
        return {order_id(*of, bar - n * self.bar_ms, leg) for n in (0, 1, 2) for leg in LEGS}

    def _bills(self, draft: Draft, since: int, filled: set[str], adopt: bool) -> None:
        """Book what is not a fill's; a fill's bill without its fill is missing, or adopted by its change of cash alone."""
        told = [bill for bill in self.ask(lambda: self.venue.bills(since)) if not {bill.bill_id, bill.trade_id} & filled]
        known = self.ledger.booked(bill.bill_id for bill in told)
        for bill in told:
            if bill.bill_id in known or not bill.change or not self.ledger.ours(bill.bill_id, bill.ts, bill.kind == "transfer"):
                continue
            if bill.kind in TRADED and bill.symbol in self.symbols and not adopt:
                draft.missing.append(f"the fill of bill {bill.bill_id} in {bill.symbol} is not told yet")
                continue
            self._payment(draft, bill)

    def _payment(self, draft: Draft, bill: ExchangeBill) -> None:
        funding = bill.kind == "funding" and bill.symbol in self.symbols
        kind = "funding" if funding else bill.kind if bill.kind in ("transfer", "penalty") else "external"
        draft.pay(Payment(bill.ts // MINUTE_MS * MINUTE_MS, bill.symbol, float(bill.change), nan, kind=kind, bill_id=bill.bill_id))
        if not funding:
            draft.foreign.append(f"cash changed by {bill.change} ({bill.kind}{f' in {bill.symbol}' if bill.symbol else ''})")

    def _orders(self, draft: Draft, tracked: Sequence[Tracked]) -> None:
        """Where own orders stand once the draft is booked; what is filled and not told is missing."""
        for one in tracked:
            if one.order.kind in MADE_BY_EXCHANGE or one.state == "INTENT":
                continue
            found = self.tracker.find(one)
            if found is None:
                draft.missing += [f"order {one.order.id} is not found"] if one.state in ("WORKING", "PARTIAL") else []
                continue
            booked = tidy(one.filled + draft.filled(one.order.id))
            if tidy(float(found.filled)) != booked:
                draft.missing.append(f"of order {one.order.id} {found.filled} is filled, {booked} told")
            state, cause = state_of(found, booked)
            if state != one.state or booked != one.filled:
                draft.events.append(OrderEvent(one.order.id, self.clock.now_ms(), state, cause))

    def _strangers(self, draft: Draft) -> None:
        """Somebody else's resting orders are told once, and left alone."""
        for symbol in self.symbols:
            resting = self.ask(lambda name=symbol: self.venue.open_orders(name))  # type: ignore[misc]
            claims = self.ledger.claims(symbol)
            known = self.ledger.knows([order.client_id for order in resting] + [external_id(order.order_id) for order in resting])
            for order in resting:
                name = external_id(order.order_id)
                if order.client_id not in known and name not in known and order.protection_id not in claims:
                    draft.exits[name] = Order(name, symbol, float(order.quantity), "external", reduce_only=order.reduce_only)
                    draft.foreign.append(f"{symbol}: an order for {order.quantity} rests that is not this trader's ({order.order_id})")

    def _apart(self, draft: Draft, held: Mapping[str, ExchangePosition]) -> dict[str, tuple[float, float]]:
        """Positions that differ: what the ledger and what the exchange has, by symbol."""
        pairs = {
            name: (draft.account.position(name).quantity, tidy(float(held[name].quantity)) if name in held else 0.0)
            for name in self.symbols
        }
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def _differences(self, apart: Mapping[str, tuple[float, float]]) -> list[str]:
        return [f"{name}: the exchange has {theirs}, its fills explain {ours}" for name, (ours, theirs) in apart.items()]

    def _adopt(
        self, draft: Draft, held: Mapping[str, ExchangePosition], apart: Mapping[str, tuple[float, float]], tracked: Sequence[Tracked]
    ) -> None:
        """Explain positions by fills of somebody else, at the exchange's entry price where there was none, else at the mark."""
        now = self.clock.now_ms()
        for symbol, (ours, theirs) in apart.items():
            entry = held[symbol].entry if symbol in held and not ours else self.ask(lambda name=symbol: self.venue.mark_price(name))[0]  # type: ignore[misc]
            name = derived_id("adopted", self.ledger.trader, symbol, now)
            order = Order(name, symbol, tidy(theirs - ours), "external")
            draft.exits[name] = order
            draft.book(
                Fill(f"{name}-1", name, now // self.bar_ms * self.bar_ms, symbol, order.quantity, float(entry), 0.0, "external"), order
            )
            draft.events.append(OrderEvent(name, now, "FILLED", "adopted: the exchange did not say how it came about"))
            draft.foreign.append(f"{symbol}: the exchange has {theirs}, its fills explained {ours}")
        self._give_up(draft, tracked)

    def _give_up(self, draft: Draft, tracked: Sequence[Tracked]) -> None:
        """End own orders that the exchange forgot or whose fills it never told."""
        for one in tracked:
            if one.order.kind in MADE_BY_EXCHANGE or one.state not in ("WORKING", "PARTIAL"):
                continue
            found = self.tracker.find(one)
            if found is None or (found.state in DONE and tidy(float(found.filled)) != tidy(one.filled + draft.filled(one.order.id))):
                why = "the exchange does not know it any more" if found is None else "its fills were never told"
                draft.events.append(OrderEvent(one.order.id, self.clock.now_ms(), "CANCELLED", f"{why}; the position was adopted"))

    def _cash(self, draft: Draft, theirs: Decimal, adopt: bool) -> list[str]:
        """Explain the rest of the cash; what is too much for rounding is missing: also a penalty, whose bill may come after its fill.

        What is adopted is never called a penalty, however likely it is one: should the bill come after all, it would be told twice.
        """
        rest = float(theirs) - draft.account.cash
        if abs(rest) <= EXACT:
            return []
        small = abs(rest) <= ROUNDING * max(1.0, abs(draft.account.cash))
        if not (small or adopt):
            return [f"cash is {theirs}, bills explain {draft.account.cash}"]
        kind = "rounding" if small else "external"
        now = self.clock.now_ms()
        draft.pay(Payment(now, "", rest, nan, kind=kind, bill_id=f"{kind} {self.ledger.trader} {now} {len(draft.fills)}"))
        draft.foreign += [] if small else [f"cash changed by {rest} ({kind})"]
        return []
