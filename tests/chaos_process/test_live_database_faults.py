"""The trading database of a live trader fails: nothing is sent that was not committed, and what was lost the exchange tells again."""

from __future__ import annotations

import resource
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import requests
from process_world import BTC, HOUR, LONG, PAST, SHORT, START, SWAP, Script, candles
from rig import COSTS, RULES, Rig, rig
from sqlalchemy import event

from alpha_arena.core.errors import AlreadyDecided, StoreError
from alpha_arena.core.market import Market, Study
from alpha_arena.core.types import Candles, Funding, Regimes, Target
from alpha_arena.data import queries
from alpha_arena.data.controls import Controls
from alpha_arena.data.live_ledger import LiveLedger
from alpha_arena.data.service import DataService
from alpha_arena.engine import Trader, step, ticks
from alpha_arena.exchange.embedded.adapter import LoopbackAdapter
from alpha_arena.exchange.embedded.contracts import Profile
from alpha_arena.exchange.embedded.feed import Feed, Replay
from alpha_arena.execution.live import LiveExecutor, Pace, open_account, prepare
from alpha_arena.execution.protection import fits
from alpha_arena.execution.reconcile import Unreconciled

FLAT = Target(0.0)
WRITES = ("INSERT", "UPDATE", "DELETE")
# of each cycle: long, to the other side, flat, long again
SCRIPT = (LONG, SHORT, FLAT, LONG)
ORDERS = (1, 3, 4, 5)


class CommittedFirst(LoopbackAdapter):
    """A wire that looks into the database as an order goes by: its intent and its sending are in it, as any other process sees them."""

    def __init__(self, world: World) -> None:
        super().__init__(world.made.wire)
        self.world = world

    def send(self, request: requests.PreparedRequest, *rest: Any, **more: Any) -> requests.Response:
        if request.method == "POST" and (request.url or "").endswith("/trade/order"):
            assert isinstance(request.body, (str, bytes))
            name = orjson.loads(request.body)["clOrdId"]
            with closing(sqlite3.connect(self.world.path)) as connection:
                query = "SELECT state, attempts FROM orders JOIN sent_orders USING (client_order_id) WHERE client_order_id = ?"
                state, attempts = connection.execute(query, (name,)).fetchone() or ("", 0)
            assert state == "SENT", f"{name} is sent as {state or 'nothing'}"
            self.world.sent += 1
            assert attempts >= 1
        return super().send(request, *rest, **more)


@dataclass
class World:
    """An exchange, and a database whose processes come and go.

    Attributes:
        path: of the database. sent: orders that have gone by. market: what every process sees.
    """

    made: Rig
    path: Path
    sent: int = 0
    market: Market = field(default_factory=lambda: Market.of(BTC, HOUR, candles(), Funding.none()))

    @contextmanager
    def process(self, busy_ms: int = 5_000) -> Iterator[DataService]:
        """The database as a process that has just started has it."""
        service = DataService(f"sqlite:///{self.path}", busy_ms=busy_ms)
        try:
            yield service
        finally:
            service.close()

    def executor(self, service: DataService) -> LiveExecutor:
        """As a process makes it."""
        ledger = LiveLedger(service, "t", "1h", "okx")
        prepare(self.made.venue, {BTC: 3.0})
        open_account(ledger, self.made.venue)
        pace = Pace(pause_s=0.1, settle_ms=10_000)
        return LiveExecutor(self.made.venue, ledger, {BTC: self.market}, self.made.clock, Controls(service), pace, self.made.sleep)

    def cycle(self, number: int, service: DataService) -> None:
        """Recover, and decide a bar if nobody has."""
        self.made.clock.step_to(START + HOUR * (PAST + number) + 2_000)
        bar_ts = START + HOUR * (PAST - 1 + number)
        nothing = np.full(len(self.market), np.nan)
        calm = Regimes(np.full(len(self.market), 2, np.int8), *([nothing] * 5))
        study = Study({BTC: self.market}, {}, {BTC: calm}, {})
        wanted = {START + HOUR * (PAST - 1 + n): target for n, target in enumerate(SCRIPT)}
        trader = Trader("t", "1h", {BTC: RULES}, Script(wanted), (), COSTS, "script")
        executor = self.executor(service)
        executor.recover()
        with suppress(AlreadyDecided):
            if (executor.ledger.decided_ts(BTC) or -1) < bar_ts:
                step(next(ticks(study, bar_ts)), study, trader, executor, executor.ledger)
        executor.recover()

    def run(self, number: int, busy_ms: int = 5_000) -> None:
        """A cycle in a process of its own."""
        with self.process(busy_ms) as service:
            self.cycle(number, service)

    def protected(self) -> bool:
        """I5 at the exchange."""
        held = any(one.pos for one in self.made.client.holdings.values())
        return held == any(algo.state == "live" for algo in self.made.client.algos.values())

    def agree(self, orders: int) -> None:
        """I1 to I5."""
        client = self.made.client
        named = [order.cl_ord_id for order in client.orders.values() if order.cl_ord_id]
        assert (len(named), len(set(named))) == (orders, orders), "I1"
        with self.process() as service:
            ledger = LiveLedger(service, "t", "1h", "okx")
            kept = {row["trade_id"] for row in queries.fills(service, "t", 1_000)}
            assert kept == {fill.bill_id for fill in client.fills}, "I2"
            states = {row["client_order_id"]: row["state"] for row in queries.orders(service, "t", 1_000)}
            assert {states.get(name) for name in named} == {"FILLED"}, "I2"
            assert (ledger.stands(), ledger.halted()) == (("READY", ""), "")
            account = ledger.account()
        held = sum((one.quantity for one in self.made.venue.positions()), Decimal(0))
        assert Decimal(repr(account.position(BTC).quantity)) == held, "I3"
        assert account.cash == pytest.approx(float(client.cash), abs=1e-8), "I4"
        live = self.made.venue.protections(BTC)
        assert [fits(one, account.position(BTC)) for one in live] == [True] * bool(held), "I5"

    def whole(self) -> bool:
        """Whether SQLite finds nothing wrong with the file."""
        with closing(sqlite3.connect(self.path)) as connection:
            return bool(connection.execute("PRAGMA integrity_check").fetchone() == ("ok",))


