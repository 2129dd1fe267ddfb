"""A decision on the newest stored bar, printed."""

from __future__ import annotations

from typing import Any

from alpha_arena.commands.shared import clock_of, database
from alpha_arena.settings import Settings


def run(settings: Settings) -> dict[str, Any]:
    """Decide; nothing is executed or recorded."""
    from alpha_arena.wiring import decide

    with database(settings) as service:
        return decide(settings, clock_of(service, settings), service)
