"""What the processes do that these tests start, stop and kill. It is imported in them."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from sqlalchemy import event

from alpha_arena.commands.interrupts import heard
from alpha_arena.core.costs import Costs
from alpha_arena.core.errors import AlphaArenaError
from alpha_arena.core.types import Candles, Instrument
from alpha_arena.data.service import DataService
from alpha_arena.exchange.embedded.books import Books
from alpha_arena.exchange.embedded.clock import SimClock
from alpha_arena.exchange.embedded.contracts import Profile
from alpha_arena.exchange.embedded.exchange import EmbeddedExchange
from alpha_arena.exchange.embedded.feed import Feed, Replay
from alpha_arena.exchange.embedded.limits import Limits
from alpha_arena.exchange.embedded.server import serve
from alpha_arena.exchange.okx_account import OkxAccount
from alpha_arena.exchange.told_clock import ToldClock
from alpha_arena.settings import Settings
from alpha_arena.wiring.live import live_cycle, opened
from alpha_arena.wiring.trading import trade_one

BTC, SWAP = "BTC/USDT:USDT", "BTC-USDT-SWAP"
HOUR = 3_600_000
COSTS = Costs(0.0005, 0.0002, 0.0001, 0.0005, 10, 10, 0.01, 0.004, 24)
RULES = Instrument(BTC, 0.0001, 0.1, 0.01, 100, "2026-01-01")
WRITTEN = re.compile(r"\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM) (\w+)", re.IGNORECASE)
SEED = 7


class Telling(io.StringIO):
    """A stdout that goes to whoever started the process."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__()
        self.pipe = pipe

    def write(self, text: str) -> int:
        self.pipe.send(text)
        return len(text)


@dataclass
class Death:
    """The n-th time (from 1) that a step is reached, the process kills itself."""

    step: str
    nth: int = 1


@dataclass
class Steps:
    """Which steps were reached, and at which the process ends."""

    death: Death | None = None
    reached: list[str] = field(default_factory=list)
    act: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGKILL)

    def __call__(self, step: str) -> None:
        self.reached.append(step)
        if self.death and step == self.death.step and self.reached.count(step) == self.death.nth:
            self.act()


class DyingBooks(Books):
    """Books of an exchange that may die while it writes them."""

    def __init__(self, path: Path, steps: Steps) -> None:
        super().__init__(path)
        self.steps = steps
        self.connection.set_trace_callback(self.heard)

    def heard(self, statement: str) -> None:
        """A statement that is about to be carried out."""
        if statement == "COMMIT":
            self.steps("in transaction")

    def save(self, exchange: EmbeddedExchange) -> None:
        """As it is, with a step before and after."""
        touched = bool(exchange.cashier.touched)
        if touched:
            self.steps("before transaction")
        super().save(exchange)
        if touched:
            self.steps("after transaction")


def serve_exchange(pipe: Connection, candles: Candles, how: dict[str, Any]) -> None:
    """Serve an embedded exchange; the first thing that the pipe says is its line.

    Args:
        how: start_ms, ledger, accounts; mode of the clock ("real"), latency_ms (0), death (None), limited (False: these processes start
            faster than any schedule would).
    """
    sys.stdout = Telling(pipe)
    clock = SimClock(how.get("mode", "real"), how["start_ms"])
    steps = Steps()
    books = DyingBooks(how["ledger"], steps)
    profile = Profile("market", COSTS, latency_ms=how.get("latency_ms", 0))
    feed = Feed(Replay({BTC: candles}, {}, {}), {SWAP: BTC}, HOUR)
    exchange = EmbeddedExchange(feed, clock, [RULES], profile, SEED, books)
    clock.set(now_ms=exchange.played_ms)
    for name in how["accounts"]:
        exchange.add_client(name, Decimal(10_000))
    exchange.save()
    steps.reached.clear()
    steps.death = how.get("death")
    serve(exchange, limits=Limits(on=how.get("limited", False)))


class Watched(HTTPAdapter):
    """Tells before and after each request."""

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self.steps = steps

    def send(self, request: requests.PreparedRequest, *rest: Any, **more: Any) -> requests.Response:
        name = f"{request.method} {urlsplit(request.url or '').path.removeprefix('/api/v5/')}"
        self.steps(f"before {name}")
        response = super().send(request, *rest, **more)
        self.steps(f"after {name}")
        return response


