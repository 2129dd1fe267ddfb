"""What an exchange's client does wrong is caught by the checker of the world in memory; tests/chaos has all of it over the wire."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count

import pytest
from fake_venue import FakeVenue
from live_world import BTC, CrashPoint, World, check

from alpha_arena.core.errors import StoreError
from alpha_arena.core.ids import derived_id
from alpha_arena.core.types import Target
from alpha_arena.core.venue import ExchangeFill, ExchangePosition, OrderRejected, OrderRequest, OutcomeUnknown, VenueError
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


def world(kind: type[FakeVenue] = FakeVenue) -> World:
    """Long at the first close, on an exchange that does it wrong."""
    made = World([100.0, 101.0], {0: LONG})
    old, made.venue = made.venue, kind(made.clock, price={BTC: made.venue.price[BTC]})
    made.venue.all_bills = old.all_bills
    made.venue.number = old.number
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
