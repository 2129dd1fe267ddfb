"""The arena's board over ledgers that trading has filled, and what models did, from the records that they left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict
from math import nan
from pathlib import Path
from shutil import copy
from threading import Event
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from fill import BTC, DAY, HOSTILE, HOUR, WARM_UP, candles, fill
from model_fill import NAME, SAID, fill_model

from alpha_arena.backtest.board import board
from alpha_arena.backtest.contestants import Contestant
from alpha_arena.backtest.result import plain
from alpha_arena.core.errors import DataError
from alpha_arena.core.types import Ints
from alpha_arena.data import queries
from alpha_arena.data.service import DataService
from alpha_arena.monitor.api import build_api
from alpha_arena.monitor.books import Books
from alpha_arena.monitor.contest import Contest, Held, foreknown, growth
from alpha_arena.monitor.later import Later
from alpha_arena.monitor.reader import Reader
from alpha_arena.monitor.scope import Scope
from alpha_arena.settings import Settings, load
from alpha_arena.wiring.backtesting import window
from alpha_arena.wiring.benchmarks import benchmarks
from alpha_arena.wiring.desk import markets_of

BARS = 42
ASKED_LATE_S = 1_800_000_000.0


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three traders by rules, one with a model that started later, and one whose model was asked years after its bars."""
    file = tmp_path_factory.mktemp("arena") / "played.db"
    service = DataService(f"sqlite:///{file}")
    fill(service, 8, source="file")
    fill_model(service, BARS)
    fill_model(service, 6, "llm_late", asked_s=ASKED_LATE_S, cutoff=None)
    service.close()
    return file


@pytest.fixture
def service(played: Path, tmp_path: Path) -> Iterator[DataService]:
    """A copy that a test may write to."""
    made = DataService(f"sqlite:///{copy(played, tmp_path / 'copy.db')}")
    yield made
    made.close()


@pytest.fixture
def client(service: DataService) -> Iterator[TestClient]:
    """A caller of the API."""
    with TestClient(build_api(Reader(service, Scope((BTC,))))) as made:
        yield made


def settled(client: TestClient, path: str = "/api/arena") -> dict[str, Any]:
    """An answer of the arena once nothing newer is being computed; each question waits a moment for it."""
    for _ in range(200):
        found: dict[str, Any] = client.get(path).json()
        if not found["computing"]:
            return found
    raise AssertionError(f"{path} is still computing")


def rows_of(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Traders' rows by name."""
    return {row["name"]: row for row in body["rows"] if row["kind"] == "trader"}


def test_the_rows_are_those_of_the_board_module(store: DataService, reader: Reader) -> None:
    """Every column of L10 and the order, from the ledgers' own closes."""
    with TestClient(build_api(reader)) as client:
        body = settled(client)
    closes = candles(12).ts[WARM_UP:] + HOUR
    expected = board([contestant(store, name, closes - HOUR) for name in ("ema_solo", "equal_weight", "portfolio")], HOUR, 0)
    assert [row["name"] for row in body["rows"]] == [row.name for row in expected.rows]
    for shown, row in zip(body["rows"], plain([asdict(row) for row in expected.rows]), strict=True):
        for name, value in row.items():
            assert shown[name] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value), name
        assert shown["late"] is False
    assert (body["bars"], body["tried"], body["initial_capital"], body["said"]) == (closes.size, 3, 10_000, expected.said)


def contestant(service: DataService, name: str, ts: Ints) -> Contestant:
    """A trader from its rows."""
    kept, bills = queries.equity(service, name), queries.sums(service, name)
    traded = sum(abs(one["quantity"]) * one["price"] for one in queries.fills(service, name, 10_000))
    path = (np.array(kept["equity"]), np.array(kept["exposure"]), 10_000.0)
    return Contestant(name, "trader", ts, *path, traded, -bills["fee"], -bills["funding"], len(queries.round_trips(service, name)))


def test_a_model_s_columns_come_from_its_records(client: TestClient) -> None:
    """How often it was asked, answered uselessly, fell back, how long it took; a cost that is not known wholly is not known."""
    row = rows_of(settled(client))[NAME]
    rounds = BARS / len(SAID)
    assert row["decisions"] == BARS
    assert row["parse_failure_rate"] == pytest.approx(1 / len(SAID))
    assert row["fallback_rate"] == pytest.approx(2 / len(SAID))
    assert row["latency_ms"] == pytest.approx(2100 * (BARS + rounds) / BARS)
    assert (row["llm_cost_usd"], row["llm_cost_bps"], row["net_return"]) == (None, None, None)
    assert row["late"] is True
    assert row["since_ms"] == int(candles(8).ts[-BARS]) + HOUR


