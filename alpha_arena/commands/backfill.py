"""Store a range of candles and funding."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from alpha_arena.commands.ingest import progress_of, show, summary
from alpha_arena.commands.shared import chosen, clock_of, database, since_ms, wanted
from alpha_arena.core.errors import ConfigError
from alpha_arena.settings import Settings

if TYPE_CHECKING:
    from alpha_arena.settings import ExchangeChoice


def run(settings: Settings) -> dict[str, Any]:
    """Import start <= ts < end; from since_days ago where no start is given, up to now where no end is."""
    from alpha_arena.ingest import backfill, remembered

    exchange = chosen(settings)
    began = perf_counter()
    with database(settings, create=True) as service:
        clock = clock_of(service, settings)
        now_ms = clock.now_ms()
        symbols, timeframes = wanted(settings, exchange)
        end_ms = now_ms if settings.end_ms is None else settings.end_ms
        source = exchange.source(clock)
        start_ms, told = start_of(settings, exchange, end_ms), progress_of()
        reports = remembered(service, now_ms, lambda: backfill(service, source, symbols, timeframes, start_ms, end_ms, told))
    return summary(reports, perf_counter() - began)


def start_of(settings: Settings, exchange: ExchangeChoice, end_ms: int) -> int:
    """Where the range starts, ms; of files their beginning.

    Raises:
        ConfigError: neither start nor since_days is given.
    """
    if settings.start_ms is not None:
        return settings.start_ms
    if settings.since_days is None and exchange.kind == "file":
        return 0
    if settings.since_days is None:
        raise ConfigError("start= and since_days= are both missing; give one, such as start=2024-01-01 or since_days=180")
    return since_ms(settings, exchange, end_ms)


__all__ = ["run", "show", "start_of"]
