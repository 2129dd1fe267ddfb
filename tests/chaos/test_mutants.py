"""Each way of doing it wrong, switched on in the real process, is caught by the checker: what it passes is worth something."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from chaos_scenario import Event, Scenario, scenarios
from chaos_world import HOUR, LEASE_S, OwnClock, Process, WatchedDatabase, World
from checker import check
from pydantic import TypeAdapter
from sqlalchemy import Connection

from alpha_arena.core.ids import derived_id
from alpha_arena.core.types import Order, Position
from alpha_arena.core.venue import ExchangeFill, ExchangeOrder, ExchangePosition, OrderRejected, OrderRequest, OutcomeUnknown
from alpha_arena.data.lease import Lease, LeaseLost
from alpha_arena.data.live_ledger import LiveLedger
from alpha_arena.exchange.okx import OkxSource
from alpha_arena.exchange.okx_account import OkxAccount
from alpha_arena.execution.protection import Guard
from alpha_arena.ingest import ingest
from alpha_arena.wiring.live import LiveDesk

PLAIN, LOST, PARTS = (scenarios()[name] for name in ("a1_killed_anywhere", "a3_accepted_and_no_answer", "a8_filled_in_parts"))
# the exchange takes a name again once its order is filled: nothing but the process keeps an order from being there twice
AGAIN = {"bar": 0, "state": {"dup_policy": "while_live"}}
SLOW = {"match": {"method": "POST", "path": "trade/order", "nth": 1}, "when": "before", "times": 1, "action": {"delay": 12_000}}
EVENTS = TypeAdapter(list[Event])
TAKEN = replace(PLAIN, faults=EVENTS.validate_python([AGAIN]))
# when the first order arrives nobody waits for it any more, and it is still valid
LATE = replace(
    TAKEN, faults=EVENTS.validate_python([AGAIN, {"bar": 0, "fault": SLOW}]), looks=[2.0, 16.0], overrides=["executor.expires_s=30"]
)


@contextmanager
def lived(maker: type[Process], scenario: Scenario) -> Iterator[World]:
    """A life of processes of a kind."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(scenario, 1, Path(folder), maker=maker)
        try:
            yield world.live()
        finally:
            world.close()


@pytest.mark.parametrize("scenario", [PLAIN, LOST, PARTS, TAKEN, LATE], ids=["plain", "lost", "parts", "taken", "late"])
def test_nothing_wrong_passes(scenario: Scenario) -> None:
    with lived(Process, scenario) as world:
        check(world.finished())


class Confirmed(OkxSource):
    """Every bar that is told has closed."""

    def _ask(self, endpoint: str, query: Any) -> list[Any]:
        rows = super()._ask(endpoint, query)
        return [[*row[:8], "1"] for row in rows] if endpoint.startswith("market/") else rows


