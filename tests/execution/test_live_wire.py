"""Live execution on the embedded exchange, over its wire and ccxt, where orders fill at once: replies lost, stops hit, switches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from decimal import Decimal
from math import nan
from pathlib import Path

import numpy as np
import pytest
from rig import BTC, COSTS, SWAP, Rig, rig

from alpha_arena.core.market import Market
from alpha_arena.core.records import OrderEvent
from alpha_arena.core.types import Account, Candles, Funding, Order, Position
from alpha_arena.core.venue import VenueError
from alpha_arena.data import queries
from alpha_arena.data.controls import Controls
from alpha_arena.exchange.embedded.contracts import Profile
from alpha_arena.exchange.embedded.faults import Lag, Rule
from alpha_arena.exchange.embedded.feed import Feed, Replay
from alpha_arena.exchange.embedded.ports import Ticket
from alpha_arena.execution.live import LiveExecutor
from alpha_arena.execution.protection import fits
from alpha_arena.execution.reconcile import Unreconciled

MINUTE, HOUR = 60_000, 3_600_000
START = 1_704_067_200_000
BARS = 600
BY_HAND = Ticket(SWAP, "isolated", "buy", "limit", Decimal(1), Decimal(39_400))
SEND = {"method": "POST", "path": "trade/order"}


def market() -> Market:
    """Minutes at 40,000, then a fall to 38,000 from the fifth hour on."""
    ts = START + MINUTE * np.arange(BARS, dtype=np.int64)
    close = np.where(np.arange(BARS) < 300, 40_000.0, 38_000.0) + np.arange(BARS) % 3
    opened = np.concatenate([close[:1], close[:-1]])
    candles = Candles(ts, opened, np.maximum(opened, close) + 1, np.minimum(opened, close) - 1, close, np.full(BARS, 1000.0))
    return Market.of(BTC, MINUTE, candles, Funding(np.array([START + 4 * HOUR]), np.array([0.0001])))


def hourly() -> Market:
    """The same, for the trader."""
    return market().at("1h")


def opened(folder: Path, **how: float) -> AbstractContextManager[Rig]:
    """An exchange one hour after the start, nothing being held."""
    minutes = market()
    bars = Candles(minutes.ts, minutes.open, minutes.high, minutes.low, minutes.close, minutes.volume)
    feed = Feed(Replay({BTC: bars}, {BTC: Funding(minutes.funding_ts, minutes.funding_rate)}, {}), {SWAP: BTC}, MINUTE)
    return rig(folder, feed, Profile("market", COSTS, half_spread=0.00001, latency_ms=20, **how), START + HOUR + 2_000)  # type: ignore[arg-type]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Rig]:
    """With a market deep enough for any order."""
    with opened(tmp_path) as world:
        yield world


def entered(made: Rig, quantity: float = 0.5) -> LiveExecutor:
    """An executor after it was told to open a position, whatever became of that."""
    executor = made.executor(hourly())
    executor.recover()
    order = Order("aa0001", BTC, quantity, stop=39_000.0, take=42_000.0)
    made.ledger.intend_order(order, made.clock.now_ms(), "decided")
    with suppress(VenueError, Unreconciled):
        executor.submit(order)
    return executor


def settled(made: Rig, seconds: int = 90) -> Account:
    """What the ledger has once the exchange had time; both books being the same."""
    made.clock.step_to(made.clock.now_ms() + seconds * 1000)
    made.executor(hourly()).recover()
    account = made.ledger.account()
    quantity = sum((one.quantity for one in made.venue.positions()), Decimal(0))
    assert Decimal(repr(account.position(BTC).quantity)) == quantity
    assert account.cash == pytest.approx(float(made.client.cash), abs=1e-8)
    assert {fill.bill_id for fill in made.client.fills} == {row["trade_id"] for row in queries.fills(made.service, "t", 1_000)}
    names = [order.cl_ord_id for order in made.client.orders.values() if order.cl_ord_id]
    assert len(names) == len(set(names))
    live = made.venue.protections(BTC)
    assert [fits(one, account.position(BTC)) for one in live] == [True] * bool(quantity)
    return account


def states(made: Rig) -> list[str]:
    """Of all orders, oldest first."""
    return [row["state"] for row in queries.orders(made.service, "t")][::-1]


def test_an_entry_is_filled_protected_and_booked_at_once(made: Rig) -> None:
    """D20, D25: within the call, on the very wire of the exchange."""
    entered(made)
    assert states(made) == ["FILLED"]
    position = settled(made).position(BTC)
    assert (position.quantity, position.stop, position.take) == (0.5, 39_000.0, 42_000.0)


@pytest.mark.parametrize(
    "rule",
    [
        Rule("drop", "before", **SEND),
        Rule("drop", "after", **SEND),
        Rule("html", "after", **SEND),
        Rule("empty", "after", **SEND),
        Rule("truncate", "after", **SEND, amount=20),
        Rule("http", "after", **SEND, status=502),
        Rule("code", "after", **SEND, text="50026"),
        Rule("code", "before", **SEND, text="50013"),
        Rule("code", "before", **SEND, text="50011"),
        Rule("dup_request", "before", **SEND),
        Rule("delay", "before", **SEND, amount=3_000),
        Rule("delay", "before", **SEND, amount=60_000),
        Rule("drop", "after", "GET", "trade/order", times=3),
        Rule("drop", "after", path="account/positions", times=2),
        Rule("drop", "after", path="trade/fills", times=2),
    ],
    ids=lambda rule: f"{rule.kind}-{rule.when}-{rule.path.rpartition('/')[2]}-{rule.amount or rule.text or rule.status}",
)
def test_whatever_is_lost_it_is_one_order(made: Rig, rule: Rule) -> None:
    """A2 to A7."""
    made.faults.rules = [rule]
    entered(made)
    position = settled(made).position(BTC)
    assert (position.quantity, states(made)) == (0.5, ["FILLED"])
    assert rule.struck


@pytest.mark.parametrize("field", ["fills_ms", "orders_ms", "positions_ms", "bills_ms"])
def test_what_is_told_late_is_waited_for(made: Rig, field: str) -> None:
    """A8: an entry, then a flip, each of the exchange's books half a minute behind; nothing doubles, nothing is taken for a stranger's."""
    made.faults.lag = Lag(**{field: 30_000})
    executor = entered(made)
    for _ in range(3):
        made.clock.step_to(made.clock.now_ms() + 20_000)
        with suppress(Unreconciled, VenueError):
            executor.recover()
    assert settled(made).position(BTC).quantity == 0.5
    for name, quantity, only in (("aa0002", -0.5, True), ("aa0003", -0.3, False)):
        levels = {} if only else {"stop": 41_000.0}
        made.ledger.intend_order(Order(name, BTC, quantity, reduce_only=only, **levels), made.clock.now_ms(), "decided")
    for _ in range(5):
        with suppress(Unreconciled, VenueError):
            executor.recover()
        made.clock.step_to(made.clock.now_ms() + 20_000)
    assert settled(made).position(BTC).quantity == -0.3
    assert (states(made), made.ledger.halted()) == (["FILLED"] * 3, "")


def test_attached_protection_that_fails_is_replaced_over_the_wire(made: Rig) -> None:
    """A11, I5: `settled` finds one live protection that fits."""
    made.exchange.attach_fails = True
    entered(made)
    assert len(made.venue.protections(BTC)) == 1
    assert settled(made).position(BTC).quantity == 0.5


def test_a_large_order_fills_in_parts(tmp_path: Path) -> None:
    """A8, A9: at each look what is filled is booked and protected, no more and no less, until the order is done."""
    with opened(tmp_path, participation=0.0001) as made:
        entered(made)
        held = [settled(made, 20).position(BTC).quantity for _ in range(20)]
        assert held == sorted(held)
        assert 0 < held[0] < held[-1] == 0.5
        assert (states(made), made.ledger.halted()) == (["FILLED"], "")
        assert len(queries.fills(made.service, "t", 100)) > 5


def test_a_stop_that_is_hit_is_told_apart_and_funding_comes_from_its_bill(made: Rig) -> None:
    """A11, B5: over four hours, funding at the fourth and the fall at the fifth."""
    entered(made)
    made.clock.step_to(START + 4 * HOUR + MINUTE)
    settled(made, 0)
    assert queries.sums(made.service, "t")["funding"] == pytest.approx(-0.5 * 40_000 * 0.0001, rel=1e-3)
    made.clock.step_to(START + 5 * HOUR + 10 * MINUTE)
    account = settled(made, 0)
    assert (account.position(BTC).quantity, account.position(BTC).disarmed) == (0.0, 1)
    assert queries.fills(made.service, "t")[0]["reason"] == "stop"
    assert made.ledger.stands() == ("READY", "")


def test_new_levels_reach_the_exchange(made: Rig) -> None:
    executor = entered(made)
    held = made.ledger.account().position(BTC)
    tighter = Position(held.quantity, held.entry, 39_500.0, nan)
    with made.service.database.write() as connection:
        made.ledger._positions(connection, {BTC: tighter}, made.clock.now_ms())
    executor.hold(BTC, tighter)
    assert [(one.stop, one.take) for one in made.venue.protections(BTC)] == [(Decimal(39_500), None)]


def test_a_trade_by_hand_and_a_liquidation_are_adopted_and_halt(made: Rig) -> None:
    """A12."""
    entered(made)
    made.exchange.external_trade(made.client, SWAP, "buy", Decimal(10))
    assert settled(made).position(BTC).quantity == 0.6
    assert "was not made by this trader" in made.ledger.halted()
    made.ledger.acknowledge(made.clock.now_ms(), "somebody")
    made.exchange.liquidate(made.client, SWAP)
    assert settled(made).position(BTC).quantity == 0
    assert "forced by the exchange" in made.ledger.halted()
    (kept,) = [row for row in queries.bills(made.service, "t") if row["kind"] == "penalty"]
    assert (kept["reference"], kept["amount"]) == (made.client.bills[-1].bill_id, float(made.client.bills[-1].change))
    assert made.ledger.account().cash == pytest.approx(float(made.client.cash), abs=1e-8)


def test_the_dead_man_s_switch_leaves_others_orders_alone(made: Rig) -> None:
    """A12: nobody comes back; what somebody else left, with a tag of its own or without one, still rests."""
    executor = made.executor(hourly())
    executor.recover()
    order = Order("aa0001", BTC, 0.1, kind="limit", price=39_500.0)
    made.ledger.intend_order(order, made.clock.now_ms(), "decided")
    assert executor.submit(order).state == "WORKING"
    others = [made.exchange.place(made.client, replace(BY_HAND, tag=tag)) for tag in ("", "theirs")]
    executor.recover()
    made.sleep(executor.pace.dead_man_s + 1)
    own = next(one for one in made.client.orders.values() if one.cl_ord_id == "aa0001")
    assert (own.state, own.cancel_source) == ("canceled", "20")
    assert [one.state for one in others] == ["live", "live"]


def test_funding_of_an_isolated_position_is_booked_from_its_margin(made: Rig) -> None:
    """B5: balChg is 0, posBalChg is not; what is booked is the wallet with its margins."""
    entered(made)
    made.clock.step_to(START + 4 * HOUR + 60_000)
    settled(made)
    [paid] = [bill for bill in made.client.bills if bill.type == "8"]
    assert (paid.bal_chg, paid.pos_bal_chg) == (0, paid.change)
    assert [(row["kind"], row["amount"]) for row in queries.bills(made.service, "t") if row["reference"] == paid.bill_id] == [
        ("funding", float(paid.change))
    ]
    assert (made.ledger.account().cash, made.ledger.halted()) == (pytest.approx(float(made.client.cash), abs=1e-8), "")


def test_a_kill_switch_flattens_at_the_exchange(made: Rig) -> None:
    """E1."""
    entered(made)
    Controls(made.service).kill("t", made.clock.now_ms(), "somebody", "flatten")
    assert settled(made).position(BTC).quantity == 0
    assert states(made) == ["FILLED", "FILLED"]


def test_an_order_s_life_is_told_once_and_ends_once(made: Rig) -> None:
    """Each step with its cause, none after the end, whoever tells it once more."""
    entered(made)
    made.ledger.event(OrderEvent("aa0001", made.clock.now_ms() + 5, "FILLED", "told again"))
    settled(made)
    (row,) = queries.orders(made.service, "t")
    life = [event["state"] for event in queries.order_events(made.service, row["client_order_id"])]
    assert life == ["INTENT", "SENT", "WORKING", "PARTIAL", "FILLED"]
