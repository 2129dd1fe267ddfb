"""The client of an OKX account: what it sends, what it makes of every answer, and what it never says."""

from __future__ import annotations

import json
import logging
import re
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest
import requests
from okx_desk import BTC, CALLS, CANARY, ENTRY, NOW, SENDS, SWAP, Answer, account, said

from alpha_arena.core.errors import AlphaArenaError, SafetyError
from alpha_arena.core.venue import OrderRejected, OrderRequest, OutcomeUnknown, TryAgain, VenueError, VenueRefused
from alpha_arena.exchange.accounts import Keys
from alpha_arena.exchange.calls import WINDOW_S, Waiting
from alpha_arena.exchange.embedded.clock import SimClock
from alpha_arena.exchange.okx_codes import OUTCOMES, outcome
from alpha_arena.exchange.okx_private import LIMITS, Endpoints, Pacer, PrivateClient

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "okx_requests.json"
ACCEPTED = {"ordId": "17", "algoId": "18", "sCode": "0", "sMsg": "", "lever": "3", "ts": str(NOW)}


def test_what_is_sent_is_what_was_recorded() -> None:
    """C1: path, query and body of every call; a new ccxt that changes one fails here."""
    sent: dict[str, Any] = {}
    for name, call in CALLS.items():
        made, canned = account(said(ACCEPTED) if name in SENDS else said())
        with suppress(TryAgain):
            call(made)
        sent[name] = canned.told()
    assert sent == json.loads(GOLDEN.read_text())


def test_an_order_carries_its_expiry_and_the_demo_header_and_nothing_else_does() -> None:
    made, canned = account(said(ACCEPTED))
    made.send(ENTRY, NOW + 5_000)
    made.cancel(BTC, "aa01")
    order, cancel = (request.headers for request in canned.asked)
    assert (order["expTime"], order["x-simulated-trading"]) == (str(NOW + 5_000), "1")
    assert "expTime" not in cancel
    assert order["OK-ACCESS-TIMESTAMP"] == "2026-11-23T06:18:02.000Z"


