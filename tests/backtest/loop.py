"""The trading loop made to follow given signals, so that it can be compared with the kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from alpha_arena.backtest.record import Record
from alpha_arena.core.costs import Costs
from alpha_arena.core.market import Market, Study, View
from alpha_arena.core.types import Instrument, Regimes, Signals, Target
from alpha_arena.engine import Trader
from alpha_arena.wiring.backtesting import play, record_of, window


class Script:
    """A decider that reads its targets from signals.

    Args:
        signals, forced: a row a bar. leverage: notional / margin.
    """

    def __init__(self, signals: Signals, forced: np.ndarray, leverage: float) -> None:
        self.signals, self.forced, self.leverage = signals, forced, leverage

    def decide(self, view: View) -> Mapping[str, Target]:
        """Row t; a demand is made where it reduces what is held, as risk rules do."""
        return {symbol: self._target(view, symbol, t) for symbol, t in view.t.items()}

    def _target(self, view: View, symbol: str, t: int) -> Target:
        target, held = self.signals.at(t), view.exposure(symbol)
        return replace(target, forced=bool(self.forced[t]) and min(abs(target.exposure), 0.98 * self.leverage) < abs(held))


def looped(
    market: Market,
    signals: Signals,
    costs: Costs,
    instrument: Instrument,
    leverage: float,
    initial_capital: float,
    forced: np.ndarray,
    fixed_equity: float | None = None,
    detail: Market | None = None,
) -> Record:
    """As `simulate`, through the loop."""
    nothing = np.full(len(market), np.nan)
    regimes = Regimes(np.full(len(market), -1, np.int8), nothing, nothing, nothing, nothing, nothing)
    study = Study({market.symbol: market}, {market.symbol: {}}, {market.symbol: regimes}, {market.symbol: {}})
    instruments = {market.symbol: instrument}
    trader = Trader("script", "1h", instruments, Script(signals, forced, leverage), [], costs, "script", fixed_equity)
    details = {market.symbol: detail} if detail is not None else {}
    store = play(study, trader, initial_capital, window(study.markets, None, None), details=details)
    return record_of(store, study.markets, initial_capital)
