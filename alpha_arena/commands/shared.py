"""What several commands do: open the database, find the market's clock and source."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from alpha_arena.core.errors import ConfigError
from alpha_arena.core.timeframes import UNIT_MS

if TYPE_CHECKING:
    from alpha_arena.core.ports import Clock
    from alpha_arena.data.service import DataService
    from alpha_arena.settings import ExchangeChoice, Settings

SINCE_DAYS = 90
SQLITE = "sqlite:///"


@contextmanager
def database(settings: Settings, create: bool = False) -> Iterator[DataService]:
    """The database, closed afterwards.

    Args:
        create: migrate a SQLite file that does not exist yet.

    Raises:
        StoreError: it cannot be opened, or is not migrated.
    """
    from alpha_arena.data.service import DataService

    service = DataService(settings.database_url)
    try:
        if create and is_new(settings.database_url):
            service.upgrade()
        service.check_schema()
        yield service
    finally:
        service.close()


def is_new(url: str) -> bool:
    """Whether a URL names a SQLite file that does not exist or is empty."""
    file = Path(url.removeprefix(SQLITE).partition("?")[0])
    return url.startswith(SQLITE) and (not file.exists() or file.stat().st_size == 0)


def clock_of(service: DataService, settings: Settings | None = None) -> Clock:
    """The market's clock: the one that `up` keeps in the database; without `up`, that of a running embedded exchange; else wall time."""
    from alpha_arena.data.clock import DatabaseClock, is_kept, read_clock, wall_ms

    row = read_clock(service)
    if not (row and is_kept(row, wall_ms())) and settings and settings.exchange and settings.exchange.kind == "embedded":
        from alpha_arena.exchange.told_clock import ToldClock
        from alpha_arena.wiring.venue import host_of

        return ToldClock(host_of(settings))
    return DatabaseClock(service) if row else WallClock()


class WallClock:
    """The computer's own time."""

    def now_ms(self) -> int:
        """Now, ms since the epoch, UTC."""
        return time.time_ns() // 1_000_000


def given(settings: Settings, key: str) -> bool:
    """Whether the command line names a key or group."""
    return any(text.lstrip("+").partition("=")[0] == key for text in settings.overrides)


def chosen(settings: Settings) -> ExchangeChoice:
    """The source to import from; a file whose name does not say gets symbol and timeframe of the command line.

    Raises:
        ConfigError: none was chosen.
    """
    exchange = settings.exchange
    if exchange is None:
        raise ConfigError("exchange=null: name a source to import from: exchange=file, exchange=okx or exchange=synthetic")
    if exchange.kind != "file":
        return exchange
    said = {"symbol": settings.symbols[0].symbol, "timeframe": settings.timeframe}
    missing = {key: value for key, value in said.items() if exchange.params.get(key) is None and given(settings, key)}
    return replace(exchange, params={**exchange.params, **missing})


def wanted(settings: Settings, exchange: ExchangeChoice) -> tuple[list[str], list[str]]:
    """Symbols and timeframes to import; of files all they hold, unless some are named."""
    every = exchange.kind == "file"
    named = given(settings, "symbol") or given(settings, "symbols")
    symbols = [] if every and not named else [instrument.symbol for instrument in settings.symbols]
    traded = [] if every and not given(settings, "timeframe") else [settings.timeframe]
    return symbols, list(settings.timeframes) or traded


def since_ms(settings: Settings, exchange: ExchangeChoice, now_ms: int) -> int:
    """Where a first import starts: since_days before now, else the source's own history_days, else 90 days."""
    days = settings.since_days or int(exchange.params.get("history_days") or SINCE_DAYS)
    return now_ms - days * UNIT_MS["d"]
