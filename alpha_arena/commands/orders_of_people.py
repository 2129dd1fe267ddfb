"""What kill, pause, close and resume have in common: for whom, by whom, when; the word stays until it is taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from getpass import getuser
from typing import TYPE_CHECKING, Any

from alpha_arena.commands.shared import WallClock, clock_of, given
from alpha_arena.core.errors import StoreError, UnknownName
from alpha_arena.settings import Settings

if TYPE_CHECKING:
    from alpha_arena.data.controls import Controls
    from alpha_arena.data.service import DataService

Word = Callable[["Controls", str, int, str], Any]


@contextmanager
def opened(settings: Settings) -> Iterator[DataService]:
    """The database, unchecked: a kill switch must not fail where something less matters."""
    from alpha_arena.data.service import DataService

    service = DataService(settings.database_url)
    try:
        yield service
    finally:
        service.close()


def say(settings: Settings, word: Word) -> dict[str, Any]:
    """Give a word to the trader that is named, or to everyone; the traders' state after it.

    Raises:
        UnknownName: a trader.id that nobody has.
        StoreError: the database refused; a kill of everyone holds all the same, by the file KILL.
    """
    from alpha_arena.data.controls import Controls

    with opened(settings) as service:
        controls = Controls(service)
        trader = named(settings, service)
        lifted = word(controls, trader, now_ms(service), getuser())
        done = {"trader": trader or "everyone", **({} if lifted is None else {"lifted": ", ".join(lifted) or "nothing was on"})}
        return {**done, "traders": states(controls, settings, service, trader)}


def named(settings: Settings, service: DataService) -> str:
    """The trader that the command line names, "" for everyone.

    Raises:
        UnknownName: an id that no trader has traded under.
    """
    from alpha_arena.data import queries

    if given(settings, "trader"):
        return settings.trader
    if not given(settings, "trader.id"):
        return ""
    known = [str(row["trader"]) for row in queries.traders(service)]
    if settings.trader not in known:
        raise UnknownName("trader.id", settings.trader, known)
    return settings.trader


def now_ms(service: DataService) -> int:
    """The market's time; the wall's where the database cannot tell."""
    try:
        return clock_of(service).now_ms()
    except StoreError:
        return WallClock().now_ms()


def states(controls: Controls, settings: Settings, service: DataService, trader: str) -> list[dict[str, Any]]:
    """What holds now for the trader, or for each that is known."""
    from alpha_arena.data import queries

    every = [trader] if trader else [str(row["trader"]) for row in queries.traders(service)]
    found = [(one, controls.state(one)) for one in every or [settings.trader]]
    return [{"trader": one, "killed": told.killed, "paused": told.paused, "close_ms": told.close_ms} for one, told in found]
