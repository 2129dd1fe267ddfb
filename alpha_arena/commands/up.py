"""Everything on this machine."""

from __future__ import annotations

from typing import Any

from alpha_arena.commands.serve import show
from alpha_arena.settings import Settings


def run(settings: Settings) -> dict[str, Any]:
    """Start everything and keep it running until interrupted."""
    from flows.up import main

    return {"ok": main(settings) == 0}


__all__ = ["run", "show"]
