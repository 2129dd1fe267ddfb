"""Replies of the embedded exchange have the keys, JSON types and value shapes of OKX's recorded and documented ones (faults: C4)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from wire_caller import SWAP, Caller, market
from wire_world import caller

from alpha_arena.exchange.embedded import rows

NUMERIC = re.compile(r"-?\d+(\.\d+)?")
LIMIT = {"ordType": "limit", "px": "59000"}
STOP = {
    "instId": SWAP,
    "tdMode": "isolated",
    "side": "sell",
    "ordType": "conditional",
    "sz": "1",
    "reduceOnly": True,
    "slTriggerPx": "55000",
}
PROTECTED = LIMIT | {"attachAlgoOrds": [{"slTriggerPx": "55000", "slOrdPx": "-1", "tpTriggerPx": "65000", "tpOrdPx": "-1"}]}
# cells that OKX leaves out of a swap's rows, or that belong to other kinds of accounts
FOREIGN = {"fiat", "clSpotInUse", "maxSpotInUse", "spotInUse"}


@pytest.fixture(scope="module")
def one() -> Caller:
    """An account with a position, an open order, a protection and something of each kind behind it."""
    made = caller()
    made.order(clOrdId="first")
    made.order(clOrdId="second", side="sell", sz="0.5", reduceOnly=True)
    made.order(**PROTECTED, clOrdId="rests")
    made.post("trade/order-algo", STOP | {"slOrdPx": "-1", "algoClOrdId": "stop"})
    made.wire.faults.maintenance.append({"begin": "1", "end": "2"})
    made.wire.pass_time(60)
    return made


ASKED: dict[str, dict[str, Any]] = {
    "public/time": {},
    "public/instruments": {"instType": "SWAP"},
    "market/candles": {"instId": SWAP},
    "market/history-candles": {"instId": SWAP},
    "market/index-candles": {"instId": "BTC-USDT"},
    "market/mark-price-candles": {"instId": SWAP},
    "market/ticker": {"instId": SWAP},
    "market/tickers": {"instType": "SWAP"},
    "market/books": {"instId": SWAP},
    "market/index-tickers": {"instId": "BTC-USDT"},
    "public/mark-price": {"instId": SWAP},
    "public/funding-rate": {"instId": SWAP},
    "public/funding-rate-history": {"instId": SWAP},
    "public/position-tiers": {"instType": "SWAP", "tdMode": "isolated", "instFamily": "BTC-USDT"},
    "account/config": {},
    "account/leverage-info": {"instId": SWAP, "mgnMode": "isolated"},
    "account/balance": {},
    "account/positions": {},
    "account/positions-history": {},
    "account/bills": {},
    "account/bills-archive": {},
    "account/trade-fee": {"instType": "SWAP"},
    "trade/order": {"instId": SWAP, "clOrdId": "first"},
    "trade/orders-pending": {},
    "trade/orders-history": {"instType": "SWAP"},
    "trade/orders-history-archive": {"instType": "SWAP"},
    "trade/fills": {},
    "trade/fills-history": {"instType": "SWAP"},
    "trade/order-algo": {"algoClOrdId": "stop"},
    "trade/orders-algo-pending": {"ordType": "conditional"},
}
SENT: dict[str, Any] = {
    "account/set-position-mode": {"posMode": "net_mode"},
    "account/set-leverage": {"lever": 3, "mgnMode": "cross", "instId": SWAP},
    "trade/order": market(clOrdId="shape1"),
    "trade/batch-orders": [market(clOrdId="shape2")],
    "trade/cancel-order": {"instId": SWAP, "clOrdId": "shape3"},
    "trade/cancel-batch-orders": [{"instId": SWAP, "clOrdId": "shape4"}],
    "trade/amend-order": {"instId": SWAP, "clOrdId": "shape5", "newSz": "2"},
    "trade/close-position": {"instId": SWAP, "mgnMode": "isolated"},
    "trade/cancel-all-after": {"timeOut": "30"},
    "trade/order-algo": STOP | {"slOrdPx": "-1", "algoClOrdId": "shape6"},
    "trade/cancel-algos": "shape6",
}
# recorded under another name than its path
NAMED = {
    "http_get_account_balance": "GET account/balance",
    "http_get_candlesticks": "GET market/candles",
    "http_get_candlesticks_full": "GET market/candles",
    "http_get_funding_rate_history": "GET public/funding-rate-history",
    "http_get_index_price": "GET market/index-tickers",
    "http_get_instruments_swap": "GET public/instruments",
    "http_get_mark_price": "GET public/mark-price",
    "http_get_order_book": "GET market/books",
    "http_get_orders_algo_history": "GET trade/orders-algo-pending",
    "http_get_orders_algo_pending": "GET trade/orders-algo-pending",
    "http_get_orders_algo_pending_attached_oco": "GET trade/orders-algo-pending",
    "http_get_orders_algo_pending_close_fraction": "GET trade/orders-algo-pending",
    "http_get_orders_pending": "GET trade/orders-pending",
    "http_get_position_tiers": "GET public/position-tiers",
    "http_get_positions": "GET account/positions",
    "http_get_trade_fee_response": "GET account/trade-fee",
    "http_place_algo_order_response": "POST trade/order-algo",
    "http_cancel_algo_order_response": "POST trade/cancel-algos",
    "http_set_position_mode_response": "POST account/set-position-mode",
}


def stock(one: Caller) -> None:
    """A position, a resting order and a protection, if an earlier request has ended them."""
    one.order(sz="0.01")
    if not any(order.open for order in one.client.orders.values()):
        one.order(**PROTECTED)
    if not any(algo.state == "live" for algo in one.client.algos.values()):
        one.post("trade/order-algo", STOP | {"slOrdPx": "-1"})


def reply(one: Caller, name: str) -> dict[str, Any]:
    """Our reply to an endpoint, "METHOD path", with at least one row where OKX's has any."""
    stock(one)
    method, endpoint = name.split()
    if method == "GET":
        return one.get(endpoint, **ASKED[endpoint])
    body = SENT[endpoint]
    if endpoint in ("trade/cancel-order", "trade/cancel-batch-orders", "trade/amend-order"):
        one.order(**LIMIT, clOrdId=(body[0] if isinstance(body, list) else body)["clOrdId"])
    if endpoint == "trade/cancel-algos":
        algo = one.post("trade/order-algo", STOP | {"slOrdPx": "-1"})["data"][0]["algoId"]
        body = [{"instId": SWAP, "algoId": algo}]
    return one.post(endpoint, body)


