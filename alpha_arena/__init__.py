"""Alpha Arena: a database-centred trading engine for perpetual swaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpha_arena.wiring import backtest

__all__ = ["backtest"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import `backtest` on first use, so that importing the package stays instant."""
    if name == "backtest":
        from alpha_arena.wiring import backtest

        return backtest
    raise AttributeError(f"module 'alpha_arena' has no attribute {name!r}")
