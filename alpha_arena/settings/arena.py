"""An arena's traders: who they are, and that they meet on equal terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alpha_arena.core.errors import ConfigError, UnknownName
from alpha_arena.settings.components import Builder
from alpha_arena.settings.compose import Composed, options
from alpha_arena.settings.model import Arena, Settings
from alpha_arena.settings.overrides import ONE_TRADER, parse
from alpha_arena.settings.parameters import fields_of

# what all traders of an arena have in common
SHARED = ("symbols", "timeframe", "start", "end", "limit", "window", "initial_capital", "equity", "costs")
# the same of the traders that stand beside them
BESIDE = ("symbol", *SHARED, "regime", "risk", "strategies", "seed", "plugins", "experiment", "database")


def arena_of(composed: Composed) -> Arena | None:
    """The arena that is chosen, None without one.

    Raises:
        UnknownName: no such file in conf/trader. ConfigError: a value that is not allowed.
    """
    node = composed.plain.get("arena")
    if node is None:
        return None
    name = composed.choices.get("arena") or ""
    own = {**node, "name": name} if isinstance(node, Mapping) else {}
    missing = [key for key in fields_of(Arena) if key not in own]
    if missing:
        more = "begin it with the lines `defaults:`, `  - /base/arena@_here_`, `  - _self_`, and name its traders"
        raise ConfigError(f"arena={name} has no {missing[0]}; {more}, as conf/arena/default.yaml does")
    made: Arena = Builder(composed).make(Arena, own, "arena")
    known = options(composed.folders, "trader")
    for name in made.traders:
        if name not in known:
            raise UnknownName("trader", name, known)
    return made


def check_traders(arena: Arena, whole: Settings) -> None:
    """Each trader of an arena has an account of its own, and all have the same bars, clock, capital and costs.

    Raises:
        ConfigError: two have one id, or one says otherwise.
    """
    ids = [trader.trader for trader in whole.traders]
    twice = next((name for name in ids if ids.count(name) > 1), None)
    if twice:
        raise ConfigError(f"trader.id={twice} is that of two traders of the arena; give each file in conf/trader an id of its own")
    for name, trader in zip(arena.traders, whole.traders, strict=True):
        for key, (own, shared) in differing(trader.resolved, whole.resolved).items():
            raise ConfigError(
                f"trader={name} has {key}={own}, the arena {key}={shared}: all see the same bars with the same capital and costs; "
                f"take {key} out of conf/trader/{name}.yaml, or give {key}= to all"
            )


def differing(own: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted keys of what must be the same and is not, with both values."""
    found: dict[str, tuple[Any, Any]] = {}
    for name in SHARED:
        one, other = own.get(name), shared.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found |= {f"{name}.{key}": (one.get(key), value) for key, value in other.items() if one.get(key) != value}
        elif one != other:
            found[name] = (one, other)
    return found


def check_contest(arena: Arena | None, overrides: Sequence[str]) -> None:
    """An arena over history needs traders that differ.

    Raises:
        ConfigError: none is chosen, or the command line makes all of its traders the same.
    """
    keys = {override.key_or_group.split(".")[0] for override in parse(overrides)}
    same = next((name for name in ONE_TRADER if name in keys), None)
    if same:
        raise ConfigError(
            f"{same}= would make all traders of the arena the same; write a file in conf/trader and name it in arena.traders=[...]"
        )
    if arena is None:
        raise ConfigError("arena=null: name one of conf/arena, such as arena=default")
