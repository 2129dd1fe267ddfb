"""A model in backtest, decide and trade: what is recorded, made again without a network, and kept in the database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from html import escape
from pathlib import Path

import pytest
from fake_llm import Body, Says, allocation, ids_of, serving
from run_world import BARS, BTC, ETH, HOUR, KEY, START, At, Now, backtest, left, no_socket, one_key, stored

from alpha_arena.backtest.report import report_html
from alpha_arena.core.records import Booking
from alpha_arena.core.types import Account
from alpha_arena.data.controls import Controls
from alpha_arena.data.ledger import Ledger
from alpha_arena.data.memory import MemoryStore
from alpha_arena.data.models import spent_usd
from alpha_arena.data.queries import outcomes
from alpha_arena.data.service import DataService
from alpha_arena.decision.brief import six
from alpha_arena.decision.feedback import feedback, lines
from alpha_arena.engine import look, ticks
from alpha_arena.settings import load
from alpha_arena.wiring import decide, save, trade_cycle
from alpha_arena.wiring.advising import connected
from alpha_arena.wiring.desk import markets_of, study_of


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """One provider has a key."""
    one_key(monkeypatch)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[DataService]:
    """A database with a market in it."""
    yield from stored(tmp_path)


@pytest.mark.parametrize("bars", [40, pytest.param(500, marks=pytest.mark.slow)])
def test_a_recorded_run_is_made_again_byte_for_byte_without_a_socket(service: DataService, tmp_path: Path, bars: int) -> None:
    """L3: failures, wrong answers and second questions included."""
    rough = [Says(allocation), Says("no JSON"), Says(allocation), Says(status=401, raw=b"{}"), Says("<think>"), Says("x"), Says(allocation)]
    with serving(*rough) as fake:
        recorded = backtest(service, fake.url, f"limit={bars}", "llm.cache=record")
        asked = len(fake.requests)
    assert recorded.result["llm"]["fallback_levels"] == {"0": bars - 3, "1": 1, "4": 2}
    assert recorded.result["trades"] > 3
    assert asked == bars + 2
    folders = []
    for n in range(2):
        with no_socket():
            again = backtest(service, fake.url, f"limit={bars}", "llm.cache=replay_strict")
        assert left(again) == left(recorded)
        folders.append(save(again, load("backtest", ["decision=llm", f"outputs={tmp_path / str(n)}"]), service, START)[1])
    for name in ("llm.jsonl", "signals.parquet", "equity.parquet", "trades.parquet"):
        first, second = ((folder / name).read_bytes() for folder in folders)
        assert first == second
        assert KEY.encode() not in first
    lines = [json.loads(line) for line in (folders[0] / "llm.jsonl").read_text().splitlines()]
    records, ended = lines[:bars], [line["outcome"] for line in lines[bars:]]
    assert {line["decision_id"] for line in lines[bars:]} < {record["decision_id"] for record in records}
    assert len(ended) == len(recorded.outcomes) > 3
    still = recorded.result["final_equity"] - 10_000 - sum(one["pnl"] for one in ended)
    assert (abs(still) < 1e-6) == (not recorded.result["open_positions"])
    assert {one["ended_by"] for one in ended} <= {"decision", "stop", "take"}
    assert all(record["cache"]["hit"] for record in records)
    assert max(record["asof_ts"] - record["bar_close_ts"] for record in records) <= 0


def test_a_strict_replay_of_what_was_never_recorded_holds_and_says_so(service: DataService) -> None:
    with no_socket():
        run = backtest(service, "http://127.0.0.1:9/v1", "limit=5", "llm.cache=replay_strict")
    assert run.result["llm"]["fallback_levels"] == {"4": 5}
    (told,) = (warning for warning in run.result["warnings"] if warning.startswith("5 of 5 decisions are not a model's first answer"))
    assert "the first because of CacheMiss: no answer is kept to question" in told
    assert escape(told) in report_html(run)
    assert "CacheMiss" in run.advice[0].record


def test_replay_asks_only_for_what_is_not_kept(service: DataService) -> None:
    with serving() as fake:
        backtest(service, fake.url, "limit=5")
        assert len(fake.requests) == 5
        backtest(service, fake.url, "limit=5")
        assert len(fake.requests) == 5


def test_a_cycle_keeps_what_was_asked_and_said_with_the_decision(service: DataService, tmp_path: Path) -> None:
    """One row in llm_calls in the same transaction, with what became of it; the level is in the decision as it is read back."""
    settings = load("trade", ["decision=llm", "trader.id=mind"])
    with serving() as fake:
        settings = load("trade", ["decision=llm", "trader.id=mind", f"llm.base_url={fake.url}"])
        (made,) = trade_cycle(settings, Now(), service)
        assert trade_cycle(settings, Now(), service) == []
        assert len(fake.requests) == 1
    assert (made["fallback_level"], made["provider"], made["model"], made["tokens"]) == (0, "deepseek", "deepseek-flash-0001", 1100)
    with closing(sqlite3.connect(tmp_path / "arena.db")) as connection:
        ((trader, ts, cost, text),) = connection.execute("SELECT trader, ts, cost_usd, record FROM llm_calls").fetchall()
    record = json.loads(text)
    assert (trader, ts, float(cost)) == ("mind", START + BARS * HOUR, 0.00042)
    assert record["order_ids"] == [order["id"] for order in made["orders"]]
    assert record["final_position"] == made["exposure"]
    assert record["mode"] == "paper"
    (kept,) = Ledger(service, "mind", "1h", "simulated").decisions()
    assert kept.wanted.advice
    assert kept.wanted.advice.fallback_level == 0
    assert kept.wanted.advice.prompt_sha256 == record["prompt_sha256"] == made["prompt_sha256"]
    assert spent_usd(service, "mind", START) == 0.00042
    assert spent_usd(service, "mind", ts + 24 * HOUR) == 0.0
    assert KEY not in (tmp_path / "arena.db").read_bytes().decode("latin-1")


def test_who_is_stopped_while_a_model_thinks_sends_nothing(service: DataService) -> None:
    """E1: a model may think for a minute; a kill switch holds from the moment it is thrown."""

    def thrown(body: Body) -> str:
        Controls(service).kill("mind", Now().now_ms(), "somebody")
        return json.dumps({**json.loads(allocation(body)), "total_position": 0.9})

    with serving(Says(thrown)) as fake:
        (made,) = trade_cycle(load("trade", ["decision=llm", "trader.id=mind", f"llm.base_url={fake.url}"]), Now(), service)
    assert (made["fallback_level"], made["exposure"], made["orders"]) == (0, 0.0, [])
    assert [one["rule"] for one in made["refusals"]] == ["people"]


def test_what_a_crashed_cycle_and_decide_have_spent_is_spent(service: DataService) -> None:
    """The day's budget counts every call as it is made, whatever became of the cycle."""
    cost, told = 0.00042, ["decision=llm", "trader.id=mind", "llm.cache=off", "llm.budget_usd=0.0006"]
    with serving() as fake:
        settings = load("trade", [*told, f"llm.base_url={fake.url}"])
        dying = connected(settings, service, "paper", Now().now_ms())
        study = study_of(dying, markets_of(dying, service, Now().now_ms()))
        (tick,) = [*ticks(study, START + (BARS - 1) * HOUR)]
        booking = Booking(tick.bar_ts, tick.close_ts, Account(10_000.0), 10_000.0, {BTC: float(study.markets[BTC].close[-1])})
        dying.decider.decide(look(tick, study, booking, MemoryStore("mind"), None))
        assert spent_usd(service, "mind", START) == pytest.approx(cost)
        decide(load("decide", [*told, f"llm.base_url={fake.url}"]), Now(), service)
        assert spent_usd(service, "mind", START) == pytest.approx(2 * cost)
        (made,) = trade_cycle(settings, Now(), service)
        assert len(fake.requests) == 2
    assert made["why"] == "hold. fallback 4: deepseek BudgetSpent"
    assert spent_usd(service, "other", START) == 0.0


