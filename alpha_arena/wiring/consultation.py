"""`doctor` at work: this machine, then the account of each trader."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from alpha_arena.core.errors import AlphaArenaError, ConfigError, StoreError
from alpha_arena.core.ports import Clock
from alpha_arena.core.venue import Venue
from alpha_arena.data.service import DataService
from alpha_arena.exchange.accounts import Keys
from alpha_arena.settings import Settings
from alpha_arena.settings.gates import switch
from alpha_arena.wiring.examination import Examination
from alpha_arena.wiring.findings import Finding
from alpha_arena.wiring.surroundings import data, database, disk, dotenv, halts, reach, switches
from alpha_arena.wiring.trading import everyone
from alpha_arena.wiring.venue import checked_keys, embedded_of, exchange_of, has_account, speed_of, world_of

# from host and keys (None for what is public alone) to an account
Opener = Callable[[Settings, Clock, str, Keys | None], Venue]


def machine(settings: Settings, environ: Mapping[str, str], folder: Path) -> Iterator[Finding]:
    """Switches, secrets and disk. folder: the working one."""
    yield from reach(settings, environ)
    yield from dotenv(folder)
    yield from disk(settings.data_folder)


def stored(settings: Settings, service: DataService, clock: Clock) -> Iterator[Finding]:
    """The database, and where it is sound the candles and halts in it."""
    found = list(database(service))
    yield from found
    if all(one.severity == "ok" for one in found):
        yield from data(settings, service, clock)
        names = [one.trader for one in everyone(settings)]
        yield from switches(service, names)
        yield from halts(service, names)


def accounts(settings: Settings, clock: Clock, environ: Mapping[str, str], opener: Opener | None = None) -> Iterator[Finding]:
    """Each trader's account, as far as there are keys to ask with."""
    for n, one in enumerate(everyone(settings)):
        if not has_account(one):
            given = one.exchange.kind if one.exchange else "null"
            said = f"exchange={given} holds no account; nothing was asked"
            yield Finding("unchecked", "account", said, "add exchange=okx or exchange=embedded to look at one", one.trader)
        else:
            yield from account(one, clock, environ, opener, n == 0)


def account(settings: Settings, clock: Clock, environ: Mapping[str, str], opener: Opener | None, first: bool) -> Iterator[Finding]:
    """One trader's account; where there are no keys, what is public. first: nobody else has asked for that yet."""
    try:
        if exchange_of(settings).kind == "embedded":
            embedded_of(settings)
    except ConfigError as error:
        yield Finding("unchecked", "keys", str(error), "start it, and run doctor again", settings.trader)
        return
    try:
        world = world_of(settings, switch(environ, "OKX_IS_DEMO", True))
        host, keys = checked_keys(settings, world, environ)
    except AlphaArenaError as error:
        embedded = exchange_of(settings).kind == "embedded"
        fix = "name a trader that has one: trader.id=, or arena=default under up" if embedded else "correct the keys in .env"
        yield Finding("error", "keys", str(error), fix, settings.trader)
        return
    yield keys_finding(settings.trader, host, keys)
    if opener is None:
        yield Finding("unchecked", "account", f"nothing was asked of {host}", "look at the account's page at the exchange", settings.trader)
        return
    venue, leverage = opener(settings, clock, host, keys), settings.decider.leverage
    speed, private = speed_of(settings), keys is not None
    yield from Examination(settings.trader, venue, settings.symbols, leverage, clock, speed, private, first).findings()


def keys_finding(trader: str, host: str, keys: Keys | None) -> Finding:
    """Whether there are keys, and where they would be sent."""
    if keys is None:
        return Finding("unchecked", "keys", f"there are none for {host}", "see OKX_API_KEY in .env.example", trader)
    return Finding("ok", "keys", f"of {host}", trader=trader)


def missing_database(error: StoreError) -> Finding:
    """What is said where there is nothing to open."""
    return Finding("error", "database", str(error), "alpha-arena db upgrade, or another database.url=")


def sorted_worst_first(findings: Iterator[Finding]) -> list[Finding]:
    """In the order in which a person should read them."""
    order = ("error", "warning", "unchecked", "info", "ok")
    return sorted(findings, key=lambda one: order.index(one.severity))
