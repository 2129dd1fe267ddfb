"""From folders of YAML and overrides to one plain configuration, with Hydra."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import Any, ClassVar

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from alpha_arena.core.errors import AlphaArenaError, ConfigError, UnknownName
from alpha_arena.settings.environment import forget_empty, is_secret, masked_text
from alpha_arena.settings.overrides import parse, refuse_sweep, text_of, value_of

SHIPPED = Path(__file__).resolve().parents[2] / "conf"
NULLABLE = ("arena", "exchange", "experiment")
COMING = {"decision": {"rl"}}
# chooses an option where nothing else does, so that it is read before anything can be composed
PROVIDER = "LLM_PROVIDER"
VARIABLE = re.compile(r"oc\.env:(\w+)")
# Hydra keeps its state in a singleton
LOCK = RLock()

Plain = dict[str, Any]


class NotYet(AlphaArenaError):
    """An option that a later issue delivers."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where configuration and a user's own packages lie.

    Attributes:
        conf: searched in this order, the first file found wins.
        plugins: folders on the import path.
    """

    conf: tuple[Path, ...]
    plugins: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Composed:
    """One configuration.

    Attributes:
        plain: resolved values, secrets in clear. raw: the same before resolution.
        choices: option by group.
    """

    plain: Plain
    raw: Plain
    choices: Mapping[str, str | None]
    folders: Folders

    def variable(self, key: str) -> str:
        """The environment variable that gives a dotted key's value, "" if none does."""
        return variable_of(self.raw, key)


def variable_of(raw: Plain, key: str) -> str:
    """The environment variable that an unresolved configuration names for a dotted key, "" for none."""
    node: Any = raw
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    found = VARIABLE.search(node) if isinstance(node, str) else None
    return found[1] if found else ""


def folders(plugins: Sequence[str] = (), extra: Sequence[str] = ()) -> Folders:
    """The folders to use: conf/ of the working folder, the shipped one, then those of plugins.

    Raises:
        ConfigError: a folder that does not exist.
    """
    homes = tuple(_existing(name, "plugins") for name in plugins)
    own = [Path.cwd() / "conf", *(_existing(name, "--config-dir") for name in extra), SHIPPED, *(home / "conf" for home in homes)]
    return Folders(tuple(dict.fromkeys(path.resolve() for path in own if path.is_dir())), homes)


def _existing(name: str, key: str) -> Path:
    path = Path(name).expanduser().resolve()
    if not path.is_dir():
        raise ConfigError(f"{key}={name} is not a folder; name one that exists")
    return path


def folders_of(overrides: Sequence[Override], extra: Sequence[str] = ()) -> Folders:
    """The folders that a command line asks for; its plugins are put on the import path."""
    given = value_of(overrides, "plugins") or []
    found = folders([str(given)] if isinstance(given, str) else [str(name) for name in _listed(given)], extra)
    sys.path.extend(str(home) for home in found.plugins if str(home) not in sys.path)
    return found


def _listed(given: object) -> Sequence[object]:
    if not isinstance(given, list):
        raise ConfigError(f"plugins={given} is not a folder or a list of folders")
    return given


