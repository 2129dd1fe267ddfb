"""From YAML and overrides to Settings: composed with Hydra, checked and built whole before any I/O.

Precedence: command line, environment (.env is read and never overrides it), YAML. A conf/ in the working folder wins over the
shipped one, file by file; FOLDER/conf of plugins=FOLDER comes last. Secrets come from the environment alone and are masked wherever a
configuration is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alpha_arena.settings.build import arena_of, build, check_ids
from alpha_arena.settings.compose import NotYet, compose, folders_of
from alpha_arena.settings.environment import masked_text, read_dotenv
from alpha_arena.settings.model import (
    DataAction,
    DatabaseAction,
    ExchangeChoice,
    ExecutorChoice,
    Loop,
    Monitor,
    Schedule,
    Settings,
)
from alpha_arena.settings.overrides import effective, parse


def load(command: str, overrides: Sequence[str] = (), config_dirs: Sequence[str] = ()) -> Settings:
    """The settings of a command.

    Args:
        command: a root file of conf/, such as "backtest". overrides: as on the command line. config_dirs: folders to search beside conf/.

    Raises:
        ConfigError: anything unknown, missing, of a wrong type or out of bounds; one sentence that names the key.
        NotYet: an option that a later issue delivers.
    """
    read_dotenv(Path.cwd())
    where = folders_of(parse(overrides), config_dirs)
    own = effective(overrides)
    composed = compose(where, command, own)
    names = arena_of(composed)
    traders = [build(compose(where, command, [*own, f"trader={name}"]), command, overrides) for name in names]
    check_ids(traders)
    return build(composed, command, overrides, traders)


__all__ = [
    "DataAction",
    "DatabaseAction",
    "ExchangeChoice",
    "ExecutorChoice",
    "Loop",
    "Monitor",
    "NotYet",
    "Schedule",
    "Settings",
    "load",
    "masked_text",
]
