"""The composition root: from settings to running objects, imported when asked for, so that a backtest of a frame loads no database."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpha_arena.wiring.backtesting import backtest, run_backtest, save
    from alpha_arena.wiring.trading import decide, sync, trade_cycle

__all__ = ["backtest", "decide", "run_backtest", "save", "sync", "trade_cycle"]
TRADING = ("decide", "sync", "trade_cycle")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'alpha_arena.wiring' has no attribute {name!r}")
    return getattr(import_module(f"alpha_arena.wiring.{'trading' if name in TRADING else 'backtesting'}"), name)
