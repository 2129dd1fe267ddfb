"""The ledger: one transaction a step, everything once, and an account that its events explain."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from series import BTC, DAY, ETH, HOUR, START
from trading import CAPITAL, booking, decision, opened, scene

from alpha_arena.core.errors import AlreadyDecided, StoreError
from alpha_arena.core.records import OrderEvent
from alpha_arena.core.types import Account, Fill, Order, Payment, Position
from alpha_arena.data import queries
from alpha_arena.data.ledger import Ledger
from alpha_arena.data.memory import MemoryStore
from alpha_arena.data.service import DataService
from alpha_arena.engine import apply, step


def assert_accounts_equal(a: Account, b: Account) -> None:
    """Positions to the last bit, cash but for the order in which symbols were added."""
    assert repr(dict(sorted(a.positions.items()))) == repr(dict(sorted(b.positions.items())))
    assert a.cash == pytest.approx(b.cash, rel=1e-12)


def assert_explained(service: DataService, ledger: Ledger) -> None:
    """D57: rebuilt from its events the account equals the stored one, and every change of cash has a bill."""
    assert_accounts_equal(ledger.rebuild(), ledger.account())
    assert sum(queries.sums(service, ledger.trader).values()) == pytest.approx(ledger.account().cash, rel=1e-12)


@pytest.mark.parametrize("seed", range(2))
def test_an_account_is_rebuilt_whole_from_its_events(service: DataService, seed: int) -> None:
    shown, ledger = scene(bars=70, seed=seed), opened(service, "whim")
    executor = shown.executor()
    for tick in shown.ticks():
        apply(tick, shown.study, shown.trader, executor, ledger)
        assert_explained(service, ledger)
        step(tick, shown.study, shown.trader, executor, ledger)
    assert_explained(service, ledger)
    reasons = {row["reason"] for row in queries.fills(service, "whim", 10_000)}
    assert reasons >= {"signal", "stop", "take"}


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), breaks=st.lists(st.integers(1, 40), max_size=3))
def test_a_trader_that_is_restarted_anywhere_goes_on_as_if_it_had_not_been(
    sqlite_service: DataService, seed: int, breaks: list[int]
) -> None:
    """D23, D24, D26: account, working orders, levels and arming come back from the database; the bar in hand is not repeated."""
    name = f"whim-{seed}-{'-'.join(map(str, breaks))}"
    shown, memory = scene(bars=40, seed=seed, trader=name), MemoryStore(name)
    expected = [repr(cycle) for cycle in shown.play(memory)]
    ledger, every, done = opened(sqlite_service, name), shown.ticks(), []
    for left, right in zip([0, *sorted(breaks)], [*sorted(breaks), 40], strict=True):
        booked = ledger.last_booked_ts()
        executor = shown.executor(ledger.account(), tuple(ledger.open_orders()), -1 if booked is None else booked)
        done += [repr(cycle) for cycle in shown.play(ledger, executor, every[left:right])]
    same = [a == b for a, b in zip(done, expected, strict=True)]
    assert all(same), f"differs from bar {same.index(False)} on"
    kept = {row["trade_id"] for row in queries.fills(sqlite_service, name, 10_000)}
    assert kept == {fill.trade_id for booking in memory.bookings for fill in booking.fills}
    assert list(ledger.outcomes(2**62, 1_000)) == list(memory.outcomes(2**62, 1_000))
    assert ledger.going_on().running == memory.followed().running
    assert_explained(sqlite_service, ledger)


def test_outcomes_that_run_are_followed_on_in_memory(service: DataService) -> None:
    """From any bar on, as `decide` does before it looks at the newest close."""
    shown, ledger, whole = scene(bars=96, seed=5), opened(service, "whim"), MemoryStore("whim")
    for _ in shown.play(whole):
        pass
    every = shown.ticks()
    for _ in shown.play(ledger, some=every[:41]):
        pass
    kept, memory = ledger.outcomes(2**62, 1_000), MemoryStore("whim", ledger.going_on())
    executor = shown.executor(ledger.account(), tuple(ledger.open_orders()), ledger.last_booked_ts() or 0)
    for _ in shown.play(memory, executor, every[41:]):
        pass
    assert [*kept, *memory.outcomes(2**62, 1_000)] == whole.outcomes(2**62, 1_000)
    assert kept


def test_decisions_come_back_whole(service: DataService) -> None:
    shown, ledger, memory = scene(bars=20), opened(service, "whim"), MemoryStore("whim")
    list(shown.play(ledger))
    list(shown.play(memory))
    assert repr(ledger.decisions()) == repr(memory.decisions)
    odd = decision(1)
    odd = replace(odd, wanted=replace(odd.wanted, shares=(), stop=nan), catch_up=True)
    other = opened(service)
    other.intend([odd], [], {})
    assert repr(other.decisions()) == repr([odd])
    assert (other.decided_ts(BTC), other.decided_ts(ETH)) == (odd.bar_ts, None)


def test_opening_an_account_again_leaves_it(service: DataService) -> None:
    ledger = opened(service)
    ledger.open_account(5.0, START + DAY)
    assert ledger.account() == Account(CAPITAL)
    assert queries.balances(service, "t")[0]["opened_ts"] == START
    with pytest.raises(StoreError, match="trader 'nobody' has no account yet; run alpha-arena trade"):
        Ledger(service, "nobody", "1h", "simulated").account()


def test_what_is_delivered_twice_counts_once(service: DataService) -> None:
    """D20, D25: fills and payments that come again, in the same bar or a later one, change nothing."""
    ledger = opened(service)
    fill = Fill("f-1", "o", START + HOUR, BTC, 0.5, 100.0, 0.25)
    paid = Payment(START + HOUR + 1, BTC, -3.0, 0.0001)
    account = Account(CAPITAL - 3.25, {BTC: Position(0.5, 100.0)})
    first = booking(1, CAPITAL, account, fills=(fill,), payments=(paid,))
    for again in (first, first, replace(first, ts=START + 2 * HOUR), booking(3, CAPITAL, account, payments=(paid,))):
        ledger.book(again)
    assert repr(ledger.account()) == repr(account)
    assert len(queries.fills(service, "t")) == 1
    assert queries.sums(service, "t") == {"deposit": CAPITAL, "realised": 0.0, "fee": -0.25, "funding": -3.0}
    assert len(queries.equity(service, "t")["ts"]) == 3


def test_what_comes_late_is_absorbed_into_a_bar_that_is_booked(service: DataService) -> None:
    """D25: cash and position change, the equity at that close and the peak do not; again it changes nothing."""
    ledger = opened(service)
    ledger.book(booking(2, CAPITAL))
    late = Fill("f-1", "o", START + HOUR, BTC, 0.5, 100.0, 0.25)
    moved = Payment(START + HOUR, "", 20.0, nan, kind="transfer", bill_id="b-9")
    account = Account(CAPITAL + 19.75, {BTC: Position(0.5, 100.0)})
    done = OrderEvent("o", START + 3 * HOUR, "FILLED", "late")
    for _ in range(2):
        ledger.book(booking(2, CAPITAL + 19.75, account, fills=(late,), payments=(moved,), events=(done,)))
    assert repr(ledger.account()) == repr(account)
    assert queries.equity(service, "t")["equity"] == [CAPITAL]
    assert ledger.risk(START).peak_equity == CAPITAL
    assert queries.sums(service, "t") == {"deposit": CAPITAL, "realised": 0.0, "fee": -0.25, "funding": 0.0, "transfer": 20.0}
    assert_explained(service, ledger)


def test_the_same_trade_id_of_another_exchange_is_another_trade(service: DataService) -> None:
    for exchange in ("okx", "embedded"):
        ledger = Ledger(service, exchange, "1h", exchange)
        ledger.open_account(CAPITAL, START)
        fill = Fill("1", f"order-{exchange}", START, BTC, 0.1, 100.0, 0.0)
        ledger.book(booking(1, CAPITAL, Account(CAPITAL, {BTC: Position(0.1, 100.0)}), fills=(fill,)))
        assert ledger.account().position(BTC).quantity == 0.1
    assert len(queries.fills(service)) == 2


@pytest.mark.parametrize(
    ("account", "what"),
    [(Account(CAPITAL - 5), "cash 9995.0"), (Account(CAPITAL, {BTC: Position(0.3, 100.0)}), "position in BTC/USDT:USDT 0.3")],
)
def test_an_account_that_its_fills_do_not_explain_is_refused_whole(service: DataService, account: Account, what: str) -> None:
    """D26: a mismatch stops the trader; nothing of the bar is booked."""
    ledger = opened(service)
    fill = Fill("f-1", "o", START, BTC, 0.1, 100.0, 0.0)
    with pytest.raises(StoreError, match=rf"ends with {what}, but its fills and payments explain .* nothing was booked"):
        ledger.book(booking(1, CAPITAL, account, fills=(fill,), events=(OrderEvent("o", START, "FILLED"),)))
    assert (ledger.account(), ledger.last_booked_ts()) == (Account(CAPITAL), None)
    assert queries.fills(service) == queries.order_events(service, "o") == []


def test_an_order_lives_from_intent_to_its_end(service: DataService) -> None:
    ledger = opened(service)
    order = Order("o", BTC, 0.5, stop=90.0)
    ledger.intend([decision(1)], [order], {BTC: Position()})
    assert repr(ledger.open_orders()) == repr([order])
    ledger.event(OrderEvent("o", START + 2 * HOUR, "WORKING", "accepted"))
    assert queries.orders(service, "t", open_only=True)[0]["state"] == "WORKING"
    parts = tuple(
        Fill(f"f-{n}", "o", START + 2 * HOUR, BTC, quantity, price, 0.25) for n, quantity, price in ((1, 0.2, 100.0), (2, 0.3, 110.0))
    )
    held = Position(0.5, (0.2 * 100 + 0.3 * 110) / 0.5, 90.0)
    done = OrderEvent("o", START + 2 * HOUR, "FILLED", "at the open")
    ledger.book(booking(2, CAPITAL, Account(CAPITAL - 0.5, {BTC: held}), fills=parts, events=(done,)))
    ledger.event(OrderEvent("o", START + 2 * HOUR, "WORKING", "accepted, told late"))
    row = queries.orders(service, "t")[0]
    assert (row["state"], row["filled"], row["average"], row["fee"]) == ("FILLED", 0.5, pytest.approx(106.0), 0.5)
    assert [event["state"] for event in queries.order_events(service, "o")] == ["INTENT", "WORKING", "FILLED"]
    assert ledger.open_orders() == []


def test_a_step_that_is_refused_within_a_batch_leaves_nothing_of_itself(service: DataService) -> None:
    """D26, D27: the first symbol's decision does not stay when the second one's was made before."""
    ledger = opened(service)
    with service.batch():
        ledger.intend([decision(1, ETH)], [], {})
        with pytest.raises(AlreadyDecided):
            ledger.intend([decision(1, BTC), decision(1, ETH)], [Order("o", BTC, 0.1)], {})
        ledger.book(booking(1, CAPITAL))
    assert (ledger.decided_ts(ETH), ledger.decided_ts(BTC)) == (START + HOUR, None)
    assert (ledger.open_orders(), ledger.last_booked_ts()) == ([], START + HOUR)


def test_acknowledging_lifts_the_halt_and_measures_from_here(service: DataService) -> None:
    ledger = opened(service)
    ledger.book(replace(booking(1, CAPITAL), equity=2 * CAPITAL))
    ledger.book(booking(2, CAPITAL))
    ledger.halt(START, "drawdown 50 %")
    assert queries.traders(service)[0]["halted"] == "drawdown 50 %"
    assert ledger.risk(START).peak_equity == 2 * CAPITAL
    assert ledger.acknowledge(START + DAY, "somebody") == 1
    assert ledger.acknowledge(START + DAY, "somebody") == 0
    risk = ledger.risk(START + DAY)
    assert (risk.halted, risk.peak_equity) == ("", CAPITAL)
    assert queries.halts(service, "t") == []
    assert queries.halts(service, "t", open_only=False)[0]["acknowledged_by"] == "somebody"
    ledger.halt(START + 2 * DAY, "again")
    assert ledger.risk(START).halted == "again"


def test_traders_share_a_database_and_nothing_else(service: DataService) -> None:
    """D67: two traders on one symbol keep accounts of their own."""
    a, b = scene(bars=30, seed=1, trader="a"), scene(bars=30, seed=1, trader="b")
    first, second = opened(service, "a"), opened(service, "b")
    for ticks in zip(a.play(first), b.play(second), strict=True):
        assert repr(ticks[0].account) == repr(ticks[1].account)
    assert_accounts_equal(first.account(), second.account())
    assert len(queries.fills(service, "a", 10_000)) * 2 == len(queries.fills(service, None, 10_000)) > 0
    assert_explained(service, first)


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_of_orders_of_one_moment_those_that_close_come_first(service: DataService, names: str) -> None:
    """A restart between decision and open plays a flip as the process before would have: exit, then entry."""
    ledger = opened(service)
    legs = [Order(names[0], BTC, -0.1, reduce_only=True), Order(names[1], BTC, -0.2)]
    ledger.intend([decision(1)], legs, {BTC: Position(0.1, 100.0)})
    assert [order.id for order in ledger.open_orders()] == list(names)
