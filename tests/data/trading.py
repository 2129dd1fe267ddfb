"""Decisions, bookings, and a trader that the loop drives over a made-up market into any store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from series import BTC, ETH, HOUR, START, eight_hourly, walk

from alpha_arena.core.costs import Costs
from alpha_arena.core.market import Market, Study, View
from alpha_arena.core.ports import Store
from alpha_arena.core.records import Booking, Decision, Refusal, RegimeContext
from alpha_arena.core.types import Account, Instrument, Regimes, Share, Target
from alpha_arena.data.ledger import Ledger
from alpha_arena.data.service import DataService
from alpha_arena.engine import Cycle, Tick, Trader, run, ticks
from alpha_arena.execution.simulated import SimulatedExecutor

COSTS = Costs(0.0005, 0.0002, 0.0001, 0.0005, 10, 10, 0.01, 0.004, 24)
CAPITAL = 10_000.0
LEVERAGE = 5.0


@dataclass(frozen=True)
class Whim:
    """Targets that somebody drew: by symbol an exposure, stop and take for each row."""

    drawn: Mapping[str, np.ndarray]
    leverage: float = LEVERAGE

    def decide(self, view: View) -> dict[str, Target]:
        """The drawn target of each symbol's row."""
        made = {}
        for symbol, t in view.t.items():
            exposure, stop, take = (float(value) for value in self.drawn[symbol][t])
            close = view.prices[symbol]
            side = float(np.sign(exposure))
            levels = (close * (1 - side * stop), close * (1 + side * take))
            shares = (Share("whim", 0.75, exposure, "drawn"), Share("calm", 0.25, 0.0, regime_score=0.5))
            made[symbol] = Target(exposure, *levels, confidence=0.7, why="a whim", shares=shares)
        return made


@dataclass(frozen=True)
class Scene:
    """A market of one or two symbols and what is wanted on each bar."""

    markets: Mapping[str, Market]
    trader: Trader
    study: Study

    def ticks(self) -> list[Tick]:
        """All closes."""
        return list(ticks(self.study, 0))

    def executor(self, account: Account | None = None, working: tuple = (), applied_ts: int = -1) -> SimulatedExecutor:
        """Fresh, or going on from an account."""
        return SimulatedExecutor(
            self.trader.id, account or Account(CAPITAL), working, self.markets, self.trader.instruments, COSTS, LEVERAGE, applied_ts
        )

    def play(self, store: Store, executor: SimulatedExecutor | None = None, some: list[Tick] | None = None) -> Iterator[Cycle]:
        """Step through closes into a store."""
        return run(some if some is not None else self.ticks(), self.study, self.trader, executor or self.executor(), store)


def regimes(bars: int) -> Regimes:
    """All one regime, with one indicator."""
    nothing = np.full(bars, np.nan)
    return Regimes(np.full(bars, 2, np.int8), np.full(bars, 17.5), nothing, nothing, nothing, nothing)


def scene(bars: int = 120, seed: int = 0, symbols: tuple[str, ...] = (BTC, ETH), trader: str = "whim") -> Scene:
    """A market with funding and targets that change every few bars, with stops and takes near enough to be hit."""
    rng = np.random.default_rng(seed)
    markets = {s: Market.of(s, HOUR, walk(bars, seed=seed + i), eight_hourly(bars // 8 + 1, seed=seed)) for i, s in enumerate(symbols)}
    drawn = {}
    for symbol in symbols:
        wish = np.repeat(rng.choice([-0.8, 0.0, 0.5, 1.2], bars // 5 + 1), 5)[:bars]
        drawn[symbol] = np.column_stack([wish, rng.uniform(0.005, 0.05, bars), rng.uniform(0.005, 0.05, bars)])
    instruments = {symbol: Instrument(symbol, 0.0001, 0.1, 0.01, 100, "2024-01-01") for symbol in symbols}
    who = Trader(trader, "1h", instruments, Whim(drawn), (), COSTS, "whim", config_hash="c0ffee")
    return Scene(markets, who, Study(markets, {}, {symbol: regimes(bars) for symbol in symbols}, {}))


def opened(service: DataService, trader: str = "t") -> Ledger:
    """A ledger with its account open."""
    ledger = Ledger(service, trader, "1h", "simulated")
    ledger.open_account(CAPITAL, START)
    return ledger


def decision(bar: int, symbol: str = BTC, trader: str = "t") -> Decision:
    """A decision at a bar's close."""
    target = Target(0.5, stop=90.0, why="up", shares=(Share("ema_trend", 1.0, 0.5, "trend"),))
    context = RegimeContext("RANGE", ("RANGE",), {"adx": 12.0})
    ts = START + bar * HOUR
    return Decision(
        trader,
        symbol,
        "1h",
        ts,
        ts + HOUR,
        "single",
        replace(target, exposure=0.9),
        target,
        (Refusal("MaxLeverage", "3"),),
        context,
        1e4,
        100.0,
    )


def booking(bar: int, equity: float, account: Account | None = None, **what: object) -> Booking:
    """A booked bar."""
    ts = START + bar * HOUR
    return Booking(ts, ts + HOUR, account or Account(equity), equity, {BTC: 100.0, ETH: 10.0}, **what)
