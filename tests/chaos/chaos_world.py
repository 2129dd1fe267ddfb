"""A scenario while it is lived: exchange, wire, database file and processes that come, die and come again."""

from __future__ import annotations

import io
import logging
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import requests
from chaos_scenario import Event, MarketChange, Scenario
from checker import Finished, Sent, unprotected
from pydantic import TypeAdapter
from sqlalchemy import Connection

from alpha_arena.core.errors import AlphaArenaError, AlreadyDecided, DataError, SourceError, StoreError
from alpha_arena.core.market import View
from alpha_arena.core.types import Candles, Funding, Target
from alpha_arena.data import queries
from alpha_arena.data.controls import Controls
from alpha_arena.data.database import Database
from alpha_arena.data.lease import Lease
from alpha_arena.data.live_ledger import LiveLedger
from alpha_arena.data.service import DataService
from alpha_arena.engine import step
from alpha_arena.exchange.accounts import Keys
from alpha_arena.exchange.calls import Waiting
from alpha_arena.exchange.embedded.adapter import LoopbackAdapter
from alpha_arena.exchange.embedded.clock import SimClock
from alpha_arena.exchange.embedded.contracts import Profile
from alpha_arena.exchange.embedded.control import PREFIX, AccountCommand, Control, FaultCommand, LagCommand, StateCommand
from alpha_arena.exchange.embedded.exchange import EmbeddedExchange
from alpha_arena.exchange.embedded.faults import Faults, Rule
from alpha_arena.exchange.embedded.feed import Feed, Replay
from alpha_arena.exchange.embedded.limits import Limits
from alpha_arena.exchange.embedded.ports import Ticket
from alpha_arena.exchange.embedded.wire import Request, Wire
from alpha_arena.exchange.okx import OkxSource
from alpha_arena.exchange.okx_account import OkxAccount
from alpha_arena.execution.live import LiveExecutor
from alpha_arena.ingest import ingest
from alpha_arena.settings import Settings, load
from alpha_arena.wiring.desk import LEASE_S
from alpha_arena.wiring.live import LiveDesk, live_desk

BTC, SWAP, TRADER, URL = "BTC/USDT:USDT", "BTC-USDT-SWAP", "t", "http://127.0.0.1:1"
QUARTER, HOUR = 900_000, 3_600_000
START = 1_704_067_200_000
PAST = 48
FIRST = START + PAST * HOUR
CASH = Decimal(10_000)
KEYS = ("demo-canary-key-5f1c", "canary-secret-9b27", "canary-phrase-44d0")
ORDER = "POST trade/order"
TRIES = 4
CALM_LOOKS = 6
AGAIN_MS = 3_000
RETRY_MS = 60_000
COMMANDS: Mapping[str, type] = {"fault": FaultCommand, "lag": LagCommand, "state": StateCommand, "account": AccountCommand}
Failure = Literal["die", "fail", "die anywhere", "fail anywhere"]


class CrashPoint(BaseException):
    """The process dies here."""


@dataclass
class OwnClock:
    """The process's clock; skew_ms: by which it is ahead of the exchange's."""

    told: SimClock
    skew_ms: int = 0

    def now_ms(self) -> int:
        """Now, ms since the epoch, UTC."""
        return self.told.now_ms() + self.skew_ms


@dataclass(frozen=True)
class Script:
    """Targets by the open of a bar; none elsewhere keeps the exposure."""

    wanted: Mapping[int, Target]
    leverage: float = 3.0
    name: str = "script"

    def decide(self, view: View) -> dict[str, Target]:
        """What the script says at this close."""
        kept = Target(view.exposure(BTC))
        return {symbol: self.wanted.get(view.ts - HOUR, kept) for symbol in view.t}


@cache
def settings_of(overrides: tuple[str, ...]) -> Settings:
    """As a command line gives them."""
    how = ["exchange=embedded", "executor=okx", "decision=single", "strategy=grid_trading", f"trader.id={TRADER}"]
    return load("trade", [*how, "database.url=sqlite:////nowhere/arena.db", *overrides])


