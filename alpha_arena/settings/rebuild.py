"""The settings of a run that lies in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from alpha_arena.settings.build import build
from alpha_arena.settings.compose import Plain, compose, folders_of
from alpha_arena.settings.environment import read_dotenv
from alpha_arena.settings.model import Settings
from alpha_arena.settings.overrides import effective, parse

# stored as names of contracts where the composition has names of files; and where things lie, which shapes no result
PRESENT = ("symbols", "database", "outputs")


def rebuilt(command: str, overrides: Sequence[str], stored: Plain) -> Settings:
    """The settings that a stored configuration describes, whatever the environment and the YAML files say now.

    Values come from `stored`, since environment variables and files change; overrides say which files they were (contracts of several
    symbols are read from conf/symbol) and where plugins lie.

    Args:
        stored: the resolved configuration, as config.yaml holds it.

    Raises:
        ConfigError: it does not fit this version any more; names the key.
    """
    read_dotenv(Path.cwd())
    composed = compose(folders_of(parse(overrides)), command, effective(overrides))
    plain = {**stored, **{name: composed.plain[name] for name in PRESENT}}
    return build(replace(composed, plain=plain, raw=plain), command, overrides)
