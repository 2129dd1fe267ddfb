"""Hydra's own flags on a command line: --help, --cfg, --multirun and the rest; what they print is masked."""

from __future__ import annotations

import io
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from alpha_arena.core.errors import ConfigError
from alpha_arena.settings.compose import Composed, compose, folders_of, hydra_app, raw_config
from alpha_arena.settings.environment import masked, read_dotenv
from alpha_arena.settings.overrides import effective, parse

UNUSED = {"config_path": "--config-path", "config_name": "--config-name", "experimental_rerun": "--experimental-rerun"}


@dataclass(frozen=True, slots=True)
class Flags:
    """What was asked for beside the overrides. config_dirs: folders to search beside conf/."""

    help: bool
    hydra_help: bool
    cfg: str | None
    resolve: bool
    package: str | None
    multirun: bool
    info: str | None
    config_dirs: tuple[str, ...]
    overrides: tuple[str, ...]


def read_flags(arguments: Sequence[str]) -> Flags:
    """Flags and overrides, in any order.

    Raises:
        ConfigError: an unknown flag, or one of Hydra's that has no effect here.
    """
    given = _parsed(get_args_parser(), arguments)
    for name, flag in UNUSED.items():
        if getattr(given, name):
            raise ConfigError(f"{flag} has no effect here: the command names the configuration; --config-dir=FOLDER adds a folder")
    dirs = (given.config_dir,) if given.config_dir else ()
    asked = (given.help, given.hydra_help, given.cfg, given.resolve, given.package, given.multirun, given.info)
    return Flags(*asked, dirs, tuple(given.overrides))


def _parsed(parser: ArgumentParser, arguments: Sequence[str]) -> Any:
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return parser.parse_intermixed_args(list(arguments))
    except SystemExit as ended:
        if not ended.code:
            raise
        reason = said.getvalue().strip().splitlines()[-1].partition("error: ")[2]
        raise ConfigError(f"{reason}; flags are --help, --cfg job, --resolve, --package, --multirun, --info, --config-dir") from None


def shown(command: str, flags: Flags) -> str | None:
    """What a flag asks to print instead of running; None if none does."""
    read_dotenv(Path.cwd())
    if flags.help or flags.hydra_help or flags.info:
        return _hydra_says(command, flags)
    if flags.cfg and flags.cfg != "job":
        raise ConfigError(f"--cfg {flags.cfg} shows nothing of use here; give --cfg job")
    return configuration(command, flags) if flags.cfg else None


def _composed(command: str, flags: Flags) -> Composed:
    return compose(folders_of(parse(flags.overrides), flags.config_dirs), command, effective(flags.overrides))


def configuration(command: str, flags: Flags) -> str:
    """The composed configuration as YAML, secrets masked.

    Raises:
        ConfigError: the package asked for does not exist.
    """
    composed = _composed(command, flags)
    values = masked(composed.plain if flags.resolve else composed.raw)
    part: Any = values
    for name in flags.package.split(".") if flags.package else ():
        if not isinstance(part, dict) or name not in part:
            raise ConfigError(f"--package {flags.package} is not a key of {command}; keys are {', '.join(values)}")
        part = part[name]
    return OmegaConf.to_yaml(OmegaConf.create(part)) if isinstance(part, dict | list) else f"{part}\n"


def _hydra_says(command: str, flags: Flags) -> str:
    composed = _composed(command, flags)
    config = raw_config(composed.folders, command, [])
    with hydra_app(composed.folders):
        hydra = GlobalHydra.instance().hydra
        assert hydra
        if flags.info:
            return _printed(lambda: hydra.show_info(flags.info, command, list(flags.overrides)))
        if flags.hydra_help:
            return str(hydra.get_help(config.hydra.hydra_help, config, _useful(), resolve=False))
        values = OmegaConf.create(masked(composed.plain if flags.resolve else composed.raw))
        return str(hydra.get_help(config.hydra.help, values, _useful(), resolve=False))


def _useful() -> ArgumentParser:
    """Hydra's parser without the flags that have no effect here."""
    parser: ArgumentParser = get_args_parser()
    parser._actions = [action for action in parser._actions if action.dest not in (*UNUSED, "shell_completion", "run")]
    return parser


def _printed(call: Any) -> str:
    from contextlib import redirect_stdout

    text = io.StringIO()
    with redirect_stdout(text):
        call()
    return text.getvalue()
