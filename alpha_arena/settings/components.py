"""Building what a configuration names, only from packages that may be named, with errors that say what is allowed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from alpha_arena.core.errors import ConfigError, UnknownName
from alpha_arena.settings.compose import Composed
from alpha_arena.settings.environment import is_secret, masked_text
from alpha_arena.settings.parameters import choices, fields_of, parameter, plain_types

T = TypeVar("T")
PACKAGE = "alpha_arena"
TARGET = "_target_"


def refuse_bad_values(plain: Mapping[str, Any]) -> None:
    """No infinity, no NaN, and no `_target_` outside the allowed packages, however deep.

    Raises:
        ConfigError: naming the key.
    """
    for key, value in walk(plain):
        if isinstance(value, float) and not isfinite(value):
            raise ConfigError(f"{key}={value} is not a finite number; give one")


def walk(value: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Every value of a plain structure with its dotted key."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from walk(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for row, item in enumerate(value):
            yield from walk(item, f"{key}[{row}]")
    else:
        yield key, value


class Builder:
    """Makes components from the nodes of one configuration.

    Args:
        composed: the configuration; its plugins' modules may be named beside the engine's own.
    """

    def __init__(self, composed: Composed) -> None:
        self.composed = composed
        self.modules = {name: home for home in composed.folders.plugins for name in modules_in(home)}

    def check_targets(self, node: object, key: str = "") -> None:
        """Refuse every `_target_` in a structure whose package may not be named."""
        for name, value in walk(node, key):
            if name.rsplit(".", 1)[-1] == TARGET:
                self._check_target(name, value)

    def component(self, node: object, key: str, **given: Any) -> Any:
        """An object of the class that a node's `_target_` names, made of the node's other keys and of `given`.

        Raises:
            ConfigError: the class may not be named or does not exist; a value is missing, unknown, of a wrong type or out of range.
        """
        found, values = self.found(node, key), dict(node) if isinstance(node, Mapping) else {}
        return self.make(found, {name: value for name, value in values.items() if name != TARGET}, key, **given)

    def found(self, node: object, key: str) -> type[Any]:
        """The class that a node's `_target_` names; ConfigError as `component`."""
        if not isinstance(node, Mapping) or TARGET not in node:
            raise ConfigError(f"{key} names no {TARGET}; choose one of its options, or give a class such as {PACKAGE}.core.costs.Costs")
        return self._class(key, node[TARGET])

    def make(self, found: type[T], values: Mapping[str, Any], key: str, **given: Any) -> T:
        """An object of a known class.

        Raises:
            ConfigError: as component.
        """
        self._check_names(found, values, key, given)
        for name, value in values.items():
            self._check_type(found, name, value, key)
        try:
            return found(**{name: as_text(found, name, value) for name, value in values.items()}, **given)
        except ValidationError as error:
            raise ConfigError(self._said(found, error, key)) from None
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{key} cannot be built: {error}") from None

    def _check_target(self, key: str, target: object) -> None:
        top = str(target).split(".")[0]
        if top != PACKAGE and top not in self.modules:
            allowed = ", ".join(f"{name}.*" for name in (PACKAGE, *sorted(self.modules)))
            raise ConfigError(f"{key}={target} is not allowed: only {allowed}; name a user's own package with plugins=FOLDER")

    def _class(self, key: str, target: object) -> type:
        self._check_target(f"{key}.{TARGET}", target)
        module, _, name = str(target).rpartition(".")
        try:
            found = getattr(import_module(module), name)
        except (ImportError, AttributeError, SyntaxError, NameError, ValueError) as error:
            raise ConfigError(f"{key}.{TARGET}={target} cannot be imported: {error}") from None
        self._check_home(key, module)
        if not isinstance(found, type) or not fields_of(found):
            raise ConfigError(f"{key}.{TARGET}={target} is not a component: a pydantic dataclass with extra='forbid'")
        return found

    def _check_home(self, key: str, module: str) -> None:
        """A plugin's name may have been taken by something imported before."""
        home = self.modules.get(module.split(".")[0])
        file = getattr(sys.modules[module], "__file__", None)
        if home and not (file and Path(file).resolve().is_relative_to(home)):
            raise ConfigError(f"{key}.{TARGET}: a module {module!r} from {file} is in the way of {home}; rename the one in plugins=")

    def _check_names(self, found: type, values: Mapping[str, Any], key: str, given: Mapping[str, Any]) -> None:
        known = [f"{key}.{name}" if key else name for name in fields_of(found) if name not in given]
        for name in values:
            full = f"{key}.{name}" if key else name
            if full not in known:
                raise UnknownName(f"key in {self._shown(full, values[name])!r}:", full, known)

    def _check_type(self, found: type, name: str, value: object, key: str) -> None:
        """Pydantic reads true as 1 and "5" as 5; a configuration that says so is mistaken."""
        types = plain_types(fields_of(found)[name])
        loose = isinstance(value, bool) and bool not in types and bool(types & {int, float})
        loose |= isinstance(value, str) and str not in types and bool(types & {int, float, bool})
        loose |= isinstance(value, int | float) and not isinstance(value, bool) and bool in types and not types & {int, float}
        if loose:
            raise ConfigError(self._refused(found, name, value, key))

    def _said(self, found: type, error: ValidationError, key: str) -> str:
        first = error.errors(include_url=False)[0]
        path = [str(part) for part in first["loc"] if isinstance(part, str | int)]
        full = ".".join([*([key] if key else []), *path])
        if first["type"] == "missing":
            return f"{full} is missing; give {full}=VALUE ({self._allowed(found, path[0])})"
        if first["type"] == "value_error":
            said = str(first["ctx"]["error"])
            return f"{full}: {said}" if full else said
        return self._refused(found, path[0], first["input"], key) if len(path) == 1 or _of_branch(path) else self._deep(first, full)

    def _deep(self, first: Any, full: str) -> str:
        return f"{self._shown(full, first['input'])} is not allowed: {first['msg'][0].lower()}{first['msg'][1:]}{self._origin(full)}"

    def _refused(self, found: type, name: str, value: object, key: str) -> str:
        full = f"{key}.{name}" if key else name
        near = get_close_matches(str(value), choices(fields_of(found)[name]), n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        return f"{self._shown(full, value)} is not allowed: {full} is {self._allowed(found, name)}{hint}{self._origin(full)}"

    def _allowed(self, found: type, name: str) -> str:
        return parameter(name, fields_of(found)[name]).allowed

    def _origin(self, key: str) -> str:
        variable = self.composed.variable(key)
        return f" (it comes from {variable} in the environment)" if variable else ""

    def _shown(self, key: str, value: object) -> str:
        return f"{key}=***" if is_secret(key) else masked_text(f"{key}={value}")


def as_text(found: type, name: str, value: object) -> object:
    """A number as text where only text is asked for: a folder or trader may be called 2024."""
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if plain and plain_types(fields_of(found)[name]) <= {str, type(None)} else value


def _of_branch(path: list[str]) -> bool:
    """Whether the deeper part of a location is only pydantic's name for one type of a union."""
    return len(path) == 2 and ("[" in path[1] or path[1] in ("int", "float", "str", "none", "bool"))


def modules_in(home: Path) -> list[str]:
    """Top-level modules and packages of a user's folder.

    Raises:
        ConfigError: one has a name of the standard library or of the engine.
    """
    files = [path.stem for path in home.glob("*.py")]
    packages = [path.name for path in home.iterdir() if path.is_dir() and any(path.glob("*.py"))]
    for name in files + packages:
        if name in sys.stdlib_module_names or name in (PACKAGE, "flows"):
            raise ConfigError(f"plugins={home}: {name} is a name of the standard library or of the engine; rename it")
    return files + packages
