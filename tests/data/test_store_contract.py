"""What every memory of a trader keeps: the lists of a backtest, and the ledger on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from databases import database_of
from series import BTC, DAY, ETH, HOUR, START
from trading import CAPITAL, Scene, booking, decision, opened, scene

from alpha_arena.core.errors import AlreadyDecided
from alpha_arena.core.ports import Store
from alpha_arena.core.records import OrderEvent
from alpha_arena.core.types import RUINED, Account, Fill, Order, Position
from alpha_arena.data.memory import MemoryStore
from alpha_arena.data.service import DataService

Make = Callable[[str], Store]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes the store of a trader whose account is open."""
    if request.param == "memory":
        yield MemoryStore
        return
    service = DataService(database_of(request, request.param))
    yield lambda trader: opened(service, trader)
    service.close()


def test_a_bar_is_decided_once(make: Make) -> None:
    """D27, D28: the same bar and trader a second time is refused whole; other symbols, bars and traders are not."""
    store = make("t")
    store.intend([decision(1)], [Order("a", BTC, 0.1)], {})
    with pytest.raises(AlreadyDecided, match="t has decided"):
        store.intend([decision(2, ETH), decision(1)], [Order("b", ETH, 0.1)], {})
    store.intend([decision(2, ETH), decision(2)], [Order("b", ETH, 0.1)], {})
    store.intend([], [], {})
    assert store.risk(START + 3 * HOUR).orders_today == 2
    make("u").intend([decision(1, trader="u")], [], {})


def test_orders_are_counted_by_the_utc_day(make: Make) -> None:
    store = make("t")
    for bar in (20, 22, 23, 30):
        store.intend([decision(bar)], [Order(f"o{bar}", BTC, 0.1), Order(f"p{bar}", ETH, 0.1)], {})
        today = 2 * len([b for b in (20, 22, 23, 30) if b <= bar and (b + 1) // 24 == (bar + 1) // 24])
        assert store.risk(START + (bar + 1) * HOUR).orders_today == today
    assert store.risk(START + 2 * DAY).orders_today == 0


def test_the_peak_is_the_highest_close_and_a_booked_bar_counts_once(make: Make) -> None:
    """D25: the same bar a second time, and one from before, change nothing."""
    store = make("t")
    for bar, equity in ((1, CAPITAL), (2, CAPITAL), (2, 5 * CAPITAL), (1, 7 * CAPITAL), (3, CAPITAL)):
        store.book(replace(booking(bar, CAPITAL), equity=equity))
    assert store.risk(START + 4 * HOUR).peak_equity == CAPITAL
    store.book(replace(booking(4, CAPITAL), equity=CAPITAL + 1))
    assert store.risk(START + 5 * HOUR).peak_equity == CAPITAL + 1


def test_a_halt_stays_until_it_is_acknowledged_and_keeps_its_first_reason(make: Make) -> None:
    store = make("t")
    assert store.risk(START).halted == ""
    store.halt(START, "drawdown")
    store.halt(START + HOUR, "worse")
    assert store.risk(START + DAY).halted == "drawdown"
    assert make("u").risk(START).halted == ""
    store.halt(START + 2 * HOUR, RUINED)
    assert store.risk(START + DAY).halted == RUINED


def test_last_stops_are_remembered_by_symbol(make: Make) -> None:
    store = make("t")
    store.book(booking(1, CAPITAL))
    account = Account(CAPITAL - 1.0, {BTC: Position()})
    opening = Fill("i-1", "i", START + 2 * HOUR, BTC, 0.1, 100.0, 0.0)
    stopped = Fill("s-1", "s", START + 2 * HOUR, BTC, -0.1, 90.0, 0.0, "stop")
    store.book(booking(2, CAPITAL, account, fills=(opening, stopped), exits=(Order("s", BTC, -0.1, "stop"),)))
    assert store.risk(START + 3 * HOUR).last_stop_ts == {BTC: START + 2 * HOUR}
    taken = Fill("k-1", "k", START + 3 * HOUR, ETH, 0.0, 10.0, 0.0, "take")
    store.book(booking(3, CAPITAL, account, fills=(taken,)) if isinstance(store, MemoryStore) else booking(3, CAPITAL, account))
    assert store.risk(START + 4 * HOUR).last_stop_ts == {BTC: START + 2 * HOUR}


def test_events_of_orders_are_taken_in_any_number(make: Make) -> None:
    store = make("t")
    store.intend([decision(1)], [Order("a", BTC, 0.1)], {})
    for _ in range(2):
        store.event(OrderEvent("a", START + HOUR, "WORKING", "accepted"))


def test_outcomes_are_the_same_of_every_store(make: Make) -> None:
    """The newest that were known by then, oldest first; what is booked twice counts once."""
    shown, memory, store = scene(bars=96, seed=5), MemoryStore("whim"), make("whim")
    for mine in (memory, store):
        for _ in shown.play(mine):
            pass
    every = memory.outcomes(2**62, 10_000)
    assert list(store.outcomes(2**62, 10_000)) == list(every)
    assert {one.ended_by for one in every} == {"decision", "stop", "take"}
    assert {one.symbol for one in every} == {BTC, ETH}
    assert every[0].parts == (("whim", 1.0), ("calm", 0.0))
    for ts in (START + 30 * HOUR, START + 30 * HOUR - 1):
        known = [one for one in every if (one.closed_ts or 0) <= ts]
        assert list(store.outcomes(ts, 3)) == known[-3:]
    store.book(memory.bookings[40])
    assert list(store.outcomes(2**62, 10_000)) == list(every)


def played(shown: Scene, store: Store) -> list[object]:
    """What a loop saw of its store, and what it did, at each close."""
    seen: list[object] = []
    for cycle in shown.play(store):
        last = cycle.decisions[-1].ts
        risk = store.risk(last)
        seen.append((repr(cycle), risk.peak_equity, risk.halted, risk.orders_today, dict(risk.last_stop_ts)))
    return seen


def test_the_loop_sees_the_same_of_every_store(make: Make) -> None:
    """D11: paper and backtest remember alike, bar by bar."""
    shown = scene(bars=96, seed=5)
    expected = played(shown, MemoryStore("whim"))
    assert played(shown, make("whim")) == expected
