"""No new entries."""

from __future__ import annotations

from typing import Any

from alpha_arena.commands.orders_of_people import say
from alpha_arena.settings import Settings


def run(settings: Settings) -> dict[str, Any]:
    """Pause entries of a trader, or of everyone; exits and stops go on."""
    return say(settings, lambda controls, trader, ts, by: controls.pause(trader, ts, by, settings.reason))
