"""From settings to an account at an exchange: its host, its keys, and the rule that they belong together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from alpha_arena.core.errors import ConfigError, TransientError
from alpha_arena.exchange.accounts import Embedded, Keys, environment_keys, read_embedded
from alpha_arena.exchange.told_clock import told_speed
from alpha_arena.settings import ExchangeChoice, Settings
from alpha_arena.settings.gates import Environment, check_host

VENUES = ("embedded", "okx")


def has_account(settings: Settings) -> bool:
    """Whether the chosen exchange is one that holds accounts."""
    return settings.exchange is not None and settings.exchange.kind in VENUES


def exchange_of(settings: Settings) -> ExchangeChoice:
    """The exchange that holds the account.

    Raises:
        ConfigError: none does.
    """
    if settings.exchange is None or settings.exchange.kind not in VENUES:
        raise ConfigError("no account can be reached: choose exchange=embedded or exchange=okx")
    return settings.exchange


def world_of(settings: Settings, demo: bool) -> Environment:
    """Which world the chosen exchange belongs to, whatever the executor. demo: OKX_IS_DEMO."""
    return "embedded" if exchange_of(settings).kind == "embedded" else "demo" if demo else "live"


def embedded_of(settings: Settings) -> Embedded:
    """The embedded exchange that runs for this configuration.

    Raises:
        ConfigError: none has been started. SafetyError: its keys can be read by others.
    """
    return read_embedded(Path(str(exchange_of(settings).params["accounts_file"])))


def host_of(settings: Settings) -> str:
    """Where the account is, e.g. "https://www.okx.com"."""
    params = exchange_of(settings).params
    return embedded_of(settings).url if exchange_of(settings).kind == "embedded" else str(params["hosts"][params["region"]])


def speed_of(settings: Settings) -> float:
    """Simulated seconds a wall second at the chosen exchange, as it says; as configured where it cannot be asked."""
    exchange = exchange_of(settings)
    if exchange.kind != "embedded":
        return 1.0
    # the command that started it, or its control plane, has the say: at a pace that is only believed every order would come too late
    try:
        return told_speed(embedded_of(settings))
    except (ConfigError, TransientError):
        return float(exchange.params["speed"])


def keys_of(settings: Settings, environ: Mapping[str, str]) -> Keys | None:
    """The trader's keys: the embedded exchange's own, else those of the environment; None where there are none.

    Raises:
        ConfigError: a set is not whole, or the embedded exchange has no account for this trader.
    """
    if exchange_of(settings).kind == "embedded":
        return embedded_of(settings).keys(settings.trader)
    return environment_keys(settings.trader, environ)


def checked_keys(settings: Settings, environment: Environment, environ: Mapping[str, str]) -> tuple[str, Keys | None]:
    """Host and keys that belong together.

    Raises:
        SafetyError: they do not.
    """
    host, keys = host_of(settings), keys_of(settings, environ)
    check_host(environment, host, keys.api_key if keys else "")
    return host, keys
