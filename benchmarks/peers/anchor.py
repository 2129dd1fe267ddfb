"""Case A1: averages over 10 and 20 days crossing on the prices that backtesting.py bundles, traded by our kernel as that library trades.

Whole shares for all the money there is when the order fills, 0.2 % of each fill, long or short from the first crossing on, sold at the
last bar's open. So: leverage 1; targets that are fractions of a sum far beyond the account (`equity=`), so that what cash carries at the
open decides the size; and a threshold that leaves a held position as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from alpha_arena.backtest.kernel import Simulation, simulate
from alpha_arena.core.costs import Costs
from alpha_arena.core.market import Market
from alpha_arena.core.types import Candles, Floats, Instrument, Signals
from alpha_arena.features.indicators import lagged, rolling_mean

DAY_MS = 86_400_000
CAPITAL, BEYOND = 10_000.0, 1e9
COSTS = Costs(0.002, 0.002, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1)
SHARE = Instrument("GOOG", 1.0, 0.01, 1.0, 1.0, "2013-03-01")
TRADES, RETURN = 94, 4.55745129


def crossings(close: Floats, fast: int = 10, slow: int = 20) -> Signals:
    """Long since the fast average last crossed above the slow one, short since it crossed below, flat at the end."""
    above = rolling_mean(close, fast) - rolling_mean(close, slow)
    before = lagged(above, 1)
    turned = np.where((before < 0) & (above > 0), 1.0, np.where((before > 0) & (above < 0), -1.0, 0.0))
    last = np.maximum.accumulate(np.where(turned != 0, np.arange(close.size), 0))
    side = turned[last]
    side[-2:] = 0.0
    none = np.full(close.size, np.nan)
    return Signals(0.98 * side, none, none, np.ones(close.size))


def traded(columns: Mapping[str, Sequence[float] | Floats]) -> Simulation:
    """The case on any daily prices."""
    prices = {name: np.asarray(values, np.float64) for name, values in columns.items()}
    ts = DAY_MS * np.arange(prices["close"].size, dtype=np.int64)
    market = Market.of("GOOG", DAY_MS, Candles(ts, *(prices[name] for name in ("open", "high", "low", "close", "volume"))))
    return simulate(market, crossings(market.close), COSTS, SHARE, 1.0, CAPITAL, fixed_equity=BEYOND)


def compared(theirs: Mapping[str, Any]) -> str:
    """A sentence on what they and we make of it."""
    made = traded(theirs["columns"])
    ours = made.equity[-1] / CAPITAL - 1
    points = 100 * abs(ours - theirs["total_return"])
    fits = len(made.trades) == theirs["trades"] == TRADES and points < 0.01 and abs(ours - RETURN) < 1e-4
    return (
        f"A1 (SMA 10/20, bundled GOOG): backtesting.py {theirs['trades']} trades, {theirs['total_return']:.6%}; "
        f"ours {len(made.trades)} trades, {ours:.6%}; {points:.2g} points apart: {'the same' if fits else 'NOT the same'}"
    )
