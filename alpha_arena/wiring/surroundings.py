"""What `doctor` looks at on this machine: switches, keys, database, disk, stored candles, halts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from alpha_arena.core.errors import AlphaArenaError, StoreError
from alpha_arena.core.ports import Clock
from alpha_arena.core.timeframes import timeframe_ms
from alpha_arena.data import queries
from alpha_arena.data.controls import Controls
from alpha_arena.data.health import damage
from alpha_arena.data.service import DataService
from alpha_arena.settings import Settings
from alpha_arena.settings.gates import Asked, gate, switch
from alpha_arena.wiring.findings import Finding

LITTLE_BYTES = 1_000_000_000
TOO_LITTLE_BYTES = 100_000_000
STALE_BARS = 2.0
OTHERS = 0o077


def reach(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Where this trader's orders would go if it were started now."""
    asked = Asked(
        command="trade",
        executor=settings.executor.kind,
        exchange=settings.exchange.kind if settings.exchange else "",
        rules=bool(settings.rules),
        trading=switch(environ, "TRADING_ENABLED", False),
        demo=switch(environ, "OKX_IS_DEMO", True),
        confirmed=False,
    )
    try:
        yield Finding("ok", "orders", f"go to: {gate(asked)}")
    except AlphaArenaError as closed:
        yield Finding("info", "orders", f"would be refused ({settings.environment}): {closed}", "as it says, if that is what you want")


def dotenv(folder: Path) -> Iterator[Finding]:
    """Whether others may read the file of secrets."""
    file = folder / ".env"
    if os.name == "posix" and file.is_file() and file.stat().st_mode & OTHERS:
        yield Finding("warning", "secrets", f"{file} can be read by others", f"chmod 600 {file}")


def disk(folder: Path) -> Iterator[Finding]:
    """Whether the database can grow."""
    there = next(one for one in (folder, *folder.resolve().parents) if one.exists())
    free = shutil.disk_usage(there).free
    said = f"{free / 1e9:.1f} GB free at {there.resolve()}"
    fix = "free some space: an intent that cannot be written is not sent"
    if free < LITTLE_BYTES:
        yield Finding("error" if free < TOO_LITTLE_BYTES else "warning", "disk", said, fix)
    else:
        yield Finding("ok", "disk", said)


def database(service: DataService) -> Iterator[Finding]:
    """Whether the file is sound and the schema ours."""
    try:
        service.check_schema()
    except StoreError as error:
        yield Finding("error", "database", str(error), "alpha-arena db upgrade, or database.url=")
        return
    broken = damage(service)
    if broken:
        yield Finding("error", "database", f"it is damaged: {broken}", "restore a backup; positions are read from the exchange again")
    else:
        yield Finding("ok", "database", "sound, schema up to date")


def data(settings: Settings, service: DataService, clock: Clock) -> Iterator[Finding]:
    """Whether the newest closed bar of each symbol is young enough to decide on."""
    for instrument in settings.symbols:
        symbol, bar_ms = instrument.symbol, timeframe_ms(settings.timeframe)
        newest = None
        with suppress(AlphaArenaError):
            market = service.market(symbol, settings.timeframe, exchange=settings.source, limit=1)
            newest = int(market.ts[-1]) if len(market) else None
        if newest is None:
            yield Finding("warning", "data", f"no closed {settings.timeframe} candles are stored", "alpha-arena ingest", symbol=symbol)
            continue
        try:
            yield age(symbol, settings.timeframe, (clock.now_ms() - newest) / bar_ms - 1)
        except AlphaArenaError as error:
            yield Finding("unchecked", "data", f"the newest close may be old: {error}", "see the other findings", symbol=symbol)


def age(symbol: str, timeframe: str, bars: float) -> Finding:
    """Of the newest close, in bars of the timeframe."""
    said = f"newest {timeframe} close is {max(bars, 0.0):.1f} bars old"
    if bars <= STALE_BARS:
        return Finding("ok", "data", said, symbol=symbol)
    return Finding("error", "data", f"{said}, more than {STALE_BARS:g} is stale", "alpha-arena ingest, or start up", symbol=symbol)


def switches(service: DataService, traders: Iterable[str]) -> Iterator[Finding]:
    """What people have told traders to do, and has not been taken back."""
    controls = Controls(service)
    for trader in traders:
        told = controls.state(trader)
        if told.no_entries:
            yield Finding("warning", "switches", told.no_entries, "alpha-arena resume, when trading is to go on", trader)


def halts(service: DataService, traders: Iterable[str]) -> Iterator[Finding]:
    """What keeps traders from new risk until a person has looked."""
    every: Sequence[Mapping[str, object]] = queries.halts(service)
    for trader in traders:
        for row in (row for row in every if row["trader"] == trader):
            yield Finding(
                "warning", "halt", str(row["reason"]), f"alpha-arena acknowledge trader.id={trader}, once you have looked", trader
            )
