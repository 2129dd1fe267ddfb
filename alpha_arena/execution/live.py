"""The live executor: orders go to an account at an exchange, and only what that exchange says is booked."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from math import nan

from alpha_arena.core.errors import SafetyError
from alpha_arena.core.ids import derived_id
from alpha_arena.core.market import Market
from alpha_arena.core.ports import Clock
from alpha_arena.core.records import FINAL_STATES, Booking, OrderEvent
from alpha_arena.core.types import Account, Order, Position
from alpha_arena.core.venue import OutcomeUnknown, TryAgain, Venue, VenueError, VenueRefused
from alpha_arena.data.controls import Controls
from alpha_arena.data.live_ledger import LiveLedger, Tracked
from alpha_arena.execution.protection import Guard
from alpha_arena.execution.reconcile import MADE_BY_EXCHANGE, Changes, Differs, Reconciler, Unreconciled
from alpha_arena.execution.tracker import Pace, Tracker

ON_ITS_WAY = ("INTENT", "SENT", "UNKNOWN")
LEAST_LEVEL = 2
STEADY = 5
# bills are told later than positions
BILLS_LAG = 5
DAY_MS = 86_400_000
FLATTEN = "kill switch: flatten"


def open_account(ledger: LiveLedger, venue: Venue) -> None:
    """Open a trader's account with the cash that the exchange holds, as of now; one that is open is left as it is.

    Raises:
        Unreconciled: the cash does not stand still.
    """
    if ledger.opened_ms():
        return
    for _ in range(STEADY):
        before, now = venue.balance().cash, venue.time_ms()
        bills, cash = venue.bills(now - DAY_MS), venue.balance().cash
        if cash == before:
            ledger.open_after(float(cash), now, bills[-1].bill_id if bills else "")
            return
    raise Unreconciled(f"the account's cash changes while it is opened ({before}, {cash}); stop whoever trades it and try again")


def prepare(venue: Venue, leverages: Mapping[str, float]) -> None:
    """Bring an account's modes to what the executor needs: net positions, and each symbol's leverage.

    Raises:
        SafetyError: the keys may not trade or may withdraw, or the account cannot hold swaps.
    """
    config = venue.config()
    if "withdraw" in config.permissions or "trade" not in config.permissions:
        raise SafetyError(
            f"the keys of account {config.uid} may {', '.join(sorted(config.permissions))}; make keys that trade and do not withdraw"
        )
    if config.level < LEAST_LEVEL:
        raise SafetyError(f"account {config.uid} is of mode {config.level}, which holds no swaps; set it to futures mode at the exchange")
    if not config.net:
        venue.set_net_mode()
    for symbol, leverage in leverages.items():
        if float(venue.leverage(symbol)) != leverage:
            venue.set_leverage(symbol, Decimal(repr(leverage)))


class LiveExecutor:
    """Trades an account at an exchange; keeps `core.ports.Executor`.

    Everything is read from the ledger and the exchange at each call, so that a process that has just started knows what one that died knew.

    Args:
        ledger: of the trader, opened with `open_account`; its lease is checked with every write.
        markets: closed bars by symbol, for the prices at which equity is marked; its keys are what the trader trades.
        controls: kill switch, pauses, close-now requests.
        wait: suspends for so many wall seconds.
    """

    def __init__(
        self,
        venue: Venue,
        ledger: LiveLedger,
        markets: Mapping[str, Market],
        clock: Clock,
        controls: Controls,
        pace: Pace | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.venue, self.ledger, self.markets, self.clock, self.controls = venue, ledger, markets, clock, controls
        self.pace, self.wait = pace or Pace(), wait
        self.bar_ms = next(iter(markets.values())).bar_ms
        self.tracker = Tracker(venue, ledger, clock, self.pace, wait)
        self.guard = Guard(self.tracker)
        self.reconciler = Reconciler(self.tracker, ledger, sorted(markets), self.bar_ms, self.prices)
        self._account: Account | None = None

    @property
    def applied_ts(self) -> int:
        """Open of the newest bar that is booked, -1 for none."""
        last = self.ledger.last_booked_ts()
        return -1 if last is None else last

    def prices(self, ts: int) -> Mapping[str, float]:
        """Last closes known once the bar that opened at `ts` has closed, by symbol."""
        rows = {symbol: max(bisect_right(market.ts, ts) - 1, 0) for symbol, market in self.markets.items()}
        return {symbol: float(self.markets[symbol].close[row]) for symbol, row in rows.items()}

    def account(self) -> Account:
        """As of the last poll, as booked where there was none."""
        return self._account or self.ledger.account()

    def poll(self, ts: int) -> Booking:
        """Everything that the exchange has done until now, for the bar that opened at `ts`; protects positions and obeys people.

        Raises:
            Unreconciled: ledger and exchange differ; nothing may be booked, the cycle is skipped.
            VenueError: a call failed; as Unreconciled.
        """
        return self._told(ts, full=False)

    def recover(self, full: bool = False) -> Booking:
        """Book what the exchange has done and bring to their end the intents that an earlier process left: what a start and a sync do.

        An intent whose bar is still the newest is sent; an older one never is.

        Args:
            full: compare everything since the account was opened, not only since the last booking.

        Raises:
            Unreconciled, VenueError: as `poll`.
        """
        booking = self._settle(full)
        for one in self.ledger.tracked():
            if one.state in ON_ITS_WAY and one.order.kind not in MADE_BY_EXCHANGE:
                self.submit(one.order)
        return booking

    def _settle(self, full: bool = False) -> Booking:
        """Book what came since, at the newest bar that is booked."""
        now = self.clock.now_ms()
        last = self.ledger.last_booked_ts()
        booking = self._told(now // self.bar_ms * self.bar_ms - self.bar_ms if last is None else last, full)
        self.ledger.book(booking)
        return booking

    def _told(self, ts: int, full: bool) -> Booking:
        try:
            self._review()
            for _ in range(self.pace.asks):
                changes = self._explained(ts, full)
                self._halt(changes)
                if not self._act(changes):
                    break
        except (VenueError, Unreconciled) as error:
            self._failed(error)
            raise
        halted = self.ledger.halted()
        self.ledger.is_now("HALTED" if halted else "READY", halted, self.clock.now_ms())
        self._account = changes.booking.account
        return changes.booking

    def _failed(self, error: Exception) -> None:
        """Keep why the account is not reconciled; what is open stays protected as far as the exchange answers."""
        now = self.clock.now_ms()
        if isinstance(error, VenueRefused):
            self.ledger.halt(now, str(error))
        self.ledger.is_now("DIFFERS" if isinstance(error, Differs) else "UNRECONCILED", str(error), now)
        if isinstance(error, Unreconciled):
            self._protect_as_told()

    def _halt(self, changes: Changes) -> None:
        """Latched before anything is booked: a process that dies in between finds the same cause again."""
        if changes.foreign:
            reason = "; ".join(changes.foreign)
            if not self.ledger.halted():
                self.ledger.audit(self.clock.now_ms(), "external", reason)
            self.ledger.halt(self.clock.now_ms(), reason)

    def _review(self) -> None:
        """Where the orders stand that nothing is known of; one that may still arrive stops the cycle.

        Raises:
            Unreconciled: there is one.
        """
        for one in self.ledger.tracked():
            if one.state not in ON_ITS_WAY or one.order.kind in MADE_BY_EXCHANGE:
                continue
            event = self.tracker.resolve(one.order.id)
            if event is None and self.tracker.ask(self.venue.time_ms) >= self.valid_until(one):
                event = self.tracker.too_late(one)
            if event is not None and event.state == "UNKNOWN":
                raise Unreconciled(
                    f"order {one.order.id} in {one.order.symbol} may still arrive at the exchange; nothing is decided before that is known"
                )

    def valid_until(self, one: Tracked) -> int:
        """When the bar after its decision is over."""
        return one.created_ts + self.bar_ms

    def _explained(self, ts: int, full: bool) -> Changes:
        """Changes that explain how the account stands.

        Raises:
            Unreconciled: there is a difference, and it is not old enough to be taken for somebody else's doing.
        """
        for n in range(self.pace.asks):
            if n:
                self.wait(self.pace.pause_s)
            changes = self.reconciler.changes(ts, full)
            if not changes.unexplained:
                return changes
        now = self.clock.now_ms()
        since = self.ledger.is_now("DIFFERS", changes.unexplained, now)
        if now - since < self.pace.settle_ms * (BILLS_LAG if changes.cash_only else 1):
            raise Differs(changes.unexplained)
        return self.reconciler.changes(ts, full=True, adopt=True)

    def _act(self, changes: Changes) -> bool:
        """Obey people and protect positions; whether anything was sent that changes the account."""
        told = self.controls.state(self.ledger.trader)
        if told.killed:
            self._withdraw()
        asked = told.killed == "flatten" or told.close_ms is not None
        why = FLATTEN if told.killed else "close now"
        ended = [event.order_id for event in changes.booking.events if event.state in FINAL_STATES]
        sent = False
        for symbol in sorted(self.markets):
            position = changes.booking.account.position(symbol)
            failed = "" if asked and position.quantity else self.guard.keep(symbol, position, ended)
            if position.quantity and (asked or failed):
                sent = self._close(symbol, position, why if asked else f"it could not be protected: {failed}") or sent
        if told.close_ms is not None and not any(position.quantity for position in changes.booking.account.positions.values()):
            self.controls.closed(self.ledger.trader, told.close_ms, self.clock.now_ms(), "all positions are closed")
        self._keep_alive()
        return sent

    def _withdraw(self) -> None:
        """Cancel own orders that may still open something."""
        for one in self.ledger.tracked():
            if one.state in ("WORKING", "PARTIAL") and not one.order.reduce_only and one.order.kind not in MADE_BY_EXCHANGE:
                with suppress(OutcomeUnknown, TryAgain):  # asked again with the next poll
                    self.venue.cancel(one.order.symbol, one.order.id)

    def _keep_alive(self) -> None:
        """Limit orders that rest are canceled by the exchange should nobody come back."""
        if any(one.state in ("WORKING", "PARTIAL") and one.order.kind in ("limit", "post_only") for one in self.ledger.tracked()):
            with suppress(OutcomeUnknown, TryAgain):
                self.venue.cancel_all_after(self.pace.dead_man_s)

    def _close(self, symbol: str, position: Position, why: str) -> bool:
        """Close a position at the market unless an own order does that already; whether one was sent."""
        closing = [one for one in self.ledger.tracked() if one.order.symbol == symbol and one.order.reduce_only]
        if any(one.state in ("WORKING", "PARTIAL") and one.order.kind not in MADE_BY_EXCHANGE for one in closing):
            return False
        now = self.clock.now_ms()
        order = Order(self._free_name(symbol, now), symbol, -position.quantity, reduce_only=True)
        self.ledger.intend_order(order, now, why)
        self.ledger.audit(now, "close", f"{symbol}: {position.quantity} ({why})")
        return self.tracker.deliver(order, now + self.bar_ms).state not in FINAL_STATES

    def _free_name(self, symbol: str, now: int) -> str:
        """A name for a closing order; one that has come to its end is not used again."""
        n = 0
        while True:
            name = derived_id(self.ledger.trader, symbol, "close", now // self.bar_ms, n)
            known = self.ledger.tracked_order(name)
            if known is None or known.state not in FINAL_STATES:
                return name
            n += 1

    def _protect_as_told(self) -> None:
        """Protect what the exchange says is held, although not all of its fills are told yet; a kill switch that flattens is obeyed."""
        flatten = self.controls.state(self.ledger.trader).killed == "flatten"
        for held in self.tracker.ask(self.venue.positions):
            if held.symbol not in self.markets:
                continue
            position = self._levelled(held.symbol, float(held.quantity))
            failed = "" if flatten else self.guard.keep(held.symbol, position)
            if flatten or failed:
                self._close(held.symbol, position, FLATTEN if flatten else f"it could not be protected: {failed}")

    def _levelled(self, symbol: str, quantity: float) -> Position:
        """A position with the levels of the one that is booked, else of the entry that opened it."""
        booked = self.ledger.account().position(symbol)
        if booked.quantity * quantity > 0:
            return replace(booked, quantity=quantity)
        entry = next((one.order for one in self.ledger.entries(symbol) if one.order.quantity * quantity > 0), None)
        return Position(quantity, nan, entry.stop, entry.take) if entry else Position(quantity)

    def hold(self, symbol: str, position: Position) -> None:
        """Bring the protection at the exchange to these levels, the new before the old one goes."""
        booked = self.ledger.account().position(symbol)
        self._account = self.account().put(symbol, position)
        if not booked.quantity:
            return
        failed = self.guard.keep(symbol, booked)
        if failed:
            self._close(symbol, booked, f"it could not be protected: {failed}")

    def submit(self, order: Order) -> OrderEvent:
        """Bring a committed order to the exchange, once; book and protect what it does at once.

        Returns:
            where it stands. INTENT or UNKNOWN: `recover` goes on with it.

        Raises:
            VenueRefused: keys or account are not as they must be; trading is halted.
        """
        one = self.ledger.tracked_order(order.id)
        if one is None:
            raise SafetyError(f"order {order.id} was not committed before it was to be sent; record the decision first")
        try:
            event = self._blocked(one) or self.tracker.deliver(order, self.valid_until(one))
        except (TryAgain, OutcomeUnknown) as error:
            known = self.ledger.tracked_order(order.id) or one
            return OrderEvent(order.id, self.clock.now_ms(), known.state, str(error))
        except VenueRefused as error:
            self.ledger.halt(self.clock.now_ms(), str(error))
            raise
        return self._followed_up(event) if event.state == "PARTIAL" else event

    def _blocked(self, one: Tracked) -> OrderEvent | None:
        """Where an order stands that may not be sent (now), None where it may."""
        refusal, waits = self._refusal(one.order), self._waits(one)
        if not refusal and not waits:
            return None
        event = self.tracker.resolve(one.order.id) if one.state != "INTENT" else None
        if event is not None:
            return event
        if refusal:
            return self.tracker.tell(one.order.id, "LAPSED", f"not sent: {refusal}")
        return OrderEvent(one.order.id, self.clock.now_ms(), "INTENT", waits)

    def _refusal(self, order: Order) -> str:
        """Why an order may not be sent at all, "" where it may."""
        told = self.controls.state(self.ledger.trader)
        if told.killed:
            return told.no_entries
        if order.reduce_only:
            return ""
        halted = self.ledger.halted()
        return told.no_entries or (f"trading is halted ({halted})" if halted else "") or self._against(order) or self._stale(order.symbol)

    def _against(self, order: Order) -> str:
        """An entry lapses with the exit before it, unless the position is gone all the same."""
        exits = [one for one in self._siblings(order) if one.state in ("REJECTED", "EXPIRED", "LAPSED", "CANCELLED")]
        held = self.ledger.account().position(order.symbol)
        return f"its exit was {exits[0].state} and the position is still held" if exits and held.quantity * order.quantity < 0 else ""

    def _stale(self, symbol: str) -> str:
        """Why no new risk is taken in a market that has fallen silent, "" where it has not; both times are the exchange's (faults: B4)."""
        told_ms = self.tracker.ask(lambda: self.venue.mark_price(symbol))[1]
        age_ms = self.tracker.ask(self.venue.time_ms) - told_ms
        return f"STALE: the mark price is {age_ms / 1000:.0f} s old" if age_ms > self.pace.stale_ms else ""

    def _siblings(self, order: Order) -> list[Tracked]:
        """The exits that were decided with an entry."""
        mine = self.ledger.tracked_order(order.id)
        every = self.ledger.exits(order.symbol, mine.created_ts if mine else 0)
        return [one for one in every if one.order.id != order.id and one.order.kind not in MADE_BY_EXCHANGE]

    def _waits(self, one: Tracked) -> str:
        """Why an entry is not sent yet, "" where it may be."""
        if one.order.reduce_only:
            return ""
        state, reason = self.ledger.stands()
        if state != "READY":
            return f"waits until the account is reconciled ({reason})"
        pending = any(exit_.state in ON_ITS_WAY for exit_ in self._siblings(one.order))
        return "waits until its exit is known to the exchange" if pending else ""

    def _followed_up(self, event: OrderEvent) -> OrderEvent:
        """Book and protect what an order has done; fills that are told late are booked by the next poll."""
        try:
            self._settle()
        except (Unreconciled, TryAgain):
            return event
        known = self.ledger.tracked_order(event.order_id)
        return replace(event, state=known.state) if known else event


__all__ = ["LiveExecutor", "Pace", "open_account", "prepare"]
