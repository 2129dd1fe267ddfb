"""The wire over the real exchange: protection, forced closes, duplicate names, money, and what survives."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from wire_caller import SWAP, Caller, code
from wire_world import NOW, caller, exchange

from alpha_arena.exchange.embedded.books import Books
from alpha_arena.exchange.embedded.clock import SimClock
from alpha_arena.exchange.embedded.control import Control
from alpha_arena.exchange.embedded.wire import Dropped, Request, Wire


@pytest.fixture
def one() -> Caller:
    """A caller with money and a fresh exchange."""
    return caller()


def sim(one: Caller, command: str, **body: Any) -> dict[str, Any]:
    """A control command's answer."""
    request = Request("POST", f"/__sim/{command}", "", {"authorization": "Bearer t"}, json.dumps(body).encode())
    answer: dict[str, Any] = json.loads(Control(one.wire, "t").handle(request).body)
    return answer


PROTECTION = [{"attachAlgoClOrdId": "guard", "slTriggerPx": "59000", "slOrdPx": "-1", "tpTriggerPx": "60050", "tpOrdPx": "-1"}]


def test_attached_protection_becomes_an_algo_order_and_then_an_order(one: Caller) -> None:
    """D36: protection can be read back, before it is made, while it lives, and when it has acted."""
    one.order(clOrdId="entry", sz="3", attachAlgoOrds=PROTECTION)
    one.wire.pass_time(1)
    [live] = one.get("trade/orders-algo-pending", ordType="oco", instId=SWAP)["data"]
    assert (live["algoClOrdId"], live["sz"], live["reduceOnly"], live["slOrdPx"]) == ("guard", "3", "true", "-1")
    one.wire.pass_time(3 * 3600)
    [done] = one.get("trade/orders-algo-history", ordType="oco", state="effective")["data"]
    closing = one.get("trade/order", instId=SWAP, ordId=done["ordId"])["data"][0]
    assert (done["actualSide"], closing["source"], closing["algoClOrdId"], closing["state"]) == ("tp", "7", "guard", "filled")
    assert one.get("account/positions")["data"] == []


def test_protection_on_the_wrong_side_is_refused(one: Caller) -> None:
    for levels, expected in (({"slTriggerPx": "61000", "slOrdPx": "-1"}, "51047"), ({"tpTriggerPx": "59000", "tpOrdPx": "-1"}, "51046")):
        assert code(one.order(attachAlgoOrds=[levels])) == expected


def test_protection_that_could_not_be_made_is_told_in_its_parent(one: Caller) -> None:
    """Faults: A11."""
    sim(one, "state", attach_fails=True)
    one.order(clOrdId="bare", attachAlgoOrds=PROTECTION)
    one.wire.pass_time(1)
    [held] = one.get("trade/order", instId=SWAP, clOrdId="bare")["data"][0]["attachAlgoOrds"]
    assert held["failCode"]
    assert held["failReason"]
    assert one.get("trade/orders-algo-pending", ordType="oco")["data"] == []


def test_a_liquidation_and_adl_are_told_as_such(one: Caller) -> None:
    """D48: a forced close has a category, a bill of its own and a negative trade id, a liquidation also a penalty (faults: A12)."""
    one.order(sz="3")
    sim(one, "account", name="one", adl={"inst_id": SWAP, "sz": "1"})
    sim(one, "account", name="one", liquidate=SWAP)
    one.wire.pass_time(60)
    assert [row["category"] for row in one.get("trade/orders-history", instType="SWAP")["data"]] == ["full_liquidation", "adl", "normal"]
    assert [row["tradeId"].startswith("-") for row in one.get("trade/fills")["data"]] == [True, True, False]
    bills = one.get("account/bills")["data"]
    assert [(row["type"], bool(row["tradeId"])) for row in bills] == [("5", False), ("5", True), ("9", True), ("2", True), ("1", False)]
    closed, [held] = one.get("account/positions-history")["data"][0], one.get("account/positions", instId=SWAP)["data"]
    assert (closed["type"], closed["liqPenalty"], held["liqPenalty"]) == ("3", bills[0]["balChg"], bills[0]["balChg"])
    parts = sum(Decimal(closed[name]) for name in ("pnl", "fee", "fundingFee", "liqPenalty"))
    assert Decimal(closed["realizedPnl"]) == parts == Decimal(held["realizedPnl"]) < 0
    assert one.get("account/positions")["data"] == []


@pytest.mark.parametrize(("policy", "again"), [("forever", "51016"), ("while_live", "0"), ("window", "0")])
def test_how_long_a_client_order_id_is_taken_can_be_chosen(one: Caller, policy: str, again: str) -> None:
    """D20: the exchange may accept a second order of the same name, so a client must ask first (faults: A6)."""
    sim(one, "state", dup_policy=policy, dup_window_ms=1000)
    one.order(clOrdId="same")
    one.order(ordType="limit", px="59000", clOrdId="rests")
    assert code(one.order(clOrdId="rests")) == "51016"
    one.wire.pass_time(2)
    assert code(one.order(clOrdId="same")) == again
    latest = one.get("trade/order", instId=SWAP, clOrdId="same")["data"][0]["ordId"]
    assert latest == one.get("trade/orders-history", instType="SWAP")["data"][0]["ordId"]


