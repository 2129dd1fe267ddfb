"""Bring the accounts up to date."""

from __future__ import annotations

from typing import Any

from alpha_arena.commands.shared import clock_of, database
from alpha_arena.settings import Settings


def run(settings: Settings) -> dict[str, Any]:
    """Apply closed bars to each trader's account; idempotent by bar."""
    from alpha_arena.wiring import sync

    with database(settings) as service:
        return sync(settings, clock_of(service, settings), service)
