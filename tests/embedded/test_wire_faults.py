"""Faults on purpose, what a client in a requests session sees of them, and the control plane that sets them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from wire_caller import SWAP, Caller, code, market
from wire_world import caller

from alpha_arena.exchange.embedded.adapter import LoopbackAdapter
from alpha_arena.exchange.embedded.control import Control
from alpha_arena.exchange.embedded.wire import Dropped, Hang, Request

TOKEN = "control"
PLACE = {"method": "POST", "path": "trade/order"}


class Lab:
    """A caller, the control plane of its exchange, and a requests session that reaches it without a socket."""

    def __init__(self) -> None:
        self.one = caller()
        self.control = Control(self.one.wire, TOKEN)
        self.session = requests.Session()
        self.session.mount("http://", LoopbackAdapter(self.one.wire))

    def sim(self, command: str, expected: int = 200, token: str = TOKEN, **body: Any) -> dict[str, Any]:
        """A command's answer."""
        request = Request("POST", f"/__sim/{command}", "", {"authorization": f"Bearer {token}"}, json.dumps(body).encode())
        reply = self.control.handle(request)
        answer: dict[str, Any] = json.loads(reply.body)
        assert reply.status == expected, answer
        return answer

    def fault(self, action: Any, **rest: Any) -> None:
        """A fault of the next order."""
        self.sim("fault", **{"match": PLACE, "action": action} | rest)

    def send(self, timeout: float = 10.0, **fields: Any) -> requests.Response:
        """An order through the session."""
        made = self.one.request("POST", "trade/order", None, json.dumps(market(**fields)).encode())
        return self.session.post(f"http://127.0.0.1:1{made.path}", data=made.body, headers=dict(made.headers), timeout=timeout)

    def placed(self, name: str) -> int:
        """How many orders have a client's name."""
        return sum(order.cl_ord_id == name for order in self.one.client.orders.values())


@pytest.fixture
def lab() -> Lab:
    """A fresh exchange."""
    return Lab()


def test_the_adapter_carries_requests_without_a_socket(lab: Lab) -> None:
    answer = lab.send(clOrdId="a")
    assert (answer.status_code, answer.json()["code"], answer.headers["x-sim"]) == (200, "0", "1")
    assert lab.placed("a") == 1
    lab.session.close()


@pytest.mark.parametrize(("when", "placed"), [("before", 0), ("after", 1)])
def test_a_dropped_connection_says_nothing_of_what_was_done(lab: Lab, when: str, placed: int) -> None:
    """D20, D21: a lost request and a lost answer look alike (faults: A3, A4)."""
    lab.fault("drop", when=when)
    with pytest.raises(requests.ConnectionError):
        lab.send(clOrdId="a")
    assert lab.placed("a") == placed
    assert lab.send(clOrdId="b").ok


@pytest.mark.parametrize(
    ("action", "status", "body"),
    [
        ({"http": {"status": 502, "body": "<html>"}}, 502, "<html>"),
        ({"code": "50026"}, 500, '{"code":"50026","msg":"System error, please try again later","data":[]}'),
        ({"code": "51149"}, 500, '{"code":"51149","msg":"Order timed out. Please try again","data":[]}'),
        ({"code": "50011"}, 429, '{"code":"50011","msg":"Too Many Requests","data":[]}'),
        ({"code": "54999"}, 200, '{"code":"54999","msg":"Error 54999","data":[]}'),
        ("empty", 200, ""),
        ({"truncate": 7}, 200, '{"code"'),
    ],
)
def test_an_accepted_order_may_get_any_answer(lab: Lab, action: Any, status: int, body: str) -> None:
    """Faults: A2, A3."""
    lab.fault(action, when="after")
    answer = lab.send(clOrdId="a")
    assert (answer.status_code, answer.text) == (status, body)
    assert lab.placed("a") == 1


def test_html_is_no_json(lab: Lab) -> None:
    lab.fault("html", when="before")
    answer = lab.send(clOrdId="a")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html")
    assert lab.placed("a") == 0


def test_a_late_request_is_carried_out_when_its_time_comes(lab: Lab) -> None:
    """Faults: A5, without expTime."""
    lab.fault({"delay": 20_000})
    with pytest.raises(requests.ReadTimeout):
        lab.send(clOrdId="late", timeout=10)
    lab.sim("advance", ms=19_999)
    assert (lab.placed("late"), lab.sim("state")["overdue"]) == (0, 1)
    lab.sim("advance", ms=1)
    assert (lab.placed("late"), lab.sim("state")["overdue"]) == (1, 0)


