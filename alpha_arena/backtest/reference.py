"""What a run is held against: the cost that it could bear, holding with its exposure or its volatility, and each market regime."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alpha_arena.backtest import statistics as figures
from alpha_arena.backtest.record import Record, of_symbol
from alpha_arena.core.funding import complete
from alpha_arena.core.market import Market
from alpha_arena.core.types import REGIMES, UNKNOWN_REGIME, Floats, Funding, Ints, Regimes

Codes = NDArray[np.int8]

UNKNOWN_CODE = -1


def costs_per_side(costs: Mapping[str, float], traded: float) -> dict[str, float]:
    """What trading a side cost, and what it could have cost before the net result is 0, as fractions of notional; NaN without trading.

    Args:
        costs: gross, fees, slippage, funding, net, quote currency. traded: notional of all fills, each way counts.
    """
    paid = costs["fees"] + costs["slippage"] + costs["funding"]
    return {"break_even_cost": figures.ratio(costs["gross"], traded), "cost_per_side": figures.ratio(paid, traded)}


def buy_and_hold(markets: Mapping[str, Market], ts: Ints) -> Floats:
    """Growth of buying at the first close and keeping it, symbols in equal parts, funding paid, fee and slippage left out; shape [T].

    A missing bar keeps the last price; what is lost whole stays lost.
    """
    worth, paid = _held(markets, ts)
    return np.where(np.logical_or.accumulate(worth <= paid), 0.0, worth - paid)


def hold_returns(markets: Mapping[str, Market], ts: Ints) -> Floats:
    """Of a long in each bar, funding paid, as a fraction of its own worth at the close before; shape [T]."""
    worth, paid = _held(markets, ts)
    return np.concatenate([[0.0], np.diff(worth - paid) / worth[:-1]])


def _held(markets: Mapping[str, Market], ts: Ints) -> tuple[Floats, Floats]:
    """What was bought for 1 at the first close, at each close: its worth, and the funding that it has paid since; the mean of symbols."""
    rows = {symbol: np.maximum(np.searchsorted(market.ts, ts, side="right") - 1, 0) for symbol, market in markets.items()}
    worth, paid = np.zeros(ts.size), np.zeros(ts.size)
    for symbol, market in markets.items():
        part = len(markets) * market.close[0]
        worth += market.close[rows[symbol]] / part
        paid += funding_paid(market)[rows[symbol]] / part
    return worth, paid


def funding_paid(market: Market) -> Floats:
    """By one unit that is bought as the second bar opens, up to each close; quote currency, positive when paid; shape [T].

    Which settlements count and at which price is the simulation's rule (specs: simulation, steps 1 and 6), so that a trader who holds pays
    the same.
    """
    ts, last = market.ts, int(market.ts[-1]) + market.bar_ms - 1
    known = complete(Funding(market.funding_ts, market.funding_rate), last, market.bar_ms)
    due = (known.ts > ts[min(1, ts.size - 1)]) & (known.ts <= last)
    at, rate = known.ts[due], known.rate[due]
    before = np.searchsorted(ts, at, side="right") - 1
    inside = (at > ts[before]) & (at < ts[before] + market.bar_ms)
    row = np.where(inside, before, np.searchsorted(ts, at))
    price = np.where(inside, market.close[row], market.open[row])
    return np.cumsum(np.bincount(row, rate * price, ts.size))


def hold_at(returns: Floats, exposure: float) -> Floats:
    """Growth of holding at a constant exposure, set anew at each close without fees; 1 before the first bar, 0 once ruined; shape [T + 1].

    Args:
        returns: of holding, a bar (`hold_returns`).
    """
    return np.concatenate([[1.0], np.cumprod(np.maximum(1 + exposure * returns, 0.0))])


def hold_figures(growth: Floats, exposure: float, ppy: float) -> dict[str, float]:
    """Of holding with such a growth from 1, at such an exposure; NaN where the exposure is not defined."""
    r = figures.returns(growth)
    if np.isnan(growth[-1]):
        return {"exposure": exposure, **dict.fromkeys(("total_return", "cagr", "sharpe", "volatility", "max_drawdown"), nan)}
    return {
        "exposure": exposure,
        "total_return": float(growth[-1]) - 1,
        "cagr": figures.cagr(growth, ppy),
        "sharpe": figures.sharpe(r, ppy),
        "volatility": figures.volatility(r, ppy),
        "max_drawdown": figures.max_drawdown(growth),
    }


def holds(record: Record, hold: Floats, ppy: float) -> dict[str, Any]:
    """Buying and holding, the same at the run's mean size (longs and shorts alike), at its mean net exposure (short positions count
    against long ones, so that one who is long as often as short has next to none), and at its volatility.

    Args:
        hold: growth of buying and holding at each close, shape [T].
    """
    held, own = hold_returns(record.markets, record.ts), figures.returns(figures.curve(record.initial_capital, record.equity))
    net = np.where(record.equity > 0, record.exposure, 0.0)
    size = figures.mean(leverages(record))
    matched = {"size": size, "net": figures.mean(net), "volatility": figures.ratio(figures.deviation(own), figures.deviation(held))}
    return {
        "buy_and_hold": hold_figures(figures.curve(1.0, hold), 1.0, ppy),
        "matched_hold": {name: hold_figures(hold_at(held, exposure), exposure, ppy) for name, exposure in matched.items()},
    }


def leverages(record: Record) -> Floats:
    """Notional / equity at each close, longs and shorts alike, 0 once ruined; shape [T]."""
    return np.divide(record.notional, record.equity, out=np.zeros(record.equity.size), where=record.equity > 0)


def known_regimes(market: Market, regimes: Regimes, ts: Ints) -> Codes:
    """Codes of the regime that was known when each bar opened, that of the last close before it; -1 before the first.

    Args:
        regimes: of the market's rows, those before the first of the bars too. ts: opens of the bars, shape [T].
    """
    rows = np.searchsorted(market.ts, ts, side="left") - 1
    return np.where(rows >= 0, regimes.code[np.maximum(rows, 0)], UNKNOWN_CODE).astype(np.int8)


def by_regime(record: Record, hold: Floats, regimes: Mapping[str, Codes], ppy: float) -> dict[str, dict[str, Any]]:
    """Figures of the bars that opened in each regime, by symbol; trades count where they were entered.

    Several symbols share one account: its return is then told for each symbol's regimes.

    Args:
        regimes: by symbol, as of known_regimes for the record's bars.
    """
    own, held = figures.returns(figures.curve(record.initial_capital, record.equity)), figures.returns(figures.curve(1.0, hold))
    out: dict[str, dict[str, Any]] = {}
    for symbol, codes in regimes.items():
        trades = of_symbol(record.trades, symbol)
        entered = codes[np.searchsorted(record.ts, trades["entry_ts"].to_numpy())]
        named = [*enumerate(REGIMES), (UNKNOWN_CODE, UNKNOWN_REGIME)]
        out[symbol] = {
            name: _in_regime(own[codes == code], held[codes == code], trades[entered == code], codes.size, ppy)
            for code, name in named
            if (codes == code).any()
        }
    return out


def _in_regime(own: Floats, held: Floats, trades: pd.DataFrame, bars: int, ppy: float) -> dict[str, Any]:
    pnl = trades["pnl"].to_numpy()
    return {
        "time_share": own.size / bars,
        "total_return": float(np.prod(1 + own)) - 1,
        "hold_return": float(np.prod(1 + held)) - 1,
        "sharpe": figures.sharpe(own, ppy),
        "trades": int(pnl.size),
        "win_rate": figures.win_rate(pnl),
        "pnl": float(pnl.sum()),
    }