def test_several_symbols_are_asked_for_one_by_one_within_one_decision(service: DataService) -> None:
    """Each with its own prompt, record and outcome; what is told of a market is of that market alone."""
    bars = service.get_ohlcv(BTC, "1h", BARS)
    service.write_candles("file", ETH, "1h", replace(bars, **{name: getattr(bars, name) / 20 for name in ("open", "high", "low", "close")}))
    with serving() as fake:
        run = backtest(service, fake.url, "symbols=[btc,eth]", "limit=20")
        asked = [request["messages"][1]["content"] for request in fake.requests]
    assert len(asked) == 40
    assert [text.splitlines()[0] for text in asked[:2]] == [f"symbol: {BTC}", f"symbol: {ETH}"]
    assert run.result["llm"]["decisions"] == 40
    assert {one.symbol for one in run.outcomes} == {BTC, ETH}
    records = [json.loads(one.record) for one in run.advice]
    assert len({one["decision_id"] for one in records}) == 40
    assert records[-1]["feedback"]["last"] > 5


def test_feedback_tells_only_what_was_known(service: DataService) -> None:
    """L9: look-ahead; each prompt's figures are those of the outcomes that had ended by its close, and of no other."""
    with serving() as fake:
        run = backtest(service, fake.url, "limit=60", "decision.feedback_decisions=10")
        asked = [request["messages"][1]["content"] for request in fake.requests]
    records = [json.loads(one.record) for one in run.advice]
    for record, text in zip(records, asked, strict=True):
        known = [one for one in run.outcomes if (one.closed_ts or 0) <= record["bar_close_ts"]][-10:]
        found = feedback(known)
        assert record["feedback"] == json.loads(json.dumps(found.told()))
        assert lines(found, six) in text
        assert record["asof_ts"] == record["bar_close_ts"]
    assert records[-1]["feedback"]["n"] >= 5
    assert not records[-1]["feedback"]["insufficient"]


