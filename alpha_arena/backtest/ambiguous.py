"""Bars that reached the take of a position and its stop or liquidation as well: which came first is not known unless shorter bars say it;
else the worse is assumed (specs: quant §5)."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alpha_arena.backtest.record import Record, of_symbol
from alpha_arena.core.accounting import liquidation_price
from alpha_arena.core.costs import Costs
from alpha_arena.core.detail import bars_inside
from alpha_arena.core.market import Market
from alpha_arena.core.types import Floats, Ints, Position
from alpha_arena.features.compiled import compiled

WORSE = ("stop", "liquidation")


@dataclass(frozen=True, slots=True)
class Doubts:
    """Bars in which a trade ended and that reached its take and its stop or liquidation.

    Attributes:
        bars: all of them. decided: those in which shorter bars say what came first.
        gains: what the take would have brought more, one element for each of the others, before fees; quote currency.
    """

    bars: int
    decided: int
    gains: Floats


@dataclass(frozen=True, slots=True)
class Ends:
    """Trades that ended at a level, one element each. row: of the exit in the market; take: in that bar, NaN for none.

    end: the stop in that bar or where it is liquidated, whichever is nearer.
    """

    ts: Ints
    row: Ints
    side: Ints
    end: Floats
    take: Floats


def doubts(record: Record, costs: Costs, leverage: float) -> Doubts:
    """Over all symbols; leverage: notional / margin. Bars of a mark price are not looked at."""
    each = [_of(record, costs, leverage, symbol, market) for symbol, market in record.markets.items()]
    gains = np.concatenate([one.gains for one in each]) if each else np.empty(0)
    return Doubts(sum(one.bars for one in each), sum(one.decided for one in each), gains)


def _of(record: Record, costs: Costs, leverage: float, symbol: str, market: Market) -> Doubts:
    detail = record.details.get(symbol)
    # without shorter bars a take is only reached where the worse was not
    reasons = WORSE if detail is None else (*WORSE, "take")
    trades = of_symbol(record.trades, symbol)
    trades = trades[trades["exit_reason"].isin(reasons)]
    ends = _ends(trades, of_symbol(record.signals, symbol), market, _liquidations(trades, costs, leverage))
    ends = _chosen(ends, both_inside(market, ends))
    decided = np.zeros(ends.row.size, np.bool_) if detail is None else _decided(market, detail, ends)
    return Doubts(ends.row.size, int(decided.sum()), _gains(_chosen(ends, ~decided), of_symbol(record.fills, symbol)))


def _liquidations(trades: pd.DataFrame, costs: Costs, leverage: float) -> Floats:
    """Where each trade's position is liquidated, as it was held last; not above 0 for a long without leverage."""
    at = [Position(1.0 if side == "long" else -1.0, entry) for side, entry in zip(trades["side"], trades["entry_price"], strict=True)]
    return np.array([liquidation_price(held, leverage, costs.maintenance_margin, costs.taker_fee) for held in at], np.float64)


def _ends(trades: pd.DataFrame, signals: pd.DataFrame, market: Market, liquidated: Floats) -> Ends:
    ts, side = trades["exit_ts"].to_numpy(), np.where(trades["side"] == "long", 1, -1)
    rows = signals["ts"].to_numpy()
    first = np.maximum(np.searchsorted(rows, trades["entry_ts"].to_numpy()) - 1, 0)
    columns = (signals[name].to_numpy(np.float64) for name in ("exposure", "stop", "take"))
    stop, take = held_levels(first, np.searchsorted(rows, ts), side, *columns)
    return Ends(ts, np.searchsorted(market.ts, ts), side, np.where((stop - liquidated) * side > 0, stop, liquidated), take)


def _chosen(ends: Ends, which: NDArray[np.bool_]) -> Ends:
    return Ends(ends.ts[which], ends.row[which], ends.side[which], ends.end[which], ends.take[which])


@compiled
def held_levels(first: Ints, end: Ints, side: Ints, exposure: Floats, stop: Floats, take: Floats) -> tuple[Floats, Floats]:
    """Levels in the bar of each exit: the tightest stop and the newest take of the closes first <= row < end with the trade's sign."""
    stops, takes = np.full(first.size, nan), np.full(first.size, nan)
    for k in range(first.size):
        for row in range(first[k], end[k]):
            if exposure[row] * side[k] > 0:
                if isnan(stops[k]) or (stop[row] - stops[k]) * side[k] > 0:
                    stops[k] = stop[row]
                if not isnan(take[row]):
                    takes[k] = take[row]
    return stops, takes


def both_inside(market: Market, ends: Ends) -> NDArray[np.bool_]:
    """Whether the bar traded through the take and reached the end, and did not open at or beyond either."""
    up = ends.side > 0
    best, worst = np.where(up, market.high[ends.row], market.low[ends.row]), np.where(up, market.low[ends.row], market.high[ends.row])
    around = ((market.open[ends.row] - ends.end) * ends.side > 0) & ((market.open[ends.row] - ends.take) * ends.side <= 0)
    return around & ((best - ends.take) * ends.side > 0) & ((worst - ends.end) * ends.side <= 0)


def _decided(market: Market, detail: Market, ends: Ends) -> NDArray[np.bool_]:
    offsets, inside = bars_inside(market, detail)
    return said(offsets[ends.row], offsets[ends.row + 1], ends.side, ends.end, ends.take, inside.open, inside.high, inside.low)


@compiled
def said(first: Ints, last: Ints, side: Ints, end: Floats, take: Floats, open_: Floats, high: Floats, low: Floats) -> NDArray[np.bool_]:
    """Whether the shorter bars first <= i < last say which level came first: the first that reaches one does not reach both."""
    decided = np.zeros(first.size, np.bool_)
    for k in range(first.size):
        for i in range(first[k], last[k]):
            best, worst = (high[i], low[i]) if side[k] > 0 else (low[i], high[i])
            gapped = (open_[i] - end[k]) * side[k] <= 0 or (open_[i] - take[k]) * side[k] > 0
            stopped, taken = (worst - end[k]) * side[k] <= 0, (best - take[k]) * side[k] > 0
            if gapped or stopped or taken:
                decided[k] = gapped or not (stopped and taken)
                break
    return decided


def _gains(ends: Ends, fills: pd.DataFrame) -> Floats:
    worse = fills[fills["reason"].isin(WORSE)]
    ts, quantity, price = (worse[name].to_numpy() for name in ("ts", "quantity", "price"))
    lost = np.zeros(ends.ts.size)
    for k, (exit_ts, side, take) in enumerate(zip(ends.ts, ends.side, ends.take, strict=True)):
        own = slice(np.searchsorted(ts, exit_ts), np.searchsorted(ts, exit_ts, side="right"))
        closing = np.where(quantity[own] * side < 0, -quantity[own], 0.0)
        lost[k] = (closing * (take - price[own])).sum()
    return lost
