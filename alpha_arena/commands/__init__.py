"""One module a command, each with `run(settings) -> dict`; here is what they have in common: flags, combinations, output."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from importlib import import_module
from typing import Any

from alpha_arena.commands.interrupts import heard
from alpha_arena.commands.output import print_json, print_text
from alpha_arena.core.blame import blamed
from alpha_arena.core.errors import ConfigError
from alpha_arena.settings import Settings, load
from alpha_arena.settings.flags import read_flags, shown
from alpha_arena.settings.overrides import combinations

# `db upgrade` is short for `db db.action=upgrade`
WORDS = {"data": "data.action", "db": "db.action", "verify": "verify.run"}
# they run until interrupted and print for themselves
LIVE = ("up", "serve", "exchange")


def run_command(command: str, arguments: Sequence[str]) -> int:
    """Run one command with what stands after it; returns the exit code.

    Raises:
        AlphaArenaError: wrong usage, or what the command could not do.
    """
    flags = read_flags(spelled(command, arguments))
    text = shown(command, flags)
    if text is not None:
        sys.stdout.write(text)
        return 0
    if flags.multirun:
        return multirun(command, flags.overrides, flags.config_dirs)
    return execute(load(command, flags.overrides, flags.config_dirs))


def spelled(command: str, arguments: Sequence[str]) -> list[str]:
    """The arguments with a command's first word written out as its key."""
    first = arguments[0] if arguments else ""
    if command in WORDS and first and "=" not in first and first[0] not in "-~+":
        return [f"{WORDS[command]}={first}", *arguments[1:]]
    return list(arguments)


def multirun(command: str, overrides: Sequence[str], config_dirs: Sequence[str]) -> int:
    """Run a command once for each combination of the values given; all are checked before the first runs.

    Raises:
        ConfigError: one of them is wrong, or report=json is asked for.
    """
    jobs = combinations(overrides)
    every = [load(command, job, config_dirs) for job in jobs]
    if any(settings.report == "json" for settings in every):
        raise ConfigError("report=json prints exactly one JSON object, --multirun runs several jobs; leave one of them out")
    codes = [_numbered(number, len(jobs), settings) for number, settings in enumerate(every, 1)]
    return max(codes)


def _numbered(number: int, total: int, settings: Settings) -> int:
    sys.stderr.write(f"[{number}/{total}] {' '.join(settings.overrides)}\n")
    return execute(settings)


def execute(settings: Settings) -> int:
    """Run the settings' command and print its result; exit code 1 where the result says that something is wrong.

    With report=json whatever else is printed goes to stderr.

    Raises:
        AlphaArenaError: what the command could not do, or what a plugin failed at.
    """
    module = import_module(f"alpha_arena.commands.{settings.command}")
    quiet = settings.report == "json" or settings.command not in LIVE
    hears = nullcontext() if settings.command in LIVE else heard()
    with redirect_stdout(sys.stderr) if quiet else nullcontext(), hears, blamed(settings.plugins):
        result: Mapping[str, Any] = module.run(settings)
    if settings.report == "json":
        print_json(result)
    else:
        getattr(module, "show", print_text)(result)
    return 0 if result.get("ok", True) else 1
