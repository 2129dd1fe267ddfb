"""A backtest: stored candles through the trading loop, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alpha_arena.core.errors import ConfigError, NoData
from alpha_arena.core.market import Market, Study
from alpha_arena.core.timeline import timeline
from alpha_arena.core.trades import OpenTrade, Trade, round_trips
from alpha_arena.core.types import Account, Floats, Ints
from alpha_arena.data.memory import MemoryStore
from alpha_arena.engine import Tick, Trader, run, ticks
from alpha_arena.execution.simulated import SimulatedExecutor

Progress = Callable[[int, int], None]
STRIDE = 500


@dataclass(frozen=True, slots=True)
class Window:
    """The bars that are simulated: opens from first_ts to last_ts, both in; `rows` of them."""

    first_ts: int
    last_ts: int
    rows: int


@dataclass(frozen=True, slots=True)
class Played:
    """What the loop left: its memory, and the closes in order (ts of the bars, equity in quote)."""

    store: MemoryStore
    ts: Ints
    equity: Floats
    trades: Sequence[Trade]
    open_trades: Mapping[str, OpenTrade]


def window(markets: Mapping[str, Market], start_ms: int | None, limit: int | None) -> Window:
    """The simulated part of the stored history, which the markets hold up to its end.

    Raises:
        NoData: no bar lies in it.
    """
    every = np.unique(np.concatenate([market.ts for market in markets.values()]))
    chosen = every[np.searchsorted(every, start_ms) :] if start_ms is not None else every
    chosen = chosen[-limit:] if limit is not None else chosen
    if not chosen.size:
        raise NoData(f"no stored bar of {', '.join(markets)} lies between start and end; ingest that range or widen it")
    return Window(int(chosen[0]), int(chosen[-1]), int(chosen.size))


def play(study: Study, trader: Trader, initial_capital: float, part: Window, progress: Progress | None = None) -> Played:
    """Run the loop over a window from a flat account.

    Args:
        initial_capital: quote currency.
        progress: told (bars done, bars in all) every 500 bars and at the end.

    Raises:
        ConfigError: the capital buys nothing.
    """
    if initial_capital <= 0:
        raise ConfigError(f"initial_capital={initial_capital} must be positive, in quote currency")
    store = MemoryStore(trader.id)
    executor = SimulatedExecutor(
        trader.id, Account(initial_capital), (), study.markets, trader.instruments, trader.costs, trader.decider.leverage
    )
    closes = ticks(study, part.first_ts, last_ts=part.last_ts)
    for done, _ in enumerate(run(closes, study, trader, executor, store), 1):
        if progress and (done % STRIDE == 0 or done == part.rows):
            progress(done, part.rows)
    return collect(store, initial_capital)


def collect(store: MemoryStore, initial_capital: float) -> Played:
    """Equity and round trips from a loop's memory."""
    ts = [booking.ts for booking in store.bookings]
    equity = [booking.equity for booking in store.bookings]
    trades, still_open = round_trips(timeline(store.bookings), {stamp: row for row, stamp in enumerate(ts)}, equity, initial_capital)
    return Played(store, np.array(ts, np.int64), np.array(equity), trades, still_open)


__all__ = ["Played", "Tick", "Window", "collect", "play", "window"]
