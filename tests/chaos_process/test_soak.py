"""Simulated weeks in which something is wrong all the time: nothing is lost, doubled or left behind, in the books or in memory."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from random import Random

import numpy as np
import psutil
import pytest
from rig import BTC, SWAP, Rig, rig

from alpha_arena.core.errors import AlreadyDecided
from alpha_arena.core.market import Market, Study
from alpha_arena.core.types import Candles, Funding
from alpha_arena.core.venue import VenueError
from alpha_arena.data import queries
from alpha_arena.data.live_ledger import LiveLedger
from alpha_arena.data.service import DataService
from alpha_arena.engine import Tick, Trader, step, ticks
from alpha_arena.exchange.embedded.contracts import Profile
from alpha_arena.exchange.embedded.faults import Lag, Rule
from alpha_arena.exchange.embedded.feed import Feed, Replay
from alpha_arena.execution.live import LiveExecutor
from alpha_arena.execution.protection import fits
from alpha_arena.execution.reconcile import Unreconciled
from alpha_arena.settings import load
from alpha_arena.wiring.desk import study_of, trader_of

MINUTE, QUARTER, HOUR = 60_000, 900_000, 3_600_000
DAY = 24 * HOUR
START = 1_704_067_200_000
HISTORY_DAYS = 20
PASSING = (VenueError, Unreconciled, AlreadyDecided)
SEED = 11
TRADER = "t"
Orders = list[tuple[str, str]]
# of each request: lost before or after it was carried out, refused for now, answered with rubbish
RULES = (
    Rule("drop", "before", times=0, probability=0.004),
    Rule("drop", "after", times=0, probability=0.004),
    Rule("code", "before", times=0, probability=0.01, text="50011"),
    Rule("code", "after", times=0, probability=0.002, text="50026"),
    Rule("html", "after", times=0, probability=0.002, status=502),
    Rule("truncate", "after", times=0, probability=0.002, amount=30),
    Rule("delay", "before", "POST", "trade/order", times=0, probability=0.05, amount=15_000),
    Rule("drop", "after", "POST", "trade/order*", times=0, probability=0.1),
    Rule("drop", "before", "POST", "trade/order*", times=0, probability=0.1),
    Rule("dup_request", "before", "POST", "trade/order*", times=0, probability=0.05),
    Rule("dup_reply", "after", times=0, probability=0.02),
    Rule("reorder", "after", times=0, probability=0.02),
)


def quarters(days: int) -> Market:
    """A walk of a hundredth an hour, with settlements each eight hours."""
    draw = np.random.default_rng(SEED)
    count = (HISTORY_DAYS + days + 1) * 96
    close = 40_000 * np.exp(np.cumsum(draw.normal(0, 0.004, count)))
    opened = np.concatenate([close[:1], close[:-1]])
    high, low = np.maximum(opened, close) * 1.001, np.minimum(opened, close) * 0.999
    ts = START + QUARTER * np.arange(count, dtype=np.int64)
    paid = START + 8 * HOUR * np.arange(count // 32, dtype=np.int64)
    opened, high, low, close = (np.round(column, 1) for column in (opened, high, low, close))
    candles = Candles(ts, opened, high, low, close, np.full(count, 500.0))
    return Market.of(BTC, QUARTER, candles, Funding(paid, np.full(paid.size, 0.0001)))


@dataclass
class Soak:
    """A trader that decides each hour and looks at its account each quarter, and is started again each day.

    Attributes:
        looks: at the account, each quarter. failed: those that a fault ended.
        sizes: bytes of this process at the end of each day. files: how many it has open.
    """

    made: Rig
    market: Market
    study: Study
    trader: Trader
    draw: Random = field(default_factory=lambda: Random(SEED))
    looks: int = 0
    failed: int = 0
    sizes: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def days(self, count: int, hours: int = 24) -> None:
        """Live through some days, or so many hours of each."""
        first = START + HISTORY_DAYS * DAY
        for _ in range(count):
            executor = self.started()
            for tick in ticks(self.study, first - HOUR, None, first + (hours - 2) * HOUR):
                self.hour(tick, executor)
            first += DAY
            self.measure()
            self.check()

    def started(self) -> LiveExecutor:
        """An executor, as soon as the exchange lets a process start."""
        while True:
            with suppress(*PASSING):
                return self.made.executor(self.market, self.trader.decider.leverage)
            self.made.sleep(10)

    def hour(self, tick: Tick, executor: LiveExecutor) -> None:
        """A cycle, repeated until it was decided, and three looks."""
        for quarter in range(4):
            self.made.clock.step_to(tick.close_ts + quarter * QUARTER + 2_000)
            self.made.faults.lag = Lag(*(self.draw.choice((0, 0, 0, 3_000, 30_000)) for _ in range(4)))
            self.looks += 1
            try:
                executor.recover()
                if (self.made.ledger.decided_ts() or -1) < tick.bar_ts:
                    step(tick, self.study, self.trader, executor, self.made.ledger)
            except PASSING:
                self.failed += 1

    def check(self) -> None:
        """I1 to I5 once nothing was wrong for some minutes; then it goes on."""
        made, rules = self.made, self.made.faults.rules
        made.faults.rules, made.faults.lag = [], Lag()
        made.faults.remembered.clear()
        executor = self.started()
        for _ in range(3):
            made.sleep(90)
            with suppress(Unreconciled):
                executor.recover()
        executor.recover()
        agree(made)
        made.faults.rules = rules

    def measure(self) -> None:
        """What this process needs."""
        gc.collect()
        process = psutil.Process()
        self.sizes.append(process.memory_info().rss)
        self.files.append(process.num_fds())


def agree(made: Rig) -> None:
    """I1 to I5: each order once, both books the same, cash exact, what is held is protected."""
    assert (made.ledger.stands(), made.ledger.halted()) == (("READY", ""), "")
    names = [order.cl_ord_id for order in made.client.orders.values() if order.cl_ord_id]
    assert len(names) == len(set(names)), "I1"
    kept = {row["trade_id"].removesuffix("-2") for row in queries.fills(made.service, TRADER, 100_000)}
    assert kept == {fill.bill_id for fill in made.client.fills}, "I2"
    known = {row["client_order_id"] for row in queries.orders(made.service, TRADER, 100_000)}
    assert set(names) <= known, "I2"
    account, bills = made.ledger.account(), made.client.bills
    held = sum((one.quantity for one in made.venue.positions()), Decimal(0))
    assert Decimal(repr(account.position(BTC).quantity)) == held, "I3"
    margins = sum((held.margin for held in made.client.holdings.values()), Decimal(0))
    assert abs(bills[-1].bal + margins - made.client.cash) < Decimal("1e-8"), "I4"
    assert abs(sum((bill.bal_chg for bill in bills), Decimal(0)) - bills[-1].bal) < Decimal("1e-8"), "I4"
    assert account.cash == pytest.approx(float(made.client.cash), abs=1e-8), "I4"
    live = made.venue.protections(BTC)
    assert [fits(one, account.position(BTC)) for one in live] == [True] * bool(held), "I5"


@contextmanager
def world(folder: Path, days: int) -> Iterator[Soak]:
    """A trader of the grid on an exchange on which something is wrong from the first day on."""
    folder.mkdir()
    drive = quarters(days)
    market = drive.at("1h")
    settings = load("backtest", ["strategy=grid_trading", "decision=single", f"trader.id={TRADER}"])
    study = study_of(settings, {BTC: market})
    bars = Candles(drive.ts, drive.open, drive.high, drive.low, drive.close, drive.volume)
    feed = Feed(Replay({BTC: bars}, {BTC: Funding(drive.funding_ts, drive.funding_rate)}, {}), {SWAP: BTC}, QUARTER)
    profile = Profile("market", settings.costs, half_spread=0.00005, latency_ms=20, participation=0.01)
    with rig(folder, feed, profile, START + HISTORY_DAYS * DAY, TRADER) as made:
        made.faults.rules = [replace(rule) for rule in RULES]
        yield Soak(made, market, study, trader_of(settings))


def lived(folder: Path, days: int, hours: int = 24) -> tuple[Soak, str, Orders]:
    """So many days; hash of all that the exchange has, and the ledger's orders with their ends."""
    with world(folder, days) as soak:
        soak.days(days, hours)
        orders = [(row["client_order_id"], row["state"]) for row in queries.orders(soak.made.service, TRADER, 100_000)]
        return soak, soak.made.exchange.dump()[1], orders