def test_who_was_asked_after_the_fact_is_not_ranked(client: TestClient) -> None:
    """Its model may know what came after the bars; nobody else is contaminated."""
    rows = rows_of(settled(client))
    assert {name for name, row in rows.items() if row["contaminated"]} == {"llm_late"}
    assert rows["llm_late"]["rank"] is None
    assert sorted(row["rank"] for name, row in rows.items() if name != "llm_late") == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("waited_ms", "cutoff", "known"),
    [
        (0, None, False),
        (DAY - 1, "2030-01-01", False),
        (DAY, None, True),
        (DAY, "2024-01-01", False),
        (DAY, "2024-12-15", True),
        (-DAY, "2030-01-01", False),
    ],
)
def test_foreknowledge(waited_ms: int, cutoff: str | None, known: bool) -> None:
    """Only of who was asked a day later, by a model whose training may have reached the bar."""
    close = 1_735_689_600_000  # 2025-01-01
    assert (
        foreknown({"bar_close_ts": close, "wall_ts": close + waited_ms, "knowledge_cutoff": cutoff, "price_table_version": None}) is known
    )


def test_the_race_ends_where_the_board_says(client: TestClient) -> None:
    """Each curve ends with its row's return; a later one starts when it did."""
    body, race = settled(client), settled(client, "/api/arena/equity?columns=2000")
    rows = rows_of(body)
    assert {name: race["series"][name][-1] for name in rows} == pytest.approx({name: row["total_return"] for name, row in rows.items()})
    assert race["series"][NAME][: -BARS - 1] == [None] * (len(race["ts"]) - BARS - 1) or race["series"][NAME][0] is None
    money = settled(client, "/api/arena/equity?columns=2000&unit=quote")
    assert money["series"]["portfolio"][-1] == pytest.approx(rows["portfolio"]["equity"])


def test_a_decision_says_what_its_model_did(client: TestClient) -> None:
    """Level, cause, time, tokens, cost; the filter finds those that fell back; an opened one has the whole record and what came of it."""
    shown = client.get("/api/decisions", params={"trader": NAME, "limit": 6}).json()["decisions"]
    by_mood = dict(zip(reversed([SAID[row % len(SAID)] for row in range(BARS - 6, BARS)]), shown, strict=True))
    assert by_mood["short"]["model"] == {
        "level": 0,
        "asked": True,
        "provider": "openai",
        "model": "m-1",
        "requested": "gpt-4.1-mini",
        "latency_ms": 2100,
        "tokens": 1100,
        "cost_usd": pytest.approx(0.00056),
        "replayed": False,
        "cause": "",
        "reason": "why not",
        "selected": "",
    }
    silent, wrong, hostile = (by_mood[mood]["model"] for mood in ("silent", "wrong", "hostile"))
    assert (silent["level"], silent["cause"]) == (4, "openai ServerError (HTTP 503): the model is overloaded")
    assert wrong["level"] == 1
    assert wrong["cause"].startswith("openai answered wrongly: total_position")
    assert (hostile["cost_usd"], hostile["tokens"], hostile["reason"][:20]) == (None, None, HOSTILE[:20])
    fallen = client.get("/api/decisions", params={"filter": "fallback", "limit": 500}).json()["decisions"]
    assert len(fallen) == BARS // 3 + 2
    assert all(row["model"]["level"] for row in fallen)
    ended = next(row for row in fallen if row["trader"] == NAME and row["model"]["level"] == 1)
    whole = client.get(f"/api/decisions/{ended['id']}").json()["decision"]
    assert whole["record"]["bar_close_ts"] == whole["ts"]
    assert whole["record"]["final_position"] == whole["exposure"]
    assert whole["outcome"] is None or whole["outcome"]["decision_id"] == ended["id"]
    assert client.get("/api/decisions", params={"trader": "portfolio", "limit": 1}).json()["decisions"][0]["model"] is None


def test_the_feedback_shown_is_that_of_the_newest_prompt(client: TestClient, service: DataService) -> None:
    """As the model saw it; none where no model decides."""
    call = queries.last_model_call(service, NAME)
    assert call is not None
    told = client.get("/api/dashboard", params={"trader": NAME}).json()["feedback"]
    assert told == {"ts": call["ts"], **call["record"]["feedback"]}
    assert told["n"] >= told["least"]
    assert client.get("/api/dashboard", params={"trader": "portfolio"}).json()["feedback"] is None


def test_a_database_without_traders_has_no_board(tmp_path: Path) -> None:
    """Nothing is stored, nothing fails."""
    service = DataService(f"sqlite:///{tmp_path / 'empty.db'}")
    service.upgrade()
    with TestClient(build_api(Reader(service, Scope((BTC,))))) as client:
        assert settled(client)["rows"] == []
        assert settled(client, "/api/arena/equity")["series"] == {}
    service.close()


@pytest.fixture(scope="module")
def settings() -> Settings:
    """An arena's configuration with few random traders."""
    return load("serve", ["arena=default", "arena.random_seeds=4"])


