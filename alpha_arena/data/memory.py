"""The memory of one trader while a process lives: what a backtest keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alpha_arena.core.errors import AlreadyDecided
from alpha_arena.core.records import Booking, Decision, OrderEvent
from alpha_arena.core.timeframes import UNIT_MS
from alpha_arena.core.types import RUINED, Order, Position, RiskState


class MemoryStore:
    """Keeps `core.ports.Store` in lists, in the order of what happened.

    Args:
        trader: its id.
    """

    def __init__(self, trader: str) -> None:
        self.trader = trader
        self.decisions: list[Decision] = []
        self.orders: list[Order] = []
        self.events: list[OrderEvent] = []
        self.bookings: list[Booking] = []
        self._decided: set[tuple[str, int]] = set()
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

    def intend(self, decisions: Sequence[Decision], orders: Sequence[Order], positions: Mapping[str, Position]) -> None:
        """Record what was decided and is about to be sent.

        Raises:
            AlreadyDecided: one of the bars has a decision.
        """
        keys = {(decision.symbol, decision.bar_ts) for decision in decisions}
        if keys & self._decided:
            raise AlreadyDecided(f"{self.trader} has decided the bar that opened at {decisions[0].bar_ts} before; nothing was sent")
        self._decided |= keys
        self.decisions += decisions
        self.orders += orders
        if orders:
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
        stops = {fill.symbol: fill.ts for fill in booking.fills if fill.reason in ("stop", "liquidation")}
        self._last_stop_ts = {**self._last_stop_ts, **stops} if stops else self._last_stop_ts

    def halt(self, ts: int, reason: str) -> None:
        """Latch a halt; the first reason stays, unless equity is gone."""
        self._halted = RUINED if reason == RUINED else self._halted or reason
