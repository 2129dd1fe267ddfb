"""The API's contract over a database that trading has filled."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from fill import BTC, HOSTILE, HOUR, WARM_UP, candles, last_close, set_clock

from alpha_arena.core.types import Candles
from alpha_arena.data import queries
from alpha_arena.data.controls import Controls
from alpha_arena.data.ledger import Ledger
from alpha_arena.data.live_ledger import LiveLedger
from alpha_arena.data.service import DataService
from alpha_arena.monitor.api import build_api
from alpha_arena.monitor.reader import Reader
from alpha_arena.monitor.scope import Scope

SYMBOL = BTC.symbol
ROUTES = [
    "/api/status",
    "/api/dashboard",
    f"/api/market/candles?symbol={SYMBOL}",
    f"/api/market/funding?symbol={SYMBOL}",
    f"/api/market/regimes?symbol={SYMBOL}&trader=portfolio",
    "/api/decisions",
    "/api/orders",
    "/api/trades?trader=portfolio",
    "/api/positions",
    "/api/balances",
    "/api/equity",
    "/api/arena",
    "/api/arena/equity",
    "/api/data-health/coverage",
]


def ask(client: TestClient, path: str, **query: object) -> dict[str, Any]:
    """The answer of a question that must succeed."""
    found = client.get(path, params={name: str(value) for name, value in query.items()} or None)
    assert found.status_code == 200, found.text
    body: dict[str, Any] = found.json()
    return body


def contest(client: TestClient, path: str = "/api/arena", **query: object) -> dict[str, Any]:
    """The answer once nothing newer is being computed; each question waits a moment for it."""
    for _ in range(200):
        if not (found := ask(client, path, **query))["computing"]:
            return found
    raise AssertionError(f"{path} is still computing")


@pytest.mark.parametrize("path", [*ROUTES, "/api/backtests"])
def test_every_answer_is_strict_json(client: TestClient, path: str) -> None:
    """D53: NaN and infinity are null; a strict parser reads every answer, compressed where it is long, and the server's time is told."""
    found = client.get(path)
    assert found.status_code == 200
    json.loads(found.text, parse_constant=lambda name: pytest.fail(f"{name} in {path}"))
    assert "dur=" in found.headers.get("server-timing", "dur=")
    assert found.headers["content-type"] == "application/json"
    assert found.headers.get("content-encoding") == ("gzip" if len(found.content) >= 1000 else None)