MALFORMED = {
    "empty": Answer(b""),
    "html": Answer(b"<html>login</html>", headers={"content-type": "text/html"}),
    "cut": Answer(b'{"code":"0","msg":"","data":[{"ordI'),
    "no code": Answer(b'{"data":[]}'),
    "data null": Answer(b'{"code":"0","msg":"","data":null}'),
    "data object": Answer(b'{"code":"0","msg":"","data":{}}'),
    "a list": Answer(b"[]"),
    "a string": Answer(b'"ok"'),
    "502": Answer(b"<html>502</html>", 502),
    "429": Answer(b"slow down", 429),
    "reset": Answer(b"", error=requests.ConnectionError("reset")),
    "silence": Answer(b"", error=requests.ReadTimeout("late")),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", MALFORMED)
def test_no_broken_answer_is_ever_read_as_an_empty_one(kind: str, name: str) -> None:
    """T1, A3: 12 kinds of broken answers, every call: a question is to be asked again, the outcome of a request is unknown."""
    made, _ = account(MALFORMED[kind])
    with pytest.raises(OutcomeUnknown if name in SENDS else TryAgain):
        CALLS[name](made)


@pytest.mark.parametrize("name", [name for name in CALLS if name not in ("positions", "open_orders", "protections", "maintenance")])
def test_an_empty_list_is_an_error_where_there_must_be_a_row(name: str) -> None:
    """An order POST without a row, an account without a balance row: no success and no zero."""
    made, _ = account(said())
    lists = (
        "past_orders",
        "fills",
        "old_fills",
        "bills",
        "old_bills",
        *(name for name in SENDS if not name.startswith(("send", "protect"))),
    )
    if name in lists:
        CALLS[name](made)
        return
    with pytest.raises((TryAgain, OutcomeUnknown)):
        CALLS[name](made)


@pytest.mark.parametrize("code", [*OUTCOMES, "99999", "51603", "54999"])
def test_every_code_means_what_the_table_says(code: str) -> None:
    """C5, T3, T4, T5: by OKX's code alone, in the envelope and in the row; a code that is not known leaves the outcome open."""
    kinds = {"rejected": OrderRejected, "unknown": OutcomeUnknown, "retry": TryAgain, "fatal": VenueRefused}
    row = {"ordId": "", "clOrdId": "aa01", "sCode": code, "sMsg": "no"}
    for answer in (said(row, code="1"), said(row), said(row, code="2"), said(code=code)):
        made, _ = account(answer)
        with pytest.raises(VenueError) as refused:
            made.send(ENTRY, NOW + 5_000)
        assert type(refused.value) is kinds[outcome(code)]
        assert refused.value.code == code
    made, _ = account(said(code=code))
    with pytest.raises(VenueRefused if outcome(code) == "fatal" else TryAgain):
        made.balance()


# of ccxt 4.5.90
FOUND = """
OnMaintenance 50001
RequestTimeout 50004
RateLimitExceeded 50011
InvalidNonce 50102
ExchangeNotAvailable 50005 50013 50026
AccountSuspended 50007 50009 51024
AccountNotEnabled 51010
AuthenticationError 50101 50103 50104 50105 50106 50107 50111 50112 50113 50114
PermissionDenied 50027 50110
BadRequest 50000 50002 50006 50014 50024 51000
BadSymbol 51001
InsufficientFunds 51008 59108
ContractUnavailable 51021 51022 51027 51028 51029 51030
OrderNotFound 51400 51503 51603
InvalidOrder 51004 51005 51006 51016 51020 51046 51047 51051 51121 51137 51138 51202 51204 51279 51280
ExchangeError 50015 50016 50022 50025 50036 50037 50040 50042 50061 50071 50100 50119 50120 51048 51049 51050 51052 51053 51054 51149 51169
ExchangeError 51170 51412 51416 54012 54030 54031 59000 59101 59102 59107 59109
"""
CLASSES = {code: getattr(ccxt, line.split()[0]) for line in FOUND.strip().splitlines() for code in line.split()[1:]}
MEANT = {"R": ("rejected",), "U": ("unknown",), "W": ("retry",), "F": ("fatal",), "R/W": ("rejected", "retry")}


def specified(shared_data: Path) -> dict[str, tuple[str, ...]]:
    """What each code of the wire's page means for an order; of those that are to be read again, that it is not known."""
    page = (shared_data.parent / "specs" / "okx-wire.md").read_text().partition("\n## 8.")[2].partition("\n## 9.")[0]
    found: dict[str, tuple[str, ...]] = {}
    for line in page.splitlines():
        cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
        for first, last in re.findall(r"(\d{5})(?:-(\d+))?", cells[0].partition("(")[0]) if len(cells) == 5 else ():
            named = range(int(first), int(first[: 5 - len(last)] + last) + 1)
            found |= {str(code): MEANT.get(re.split(r"[ →]", cells[4])[0], ("unknown",)) for code in named}
    return found


def test_each_code_of_the_specification_means_what_it_says(shared_data: Path) -> None:
    """C5: held to the page and not to the table in the code, which an order of unknown outcome would be lost by."""
    said_there = specified(shared_data)
    assert len(said_there) >= 85
    assert (said_there["51149"], said_there["51016"], said_there["50015"], said_there["51053"]) == (
        *[("unknown",)] * 2,
        *[("rejected",)] * 2,
    )
    assert {code: outcome(code) for code, meant in said_there.items() if outcome(code) not in meant} == {}
    assert set(said_there) == set(CLASSES)


@pytest.mark.parametrize("code", CLASSES)
def test_the_classes_of_ccxt_are_as_they_were_found(code: str) -> None:
    """C5: 51016 looks like a rejection and 51149 like any error there; this is why they are not trusted."""
    plain = ccxt.okx()
    body = json.dumps({"code": code, "msg": "x", "data": []})
    with pytest.raises(ccxt.BaseError) as raised:
        plain.handle_errors(200, "", "u", "POST", {}, body, json.loads(body), {}, "")
    assert type(raised.value) is CLASSES[code]


def test_a_stale_timestamp_is_mended_once_by_the_exchange_s_clock() -> None:
    """A13: 50102, then public/time, then the same request with a corrected signature; a second refusal is told."""
    stale = said(code="50102", status=401)
    made, canned = account(stale, said({"ts": str(NOW + 600_000)}), said({"uTime": "1", "details": []}))
    assert made.balance().cash == 0
    paths = [request["path"].removeprefix("/api/v5/") for request in canned.told()]
    assert paths == ["account/balance", "public/time", "account/balance"]
    assert canned.asked[2].headers["OK-ACCESS-TIMESTAMP"] == "2026-11-23T06:28:02.000Z"
    made, canned = account(stale, said({"ts": str(NOW)}), stale)
    with pytest.raises(TryAgain):
        made.balance()
    assert len(canned.asked) == 3


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"client_id": "a-b"}, "client id"),
        ({"client_id": ""}, "client id"),
        ({"client_id": "a" * 33}, "client id"),
        ({"quantity": Decimal(0)}, "quantity"),
        ({"quantity": Decimal("NaN")}, "quantity"),
        ({"quantity": Decimal("Infinity")}, "quantity"),
        ({"quantity": Decimal("0.00004")}, "lot"),
        ({"quantity": Decimal("0.01239")}, "lot"),
        ({"quantity": Decimal("1e-12")}, "lot"),
        ({"price": Decimal(1)}, "kind"),
        ({"kind": "limit"}, "kind"),
        ({"stop": Decimal("59000.05")}, "tick"),
        ({"take": Decimal("-1")}, "tick"),
        ({"kind": "limit", "price": Decimal("NaN")}, "tick"),
    ],
)
def test_what_cannot_be_an_order_is_refused_here(change: dict[str, Any], word: str) -> None:
    """B6, T13: before anything is sent, in one sentence."""
    made, canned = account(said(ACCEPTED))
    fields = {"client_id": "aa01", "symbol": BTC, "quantity": Decimal("0.01")} | change
    with pytest.raises(OrderRejected, match=f"was not sent: .*{word}"):
        made.send(OrderRequest(**fields), NOW)
    assert canned.asked == []


