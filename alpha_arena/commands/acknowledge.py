"""End a trader's halt."""

from __future__ import annotations

from getpass import getuser
from typing import Any

from alpha_arena.commands.shared import clock_of, database
from alpha_arena.core.errors import ConfigError
from alpha_arena.settings import Settings


def run(settings: Settings) -> dict[str, Any]:
    """Acknowledge what halted the trader, so that it may take new risk again.

    Raises:
        ConfigError: the trader is not halted.
    """
    from alpha_arena.data.ledger import Ledger

    with database(settings) as service:
        ledger = Ledger(service, settings.trader, settings.timeframe, settings.executor.kind)
        ended = ledger.acknowledge(clock_of(service).now_ms(), getuser())
    if not ended:
        raise ConfigError(f"trader.id={settings.trader} is not halted; name the one that is with trader.id=NAME")
    return {"trader": settings.trader, "halts_ended": ended}
