"""Errors of the engine.

    AlphaArenaError
    ├── ConfigError          the command or its configuration is wrong: exit code 2
    │   └── UnknownName      a key or choice that does not exist; names the nearest one
    ├── DataError            rows that cannot be trusted, a file that cannot be read
    │   └── NoData           nothing stored for what was asked
    ├── StoreError           the database refused: locked, read-only, not migrated
    │   └── AlreadyDecided   the bar has a decision of this trader
    ├── SourceError          an exchange or file source failed
    │   └── TransientError   the same call may succeed later
    └── SafetyError          would touch real money, or lose track of it: refused

Every message is one sentence that names what was given, what is allowed and the next step.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class AlphaArenaError(Exception):
    """Base of all errors that a user can cause or must hear of; `exit_code` is the process's."""

    exit_code = 1


class ConfigError(AlphaArenaError):
    """Wrong usage or configuration."""

    exit_code = 2


class UnknownName(ConfigError):
    """A name that is not among the known ones.

    Args:
        kind: what was looked for, e.g. "strategy".
        name: what was given.
        known: all that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = get_close_matches(name, names, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        super().__init__(f"unknown {kind} {name!r}{hint} (known: {', '.join(names)})")


class DataError(AlphaArenaError):
    """Rows or files that cannot be trusted."""


class NoData(DataError):
    """Nothing is stored for what was asked."""


class StoreError(AlphaArenaError):
    """The database refused."""


class AlreadyDecided(StoreError):
    """The trader has decided this bar before."""


class SourceError(AlphaArenaError):
    """An exchange or a file source failed for good."""


class TransientError(SourceError):
    """A source failed in a way that may pass: time-out, rate limit, server error."""


class SafetyError(AlphaArenaError):
    """Refused because money could be lost or lost sight of."""

    exit_code = 2
