"""The memory of one trader while a process lives: what a backtest keeps."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from alpha_arena.core.errors import AlreadyDecided
from alpha_arena.core.outcomes import Outcome, Outcomes
from alpha_arena.core.records import Booking, Decision, OrderEvent
from alpha_arena.core.timeframes import UNIT_MS
from alpha_arena.core.timeline import timeline
from alpha_arena.core.types import RUINED, Order, Position, RiskState


class MemoryStore:
    """Keeps `core.ports.Store` in lists, in the order of what happened.

    Args:
        trader: its id. outcomes: those that run already; they are followed from here on.
    """

    def __init__(self, trader: str, outcomes: Outcomes | None = None) -> None:
        self.trader = trader
        self.decisions: list[Decision] = []
        self.orders: list[Order] = []
        self.events: list[OrderEvent] = []
        self.bookings: list[Booking] = []
        self._sent: list[tuple[Sequence[Decision], Sequence[Order]]] = []
        self._outcomes = outcomes or Outcomes()
        self._followed = (0, 0)
        self._decided: dict[str, set[int]] = {}
        self._booked = -1
        self._peak = 0.0
        self._halted = ""
        self._day = -1
        self._orders_today = 0
        self._last_stop_ts: dict[str, int] = {}

    def risk(self, ts: int) -> RiskState:
        """What risk rules remember, for a decision at close `ts`."""
        day = ts // UNIT_MS["d"]
        return RiskState(self._peak, self._halted, self._orders_today if day == self._day else 0, self._last_stop_ts)

    def outcomes(self, ts: int, most: int) -> Sequence[Outcome]:
        """The newest `most` outcomes that had ended by a time, oldest first."""
        closed = self.followed().closed
        end = bisect_right(closed, ts, key=lambda one: one.closed_ts or 0)
        return closed[max(0, end - most) : end]

    def followed(self) -> Outcomes:
        """All outcomes so far; what has been booked since the last look is followed now, so that a run that never looks pays nothing."""
        closed, known = self._outcomes.closed, len(self._outcomes.closed)
        sent, booked = self._followed
        self._followed = (len(self._sent), len(self.bookings))
        for decisions, orders in self._sent[sent:]:
            self._outcomes.decided(decisions, orders)
        for event in timeline(self.bookings[booked:]):
            self._outcomes.happened(event)
        # what ends in a later bar stands after all that has ended
        closed[known:] = sorted(closed[known:], key=lambda one: one.place)
        return self._outcomes

    def intend(self, decisions: Sequence[Decision], orders: Sequence[Order], positions: Mapping[str, Position]) -> None:
        """Record what was decided and is about to be sent.

        Raises:
            AlreadyDecided: one of the bars has a decision.
        """
        if any(decision.bar_ts in self._decided.get(decision.symbol, ()) for decision in decisions):
            raise AlreadyDecided(f"{self.trader} has decided the bar that opened at {decisions[0].bar_ts} before; nothing was sent")
        for decision in decisions:
            self._decided.setdefault(decision.symbol, set()).add(decision.bar_ts)
        self.decisions += decisions
        self.orders += orders
        if orders:
            self._sent.append((decisions, orders))
            self._count(decisions[0].ts // UNIT_MS["d"], len(orders))

    def _count(self, day: int, orders: int) -> None:
        self._orders_today = orders + (self._orders_today if day == self._day else 0)
        self._day = day

    def event(self, event: OrderEvent) -> None:
        """Append to an order's life."""
        self.events.append(event)

    def book(self, booking: Booking) -> None:
        """Record a bar; one that is booked already changes nothing."""
        if booking.ts <= self._booked:
            return
        self._booked = booking.ts
        self.bookings.append(booking)
        self.events += booking.events
        self._peak = max(self._peak, booking.equity)
        if booking.fills:
            stops = {fill.symbol: fill.ts for fill in booking.fills if fill.reason in ("stop", "liquidation")}
            self._last_stop_ts = {**self._last_stop_ts, **stops}

    def halt(self, ts: int, reason: str) -> None:
        """Latch a halt; the first reason stays, unless equity is gone."""
        self._halted = RUINED if reason == RUINED else self._halted or reason
