"""Where orders may go: pure rules over what was asked, what the environment allows and what was confirmed by hand.

Paper and the embedded exchange are free. A demo account needs TRADING_ENABLED=true; real money needs OKX_IS_DEMO=false as well and
confirm_live=true among the starting command's own arguments (faults A15, E3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from alpha_arena.core.errors import ConfigError, SafetyError
from alpha_arena.settings.environment import is_secret, masked_text

Environment = Literal["paper", "embedded", "demo", "live"]

CONFIRMATION = "confirm_live"
# commands that reach the account of executor=okx
ACTING = frozenset({"trade", "sync", "loop", "up", "deploy"})
# their overrides are kept in Prefect's database
STORING = frozenset({"up", "deploy"})
VENUES = ("embedded", "okx")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
REAL_HOST = "okx.com"
EMBEDDED_KEY = "demo-"


@dataclass(frozen=True, slots=True)
class Asked:
    """What decides where orders go.

    Attributes:
        executor: kind of conf/executor. exchange: kind of the chosen one, "" for none. rules: whether any risk rule is configured.
        trading, demo: TRADING_ENABLED and OKX_IS_DEMO. confirmed: the composed value of confirm_live.
        overrides: the command's own arguments.
    """

    command: str
    executor: str
    exchange: str
    rules: bool
    trading: bool
    demo: bool
    confirmed: bool
    overrides: tuple[str, ...] = ()


def switch(environ: Mapping[str, str], name: str, default: bool) -> bool:
    """A variable that is true or false; unset and empty are the default.

    Raises:
        ConfigError: neither word.
    """
    given = environ.get(name, "").strip().lower()
    if given not in ("", "true", "false"):
        raise ConfigError(f"{name}={environ[name]} in the environment is not allowed: it is true or false")
    return given == "true" if given else default


def gate(asked: Asked) -> Environment:
    """Where the orders of this command may go; of a command that sends none, where they would.

    Raises:
        ConfigError: a combination that makes no sense. SafetyError: real orders that were not allowed, or not confirmed.
    """
    _refuse_stored_confirmation(asked)
    if asked.executor == "simulated":
        return "paper"
    _refuse_unguarded(asked)
    if asked.exchange == "embedded":
        return "embedded"
    if asked.command in ACTING:
        _refuse_unconfirmed(asked)
    return "demo" if asked.demo else "live"


def _refuse_stored_confirmation(asked: Asked) -> None:
    if asked.confirmed and not names_confirmation(asked.overrides):
        raise SafetyError(
            f"{CONFIRMATION}=true stands in a file: real money is confirmed by hand alone; take it out and give it with the command"
        )
    if asked.command in STORING - {"up"} and names_confirmation(asked.overrides):
        raise SafetyError(f"{CONFIRMATION} cannot be stored in a deployment: confirm live trading by hand when you start it")


def _refuse_unguarded(asked: Asked) -> None:
    if asked.exchange not in VENUES:
        given = asked.exchange or "null"
        raise ConfigError(f"executor=okx cannot send orders to exchange={given}; choose exchange=embedded, or exchange=okx (demo or live)")
    if not asked.rules:
        raise ConfigError("risk=none is refused with executor=okx: orders that reach an exchange pass the risk rules; choose risk=default")


def _refuse_unconfirmed(asked: Asked) -> None:
    if not asked.trading:
        raise SafetyError("executor=okx exchange=okx needs TRADING_ENABLED=true in the environment; exchange=embedded needs nothing")
    if asked.demo and asked.confirmed:
        raise SafetyError(f"{CONFIRMATION}=true contradicts OKX_IS_DEMO=true: leave it out for the demo account, or set OKX_IS_DEMO=false")
    if not asked.demo and not asked.confirmed:
        raise SafetyError(
            f"OKX_IS_DEMO=false means real money: add {CONFIRMATION}=true to this command, or set OKX_IS_DEMO=true for the demo account"
        )


def names_confirmation(overrides: Iterable[str]) -> bool:
    """Whether confirm_live is among overrides, whatever its value."""
    return any(key_of(text).rsplit(".", 1)[-1] == CONFIRMATION for text in overrides)


def without_confirmation(overrides: Sequence[str]) -> tuple[str, ...]:
    """The overrides that may be stored and handed on."""
    return tuple(text for text in overrides if not names_confirmation([text]))


def key_of(override: str) -> str:
    """The key of KEY=VALUE."""
    return override.lstrip("+~").partition("=")[0]


def refuse_stored(overrides: Iterable[str]) -> None:
    """What a flow finds in a scheduler's database was not typed by whoever starts it.

    Raises:
        SafetyError: a confirmation of live trading is among it.
    """
    if names_confirmation(overrides):
        raise SafetyError(f"{CONFIRMATION} in stored parameters is refused: confirm live trading by hand, in the command that starts it")


def refuse_secrets(overrides: Iterable[str]) -> None:
    """Overrides that are stored with a schedule may hold no secret.

    Raises:
        ConfigError: a key, or a password inside an address.
    """
    for text in overrides:
        if is_secret(key_of(text)) or masked_text(text) != text:
            raise ConfigError(
                f"{key_of(text)}=... holds a password or key and would be stored with the schedule: set it in the environment or in .env"
                f"{' as DATABASE_URL' if key_of(text) == 'database.url' else ''}"
            )


def check_host(environment: Environment, host: str, api_key: str) -> None:
    """Keys and host belong to the same world.

    Args:
        host: e.g. "https://www.okx.com". api_key: "" where there is none.

    Raises:
        SafetyError: live keys would reach a host of the demo, or keys of the embedded exchange a real one.
    """
    url = urlsplit(host)
    local, embedded = url.hostname in LOOPBACK, api_key.startswith(EMBEDDED_KEY)
    if not local and not _is_real(url.scheme, url.hostname or ""):
        raise SafetyError(f"keys are not sent to {host}: allowed are https hosts of {REAL_HOST}; correct exchange.hosts")
    if local and environment == "live":
        raise SafetyError(
            f"live trading at {host} is refused: that is no host of {REAL_HOST}; correct exchange.hosts or set OKX_IS_DEMO=true"
        )
    if not local and (embedded or environment == "embedded"):
        raise SafetyError(f"keys of the embedded exchange are not sent to {host}; set OKX_API_KEY to those of the account at {REAL_HOST}")
    if local and api_key and not embedded:
        raise SafetyError(f"keys of a real account are not sent to {host}; the embedded exchange has keys of its own")


def _is_real(scheme: str, host: str) -> bool:
    return scheme == "https" and (host == REAL_HOST or host.endswith(f".{REAL_HOST}"))
