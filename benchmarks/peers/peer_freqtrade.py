"""freqtrade: its Backtesting class on bars in memory, its exchange told of one market, so that nothing is asked of a network."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import talib
from freqtrade.configuration import TimeRange
from freqtrade.enums import CandleType, MarginMode, RunMode, TradingMode
from freqtrade.exchange import Binance
from freqtrade.optimize.backtesting import Backtesting

from benchmarks.peers import terms
from benchmarks.peers.terms import Columns

PAIR = "BTC/USDT:USDT"
NO_LIMITS = {name: {"min": None, "max": None} for name in ("amount", "price", "cost", "leverage")}
MARKET = {
    "symbol": PAIR,
    "base": "BTC",
    "quote": "USDT",
    "settle": "USDT",
    "active": True,
    "spot": False,
    "swap": True,
    "future": False,
    "linear": True,
    "type": "swap",
    "contractSize": 1.0,
    "precision": {"amount": 1.0, "price": 1e-8},
    "limits": NO_LIMITS,
    "info": {},
}
TIER = {"minNotional": 0.0, "maxNotional": None, "maintenanceMarginRate": 0.004, "maxLeverage": 10.0, "maintAmt": 0.0}
logging.disable(logging.CRITICAL)


class Told(Binance):
    """An exchange that knows one market and its margin tier without asking."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config, validate=False, load_leverage_tiers=False)
        self._markets, self._leverage_tiers = {PAIR: MARKET}, {PAIR: [TIER]}

    def reload_markets(self, force: bool = False, *, load_leverage_tiers: bool = True) -> None:
        """Nothing is asked."""


def configuration(folder: str, stop: float, take: float) -> dict[str, Any]:
    """One pair, one position of 60 % of the balance, fixed stop and take as fractions of the price."""
    pricing = {"price_side": "other", "use_order_book": False, "order_book_top": 1}
    return {
        "runmode": RunMode.BACKTEST,
        "exchange": {"name": "binance", "pair_whitelist": [PAIR], "pair_blacklist": []},
        "pairlists": [{"method": "StaticPairList"}],
        "strategy": "EmaTrend",
        "strategy_path": str(Path(__file__).parent / "freqtrade_rule"),
        "trading_mode": TradingMode.FUTURES,
        "margin_mode": MarginMode.ISOLATED,
        "candle_type_def": CandleType.FUTURES,
        "timeframe": "1h",
        "stake_currency": "USDT",
        "stake_amount": "unlimited",
        "tradable_balance_ratio": terms.SIZE,
        "max_open_trades": 1,
        "dry_run": True,
        "dry_run_wallet": terms.CASH,
        "fee": terms.FEE,
        "stoploss": -stop,
        "minimal_roi": {"0": take},
        "entry_pricing": pricing,
        "exit_pricing": pricing,
        "user_data_dir": Path(folder),
        "datadir": Path(folder),
        "dataformat_ohlcv": "feather",
        "export": "none",
        "order_types": {"entry": "market", "exit": "market", "stoploss": "market", "stoploss_on_exchange": False},
        "enable_protections": False,
    }


def tester(folder: str, c: Columns) -> Backtesting:
    """Everything that does not belong to a run; its level is the median ATR, since a fixed one is all that is asked of it."""
    unit = float(pd.Series(talib.ATR(c["high"], c["low"], c["close"], terms.ATR) / c["close"]).median())
    config = configuration(folder, terms.STOP * unit, terms.TAKE * unit)
    tested = Backtesting(config, Told(config))
    tested.detail_data, tested.futures_data, tested.funding_fee_timeframe_secs = {}, {PAIR: pd.DataFrame()}, 8 * 3600
    return tested


def engine(variant: str) -> Callable[[Columns], dict[str, Any]]:
    """Its strategy's columns and its loop, without the tables of its report; what it reads of a configuration is done once."""
    ready: dict[int, Backtesting] = {}
    folder = tempfile.mkdtemp()

    def run(c: Columns) -> dict[str, Any]:
        if len(c["ts"]) not in ready:
            ready[len(c["ts"])] = tester(folder, c)
        tested = ready[len(c["ts"])]
        columns = {name: c[name] for name in ("open", "high", "low", "close", "volume")}
        frame = pd.DataFrame({"date": pd.to_datetime(c["ts"], unit="ms", utc=True).as_unit("ns"), **columns})
        tested.backtest_one_strategy(tested.strategylist[0], {PAIR: frame}, TimeRange())
        made = tested.all_bt_content["EmaTrend"]
        return {"total_return": made["final_balance"] / terms.CASH - 1, "trades": len(made["results"])}

    return run
