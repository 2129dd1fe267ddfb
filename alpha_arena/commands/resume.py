"""Trade on."""

from __future__ import annotations

from typing import Any

from alpha_arena.commands.orders_of_people import say
from alpha_arena.settings import Settings


def run(settings: Settings) -> dict[str, Any]:
    """Lift the pause and kill switch of a trader, or of everyone; halts stay until they are acknowledged."""
    return say(settings, lambda controls, trader, ts, by: list(controls.resume(trader, ts, by, settings.reason)))
