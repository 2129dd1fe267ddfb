"""Bars that reached both the stop and the take of a position: which came first is not known, the stop is assumed (specs: quant §5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from alpha_arena.backtest.record import Record
from alpha_arena.core.market import Market
from alpha_arena.core.types import Floats


@dataclass(frozen=True, slots=True)
class Levels:
    """What protected a position in the bar of its exit, NaN for none."""

    stop: float
    take: float


def ambiguous_gains(record: Record) -> Floats:
    """For each stop in such a bar, what the take would have brought more, before fees; quote currency."""
    return np.array([gain for symbol, market in record.markets.items() for gain in _gains(record, symbol, market)], np.float64)


def of_symbol(table: pd.DataFrame, symbol: str) -> pd.DataFrame:
    """The rows of a symbol; a frame without that column is of one symbol."""
    return table[table["symbol"] == symbol] if "symbol" in table else table


def _gains(record: Record, symbol: str, market: Market) -> Iterator[float]:
    trades, signals = of_symbol(record.trades, symbol), of_symbol(record.signals, symbol)
    fills = of_symbol(record.fills, symbol)
    for trade in trades[trades["exit_reason"] == "stop"].to_dict("records"):
        side = 1 if trade["side"] == "long" else -1
        row = int(np.searchsorted(market.ts, trade["exit_ts"]))
        levels = held_levels(signals, trade["entry_ts"], trade["exit_ts"], side)
        if both_inside(market, row, side, levels):
            yield _gain(fills, trade, side, levels.take)


def held_levels(signals: pd.DataFrame, entry_ts: int, exit_ts: int, side: int) -> Levels:
    """Levels in the bar exit_ts: the tightest stop and the newest take of the closes since the one that decided the entry."""
    ts = signals["ts"].to_numpy()
    since = signals.iloc[max(0, np.searchsorted(ts, entry_ts) - 1) : np.searchsorted(ts, exit_ts)]
    since = since[since["exposure"] * side > 0]
    stops, takes = since["stop"].dropna(), since["take"].dropna()
    stop = float((stops * side).max() * side) if len(stops) else np.nan
    return Levels(stop, float(takes.iloc[-1]) if len(takes) else np.nan)


def both_inside(market: Market, row: int, side: int, levels: Levels) -> bool:
    """Whether the bar traded through the take and did not open at or beyond the stop."""
    best = market.high[row] if side > 0 else market.low[row]
    return bool((best - levels.take) * side > 0 and (market.open[row] - levels.stop) * side > 0)


def _gain(fills: pd.DataFrame, trade: Mapping[Any, Any], side: int, take: float) -> float:
    stops = fills[(fills["ts"] == trade["exit_ts"]) & (fills["reason"] == "stop") & (fills["quantity"] * side < 0)]
    return float((-stops["quantity"] * (take - stops["price"])).sum())