def test_pages_are_turned_by_id_until_they_end_and_rows_told_twice_count_once() -> None:
    """T10, T11, A8: 250 fills in pages of 100, in disorder, one twice."""

    def row(bill: int) -> dict[str, str]:
        names = {"instId": SWAP, "tradeId": "1", "ordId": "2", "clOrdId": "", "side": "sell"}
        return names | {"billId": str(bill), "fillSz": "1", "fillPx": "60000", "fee": "-0.3", "execType": "T", "fillTime": str(NOW - bill)}

    newest = [*map(row, range(250, 150, -1))]
    pages = [said(*newest[::-1]), said(row(151), *map(row, range(150, 51, -1))), said(*map(row, range(51, 0, -1)))]
    made, canned = account(*pages)
    told = made.fills(BTC, NOW - 3_600_000)
    assert [fill.bill_id for fill in told] == [str(bill) for bill in range(1, 251)]
    assert [(request["query"].get("after"), request["path"]) for request in canned.told()] == [
        (None, "/api/v5/trade/fills"),
        ("151", "/api/v5/trade/fills"),
        ("52", "/api/v5/trade/fills"),
    ]
    assert (told[0].quantity, told[0].fee, told[0].maker) == (Decimal("-0.01"), Decimal("0.3"), False)


def test_rows_of_the_wire_s_page_are_read_in_base_currency_with_the_engine_s_signs() -> None:
    """C3, T12, T23: the examples of the page; a row of 0 is flat; cash is the wallet with its margin."""
    position = {
        "instId": SWAP, "mgnMode": "isolated", "posSide": "net", "pos": "-1", "avgPx": "60000.1", "markPx": "60001.2", "lever": "3",
        "liqPx": "79641.6", "margin": "200", "imr": "", "uTime": "1795414682792",
    }  # fmt: skip
    made, _ = account(said(position, position | {"pos": "0"}, position | {"instId": "ETH-USDT-SWAP"}))
    (held,) = made.positions()
    assert (held.quantity, held.entry, held.margin, held.liquidation) == (Decimal("-0.01"), Decimal("60000.1"), 200, Decimal("79641.6"))
    for strange in ({"mgnMode": "cross"}, {"posSide": "short"}):
        made, _ = account(said(position, position | strange))
        with pytest.raises(VenueRefused, match="only isolated, net positions are traded"):
            made.positions()
    money = {"ccy": "USDT", "eq": "99.89", "cashBal": "94.42", "availEq": "94.42", "upl": "-0.03"}
    made, _ = account(said({"uTime": "5", "details": [{"ccy": "BTC", "eq": "1"}, money]}))
    balance = made.balance()
    assert (balance.cash, balance.equity, balance.available) == (Decimal("99.92"), Decimal("99.89"), Decimal("94.42"))
    paid = {"billId": "7", "ts": "8", "ccy": "USDT", "bal": "9999.46", "instId": SWAP, "pnl": "0", "fee": "0"}
    made, _ = account(said(paid | {"type": "8", "balChg": "0", "posBalChg": "-0.54"}))
    (bill,) = made.bills(NOW - 1000)
    assert (bill.kind, bill.change, bill.balance) == ("funding", Decimal("-0.54"), Decimal("9999.46"))
    forced = paid | {"type": "5", "balChg": "-10", "posBalChg": "0"}
    made, _ = account(said(forced, forced | {"billId": "6", "tradeId": "-1"}))
    assert [(bill.kind, bill.change) for bill in made.bills(NOW - 1000)] == [("liquidation", 0), ("penalty", -10)]


