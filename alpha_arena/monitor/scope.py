"""What the monitor is told: which market, which traders' rules, who may write."""

from __future__ import annotations

from dataclasses import dataclass

from alpha_arena.core.timeframes import timeframe_ms
from alpha_arena.core.types import Instrument
from alpha_arena.settings import Settings


@dataclass(frozen=True, slots=True)
class Scope:
    """What pages and API show.

    Attributes:
        instruments: the configured symbols. timeframe: of decisions.
        source: name of the exchange that candles are read from, None for the only one that holds a symbol.
        synthetic: the market is generated, its results mean nothing.
        mode: simulated, embedded, demo or live. refresh_s: seconds between a page's questions. write: writing is allowed.
        settings: the traders' whole configuration, on whose terms the arena's benchmarks trade; None for no benchmarks.
    """

    instruments: tuple[Instrument, ...]
    timeframe: str = "1h"
    source: str | None = None
    synthetic: bool = False
    mode: str = "simulated"
    refresh_s: float = 5.0
    write: bool = False
    settings: Settings | None = None

    @property
    def bar_ms(self) -> int:
        """Length of a bar between decisions."""
        return timeframe_ms(self.timeframe)


def scope_of(settings: Settings) -> Scope:
    """The monitor's part of a configuration."""
    known = {one.symbol: one for part in (settings, *settings.traders) for one in part.symbols}
    exchange = settings.exchange
    return Scope(
        instruments=tuple(known.values()),
        timeframe=settings.timeframe,
        source=settings.source,
        synthetic=exchange is not None and exchange.kind == "synthetic",
        mode="simulated" if settings.executor.kind == "simulated" else settings.environment,
        refresh_s=settings.monitor.refresh_s,
        write=settings.monitor.write,
        settings=settings,
    )