@contextmanager
def beginning(folder: Path) -> Iterator[World]:
    """Nothing has happened yet."""
    bars: Candles = candles()
    feed = Feed(Replay({BTC: bars}, {}, {}), {SWAP: BTC}, HOUR)
    with rig(folder, feed, Profile("market", COSTS, latency_ms=20), START + HOUR * PAST + 1_000) as made:
        made.service.close()
        found = World(made, folder / "live.db")
        made.venue.client.session.mount("http://", CommittedFirst(found))
        yield found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An exchange and an empty database."""
    with beginning(tmp_path) as found:
        yield found


def test_nothing_fails(world: World) -> None:
    for number, orders in enumerate(ORDERS):
        world.run(number)
        world.agree(orders)
    assert world.sent == ORDERS[-1]


def test_a_writer_that_holds_the_database(world: World) -> None:
    """C3, I6: the cycle is skipped before anything is sent, and done once the lock is gone."""
    world.run(0)
    with closing(sqlite3.connect(world.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process holds it"):
            world.run(1, busy_ms=50)
        assert (world.sent, world.protected()) == (1, True)
        other.execute("ROLLBACK")
    world.run(1)
    world.agree(3)


def locked_from(world: World, service: DataService, nth: int, other: sqlite3.Connection) -> None:
    """Somebody else takes the lock just before the n-th transaction that writes, counted from 0."""
    seen = [0]

    @event.listens_for(service.database.engine, "set_connection_execution_options")
    def options(connection: Any, chosen: Any) -> None:
        if chosen.get("writes"):
            seen[0] += 1
            if seen[0] - 1 == nth:
                other.execute("BEGIN IMMEDIATE")


EVERY = pytest.mark.parametrize("pace", [9, pytest.param(1, marks=pytest.mark.chaos)])


@EVERY
def test_the_lock_is_lost_before_any_transaction(pace: int, world: World) -> None:
    """C3: the intent that could not be committed is not sent (CommittedFirst); the next cycle brings all to its end."""
    world.run(0)
    failed = 0
    for nth in range(0, 200, pace):
        with closing(sqlite3.connect(world.path, isolation_level=None)) as other, world.process(busy_ms=20) as service:
            locked_from(world, service, nth, other)
            try:
                world.cycle(1, service)
            except StoreError:
                failed += 1
                continue
            break
    assert failed >= 10 // pace
    world.agree(3)


def failing_from(service: DataService, nth: int, times: int) -> list[int]:
    """Let `times` writes fail from the n-th on, counted from 0; returns the count as it goes."""
    seen = [0]

    @event.listens_for(service.database.engine, "before_cursor_execute")
    def before(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.lstrip().upper().startswith(WRITES):
            seen[0] += 1
            if nth < seen[0] <= nth + times:
                raise sqlite3.OperationalError("disk I/O error")

    return seen


@EVERY
@pytest.mark.parametrize("times", [1, pytest.param(1_000, marks=pytest.mark.chaos)])
def test_the_nth_write_fails_for_every_n(times: int, pace: int, world: World) -> None:
    """C4: once, or from there on until the process ends: protection stays where it is, and nothing is sent twice or unasked."""
    failed = 0
    for number, orders in enumerate(ORDERS[:3]):
        for nth in range(0, 1_000, pace):
            with world.process() as service:
                failing_from(service, nth, times)
                with suppress(StoreError):
                    world.cycle(number, service)
                    break
            failed += 1
            assert world.protected(), nth
        world.run(number)
        world.agree(orders)
    assert failed >= 30 // pace
    assert world.whole()


@pytest.mark.chaos
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("times", [1, 1_000])
def test_each_write_is_the_first_to_fail(times: int, number: int, tmp_path: Path) -> None:
    """C4: of an entry and of a flip, each in a world of its own, so that no write is passed over."""
    for nth in range(1_000):
        (tmp_path / str(nth)).mkdir()
        with beginning(tmp_path / str(nth)) as world:
            for earlier in range(number):
                world.run(earlier)
            with world.process() as service:
                failing_from(service, nth, times)
                with suppress(StoreError):
                    world.cycle(number, service)
                    break
            world.made.sleep(1)
            assert world.protected()
            world.run(number)
            world.agree(ORDERS[number])
    assert nth > 20


def refused(world: World, limited: Callable[[DataService, int], AbstractContextManager[None]], pace: int) -> int:
    """Cycles with more and more room each, until they fit; how many did not."""
    found = 0
    for number, orders in enumerate(ORDERS[:3]):
        for room in range(0, 500, pace):
            with suppress(StoreError), world.process() as service, limited(service, room):
                world.cycle(number, service)
                break
            found += 1
            assert world.protected()
        world.run(number)
        world.agree(orders)
    return found


@contextmanager
def pages(service: DataService, room: int) -> Iterator[None]:
    """So many pages of a database more than there are."""
    with service.database.read() as connection:
        limit = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + room
    event.listen(service.database.engine, "begin", lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count={limit}"))
    yield


@contextmanager
def bytes_of_a_file(service: DataService, room: int) -> Iterator[None]:
    """No file may become larger than so many pages of the log, as on a disk with quotas."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (32_768 + room * 4_120, before[1]))
    try:
        yield
    finally:
        service.close()
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@EVERY
def test_a_full_disk(pace: int, world: World) -> None:
    """C4: cycles are refused until they fit; nothing is sent before its intent fits, and protection stays."""
    with closing(sqlite3.connect(world.path)) as connection:
        for statement in ("PRAGMA journal_mode=DELETE", "PRAGMA page_size=512", "VACUUM", "PRAGMA journal_mode=WAL"):
            connection.execute(statement)
    assert refused(world, pages, max(1, pace // 3)) > 3
    assert world.whole()


@EVERY
def test_a_file_that_may_not_grow(pace: int, world: World) -> None:
    """C4: the operating system refuses a write in the middle of the log."""
    assert refused(world, bytes_of_a_file, pace) >= 20 / pace
    assert world.whole()


@pytest.mark.parametrize("cuts", [12, pytest.param(400, marks=pytest.mark.chaos)])
def test_power_is_cut_at_any_byte_of_the_log(cuts: int, world: World) -> None:
    """C5: of a long and a flip, the log is cut anywhere; what is lost comes back from the exchange, and no order is sent again."""
    with world.process() as service:
        world.executor(service).recover()
    with closing(sqlite3.connect(world.path)) as keeper:
        keeper.execute("PRAGMA wal_autocheckpoint=0")
        keeper.execute("SELECT count(*) FROM orders").fetchone()
        with closing(sqlite3.connect(world.path)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for number in (0, 1):
            with world.process() as service:
                event.listen(service.database.engine, "begin", lambda connection: connection.exec_driver_sql("PRAGMA wal_autocheckpoint=0"))
                world.cycle(number, service)
        world.agree(3)
        log, base = Path(f"{world.path}-wal").read_bytes(), world.path.read_bytes()
    assert len(log) > 100_000
    for size in sorted({*range(0, len(log), len(log) // cuts), len(log)}):
        world.path = world.path.with_name(f"cut{size}.db")
        world.path.write_bytes(base)
        Path(f"{world.path}-wal").write_bytes(log[:size] + bytes(37) * (size < len(log)))
        assert world.whole()
        world.run(1)
        world.agree(3)
        assert world.sent == 3
        world.path.unlink()


@pytest.mark.parametrize("age", [1, 2, 3])
def test_an_old_backup_never_trades_old_decisions_again(age: int, world: World, tmp_path: Path) -> None:
    """C6: a copy some cycles old is put back: what happened since is read from the exchange, and trading goes on with the next bar."""
    with world.process() as service:
        world.executor(service).recover()
    for number in range(3):
        if number == 3 - age:
            shutil.copy(world.path, tmp_path / "backup.db")
        world.run(number)
    for name in ("live.db-wal", "live.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "backup.db", world.path)
    world.run(2)
    world.agree(4)
    assert world.sent == 4
    world.run(3)
    world.agree(5)


def test_a_database_that_is_gone_is_not_taken_for_a_new_account(world: World) -> None:
    """C6: without its ledger the position is nobody's: it is adopted and trading halts; nothing is traded on top of it."""
    world.run(0)
    world.path = world.path.with_name("new.db")
    with world.process() as service:
        service.upgrade()
    for _ in range(3):
        with suppress(Unreconciled):
            world.run(1)
        world.made.sleep(60)
    with world.process() as service:
        ledger = LiveLedger(service, "t", "1h", "okx")
        assert "explained" in ledger.halted()
        held = sum((one.quantity for one in world.made.venue.positions()), Decimal(0))
        assert ledger.account().position(BTC).quantity == float(held)
    assert [order.reduce_only for order in world.made.client.orders.values()] in ([False], [False, True])
