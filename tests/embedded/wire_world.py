"""An exchange for tests of the wire, on a calm market around 60,000.

Run as a program, it serves one on the computer's clock.
"""

from __future__ import annotations

import time

import numpy as np
from wire_caller import Caller

from alpha_arena.core.costs import Costs
from alpha_arena.core.types import Candles, Funding, Instrument
from alpha_arena.exchange.embedded.books import Books
from alpha_arena.exchange.embedded.clock import SimClock
from alpha_arena.exchange.embedded.contracts import Profile
from alpha_arena.exchange.embedded.exchange import EmbeddedExchange
from alpha_arena.exchange.embedded.feed import Feed, Replay
from alpha_arena.exchange.embedded.server import serve
from alpha_arena.exchange.embedded.wire import Wire

NOW = 1_795_414_682_000
SYMBOL, SWAP = "BTC/USDT:USDT", "BTC-USDT-SWAP"
BTC = Instrument(SYMBOL, lot=0.0001, tick=0.1, contract_size=0.01, max_leverage=100, as_of="2026-11-01")
COSTS = Costs(0.0005, 0.0002, 0.0, 0.0, 10, 10, 0.0, 0.004, 8)
MINUTE, DAY, INTERVAL = 60_000, 86_400_000, 8 * 3_600_000


def market(now_ms: int, days_ahead: int) -> Replay:
    """Minutes from 40 days back on; funding from 100 days back on."""
    ts = np.arange((now_ms - 40 * DAY) // MINUTE * MINUTE, now_ms + days_ahead * DAY, MINUTE, dtype=np.int64)
    close = 60_000 + np.round(100 * np.sin(ts / 3.6e6), 1)
    candles = Candles(ts, close, close + 10, close - 10, close, np.full(ts.size, 12.5))
    settled = np.arange((now_ms - 100 * DAY) // INTERVAL * INTERVAL, now_ms + days_ahead * DAY, INTERVAL, dtype=np.int64)
    return Replay({SYMBOL: candles}, {SYMBOL: Funding(settled, np.full(settled.size, 0.0001))}, {})


def exchange(clock: SimClock, books: Books | None = None) -> EmbeddedExchange:
    """One account with 10,000 in profile market."""
    feed = Feed(market(clock.now_ms(), days_ahead=3), {SWAP: SYMBOL})
    made = EmbeddedExchange(feed, clock, [BTC], Profile("market", COSTS, half_spread=0.00001, fills_lag_ms=500), 7, books)
    made.add_client("one")
    return made


def wire() -> Wire:
    """A fresh exchange behind its wire, with a stepped clock."""
    return Wire(exchange(SimClock.stepped(NOW)))


def caller() -> Caller:
    """Its first account."""
    made = wire()
    return Caller(made, next(iter(made.exchange.clients.values())))


if __name__ == "__main__":
    serve(exchange(SimClock("real", time.time() * 1000)))