def test_money_adds_up_in_what_is_told(one: Caller) -> None:
    """D53, D57: cash is the sum of its bills, equity is cash and what positions hold; funding is of the position (okx-wire §3.5, §3.8)."""
    one.order(sz="3")
    one.wire.pass_time(8 * 3600)
    one.order(sz="1", side="sell")
    one.wire.pass_time(60)
    bills = one.get("account/bills")["data"]
    [detail] = one.get("account/balance")["data"][0]["details"]
    [held] = one.get("account/positions")["data"]
    assert [(bill["balChg"], bill["posBalChg"] == bill["pnl"] != "0") for bill in bills if bill["type"] == "8"] == [("0", True)]
    assert Decimal(held["margin"]) == Decimal(bills[0]["posBal"]) == sum(Decimal(bill["posBalChg"]) for bill in bills)
    assert Decimal(detail["isoEq"]) == Decimal(held["margin"]) + Decimal(held["upl"]) > 0
    assert Decimal(detail["eq"]) == Decimal(detail["cashBal"]) + Decimal(detail["isoEq"])
    assert Decimal(detail["cashBal"]) == Decimal(bills[0]["bal"]) == sum(Decimal(bill["balChg"]) for bill in bills)
    assert Decimal(detail["availEq"]) < Decimal(detail["eq"])
    pos = sum(Decimal(fill["fillSz"]) * (1 if fill["side"] == "buy" else -1) for fill in one.get("trade/fills")["data"])
    assert [Decimal(row["pos"]) for row in one.get("account/positions")["data"]] == [pos]


def test_pending_orders_are_canceled_when_nobody_calls_any_more(one: Caller) -> None:
    one.order(ordType="limit", px="59000", clOrdId="rests")
    one.post("trade/cancel-all-after", {"timeOut": "10"})
    one.wire.pass_time(9)
    assert len(one.get("trade/orders-pending")["data"]) == 1
    one.wire.pass_time(2)
    assert one.get("trade/orders-pending")["data"] == []


def test_a_tag_s_switch_cancels_orders_of_that_tag_alone(one: Caller) -> None:
    """Wire, section 1.2: each tag has a switch and a limit of its own."""
    for name, tag in (("plain", None), ("mine", "mine"), ("theirs", "theirs")):
        one.order(ordType="limit", px="59000", clOrdId=name, tag=tag)
    told = [one.post("trade/cancel-all-after", {"timeOut": timeout, "tag": tag}) for timeout, tag in (("10", "mine"), ("20", "theirs"))]
    assert [(code(answer), answer["data"][0]["tag"]) for answer in told] == [("0", "mine"), ("0", "theirs")]
    assert code(one.post("trade/cancel-all-after", {"timeOut": "10", "tag": "mine"})) == "50011"
    one.wire.pass_time(11)
    assert {row["clOrdId"] for row in one.get("trade/orders-pending")["data"]} == {"plain", "theirs"}
    assert code(one.post("trade/cancel-all-after", {"timeOut": "0", "tag": "theirs"})) == "0"
    one.wire.pass_time(11)
    assert {row["clOrdId"] for row in one.get("trade/orders-pending")["data"]} == {"plain", "theirs"}


@pytest.mark.parametrize("tag", ["a" * 17, "a-b", 7])
def test_a_switch_of_a_tag_that_cannot_be_is_refused(tag: object, one: Caller) -> None:
    one.order(ordType="limit", px="59000", clOrdId="rests")
    assert code(one.post("trade/cancel-all-after", {"timeOut": "10", "tag": tag})) == "51000"
    one.wire.pass_time(11)
    assert len(one.get("trade/orders-pending")["data"]) == 1


def test_what_was_answered_is_in_the_books(tmp_path: Path) -> None:
    """D24: whatever became of the reply, the order is written before it leaves (faults: A1)."""
    wire = Wire(exchange(SimClock.stepped(NOW), Books(tmp_path / "exchange.db")))
    one = Caller(wire, next(iter(wire.exchange.clients.values())))
    sim(one, "fault", match={"path": "trade/order"}, action="drop", when="after")
    with pytest.raises(Dropped):
        one.order(clOrdId="a", attachAlgoOrds=PROTECTION)
    one.order(ordType="limit", px="59000", clOrdId="rests")
    # as after a SIGKILL: nothing is closed
    again = Wire(exchange(SimClock.stepped(NOW), Books(tmp_path / "exchange.db")))
    assert again.exchange.dump() == wire.exchange.dump()
    revived = Caller(again, next(iter(again.exchange.clients.values())))
    assert revived.get("trade/orders-pending")["data"] == one.get("trade/orders-pending")["data"]
    again.exchange.close()
    wire.exchange.close()


def test_the_same_requests_give_the_same_ledger() -> None:
    """D12: a run can be repeated to the last digit."""

    def run() -> str:
        one = caller()
        for number in range(5):
            one.order(clOrdId=f"n{number}", side="buy" if number % 2 else "sell", sz="0.5")
            one.wire.pass_time(3600)
        return one.wire.exchange.dump()[1]

    assert run() == run()