def test_a_late_request_is_discarded_after_its_expiry(lab: Lab) -> None:
    """Faults: A5, with expTime."""
    lab.one.headers["exptime"] = str(lab.one.wire.now_ms + 3000)
    lab.fault({"delay": 20_000})
    with pytest.raises(requests.ReadTimeout):
        lab.send(clOrdId="late", timeout=10)
    lab.sim("advance", ms=25_000)
    assert lab.placed("late") == 0


def test_a_short_delay_passes_on_the_exchanges_clock(lab: Lab) -> None:
    start = lab.one.wire.now_ms
    lab.fault({"delay": 2_000}, when="after")
    assert lab.send(clOrdId="a", timeout=10).json()["code"] == "0"
    assert lab.one.wire.now_ms == start + 2_000


def test_a_reply_that_never_comes_ends_in_the_clients_patience(lab: Lab) -> None:
    lab.fault({"hang": 60_000}, when="after")
    with pytest.raises(requests.ReadTimeout):
        lab.send(clOrdId="a", timeout=10)
    assert lab.placed("a") == 1
    lab.fault({"hang": 1_000}, when="after")
    with pytest.raises(requests.ConnectionError):
        lab.send(clOrdId="b", timeout=10)


def test_a_request_may_arrive_twice(lab: Lab) -> None:
    lab.fault("dup_request")
    assert code(lab.send(clOrdId="a").json()) == "51016"
    assert lab.placed("a") == 1


def test_rows_may_come_twice_or_in_another_order(lab: Lab) -> None:
    """D25: the same fill may be told twice (faults: A8)."""
    for name in "abcdef":
        lab.send(clOrdId=name)
    lab.sim("advance", ms=60_000)
    rows = lab.one.get("trade/fills")["data"]
    lab.sim("fault", match={"path": "trade/fills"}, action="dup_reply", when="after")
    assert lab.one.get("trade/fills")["data"] == rows * 2
    lab.sim("fault", match={"path": "trade/fills"}, action="reorder", when="after")
    shuffled = lab.one.get("trade/fills")["data"]
    assert shuffled != rows
    assert sorted(row["billId"] for row in shuffled) == sorted(row["billId"] for row in rows)


def test_a_fault_strikes_the_request_that_it_names(lab: Lab) -> None:
    lab.sim("fault", match={"path": "trade/*", "method": "POST", "body": "wanted", "nth": 2}, action={"code": "50013"}, times=2)
    codes = [code(lab.one.order(clOrdId=name)) for name in ("a", "wanted1", "wanted2", "b", "wanted3", "wanted4")]
    assert codes == ["0", "0", "50013", "0", "50013", "0"]
    assert code(lab.one.get("trade/order", instId=SWAP, clOrdId="wanted2")) == "51603"


def test_chance_comes_from_the_seed_alone() -> None:
    def strikes() -> list[str]:
        lab = Lab()
        lab.sim("fault", match=PLACE, action={"code": "50013"}, times=0, probability=0.5)
        return [code(lab.one.order(sz="0.01")) for _ in range(40)]

    assert strikes() == strikes()
    assert set(strikes()) == {"0", "50013"}


def test_nothing_is_wrong_after_a_reset(lab: Lab) -> None:
    lab.fault("drop", times=0)
    lab.sim("clock", skew_ms=-40_000)
    lab.sim("market", states={SWAP: "suspend"}, no_funding=True, stale_ms=1)
    lab.sim("lag", fills_ms=5)
    lab.sim("reset")
    assert lab.send(clOrdId="a").json()["code"] == "0"
    assert lab.sim("state")["rules"] == []
    assert lab.sim("state")["requests"] == {"POST trade/order": 1}


def test_a_skewed_clock_refuses_what_is_signed_by_the_right_one(lab: Lab) -> None:
    """D42: a clock that is off gets 50102 (faults: A13)."""
    made = lab.one.request("GET", "account/balance")
    lab.sim("clock", skew_ms=30_001)
    assert json.loads(lab.one.wire.handle(made).body) == {"msg": "Timestamp request expired", "code": "50102"}
    assert int(lab.one.get("public/time")["data"][0]["ts"]) == lab.sim("clock")["now"] + 30_001
    assert lab.one.get("account/balance")["code"] == "0"


