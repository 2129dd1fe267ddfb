"""What is computed once over stored history: signals, regimes and how each strategy has done alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TypeVar

import numpy as np

from alpha_arena.core.costs import Costs
from alpha_arena.core.errors import DataError
from alpha_arena.core.market import Market, Study
from alpha_arena.core.ports import RegimeModel, Strategy
from alpha_arena.core.types import Floats, Instrument, Signals

T = TypeVar("T")


class Lazy(Mapping[str, T]):
    """A mapping whose values are computed when first asked for."""

    def __init__(self, compute: Mapping[str, Callable[[], T]]) -> None:
        self._compute = {name: cache(call) for name, call in compute.items()}

    def __getitem__(self, name: str) -> T:
        return self._compute[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._compute)

    def __len__(self) -> int:
        return len(self._compute)


def windowed(strategy: Strategy, market: Market, window: int, first: int) -> Signals:
    """Signals in which each row is computed anew on its last `window` rows; rows before `first` are flat."""
    rows = len(market)
    columns = {name: np.full(rows, np.nan) for name in ("exposure", "stop", "take", "confidence")}
    columns["exposure"][:], columns["confidence"][:] = 0.0, 1.0
    for t in range(first, rows):
        target = strategy.signals(market.rows(max(0, t + 1 - window), t + 1)).at(-1)
        for name, values in columns.items():
            values[t] = getattr(target, name)
    return Signals(**columns)


def signals(strategy: Strategy, market: Market, window: int = 0, first: int = 0) -> Signals:
    """Signals over all rows; window 0 uses all history at each row.

    Raises:
        DataError: an exposure is not a finite number; the sum over several strategies would hide it.
    """
    made = windowed(strategy, market, window, first) if window else strategy.signals(market)
    wrong = np.flatnonzero(~np.isfinite(made.exposure))
    if wrong.size:
        bar = f"the bar of {market.symbol} that opened at {market.ts[wrong[0]]} (row {wrong[0]})"
        raise DataError(f"{type(strategy).__name__} gives {made.exposure[wrong[0]]} as exposure at {bar}; 0 means flat")
    return made


def performance(market: Market, made: Signals, costs: Costs, instrument: Instrument, leverage: float) -> Floats:
    """Equity of a strategy traded alone, costs in, starting at 1; shape [T], causal."""
    from alpha_arena.backtest.kernel import equity_curve

    return equity_curve(market, made, costs, instrument, leverage)


def study(
    markets: Mapping[str, Market],
    strategies: Mapping[str, Strategy],
    regime: RegimeModel,
    costs: Costs,
    instruments: Mapping[str, Instrument],
    window: int = 0,
    first_ts: int = 0,
) -> Study:
    """Compute, when asked for, what deciders may see of each market.

    Args:
        window: rows for each bar's signals, 0 for all. first_ts: with a window, the first bar that is traded.
    """
    made: dict[str, Lazy[Signals]] = {}
    recent: dict[str, Lazy[Floats]] = {}
    for symbol, market in markets.items():
        first = int(np.searchsorted(market.ts, first_ts))
        made[symbol] = Lazy({name: _later(signals, strategy, market, window, first) for name, strategy in strategies.items()})
        recent[symbol] = Lazy(
            {name: _performance_of(market, made[symbol], name, s, costs, instruments[symbol]) for name, s in strategies.items()}
        )
    return Study(markets, made, Lazy({symbol: _later(regime.classify, market) for symbol, market in markets.items()}), recent)


def _later(call: Callable[..., T], *args: object) -> Callable[[], T]:
    return lambda: call(*args)


def _performance_of(
    market: Market, made: Mapping[str, Signals], name: str, strategy: Strategy, costs: Costs, instrument: Instrument
) -> Callable[[], Floats]:
    return lambda: performance(market, made[name], costs, instrument, strategy.max_leverage)