def ended(folder: Path, days: int, hours: int = 24) -> tuple[str, Orders]:
    """As lived, what another process can be told of it."""
    return lived(folder, days, hours)[1:]


def twice(folder: Path, days: int, hours: int = 24) -> tuple[Soak, Orders]:
    """A life of so many days here and one in another process, with hashes of its own, which ends the same to the byte (I9)."""
    with ProcessPoolExecutor(1, get_context("spawn")) as other:
        again = other.submit(ended, folder / "b", days, hours)
        soak, *here = lived(folder / "a", days, hours)
        assert tuple(here) == again.result()
    return soak, here[1]


def test_the_same_seed_gives_the_same_life(tmp_path: Path) -> None:
    """C7, I9: faults and all."""
    soak, orders = twice(tmp_path, 1, 6)
    assert soak.failed
    assert orders


def test_another_difference_is_young_again(tmp_path: Path) -> None:
    """A8, A12: what is told late now must not be taken for somebody's doing because something else was told late an hour ago."""
    with closing(DataService(f"sqlite:///{tmp_path / 'a.db'}")) as service:
        service.upgrade()
        ledger = LiveLedger(service, TRADER, "1h", "okx")
        assert [ledger.is_now("DIFFERS", reason, ts) for reason, ts in (("a", 1), ("a", 5), ("b", 9), ("b", 12))] == [1, 1, 9, 9]
        assert [ledger.is_now("UNRECONCILED", reason, ts) for reason, ts in (("a", 13), ("b", 14))] == [13, 13]


@pytest.mark.slow
def test_thirty_days_with_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """C7, I9: invariants after each day, and again; memory and open files stand still from the fifth day on."""
    began = time.process_time()
    soak, orders = twice(tmp_path, 30)
    grown = soak.sizes[-1] / soak.sizes[4] - 1
    asked = sum(soak.made.faults.requests.values())
    struck = {f"{rule.kind} {rule.when} {rule.path}": rule.struck for rule in soak.made.faults.rules}
    told = f"{time.process_time() - began:.0f} s of a core a life, {asked} requests, {soak.looks} looks, {soak.failed} failed, {struck}; "
    told += f"{len(orders)} orders, {len(soak.made.client.fills)} fills; memory {soak.sizes} ({grown:+.1%}), files {soak.files[-1]}\n"
    with capsys.disabled():
        sys.stdout.write(told)
    assert grown < 0.05
    assert set(soak.files[4:]) == {soak.files[4]}
    assert min(rule.struck for rule in soak.made.faults.rules) > 10
