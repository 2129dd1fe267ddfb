"""Speed of the embedded exchange: points it plays, requests it answers, orders it acknowledges: python benchmarks/exchange.py

Points: with a position of one account and a protection far from the market. Requests: over HTTP on loopback, the exchange a process of
its own, and in one process without a socket. Orders: from a decision that is made to an acknowledgement that is kept, trading database
and exchange's books on disk.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from alpha_arena.core.costs import Costs
from alpha_arena.core.ids import derived_id
from alpha_arena.core.market import Market
from alpha_arena.core.types import Candles, Funding, Instrument, Order
from alpha_arena.data.controls import Controls
from alpha_arena.data.lease import Lease
from alpha_arena.data.live_ledger import LiveLedger
from alpha_arena.data.service import DataService
from alpha_arena.exchange.accounts import Keys
from alpha_arena.exchange.calls import Waiting
from alpha_arena.exchange.embedded.adapter import LoopbackAdapter
from alpha_arena.exchange.embedded.clock import SimClock
from alpha_arena.exchange.embedded.contracts import Profile
from alpha_arena.exchange.embedded.exchange import EmbeddedExchange
from alpha_arena.exchange.embedded.feed import Feed, Replay
from alpha_arena.exchange.embedded.limits import Limits
from alpha_arena.exchange.embedded.wire import Wire
from alpha_arena.exchange.okx_account import OkxAccount
from alpha_arena.execution.live import LiveExecutor, open_account, prepare

BTC, SWAP = "BTC/USDT:USDT", "BTC-USDT-SWAP"
COSTS = Costs(0.0005, 0.0002, 0.0001, 0.0005, 10, 10, 0.01, 0.004, 24)
RULES = Instrument(BTC, 0.0001, 0.1, 0.01, 100, "2026-01-01")
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = 1_704_067_200_000
DAYS = 60
ROUNDS = 55
ORDERS = 200
# each may ask sixty times in two seconds at each of three endpoints
ACCOUNTS = [f"bench{n}" for n in range(10)]
POINTS_A_BAR = 4


def minutes() -> Candles:
    """A quiet walk; it never comes near the protection."""
    close = 40_000 + 50 * np.sin(np.arange(DAYS * 1440) / 97) + np.random.default_rng(1).normal(0, 5, DAYS * 1440)
    opened = np.concatenate([close[:1], close[:-1]])
    ts = START + MINUTE * np.arange(close.size, dtype=np.int64)
    return Candles(ts, opened, np.maximum(opened, close) + 2, np.minimum(opened, close) - 2, close, np.full(close.size, 50.0))


def exchange(at_ms: int) -> tuple[EmbeddedExchange, OkxAccount]:
    """In this process, with a client of its only account."""
    paid = Funding(START + 8 * HOUR * np.arange(DAYS * 3, dtype=np.int64), np.full(DAYS * 3, 0.0001))
    feed = Feed(Replay({BTC: minutes()}, {BTC: paid}, {}), {SWAP: BTC}, MINUTE)
    made = EmbeddedExchange(feed, SimClock.stepped(at_ms), [RULES], Profile("market", COSTS, half_spread=0.00005, latency_ms=20), 7)
    client = made.add_client("bench", Decimal(10_000))
    wire = Wire(made, limits=Limits(on=False))
    keys = Keys(client.api_key, client.secret, client.passphrase)
    venue = OkxAccount("http://127.0.0.1:1", keys, True, [RULES], made.clock, waiting=Waiting(lambda _: None, lambda: 0.0))
    venue.client.session.mount("http://", LoopbackAdapter(wire))
    return made, venue


class Timed(LiveLedger):
    """A ledger that remembers when an acknowledgement was kept."""

    acknowledged_s = 0.0

    def at_the_exchange(self, order_id: str, exchange_order_id: str) -> None:
        """The exchange has taken it, and that is on disk."""
        super().at_the_exchange(order_id, exchange_order_id)
        self.acknowledged_s = time.perf_counter()


@contextmanager
def trader(folder: Path, venue: OkxAccount, clock: Any, wait: Callable[[float], None]) -> Iterator[tuple[LiveExecutor, Timed]]:
    """A live executor with its ledger on disk and its lease."""
    service = DataService(f"sqlite:///{folder}/trading.db")
    service.upgrade()
    lease = Lease(service, "trader:bench", 600.0)
    lease.acquire()
    ledger = Timed(service, "bench", "1h", "okx", lease)
    prepare(venue, {BTC: 3.0})
    open_account(ledger, venue)
    bars = minutes()
    market = Market.of(BTC, MINUTE, bars, Funding.none()).at("1h")
    try:
        yield LiveExecutor(venue, ledger, {BTC: market}, clock, Controls(service), wait=wait), ledger
    finally:
        service.close()


def points_a_second(folder: Path) -> float:
    """Stepped, an hour at a time."""
    made, venue = exchange(START + HOUR)
    with trader(folder, venue, made.clock, lambda seconds: None) as (executor, ledger):
        order = Order("a1", BTC, 0.2, stop=30_000.0, take=50_000.0)
        executor.recover()
        ledger.intend_order(order, made.clock.now_ms(), "bench")
        executor.submit(order)
        made.clock.step_to(START + 2 * HOUR)
        made.run_to(made.clock.now_ms())
        began, first = time.perf_counter(), made.clock.now_ms()
        while made.clock.now_ms() < START + (DAYS - 1) * DAY:
            made.clock.step_to(made.clock.now_ms() + HOUR)
            made.run_to(made.clock.now_ms())
        played = (made.clock.now_ms() - first) / MINUTE * POINTS_A_BAR
        assert venue.positions()
        assert venue.protections(BTC)
        return played / (time.perf_counter() - began)


def requests_a_second(venues: Sequence[OkxAccount]) -> float:
    """Signed questions, one after the other, no account more often than the exchange allows."""
    began = time.perf_counter()
    for _ in range(ROUNDS):
        for venue in venues:
            venue.open_orders(BTC)
            venue.fills(BTC, venue.client.clock.now_ms())
            venue.order(BTC, "unknown")
    return 3 * ROUNDS * len(venues) / (time.perf_counter() - began)


@contextmanager
def server(folder: Path) -> Iterator[dict[str, Any]]:
    """The exchange as a process of its own, its books on disk; what it announces."""
    command = [sys.executable, "-m", "alpha_arena.cli", "exchange", "exchange.port=0", f"exchange.accounts=[{','.join(ACCOUNTS)}]"]
    command += [
        f"exchange.ledger={folder}/embedded.db",
        f"exchange.accounts_file={folder}/embedded.json",
        f"database.url=sqlite:///{folder}/x.db",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def account(url: str, keys: dict[str, str], clock: Wall) -> OkxAccount:
    """A client that does not pace itself."""
    own = Keys(keys["api_key"], keys["secret"], keys["passphrase"])
    return OkxAccount(url, own, True, [RULES], clock, waiting=Waiting(lambda _: None, lambda: 0.0))


def acknowledged_ms(folder: Path, venue: OkxAccount, clock: Any) -> list[float]:
    """From a decision to the exchange's acknowledgement, one order at a time, exits and entries in turn."""
    taken = []
    with trader(folder, venue, clock, time.sleep) as (executor, ledger):
        executor.recover()
        for n in range(ORDERS):
            order = Order(derived_id("bench", n), BTC, 0.01 if n % 2 == 0 else -0.01, reduce_only=bool(n % 2))
            began = time.perf_counter()
            ledger.intend_order(order, clock.now_ms(), "bench")
            event = executor.tracker.deliver(order, clock.now_ms() + HOUR)
            taken.append(1000 * (ledger.acknowledged_s - began))
            assert event.state in ("FILLED", "PARTIAL"), event
            executor.recover()
    return taken


