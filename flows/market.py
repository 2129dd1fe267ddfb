"""Where a market's time comes from and where `up` keeps its files."""

from __future__ import annotations

from pathlib import Path

from alpha_arena.core.errors import ConfigError
from alpha_arena.settings import Settings
from flows.timekeeper import Pace

SQLITE = "sqlite:///"
FOLDER = Path("data")


def folder_of(settings: Settings) -> Path:
    """The folder of the SQLite file; `data` for a database elsewhere."""
    url = settings.database_url
    name = url.removeprefix(SQLITE).partition("?")[0]
    return Path(name).parent if url.startswith(SQLITE) and name and name != ":memory:" else FOLDER


def pace_of(settings: Settings) -> Pace:
    """How the configured market's time goes.

    Raises:
        ConfigError: a market that does not go on.
    """
    exchange = settings.exchange
    if exchange is None or exchange.kind == "file":
        given = exchange.kind if exchange else "null"
        raise ConfigError(f"exchange={given} does not go on; schedules need a market that does: exchange=synthetic or exchange=okx")
    simulated = exchange.kind == "synthetic"
    return Pace(float(exchange.params["speed"]) if simulated else 1.0, follows_wall=not simulated)
