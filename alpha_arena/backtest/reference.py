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
from alpha_arena.core.market import Market
from alpha_arena.core.types import REGIMES, UNKNOWN_REGIME, Floats, Ints, Regimes

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
    """Price over the first close, without costs, the mean of symbols held in equal parts; shape [T]. A missing bar keeps the last price."""
    rows = {symbol: np.maximum(np.searchsorted(market.ts, ts, side="right") - 1, 0) for symbol, market in markets.items()}
    return sum((market.close[rows[symbol]] / market.close[0] for symbol, market in markets.items()), np.zeros(ts.size)) / len(markets)


def hold_at(returns: Floats, exposure: float) -> Floats:
    """Growth of holding at a constant exposure, set anew at each close without costs; 1 before the first bar, 0 once ruined; shape [T + 1].

    Args:
        returns: of buying and holding, a bar.
    """
    return np.concatenate([[1.0], np.cumprod(np.maximum(1 + exposure * returns, 0.0))])


def hold_figures(returns: Floats, exposure: float, ppy: float) -> dict[str, float]:
    """Of holding at a constant exposure; NaN where the exposure is not defined."""
    growth = hold_at(returns, exposure)
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
    """Buying and holding, the same at the run's mean exposure (short positions count against long ones), and at its volatility.

    Args:
        hold: growth of buying and holding at each close, shape [T].
    """
    held, own = figures.returns(figures.curve(1.0, hold)), figures.returns(figures.curve(record.initial_capital, record.equity))
    net = np.where(record.equity > 0, record.exposure, 0.0)
    matched = {"exposure": figures.mean(net), "volatility": figures.ratio(figures.deviation(own), figures.deviation(held))}
    return {
        "buy_and_hold": hold_figures(held, 1.0, ppy),
        "matched_hold": {name: hold_figures(held, exposure, ppy) for name, exposure in matched.items()},
    }


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
