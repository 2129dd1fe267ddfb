"""The models that a decider may ask."""

from __future__ import annotations

import os
from typing import Any

from alpha_arena.llm.prompt import template
from alpha_arena.llm.provider import Provider
from alpha_arena.settings.components import TARGET, Builder
from alpha_arena.settings.compose import Folders, option


def providers(build: Builder, folders: Folders, node: Any) -> tuple[Provider, list[Provider]]:
    """The chosen model, and those that are asked where it fails: those of its fallbacks that have a key.

    They are asked as the chosen one is: limits, cache and prompt are its own.

    Raises:
        ConfigError: a value that is not allowed, a fallback or template that does not exist.
    """
    first: Provider = build.component(node, "llm")
    template(first.prompt)
    files = {name: option(folders, "llm", name, alone=True) for name in dict.fromkeys(first.fallbacks) if name != first.name}
    same = {name: node[name] for name in option(folders, "base", "llm") if name != TARGET}
    others: list[Provider] = [build.make(Provider, {**own, **same}, f"llm.fallbacks: {name}") for name, own in files.items()]
    return first, [other for other in others if other.credential and os.environ.get(other.credential)]