@pytest.mark.parametrize(
    ("cutoff", "before", "after", "said"),
    [
        ("null", 60, None, "CONTAMINATED: where the training of deepseek/deepseek-flash ends is not known"),
        ("2030-01-01", 60, None, "CONTAMINATED: no bar lies more than 30 days after the end"),
        ("2020-01-01", None, 60, "all 60 bars lie more than 30 days after the end"),
        ("2024-01-06", 24, 36, "CONTAMINATED in part: 24 of 60 bars lie before 30 days after the end"),
    ],
)
def test_a_result_is_split_where_a_model_can_no_longer_remember(
    service: DataService, cutoff: str, before: int | None, after: int | None, said: str, tmp_path: Path
) -> None:
    """L8: only what lies after is headlined, also in the report."""
    with serving() as fake:
        run = backtest(service, fake.url, "limit=60", f"+llm.models.deepseek-flash.knowledge_cutoff={cutoff}")
    told = run.result["llm"]
    assert [told[name] and told[name]["bars"] for name in ("before_cutoff", "after_cutoff")] == [before, after]
    assert told["contamination"].startswith(said)
    assert (said in " ".join(run.result["warnings"])) == told["contaminated"] == (before is not None)
    if before and after:
        both = (1 + told["before_cutoff"]["total_return"]) * (1 + told["after_cutoff"]["total_return"])
        assert both - 1 == pytest.approx(run.result["total_return"])
    page = report_html(run)
    assert ("CONTAMINATED" in page) == told["contaminated"]
    assert ("Final equity" in page) != told["contaminated"]
    assert ("Return after the cutoff" in page) == (bool(before and after))


def test_an_anonymous_prompt_says_nothing_of_which_market_or_when(service: DataService) -> None:
    """The same words at any price level, date and symbol; what it was is in the record alone."""
    bars = service.get_ohlcv(BTC, "1h", BARS)
    scaled = {name: getattr(bars, name) / 16 for name in ("open", "high", "low", "close")}
    late = replace(bars, ts=bars.ts + 700 * 24 * HOUR, volume=bars.volume * 1024, **scaled)
    service.write_candles("file", ETH, "1h", late)
    asked = []
    with serving() as fake:
        for symbol in ("btc", "eth"):
            # lots so small that both trade the same
            terms = ("limit=20", "llm.anonymise=true", "symbol.lot=1e-9", "symbol.tick=1e-9", "costs.min_notional=0", "risk=none")
            run = backtest(service, fake.url, f"symbol={symbol}", *terms)
            asked.append([request["messages"][1]["content"] for request in fake.requests])
            fake.requests.clear()
    assert asked[1] == []
    for text in asked[0]:
        assert not any(word in text for word in (BTC, "BTC", "USDT", "2024-", "UTC"))
        assert " 100 " in text
    record = json.loads(run.advice[0].record)
    assert (record["symbol"], record["prompt_template_id"]) == (ETH, "allocation_v1_anonymous")
    assert record["cache"]["hit"]


def test_decide_asks_what_trade_would(service: DataService) -> None:
    """Outcomes that have ended meanwhile included: the answer that decide has kept is the one that trade takes."""
    with serving() as fake:
        told = ["decision=llm", "trader.id=mind", f"llm.base_url={fake.url}"]
        for bar in range(BARS - 12, BARS):
            made = decide(load("decide", told), At(bar), service)
            asked = len(fake.requests)
            trade_cycle(load("trade", told), At(bar), service)
            assert len(fake.requests) == asked
    assert made["feedback"]["last"] > 5
    rows = outcomes(service, "mind")
    assert rows[0]["closed_ts"] is None
    assert len([row for row in rows if row["closed_ts"]]) >= made["feedback"]["last"]
    records = [json.loads(text) for text in texts(service, "SELECT record FROM llm_calls")]
    assert {row["record_id"] for row in rows} <= {record["decision_id"] for record in records}
    assert records[-1]["feedback"] == made["feedback"]


def texts(service: DataService, query: str) -> list[str]:
    """One column of what a query finds."""
    with service.database.read() as connection:
        return [row[0] for row in connection.exec_driver_sql(query)]


