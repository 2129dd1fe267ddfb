"""The composition root: from settings to running objects."""

from __future__ import annotations

from alpha_arena.wiring.backtesting import backtest, run_backtest, save
from alpha_arena.wiring.trading import decide, sync, trade_cycle

__all__ = ["backtest", "decide", "run_backtest", "save", "sync", "trade_cycle"]