class MoreFolders(SearchPathPlugin):  # type: ignore[misc]
    """Has Hydra search further folders after the first, which alone it can be told of."""

    folders: ClassVar[tuple[Path, ...]] = ()

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra at each initialisation."""
        for folder in self.folders:
            search_path.append("alpha-arena", f"file://{folder.as_posix()}")


Plugins.instance().register(MoreFolders)


@contextmanager
def hydra_app(where: Folders) -> Iterator[None]:
    """Hydra over these folders."""
    with LOCK:
        MoreFolders.folders = where.conf[1:]
        try:
            with initialize_config_dir(str(where.conf[0]), version_base="1.3", job_name="alpha-arena"):
                yield
        finally:
            MoreFolders.folders = ()


def raw_config(where: Folders, command: str, texts: Sequence[str]) -> DictConfig:
    """Compose without resolving; the node `hydra` is in it."""
    with hydra_app(where):
        config: DictConfig = hydra_compose(command, list(texts), return_hydra_config=True)
        return config


def compose(where: Folders, command: str, overrides: Sequence[str]) -> Composed:
    """One command's configuration.

    Raises:
        ConfigError: an override that is not understood, unknown or out of place; YAML that cannot be read.
        NotYet: an option that a later issue delivers.
    """
    parsed = parse(overrides)
    refuse_sweep(parsed)
    _check_provider(where)
    _check_choices(where, command, parsed)
    nulls = [override.key_or_group for override in parsed if _is_null_choice(where, override)]
    try:
        config = raw_config(where, command, [text_of(override) for override in parsed if override.key_or_group not in nulls])
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise _diagnosed(where, command, parsed, error) from None
    _refuse_new_keys(where, command, parsed)
    return _composed(config, where, nulls)


def _is_null_choice(where: Folders, override: Override) -> bool:
    """Hydra itself has no way to say that nothing is to be chosen."""
    return override.key_or_group in groups(where) and not override.is_delete() and override.value() is None


def _composed(config: DictConfig, where: Folders, nulls: Sequence[str] = ()) -> Composed:
    choices = {str(group): choice for group, choice in config.hydra.runtime.choices.items()}
    with open_dict(config):
        config.update(dict.fromkeys(nulls))
        del config["hydra"]
        config.strategy_name = choices.get("strategy")
    raw = OmegaConf.to_container(config)
    forget_empty(VARIABLE.findall(str(raw)))
    return Composed(_resolved(config, _plain(raw)), _plain(raw), choices, where)


def _resolved(config: DictConfig, raw: Plain) -> Plain:
    try:
        plain = _plain(OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "the configuration"
        variable = variable_of(raw, key)
        given = (
            f"{variable}={'***' if is_secret(variable) else os.environ.get(variable)} in the environment is no value for it"
            if variable
            else ""
        )
        raise ConfigError(f"{key} cannot be resolved: {given or first_line(error)}") from None
    plain.pop("strategy_name", None)
    return plain


def _plain(value: object) -> Plain:
    if not isinstance(value, dict):
        raise ConfigError("a root file of conf/ must hold a mapping of keys")
    return {str(key): item for key, item in value.items() if key != "strategy_name"}


def first_line(error: Exception) -> str:
    """An error's first line, secrets masked."""
    return masked_text(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__)


def options(where: Folders, group: str) -> list[str]:
    """What a group can be chosen from."""
    return sorted({path.stem for folder in where.conf for path in (folder / group).glob("*.yaml")})


@lru_cache(maxsize=32)
def groups(where: Folders) -> tuple[str, ...]:
    """All groups, those of Hydra and of the roots aside."""
    names = {path.name for folder in where.conf for path in folder.iterdir() if path.is_dir()}
    return tuple(sorted(names - {"hydra", "base"}))


@lru_cache(maxsize=64)
def base_config(where: Folders, command: str) -> DictConfig:
    """A command's configuration without overrides, to look up what exists; not to be changed."""
    return raw_config(where, command, [])


@lru_cache(maxsize=64)
def base_keys(where: Folders, command: str) -> frozenset[str]:
    """Top-level keys of a command without overrides."""
    return frozenset(str(key) for key in base_config(where, command) if key != "hydra") | frozenset(groups(where))


def _check_choices(where: Folders, command: str, parsed: Sequence[Override]) -> None:
    for override in parsed:
        group, choice = override.key_or_group, override.value()
        if group not in groups(where) or override.is_delete() or (choice is None and group in NULLABLE):
            continue
        if choice in COMING.get(group, ()):
            raise NotYet(_coming(group, str(choice)))
        if not isinstance(choice, str | int) or str(choice) not in options(where, group):
            raise UnknownName(group, str(choice), options(where, group))


def _check_provider(where: Folders) -> None:
    forget_empty([PROVIDER])
    given = os.environ.get(PROVIDER)
    if given is not None and given not in options(where, "llm"):
        raise UnknownName(f"{PROVIDER} in the environment,", given, options(where, "llm"))