RECORDED = {
    "nautilus/http_get_account_balance.json": "balance",
    "nautilus/http_get_positions.json": "positions",
    "nautilus/http_get_orders_pending.json": "open_orders",
    "nautilus/http_get_orders_algo_pending.json": "protections",
    "nautilus/http_get_orders_algo_pending_attached_oco.json": "protections",
    "nautilus/http_get_mark_price.json": "mark_price",
    "nautilus/http_get_instruments_swap.json": "rules",
    "okx_net/Account_GetAccountConfiguration.json": "config",
    "okx_net/Account_GetAccountLeverage.json": "leverage",
    "okx_net/Account_GetBillHistory.json": "bills",
    "okx_net/Trading_GetOrderDetails.json": "order",
    "okx_net/Trading_GetUserTrades.json": "fills",
    "okx_net/Trading_GetAlgoOrder.json": "protection",
    "okx_net/Trading_PlaceOrder.json": "send",
    "okx_net/ExchangeData_GetServerTime.json": "time",
}
# what the first row says, a contract being 0.01 in base currency and a fee that is paid positive
VALUES: dict[str, dict[str, object]] = {
    "nautilus/http_get_account_balance.json": {
        "cash": Decimal("99.9219965700000102"),
        "equity": Decimal("99.89469657000001"),
        "available": Decimal("94.42612990333333"),
    },
    "nautilus/http_get_positions.json": {"quantity": Decimal("0.005"), "entry": 10_000, "margin": Decimal("0.5"), "liquidation": 9_000},
    "nautilus/http_get_orders_pending.json": {"quantity": Decimal("0.001"), "filled": 0, "average": None, "kind": "limit", "state": "live"},
    "nautilus/http_get_orders_algo_pending_attached_oco.json": {"quantity": Decimal("-0.0001"), "stop": 39_000, "take": 41_000},
    "okx_net/Account_GetAccountConfiguration.json": {"net": True, "level": 3, "permissions": {"read_only", "trade", "withdraw"}},
    "okx_net/Account_GetBillHistory.json": {"kind": "trade", "change": Decimal("-0.000021955779"), "trade_id": "586760148"},
    "okx_net/Trading_GetOrderDetails.json": {"filled": Decimal("0.0000192834"), "average": 51_858, "fee": Decimal("0.00000192834")},
    "okx_net/Trading_GetUserTrades.json": {"quantity": Decimal("0.0000192834"), "price": 51_858, "fee": Decimal("0.00000192834")},
}


