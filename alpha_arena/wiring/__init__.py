"""The composition root: from settings to running objects."""

from __future__ import annotations

from alpha_arena.wiring.trading import decide, sync, trade_cycle

__all__ = ["decide", "sync", "trade_cycle"]
