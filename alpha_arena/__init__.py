"""Alpha Arena: a database-centred trading engine for perpetual swaps."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["backtest"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `backtest` on first use, so that importing the package stays instant."""
    if name == "backtest":
        return import_module("alpha_arena.backtest")
    raise AttributeError(f"module 'alpha_arena' has no attribute {name!r}")