@pytest.mark.parametrize("file", RECORDED)
def test_recorded_answers_are_read(file: str, shared_data: Path) -> None:
    """C3: answers of the real exchange, of whatever instrument, read without an error and to the right values."""
    recorded = json.loads((shared_data / "okx_responses" / file).read_text())
    envelope = recorded.get("response", recorded)
    for row in envelope["data"]:
        if isinstance(row, dict) and "instId" in row:
            row["instId"] = SWAP
            # that account held both sides, which is refused
            row.update({"posSide": "net"} if "positions" in file else {})
    made, _ = account(Answer(json.dumps(envelope).encode()))
    value = CALLS[RECORDED[file]](made)
    assert value is not None
    first = value[0] if isinstance(value, list) else value
    expected = VALUES.get(file, {})
    assert {name: getattr(first, name) for name in expected} == expected
    for one in value if isinstance(value, list) else [value]:
        for name in ("quantity", "price", "change", "equity", "stop"):
            found = getattr(one, name, None)
            assert found is None or found.is_finite()


def test_the_host_is_guarded_and_a_simulator_is_no_real_exchange() -> None:
    """T2, T21: a redirected URL is stopped before it leaves; a live host that answers as a simulator is refused."""
    made, canned = account(said({"ts": "1"}))
    made.client.urls["api"]["rest"] = "https://elsewhere.example"
    with pytest.raises(SafetyError, match="elsewhere"):
        made.time_ms()
    assert canned.asked == []
    real, _ = account(Answer(said({"ts": "1"}).body, headers={"x-sim": "1"}), host="https://www.okx.com", demo=False)
    with pytest.raises(SafetyError, match="simulated"):
        real.time_ms()


def test_keys_are_never_told(caplog: pytest.LogCaptureFixture) -> None:
    """E7, T19, I10: with every logger at DEBUG, through every call and every kind of failure, in texts, errors and reprs."""
    caplog.set_level(logging.DEBUG)
    told = []
    for answer in (said(code="50113", status=401), *MALFORMED.values()):
        for call in CALLS.values():
            made, _ = account(answer)
            try:
                call(made)
            except AlphaArenaError as error:
                told.append(f"{error!r} {error} {error.__cause__} {error.__context__!r}")
            told.append(f"{made!r} {made.client!r} {made.ask!r}")
    everything = caplog.text + "".join(told)
    assert all(secret not in everything for secret in (CANARY.api_key, CANARY.secret, CANARY.passphrase))


def test_calls_are_paced_and_cancels_have_a_budget_of_their_own() -> None:
    """A7, T24: the 51st order within two seconds waits; a cancel beside it does not."""
    waited: list[float] = []
    made, _ = account(said(ACCEPTED), waiting=Waiting(waited.append, lambda: 0.0))
    for _ in range(51):
        made.send(ENTRY, NOW + 5_000)
    assert waited == [2.0]
    made.cancel(BTC, "aa01")
    made.protect(BTC, "aa04", Decimal("-0.01"), Decimal(59000), None)
    assert waited == [2.0]


def test_all_clients_of_a_process_keep_one_pace_with_each_owner() -> None:
    """A7: OKX counts what is public by address and what is private by key, whoever of the process asks."""
    now, waits = [0.0], list[float]()
    pacer = Pacer(Waiting(waits.append, lambda: now[0]))
    for _ in range(2 * LIMITS["account/config"]):
        pacer.wait("key-a", "account/config")
        pacer.wait("key-b", "public/time")
    assert waits.count(WINDOW_S) == LIMITS["account/config"]
    waits.clear()
    pacer.wait("key-c", "account/config")
    assert waits == []
    one, other = (Endpoints(PrivateClient("http://127.0.0.1:1", 1, Keys(name, "s", "p"), True, SimClock.stepped(0))) for name in "ab")
    assert one.pacer is other.pacer