def test_fills_orders_and_positions_may_be_told_late(lab: Lab) -> None:
    """Faults: A8."""
    lab.sim("lag", fills_ms=30_000, orders_ms=5_000, positions_ms=10_000)
    lab.one.order(clOrdId="a")
    seen = []
    for _ in range(4):
        order = code(lab.one.get("trade/order", instId=SWAP, clOrdId="a"))
        seen.append((order, len(lab.one.get("account/positions")["data"]), len(lab.one.get("trade/fills")["data"])))
        lab.sim("advance", ms=5_000 if len(seen) < 3 else 20_000)
    assert seen == [("51603", 0, 0), ("0", 0, 0), ("0", 1, 0), ("0", 1, 1)]


def test_maintenance_and_suspension_are_told(lab: Lab) -> None:
    """Faults: A14."""
    lab.sim("market", states={SWAP: "suspend"}, maintenance=[{"title": "t", "state": "ongoing", "begin": "1", "end": "2"}])
    assert lab.one.get("system/status", state="ongoing")["data"][0]["title"] == "t"
    assert lab.one.get("public/instruments", instType="SWAP")["data"][0]["state"] == "suspend"
    assert code(lab.one.order()) == "51022"
    lab.sim("market", states={SWAP: "preopen"})
    assert code(lab.one.order()) == "51021"
    lab.sim("market", states={SWAP: "live"})
    assert code(lab.one.order()) == "0"


def test_candles_can_have_every_defect(lab: Lab) -> None:
    """D58, D72: gaps, doubles, revisions and spikes come from the exchange too (faults: B2, B3)."""
    bar = 900_000
    last = lab.one.wire.now_ms // bar * bar
    kinds: list[dict[str, Any]] = [
        {"kind": "gap"},
        {"kind": "dup"},
        {"kind": "revise", "factor": 1.5},
        {"kind": "set", "column": 2, "value": "NaN"},
        {"kind": "set", "column": 4, "value": None},
    ]
    clean = lab.one.get("market/candles", instId=SWAP, bar="15m", limit=7)["data"]
    lab.sim("market", edits=[{"inst_id": SWAP, "ts": last - bar * (1 + at)} | kind for at, kind in enumerate(kinds)])
    rows = lab.one.get("market/candles", instId=SWAP, bar="15m", limit=7)["data"]
    assert [row for row in rows if int(row[0]) == last - bar] == []
    assert rows.count(clean[2]) == 2
    assert float(rows[3][4]) == pytest.approx(1.5 * float(clean[3][4]))
    assert (rows[4][2], rows[5][4]) == ("NaN", None)
    lab.sim("market", reversed_rows=True)
    assert lab.one.get("market/candles", instId=SWAP, bar="15m", limit=7)["data"] == rows[::-1]


def test_market_data_may_stand_still(lab: Lab) -> None:
    """Faults: B4."""
    at = lab.one.wire.now_ms
    lab.sim("market", stale_ms=at)
    lab.sim("advance", ms=7_200_000)
    assert int(lab.one.get("market/candles", instId=SWAP)["data"][0][0]) <= at
    assert lab.one.get("public/mark-price", instId=SWAP)["data"][0]["ts"] == str(at)
    lab.sim("market", stale_ms=0)
    assert int(lab.one.get("market/candles", instId=SWAP)["data"][0][0]) > at


def test_prices_may_stand_still_while_their_times_go_on(lab: Lab) -> None:
    """Faults: B4, frozen identical prices."""
    at = lab.one.wire.now_ms
    before = lab.one.get("public/mark-price", instId=SWAP)["data"][0]["markPx"]
    lab.sim("market", frozen_ms=at)
    lab.sim("advance", ms=3_600_000)
    told = lab.one.get("public/mark-price", instId=SWAP)["data"][0]
    assert (told["markPx"], told["ts"]) == (before, str(at + 3_600_000))
    rows = lab.one.get("market/candles", instId=SWAP, bar="15m", limit=4)["data"]
    assert len({row[4] for row in rows if int(row[0]) >= at}) == 1
    assert {row[5] for row in rows if int(row[0]) >= at} == {"0"}


def test_bills_may_be_told_late(lab: Lab) -> None:
    """Faults: B5, a payment that is booked after its time."""
    lab.sim("lag", bills_ms=5_000)
    lab.one.order()
    assert [bill["type"] for bill in lab.one.get("account/bills")["data"]] == []
    lab.sim("advance", ms=5_000)
    assert [bill["type"] for bill in lab.one.get("account/bills")["data"]] == ["2", "1"]