FAULTS: dict[str, tuple[Says | None, str, int]] = {
    "never": (Says(silent=True), "deepseek Timeout", 1),
    "late": (Says(allocation, drip=True), "deepseek Timeout", 1),
    "400": (Says(status=400, raw=b"{}"), "deepseek Http400", 1),
    "401": (Says(status=401, raw=b"{}"), "deepseek Http401", 1),
    "429": (Says(status=429, raw=b"{}", headers={"Retry-After": "0"}), "deepseek Http429", 2),
    "429 for long": (Says(status=429, raw=b"{}", headers={"Retry-After": "900"}), "deepseek Http429", 1),
    "500": (Says(status=500, raw=b"{}"), "deepseek Http500", 2),
    "refused": (None, "deepseek Connection", 2),
    "a page": (Says(raw=b"<html>busy</html>", headers={"Content-Type": "text/html"}), "deepseek BadReply", 1),
    "10 MB": (Says("x" * 10_000_000), "deepseek TooLarge", 1),
    "half a JSON": (Says('{"market_regime": "RANGE", "strategy_all'), "deepseek answered wrongly (the answer is not one JSON object", 1),
    "NaN": (Says(lambda body: allocation(body).replace("0.8", "NaN")), "deepseek answered wrongly (the answer is not one JSON object", 1),
    "unknown id": (Says(lambda body: allocation(body).replace(ids_of(body)[0], "moon")), "deepseek answered wrongly (", 1),
    "a block that thinks": (Says("<think>"), "deepseek answered wrongly (the answer ends while it thinks", 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_cycle_goes_on_whatever_the_model_does(service: DataService, fault: str) -> None:
    """D1 to D3: the cycle succeeds, and a decision is recorded with its level, its reason and every call that was made."""
    says, why, calls = FAULTS[fault]
    waits = ["llm.call_s=0.5", "llm.deadline_s=2"] if why.endswith("Timeout") else []
    with serving(*([says] if says else [])) as fake:
        url = fake.url if says else "http://127.0.0.1:9/v1"
        retries = 0 if waits else 1
        told = ["decision=llm", "trader.id=mind", f"llm.base_url={url}", f"llm.retries={retries}", "llm.breaker_failures=1000", *waits]
        (made,) = trade_cycle(load("trade", told), Now(), service)
    assert (made["fallback_level"], made["exposure"], made["orders"]) == (4, 0.0, [])
    assert made["why"].startswith(f"hold. fallback 4: {why}")
    (kept,) = Ledger(service, "mind", "1h", "simulated").decisions()
    assert kept.wanted.advice
    assert kept.wanted.advice.fallback_level == 4
    (record,) = [json.loads(text) for text in texts(service, "SELECT record FROM llm_calls")]
    wrongly = "wrongly" in why
    assert (record["fallback_level"], record["validation"]["ok"], len(record["attempts"])) == (4, False, 2 if wrongly else calls)
    assert all(one["errors"] if wrongly else one["error_class"] for one in record["attempts"])


def test_who_asks_no_model_decides_before_those_that_wait_for_one(service: DataService, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model may take a fifth of a bar to say nothing."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    decided: list[int] = []

    def slow(body: Body) -> str:
        decided.append(len(texts(service, "SELECT decider FROM decisions WHERE trader = 'ema_solo'")))
        return allocation(body)

    with serving(Says(slow)) as fake:
        told = ["arena=default", "arena.traders=[replayed_model,ema_solo]", "llm.cache=record", f"llm.base_url={fake.url}"]
        made = trade_cycle(load("trade", told), Now(), service)
    assert sorted({one["trader"] for one in made}) == ["ema_solo", "replayed_model"]
    assert decided
    assert decided[0] > 0


def test_decide_shows_everything_and_keeps_no_decision(service: DataService) -> None:
    with serving() as fake:
        told = decide(load("decide", ["decision=llm", f"llm.base_url={fake.url}"]), Now(), service)
    fields = "prompt response_raw parsed validation attempts fallback_level provider model tokens cost_usd prompt_sha256 allocations"
    assert [name for name in fields.split() if name not in told] == []
    assert [message["role"] for message in told["prompt"]] == ["system", "user"]
    assert told["exposure"] == pytest.approx(sum(share["exposure"] for share in told["allocations"]))
    assert Ledger(service, "default", "1h", "simulated").decisions() == []


def test_another_provider_with_a_key_is_asked_where_the_first_fails(service: DataService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those without a key are not part of the chain; the chosen one says what it lacks."""
    monkeypatch.delenv("DEEPSEEK_API_KEY")
    made = decide(load("decide", ["decision=llm"]), Now(), service)
    assert (made["fallback_level"], made["why"]) == (4, "hold. fallback 4: deepseek NoKey")
    assert "DEEPSEEK_API_KEY" in made["attempts"][0]["said"]
    monkeypatch.setenv("MOONSHOT_API_KEY", KEY)
    monkeypatch.setenv("LLM_PROVIDER", "openai")
    decider = load("decide", ["decision=llm"]).decider
    assert [one.name for one in (decider.model, *decider.fallbacks)] == ["openai", "moonshot"]  # type: ignore[attr-defined]