@cache
def template(price: float) -> bytes:
    """A database file with two calm days at a price."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "live.db"
        with closing(DataService(f"sqlite:///{path}")) as service:
            service.upgrade()
            service.write_candles("embedded", BTC, "1h", hours_of(quarters((price, price), 0))[: PAST - 1])
        return path.read_bytes()


def quarters(closes: Sequence[float], seed: int) -> Candles:
    """Two calm days at the first price, whatever the seed, then lines from close to close; prices are off by up to a ten-thousandth."""
    hours = np.concatenate([np.full(PAST + 1, closes[0]), closes[1:], np.full(4, closes[-1])])
    count = 4 * (len(hours) - 1)
    close = np.interp(np.arange(1, count + 1), 4 * np.arange(len(hours)), hours)
    past = 4 * PAST
    off = np.concatenate(
        [np.random.default_rng(0).uniform(-1e-4, 1e-4, past), np.random.default_rng(seed).uniform(-1e-4, 1e-4, count - past)]
    )
    close = np.round(close * (1 + off), 1)
    opened = np.concatenate([close[:1], close[:-1]])
    ts = START + QUARTER * np.arange(count, dtype=np.int64)
    return Candles(ts, opened, np.maximum(opened, close), np.minimum(opened, close), close, np.full(count, 1000.0))


def hours_of(bars: Candles) -> Candles:
    """Four quarters each."""
    n = len(bars) // 4
    parts = {name: getattr(bars, name)[: 4 * n].reshape(n, 4) for name in ("open", "high", "low", "close", "volume")}
    columns = (parts["open"][:, 0], parts["high"].max(1), parts["low"].min(1), parts["close"][:, -1], parts["volume"].sum(1))
    return Candles(bars.ts[: 4 * n : 4], *columns)


class WatchedDatabase(Database):
    """Tells before and after each transaction that writes; a death before its commit is one before it began."""

    step: Callable[[str], None] = staticmethod(lambda name: None)

    @contextmanager
    def _connected(self, **options: Any) -> Iterator[Connection]:
        if options.get("writes"):
            self.step("before commit")
        with super()._connected(**options) as connection:
            yield connection
        if options.get("writes"):
            self.step("after commit")


class Watched(LoopbackAdapter):
    """Tells before and after each request."""

    def __init__(self, world: World) -> None:
        super().__init__(world.wire)
        self.world = world

    def send(self, request: requests.PreparedRequest, *rest: Any, **more: Any) -> requests.Response:
        name = f"{request.method} {(request.url or '').partition('/api/v5/')[2].partition('?')[0]}"
        self.world.step(f"before {name}")
        if name == ORDER:
            self.world.sent.append(noted(self.world, request))
        response = super().send(request, *rest, **more)
        self.world.step(f"after {name}")
        return response


def noted(world: World, request: requests.PreparedRequest) -> Sent:
    """How things stand as an order goes by, as any other process sees them."""
    assert isinstance(request.body, (str, bytes))
    order, told = orjson.loads(request.body), Controls(world.people).state(TRADER)
    with closing(sqlite3.connect(world.path)) as connection:
        row = connection.execute("SELECT state, created_ts FROM orders WHERE client_order_id = ?", (order["clOrdId"],)).fetchone()
        halted = connection.execute("SELECT reason FROM halts WHERE trader = ? AND acknowledged_ms IS NULL", (TRADER,)).fetchone()
        account = connection.execute("SELECT state FROM account_states WHERE trader = ?", (TRADER,)).fetchone()
        leases = connection.execute("SELECT COUNT(*) FROM leases WHERE name LIKE 'account:%' AND expires_s > 0").fetchone()
    return Sent(
        name=order["clOrdId"],
        ts=world.clock.now_ms(),
        reduce_only=order.get("reduceOnly") in (True, "true"),
        state=row[0] if row else "",
        created_ts=row[1] if row else 0,
        killed=told.killed,
        killed_ms=told.killed_ms,
        paused_ms=told.paused_ms,
        halted=halted[0] if halted else "",
        account=account[0] if account else "",
        leases=leases[0],
        expires_ms=int(request.headers.get("expTime") or 0),
    )


class Process:
    """What a scheduler runs: candles come in, the account is looked at, and the newest close is decided once."""

    database: type[WatchedDatabase] = WatchedDatabase
    account: type[OkxAccount] = OkxAccount
    source_kind: type[OkxSource] = OkxSource
    symbol, began_ms = BTC, START

    def __init__(self, world: World) -> None:
        self.world = world
        self.service = DataService(f"sqlite:///{world.path}")
        self.service.database = self.database(f"sqlite:///{world.path}")
        self.service.database.step = world.step
        waiting = Waiting(world.wire.pass_time, lambda: world.clock.now_ms() / 1000)
        self.venue = self.account(URL, Keys(*KEYS), True, world.settings.symbols, world.own, waiting=waiting)
        self.venue.client.session.mount("http://", Watched(world))
        self.source = self.market_source(waiting)

    def market_source(self, waiting: Waiting) -> OkxSource:
        """Candles and funding over the same wire."""
        paces = {"candles_2s": 1000, "history_2s": 1000, "funding_2s": 1000}
        tries: dict[str, Any] = {"timeout_s": 10.0, "attempts": 3, "backoff_s": 0.1, "backoff_max_s": 1.0}
        pages = {"page_bars": 300, "page_funding": 400, "batch_bars": 3000}
        source = self.source_kind(
            "embedded", "embedded", {"embedded": URL}, **tries, **pages, **paces, clock=self.world.own, waiting=waiting
        )
        source._client.session.mount("http://", Watched(self.world))
        return source

    def look(self) -> None:
        """As the flows do it: candles, then the account.

        Raises:
            AlphaArenaError: the account could not be looked at, or not be traded.
        """
        blind = self.blind()
        lease = self.lease(f"account:{self.venue.name}:{self.venue.config().uid}")
        lease.acquire()
        try:
            self.trade(self.desk(lease))
        except AlreadyDecided:
            pass
        except CrashPoint:
            raise  # the dead give nothing back
        except BaseException:
            lease.release()
            raise
        lease.release()
        if blind:
            raise blind

    def lease(self, name: str) -> Lease:
        """Under which it acts."""
        return Lease(self.service, name, LEASE_S)

    def blind(self) -> AlphaArenaError | None:
        """Why there are no new candles, where there are none: the account is looked at all the same."""
        try:
            self.ingest()
        except (SourceError, DataError, StoreError) as error:
            return error
        return None

    def ingest(self) -> None:
        """What is new of candles and funding."""
        ingest(self.service, self.source, [self.symbol], ["1h"], self.began_ms, self.now().now_ms())

    def now(self) -> OwnClock:
        """Which bars have closed goes by it."""
        return self.world.own

    def desk(self, lease: Lease) -> LiveDesk:
        """As `trade` sets it up, but that waiting moves the stepped clock."""
        world = self.world
        made = live_desk(world.settings, self.service, self.now(), self.venue, lease)
        old = made.executor
        executor = LiveExecutor(self.venue, made.ledger, old.markets, world.own, old.controls, old.pace, world.wire.pass_time)
        return replace(made, executor=executor)

    def trade(self, desk: LiveDesk) -> None:
        """As `live_cycle`."""
        desk.executor.recover()
        if desk.newest is not None:
            step(desk.newest, desk.study, desk.trader, desk.executor, desk.ledger)
            desk.executor.recover()

    def close(self) -> None:
        """It is no more."""
        self.venue.close()
        self.source.close()
        self.service.close()


@dataclass
class World:
    """One life of a scenario.

    Attributes:
        dies_at: number of the step, from 0, at which the process dies, or with `how` fail the request or transaction fails.
        steps: taken by processes so far. failed: what looks failed of. restarts: of processes.
        maker: of processes.
    """

    scenario: Scenario
    seed: int
    folder: Path
    dies_at: int | None = None
    how: Failure = "die"
    maker: type[Process] = Process
    steps: int = 0
    failed: list[str] = field(default_factory=list)
    restarts: int = 0
    sent: list[Sent] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)
    calm_looks: int = 0

    def __post_init__(self) -> None:
        assert self.scenario.market is not None
        prices = self.scenario.market
        opens = {FIRST + (number - 1) * HOUR: wanted.target() for number, wanted in enumerate(self.scenario.wants) if wanted}
        self.settings = replace(settings_of(tuple(self.scenario.overrides)), decider=Script(opens))
        self.bars = quarters(prices.closes, self.seed)
        self.bars = replace(self.bars, volume=np.full(len(self.bars), prices.volume))
        self.clock, self.faults = SimClock.stepped(FIRST - HOUR // 2), Faults(self.seed)
        self.own = OwnClock(self.clock)
        names = ("latency_ms", "fills_lag_ms", "participation", "half_spread")
        profile = Profile("market", self.settings.costs, **{name: getattr(prices, name) for name in names})
        feed = Feed(Replay({BTC: self.bars}, {BTC: self._funding(prices.funding)}, {}), {SWAP: BTC}, QUARTER)
        self.exchange = EmbeddedExchange(feed, self.clock, self.settings.symbols, profile, self.seed)
        self.client = self.exchange.add_client(TRADER, CASH, KEYS)
        self.wire = Wire(self.exchange, self.faults, Limits())
        self.control = Control(self.wire, "token")
        self.path = self.folder / "live.db"
        self.path.write_bytes(template(prices.closes[0]))
        self.people = DataService(f"sqlite:///{self.path}")
        self.rules: list[Rule] = []
        self.pending: list[Event] = []
        self.watching = self.down = False
        self.said = io.StringIO()
        self.process = self.maker(self)

    @staticmethod
    def _funding(rates: Mapping[int, float]) -> Funding:
        numbers = sorted(rates)
        return Funding(
            np.array([FIRST + n * HOUR for n in numbers], dtype=np.int64), np.array([rates[n] for n in numbers], dtype=np.float64)
        )

    def step(self, name: str) -> None:
        """A process has come to a step.

        Raises:
            CrashPoint: it dies here. requests.ConnectionError, StoreError: what it is about to do fails.
        """
        if not self.watching:
            return
        for event in [one for one in self.pending if one.step == name]:
            self.pending.remove(event)
            self.watching = False
            self.happen(event)
            self.watching = True
        self.steps += matters(name, self.how)
        if self.steps - 1 == self.dies_at and matters(name, self.how):
            self._end_here(name)

    def _end_here(self, name: str) -> None:
        if self.how.startswith("die"):
            raise CrashPoint(name)
        if name == "before commit":
            raise StoreError("the disk is full")
        raise requests.ConnectionError(name)

    def live(self) -> World:
        """From the first close to the end, and until all is calm."""
        with self.listening():
            for number in range(self._hours()):
                self.hour(number)
            self.calm()
        return self

    def _hours(self) -> int:
        assert self.scenario.market is not None
        return len(self.scenario.market.closes) - 1

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Everything that is logged is kept."""
        root, handler = logging.getLogger(), logging.StreamHandler(self.said)
        level = root.level
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
            self.process.close()

    def hour(self, number: int) -> None:
        """What happens and when it is looked, between two closes."""
        events = [event for event in self.scenario.faults if event.bar == number]
        due: list[tuple[float, int, Event | None]] = [(event.after_s, n, event) for n, event in enumerate(events)]
        due += [(after_s, len(events), None) for after_s in self.scenario.looks]
        for after_s, _, event in sorted(due, key=lambda one: one[:2]):
            self.clock.step_to(max(self.clock.now_ms(), FIRST + number * HOUR + round(after_s * 1000)))
            self.wire.tick()
            if event is None:
                self.insist()
            elif event.step:
                self.pending.append(event)
            else:
                self.happen(event)

    def insist(self) -> None:
        """Look, and where that fails once or twice again, as a scheduler does."""
        for _ in range(TRIES if not self.down else 0):
            if self.look():
                return
            self.clock.step_to(self.clock.now_ms() + RETRY_MS)

    def look(self) -> bool:
        """One, with a new process for each that dies; whether it succeeded."""
        for _ in range(TRIES if not self.down else 0):
            self.watching = True
            try:
                self.process.look()
            except CrashPoint:
                self.restart()
                continue
            except AlphaArenaError as error:
                self.failed.append(f"{type(error).__name__}: {error}")
                return False
            finally:
                self.watching = False
            self.looked()
            return True
        return False

    def looked(self) -> None:
        """After each look that succeeded what is held is protected."""
        ledger = LiveLedger(self.people, TRADER, "1h", "okx")
        said = unprotected(self.client, self.exchange.contracts, ledger.account().position(BTC), once=False)
        self.bare += [f"at {self.clock.now_ms()} {said}"] if said else []

    def restart(self) -> None:
        """A new process, shortly after."""
        self.restarts += 1
        self.process.close()
        self.clock.step_to(self.clock.now_ms() + AGAIN_MS)
        self.process = self.maker(self)

    def calm(self) -> None:
        """No fault any more: looks until the account stands as it will."""
        self.pending.clear()
        self.down = False
        self.happen(Event(0, calm=True))
        for _ in range(CALM_LOOKS):
            self.clock.step_to(self.clock.now_ms() + 90_000)
            if self.look():
                return
            self.calm_looks += 1

    def happen(self, event: Event) -> None:
        """What an event says."""
        thing = getattr(event, event.what)
        if event.what in COMMANDS:
            self.command(event.what, TypeAdapter(COMMANDS[event.what]).dump_json(thing, exclude_none=True))
            self.rules += self.faults.rules[-1:] if event.fault else []
        else:
            getattr(self, f"on_{event.what}")(thing)

    def command(self, name: str, body: bytes) -> None:
        """Tell the exchange's control plane."""
        reply = self.control.handle(Request("POST", f"{PREFIX}{name}", headers={"authorization": "Bearer token"}, body=body))
        assert reply.status == 200, reply.body

    def on_market(self, change: MarketChange) -> None:
        """The market is not as it should be."""
        now = self.clock.now_ms()
        flags = {name: getattr(change, name) for name in ("reversed_rows", "no_funding") if getattr(change, name) is not None}
        times = {f"{name}_ms": now if getattr(change, name) else 0 for name in ("stale", "frozen") if getattr(change, name) is not None}
        edits = [{"inst_id": SWAP, "ts": FIRST + (one.bar - 1) * HOUR} | edit_of(one) for one in change.edits]
        states = {SWAP: change.state} if change.state else {}
        rows = {} if change.maintenance is None else {"maintenance": [{"state": "ongoing"}] if change.maintenance else []}
        self.command("market", orjson.dumps({"states": states, "edits": edits, **flags, **times, **rows}))

    def on_skew_ms(self, skew_ms: int) -> None:
        """The clock of the process is off."""
        self.own.skew_ms = skew_ms

    def on_people(self, word: str) -> None:
        """Somebody tells the trader something."""
        controls, now = Controls(self.people), self.clock.now_ms()
        if word == "kill file":
            (self.folder / "KILL").write_text("hold", encoding="utf-8")
        elif word.startswith("kill"):
            controls.kill(TRADER, now, "somebody", word.removeprefix("kill "))  # type: ignore[arg-type]
        elif word == "acknowledge":
            LiveLedger(self.people, TRADER, "1h", "okx").acknowledge(now, "somebody")
        else:
            told = {"pause": controls.pause, "resume": controls.resume, "close": controls.close_now}[word]
            told(TRADER, now, "somebody")

    def on_stranger(self, what: str) -> None:
        """Somebody at the exchange, without a name that is ours."""
        if what == "limit order":
            self.exchange.place(self.client, Ticket(SWAP, "isolated", "buy", "limit", Decimal(1), Decimal(20_000)))
            return
        for order in [order for order in self.client.orders.values() if order.open]:
            self.exchange.cancel(self.client, SWAP, order.ord_id)

    def on_process(self, what: str) -> None:
        """The process stops, or another one comes."""
        self.down = what == "stop"
        if what == "restart":
            self.restart()

    def on_calm(self, _: bool) -> None:
        """Faults end; what somebody has said stays."""
        self.command("reset", b"")
        self.own.skew_ms = 0
        self.exchange.attach_fails = False
        self.exchange.dup_policy = "forever"

    def finished(self) -> Finished:
        """For the checker."""
        changed = [event.market for event in self.scenario.faults if event.market]
        spoiled = any(change.edits or change.frozen for change in changed)
        return Finished(
            service=self.process_service(),
            trader=TRADER,
            client=self.client,
            contracts=self.exchange.contracts,
            start=CASH,
            bar_ms=HOUR,
            market=None if spoiled else hours_of(self.bars),
            sent=self.sent,
            calm_looks=self.calm_looks,
            said=self.said.getvalue() + "\n".join(self.failed) + self.exchange.dump()[0].decode(),
            folder=self.folder,
            secrets=KEYS,
            unprotected=self.bare,
            external=self.scenario.expect.external,
        )

    def process_service(self) -> DataService:
        """The database as a process opens it."""
        service = DataService(f"sqlite:///{self.path}")
        service.database.close()
        service.database = self.maker.database(f"sqlite:///{self.path}")
        self.opened = service
        return service

    def close(self) -> None:
        """Nothing is left of it."""
        self.people.close()
        if hasattr(self, "opened"):
            self.opened.close()