def test_funding_may_be_missing(lab: Lab) -> None:
    """Faults: B5."""
    lab.sim("market", no_funding=True)
    assert lab.one.get("public/funding-rate", instId=SWAP)["data"] == []
    assert lab.one.get("public/funding-rate-history", instId=SWAP)["data"] == []


def test_others_may_act_on_the_account(lab: Lab) -> None:
    """D48: trades that the program did not make (faults: A12)."""
    name = lab.one.client.name
    lab.sim("account", name=name, external={"inst_id": SWAP, "side": "sell", "sz": "2"})
    assert [row["pos"] for row in lab.one.get("account/positions")["data"]] == ["-2"]
    cash = lab.one.client.cash
    lab.sim("account", name=name, deposit="100")
    assert lab.one.client.cash == cash + 100


@pytest.mark.parametrize(("refusal", "status"), [("50101", 401), ("50110", 401), ("50111", 401), ("50113", 401), ("50120", 200)])
def test_keys_can_be_refused(lab: Lab, refusal: str, status: int) -> None:
    """D34, D35: keys of another environment or host (faults: A15)."""
    lab.sim("account", name=lab.one.client.name, refuse=refusal)
    told = lab.one.get("account/balance")
    assert (told["code"], told["status"]) == (refusal, status)
    lab.sim("account", name=lab.one.client.name, refuse="")
    assert lab.one.get("account/balance")["code"] == "0"


def test_permissions_can_be_changed(lab: Lab) -> None:
    """D79: keys that may withdraw can be shown to a client that must refuse them."""
    lab.sim("account", name=lab.one.client.name, perm="read_only,withdraw,trade")
    assert "withdraw" in lab.one.get("account/config")["data"][0]["perm"]
    lab.sim("account", name=lab.one.client.name, perm="read_only")
    assert code(lab.one.order()) == "50120"


def test_the_control_plane_wants_its_token(lab: Lab) -> None:
    before = lab.one.wire.exchange.dump()[1]
    for command in lab.control.commands:
        assert "token" in lab.sim(command, expected=401, token="guess")["error"]
    bare = lab.control.handle(Request("POST", "/__sim/reset", "", {}, b"{}"))
    assert bare.status == 401
    assert lab.one.wire.exchange.dump()[1] == before


@pytest.mark.parametrize(
    ("command", "body"),
    [
        ("clock", {"sped": 2}),
        ("clock", {"speed": 5000}),
        ("clock", {"mode": "fast"}),
        ("fault", {"action": "explode"}),
        ("fault", {"action": {"code": "x"}}),
        ("fault", {"action": {"hang": -1}}),
        ("fault", {"action": "reorder", "when": "before"}),
        ("fault", {"action": {"http": {"status": 99}}}),
        ("market", {"states": {"DOGE": "suspend"}}),
        ("account", {"name": "nobody"}),
        ("account", {}),
        ("dump", {"all": True}),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_with_the_reason(lab: Lab, command: str, body: dict[str, Any]) -> None:
    before = lab.one.wire.exchange.dump()[1]
    assert lab.sim(command, expected=400, **body)["error"]
    assert lab.one.wire.exchange.dump()[1] == before


def test_an_unknown_command_is_told_so(lab: Lab) -> None:
    assert "dump" in lab.sim("explode", expected=404)["error"]


def test_the_dump_comes_with_its_hash_and_counters_with_the_state(lab: Lab) -> None:
    lab.one.order()
    dump = lab.sim("dump")
    assert dump["sha256"] == lab.one.wire.exchange.dump()[1]
    assert lab.sim("state")["requests"] == {"POST trade/order": 1}


def test_the_books_are_written_before_a_reply_leaves(lab: Lab) -> None:
    lab.fault("drop", when="after")
    with pytest.raises(Dropped):
        lab.one.order(clOrdId="a")
    lab.fault({"delay": 5}, when="after")
    with pytest.raises(Hang):
        lab.one.order(clOrdId="b")
    assert lab.placed("a") == lab.placed("b") == 1


def test_a_callers_headers_are_its_own(lab: Lab) -> None:
    assert Caller(lab.one.wire, lab.one.client, {"ok-access-key": ""}).get("account/balance")["code"] == "50103"
