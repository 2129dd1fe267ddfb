"""What a model is told: a template of the package, filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from string import Template

from alpha_arena.core.errors import ConfigError, UnknownName
from alpha_arena.llm.provider import ANONYMOUS
from alpha_arena.llm.reply import Messages

SUFFIX = ".txt"
# a character of no template
CUT = "\x00"
SPLIT = "\n=== DATA ===\n"
RULES = frozenset({"strategy_ids", "leverage"})
DATA = frozenset({"timeframe", "regimes", "bars", "strategies", "account", "feedback"})
# what tells a model which market it is and when
NAMES = frozenset({"symbol", "closed_at"})


def sha(text: str) -> str:
    """SHA-256 of a text."""
    return sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class PromptTemplate:
    """Rules first, the same at every bar, then the data.

    Attributes:
        id: its file's name, which ends with its version. sha256: of the file.
    """

    id: str
    sha256: str
    rules: str
    data: str

    def messages(self, rules: Mapping[str, str], data: Mapping[str, str]) -> Messages:
        """The filled template, as a chat takes it."""
        system, user = ("".join(pieces).strip() for pieces in (filled(self.rules, rules), filled(self.data, data)))
        return ({"role": "system", "content": system}, {"role": "user", "content": user})


def filled(text: str, fields: Mapping[str, str]) -> list[str]:
    """The pieces of a text, every other of which is a field's."""
    pieces = list(cut(text))
    pieces[1::2] = [fields[name] for name in pieces[1::2]]
    return pieces


@lru_cache(maxsize=32)
def cut(text: str) -> tuple[str, ...]:
    """A checked text, and the names of the fields in it, in turn."""
    marked = Template(text).substitute({name: f"{CUT}{name}{CUT}" for name in Template(text).get_identifiers()})
    return tuple(marked.split(CUT))


def names() -> list[str]:
    """The templates of the package."""
    return sorted(file.name.removesuffix(SUFFIX) for file in files("alpha_arena.llm").joinpath("templates").iterdir())


@lru_cache(maxsize=16)
def template(name: str) -> PromptTemplate:
    """A template of the package, checked; one whose name ends in ANONYMOUS holds none of NAMES.

    Raises:
        UnknownName: there is none of this name. ConfigError: a field is missing in it or unknown.
    """
    if name not in names():
        raise UnknownName("llm.template", name, names())
    text = files("alpha_arena.llm").joinpath("templates", f"{name}{SUFFIX}").read_text(encoding="utf-8")
    return parsed(name, text)


def parsed(name: str, text: str) -> PromptTemplate:
    """A template from its text.

    Raises:
        ConfigError: a field is missing or unknown.
    """
    rules, found, data = text.partition(SPLIT)
    if not found:
        raise ConfigError(f"the template {name} has no line {SPLIT.strip()!r} between rules and data")
    wanted = DATA if name.endswith(ANONYMOUS) else DATA | NAMES
    for part, fields in ((rules, RULES), (data, wanted)):
        used = Template(part)
        given = set(used.get_identifiers())
        if not used.is_valid() or given != fields:
            wrong = f"lacks ${min(fields - given)}" if fields - given else f"has ${min(given - fields, default='')}, which nothing fills"
            raise ConfigError(f"the template {name} {wrong}; it needs {', '.join(f'${field}' for field in sorted(fields))}")
    return PromptTemplate(name, sha(text), rules, data)
