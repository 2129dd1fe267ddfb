"""The rule as freqtrade's strategies are written; its levels are fixed fractions of the price, put in by the configuration."""

from __future__ import annotations

import talib
from freqtrade.strategy import IStrategy
from pandas import DataFrame

from benchmarks.peers import terms


class EmaTrend(IStrategy):
    """Entries and exits of the rule."""

    INTERFACE_VERSION = 3
    can_short = True
    timeframe = "1h"
    process_only_new_candles = False
    startup_candle_count = 0

    def populate_indicators(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        """The averages, RSI and volume."""
        close = dataframe["close"]
        for name, period in (("fast", terms.FAST), ("medium", terms.MEDIUM), ("slow", terms.SLOW)):
            dataframe[name] = talib.EMA(close, period)
        dataframe["rsi"], dataframe["mean"] = talib.RSI(close, terms.RSI), talib.SMA(dataframe["volume"], terms.VOLUME)
        return dataframe

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        """Averages in order, RSI within its bounds, on volume."""
        d = dataframe
        busy = d["volume"] > terms.BUSY * d["mean"]
        up, down = (d["fast"] > d["medium"]) & (d["medium"] > d["slow"]), (d["fast"] < d["medium"]) & (d["medium"] < d["slow"])
        d.loc[busy & up & d["rsi"].between(*terms.LONG), "enter_long"] = 1
        d.loc[busy & down & d["rsi"].between(*terms.SHORT), "enter_short"] = 1
        return d

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict) -> DataFrame:
        """Averages crossed back."""
        dataframe.loc[dataframe["fast"] < dataframe["medium"], "exit_long"] = 1
        dataframe.loc[dataframe["fast"] > dataframe["medium"], "exit_short"] = 1
        return dataframe
