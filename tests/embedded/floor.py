"""An embedded exchange on markets that tests make by hand."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from alpha_arena.core.costs import Costs
from alpha_arena.core.types import Candles, Funding, Instrument
from alpha_arena.exchange.embedded.clock import SimClock
from alpha_arena.exchange.embedded.contracts import Profile
from alpha_arena.exchange.embedded.exchange import EmbeddedExchange
from alpha_arena.exchange.embedded.feed import Feed, Replay
from alpha_arena.exchange.embedded.ports import Ticket
from alpha_arena.exchange.embedded.state import Attached, Client

BTC = "BTC/USDT:USDT"
SWAP = "BTC-USDT-SWAP"
START = 1_704_067_200_000
MINUTE, HOUR = 60_000, 3_600_000
RULES = Instrument(BTC, 0.0001, 0.1, 0.01, 100, "2026-01-01")
COSTS = Costs(0.0005, 0.0002, 0.0001, 0.0005, 10, 10, 0.01, 0.004, 24)
SPEC = Profile("spec", COSTS)
MARKET = Profile("market", COSTS)

Row = tuple[float, float, float, float, float]


def candles(rows: Sequence[Row], bar_ms: int = MINUTE) -> Candles:
    """Bars from START on: open, high, low, close, volume in base currency."""
    table = np.array(rows, np.float64).reshape(-1, 5)
    return Candles(START + bar_ms * np.arange(len(table), dtype=np.int64), *(table[:, column].copy() for column in range(5)))


def exchange(
    rows: Sequence[Row], profile: Profile = MARKET, bar_ms: int = MINUTE, funding: Funding | None = None, marks: Sequence[Row] | None = None
) -> tuple[EmbeddedExchange, Client]:
    """An exchange that stands at START, and its one account with 10,000."""
    market = Replay(
        {BTC: candles(rows, bar_ms)}, {BTC: funding} if funding is not None else {}, {BTC: candles(marks, bar_ms)} if marks else {}
    )
    made = EmbeddedExchange(Feed(market, {SWAP: BTC}, bar_ms), SimClock.stepped(START), [RULES], profile, 7)
    return made, made.add_client("one")


def go(made: EmbeddedExchange, ms: int) -> None:
    """Let time pass up to START + ms."""
    made.clock.step_to(START + ms)
    made.run_to(made.clock.now_ms())


def ticket(
    side: str,
    sz: float | str,
    px: float | None = None,
    kind: str = "",
    stop: float | None = None,
    take: float | None = None,
    reduce_only: bool = False,
) -> Ticket:
    """An order in contracts, market unless it has a price; with protection if levels are given."""
    levels = {name: None if value is None else Decimal(str(value)) for name, value in (("tp_trigger_px", take), ("sl_trigger_px", stop))}
    attached = [Attached("", "p", **levels)] if stop is not None or take is not None else []
    limit, kind = (None, kind or "market") if px is None else (Decimal(str(px)), kind or "limit")
    return Ticket(SWAP, "isolated", side, kind, Decimal(str(sz)), limit, reduce_only=reduce_only, attached=attached)
