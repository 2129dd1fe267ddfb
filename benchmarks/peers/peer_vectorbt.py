"""vectorbt: TA-Lib's indicators, Portfolio.from_signals, four figures."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import talib
import vectorbt as vbt

from benchmarks.peers import terms
from benchmarks.peers.clocks import timed
from benchmarks.peers.terms import Columns

BATCH = 250


def later(values: np.ndarray) -> np.ndarray:
    """A row later: what is known at a close is traded at the next open."""
    out = np.zeros_like(values)
    out[1:] = values[:-1]
    return out


def filters(c: Columns) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where longs and shorts may be entered but for the averages, and the ATR over the close."""
    rsi = talib.RSI(c["close"], terms.RSI)
    busy = c["volume"] > terms.BUSY * talib.SMA(c["volume"], terms.VOLUME)
    unit = talib.ATR(c["high"], c["low"], c["close"], terms.ATR) / c["close"]
    long = busy & (rsi >= terms.LONG[0]) & (rsi <= terms.LONG[1]) & ~np.isnan(unit)
    return long, busy & (rsi >= terms.SHORT[0]) & (rsi <= terms.SHORT[1]) & ~np.isnan(unit), unit


def portfolio(c: Columns, signals: dict[str, np.ndarray], stop: np.ndarray, take: np.ndarray, variant: str) -> Any:
    """The simulation; stop and take are fractions of the fill's price."""
    return vbt.Portfolio.from_signals(
        c["close"],
        **{name: later(rows) for name, rows in signals.items()},
        open=c["open"],
        high=c["high"],
        low=c["low"],
        price=c["open"],
        size=terms.SIZE,
        size_type="percent",
        sl_stop=later(stop),
        tp_stop=later(take),
        stop_entry_price="fillprice",
        upon_opposite_entry="ignore",
        fees=terms.FEE,
        init_cash=terms.CASH,
        freq="1h",
        engine=variant,
    )


def signals(long: np.ndarray, short: np.ndarray, fast: np.ndarray, medium: np.ndarray, slow: np.ndarray) -> dict[str, np.ndarray]:
    """Rows that enter and leave."""
    return {
        "entries": long & (fast > medium) & (medium > slow),
        "exits": fast < medium,
        "short_entries": short & (fast < medium) & (medium < slow),
        "short_exits": fast > medium,
    }


def engine(variant: str) -> Callable[[Columns], dict[str, Any]]:
    """A full run with numba or Rust."""

    def run(c: Columns) -> dict[str, Any]:
        long, short, unit = filters(c)
        averages = (talib.EMA(c["close"], period) for period in (terms.FAST, terms.MEDIUM, terms.SLOW))
        made = portfolio(c, signals(long, short, *averages), terms.STOP * unit, terms.TAKE * unit, variant)
        figures = {"total_return": made.total_return(), "sharpe": made.sharpe_ratio(), "max_drawdown": made.max_drawdown()}
        return {**{name: float(value) for name, value in figures.items()}, "trades": int(made.trades.count())}

    return run


def batch(c: Columns, chosen: list[tuple[int, int, float]], figures: bool) -> None:
    """Combinations as columns; each average is computed once."""
    long, short, unit = (values[:, None] for values in filters(c))
    close = c["close"]
    fasts = {fast: talib.EMA(close, fast) for fast in {fast for fast, _, _ in chosen}}
    slows = {slow: talib.EMA(close, slow) for slow in {slow for _, slow, _ in chosen}}
    fast = np.column_stack([fasts[one] for one, _, _ in chosen])
    slow = np.column_stack([slows[one] for _, one, _ in chosen])
    rows = signals(long, short, fast, talib.EMA(close, terms.MEDIUM)[:, None], slow)
    stop = unit * np.array([one for _, _, one in chosen])
    wide = {name: np.ascontiguousarray(np.broadcast_to(values, fast.shape)) for name, values in rows.items()}
    made = portfolio({**c, "close": np.broadcast_to(close[:, None], fast.shape)} | cols(c), wide, stop, terms.TAKE * unit, "rust")
    if figures:
        made.sharpe_ratio()
        made.max_drawdown()


def cols(c: Columns) -> Columns:
    """Prices as one column, broadcast over all."""
    return {name: c[name][:, None] for name in ("open", "high", "low")}


def search(c: Columns, count: int) -> dict[str, Any]:
    """CPU seconds a combination, with the Sharpe ratio and drawdown of each and without; in batches, so that memory does not decide."""
    chosen = terms.combinations(count)
    parts = [chosen[first : first + BATCH] for first in range(0, count, BATCH)]
    batch(c, parts[0][:2], True)
    began = perf_counter()
    with_figures, _ = timed(lambda: [batch(c, part, True) for part in parts])
    without, _ = timed(lambda: [batch(c, part, False) for part in parts])
    return {"figures": with_figures / count, "simulation": without / count, "wall": perf_counter() - began}
