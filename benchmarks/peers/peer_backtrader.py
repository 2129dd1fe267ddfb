"""backtrader: the rule with its TA-Lib wrappers and bracket orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backtrader as bt
import pandas as pd

from benchmarks.peers import terms
from benchmarks.peers.terms import Columns


class EmaTrend(bt.Strategy):
    """As in peer_backtesting.py."""

    def __init__(self) -> None:
        d = self.data
        self.fast, self.medium, self.slow = (bt.talib.EMA(d.close, timeperiod=period) for period in (terms.FAST, terms.MEDIUM, terms.SLOW))
        self.rsi, self.mean = bt.talib.RSI(d.close, timeperiod=terms.RSI), bt.talib.SMA(d.volume, timeperiod=terms.VOLUME)
        self.atr = bt.talib.ATR(d.high, d.low, d.close, timeperiod=terms.ATR)
        self.held, self.closed, self.brackets = False, 0, []

    def notify_trade(self, trade: Any) -> None:
        """Count round trips."""
        self.closed += trade.isclosed

    def next(self) -> None:
        """At a close."""
        fast, medium, slow = self.fast[0], self.medium[0], self.slow[0]
        held, self.held = self.held, bool(self.position)
        if self.position:
            if fast < medium if self.position.size > 0 else fast > medium:
                for order in self.brackets[1:]:
                    self.cancel(order)
                self.close()
                self.held = False
            return
        if held or not self.data.volume[0] > terms.BUSY * self.mean[0]:
            return
        price, unit, rsi = self.data.close[0], self.atr[0], self.rsi[0]
        size = int(terms.SIZE * self.broker.getvalue() / price)
        levels = {"size": size, "exectype": bt.Order.Market}
        if fast > medium > slow and terms.LONG[0] <= rsi <= terms.LONG[1]:
            self.brackets = self.buy_bracket(stopprice=price - terms.STOP * unit, limitprice=price + terms.TAKE * unit, **levels)
        elif fast < medium < slow and terms.SHORT[0] <= rsi <= terms.SHORT[1]:
            self.brackets = self.sell_bracket(stopprice=price + terms.STOP * unit, limitprice=price - terms.TAKE * unit, **levels)


def engine(variant: str) -> Callable[[Columns], dict[str, Any]]:
    """A full run with drawdown and Sharpe ratio."""

    def run(c: Columns) -> dict[str, Any]:
        columns = {name: c[name] for name in ("open", "high", "low", "close", "volume")}
        frame = pd.DataFrame(columns, index=pd.to_datetime(c["ts"], unit="ms"))
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(bt.feeds.PandasData(dataname=frame))
        cerebro.addstrategy(EmaTrend)
        cerebro.addanalyzer(bt.analyzers.DrawDown)
        cerebro.broker.setcash(terms.CASH)
        cerebro.broker.setcommission(terms.FEE)
        made = cerebro.run()[0]
        return {"total_return": cerebro.broker.getvalue() / terms.CASH - 1, "trades": made.closed}

    return run
