"""An order's way to the exchange: once, whatever is lost on the way (specs: okx-wire §10, faults, finding 3).

INTENT -> SENT -> WORKING -> PARTIAL -> FILLED | CANCELLED
             \\-> UNKNOWN -> any of them, or EXPIRED once it is sure that the exchange never got it
             \\-> REJECTED
LAPSED: not sent, because a switch or a halt forbade it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from math import isnan
from random import Random
from typing import TypeVar

from alpha_arena.core.accounting import tidy
from alpha_arena.core.ids import derived_id
from alpha_arena.core.ports import Clock
from alpha_arena.core.records import FINAL_STATES, OrderEvent
from alpha_arena.core.types import Order
from alpha_arena.core.venue import ExchangeOrder, OrderRejected, OrderRequest, OutcomeUnknown, TryAgain, Venue, VenueRefused
from alpha_arena.data.live_ledger import LiveLedger, Tracked

T = TypeVar("T")
LONGEST_S = 1.0
CAME_LATE = frozenset({"50036", "50037"})
KINDS = ("market", "limit", "post_only", "ioc", "fok")
DONE = ("filled", "canceled")


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait for what; the times in ms are the exchange's, so that a scaled clock multiplies them.

    Attributes:
        expires_ms: after which the exchange discards an order that comes late; margin_ms: more than its answers may lag behind.
        settle_ms: how long a difference to the exchange may last before it is adopted. stale_ms: age of a mark price on which nothing is
            opened any more.
        pause_s: wall seconds between two questions; asks: questions before an answer is no longer waited for.
        patience_s: wall seconds for which it is asked whether an order has arrived; then the question stays open until the next cycle.
        protect_s: wall seconds within which a position has its protection at the exchange, or is closed.
        sends: how often an order is sent, each time only once the last attempt cannot arrive any more.
        rejections: refused orders in a row that halt.
        dead_man_s: seconds after which the exchange cancels resting orders that nobody looks after.
    """

    expires_ms: int = 5_000
    margin_ms: int = 1_000
    settle_ms: int = 60_000
    stale_ms: int = 60_000
    pause_s: float = 0.1
    asks: int = 10
    patience_s: float = 10.0
    protect_s: float = 2.0
    sends: int = 3
    rejections: int = 3
    dead_man_s: int = 120

    def within(self, seconds: float) -> int:
        """Questions in so many wall seconds, `asks` of them where questions follow each other without a pause."""
        return max(1, round(seconds / self.pause_s)) if self.pause_s else self.asks


@dataclass(frozen=True, slots=True)
class Asking:
    """Repeats what was definitely not carried out, ever more slowly, so that a window of the exchange's limits passes.

    Attributes:
        wait: suspends for so many wall seconds. draw: up to half of a pause is added, so that clients do not come back in step.
    """

    pace: Pace
    wait: Callable[[float], None]
    draw: Random = field(default_factory=lambda: Random(0))

    def __call__(self, question: Callable[[], T]) -> T:
        """The answer.

        Raises:
            TryAgain: there was none in time.
        """
        for n in range(self.pace.asks - 1):
            try:
                return question()
            except TryAgain:
                self.wait(min(self.pace.pause_s * 2**n, LONGEST_S) * (1 + self.draw.random() / 2))
        return question()


def exact(value: float) -> Decimal | None:
    """The shortest decimal of a price or quantity, None for NaN."""
    return None if isnan(value) else Decimal(repr(value))


def attached_id(order_id: str) -> str:
    """Client id of the protection that an order carries."""
    return derived_id(order_id, "attached")


def request(order: Order) -> OrderRequest:
    """An order as it is sent."""
    protected = not order.reduce_only and not (isnan(order.stop) and isnan(order.take))
    return OrderRequest(
        client_id=order.id,
        symbol=order.symbol,
        quantity=Decimal(repr(order.quantity)),
        kind=order.kind if order.kind in KINDS else "market",  # type: ignore[arg-type]
        price=exact(order.price),
        stop=exact(order.stop) if protected else None,
        take=exact(order.take) if protected else None,
        protection_id=attached_id(order.id) if protected else "",
        reduce_only=order.reduce_only,
    )