def _coming(group: str, choice: str) -> str:
    return f"{group}={choice} comes with a later version; until then choose one of the others of conf/{group}"


def _refuse_new_keys(where: Folders, command: str, parsed: Sequence[Override]) -> None:
    """Hydra lets "+" add and "~" remove whatever they like at the top level."""
    for override in parsed:
        top = override.key_or_group.split(".")[0].split("@")[0]
        if (override.is_add() or override.is_force_add() or override.is_delete()) and top not in base_keys(where, command):
            raise _unknown(str(override.input_line), override.key_or_group, base_keys(where, command))
        if override.is_delete() and override.key_or_group in base_keys(where, command):
            raise ConfigError(f"{override.input_line!r} takes away a key that {command} needs; leave it out")


def _unknown(given: str, key: str, known: frozenset[str] | Sequence[str]) -> UnknownName:
    return UnknownName(f"key in {masked_text(given)!r}:", key, known)


def _diagnosed(where: Folders, command: str, parsed: Sequence[Override], error: Exception) -> ConfigError:
    """Which override Hydra could not apply, and what was meant."""
    chosen = [text_of(o) for o in parsed if o.key_or_group in groups(where) and not _is_null_choice(where, o)]
    try:
        known = raw_config(where, command, chosen) if chosen else base_config(where, command)
    except (HydraException, OmegaConfBaseException, YAMLError) as cause:
        return ConfigError(f"the configuration of {command} cannot be composed: {first_line(cause)}")
    for override in parsed:
        if override.key_or_group not in groups(where) and not override.is_add() and not override.is_force_add():
            top = override.key_or_group.split(".")[0]
            if top in groups(where) and top not in known:
                raise ConfigError(f"{override.input_line!r} is given but no {top} is chosen; add {_either(where, top)}")
            missing = _missing(known, override.key_or_group)
            if missing:
                return _unknown(str(override.input_line), override.key_or_group, missing)
    return ConfigError(f"the overrides of {command} do not fit: {first_line(error)}")


def _either(where: Folders, group: str) -> str:
    return " or ".join(f"{group}={name}" for name in options(where, group))


def _missing(config: DictConfig, key: str) -> list[str]:
    """Keys that exist instead of a dotted key that does not; none if it does."""
    node: Any = config
    path: list[str] = []
    for part in key.split("."):
        if not OmegaConf.is_dict(node) or part not in node:
            return _siblings(node, path) + [name for name in _leaves(config) if name.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]]
        node = node._get_node(part)
        path.append(part)
    return []


def _siblings(node: Any, path: Sequence[str]) -> list[str]:
    keys = [str(name) for name in node if not str(name).startswith("_")] if OmegaConf.is_dict(node) else []
    return [".".join([*path, name]) for name in keys if name != "hydra"]


def _leaves(config: DictConfig) -> list[str]:
    plain = OmegaConf.to_container(config)
    return list(_walk({key: value for key, value in _plain(plain).items() if key != "hydra"}))


def _walk(value: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, item in value.items():
        if isinstance(item, Mapping):
            yield from _walk(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def option(where: Folders, group: str, name: str, resolve: bool = True, alone: bool = False) -> Plain:
    """One option of a group by itself.

    Args:
        alone: what stands in its file, without what its defaults bring in; composing takes a while.

    Raises:
        UnknownName: the group has no such option.
    """
    if name not in options(where, group):
        raise UnknownName(group, name, options(where, group))
    file = next(path for folder in where.conf if (path := folder / group / f"{name}.yaml").is_file())
    try:
        loaded = OmegaConf.load(file)
        composed = "defaults" in loaded and not alone
        node = _plain(OmegaConf.to_container(raw_config(where, f"{group}/{name}", [])[group] if composed else loaded, resolve=resolve))
        node.pop("defaults", None)
        return node
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise ConfigError(f"{file} cannot be read: {first_line(error)}") from None
