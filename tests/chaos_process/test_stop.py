"""Processes that are asked to stop, a switch thrown while one trades, another time zone, and a log that has grown."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import traders
from process_world import Running, Server, agree, bar, database, running, seat, template, trader
from traders import Death

from alpha_arena.data import queries
from alpha_arena.data.controls import EVERYONE, Controls
from alpha_arena.data.service import DataService
from alpha_arena.settings import Settings
from flows.up import LOG_BYTES, LOG_FILES, Journal

INTENT = "after commit of decisions+orders+order_lifecycle_events+positions"
CLAIMED = "after commit of protections"
POST = "POST trade/order"
STOP_S = 5.0
NEXT = bar(2) + 2_000


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with candles alone."""
    return template(tmp_path_factory.mktemp("stored"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """An exchange with one account."""
    made = Server(tmp_path, ["t0"])
    yield made
    made.stop()


@pytest.fixture
def settings(server: Server, stored: Path, tmp_path: Path) -> Settings:
    """Its trader."""
    made = trader(tmp_path, "t0")
    seat(made, stored)
    return made


def asked(server: Server, request: str) -> int:
    """How often the exchange was asked."""
    return int(server.control("state")["requests"].get(request, 0))


def waiting_for(server: Server, request: str) -> None:
    """Return once it was asked."""
    while not asked(server, request):
        select.select([], [], [], 0.02)


def stopped(one: Running, number: int) -> int | None:
    """Exit code, soon after a signal."""
    began = time.monotonic()
    os.kill(one.process.pid or 0, number)
    code = one.ended()
    assert time.monotonic() - began < STOP_S
    return code


def cycle(settings: Settings) -> None:
    """One that comes to its end."""
    with running(traders.cycle, settings) as one:
        said = one.said()
        assert said[0] == "done", said


def states(settings: Settings) -> list[str]:
    """Of all orders, oldest first."""
    with closing(DataService(settings.database_url, read_only=True)) as service:
        return [row["state"] for row in queries.orders(service, settings.trader)][::-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.chaos)])
def test_a_signal_with_an_order_under_way(number: int, server: Server, settings: Settings) -> None:
    """C8: while the exchange keeps its reply to the order back: the process ends within 5 s, and the next one goes on as after a death."""
    server.control("fault", action={"hang": 8_000}, match={"path": "trade/order", "method": "POST"}, when="after")
    with running(traders.cycle, settings) as one:
        waiting_for(server, POST)
        assert stopped(one, number) not in (0, None)
    cycle(settings)
    agree(settings, server.account("t0"), orders=1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, -signal.SIGTERM, marks=pytest.mark.chaos)])
def test_a_signal_to_the_command(number: int, code: int, server: Server, settings: Settings) -> None:
    """C8: `alpha-arena trade` while it waits for the exchange; Ctrl-C is answered in words, and nothing holds the account afterwards."""
    server.control("fault", action={"hang": 8_000}, match={"path": "account/positions"}, when="after")
    with running(traders.command, "trade", *settings.overrides) as one:
        waiting_for(server, "GET account/positions")
        assert stopped(one, number) == code
        assert number == signal.SIGTERM or "interrupted" in one.said()
    cycle(settings)
    agree(settings, server.account("t0"), orders=1)


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.chaos)])
def test_a_signal_to_the_exchange(number: int, server: Server, settings: Settings) -> None:
    """C8: it ends well within 5 s, although a client's connection is open, and starts again with what it had."""
    cycle(settings)
    before = server.control("dump")["sha256"]
    assert stopped(server.running, number) == 0
    server.start()
    assert server.control("dump")["sha256"] == before


@pytest.mark.parametrize("step", [CLAIMED, *(pytest.param(step, marks=pytest.mark.chaos) for step in ("decided", INTENT))])
def test_a_kill_file_while_a_cycle_runs(step: str, server: Server, settings: Settings) -> None:
    """E1, I6: written by a person between decision and request: not one order is sent, after restarts neither, until it is resumed."""
    with running(traders.held_cycle, settings, step) as one:
        assert one.said() == ("waiting",)
        (database(settings).parent / "KILL").write_text("hold\n", encoding="utf-8")
        one.pipe.send("go on")
        assert one.said()[0] == "done"
    cycle(settings)
    assert (asked(server, POST), states(settings)) == (0, ["LAPSED"])
    resume(settings)
    server.control("clock", now=NEXT)
    cycle(settings)
    assert (asked(server, POST), states(settings)) == (1, ["LAPSED", "FILLED"])
    agree(settings, server.account("t0"), orders=1)


def resume(settings: Settings) -> None:
    """Take the switch back."""
    with closing(DataService(settings.database_url)) as service:
        Controls(service).resume(EVERYONE, NEXT, "somebody")
        assert not (database(settings).parent / "KILL").exists()


def test_a_switch_thrown_while_the_exchange_is_down(server: Server, settings: Settings) -> None:
    """E1: by the command line; the position goes with the first sync after the exchange is back, and stays gone."""
    cycle(settings)
    server.stop()
    with running(traders.command, "kill", "policy=flatten", *settings.overrides[:-1]) as one:
        assert one.ended() == 0
    with running(traders.command, "sync", *settings.overrides) as one:
        assert one.ended() == 1
    server.start()
    for _ in range(2):
        with running(traders.command, "sync", *settings.overrides) as one:
            assert one.ended() == 0
    agree(settings, server.account("t0"), orders=2)
    assert [float(held["pos"]) for held in server.account("t0")["holdings"].values()] == [0.0]


def made_in(zone: str, folder: Path, stored: Path, until: tuple[str, Death] | None = None) -> tuple[list[Any], list[str]]:
    """Decisions and the names of orders of one entry; begun in another zone, where the process dies, and ended in this one."""
    folder.mkdir()
    server = Server(folder, ["t0"])
    settings = trader(folder, "t0")
    seat(settings, stored)
    if until is not None:
        with running(traders.abroad, until[0], settings, until[1]) as one:
            assert one.ended() == -signal.SIGKILL
    with running(traders.abroad, zone, settings) as one:
        assert one.said()[0] == "done"
    theirs = server.account("t0")
    agree(settings, theirs, orders=1)
    server.stop()
    with closing(DataService(settings.database_url, read_only=True)) as service:
        made = [(row["bar_ts"], row["exposure"], row["stop"], row["take"]) for row in queries.decisions(service, "t0")]
    return made, [order["cl_ord_id"] for order in theirs["orders"].values()]


def test_another_time_zone_changes_nothing(stored: Path, tmp_path: Path) -> None:
    """C8: decided in UTC; in Auckland; and begun in Auckland, killed, and ended in New York."""
    home = made_in("UTC", tmp_path / "a", stored)
    assert made_in("Pacific/Auckland", tmp_path / "b", stored) == home
    assert made_in("America/New_York", tmp_path / "c", stored, ("Pacific/Auckland", Death(INTENT))) == home


def test_a_log_does_not_grow_without_end(tmp_path: Path) -> None:
    """C8: what `up` and its children say goes to a few files of bounded size, whatever was there before."""
    (tmp_path / "up.log").write_bytes(b"x" * (2 * LOG_BYTES))
    journal = Journal(tmp_path)
    line = "y" * (LOG_BYTES // 40)
    for _ in range(40 * (LOG_FILES + 2)):
        journal("api", line)
    journal.close()
    found = sorted(tmp_path.iterdir())
    assert len(found) == LOG_FILES + 1
    assert all(file.stat().st_size <= LOG_BYTES for file in found)
