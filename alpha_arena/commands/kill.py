"""Stop all trading."""

from __future__ import annotations

from typing import Any

from alpha_arena.commands.orders_of_people import say
from alpha_arena.settings import Settings


def run(settings: Settings) -> dict[str, Any]:
    """Switch everyone, or one trader, off: nothing is opened from now on; positions are kept with their stops, or closed, by `policy`."""
    return say(settings, lambda controls, trader, ts, by: controls.kill(trader, ts, by, settings.policy, settings.reason))
