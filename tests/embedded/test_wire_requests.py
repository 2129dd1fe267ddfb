"""Every request of the wire's specification, the validation of orders, cursors and caps, over the embedded exchange's wire."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_caller import SWAP, Caller, code, market
from wire_world import caller

from alpha_arena.exchange.embedded.table import TABLE


@pytest.fixture
def one() -> Caller:
    """A caller with money and a fresh exchange."""
    return caller()


LIMIT = {"ordType": "limit", "px": "59000"}
STOP = {"instId": SWAP, "tdMode": "isolated", "side": "sell", "ordType": "conditional", "sz": "1", "reduceOnly": True}
STOP |= {"slTriggerPx": "55000", "slOrdPx": "-1", "slTriggerPxType": "last", "algoClOrdId": "sl01"}
GETS: list[tuple[str, dict[str, Any], str]] = [
    ("public/time", {}, "0"),
    ("system/status", {}, "0"),
    ("system/status", {"state": "ongoing"}, "0"),
    ("public/instruments", {"instType": "SWAP"}, "0"),
    ("public/instruments", {"instType": "SPOT"}, "0"),
    ("public/instruments", {"instType": "OPTION", "uly": "BTC-USD"}, "0"),
    ("public/instruments", {"instType": "SWAP", "instId": SWAP}, "0"),
    ("public/instruments", {}, "50014"),
    ("market/candles", {"instId": SWAP, "bar": "15m", "limit": "3"}, "0"),
    ("market/candles", {"instId": SWAP}, "0"),
    ("market/candles", {"instId": SWAP, "bar": "1Dutc"}, "0"),
    ("market/candles", {"instId": SWAP, "bar": "1D", "limit": "5"}, "0"),
    ("market/candles", {"instId": SWAP, "bar": "1h"}, "51000"),
    ("market/candles", {"instId": "DOGE-USDT-SWAP"}, "51001"),
    ("market/candles", {"instId": SWAP, "limit": "0"}, "51000"),
    ("market/candles", {"instId": SWAP, "after": "soon"}, "51000"),
    ("market/candles", {}, "50014"),
    ("market/history-candles", {"instId": SWAP, "bar": "1H", "limit": "300"}, "0"),
    ("market/mark-price-candles", {"instId": SWAP, "bar": "1H"}, "0"),
    ("market/history-mark-price-candles", {"instId": SWAP, "bar": "1H"}, "0"),
    ("market/index-candles", {"instId": "BTC-USDT", "bar": "1H"}, "0"),
    ("market/history-index-candles", {"instId": "BTC-USDT", "bar": "1H"}, "0"),
    ("market/index-candles", {"instId": "DOGE-USDT"}, "51001"),
    ("market/ticker", {"instId": SWAP}, "0"),
    ("market/tickers", {"instType": "SWAP"}, "0"),
    ("market/books", {"instId": SWAP, "sz": "5"}, "0"),
    ("public/mark-price", {"instType": "SWAP", "instId": SWAP}, "0"),
    ("public/mark-price", {"instId": SWAP}, "0"),
    ("market/index-tickers", {"instId": "BTC-USDT"}, "0"),
    ("public/funding-rate", {"instId": SWAP}, "0"),
    ("public/funding-rate", {"instId": "ANY"}, "0"),
    ("public/funding-rate-history", {"instId": SWAP, "limit": "400"}, "0"),
    ("public/position-tiers", {"instType": "SWAP", "tdMode": "isolated", "instFamily": "BTC-USDT"}, "0"),
    ("public/position-tiers", {"instType": "SWAP", "tdMode": "cross", "instFamily": "BTC-USDT", "tier": "1"}, "0"),
    ("asset/currencies", {}, "0"),
    ("account/config", {}, "0"),
    ("account/leverage-info", {"instId": SWAP, "mgnMode": "isolated"}, "0"),
    ("account/leverage-info", {"instId": SWAP}, "50014"),
    ("account/balance", {}, "0"),
    ("account/balance", {"ccy": "USDT"}, "0"),
    ("account/positions", {}, "0"),
    ("account/positions", {"instType": "SWAP", "instId": SWAP}, "0"),
    ("account/positions-history", {"instType": "SWAP"}, "0"),
    ("account/bills", {"instType": "SWAP", "ccy": "USDT"}, "0"),
    ("account/bills-archive", {"type": "8", "ctType": "linear", "ccy": "USDT", "instType": "SWAP"}, "0"),
    ("account/trade-fee", {"instType": "SWAP", "uly": "BTC-USDT"}, "0"),
    ("trade/order", {"instId": SWAP, "clOrdId": "nobody"}, "51603"),
    ("trade/order", {"instId": SWAP, "ordId": "1"}, "51603"),
    ("trade/order", {"instId": SWAP}, "50014"),
    ("trade/orders-pending", {"instId": SWAP}, "0"),
    ("trade/orders-history", {"instId": SWAP, "instType": "SWAP", "state": "filled"}, "0"),
    ("trade/orders-history", {"instId": SWAP}, "50014"),
    ("trade/orders-history-archive", {"instType": "SWAP", "state": "canceled"}, "0"),
    ("trade/fills", {"instId": SWAP}, "0"),
    ("trade/fills-history", {"instType": "SWAP", "ordId": "1"}, "0"),
    ("trade/order-algo", {"algoClOrdId": "nobody"}, "51603"),
    ("trade/orders-algo-pending", {"instId": SWAP, "ordType": "conditional"}, "0"),
    ("trade/orders-algo-pending", {"ordType": "conditional,oco"}, "0"),
    ("trade/orders-algo-pending", {"instId": SWAP}, "50014"),
    ("trade/orders-algo-history", {"ordType": "oco", "state": "effective"}, "0"),
    ("trade/orders-algo-history", {"ordType": "oco"}, "50014"),
]
POSTS: list[tuple[str, Any, str]] = [
    ("account/set-position-mode", {"posMode": "net_mode"}, "0"),
    ("account/set-position-mode", {"posMode": "long_short_mode"}, "51000"),
    ("account/set-leverage", {"lever": 3, "mgnMode": "isolated", "instId": SWAP, "posSide": "net"}, "0"),
    ("account/set-leverage", {"lever": "3", "mgnMode": "cross", "instId": SWAP}, "0"),
    ("account/set-leverage", {"lever": "101", "mgnMode": "cross", "instId": SWAP}, "59102"),
    ("trade/order", market(clOrdId="d20261123T0600aa01"), "0"),
    ("trade/batch-orders", [market(clOrdId="b1"), market(clOrdId="b2", side="sell")], "0"),
    ("trade/batch-orders", [market(**LIMIT, clOrdId="lim2", attachAlgoOrds=[{"slTriggerPx": "55000", "slOrdPx": "-1"}])], "0"),
    ("trade/cancel-order", {"instId": SWAP, "ordId": "1"}, "51400"),
    ("trade/cancel-batch-orders", [{"instId": SWAP, "clOrdId": "nobody"}], "51400"),
    ("trade/amend-order", {"instId": SWAP, "ordId": "1", "newSz": "2"}, "51503"),
    ("trade/order-algo", STOP, "0"),
    ("trade/cancel-algos", [{"instId": SWAP, "algoId": "1"}], "51400"),
    ("trade/cancel-all-after", {"timeOut": 30}, "0"),
    ("trade/cancel-all-after", {"timeOut": "0"}, "0"),
    ("trade/cancel-all-after", {"timeOut": "5"}, "51000"),
]


@pytest.mark.parametrize(("endpoint", "query", "expected"), GETS)
def test_every_get_of_the_specification_is_answered(one: Caller, endpoint: str, query: dict[str, Any], expected: str) -> None:
    envelope = one.get(endpoint, **query)
    assert code(envelope) == expected, envelope
    assert envelope["status"] not in (404, 405, 500)
    assert isinstance(envelope["data"], list)


@pytest.mark.parametrize(("endpoint", "body", "expected"), POSTS)
def test_every_post_of_the_specification_is_answered(one: Caller, endpoint: str, body: Any, expected: str) -> None:
    if endpoint == "trade/order-algo":
        one.order()
    envelope = one.post(endpoint, body)
    assert code(envelope) == expected, envelope
    assert envelope["status"] not in (404, 405, 500)


def test_no_endpoint_of_the_table_is_left_out(one: Caller) -> None:
    asked = {("GET", endpoint) for endpoint, _, _ in GETS} | {("POST", endpoint) for endpoint, _, _ in POSTS}
    assert {(route.method, route.path) for route in TABLE} - asked == {("POST", "trade/close-position")}
    one.order()
    closed = one.post("trade/close-position", {"instId": SWAP, "mgnMode": "isolated"})
    assert closed["data"] == [{"instId": SWAP, "posSide": "net", "clOrdId": "", "tag": ""}]
    assert one.get("account/positions")["data"] == []


def test_a_path_or_method_that_is_not_okxs_is_told_so(one: Caller) -> None:
    assert one.get("trade/orders")["status"] == 404
    assert (one.post("market/ticker", {})["status"], one.post("market/ticker", {})["code"]) == (405, "50115")


BAD_ORDERS: list[tuple[dict[str, Any], str]] = [
    ({"instId": "DOGE-USDT-SWAP"}, "51001"),
    ({"instId": None}, "50014"),
    ({"tdMode": "cash"}, "51000"),
    ({"side": "hold"}, "51000"),
    ({"ordType": "iceberg"}, "51000"),
    ({"posSide": "long"}, "51000"),
    ({"clOrdId": "with-dash"}, "51000"),
    ({"clOrdId": "a" * 33}, "51000"),
    ({"clOrdId": "ä"}, "51000"),
    ({"sz": "NaN"}, "51000"),
    ({"sz": "Infinity"}, "51000"),
    ({"sz": "-1"}, "51000"),
    ({"sz": "0"}, "51000"),
    ({"sz": "1e2"}, "51000"),
    ({"sz": "1e400"}, "51000"),
    ({"sz": "one"}, "51000"),
    ({"sz": None}, "51000"),
    ({"sz": True}, "51000"),
    ({"sz": ["1"]}, "51000"),
    ({"sz": "0.001"}, "51020"),
    ({"sz": "1.005"}, "51121"),
    ({"sz": "12000.01"}, "51202"),
    ({"ordType": "limit", "px": "59000", "sz": "100000001"}, "51101"),
    ({"ordType": "limit"}, "51204"),
    ({"ordType": "limit", "px": None}, "51204"),
    ({"ordType": "limit", "px": "NaN"}, "51000"),
    ({"ordType": "limit", "px": "59000.05"}, "51000"),
    ({"ordType": "limit", "px": "64000"}, "51137"),
    ({"ordType": "limit", "side": "sell", "px": "56000"}, "51138"),
    ({"reduceOnly": "maybe"}, "51000"),
    ({"reduceOnly": True, "attachAlgoOrds": [{"slTriggerPx": "55000", "slOrdPx": "-1"}]}, "51169"),
    ({"attachAlgoOrds": [{}]}, "51000"),
    ({"attachAlgoOrds": "sl"}, "51000"),
    ({"attachAlgoOrds": [{"slTriggerPx": "NaN", "slOrdPx": "-1"}]}, "51000"),
    ({"sz": "1000"}, "51008"),
]


@pytest.mark.parametrize(("fields", "expected"), BAD_ORDERS)
def test_a_bad_order_gets_okxs_own_code_and_changes_nothing(one: Caller, fields: dict[str, Any], expected: str) -> None:
    before = one.wire.exchange.dump()[1]
    assert code(one.order(**fields)) == expected
    assert code(one.post("trade/batch-orders", [market(**fields)])) == expected
    assert one.wire.exchange.dump()[1] == before


@pytest.mark.parametrize(
    ("body", "expected", "status"),
    [(b"", "50000", 400), (b"{}", "50000", 400), (b"nonsense", "50002", 200), (b"7", "50002", 200), (b"[1]", "50002", 200)],
)
def test_a_body_that_is_no_order_is_refused(one: Caller, body: bytes, expected: str, status: int) -> None:
    envelope = one.post("trade/order", body)
    assert (envelope["code"], envelope["status"]) == (expected, status)


def test_validation_follows_the_order_of_the_specification(one: Caller) -> None:
    one.order(clOrdId="twice")
    late = Caller(one.wire, one.client, {"exptime": str(one.wire.now_ms - 1)})
    everything = {"instId": "DOGE-USDT-SWAP", "tdMode": "cash", "clOrdId": "twice", "sz": "NaN", "ordType": "limit"}
    assert code(late.order(**everything)) == "50036"
    assert code(one.order(**everything)) == "51001"
    assert code(one.order(**everything | {"instId": SWAP})) == "51000"
    assert code(one.order(**everything | {"instId": SWAP, "tdMode": "cross"})) == "51016"
    assert code(one.order(**everything | {"instId": SWAP, "tdMode": "cross", "clOrdId": "new"})) == "51000"


def test_a_position_is_looked_at_before_levels_and_levels_before_money(one: Caller) -> None:
    """Each order is wrong in several ways, and gets the code that comes first in the specification."""
    one.order(sz="1")
    wrong, right = ([{"slTriggerPx": px, "slOrdPx": "-1"}] for px in ("65000", "55000"))
    assert code(one.order(reduceOnly=True, attachAlgoOrds=wrong)) == "51170"
    assert code(one.order(side="sell", reduceOnly=True, attachAlgoOrds=right)) == "51049"
    assert code(one.order(side="sell", reduceOnly=True, attachAlgoOrds=wrong)) == "51100"
    assert code(one.order(sz="12000", attachAlgoOrds=wrong)) == "51047"
    assert code(one.order(sz="12000", attachAlgoOrds=right)) == "51008"


def test_an_order_does_not_grow_beyond_what_may_be_placed(one: Caller) -> None:
    """10,000 USDT: a resting order that has been accepted is no way around margin and tiers."""
    one.order(**LIMIT, clOrdId="small", sz="2")

    def amend(**fields: Any) -> str:
        return code(one.post("trade/amend-order", {"instId": SWAP, "clOrdId": "small", **fields}))

    before = one.get("trade/order", instId=SWAP, clOrdId="small")["data"], one.get("account/balance")["data"][0]["details"][0]["ordFrozen"]
    assert amend(newSz="9000000") == "51004"
    assert amend(newSz="900") == code(one.order(**LIMIT, sz="900")) == "51008"
    assert amend(newSz="900", newPx="59100") == "51008"
    assert (
        one.get("trade/order", instId=SWAP, clOrdId="small")["data"],
        one.get("account/balance")["data"][0]["details"][0]["ordFrozen"],
    ) == before
    # what it keeps ready already counts for it: of about 50 contracts it has 45, so that another 45 are too many and 46 are not
    assert (amend(newSz="45"), code(one.order(**LIMIT, sz="45")), amend(newSz="46")) == ("0", "51008", "0")
    assert amend(newSz="1", newPx="58000") == "0"


def test_an_order_whose_time_is_over_is_discarded(one: Caller) -> None:
    at = one.wire.now_ms
    assert code(Caller(one.wire, one.client, {"exptime": str(at - 1)}).order(clOrdId="late")) == "50036"
    assert code(Caller(one.wire, one.client, {"exptime": str(at + 3000)}).order(clOrdId="early")) == "0"
    assert code(Caller(one.wire, one.client, {"exptime": "soon"}).order(clOrdId="odd")) == "51000"
    assert code(one.get("trade/order", instId=SWAP, clOrdId="late")) == "51603"


def test_a_parameter_error_is_http_400_and_a_refused_order_http_200(one: Caller) -> None:
    assert (one.order(sz="NaN")["status"], one.order(sz="NaN")["code"]) == (400, "51000")
    refused = one.order(sz="0.001")
    assert (refused["status"], refused["code"], refused["msg"]) == (200, "1", "All operations failed")
    assert refused["data"][0]["ordId"] == ""
    assert {"inTime", "outTime"} <= set(refused)


def test_a_batch_tells_each_orders_fate(one: Caller) -> None:
    assert one.post("trade/batch-orders", [market(), market(sz="0")])["code"] == "2"
    assert one.post("trade/batch-orders", [market(sz="0"), market(sz="0")])["code"] == "1"
    assert one.post("trade/batch-orders", [market(sz="0.01")] * 20)["code"] == "0"
    assert one.post("trade/batch-orders", [market(sz="0.01")] * 21)["code"] == "51000"
    assert one.post("trade/batch-orders", market())["code"] == "50002"


def test_a_refused_algo_order_may_lie_under_a_zero_outside(one: Caller) -> None:
    envelope = one.post("trade/order-algo", STOP | {"sz": "0.001"})
    assert (envelope["code"], envelope["data"][0]["sCode"], envelope["data"][0]["algoId"]) == ("0", "51020", "")


def test_an_algo_order_needs_its_levels(one: Caller) -> None:
    one.order()
    assert code(one.post("trade/order-algo", STOP | {"slTriggerPx": ""})) == "51000"
    assert code(one.post("trade/order-algo", STOP | {"ordType": "oco"})) == "51000"
    assert code(one.post("trade/order-algo", STOP | {"sz": "", "closeFraction": "1", "reduceOnly": False})) == "51000"
    both = STOP | {"tpTriggerPx": "65000", "tpOrdPx": "-1", "algoClOrdId": "both"}
    assert code(one.post("trade/order-algo", both)) == "0"
    row = one.get("trade/order-algo", algoClOrdId="both")["data"][0]
    assert (row["slTriggerPx"], row["tpTriggerPx"], row["slOrdPx"], row["state"]) == ("55000", "", "-1", "live")


def test_one_order_alone_closes_a_whole_position(one: Caller) -> None:
    """okx-wire §5.1: only one a position, at the market, in net mode to reduce."""
    one.order()
    whole = STOP | {"sz": "", "closeFraction": "1"}
    assert code(one.post("trade/order-algo", whole | {"slOrdPx": "54000"})) == "51000"
    assert code(one.post("trade/order-algo", whole)) == "0"
    assert code(one.post("trade/order-algo", whole | {"algoClOrdId": "sl02"})) == "51000"
    assert code(one.post("trade/order-algo", STOP | {"algoClOrdId": "part"})) == "0"
    one.post("trade/cancel-algos", [{"instId": SWAP, "algoClOrdId": "sl01"}])
    assert code(one.post("trade/order-algo", whole | {"algoClOrdId": "sl03"})) == "0"


def test_what_is_not_modelled_is_refused(one: Caller) -> None:
    """As docs/examples/embedded_endpoints.md lists it: never accepted and ignored."""
    stop = {"slTriggerPx": "55000", "slOrdPx": "-1"}
    assert code(one.order(attachAlgoOrds=[stop, stop])) == "51000"
    assert code(one.order(posSide="long")) == "51000"
    one.order()
    assert code(one.post("trade/order-algo", STOP | {"ordType": "move_order_stop", "callbackRatio": "0.01"})) == "51000"
    trigger = {"instId": SWAP, "tdMode": "isolated", "side": "buy", "ordType": "trigger", "sz": "1", "triggerPx": "65000", "orderPx": "-1"}
    assert code(one.post("trade/order-algo", trigger | {"attachAlgoOrds": [stop]})) == "51000"
    assert code(one.post("trade/order-algo", trigger)) == "0"


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ({"slTriggerPx": "65000"}, "51280"),
        ({"slTriggerPx": "", "tpTriggerPx": "55000", "tpOrdPx": "-1"}, "51279"),
        ({"side": "buy"}, "51280"),
        ({"side": "buy", "slTriggerPx": "", "tpTriggerPx": "65000", "tpOrdPx": "-1"}, "51279"),
        ({"slTriggerPx": "65000", "slTriggerPxType": "mark"}, "51280"),
        ({"ordType": "oco", "tpTriggerPx": "65000", "tpOrdPx": "-1"}, "0"),
    ],
)
def test_a_level_that_has_been_reached_already_is_refused(one: Caller, levels: dict[str, Any], expected: str) -> None:
    """A11: a stop beyond the price is no protection."""
    one.order(side="sell" if levels.get("side") == "buy" else "buy")
    assert code(one.post("trade/order-algo", STOP | levels)) == expected
    assert len(one.client.algos) == (expected == "0")


def test_orders_and_fills_can_be_read_back_by_every_way(one: Caller) -> None:
    """D43: what was done is told alike by every way to ask for it."""
    ord_id = one.order(clOrdId="mine")["data"][0]["ordId"]
    one.wire.pass_time(60)
    row = one.get("trade/order", instId=SWAP, clOrdId="mine")["data"][0]
    assert row == one.get("trade/order", instId=SWAP, ordId=ord_id, clOrdId="other")["data"][0]
    assert (row["state"], row["accFillSz"], row["reduceOnly"]) == ("filled", "1", "false")
    assert row in one.get("trade/orders-history", instType="SWAP")["data"]
    assert row in one.get("trade/orders-history-archive", instType="SWAP")["data"]
    fills = one.get("trade/fills", ordId=ord_id)["data"]
    assert fills == one.get("trade/fills-history", instType="SWAP", ordId=ord_id)["data"]
    assert {fill["clOrdId"] for fill in fills} == {"mine"}


def test_a_canceled_order_that_never_filled_disappears_after_two_hours(one: Caller) -> None:
    one.order(**LIMIT, clOrdId="gone")
    one.post("trade/cancel-order", {"instId": SWAP, "clOrdId": "gone"})
    one.wire.pass_time(7_200)
    assert one.get("trade/order", instId=SWAP, clOrdId="gone")["data"][0]["state"] == "canceled"
    one.wire.pass_time(1)
    assert code(one.get("trade/order", instId=SWAP, clOrdId="gone")) == "51603"
    assert one.get("trade/orders-history", instType="SWAP", state="canceled")["data"] == []


def test_a_flat_position_is_told_only_to_who_asks_for_it(one: Caller) -> None:
    one.order()
    one.order(side="sell", reduceOnly=True)
    one.wire.pass_time(60)
    assert one.get("account/positions")["data"] == []
    [row] = one.get("account/positions", instId=SWAP)["data"]
    assert (row["pos"], row["avgPx"], row["liqPx"]) == ("0", "", "")


def test_a_closed_position_is_told_with_its_result(one: Caller) -> None:
    """D57: the result of a position is that of its own fills, each counted once."""
    one.order(sz="2")
    one.order(sz="1", side="sell", reduceOnly=True)
    [partly] = one.get("account/positions-history", instId=SWAP)["data"]
    one.order(sz="1", side="sell", reduceOnly=True)
    one.wire.pass_time(60)
    [closed] = one.get("account/positions-history", instId=SWAP)["data"]
    assert (partly["type"], partly["closeTotalPos"], closed["type"], closed["closeTotalPos"]) == ("1", "1", "2", "2")
    assert (closed["openMaxPos"], closed["direction"]) == ("2", "long")
    fills = one.get("trade/fills")["data"]
    result = sum(Decimal(row["fillPnl"]) + Decimal(row["fee"]) for row in fills)
    assert Decimal(closed["realizedPnl"]) == result
    margin = 2 * Decimal(closed["openAvgPx"]) * Decimal("0.01") / Decimal(closed["lever"])
    assert float(closed["pnlRatio"]) == pytest.approx(float(result / margin))


def test_every_order_endpoint_pages_by_exclusive_cursors(one: Caller) -> None:
    for number in range(5):
        one.order(clOrdId=f"n{number}", sz="0.01")
    one.wire.pass_time(60)
    for endpoint, key in (("trade/fills", "billId"), ("account/bills", "billId"), ("trade/orders-history", "ordId")):
        rows = one.get(endpoint, instType="SWAP")["data"]
        ids = [int(row[key]) for row in rows]
        assert ids == sorted(ids, reverse=True)
        assert one.get(endpoint, instType="SWAP", after=ids[1])["data"] == rows[2:]
        assert one.get(endpoint, instType="SWAP", before=ids[2])["data"] == rows[:2]
        assert one.get(endpoint, instType="SWAP", after=ids[0], before=ids[3])["data"] == rows[1:3]
        assert one.get(endpoint, instType="SWAP", before=ids[3], limit=1)["data"] == rows[:1]


BAR = 900_000


def test_candles_are_newest_first_with_the_open_bar_unconfirmed(one: Caller) -> None:
    """The newest bar is told to be unclosed (faults: B1)."""
    rows = one.get("market/candles", instId=SWAP, bar="15m", limit=5)["data"]
    now = one.wire.now_ms
    assert [int(row[0]) for row in rows] == [now // BAR * BAR - BAR * back for back in range(5)]
    assert [row[8] for row in rows] == ["0", "1", "1", "1", "1"]
    assert all(float(row[5]) * 0.01 == pytest.approx(float(row[6])) for row in rows)


def test_candle_cursors_are_exclusive_and_before_alone_gives_the_newest(one: Caller) -> None:
    """D40: the exclusive cursors that lose a bar a page are OKX's, so that a client can be tried on them."""
    last = one.wire.now_ms // BAR * BAR
    ask = {"instId": SWAP, "bar": "15m"}

    def opens(**query: int) -> list[int]:
        return [(last - int(row[0])) // BAR for row in one.get("market/candles", **ask, **query)["data"]]

    assert opens(after=last, limit=3) == [1, 2, 3]
    assert opens(after=last + 1, limit=3) == [0, 1, 2]
    assert opens(before=last - 5 * BAR) == [0, 1, 2, 3, 4]
    assert opens(before=last - 50 * BAR, limit=2) == [0, 1]
    assert opens(after=last, before=last - 3 * BAR) == [1, 2]
    assert opens(after=last - 2 * BAR, before=last - 2 * BAR) == []


@pytest.mark.parametrize(
    ("endpoint", "instrument", "cap", "cells"),
    [("candles", SWAP, 300, 9), ("mark-price-candles", SWAP, 100, 6), ("index-candles", "BTC-USDT", 100, 6)],
)
def test_candles_have_caps_and_cells_by_kind(one: Caller, endpoint: str, instrument: str, cap: int, cells: int) -> None:
    rows = one.get(f"market/{endpoint}", instId=instrument, bar="1m", limit=1000)["data"]
    assert (len(rows), {len(row) for row in rows}) == (cap, {cells})
    assert len(one.get(f"market/{endpoint}", instId=instrument, bar="1m")["data"]) == 100


def test_recent_candles_reach_back_1440_bars_and_older_ones_are_history(one: Caller) -> None:
    first = one.wire.now_ms // 60_000 * 60_000 - 1_439 * 60_000
    ask = {"instId": SWAP, "bar": "1m", "after": first + 60_000 * 2}
    assert [int(row[0]) for row in one.get("market/candles", **ask)["data"]] == [first + 60_000, first]
    older = one.get("market/history-candles", **ask, limit=5)["data"]
    assert [int(row[0]) for row in older] == [first + 60_000 * (1 - back) for back in range(5)]
    assert {row[8] for row in older} == {"1"}


@pytest.mark.parametrize(("bar", "hours", "offset"), [("1Dutc", 24, 0), ("1D", 24, 16), ("12H", 12, 4), ("6Hutc", 6, 0), ("6H", 6, 4)])
def test_long_bars_open_by_utc_plus_8_unless_utc_is_asked_for(one: Caller, bar: str, hours: int, offset: int) -> None:
    rows = one.get("market/candles", instId=SWAP, bar=bar, limit=3)["data"]
    assert len(rows) == 3
    assert {int(row[0]) // 3_600_000 % hours for row in rows} == {offset % hours}
    assert [row[8] for row in rows] == ["0", "1", "1"]


def test_weeks_open_on_monday(one: Caller) -> None:
    day = 86_400_000
    for bar, hour in (("1Wutc", 0), ("1W", -8)):
        [row] = one.get("market/candles", instId=SWAP, bar=bar, limit=1)["data"]
        assert (int(row[0]) - hour * 3_600_000) // day % 7 == 4


def test_funding_history_pages_back_by_after(one: Caller) -> None:
    rows = one.get("public/funding-rate-history", instId=SWAP, limit=400)["data"]
    times = [int(row["fundingTime"]) for row in rows]
    assert times == sorted(times, reverse=True)
    assert one.get("public/funding-rate-history", instId=SWAP, after=times[0], limit=2)["data"] == rows[1:3]


def test_limits_are_counted_by_account_instrument_and_address(one: Caller) -> None:
    """D41: what is too much is refused as OKX does, so that a client learns to keep its pace."""
    for _ in range(10):
        assert one.get("account/balance")["code"] == "0"
    refused = one.get("account/balance")
    assert (refused["code"], refused["status"]) == ("50011", 429)
    for _ in range(60):
        assert one.get("trade/order", instId=SWAP, clOrdId="x")["code"] == "51603"
    assert one.get("trade/order", instId=SWAP, clOrdId="x")["code"] == "50011"
    one.wire.pass_time(2)
    assert one.get("account/balance")["code"] == "0"


def test_public_limits_are_counted_by_address_or_by_what_is_asked_for(one: Caller) -> None:
    assert {one.get("public/time", ip=number)["code"] for number in range(10)} == {"0"}
    assert one.get("public/time", ip=10)["code"] == "50011"
    assert {one.get("public/funding-rate", instId=SWAP)["code"] for _ in range(10)} == {"0"}
    assert one.get("public/funding-rate", instId=SWAP)["code"] == "50011"
    assert one.get("public/funding-rate", instId="ANY")["code"] == "0"


def test_a_batch_of_one_counts_as_a_single_order(one: Caller) -> None:
    for _ in range(60):
        one.post("trade/batch-orders", [market(sz="0")])
    assert one.post("trade/batch-orders", [market(sz="0")])["code"] == "50011"
    assert one.post("trade/order", market(sz="0"))["code"] == "50011"
    assert one.post("trade/batch-orders", [market(sz="0")] * 2)["code"] == "1"


def test_wrong_keys_get_nothing_and_change_nothing(one: Caller) -> None:
    """D35: keys of another environment, or wrong ones, get OKX's own code (faults: A15)."""
    before = one.wire.exchange.dump()[1]
    for headers, expected in (
        ({"ok-access-key": "live-key"}, "50111"),
        ({"x-simulated-trading": "0"}, "50101"),
        ({"ok-access-sign": "x"}, "50113"),
        ({"ok-access-passphrase": "x"}, "50105"),
    ):
        reply = Caller(one.wire, one.client, headers).ask("POST", "trade/order", None, json.dumps(market()).encode())
        assert (reply.status, json.loads(reply.body)["code"], "data" in json.loads(reply.body)) == (401, expected, False)
    assert one.wire.exchange.dump()[1] == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3)
)
FIELDS = ("instId", "tdMode", "side", "ordType", "sz", "px", "clOrdId", "reduceOnly", "attachAlgoOrds", "posSide", "tag", "stpMode")


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4))
def test_no_body_breaks_the_wire(fields: dict[str, Any]) -> None:
    one = caller()
    envelope = one.post("trade/order", market() | fields)
    assert envelope["status"] in (200, 400)
    assert isinstance(envelope["data"], list)
