"""Look at everything that trading relies on; each finding with its fix."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpha_arena.commands.output import print_rows
from alpha_arena.commands.shared import WallClock, clock_of
from alpha_arena.core.errors import AlphaArenaError, StoreError
from alpha_arena.settings import Settings

if TYPE_CHECKING:
    from alpha_arena.core.ports import Clock
    from alpha_arena.data.service import DataService
    from alpha_arena.wiring.findings import Finding

COLUMNS = ("severity", "check", "on", "said", "fix")


def run(settings: Settings) -> dict[str, Any]:
    """All findings, the worst first; `ok` is false where trading would be unsafe, at an exchange also where that could not be checked."""
    from alpha_arena.wiring.consultation import sorted_worst_first

    found = sorted_worst_first(findings(settings))
    # an account of which nothing is known may hold anything, and its keys may be allowed anything
    unsafe = ("error",) if settings.executor.kind == "simulated" else ("error", "unchecked")
    return {"ok": not any(one.severity in unsafe for one in found), "findings": [asdict(one) for one in found]}


def findings(settings: Settings) -> Iterator[Finding]:
    """Of this machine, of the database, of each trader's account; nothing is written."""
    from alpha_arena.data.service import DataService
    from alpha_arena.wiring.consultation import accounts, machine, missing_database, stored
    from alpha_arena.wiring.live import account_of

    yield from machine(settings, os.environ, Path.cwd())
    try:
        service = DataService(settings.database_url, read_only=True)
    except StoreError as error:
        yield missing_database(error)
        yield from accounts(settings, WallClock(), os.environ, account_of)
        return
    try:
        clock = clock_at(service, settings)
        yield from stored(settings, service, clock)
        yield from accounts(settings, clock, os.environ, account_of)
    finally:
        service.close()


def clock_at(service: DataService, settings: Settings) -> Clock:
    """The market's clock; wall time where it cannot be read, of which more is said by the checks themselves."""
    try:
        return clock_of(service, settings)
    except AlphaArenaError:
        return WallClock()


def show(result: dict[str, Any]) -> None:
    """A table, the worst first."""
    rows = [{**one, "on": " ".join(filter(None, [one["trader"], one["symbol"]]))} for one in result["findings"]]
    wrong = any(row["severity"] == "error" for row in rows)
    said = (
        "trading would be safe" if result["ok"] else "trading would be unsafe" if wrong else "it is not known whether trading would be safe"
    )
    print_rows([{name: row[name] for name in COLUMNS} for row in rows], said)
