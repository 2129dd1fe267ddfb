"""Each way of doing it wrong, switched on, is caught by the checker: what it passes is worth something."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count

import pytest
from fake_venue import FakeVenue
from live_world import BTC, CrashPoint, WatchedLedger, World, check

from alpha_arena.core.errors import StoreError
from alpha_arena.core.ids import derived_id
from alpha_arena.core.types import Order, Target
from alpha_arena.core.venue import ExchangeFill, ExchangePosition, OrderRejected, OrderRequest, OutcomeUnknown, VenueError
from alpha_arena.data.lease import Lease, LeaseLost
from alpha_arena.execution.live import LiveExecutor
from alpha_arena.execution.reconcile import Unreconciled

LONG = Target(0.5, stop=95.0, take=120.0)


def cycles(made: World, bars: int = 2, wait_s: float = 200.0) -> World:
    """Cycles and syncs that go on whatever happens."""
    for bar in range(bars):
        made.at(bar)
        for _ in range(3):
            with suppress(StoreError, VenueError, Unreconciled, CrashPoint):
                made.cycle(bar)
            made.clock.wait(wait_s)
    return made


def world(kind: type[FakeVenue] = FakeVenue, ledger: type[WatchedLedger] = WatchedLedger) -> World:
    """Long at the first close, on an exchange or with a ledger that does it wrong."""
    made = World([100.0, 101.0], {0: LONG})
    old, made.venue = made.venue, kind(made.clock, price={BTC: made.venue.price[BTC]})
    made.venue.all_bills = old.all_bills
    made.venue.number = old.number
    if ledger is not WatchedLedger:
        made.ledger = lambda: ledger(made.service, "t", "1h", "fake")  # type: ignore[method-assign]
    return made


def lose(made: World, when: str) -> None:
    """The first order's request or reply is lost, and the process dies of it."""
    once = count()
    made.hook = lambda name, at: stop() if (name, at) == ("send", when) and not next(once) else None

    def stop() -> None:
        raise CrashPoint("send")


def test_nothing_wrong_passes() -> None:
    made = world()
    lose(made, "after")
    check(cycles(made))


class RandomNames(FakeVenue):
    """As if the client had made up a name for each attempt."""

    names = count()

    def accept(self, asked: OrderRequest) -> str:
        return super().accept(replace(asked, client_id=derived_id(next(self.names))))


def test_random_names_are_caught() -> None:
    made = world(RandomNames)
    lose(made, "after")
    with pytest.raises(AssertionError, match=r"I[123]"):
        check(cycles(made))


class Careless(WatchedLedger):
    """Sends first and commits later, if at all."""

    def sending(self, order: Order, ts: int, expires_ms: int) -> str:
        return ""


def test_sending_before_the_commit_is_caught() -> None:
    """The order arrives after the process has died; the next one knows nothing of it."""
    made = world(ledger=Careless)
    made.venue.delay_ms = 1_500
    made.at(0)
    executor = made.boot()
    executor.recover()
    executor.ledger.intend_order(Order("o1", BTC, 1.0, stop=90.0), made.clock.time, "by hand")
    made.hook = lambda name, when: dies() if name == "order" and made.venue.late else None
    with pytest.raises(CrashPoint):
        executor.submit(Order("o1", BTC, 1.0, stop=90.0))
    made.hook, made.venue.delay_ms = (lambda name, when: None), 0
    made.sync()
    made.clock.wait(2)
    with suppress(Unreconciled):
        made.sync()
    with pytest.raises(AssertionError, match="I1"):
        check(made)


def dies() -> None:
    """Here."""
    raise CrashPoint("dead")


class Trusting(FakeVenue):
    """As if an error of the transport meant that the order was refused."""

    def send(self, request: OrderRequest, expires_ms: int) -> str:
        try:
            return super().send(request, expires_ms)
        except OutcomeUnknown as error:
            raise OrderRejected(str(error)) from error


def test_trusting_the_exception_is_caught() -> None:
    made = world(Trusting)
    once = count()

    def lost(name: str, when: str) -> None:
        if (name, when) == ("send", "after") and not next(once):
            raise OutcomeUnknown("no reply")

    made.hook = lost
    with pytest.raises(AssertionError, match=r"I[23]"):
        check(cycles(made))


class ByOrder(FakeVenue):
    """As if fills were known by their order."""

    def fills(self, symbol: str, since_ms: int) -> Sequence[ExchangeFill]:
        return [replace(fill, bill_id=fill.order_id) for fill in super().fills(symbol, since_ms)]


def test_booking_fills_by_order_is_caught() -> None:
    made = world(ByOrder)
    made.venue.parts = 3
    with pytest.raises(AssertionError, match=r"I[23]"):
        check(cycles(made))


class FlatOnFailure(FakeVenue):
    """As if an answer without rows were the truth."""

    def positions(self) -> Sequence[ExchangePosition]:
        super().positions()
        return []


def test_reading_a_failed_call_as_flat_is_caught() -> None:
    with pytest.raises(AssertionError, match=r"I[235]"):
        check(cycles(world(FlatOnFailure)))


def twice(leased: bool) -> World:
    """A second process acts for the trader between the first one's question and its order."""
    made = World([100.0, 101.0], {})
    first = made.boot()
    first.recover()
    order = Order("o1", BTC, 1.0, stop=90.0)
    first.ledger.intend_order(order, made.clock.time, "by hand")
    once = count()

    def meddle(name: str, when: str) -> None:
        if (name, when) == ("send", "before") and not next(once):
            other(made, leased).recover()

    lease = Lease(made.service, "trader:t", 600.0)
    lease.acquire()
    first.ledger.lease = lease if leased else None
    made.hook = meddle
    with suppress(LeaseLost):
        first.submit(order)
    made.sync()
    return made


def other(made: World, leased: bool) -> LiveExecutor:
    """A second process; with leases it must take the first one's, whose holder lives."""
    executor = made.boot()
    # the first one's attempt is forgotten: it asked before either had sent
    with made.service.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM sent_orders")
    if leased:
        lease = Lease(made.service, "trader:t", 600.0, pid=1)
        lease.acquire()
    return executor


def test_two_processes_without_a_lease_are_caught() -> None:
    """C1."""
    with pytest.raises(AssertionError, match="I1"):
        check(twice(leased=False))
    check(twice(leased=True))
