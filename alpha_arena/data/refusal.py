"""A driver's error as one sentence with the next step."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from alpha_arena.core.errors import StoreError

UPGRADE = "it is not migrated; run alpha-arena db upgrade"
CHOOSE = "choose another with database.url="
REASONS = {
    "locked": "another process holds it; try again, or stop that process",
    "locknotavailable": "another process holds it; try again, or stop that process",
    "readonly": f"it may not be written to; change its permissions or {CHOOSE}",
    "read-only": f"it may not be written to; change its permissions or {CHOOSE}",
    "insufficientprivilege": f"its user may not do this; grant the right or {CHOOSE}",
    "unable to open": f"its file or folder does not exist or may not be read; {CHOOSE}",
    "not a database": f"the file is not an SQLite database; {CHOOSE}",
    "malformed": "the file is damaged; restore a copy, nothing of this change was written",
    "no such table": UPGRADE,
    "no such column": UPGRADE,
    "has no column": UPGRADE,
    "undefinedtable": UPGRADE,
    "undefinedcolumn": UPGRADE,
    "disk is full": "the disk is full; free some space, nothing of this change was written",
    "diskfull": "the disk is full; free some space, nothing of this change was written",
    "disk i/o error": f"its disk takes no more (full, over quota, broken); free some space or {CHOOSE}, nothing of this change was written",
    "password authentication": "the server does not accept its user and password; correct DATABASE_URL",
    "does not exist": f"the server has no such database or role; create it (createdb) or {CHOOSE}",
    "connection": f"the server does not answer; start it or {CHOOSE}",
}


def refusal(error: BaseException, name: str, path: Path | None) -> StoreError:
    """What a database refused.

    Args:
        name: its address without password. path: its file, None where it is not one.
    """
    said = f"{type(error).__name__} {error}".lower()
    reason = next((text for word, text in REASONS.items() if word in said), str(error).splitlines()[0] if str(error) else said)
    who = opened_by(path) if path and "locked" in said else ""
    return StoreError(f"the database {name} refused: {reason}{who}")


def opened_by(path: Path) -> str:
    """The other processes that have a file open, as far as they can be seen, in brackets; "" for none."""
    found = [
        f"{process.name()}, process {process.pid}" for process in psutil.process_iter() if process.pid != os.getpid() and has(process, path)
    ]
    return f" (open in: {'; '.join(found)})" if found else ""


def has(process: psutil.Process, path: Path) -> bool:
    """Whether a process has a file open; False where that may not be seen."""
    try:
        return any(opened.path == str(path.resolve()) for opened in process.open_files())
    except (psutil.Error, OSError):
        return False
