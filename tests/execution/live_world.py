"""A trader with a script, on a fake exchange and a database in memory; what dies is started again, as a scheduler would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache

import numpy as np
import pytest
from fake_venue import FakeVenue, Stepped, nothing
from sqlalchemy import Connection

from alpha_arena.core.costs import Costs
from alpha_arena.core.errors import AlreadyDecided
from alpha_arena.core.market import Market, Study, View
from alpha_arena.core.types import Candles, Funding, Instrument, Regimes, Target
from alpha_arena.core.venue import VenueError
from alpha_arena.data import queries
from alpha_arena.data.controls import Controls
from alpha_arena.data.live_ledger import LiveLedger
from alpha_arena.data.service import DataService
from alpha_arena.data.tables import METADATA
from alpha_arena.engine import Cycle, Tick, Trader, step, ticks
from alpha_arena.execution.live import LiveExecutor, Pace, open_account
from alpha_arena.execution.protection import fits
from alpha_arena.execution.reconcile import Unreconciled

BTC = "BTC/USDT:USDT"
HOUR = 3_600_000
START = 1_704_067_200_000
COSTS = Costs(0.0005, 0.0002, 0.0001, 0.0005, 10, 10, 0.01, 0.004, 24)
SKIPPED = (VenueError, Unreconciled)


class CrashPoint(BaseException):
    """The process dies here."""


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


class WatchedLedger(LiveLedger):
    """A ledger that tells before and after each transaction that it writes."""

    hook: Callable[[str, str], None] = staticmethod(nothing)

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        self.hook("store", "before")
        with super()._write() as connection:
            yield connection
        self.hook("store", "after")


def market(closes: list[float]) -> Market:
    """Bars that open where the last one closed."""
    close = np.array(closes)
    opened = np.concatenate([close[:1], close[:-1]])
    ts = START + HOUR * np.arange(len(closes), dtype=np.int64)
    candles = Candles(ts, opened, np.maximum(opened, close), np.minimum(opened, close), close, np.full(len(closes), 10.0))
    return Market.of(BTC, HOUR, candles, Funding.none())


@cache
def database() -> DataService:
    """A database in memory with its tables."""
    service = DataService("sqlite://")
    METADATA.create_all(service.database.engine)
    return service


def emptied() -> DataService:
    """That database without rows: one world at a time lives in it."""
    service = database()
    with service.database.write() as connection:
        for table in METADATA.tables.values():
            connection.execute(table.delete())
    return service


@dataclass
class World:
    """A market, its exchange, and a trader's ledger.

    Attributes:
        script: targets by bar number. hook: called before and after each request and each write.
    """

    closes: list[float]
    script: Mapping[int, Target]
    pace: Pace = field(default_factory=lambda: Pace(asks=3))
    hook: Callable[[str, str], None] = nothing

    def __post_init__(self) -> None:
        self.clock = Stepped(START)
        self.venue = FakeVenue(self.clock, price={BTC: Decimal(repr(self.closes[0]))})
        self.service = emptied()
        self.market = market(self.closes)
        self.controls = Controls(self.service)
        self.dies_at: int | None = None
        self.points = 0
        self.restarts = 0
        self.at(0)
        open_account(self.ledger(), self.venue)

    def at(self, bar: int, seconds: float = 2.0) -> None:
        """Set the clock to shortly after the close of a bar, its close being the price."""
        self.clock.time = max(self.clock.time, START + (bar + 1) * HOUR + round(seconds * 1000))
        self.venue.move(BTC, repr(self.closes[bar]))

    def count(self, name: str, when: str) -> None:
        """Die at the n-th point."""
        self.hook(name, when)
        self.points += 1
        if self.points - 1 == self.dies_at:
            raise CrashPoint(f"{when} {name}")

    def ledger(self) -> LiveLedger:
        """The ledger as a new process opens it."""
        made = WatchedLedger(self.service, "t", "1h", "fake")
        made.hook = self.count
        return made

    def boot(self) -> LiveExecutor:
        """An executor as a new process makes it."""
        self.venue.hook = self.count
        return LiveExecutor(self.venue, self.ledger(), {BTC: self.market}, self.clock, self.controls, self.pace, self.clock.wait)

    def trader(self) -> Trader:
        """The engine's trader."""
        instrument = Instrument(BTC, 0.0001, 0.1, 0.01, 100, "2024-01-01")
        wanted = {START + bar * HOUR: target for bar, target in self.script.items()}
        return Trader("t", "1h", {BTC: instrument}, Script(wanted), (), COSTS, "script")

    def cycle(self, bar: int) -> Cycle | None:
        """What a scheduler's run does at a close: recover, then decide the bar if nobody has."""
        nothing_ = np.full(len(self.closes), np.nan)
        calm = Regimes(np.full(len(self.closes), 2, np.int8), *([nothing_] * 5))
        study = Study({BTC: self.market}, {}, {BTC: calm}, {})
        executor, tick = self.boot(), self.tick(study, bar)
        executor.recover()
        with suppress(AlreadyDecided):
            if (executor.ledger.decided_ts(BTC) or -1) < tick.bar_ts:
                return step(tick, study, self.trader(), executor, executor.ledger)
        return None

    def tick(self, study: Study, bar: int) -> Tick:
        """One close."""
        return next(ticks(study, START + bar * HOUR))

    def survive(self, bar: int) -> Cycle | None:
        """A cycle, and where it dies another one."""
        try:
            return self.cycle(bar)
        except CrashPoint:
            self.restarts += 1
            return self.survive(bar)

    def run(self, bars: range | None = None) -> None:
        """Cycles at the closes of bars; the price moves between them."""
        for bar in bars if bars is not None else range(len(self.closes)):
            self.at(bar)
            self.survive(bar)

    def sync(self) -> None:
        """Book what has happened, decide nothing."""
        self.boot().recover()

    @property
    def quantity(self) -> float:
        """Held by the ledger."""
        return self.ledger().account().position(BTC).quantity

    def states(self) -> list[str]:
        """Of all orders, oldest first."""
        found = queries.orders(self.service, "t", 100)
        return [row["state"] for row in sorted(found, key=lambda row: (row["created_ts"], not row["reduce_only"]))]

    def life(self, order_id: str) -> list[str]:
        """States that an order went through."""
        return [row["state"] for row in queries.order_events(self.service, order_id)]


