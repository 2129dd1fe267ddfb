"""The embedded exchange alone."""

from __future__ import annotations

from typing import Any

from alpha_arena.commands.serve import show
from alpha_arena.settings import Settings


def run(settings: Settings) -> dict[str, Any]:
    """Serve until interrupted; address, control token and keys are the first line on stdout.

    Raises:
        ConfigError: another exchange than the embedded one was chosen, or the port is taken.
    """
    from alpha_arena.wiring.embedded import own_clock, serve_embedded

    serve_embedded(settings, own_clock(settings))
    return {"stopped": True}


__all__ = ["run", "show"]
