"""Close positions now."""

from __future__ import annotations

from typing import Any

from alpha_arena.commands.orders_of_people import say
from alpha_arena.settings import Settings


def run(settings: Settings) -> dict[str, Any]:
    """Have a trader, or everyone, close its positions at its next cycle or sync; it trades on unless it is paused."""
    return say(settings, lambda controls, trader, ts, by: controls.close_now(trader, ts, by, settings.reason))