def told(what: str, value: float, unit: str, goal: str) -> None:
    """A line of the table."""
    sys.stdout.write(f"| {what} | {value:,.0f} {unit} | {goal} |\n")


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder, other = Path(name) / "points", Path(name) / "orders"
        folder.mkdir()
        other.mkdir()
        sys.stdout.write("| what | measured | at least |\n|---|---:|---:|\n")
        told("stepped market points", points_a_second(folder), "/s", "20,000 /s")
        told("requests in one process", requests_a_second([exchange(START + DAY)[1]]), "/s", "200 /s")
        with server(other) as announced:
            clock = Wall()
            venues = [account(announced["url"], keys, clock) for keys in announced["accounts"]]
            clock.ahead_ms = venues[0].time_ms() - clock.now_ms()
            told("requests over HTTP", requests_a_second(venues), "/s", "200 /s")
            taken = acknowledged_ms(other, venues[0], clock)
            told("decision to acknowledged, median", float(np.median(taken)), "ms", "under 50 ms")
            told("decision to acknowledged, 99 %", float(np.quantile(taken, 0.99)), "ms", "")


class Wall:
    """The computer's clock, moved to the exchange's."""

    ahead_ms = 0

    def now_ms(self) -> int:
        """Now."""
        return int(time.time() * 1000) + self.ahead_ms


if __name__ == "__main__":
    main()
