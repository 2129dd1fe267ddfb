"""Ingest, trade and sync, again and again, in this process and without a scheduler."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from alpha_arena.commands import ingest, sync, trade
from alpha_arena.core.errors import TransientError
from alpha_arena.settings import Loop, Settings


def run(settings: Settings, monotonic: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> dict[str, Any]:
    """Repeat every schedule.interval_s seconds until interrupted, or loop.cycles times."""
    most = settings.action.cycles if isinstance(settings.action, Loop) else None
    done: list[dict[str, Any]] = []
    while most is None or len(done) < most:
        began = monotonic()
        done = [*done[-99:], cycle(settings)] if most is None else [*done, cycle(settings)]
        if most is None or len(done) < most:
            sleep(max(settings.schedule.interval_s - (monotonic() - began), 0.0))
    return {"cycles": done}


def cycle(settings: Settings) -> dict[str, Any]:
    """One turn; a source that is out of reach for a while is said and tried again at the next."""
    made: dict[str, Any] = {"rows": 0, "decisions": 0, "bars": 0, "error": None}
    try:
        made["rows"] = ingest.run(settings)["inserted"]
        if settings.schedule.trade:
            made["decisions"] = len(trade.run(settings)["decisions"])
        if settings.schedule.sync:
            made["bars"] = sum(one["bars"] for one in sync.run(settings)["traders"])
    except TransientError as error:
        made["error"] = str(error)
    sys.stderr.write(f"loop: {made['rows']} new bars, {made['decisions']} decisions, {made['error'] or 'no error'}\n")
    return made
