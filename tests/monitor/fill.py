"""A database as weeks of paper trading leave it: random-walk candles, three traders through the real loop, executor and ledger.

By hand: python tests/monitor/fill.py FILE [DAYS], then alpha-arena serve database.url=sqlite:///FILE
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from alpha_arena.core.costs import Costs
from alpha_arena.core.market import Market, Study, View
from alpha_arena.core.types import REGIMES, Account, Candles, Funding, Instrument, Regimes, Share, Target
from alpha_arena.data.clock import ClockRow, write_clock
from alpha_arena.data.ledger import Ledger
from alpha_arena.data.service import DataService
from alpha_arena.engine import Trader, run, ticks
from alpha_arena.execution.simulated import SimulatedExecutor

HOUR = 3_600_000
DAY = 24 * HOUR
START = 1_743_465_600_000  # 2025-04-01 00:00 UTC
BTC = Instrument("BTC/USDT:USDT", 0.0001, 0.1, 0.01, 100.0, "2025-01-01")
COSTS = Costs(0.0005, 0.0002, 0.0001, 0.0005, 10.0, 10.0, 0.01, 0.004, 24)
WARM_UP = 72
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><b>bold</b> \u202ereversed\u202c " + "long " * 400


@dataclass(frozen=True)
class Trend:
    """Long above, short below a mean of closes, with a stop and a take; `fast` bars against `slow`."""

    name: str
    fast: int
    slow: int
    size: float
    leverage: float = 2.0
    why: str = ""

    def decide(self, view: View) -> Mapping[str, Target]:
        """One target a symbol."""
        return {symbol: self.one(view.market(symbol).close) for symbol in view.t}

    def one(self, close: np.ndarray) -> Target:
        """The side of the faster mean; flat while the two are close together."""
        fast, slow, last = close[-self.fast :].mean(), close[-self.slow :].mean(), float(close[-1])
        gap = fast / slow - 1
        side = 0 if abs(gap) < 0.004 else (1 if gap > 0 else -1)
        why = self.why or f"The mean of {self.fast} h lies {gap:+.2%} from that of {self.slow} h; " + (
            "too close to call, stay out." if not side else f"{'long' if side > 0 else 'short'} with {self.size:.0%} of equity."
        )
        shares = (Share("ema_trend", 0.6, side * self.size, "fast over slow"), Share("momentum", 0.4, side * self.size, "14 bars"))
        levels = (last * (1 - side * 0.025), last * (1 + side * 0.05)) if side else (np.nan, np.nan)
        return Target(side * self.size, *levels, confidence=min(1.0, 0.5 + abs(gap) * 20), why=why, shares=shares)


@dataclass(frozen=True)
class MaxExposure:
    """Refuses exposure over a limit."""

    limit_fraction: float

    def limit(self, target: Target, symbol: str, view: View) -> Target:
        """The target within the limit."""
        if abs(target.exposure) <= self.limit_fraction:
            return target
        why = f"exposure {abs(target.exposure):.0%} > {self.limit_fraction:.0%} of equity"
        return replace(target, exposure=np.sign(target.exposure) * self.limit_fraction, why=why)


def candles(days: int, seed: int = 7, start: int = START) -> Candles:
    """Hourly bars of a random walk whose volatility comes in weeks."""
    rng = np.random.default_rng(seed)
    bars = days * 24
    calm = 0.0035 + 0.004 * (np.sin(np.arange(bars) / 60.0) > 0.6)
    close = 84_000.0 * np.exp(np.cumsum(rng.normal(0.0001 * np.sin(np.arange(bars) / 90.0), calm)))
    open_ = np.r_[84_000.0, close[:-1]]
    high = np.maximum(open_, close) * (1 + np.abs(rng.normal(0, calm / 2)))
    low = np.minimum(open_, close) * (1 - np.abs(rng.normal(0, calm / 2)))
    prices = [np.round(column, 1) for column in (open_, high, low, close)]
    return Candles(start + HOUR * np.arange(bars, dtype=np.int64), *prices, np.round(rng.gamma(4, 30, bars), 3))


def regimes(market: Market) -> Regimes:
    """A regime of 31 bars after the other."""
    code = ((np.arange(len(market)) // 31) % len(REGIMES)).astype(np.int8)
    flat = np.full(len(market), 0.5)
    return Regimes(code, flat * 50, flat / 10, flat, flat, flat)


def deciders() -> list[Trend]:
    """The three traders' rules."""
    return [Trend("ema_solo", 12, 48, 0.9), Trend("equal_weight", 6, 72, 0.5), Trend("portfolio", 24, 60, 1.6)]


def trade(service: DataService, decider: Trend, market: Market, upto: int) -> None:
    """Step a trader through all bars to row `upto`, as one transaction."""
    ledger = Ledger(service, decider.name, "1h", "simulated")
    start = int(market.ts[WARM_UP])
    ledger.open_account(10_000.0, start)
    study = Study({BTC.symbol: market}, {BTC.symbol: {}}, {BTC.symbol: regimes(market)}, {BTC.symbol: {}})
    executor = SimulatedExecutor(decider.name, Account(10_000.0), (), {BTC.symbol: market}, {BTC.symbol: BTC}, COSTS, decider.leverage)
    trader = Trader(decider.name, "1h", {BTC.symbol: BTC}, decider, (MaxExposure(1.0),), COSTS, "weighted")
    now = int(market.ts[upto]) + HOUR
    with service.batch():
        for _ in run(ticks(study, start, now, int(market.ts[upto])), study, trader, executor, ledger):
            pass


def fill(service: DataService, days: int = 12, why: str = "", source: str = "synthetic") -> Market:
    """Candles and funding of a source, and the three traders; `why` replaces the first one's reasons."""
    bars = candles(days)
    paid = Funding(bars.ts[::8].copy(), np.full(bars.ts[::8].size, 0.0001))
    service.upgrade()
    service.write_candles(source, BTC.symbol, "1h", bars)
    service.write_funding(source, BTC.symbol, paid)
    market = service.market(BTC.symbol, "1h")
    for place, decider in enumerate(deciders()):
        trade(service, replace(decider, why=why if place == 0 else ""), market, len(market) - 1)
    return market


def set_clock(service: DataService, now_ms: int, wall_ms: int, mode: str = "running", speed: float = 1.0, epoch: int = 1) -> None:
    """The clock row as its keeper would leave it at `wall_ms`."""
    write_clock(service, ClockRow(mode, float(wall_ms), float(now_ms), speed, float(wall_ms), epoch))


def last_close(service: DataService) -> int:
    """Close of the newest hourly bar, ms."""
    return (service.last_ts("synthetic", BTC.symbol, "1h") or 0) + HOUR


def main(file: str, days: int = 60) -> None:
    """Fill a database file."""
    service = DataService(f"sqlite:///{Path(file).resolve()}")
    fill(service, days)
    service.close()


if __name__ == "__main__":
    main(sys.argv[1], *(int(days) for days in sys.argv[2:]))