def state_of(found: ExchangeOrder, booked: float) -> tuple[str, str]:
    """State and cause of an order that the exchange knows, `booked` (signed) being what of it is in the ledger.

    An order is not at its end before all that was filled of it is booked.
    """
    filled = tidy(float(found.filled))
    if found.state in DONE and filled != booked:
        return "PARTIAL", f"{found.state} with {filled} of {found.quantity}, of which {booked} is booked"
    if found.state == "filled":
        return "FILLED", f"at {found.average}"
    if found.state == "canceled":
        why = f" (source {found.cancel_source})" if found.cancel_source else ""
        return "CANCELLED", f"{filled} of {found.quantity} filled, the rest canceled by the exchange{why}"
    return ("PARTIAL", f"{filled} of {found.quantity} filled") if filled else ("WORKING", f"at the exchange as {found.order_id}")


class Tracker:
    """Brings orders to the exchange and keeps what became of them.

    Args:
        ledger: in which each order's intent is committed before it comes here.
        wait: suspends for so many wall seconds.
    """

    def __init__(self, venue: Venue, ledger: LiveLedger, clock: Clock, pace: Pace, wait: Callable[[float], None]) -> None:
        self.venue, self.ledger, self.clock, self.pace, self.wait = venue, ledger, clock, pace, wait
        self.ask = Asking(pace, wait)

    def tell(self, order_id: str, state: str, cause: str) -> OrderEvent:
        """Keep a step in an order's life; what has come to an end stays so."""
        known = self.ledger.tracked_order(order_id)
        event = OrderEvent(order_id, self.clock.now_ms(), state, cause)
        if known is not None and known.state in FINAL_STATES:
            return OrderEvent(order_id, event.ts, known.state, cause)
        if known is None or known.state != state or state == "PARTIAL":
            self.ledger.event(event)
        return event

    def told(self, one: Tracked, found: ExchangeOrder) -> OrderEvent:
        """Keep what the exchange says of an order."""
        if one.exchange_order_id != found.order_id:
            self.ledger.at_the_exchange(one.order.id, found.order_id)
        return self.tell(one.order.id, *state_of(found, one.filled))

    def deliver(self, order: Order, until_ms: int) -> OrderEvent:
        """Bring an order to the exchange unless it is there.

        Args:
            until_ms: when its decision is no longer valid, by the exchange's clock.

        Returns:
            where it stands: at the exchange, REJECTED, LAPSED (forbidden), EXPIRED (never arrived and too late), UNKNOWN (may still
            arrive), or INTENT where the exchange was too busy to take it.

        Raises:
            TryAgain: the exchange does not answer at all; what is known is kept.
            VenueRefused: keys or account are not as they must be; trading is halted.
        """
        for _ in range(self.pace.sends):
            event = self.resolve(order.id)
            if event is not None:
                return event
            now = self.ask(self.venue.time_ms)
            if now >= until_ms:
                return self.too_late(self._tracked(order.id))
            event = self._send(order, now + self.pace.expires_ms)
            if event is not None:
                return event
        return self.resolve(order.id) or self.tell(order.id, "INTENT", "the exchange did not take it yet")

    def too_late(self, one: Tracked) -> OrderEvent:
        """The end of an order that is not at the exchange and whose bar is over."""
        if one.attempts:
            return self.tell(one.order.id, "EXPIRED", "its bar is over, and the exchange never got it")
        return self.tell(one.order.id, "LAPSED", "not sent: its bar was over before it could be")

    def resolve(self, order_id: str) -> OrderEvent | None:
        """Where an order stands by the exchange; None where it is sure that it is not there and cannot arrive any more.

        "Not found" is that only where nothing was sent, or where it is answered after the order's expiry by the exchange's clock and
        neither pending nor past orders nor fills hold its id. Until then it is UNKNOWN.
        """
        one = self._tracked(order_id)
        for n in range(self.pace.within(self.pace.patience_s)):
            if n:
                self.wait(self.pace.pause_s)
            over = not one.expires_ms or self.ask(self.venue.time_ms) > one.expires_ms + self.pace.margin_ms
            found = self.find(one, thoroughly=over and bool(one.attempts))
            if found is not None:
                return self.told(one, found)
            if over:
                return None
        return self.tell(order_id, "UNKNOWN", f"the exchange does not know it, and it may arrive until {one.expires_ms}")

    def _tracked(self, order_id: str) -> Tracked:
        one = self.ledger.tracked_order(order_id)
        if one is None:
            raise LookupError(f"order {order_id} has no intent in the ledger")
        return one

    def find(self, one: Tracked, thoroughly: bool = True) -> ExchangeOrder | None:
        """An order at the exchange, thoroughly: also among pending and past orders and fills."""
        name, symbol = one.order.id, one.order.symbol
        found = self.ask(lambda: self.venue.order(symbol, name))
        if found is not None or not thoroughly:
            return found
        since = one.created_ts - self.pace.settle_ms
        every = [*self.ask(lambda: self.venue.open_orders(symbol)), *self.ask(lambda: self.venue.past_orders(symbol, since))]
        filled = [fill.order_id for fill in self.ask(lambda: self.venue.fills(symbol, since)) if fill.client_id == name]
        named = next((order for order in every if order.client_id == name), None)
        return named or (self.ask(lambda: self.venue.order_by_id(symbol, filled[0])) if filled else None)

    def _send(self, order: Order, expires_ms: int) -> OrderEvent | None:
        """One attempt; None where it was definitely not carried out and may be tried again."""
        asked = request(order)
        if asked.protection_id:
            self.ledger.claim_attached(order, asked.protection_id, self.clock.now_ms())
        refusal = self.ledger.sending(order, self.clock.now_ms(), expires_ms)
        if refusal:
            return self.tell(order.id, "LAPSED", f"not sent: {refusal}")
        try:
            name = self.venue.send(asked, expires_ms)
        except OutcomeUnknown as error:
            self.tell(order.id, "UNKNOWN", str(error))
            event = self.resolve(order.id)
            return event if event is None or event.state == "UNKNOWN" else self._followed(order.id, event)
        except TryAgain:
            self.ledger.not_on_its_way(order.id)
            self.wait(self.pace.pause_s)
            return None
        except OrderRejected as error:
            return self._rejected(order, error)
        except VenueRefused as error:
            # together, for an order that has come to its end is not asked about again
            with self.ledger.database.batch():
                self.tell(order.id, "REJECTED", str(error))
                self.ledger.halt(self.clock.now_ms(), str(error))
            raise
        self.ledger.at_the_exchange(order.id, name)
        return self._followed(order.id, self.tell(order.id, "WORKING", f"accepted by the exchange as {name}"))

    def _rejected(self, order: Order, error: OrderRejected) -> OrderEvent | None:
        if error.code in CAME_LATE:
            self.ledger.not_on_its_way(order.id)
            return None
        with self.ledger.database.batch():
            event = self.tell(order.id, "REJECTED", str(error))
            if self.ledger.rejected_in_a_row() >= self.pace.rejections:
                why = f"the exchange refused {self.pace.rejections} orders in a row, the last one: {error}"
                self.ledger.halt(self.clock.now_ms(), why)
        return event

    def _followed(self, order_id: str, event: OrderEvent) -> OrderEvent:
        """The event of an accepted order once it is done, or as it stands after a while."""
        one = self._tracked(order_id)
        for n in range(self.pace.asks):
            if n:
                self.wait(self.pace.pause_s)
            try:
                found = self.venue.order(one.order.symbol, order_id)
            except TryAgain:
                continue
            if found is not None:
                event = self.told(one, found)
                if found.state in DONE:
                    return event
        return event