class Unclosed(Process):
    """Decides with the bar that is still open."""

    source_kind = Confirmed

    def ingest(self) -> None:
        ingest(self.service, self.source, [self.symbol], ["1h"], self.began_ms, self.world.own.now_ms() // HOUR * HOUR + HOUR)

    def now(self) -> OwnClock:
        return OwnClock(self.world.clock, HOUR)


class Relaxed(WatchedDatabase):
    """Commits may be lost with the power."""

    @contextmanager
    def write(self, durable: bool = True) -> Iterator[Connection]:
        with super().write(durable=False) as connection:
            yield connection


class Hasty(Process):
    """Does not wait for the disk."""

    database = Relaxed


class AnyName(OkxAccount):
    """Makes up a name for each attempt."""

    names = count()

    def send(self, request: OrderRequest, expires_ms: int) -> str:
        return super().send(replace(request, client_id=derived_id(next(self.names))), expires_ms)


class Renaming(Process):
    """Its orders are not known again."""

    account = AnyName


class Believer(OkxAccount):
    """Takes an error of the transport for a refusal."""

    def send(self, request: OrderRequest, expires_ms: int) -> str:
        try:
            return super().send(request, expires_ms)
        except OutcomeUnknown as error:
            raise OrderRejected(str(error)) from error


class Believing(Process):
    """Trusts exceptions."""

    account = Believer


class Summing(OkxAccount):
    """Knows fills by their order."""

    def fills(self, symbol: str, since_ms: int) -> Sequence[ExchangeFill]:
        return [replace(fill, bill_id=fill.order_id) for fill in super().fills(symbol, since_ms)]


class ByOrder(Process):
    """Books one fill of an order."""

    account = Summing


class Blind(OkxAccount):
    """Reads an answer without rows as the truth."""

    def positions(self) -> Sequence[ExchangePosition]:
        return []


class TakenForFlat(Process):
    """Thinks that nothing is held."""

    account = Blind


class Patient(OkxAccount):
    """Its orders are good for ever."""

    def send(self, request: OrderRequest, expires_ms: int) -> str:
        return super().send(request, 0)


class Endless(Process):
    """An order may arrive at any time."""

    account = Patient


class Bare(OkxAccount):
    """Orders carry no protection."""

    def send(self, request: OrderRequest, expires_ms: int) -> str:
        return super().send(replace(request, stop=None, take=None, protection_id=""), expires_ms)


class Careless(Guard):
    """Takes everything for protected."""

    def keep(self, symbol: str, position: Position, ended: Collection[str] = ()) -> str:
        return ""


class Unprotected(Process):
    """Holds without a stop."""

    account = Bare

    def desk(self, lease: Lease) -> LiveDesk:
        made = super().desk(lease)
        made.executor.guard = Careless(made.executor.tracker)
        return made


class Afterwards(LiveLedger):
    """Commits that an order was sent once the exchange has told of it."""

    unsaid: tuple[Order, int, int] | None = None

    def sending(self, order: Order, ts: int, expires_ms: int) -> str:
        self.unsaid = (order, ts, expires_ms)
        return ""

    def at_the_exchange(self, order_id: str, exchange_order_id: str) -> None:
        if self.unsaid:
            super().sending(*self.unsaid)
            self.unsaid = None
        super().at_the_exchange(order_id, exchange_order_id)


class Hurried(Process):
    """Sends before it commits."""

    def desk(self, lease: Lease) -> LiveDesk:
        made = super().desk(lease)
        executor, old = made.executor, made.ledger
        careless = Afterwards(self.service, old.trader, old.timeframe, old.exchange, lease)
        executor.ledger = executor.tracker.ledger = executor.reconciler.ledger = careless
        return replace(made, ledger=careless)


class Interrupted(OkxAccount):
    """Something happens once it has asked whether its first order is there."""

    meanwhile: Callable[[], None] | None = None

    def order(self, symbol: str, client_id: str) -> ExchangeOrder | None:
        found = super().order(symbol, client_id)
        happens, self.meanwhile = self.meanwhile, None
        if happens:
            happens()
        return found


class Second(Process):
    """Runs elsewhere on this machine."""

    def lease(self, name: str) -> Lease:
        return Lease(self.service, name, LEASE_S, pid=os.getppid())


class Joined(Process):
    """A second one looks at the account between its question and its order."""

    account = Interrupted
    second: type[Process] = Second

    def __init__(self, world: World) -> None:
        super().__init__(world)
        assert isinstance(self.venue, Interrupted)
        self.venue.meanwhile = self.other_looks

    def other_looks(self) -> None:
        """The second one's turn."""
        with closing(self.second(self.world)) as other, suppress(LeaseLost):
            other.look()


class Overtaken(Joined):
    """The second one takes the lease: the first one has slept for too long."""

    second = Process


class NoLease(Lease):
    """Anybody has it."""

    def acquire(self) -> int:
        return 0

    def check(self, connection: Connection) -> None:
        pass

    def release(self) -> None:
        pass


class Unheld(Process):
    """Acts without a lease."""

    def lease(self, name: str) -> Lease:
        return NoLease(self.service, name, LEASE_S)


class Unleased(Unheld, Joined):
    """Neither of two has a lease."""

    second = Unheld


MUTANTS = [
    (Unclosed, PLAIN, "I8: the bar at"),
    (Hasty, PLAIN, "FULL: the ledger is written with synchronous=1"),
    (Renaming, PLAIN, r"I[12]: "),
    (Believing, LOST, r"I[23]: "),
    (ByOrder, PARTS, r"I[23]: "),
    (TakenForFlat, PLAIN, r"I(2|3|5|11): "),
    (Endless, PLAIN, "I6: .* without an expiry"),
    (Unprotected, PLAIN, "I5: "),
    (Hurried, LATE, "I1: .* is 2 times at the exchange"),
    (Unleased, TAKEN, "I1: .* is 2 times at the exchange"),
]


@pytest.mark.parametrize(("maker", "told"), [(Joined, 0), (Overtaken, 1)])
def test_two_processes_with_a_lease_are_as_one(maker: type[Process], told: int) -> None:
    """C1: between the first one's question and its order the second one finds the account held, or takes it."""
    with lived(maker, TAKEN) as world:
        check(world.finished())
        assert sum("has passed to another process" in failed for failed in world.failed) == told


@pytest.mark.parametrize(("maker", "scenario", "law"), MUTANTS, ids=[one[0].__name__ for one in MUTANTS])
def test_what_is_done_wrong_is_caught(maker: type[Process], scenario: Scenario, law: str) -> None:
    """The eight of the fault table's page; besides, A5, A11: orders without expiry, positions without protection."""
    with lived(maker, scenario) as world, pytest.raises(AssertionError, match=law):
        check(world.finished())
