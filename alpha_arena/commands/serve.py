"""API and page alone."""

from __future__ import annotations

from typing import Any

from alpha_arena.settings import Settings


def run(settings: Settings) -> dict[str, Any]:
    """Serve until interrupted; the address is the first line on stdout."""
    from alpha_arena.monitor.app import serve

    serve(settings)
    return {"stopped": True}


def show(result: dict[str, Any]) -> None:
    """The address was printed at the start; nothing is left to say."""
