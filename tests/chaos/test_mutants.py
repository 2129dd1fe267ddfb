"""Each way of doing it wrong, switched on in the real process, is caught by the checker: what it passes is worth something."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from chaos_scenario import Scenario, scenarios
from chaos_world import HOUR, OwnClock, Process, WatchedDatabase, World
from checker import check
from sqlalchemy import Connection

from alpha_arena.core.ids import derived_id
from alpha_arena.core.types import Position
from alpha_arena.core.venue import ExchangeFill, ExchangePosition, OrderRejected, OrderRequest, OutcomeUnknown
from alpha_arena.data.lease import Lease
from alpha_arena.exchange.okx import OkxSource
from alpha_arena.exchange.okx_account import OkxAccount
from alpha_arena.execution.protection import Guard
from alpha_arena.ingest import ingest
from alpha_arena.wiring.live import LiveDesk

PLAIN, LOST, PARTS = (scenarios()[name] for name in ("a1_killed_anywhere", "a3_accepted_and_no_answer", "a8_filled_in_parts"))


@contextmanager
def lived(maker: type[Process], scenario: Scenario) -> Iterator[World]:
    """A life of processes of a kind."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(scenario, 1, Path(folder), maker=maker)
        try:
            yield world.live()
        finally:
            world.close()


@pytest.mark.parametrize("scenario", [PLAIN, LOST, PARTS], ids=["plain", "lost", "parts"])
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


MUTANTS = [
    (Unclosed, PLAIN, "I8: the bar at"),
    (Hasty, PLAIN, "FULL: the ledger is written with synchronous=1"),
    (Renaming, PLAIN, r"I[12]: "),
    (Believing, LOST, r"I[23]: "),
    (ByOrder, PARTS, r"I[23]: "),
    (TakenForFlat, PLAIN, r"I(2|3|5|11): "),
    (Endless, PLAIN, "I6: .* without an expiry"),
    (Unprotected, PLAIN, "I5: "),
]


@pytest.mark.parametrize(("maker", "scenario", "law"), MUTANTS, ids=[one[0].__name__ for one in MUTANTS])
def test_what_is_done_wrong_is_caught(maker: type[Process], scenario: Scenario, law: str) -> None:
    """B1, C5, A2, A3, A5, A8, A11: unclosed bars, synchronous=NORMAL, random names, trust in exceptions, fills by order, [] for flat."""
    with lived(maker, scenario) as world, pytest.raises(AssertionError, match=law):
        check(world.finished())
