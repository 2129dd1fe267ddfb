"""Traders and the exchange as processes of their own, killed at named steps: one order a leg, both books the same, and nobody helps."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import traders
from process_world import RESTART_S, Server, agree, bar, running, seat, template, trader
from traders import Death

from alpha_arena.core.venue import OrderRequest, VenueError
from alpha_arena.data import queries
from alpha_arena.data.service import DataService
from alpha_arena.exchange.accounts import read_embedded
from alpha_arena.exchange.embedded.clock import SimClock
from alpha_arena.exchange.okx_account import OkxAccount
from alpha_arena.settings import Settings

INTENT = "commit of decisions+orders+order_lifecycle_events+positions"
BOOKED = "commit of outcomes+bills+trades+orders+positions+balances+order_lifecycle_events"
SENT = "commit of order_lifecycle_events+orders+sent_orders"
STATE = "commit of order_lifecycle_events+orders"
POINTS = {
    "the account is opened": Death("after commit of balances+bills"),
    "decided, not committed": Death(f"before {INTENT}"),
    "intent committed": Death(f"after {INTENT}"),
    "protection claimed": Death("after commit of protections"),
    "marked as sent": Death(f"after {SENT}"),
    "before it is submitted": Death("before POST trade/order"),
    "after it is submitted": Death("after POST trade/order"),
    "its id is stored": Death("after commit of sent_orders"),
    "acknowledgement stored": Death(f"after {STATE}"),
    "fills read, not booked": Death(f"before {BOOKED}"),
    "fills booked": Death(f"after {BOOKED}"),
    "its end is stored": Death(f"after {STATE}", 2),
    "protection seen": Death("after commit of protections", 2),
    "done, the lease is held": Death("before commit of leases", 2),
}
FAST = ("decided, not committed", "before it is submitted", "after it is submitted", "fills booked")
PLACED = ("before POST trade/order-algo", "after POST trade/order-algo")
EACH = [pytest.param(name, marks=() if name in FAST else pytest.mark.chaos) for name in POINTS]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with candles alone."""
    return template(tmp_path_factory.mktemp("stored"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """An exchange with some accounts."""
    made = Server(tmp_path, [f"t{n}" for n in range(40)])
    yield made
    made.stop()


def killed(settings: Settings, death: Death) -> None:
    """A cycle that kills its process."""
    with running(traders.cycle, settings, death) as one:
        assert one.said() is None, death
        assert one.ended() == -signal.SIGKILL


def lived(settings: Settings) -> list[str]:
    """A cycle that comes to its end, soon; the steps of it."""
    with running(traders.cycle, settings) as one:
        said = one.said()
        assert said[0] == "done", said
        assert said[1] < RESTART_S
        assert one.ended() == 0
    steps: list[str] = said[2]
    return steps


@pytest.mark.parametrize("point", EACH)
def test_a_killed_trader_is_as_if_it_had_lived(point: str, server: Server, stored: Path, tmp_path: Path) -> None:
    """A1, D20: the next start brings it to its end, and the one after that changes nothing."""
    settings = trader(tmp_path, "t0")
    seat(settings, stored)
    killed(settings, POINTS[point])
    lived(settings)
    agree(settings, server.account("t0"), orders=1)
    lived(settings)
    agree(settings, server.account("t0"), orders=1)


@pytest.mark.parametrize("step", [pytest.param(step, marks=pytest.mark.chaos) for step in PLACED])
def test_killed_while_protection_is_placed(step: str, server: Server, stored: Path, tmp_path: Path) -> None:
    """A1, A11: what the entry carried was not made; the position gets its stop once, from whichever process."""
    server.control("state", attach_fails=True)
    settings = trader(tmp_path, "t0")
    seat(settings, stored)
    killed(settings, Death(step))
    lived(settings)
    agree(settings, server.account("t0"), orders=1)


AGAIN = [f"before {BOOKED}", *(pytest.param(f"after {name}", marks=pytest.mark.chaos) for name in (BOOKED, STATE))]


@pytest.mark.parametrize("again", AGAIN)
def test_killed_again_in_the_recovery(again: str, server: Server, stored: Path, tmp_path: Path) -> None:
    """A1: kill twice."""
    settings = trader(tmp_path, "t0")
    seat(settings, stored)
    killed(settings, POINTS["after it is submitted"])
    killed(settings, Death(again))
    lived(settings)
    agree(settings, server.account("t0"), orders=1)


def test_killed_while_the_exchange_keeps_it_waiting(server: Server, stored: Path, tmp_path: Path) -> None:
    """A1, A3: the order is accepted, its reply is on its way, and the process is killed from outside."""
    settings = trader(tmp_path, "t0")
    seat(settings, stored)
    server.control("fault", action={"hang": 5_000}, match={"path": "trade/order", "method": "POST"}, when="after")
    with running(traders.cycle, settings) as one:
        while not server.control("state")["requests"].get("POST trade/order"):
            select.select([], [], [], 0.02)
        os.kill(one.process.pid or 0, signal.SIGKILL)
        assert one.ended() == -signal.SIGKILL
    lived(settings)
    agree(settings, server.account("t0"), orders=1)


@pytest.mark.parametrize(
    ("point", "end"), [("intent committed", "LAPSED"), pytest.param("marked as sent", "EXPIRED", marks=pytest.mark.chaos)]
)
def test_a_decision_whose_bar_is_over_is_not_sent(point: str, end: str, server: Server, stored: Path, tmp_path: Path) -> None:
    """A1: the restart comes an hour later: the old intent is at its end, and the new decision alone is traded."""
    settings = trader(tmp_path, "t0")
    seat(settings, stored)
    killed(settings, POINTS[point])
    server.control("clock", now=bar(2) + 2_000)
    lived(settings)
    theirs = server.account("t0")
    agree(settings, theirs, orders=1)
    assert [order["side"] for order in theirs["orders"].values()] == ["sell"]
    with closing(DataService(settings.database_url, read_only=True)) as service:
        assert sorted(row["state"] for row in queries.orders(service, "t0")) == sorted([end, "FILLED"])


def numbered(steps: list[str]) -> list[Death]:
    """A death at each step."""
    return [Death(step, steps[: n + 1].count(step)) for n, step in enumerate(steps)]


@pytest.mark.chaos
@pytest.mark.parametrize("part", range(4))
def test_every_step_of_an_entry(part: int, server: Server, stored: Path, tmp_path: Path) -> None:
    """A1: before and after each request and each commit."""
    first = trader(tmp_path, "t0")
    seat(first, stored)
    deaths = numbered(lived(first))
    assert len(deaths) > 80
    for n, death in enumerate(deaths[part::4]):
        settings = trader(tmp_path, f"t{n + 1}")
        seat(settings, stored)
        killed(settings, death)
        lived(settings)
        agree(settings, server.account(settings.trader), orders=1)


@pytest.mark.chaos
@pytest.mark.parametrize("part", range(6))
def test_every_step_of_a_flip(part: int, server: Server, stored: Path, tmp_path: Path) -> None:
    """A1: from long to short, two legs: an exit and an entry, each once."""
    every = [trader(tmp_path, f"t{n}") for n in range(40)]
    for settings in every:
        seat(settings, stored)
        lived(settings)
    server.control("clock", now=bar(2) + 2_000)
    deaths = numbered(lived(every[0]))
    assert len(deaths) > 120
    for settings, death in zip(every[1:], deaths[part::6], strict=False):
        killed(settings, death)
        lived(settings)
        agree(settings, server.account(settings.trader), orders=3)
    assert len(deaths[part::6]) < len(every)


WRITES = ["in transaction", *(pytest.param(f"{when} transaction", marks=pytest.mark.chaos) for when in ("before", "after"))]


@pytest.mark.parametrize("where", WRITES)
def test_an_exchange_killed_in_mid_cycle(where: str, server: Server, stored: Path, tmp_path: Path) -> None:
    """A1 of the exchange's process: it dies of the trader's order; both start again, and there is one order."""
    server.stop()
    server.more["death"] = Death(where)
    server.start()
    settings = trader(tmp_path, "t0")
    seat(settings, stored)
    with running(traders.cycle, settings):
        assert server.running.ended() == -signal.SIGKILL
    server.more.pop("death")
    server.start()
    lived(settings)
    agree(settings, server.account("t0"), orders=1)


def customer(server: Server) -> OkxAccount:
    """Its first account, asked by a client whose clock stands still."""
    found = read_embedded(server.folder / "embedded.json")
    return OkxAccount(found.url, found.keys("t0"), True, [traders.RULES], SimClock.stepped(bar(1) + 2_000))


class Customer:
    """Asks an exchange that stands still in time for one thing after the other; what dies is started again and asked what it knows."""

    def __init__(self, folder: Path, death: Death | None) -> None:
        self.server = Server(folder, ["t0"], death=death, mode="stepped")
        self.deaths = 0
        self.connect()

    def connect(self) -> None:
        """To where it is now."""
        self.venue = customer(self.server)

    def ask(self, question: Callable[[OkxAccount], object], known: Callable[[OkxAccount], object]) -> None:
        """Until it is known, at most twice."""
        try:
            question(self.venue)
        except VenueError:
            assert self.server.running.ended() == -signal.SIGKILL
            self.server.more.pop("death")
            self.deaths += 1
            self.server.stop()
            self.server.start()
            self.venue.close()
            self.connect()
            if not known(self.venue):
                question(self.venue)

    def everything(self) -> str:
        """Leverage, an entry with its protection, another protection, the first one's end, an exit; the hash of it all."""
        sends = {name: OrderRequest(name, traders.BTC, Decimal(sign), "market", **more) for name, sign, more in ORDERS}
        self.ask(lambda venue: venue.set_leverage(traders.BTC, Decimal(5)), lambda venue: venue.leverage(traders.BTC) == 5)
        self.ask(lambda venue: venue.send(sends["in"], FAR_MS), lambda venue: venue.order(traders.BTC, "in"))
        self.ask(
            lambda venue: venue.protect(traders.BTC, "p2", Decimal(-1), Decimal(38_500), None),
            lambda venue: venue.protection(traders.BTC, "p2"),
        )
        self.ask(lambda venue: venue.unprotect(traders.BTC, first_of(venue)), lambda venue: len(venue.protections(traders.BTC)) == 1)
        self.ask(lambda venue: venue.send(sends["out"], FAR_MS), lambda venue: venue.order(traders.BTC, "out"))
        self.venue.close()
        return str(self.server.control("dump")["sha256"])


FAR_MS = bar(2)
ORDERS: list[tuple[str, int, dict[str, Any]]] = [
    ("in", 1, {"stop": Decimal(38_000), "protection_id": "p1"}),
    ("out", -1, {"reduce_only": True}),
]


def first_of(venue: OkxAccount) -> list[str]:
    """Id of the protection that the entry carried."""
    return [one.algo_id for one in venue.protections(traders.BTC) if one.client_id == "p1"]


@pytest.mark.parametrize("where", WRITES)
def test_a_killed_exchange_has_what_it_answered(where: str, tmp_path: Path) -> None:
    """A1 of the exchange's process: killed at each of its transactions, its ledger is to the byte that of one that lived."""
    hashes, deaths = [], []
    for nth in range(6):
        (tmp_path / str(nth)).mkdir()
        customer = Customer(tmp_path / str(nth), Death(where, nth) if nth else None)
        hashes.append(customer.everything())
        deaths.append(customer.deaths)
        customer.server.stop()
    assert deaths == [0, 1, 1, 1, 1, 1]
    assert set(hashes) == {hashes[0]}


def test_an_order_on_its_way_arrives_at_an_exchange_that_died_of_nothing(tmp_path: Path) -> None:
    """A1 of the exchange's process: accepted, then SIGKILL before its latency is over; it meets the market when it would have."""
    hashes = []
    for dies in (False, True):
        (tmp_path / str(dies)).mkdir()
        server = Server(tmp_path / str(dies), ["t0"], mode="stepped", latency_ms=20)
        venue = customer(server)
        venue.send(OrderRequest("in", traders.BTC, Decimal("0.1")), FAR_MS)
        if dies:
            server.stop()
            server.start()
        server.control("advance", ms=1_000)
        assert [order["state"] for order in server.account("t0")["orders"].values()] == ["filled"]
        hashes.append(server.control("dump")["sha256"])
        server.stop()
        venue.close()
    assert hashes[0] == hashes[1]
