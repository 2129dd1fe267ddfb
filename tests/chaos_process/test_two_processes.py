"""Two processes trade one account: one at a time does, and one that was stopped for longer than its lease sends nothing any more."""

from __future__ import annotations

import os
import select
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import psutil
import pytest
import traders
from process_world import SAID_S, Running, Server, agree, database, running, seat, template, trader

from alpha_arena.settings import Settings

INTENT = "after commit of decisions+orders+order_lifecycle_events+positions"
SENT = "after commit of order_lifecycle_events+orders+sent_orders"
OPENED = "after commit of balances+bills"
CLAIMED = "after commit of protections"
# between its decision and its request; a lock on the database is held at none of them
BEFORE_IT_SENDS = (OPENED, "after commit of account_states", "decided", INTENT, CLAIMED)
STOPS = (
    *BEFORE_IT_SENDS,
    SENT,
    "after commit of sent_orders",
    "after commit of outcomes+bills+trades+orders+positions+balances+order_lifecycle_events",
)
ROUNDS = 200
POST = "POST trade/order"


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with candles alone."""
    return template(tmp_path_factory.mktemp("stored"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """An exchange with an account for each round."""
    made = Server(tmp_path, [f"t{n}" for n in range(ROUNDS)])
    yield made
    made.stop()


@pytest.fixture
def pair() -> Iterator[tuple[Running, Running]]:
    """Two processes that trade when they are told to."""
    with running(traders.contend) as one, running(traders.contend) as other:
        yield one, other


def ten_minutes_pass(settings: Settings) -> None:
    """For the leases alone: they are over."""
    with closing(sqlite3.connect(database(settings))) as connection, connection:
        assert connection.execute("UPDATE leases SET expires_s = 1 WHERE expires_s > 1").rowcount == 2


def asleep(one: Running) -> None:
    """Return once it is stopped."""
    process = psutil.Process(one.process.pid)
    for _ in range(round(SAID_S / 0.01)):
        if process.status() == psutil.STATUS_STOPPED:
            return
        select.select([], [], [], 0.01)
    raise AssertionError("it did not stop")


def sent(server: Server) -> int:
    """Orders that were asked for, whatever became of them."""
    return int(server.control("state")["requests"].get(POST, 0))


def a_round(server: Server, pair: tuple[Running, Running], settings: Settings, step: str) -> tuple[int, int]:
    """The first is stopped at a step, the second takes over, the first wakes up; orders sent before and after that."""
    first, second = pair
    first.pipe.send((settings, step))
    assert first.said() == ("stopping",), step
    asleep(first)
    ten_minutes_pass(settings)
    second.pipe.send((settings, None))
    said = second.said()
    assert said[0] == "ended", (step, said)
    before = sent(server)
    os.kill(first.process.pid or 0, signal.SIGCONT)
    woken = first.said()
    assert woken[:2] == ("ended", 0), (step, woken)
    return before, sent(server)


@pytest.mark.parametrize("step", ["decided", INTENT])
def test_a_process_that_slept_too_long_sends_nothing(
    step: str, server: Server, pair: tuple[Running, Running], stored: Path, tmp_path: Path
) -> None:
    """C1, I6: SIGSTOP after its decision, the other takes over, SIGCONT: the intent's transaction looks at the lease."""
    settings = trader(tmp_path, "t0")
    seat(settings, stored)
    assert a_round(server, pair, settings, step) == (1, 1)
    agree(settings, server.account("t0"), orders=1)


def test_one_that_slept_with_the_order_in_its_hand_comes_too_late(
    server: Server, pair: tuple[Running, Running], stored: Path, tmp_path: Path
) -> None:
    """C1, A5: the order was marked as sent; the exchange refuses it by its expiry, and it was sent once by the other."""
    settings = trader(tmp_path, "t0")
    seat(settings, stored)
    assert a_round(server, pair, settings, SENT) == (1, 2)
    agree(settings, server.account("t0"), orders=1)


def test_of_two_at_once_one_trades(server: Server, pair: tuple[Running, Running], stored: Path, tmp_path: Path) -> None:
    """C1: the other does nothing and ends well."""
    settings = trader(tmp_path, "t0")
    seat(settings, stored)
    assert contended(pair, settings) == [0, 1]
    agree(settings, server.account("t0"), orders=1)


def contended(pair: tuple[Running, Running], settings: Settings) -> list[int]:
    """Decisions of two that start at once."""
    for one in pair:
        one.pipe.send((settings, None))
    said = [one.said() for one in pair]
    assert [one[0] for one in said] == ["ended", "ended"], said
    return sorted(one[1] for one in said)


def test_the_loser_ends_with_exit_code_0(server: Server, pair: tuple[Running, Running], stored: Path, tmp_path: Path) -> None:
    """C1: `alpha-arena trade` while another process is at it."""
    settings = trader(tmp_path, "t0")
    seat(settings, stored)
    pair[0].pipe.send((settings, "decided"))
    assert pair[0].said() == ("stopping",)
    asleep(pair[0])
    with running(traders.command, "trade", *settings.overrides) as loser:
        assert loser.ended() == 0
        assert "nothing to do" in loser.said()
    os.kill(pair[0].process.pid or 0, signal.SIGCONT)
    assert pair[0].said()[:2] == ("ended", 1)
    agree(settings, server.account("t0"), orders=1)


@pytest.mark.chaos
def test_a_transaction_that_sleeps_is_not_run_over(server: Server, pair: tuple[Running, Running], stored: Path, tmp_path: Path) -> None:
    """C1, C3: stopped inside the intent's transaction: the other cannot write and sends nothing; the first goes on, still the holder."""
    settings = trader(tmp_path, "t0")
    seat(settings, stored)
    pair[0].pipe.send((settings, INTENT.replace("after", "before")))
    assert pair[0].said() == ("stopping",)
    asleep(pair[0])
    pair[1].pipe.send((settings, None))
    said = pair[1].said()
    assert said[0] == "failed"
    assert "another process holds it" in said[1]
    assert sent(server) == 0
    os.kill(pair[0].process.pid or 0, signal.SIGCONT)
    assert pair[0].said()[:2] == ("ended", 1)
    agree(settings, server.account("t0"), orders=1)


@pytest.mark.chaos
def test_two_hundred_rounds(server: Server, pair: tuple[Running, Running], stored: Path, tmp_path: Path) -> None:
    """C1: stopped anywhere, or both at once: one order each time."""
    draw = Random(1)
    for n in range(ROUNDS):
        settings = trader(tmp_path, f"t{n}")
        seat(settings, stored)
        step = draw.choice((*STOPS, ""))
        first = draw.choice(pair)
        order = (first, pair[1] if first is pair[0] else pair[0])
        if step:
            before, after = a_round(server, order, settings, step)
            assert after - before == (step == SENT), (n, step)
        else:
            assert contended(order, settings) == [0, 1]
        order[1].pipe.send((settings, None))
        assert order[1].said()[:2] == ("ended", 0)
        agree(settings, server.account(settings.trader), orders=1)