@pytest.mark.parametrize("path", ROUTES)
def test_an_unchanged_state_is_answered_with_304(client: TestClient, path: str) -> None:
    """The tag comes from cursors: the same until something is stored, or a board is finished."""
    contest(client)
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(path + ("&" if "?" in path else "?") + "unused=1", headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200


def test_a_new_candle_ends_the_304(client: TestClient, store: DataService) -> None:
    """And the mark, hence equity, follows it."""
    before = client.get("/api/dashboard?trader=portfolio")
    ts = last_close(store)
    bar = Candles(np.array([ts], np.int64), *(np.array([price]) for price in (50_000.0, 50_000.0, 50_000.0, 50_000.0, 1.0)))
    store.write_candles("synthetic", SYMBOL, "1h", bar)
    after = client.get("/api/dashboard?trader=portfolio", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.json()["status"]["feeds"][0]["close_ms"] == ts + HOUR


@pytest.mark.parametrize("path", ["/api/backtest/run", "/api/data-health/repair", "/api/kill-switch", "/api/orders", "/api/anything"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_written(client: TestClient, path: str, method: str) -> None:
    """D60: reading needs no trust because nothing else is possible; the refusal says why."""
    found = client.request(method, path, json={})
    assert (found.status_code, found.json()) == (403, {"error": "API_WRITE_ENABLED is false"})


@pytest.mark.parametrize("trader", ["ema_solo", "equal_weight", "portfolio"])
def test_every_page_tells_the_same_equity(client: TestClient, store: DataService, trader: str) -> None:
    """D31: tile, end of the curve, leaderboard, metrics and the ledger's own account agree to the last digit."""
    tile = ask(client, "/api/dashboard", trader=trader)["kpi"]
    series = ask(client, "/api/equity", unit="quote")["series"][trader]
    line = next(row for row in contest(client)["rows"] if (row["kind"], row["name"]) == ("trader", trader))
    account = Ledger(store, trader, "1h", "simulated").account()
    price = store.get_latest_prices(SYMBOL)
    assert price is not None
    assert tile["equity"] == series[-1] == line["equity"] == account.equity({SYMBOL: price["last"]})
    assert f'alpha_arena_equity{{trader="{trader}"}} {tile["equity"]}' in client.get("/metrics").text
    assert tile["total_fraction"] == line["total_return"] == ask(client, "/api/equity")["series"][trader][-1]


@pytest.mark.parametrize("trader", ["ema_solo", "equal_weight", "portfolio"])
def test_the_rows_add_up_to_the_tile(client: TestClient, trader: str) -> None:
    """D33: total is realised and unrealised profit less fees and funding, and what the closed trades made where nothing is held."""
    tile = ask(client, "/api/dashboard", trader=trader)["kpi"]
    trades = ask(client, "/api/trades", trader=trader)["trades"]
    assert tile["total"] == pytest.approx(tile["realised"] + tile["unrealised"] - tile["fees"] - tile["funding"], abs=1e-6)
    assert tile["held"] == sum(row["exit_ms"] is None for row in trades)
    if not tile["held"]:
        assert tile["total"] == pytest.approx(sum(row["pnl"] for row in trades), abs=1e-6)


def test_candles_are_thinned_and_say_how(client: TestClient) -> None:
    """Never more bars than asked for or 2,000; the same highs and lows as what is stored."""
    start, end = candles(12).ts[0], int(candles(12).ts[-1]) + HOUR
    few = ask(client, "/api/market/candles", symbol=SYMBOL, start_ms=start, end_ms=end, bars=80)
    assert (few["bar"], few["bar_ms"], len(few["ts"])) == ("4h", 4 * HOUR, 72)
    assert max(few["high"]) == candles(12).high.max()
    assert min(few["low"]) == candles(12).low.min()
    assert sum(few["volume"]) == pytest.approx(candles(12).volume.sum())
    assert ask(client, "/api/market/candles", symbol=SYMBOL, start_ms=start, end_ms=end, bars=2000)["bar"] == "1h"


def test_a_bar_that_has_not_closed_is_drawn_from_shorter_ones(client: TestClient, store: DataService) -> None:
    """The right edge of a 4 h chart is the newest hour, not four hours ago."""
    ts = last_close(store)
    rows = [Candles(np.array([ts + n * HOUR], np.int64), *(np.array([100.0 + n]) for _ in range(4)), np.array([1.0])) for n in range(3)]
    for row in rows:
        store.write_candles("synthetic", SYMBOL, "1h", row)
    drawn = ask(client, "/api/market/candles", symbol=SYMBOL, start_ms=ts - 40 * HOUR, bar_ms=4 * HOUR)
    assert (drawn["ts"][-1], drawn["open"][-1], drawn["close"][-1], drawn["volume"][-1]) == (ts, 100, 102, 3)


def test_gaps_are_told(store: DataService, client: TestClient) -> None:
    """D11: a hole in the data is a hole in the chart."""
    ts = last_close(store)
    bar = Candles(np.array([ts + 5 * HOUR], np.int64), *(np.array([1.0]) for _ in range(5)))
    store.write_candles("synthetic", SYMBOL, "1h", bar)
    found = ask(client, "/api/market/candles", symbol=SYMBOL, start_ms=ts - 10 * HOUR, bar_ms=HOUR)
    assert found["gaps"] == [{"start_ms": ts, "end_ms": ts + 5 * HOUR, "class": "missing"}]


def test_equity_starts_at_zero_per_cent_and_has_holding_beside_it(client: TestClient) -> None:
    """D36: a benchmark is always there; nothing is shown before a trader's start."""
    found = ask(client, "/api/equity", columns=5000)
    assert found["series"]["benchmark:buy_and_hold"][0] == 0
    start = int(candles(12).ts[WARM_UP]) + HOUR
    assert found["ts"][0] == start
    closes = candles(12).close[WARM_UP:]
    assert found["series"]["benchmark:buy_and_hold"] == pytest.approx((closes / closes[0] - 1).tolist())


def test_decisions_carry_regime_reason_refusal_and_catch_up(client: TestClient) -> None:
    """D45: what was refused stands beside what was wanted; a decision over the past says so."""
    rows = ask(client, "/api/decisions", trader="portfolio", limit=500)["decisions"]
    refused = ask(client, "/api/decisions", trader="portfolio", filter="refused")["decisions"]
    acted = ask(client, "/api/decisions", trader="portfolio", filter="acted", limit=500)["decisions"]
    assert refused
    assert all(row["refusals"][0]["rule"] == "MaxExposure" and abs(row["exposure"]) <= 1 for row in refused)
    assert {row["action"] for row in acted} <= {"enter_long", "enter_short", "exit", "add", "reduce", "reverse"}
    assert acted[-1]["action"].startswith("enter")
    assert [row["id"] for row in rows] == sorted((row["id"] for row in rows), reverse=True)
    assert rows[1]["catch_up"]
    assert not rows[0]["catch_up"]
    whole = ask(client, f"/api/decisions/{rows[0]['id']}")["decision"]
    assert sum(one["weight"] for one in whole["allocations"]) == pytest.approx(1)


def test_actions_agree_with_the_fills(client: TestClient, store: DataService) -> None:
    """An entry in the feed is an opening fill in the ledger."""
    acted = ask(client, "/api/decisions", trader="equal_weight", filter="acted", limit=500)["decisions"]
    fills = {row["ts"]: row["quantity"] for row in queries.fills(store, "equal_weight") if row["reason"] == "signal"}
    entries = [row for row in acted if row["action"].startswith("enter")]
    assert entries
    assert all((fills[row["ts"]] > 0) == (row["action"] == "enter_long") for row in entries if row["ts"] in fills)


def test_an_order_has_its_whole_life(client: TestClient) -> None:
    """From intent to fill, with causes."""
    order = ask(client, "/api/orders", trader="portfolio", filter="filled")["orders"][0]
    events = ask(client, f"/api/orders/{order['id']}")["events"]
    assert events[0]["state"] in ("INTENT", "WORKING")
    assert events[-1]["state"] == "FILLED"
    assert order["filled_fraction"] == 1


def test_text_stays_text(client: TestClient) -> None:
    """D58: hostile text travels as it was written; what shows it decides how."""
    assert ask(client, "/api/decisions", trader="ema_solo", limit=1)["decisions"][0]["why"] == HOSTILE


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/api/market/candles?symbol=DOGE", 404, "no candles of DOGE"),
        ("/api/market/candles", 400, "symbol: Field required"),
        (f"/api/market/candles?symbol={SYMBOL}&bars=1000000", 400, "less than or equal to 2000"),
        (f"/api/market/candles?symbol={SYMBOL}&start_ms=1e999", 400, "start_ms"),
        (f"/api/market/candles?symbol={SYMBOL}&bar_ms=60000", 400, "no multiple of a stored timeframe (1h)"),
        ("/api/decisions?trader=<script>", 404, "there is no trader"),
        ("/api/decisions?filter=x", 400, "filter"),
        ("/api/decisions/999999", 404, "there is no decision 999999"),
        ("/api/orders/none", 404, "there is no order 'none'"),
    ],
)
def test_a_wrong_question_gets_one_sentence(client: TestClient, path: str, status: int, words: str) -> None:
    """Never a trace."""
    found = client.get(path)
    assert found.status_code == status
    assert words in found.json()["error"]
    assert "Traceback" not in found.text


def test_unknown_names_in_the_address_give_the_default_and_are_told(client: TestClient) -> None:
    """The page shows the first trader and one sentence."""
    found = ask(client, "/api/dashboard", trader="nobody", symbol="X" * 80)
    assert (found["trader"], found["symbol"]) == ("ema_solo", SYMBOL)
    assert [name for name, _ in found["unknown"]] == ["trader", "symbol"]


def test_time_is_the_clock_row_s(client: TestClient, store: DataService, reader: Reader) -> None:
    """D19: running, stopped, and killed without a word are told apart; time never runs past a dead keeper."""
    now, wall = last_close(store) + 10 * 60_000, reader.wall()
    set_clock(store, now, wall - 1000, speed=60)
    clock = ask(client, "/api/status")["clock"]
    assert (clock["now_ms"], clock["running"], clock["stopped"]) == (now + 60_000, True, False)
    assert ask(client, "/api/status")["next_decision_ms"] == last_close(store) + HOUR
    set_clock(store, now, wall - 3_600_000, speed=60)
    clock = ask(client, "/api/status")["clock"]
    assert (clock["now_ms"], clock["running"], clock["stopped"]) == (now + 60_000, False, True)
    set_clock(store, now, wall, mode="stopped")
    status = ask(client, "/api/status")
    assert (status["clock"]["now_ms"], status["clock"]["stopped"], status["next_decision_ms"]) == (now, True, None)


def test_a_halt_is_told_until_it_is_acknowledged(client: TestClient, store: DataService) -> None:
    """D47: and both ends change the tag."""
    ledger = Ledger(store, "portfolio", "1h", "simulated")
    ledger.halt(1, "drawdown 31 % > 30 %")
    tag = client.get("/api/status").headers["etag"]
    assert ask(client, "/api/status")["halts"][0]["reason"] == "drawdown 31 % > 30 %"
    ledger.acknowledge(2, "me")
    assert client.get("/api/status", headers={"If-None-Match": tag}).json()["halts"] == []


def test_what_people_told_the_traders_is_on_the_page(client: TestClient, store: DataService, tmp_path: Any) -> None:
    """E1: by whom, since when; also a kill file; and an account that does not answer."""
    controls = Controls(store)
    controls.pause("portfolio", 5, "ann", "news")
    assert ask(client, "/api/status")["switches"] == [
        {"trader": "portfolio", "kind": "pause", "policy": "", "reason": "news", "made_by": "ann", "ts": 5}
    ]
    tag = client.get("/api/status").headers["etag"]
    controls.resume("portfolio", 6, "ann")
    assert controls.file is not None
    controls.file.write_text("flatten")
    told = client.get("/api/status", headers={"If-None-Match": tag}).json()["switches"]
    assert [(one["kind"], one["policy"], one["made_by"]) for one in told] == [("kill", "flatten", "file KILL")]
    controls.file.unlink()
    live = LiveLedger(store, "portfolio", "1h", "okx")
    live.is_now("DIFFERS", "cash is 5 less", 7)
    assert [(one["state"], one["reason"]) for one in ask(client, "/api/status")["accounts"]] == [("DIFFERS", "cash is 5 less")]
    live.is_now("READY", "", 8)
    assert ask(client, "/api/status")["accounts"] == []


def test_an_empty_database_has_dashes(tmp_path: Any) -> None:
    """D52: nothing is stored, nothing fails."""
    service = DataService(f"sqlite:///{tmp_path / 'empty.db'}")
    service.upgrade()
    with TestClient(build_api(Reader(service, Scope((BTC,))))) as client:
        found = ask(client, "/api/dashboard")
        assert (found["trader"], found["symbol"], found["positions"]) == ("", SYMBOL, [])
        assert found["kpi"]["equity"] is None
        assert found["kpi"]["held"] == 0
        for path in (
            "/api/equity",
            "/api/decisions",
            "/api/orders",
            "/api/arena",
            "/api/arena/equity",
            "/api/data-health/coverage",
            "/healthz",
            "/metrics",
        ):
            assert client.get(path).status_code == 200
        assert client.get(f"/api/market/candles?symbol={SYMBOL}").status_code == 404
    service.close()


def test_health_says_when_the_schema_is_missing(tmp_path: Any) -> None:
    """With the command that mends it."""
    service = DataService(f"sqlite:///{tmp_path / 'none.db'}")
    with TestClient(build_api(Reader(service, Scope((BTC,))))) as client:
        found = client.get("/healthz")
        assert found.status_code == 503
        assert "alpha-arena db upgrade" in found.json()["error"]
    service.close()