def matters(name: str, how: Failure) -> bool:
    """Whether a step is one of its own.

    What is lost with a process is the same from one request or commit that changes something to the next, and a question that was not
    heard is the same to it as an answer that was not; "anywhere" counts questions too.
    """
    changes = name.partition(" ")[2].startswith(("POST", "commit"))
    if how == "die anywhere":
        return True
    if how == "die":
        return changes and name.startswith("after")
    return name != "after commit" and (changes or (how == "fail anywhere" and name.startswith("before")))


def edit_of(one: Any) -> dict[str, Any]:
    """As the control plane has it."""
    return {"kind": one.kind, "factor": one.factor, "column": one.column, "value": one.value}


def orders_of(world: World) -> list[str]:
    """Of all orders, in the order in which they came to be known, what they were and how they ended."""
    rows = queries.orders(world.people, TRADER, 1_000)
    kinds = {True: "exit", False: "entry"}
    rows = sorted(rows, key=lambda row: (known_ms(row), not row["reduce_only"], row["client_order_id"]))
    return [f"{kinds[row['reduce_only']] if row['kind'] == 'market' else row['kind']} {row['state']}" for row in rows]


def known_ms(row: Mapping[str, Any]) -> int:
    """What the exchange made is known when it is booked."""
    return int(row["created_ts"] if row["kind"] == "market" else row["updated_ts"])
