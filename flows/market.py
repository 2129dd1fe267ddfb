"""Where a market's time comes from."""

from __future__ import annotations

from alpha_arena.core.errors import ConfigError
from alpha_arena.settings import Settings
from flows.timekeeper import Pace

SIMULATED = ("synthetic", "embedded")


def pace_of(settings: Settings) -> Pace:
    """How the configured market's time goes.

    Raises:
        ConfigError: a market that does not go on.
    """
    exchange = settings.exchange
    if exchange is None or exchange.kind == "file":
        given = exchange.kind if exchange else "null"
        raise ConfigError(f"exchange={given} does not go on; schedules need a market that does: exchange=synthetic or exchange=okx")
    simulated = exchange.kind in SIMULATED
    return Pace(float(exchange.params["speed"]) if simulated else 1.0, follows_wall=not simulated)
