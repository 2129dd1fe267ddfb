"""Keys of accounts, and the file in which the embedded exchange leaves its address and those of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alpha_arena.core.errors import ConfigError, SafetyError

FILE_NAME = "embedded.json"
PRIVATE = 0o600
OTHERS = 0o077
PARTS = {"api_key": "OKX_API_KEY", "secret": "OKX_API_SECRET", "passphrase": "OKX_PASSPHRASE"}


@dataclass(frozen=True, slots=True)
class Keys:
    """Of one account; never shown."""

    api_key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Embedded:
    """A running embedded exchange. accounts: keys by name; control_token: of its control plane."""

    url: str
    control_url: str
    control_token: str = field(repr=False)
    accounts: Mapping[str, Keys]

    def keys(self, name: str) -> Keys:
        """Of the account with a name.

        Raises:
            ConfigError: there is none.
        """
        if name not in self.accounts:
            raise ConfigError(
                f"the embedded exchange has no account for trader.id={name}, only {', '.join(self.accounts)}; "
                f"start it with exchange.accounts=[{','.join([*self.accounts, name])}]"
            )
        return self.accounts[name]


def environment_keys(trader: str, environ: Mapping[str, str]) -> Keys | None:
    """OKX_API_KEY__TRADER, OKX_API_SECRET__TRADER, OKX_PASSPHRASE__TRADER, else the plain names; None where there are none.

    Args:
        trader: its id; in a variable's name it is in capitals, with _ for -.

    Raises:
        ConfigError: a set is not whole: parts of two accounts are never put together.
    """
    own = f"__{trader.upper().replace('-', '_')}"
    for suffix in (own, ""):
        names = {part: name + suffix for part, name in PARTS.items()}
        found = {part: environ[name] for part, name in names.items() if environ.get(name)}
        if len(found) == len(names):
            return Keys(**found)
        if found:
            missing = next(name for part, name in names.items() if part not in found)
            raise ConfigError(f"{missing} is not set, but other keys of that account are; set all three in the environment or in .env")
    return None


def write_embedded(file: Path, line: Mapping[str, Any]) -> None:
    """Keep the exchange's first line, {url, control_url, control_token, accounts}, readable by its owner alone."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE), "w", encoding="utf-8") as out:
        os.fchmod(out.fileno(), PRIVATE)
        json.dump(line, out)
    draft.replace(file)


def read_embedded(file: Path) -> Embedded:
    """The embedded exchange that was started last.

    Raises:
        ConfigError: none was, or the file is not of its form. SafetyError: others may read its keys.
    """
    try:
        mode = file.stat().st_mode
        said = json.loads(file.read_text(encoding="utf-8"))
        accounts = {one["name"]: Keys(one["api_key"], one["secret"], one["passphrase"]) for one in said["accounts"]}
        found = Embedded(said["url"], said["control_url"], said["control_token"], accounts)
    except FileNotFoundError:
        raise ConfigError(f"{file} does not exist, so no embedded exchange runs here; start one with alpha-arena exchange, or up") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{file} is not what alpha-arena exchange writes; delete it and start the exchange again") from None
    if os.name == "posix" and mode & OTHERS:
        raise SafetyError(f"{file} holds keys and has mode {mode & 0o777:o}, allowed is {PRIVATE:o}; run chmod 600 {file}")
    return found