def shapes(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each scalar's path and shape; list positions do not count."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from shapes(inner, f"{path}.{key}")
    elif isinstance(value, list):
        yield path, "list"
        for inner in value:
            yield from shapes(inner, f"{path}[]")
    elif isinstance(value, str):
        yield path, "empty" if not value else "number" if NUMERIC.fullmatch(value) else "flag" if value in ("true", "false") else "text"
    else:
        yield path, type(value).__name__


def compare(ours: Any, theirs: Any) -> None:
    """Ours has all of theirs; the same JSON types; a number or "" where they have one, a flag where they have one."""
    kinds: dict[str, set[str]] = {}
    for path, shape in shapes(ours):
        kinds.setdefault(path, set()).add(shape)
    for path, shape in shapes(theirs):
        if any(f".{name}" in path for name in FOREIGN) or ".closeOrderAlgo[]" in path:
            continue
        assert path in kinds, f"{path} is missing"
        # the edited recordings have words for ids
        edited = path.endswith("Id") and shape == "text"
        assert edited or all(compatible(mine, shape) for mine in kinds[path]), f"{path} is {kinds[path]}, theirs {shape}"


def compatible(mine: str, theirs: str) -> bool:
    """Whether a client that reads theirs can read mine."""
    texts = {"empty", "number", "text"}
    return mine == theirs or ({mine, theirs} <= texts and ("empty" in (mine, theirs)))


def recorded(folder: Path) -> Iterator[tuple[str, str, Any]]:
    """Name, endpoint and body of each recorded REST reply that concerns an endpoint served here."""
    for path in sorted((folder / "okx_net").glob("*.json")):
        held = json.loads(path.read_text())
        yield path.stem, f"{held['method']} {held['path'].removeprefix('/api/v5/')}", held["response"]
    for path in sorted((folder / "nautilus").glob("http*.json")):
        if path.stem in NAMED:
            yield path.stem, NAMED[path.stem], json.loads(path.read_text())
    for path in sorted((folder / "recorded").glob("*SWAP*.json")):
        yield path.stem, "GET public/instruments", json.loads(path.read_text())


def test_replies_have_the_shape_of_every_recorded_one(shared_data: Path, one: Caller) -> None:
    """C4: a superset of the keys, the same types, the same kind of text."""
    served = {f"GET {path}" for path in ASKED} | {f"POST {path}" for path in SENT}
    checked = 0
    for name, endpoint, theirs in recorded(shared_data / "okx_responses"):
        if endpoint not in served:
            continue
        one.wire.pass_time(5)
        ours = reply(one, endpoint)
        assert ours["data"], (name, ours)
        try:
            compare(ours, {key: value for key, value in theirs.items() if key in ("code", "msg", "data", "inTime", "outTime")})
        except AssertionError as error:
            raise AssertionError(f"{name} ({endpoint}): {error}") from error
        checked += 1
    assert checked > 50


# where the specification shows an endpoint's row or envelope
SAMPLES = {
    "GET public/time → `": "GET public/time",
    '`{"title"': "GET system/status",
    '{"alias":"","auctionEndTime"': "GET public/instruments",
    '{"code":"0","msg":"","data":[["1795414500000"': "GET market/candles",
    '{"instType":"SWAP","instId":"BTC-USDT-SWAP","last"': "GET market/ticker",
    '[{"asks"': "GET market/books",
    '[{"instType":"SWAP","instId":"BTC-USDT-SWAP","markPx"': "GET public/mark-price",
    '[{"instId":"BTC-USDT","idxPx"': "GET market/index-tickers",
    '{"instType":"SWAP","instId":"BTC-USDT-SWAP","method"': "GET public/funding-rate",
    '{"instType":"SWAP","instId":"BTC-USDT-SWAP","fundingRate"': "GET public/funding-rate-history",
    '{"tier":"1"': "GET public/position-tiers",
    '[{"uid"': "GET account/config",
    '[{"instId":"BTC-USDT-SWAP","lever":"3"': "POST account/set-leverage",
    '[{"instId":"BTC-USDT-SWAP","ccy"': "GET account/leverage-info",
    '{"code":"0","msg":"","data":[{"uTime"': "GET account/balance",
    '{"instType":"SWAP","instId":"BTC-USDT-SWAP","mgnMode":"isolated","posId"': "GET account/positions",
    '{"billId"': "GET account/bills",
    '[{"instType":"SWAP","level"': "GET account/trade-fee",
    '{"code":"0","msg":"","data":[{"clOrdId":"lim1"': "POST trade/order",
    '{"instType":"SWAP","instId":"BTC-USDT-SWAP","ordId"': "GET trade/order",
    '{"instType":"SWAP","instId":"BTC-USDT-SWAP","tradeId"': "GET trade/fills",
    '[{"triggerTime"': "POST trade/cancel-all-after",
    '{"code":"0","msg":"","data":[{"algoId"': "POST trade/order-algo",
    '{"algoId":"987654321"': "GET trade/orders-algo-pending",
}


@pytest.mark.parametrize(("marker", "endpoint"), SAMPLES.items())
def test_replies_have_the_shape_of_the_specifications_samples(shared_data: Path, one: Caller, marker: str, endpoint: str) -> None:
    """C4: the samples of the wire's specification."""
    text = (shared_data.parent / "specs" / "okx-wire.md").read_text().replace('".."', '"1"').replace('"..."', '"1"')
    begin = text.index(marker)
    start = min(at for at in (text.find("{", begin), text.find("[", begin)) if at >= 0)
    sample, _ = json.JSONDecoder().raw_decode(text, start)
    theirs = sample if isinstance(sample, dict) and "data" in sample else {"data": sample if isinstance(sample, list) else [sample]}
    one.wire.pass_time(5)
    compare(one.get("system/status") if endpoint == "GET system/status" else reply(one, endpoint), theirs)


def test_the_comparison_sees_what_it_must() -> None:
    row = {"data": [{"a": "1", "b": "", "c": False}]}
    for wrong in ({"a": 1}, {"b": True}, {"c": "false"}, {"a": "true"}, {"d": ""}):
        with pytest.raises(AssertionError):
            compare(row, {"data": [wrong]})
    compare(row, {"data": [{"a": "", "b": "5", "c": True}]})


def test_the_swap_is_told_as_it_was_recorded(shared_data: Path, one: Caller) -> None:
    """D31, D32: contract size and lot come from the exchange, and are OKX's own."""
    text = (shared_data.parent / "specs" / "okx-wire.md").read_text()
    theirs, _ = json.JSONDecoder().raw_decode(text, text.index('{"alias":"","auctionEndTime"'))
    [ours] = [row for row in one.get("public/instruments", instType="SWAP")["data"] if row["instId"] == SWAP]
    assert ours == theirs


@pytest.mark.parametrize(
    ("value", "expected"),
    [(Decimal("60000.10"), "60000.1"), (Decimal("1E+3"), "1000"), (Decimal("-0.00"), "0"), (1e-08, "0.00000001"), (1e22, "1" + "0" * 22)],
)
def test_numbers_have_no_exponent_and_no_trailing_zeros(value: Decimal | float, expected: str) -> None:
    assert rows.text(value) == expected


def test_what_is_not_there_is_empty() -> None:
    assert (rows.text(None), rows.text(0), rows.text(0.0), rows.text(60000.0), rows.text(-1.5)) == ("", "0", "0", "60000", "-1.5")