def check(world: World, protected: bool = True) -> None:
    """I1 to I5: one order a decision, both books the same, positions and cash equal, what is held is protected."""
    world.venue.hook = nothing
    venue, ledger = world.venue, world.ledger()
    names = [order.client_id for order in venue.orders.values() if order.client_id]
    assert len(names) == len(set(names)), "I1: an order is twice at the exchange"
    kept = queries.fills(world.service, "t", 10_000)
    assert sorted({row["trade_id"].removesuffix("-2") for row in kept}) == sorted(fill.bill_id for fill in venue.all_fills), "I2"
    here = {
        row["client_order_id"] for row in queries.orders(world.service, "t", 10_000) if row["state"] in ("FILLED", "CANCELLED", "WORKING")
    }
    assert {name for name in names if name != "byhand"} <= here, "I2: an order is at the exchange and not here"
    account = ledger.account()
    held = venue.held.get(BTC)
    assert Decimal(repr(account.position(BTC).quantity)) == (held.quantity if held else 0), "I3"
    assert account.cash == pytest.approx(float(venue.cash), abs=1e-8), "I4"
    assert sum(queries.sums(world.service, "t").values()) == pytest.approx(float(venue.cash), abs=1e-6), "I4"
    rebuilt = ledger.rebuild()
    assert rebuilt.cash == pytest.approx(account.cash, abs=1e-8)
    assert repr(rebuilt.position(BTC)) == repr(account.position(BTC))
    position = account.position(BTC)
    live = [one for one in venue.algos.values() if one.state == "live"]
    if protected and position.quantity:
        assert [fits(one, position) for one in live] == [True], "I5"
    if not position.quantity:
        assert live == [], "I5: protection is left without a position"
