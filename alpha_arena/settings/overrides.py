"""What stands after the command: KEY=VALUE, read with Hydra's grammar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from alpha_arena.core.errors import ConfigError
from alpha_arena.settings.environment import is_secret

ONE_TRADER = ("trader", "decision", "strategy")
# their keys are names, not a fixed set
OPEN_NODES = ("strategies.", "decision.weights.", "decision.regime_fit.", "risk.rules.", "llm.models.", "llm.extra.")


def parse(overrides: Sequence[str]) -> list[Override]:
    """Read overrides; a value that is not in Hydra's grammar (a path with blanks, a URL with "=") is taken as text.

    Raises:
        ConfigError: not KEY=VALUE, a secret, or a setting of Hydra itself.
    """
    parser = OverridesParser.create()
    parsed = [_parse_one(parser, text) for text in overrides]
    for override in parsed:
        _refuse_secret(override)
        _refuse_hydra(override)
    return parsed


def _parse_one(parser: OverridesParser, text: str) -> Override:
    if text.lstrip("+~")[:1] in ("", "="):
        raise ConfigError(f"{text!r} names no key; give KEY=VALUE, such as strategy=breakout or timeframe=4h")
    try:
        return parser.parse_override(text)
    except HydraException:
        return _as_text(parser, text)


def _as_text(parser: OverridesParser, text: str) -> Override:
    key, equals, value = text.partition("=")
    quoted = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    try:
        if equals:
            return parser.parse_override(f"{key}={quoted}")
    except HydraException:
        pass
    shown = f"{key}=..." if is_secret(key) else text
    raise ConfigError(f"{shown!r} is not KEY=VALUE, such as strategy=breakout or timeframe=4h") from None


def _refuse_secret(override: Override) -> None:
    key = override.key_or_group
    if is_secret(key):
        name = key.rsplit(".", 1)[-1].upper()
        raise ConfigError(
            f"{key} is a secret and not taken from a command line: set it in the environment or in .env (see {name} in .env.example)"
        )


def _refuse_hydra(override: Override) -> None:
    key = override.key_or_group
    if key == "hydra" or key.startswith(("hydra.", "hydra/")):
        raise ConfigError(
            f"{key} is a setting of Hydra that has no effect here: results go to outputs=FOLDER, packages come from plugins=FOLDER"
        )


def text_of(override: Override) -> str:
    """The override as it is given to Hydra; keys below an open node, and whole mappings, need no "+": building checks what they hold."""
    line = override.input_line or ""
    return f"++{line}" if line.startswith(OPEN_NODES) or (isinstance(override.value(), dict) and line[0] not in "+~") else line


def effective(overrides: Sequence[str]) -> list[str]:
    """The overrides with what they imply.

    One that names a trader, decision or strategy means that one trader, not the arena; orders that go to an exchange go to the embedded
    one where none is named.
    """
    parsed = parse(overrides)
    groups = {override.key_or_group for override in parsed}
    keys = {name.split(".")[0] for name in groups}
    implied = ["arena=null"] if keys & set(ONE_TRADER) and "arena" not in keys else []
    implied += ["exchange=embedded"] if value_of(parsed, "executor") == "okx" and "exchange" not in groups else []
    return [*implied, *overrides]


def value_of(overrides: Iterable[Override], key: str) -> object:
    """The last value given for a key, None if there is none."""
    given = [override.value() for override in overrides if override.key_or_group == key]
    return given[-1] if given else None


def refuse_sweep(overrides: Iterable[Override]) -> None:
    """Several values are for --multirun.

    Raises:
        ConfigError: an override names several.
    """
    for override in overrides:
        if override.is_sweep_override():
            raise ConfigError(f"{override.input_line!r} names several values: add --multirun to run each of them, or write a list as [a,b]")


def combinations(overrides: Sequence[str]) -> list[list[str]]:
    """One list of overrides for each combination of the values that are swept over, in the order given."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    try:
        return [list(batch) for batch in BasicSweeper.split_arguments(parse(overrides), None)[0]]
    except HydraException as error:
        raise ConfigError(f"these values cannot be swept over: {str(error).splitlines()[0]}; list them as KEY=a,b,c") from None