def watch_database(service: DataService, steps: Steps) -> None:
    """Tell before and after each commit, with the tables that were written in it."""
    written: list[str] = []
    engine = service.database.engine

    @event.listens_for(engine, "before_cursor_execute")
    def execute(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        found = WRITTEN.match(statement)
        if found and found[1] not in written:
            written.append(found[1])

    @event.listens_for(engine, "commit")
    def commit(connection: Any) -> None:
        if written:
            steps(f"before commit of {'+'.join(written)}")

    @event.listens_for(engine, "checkin")
    def checkin(*_: Any) -> None:
        if written:
            name = f"after commit of {'+'.join(written)}"
            written.clear()
            steps(name)


def account(settings: Settings, clock: Any, steps: Steps) -> OkxAccount:
    """The trader's account over real HTTP, watched."""
    venue = opened(settings, clock)
    assert isinstance(venue, OkxAccount)
    venue.client.session.mount("http://", Watched(steps))
    return venue


def clock_of(settings: Settings) -> ToldClock:
    """As the command line has it."""
    from alpha_arena.wiring.venue import host_of

    return ToldClock(host_of(settings))


def cycle(pipe: Connection, settings: Settings, death: Death | None = None) -> None:
    """One live cycle as `alpha-arena trade` does it; says ("done", wall seconds, steps, decided) or ("failed", reason)."""
    steps, began = Steps(death), time.monotonic()
    service = DataService(settings.database_url)
    watch_database(service, steps)
    try:
        with heard():
            done = live_cycle(settings, clock_of(settings), service, lambda own, clock: account(own, clock, steps))
    except AlphaArenaError as error:
        pipe.send(("failed", f"{type(error).__name__}: {error}", steps.reached))
        return
    finally:
        service.close()
    pipe.send(("done", time.monotonic() - began, steps.reached, done is not None))


@dataclass(frozen=True)
class Slow:
    """A decider with a step once it has decided."""

    own: Any
    steps: Steps
    name: str = "script"

    @property
    def leverage(self) -> float:
        """As its own."""
        return float(self.own.leverage)

    def decide(self, view: Any) -> Any:
        """As its own."""
        made = self.own.decide(view)
        self.steps("decided")
        return made


def contend(pipe: Connection) -> None:
    """Cycles on command, each as the scheduler's process has it: gets (settings, step), None for no step; stops itself at the step.

    Says ("stopping",) before it does, and then ("ended", how many decisions it made, steps).
    """

    def stop() -> None:
        pipe.send(("stopping",))
        os.kill(os.getpid(), signal.SIGSTOP)

    for settings, step in iter(pipe.recv, None):
        steps = Steps(Death(step) if step else None, act=stop)
        service = DataService(settings.database_url)
        watch_database(service, steps)
        try:
            made = trade_one(replace(settings, decider=Slow(settings.decider, steps)), clock_of(settings), service)
            pipe.send(("ended", len(made), steps.reached))
        except AlphaArenaError as error:
            pipe.send(("failed", f"{type(error).__name__}: {error}", steps.reached))
        finally:
            service.close()


def held_cycle(pipe: Connection, settings: Settings, step: str) -> None:
    """As `cycle`; at a step it says ("waiting",) and goes on once it has heard anything."""

    def wait() -> None:
        pipe.send(("waiting",))
        pipe.recv()

    steps = Steps(Death(step), act=wait)
    service = DataService(settings.database_url)
    watch_database(service, steps)
    slow = replace(settings, decider=Slow(settings.decider, steps))
    live_cycle(slow, clock_of(settings), service, lambda own, clock: account(own, clock, steps))
    service.close()
    pipe.send(("done", steps.reached))


def command(pipe: Connection, *arguments: str) -> None:
    """A command of the command line; ends with its exit code."""
    from alpha_arena.cli import main

    sys.stdout = sys.stderr = Telling(pipe)
    sys.exit(main(arguments))


def abroad(pipe: Connection, zone: str, settings: Settings, death: Death | None = None) -> None:
    """A cycle where it is another time of day."""
    os.environ["TZ"] = zone
    time.tzset()
    cycle(pipe, settings, death)
