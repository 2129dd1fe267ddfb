"""backtesting.py: the rule, and the anchor on its bundled data."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pandas as pd
import talib
from backtesting import Backtest, Strategy

from benchmarks.peers import terms
from benchmarks.peers.terms import Columns

NAMES = {"open": "Open", "high": "High", "low": "Low", "close": "Close", "volume": "Volume"}
warnings.filterwarnings("ignore")


class EmaTrend(Strategy):
    """The rule; after an exit at a level it enters at the following close at the earliest, as ours does."""

    def init(self) -> None:
        """Indicators over all bars."""
        d = self.data
        self.fast, self.medium, self.slow = (self.I(talib.EMA, d.Close, period) for period in (terms.FAST, terms.MEDIUM, terms.SLOW))
        self.rsi, self.mean = self.I(talib.RSI, d.Close, terms.RSI), self.I(talib.SMA, d.Volume, terms.VOLUME)
        self.atr = self.I(talib.ATR, d.High, d.Low, d.Close, terms.ATR)
        self.held = False

    def next(self) -> None:
        """At a close."""
        fast, medium, slow = self.fast[-1], self.medium[-1], self.slow[-1]
        held, self.held = self.held, bool(self.position)
        if self.position:
            if fast < medium if self.position.is_long else fast > medium:
                self.position.close()
                self.held = False
            return
        if held or not self.data.Volume[-1] > terms.BUSY * self.mean[-1]:
            return
        price, unit, rsi = self.data.Close[-1], self.atr[-1], self.rsi[-1]
        if fast > medium > slow and terms.LONG[0] <= rsi <= terms.LONG[1]:
            self.buy(size=terms.SIZE, sl=price - terms.STOP * unit, tp=price + terms.TAKE * unit)
        elif fast < medium < slow and terms.SHORT[0] <= rsi <= terms.SHORT[1]:
            self.sell(size=terms.SIZE, sl=price + terms.STOP * unit, tp=price - terms.TAKE * unit)


def engine(variant: str) -> Callable[[Columns], dict[str, Any]]:
    """A full run with its figures."""

    def run(c: Columns) -> dict[str, Any]:
        frame = pd.DataFrame({theirs: c[ours] for ours, theirs in NAMES.items()}, index=pd.to_datetime(c["ts"], unit="ms"))
        made = Backtest(frame, EmaTrend, cash=terms.CASH, commission=terms.FEE).run()
        return {"total_return": float(made["Return [%]"]) / 100, "trades": int(made["# Trades"]), "sharpe": float(made["Sharpe Ratio"])}

    return run


class SmaCross(Strategy):
    """Its documentation's example with averages over 10 and 20 bars: always long or short after the first crossing."""

    def init(self) -> None:
        """Both averages."""
        self.fast, self.slow = (self.I(lambda close, n=n: pd.Series(close).rolling(n).mean(), self.data.Close) for n in (10, 20))

    def next(self) -> None:
        """At a close."""
        if self.fast[-2] < self.slow[-2] and self.fast[-1] > self.slow[-1]:
            self.buy()
        elif self.slow[-2] < self.fast[-2] and self.slow[-1] > self.fast[-1]:
            self.sell()


def parity() -> dict[str, Any]:
    """Case A1: what it makes of its bundled prices, and these prices, read from where it is installed."""
    from backtesting.test import GOOG

    test = Backtest(GOOG, SmaCross, cash=10_000, commission=0.002, exclusive_orders=True, finalize_trades=True)
    made = test.run()
    figures = {"total_return": float(made["Return [%]"]) / 100, "trades": int(made["# Trades"])}
    trades = made["_trades"][["EntryBar", "ExitBar", "Size", "EntryPrice", "ExitPrice", "PnL"]].to_numpy().tolist()
    columns = {ours: GOOG[theirs].tolist() for ours, theirs in NAMES.items()}
    return {**figures, "columns": columns, "each": trades, "final": float(made["Equity Final [$]"])}
