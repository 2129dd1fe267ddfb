"""From YAML and overrides to Settings: composed with Hydra, checked and built whole before any I/O.

Precedence: command line, environment (.env is read and never overrides it), YAML. A conf/ in the working folder wins over the
shipped one, file by file; FOLDER/conf of plugins=FOLDER comes last. Secrets come from the environment alone and are masked wherever a
configuration is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from alpha_arena.core.errors import ConfigError
from alpha_arena.settings.arena import BESIDE, arena_of, check_contest, check_traders
from alpha_arena.settings.build import build, config_hash
from alpha_arena.settings.components import TARGET
from alpha_arena.settings.compose import NotYet, compose, folders, folders_of, option
from alpha_arena.settings.environment import masked_text, read_dotenv
from alpha_arena.settings.model import (
    FEWEST_SEEDS,
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
    arena = arena_of(composed)
    if command == "arena":
        check_contest(arena, overrides)
    if arena is None:
        return build(composed, command, overrides)
    whole = build(
        composed,
        command,
        overrides,
        [build(compose(where, command, [*own, f"trader={name}"]), command, overrides) for name in arena.traders],
    )
    check_traders(arena, whole)
    return whole


def beside(settings: Settings, name: str, *overrides: str, alone: str | None = None) -> Settings:
    """A trader on the terms of an arena's: its bars, capital, costs and risk rules.

    Args:
        name: its id. overrides: what makes it what it is, in the place of the arena's own.
        alone: the only strategy whose parameters it takes from the arena; None for all.

    Raises:
        ConfigError: as `load`.
    """
    groups = {text.partition("=")[0] for text in overrides}
    kept = [text for text in settings.overrides if _is_shared(text, groups, alone)]
    made = load("backtest", [*kept, *overrides, f"trader.id={name}"])
    return replace(made, **{field: getattr(settings, field) for field in ("database_url", "outputs", "exchange")})


def _is_shared(text: str, groups: set[str], alone: str | None) -> bool:
    """Whether an override holds for those beside an arena's traders as well."""
    top, *below = text.lstrip("+~").partition("=")[0].split(".")
    own = top == "strategies" and alone is not None and below[:1] != [alone]
    return top in BESIDE and top not in groups and not own


def random_seeds(settings: Settings) -> int:
    """How many random traders stand beside: as many as the arena says, without one as many as all arenas have in common.

    Raises:
        ConfigError: conf/base/arena.yaml gives no number of two or more.
    """
    if settings.arena is not None:
        return settings.arena.random_seeds
    seeds = option(folders(), "base", "arena").get("random_seeds")
    if not isinstance(seeds, int) or seeds < FEWEST_SEEDS:
        raise ConfigError(f"random_seeds={seeds} of conf/base/arena.yaml is no number of traders; give one of at least {FEWEST_SEEDS}")
    return seeds


def parameter_names(strategy: str) -> frozenset[str]:
    """A strategy's parameters, all of which stand in its YAML.

    Raises:
        UnknownName: conf/strategy has no such file.
    """
    return frozenset(option(folders(), "strategy", strategy, resolve=False)) - {TARGET}


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
    "beside",
    "config_hash",
    "load",
    "masked_text",
    "parameter_names",
    "random_seeds",
]