@pytest.mark.slow
def test_benchmarks_are_those_of_the_arena(service: DataService, settings: Settings) -> None:
    """To the last figure, over the traders' own bars; holding is what each is compared with, from its own start on."""
    scope = Scope((BTC,), settings=settings)
    with TestClient(build_api(Reader(service, scope))) as client:
        body, race = settled(client), settled(client, "/api/arena/equity?columns=2000")
    markets = markets_of(settings, service, None)
    beside = benchmarks(settings, markets, window(markets, body["start_ts"], None))
    shown = {row["name"]: row for row in body["rows"] if row["kind"] == "benchmark"}
    assert set(shown) == {"flat", "buy_and_hold", "equal_weight", "best_rule", "random", "portfolio"}
    for one in beside.contestants:
        assert shown[one.name]["total_return"] == pytest.approx(one.equity[-1] / one.initial_capital - 1)
        assert (shown[one.name]["trades"], shown[one.name]["rank"]) == (one.trades, None)
    assert race["band"]["high"] == pytest.approx((beside.band.high / 10_000 - 1).tolist())
    hold = next(one for one in beside.contestants if one.name == "buy_and_hold")
    model = rows_of(body)[NAME]
    held = growth(hold.equity, hold.ts + HOUR, model["since_ms"])
    assert model["vs_hold"] == pytest.approx(model["total_return"] - held)
    assert body["missing"] == ""


@pytest.mark.parametrize("overrides", [None, ["arena=default", "symbol=eth"]])
def test_why_there_are_no_benchmarks_is_told(service: DataService, overrides: list[str] | None) -> None:
    """The traders' board stands without them."""
    scope = Scope((BTC,), settings=load("serve", overrides) if overrides else None)
    with TestClient(build_api(Reader(service, scope))) as client:
        body = settled(client)
    assert {row["kind"] for row in body["rows"]} == {"trader"}
    assert body["missing"].startswith("no benchmarks: ")
    assert body["random"] == {}


def test_traders_stand_on_the_board_before_their_benchmarks(service: DataService) -> None:
    """The first time alone, for then what computes them is compiled; the page says that they are coming."""
    reader = Reader(service, Scope((BTC,), settings=load("serve", ["arena=default", "symbol=eth"])))
    contest, told = Contest(reader, Books(reader)), list[Held]()
    held = contest.held(told.append)
    assert held is not None
    assert [(one.rivalry.coming, {row["kind"] for row in one.rows}) for one in (*told, held)] == [(True, {"trader"}), (False, {"trader"})]
    contest.held(told.append)
    assert len(told) == 1


def test_growth_counts_from_the_close_before() -> None:
    """A trader that starts at a close is compared with what happened from then on."""
    ts, equity = np.array([10, 20, 30], np.int64), np.array([100.0, 110.0, 121.0])
    assert growth(equity, ts, 20) == pytest.approx(0.21)
    assert growth(equity, ts, 30) == pytest.approx(0.1)
    assert growth(equity, ts, 0) == pytest.approx(0.21)


def test_what_takes_long_comes_with_a_later_question() -> None:
    """The last stands until the next is finished; whoever asks waits no longer than a moment."""
    go, told = Event(), Event()

    def slow(value: str) -> str:
        go.wait(30)
        return value

    later: Later[str] = Later(0.01, told.set)
    first = later.get("1", lambda _: slow("one"))
    assert (first.value, first.newer) == (None, True)
    go.set()
    assert told.wait(30)
    second = later.get("1", lambda _: slow("never"))
    assert (second.value, second.newer) == ("one", False)
    go.clear()
    third = later.get("2", lambda _: slow("two"))
    assert (third.value, third.newer) == ("one", True)
    go.set()


def test_what_is_told_on_the_way_stands_until_it_is_finished() -> None:
    """As a value that a newer one is coming for; then it is gone."""
    go, told = Event(), Event()

    def build(early: Callable[[str], None]) -> str:
        early("half")
        go.wait(30)
        return "whole"

    later: Later[str] = Later(0.01, told.set)
    later.get("1", build)
    assert told.wait(30)
    half = later.get("1", build)
    assert (half.value, half.newer) == ("half", True)
    told.clear()
    go.set()
    assert told.wait(30)
    whole = later.get("1", build)
    assert (whole.value, whole.newer) == ("whole", False)


def test_nobody_is_told_of_what_does_not_yet_count_as_new() -> None:
    """Else the answer would have the tag of the one before it, and the next question another: never the same twice."""
    counting, go = Event(), Event()

    def finished() -> None:
        counting.set()
        go.wait(30)

    later: Later[int] = Later(30.0, finished)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(later.get, "1", lambda _: 1)
        assert counting.wait(30)
        told = wait([asked], 0.2).done
        go.set()
        assert (told, asked.result().value) == (set(), 1)


def test_what_fails_is_told_to_whoever_asks() -> None:
    """Each time, until the state is another."""

    def fails(_: object) -> float:
        raise DataError("no")

    later: Later[float] = Later(30.0, lambda: None)
    for _ in range(2):
        with pytest.raises(DataError, match="no"):
            later.get("1", fails)
    assert np.isnan(later.get("2", lambda _: nan).value or 0.0)
