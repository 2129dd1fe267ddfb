"""What conf/ offers: every strategy with its parameters, whether or not a decider has it enabled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alpha_arena.core.ports import Strategy
from alpha_arena.settings.components import TARGET, Builder
from alpha_arena.settings.compose import Composed, Folders, folders, option, options
from alpha_arena.settings.model import Settings
from alpha_arena.settings.parameters import Parameter, parameters


@dataclass(frozen=True, slots=True)
class Entry:
    """A strategy that can be chosen.

    Attributes:
        summary: first line of its class's docstring. target: that class. defaults: value in YAML by parameter.
        enabled: names in conf/decision whose list of strategies has it.
    """

    name: str
    summary: str
    target: str
    parameters: tuple[Parameter, ...]
    defaults: Mapping[str, Any]
    enabled: tuple[str, ...]
    strategy: Strategy


def strategies(settings: Settings) -> list[Entry]:
    """Every strategy of conf/strategy and of plugins, built as its YAML says; for the enabled ones the values in force count.

    Raises:
        ConfigError: a file that cannot be built.
    """
    where = folders([str(home) for home in settings.plugins])
    lists = _enabled(where)
    builder = Builder(Composed({}, {}, {}, where))
    return [_entry(name, where, builder, lists, settings) for name in options(where, "strategy")]


def _enabled(where: Folders) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for decision in options(where, "decision"):
        names = option(where, "decision", decision, resolve=False).get("strategies") or []
        for name in names:
            found.setdefault(str(name), []).append(decision)
    return found


def _entry(name: str, where: Folders, builder: Builder, lists: Mapping[str, list[str]], settings: Settings) -> Entry:
    node = settings.resolved["strategies"].get(name) or option(where, "strategy", name)
    builder.check_targets(node, name)
    made: Strategy = builder.component(node, name)
    text = (type(made).__doc__ or "").strip().splitlines()
    values = {key: value for key, value in node.items() if key != TARGET}
    enabled = tuple(lists.get(name, ()))
    return Entry(name, text[0] if text else "", node[TARGET], tuple(parameters(type(made))), values, enabled, made)
