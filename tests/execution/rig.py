"""A live trader on the embedded exchange, in one process: clock, market, wire, client, ledger and executor are the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from alpha_arena.core.costs import Costs
from alpha_arena.core.market import Market
from alpha_arena.core.types import Instrument
from alpha_arena.data.controls import Controls
from alpha_arena.data.live_ledger import LiveLedger
from alpha_arena.data.service import DataService
from alpha_arena.exchange.accounts import Keys
from alpha_arena.exchange.calls import Waiting
from alpha_arena.exchange.embedded.adapter import LoopbackAdapter
from alpha_arena.exchange.embedded.clock import SimClock
from alpha_arena.exchange.embedded.contracts import Profile
from alpha_arena.exchange.embedded.exchange import EmbeddedExchange
from alpha_arena.exchange.embedded.faults import Faults
from alpha_arena.exchange.embedded.feed import Feed
from alpha_arena.exchange.embedded.limits import Limits
from alpha_arena.exchange.embedded.state import Client
from alpha_arena.exchange.embedded.wire import Wire
from alpha_arena.exchange.okx_account import OkxAccount
from alpha_arena.execution.live import LiveExecutor, Pace, open_account, prepare

BTC, SWAP = "BTC/USDT:USDT", "BTC-USDT-SWAP"
COSTS = Costs(0.0005, 0.0002, 0.0001, 0.0005, 10, 10, 0.01, 0.004, 24)
RULES = Instrument(BTC, 0.0001, 0.1, 0.01, 100, "2026-01-01")
URL = "http://127.0.0.1:1"


@dataclass
class Rig:
    """One exchange with one account, and what a trader needs to use it."""

    clock: SimClock
    exchange: EmbeddedExchange
    client: Client
    wire: Wire
    faults: Faults
    venue: OkxAccount
    service: DataService
    ledger: LiveLedger

    def executor(self, market: Market, leverage: float = 3.0, pace: Pace | None = None) -> LiveExecutor:
        """As a process that has just started makes it."""
        prepare(self.venue, {BTC: leverage})
        open_account(self.ledger, self.venue)
        return LiveExecutor(self.venue, self.ledger, {BTC: market}, self.clock, Controls(self.service), pace or PACE, self.sleep)

    def sleep(self, seconds: float) -> None:
        """Waiting moves the stepped clock."""
        self.wire.pass_time(seconds)


PACE = Pace(pause_s=0.1)


@contextmanager
def rig(folder: Path, feed: Feed, profile: Profile, start_ms: int, trader: str = "t", capital: int = 10_000) -> Iterator[Rig]:
    """A fresh exchange that stands at `start_ms`, and an empty database."""
    clock, faults = SimClock.stepped(start_ms), Faults(7)
    exchange = EmbeddedExchange(feed, clock, [RULES], profile, 7)
    client = exchange.add_client(trader, Decimal(capital))
    wire = Wire(exchange, faults, Limits(on=False))
    keys = Keys(client.api_key, client.secret, client.passphrase)
    venue = OkxAccount(URL, keys, True, [RULES], clock, waiting=Waiting(wire.pass_time, lambda: clock.now_ms() / 1000))
    venue.client.session.mount("http://", LoopbackAdapter(wire))
    service = DataService(f"sqlite:///{folder / 'live.db'}")
    service.upgrade()
    try:
        yield Rig(clock, exchange, client, wire, faults, venue, service, LiveLedger(service, trader, "1h", "okx"))
    finally:
        venue.close()
        service.close()
