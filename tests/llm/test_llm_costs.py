"""What models cost: budgets that bound, costs that are not known, what is said and asked before anybody is paid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fake_llm import Body, Says, allocation, serving
from run_world import START, Now, backtest, one_key, stored

from alpha_arena.backtest.proof import same_config
from alpha_arena.commands import backtest as command
from alpha_arena.core.errors import ConfigError
from alpha_arena.data.models import spent_usd
from alpha_arena.data.service import DataService
from alpha_arena.decision.llm import Llm
from alpha_arena.llm.provider import ANY, Card
from alpha_arena.llm.reply import most_tokens
from alpha_arena.settings import load
from alpha_arena.wiring import decide, run_backtest
from alpha_arena.wiring.again import SHAPE_NOTHING
from alpha_arena.wiring.arena import run_arena
from alpha_arena.wiring.backtesting import window
from alpha_arena.wiring.desk import markets_of
from alpha_arena.wiring.estimating import call_usd, estimate


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    """One provider has a key."""
    one_key(monkeypatch)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[DataService]:
    """A database with a market in it."""
    yield from stored(tmp_path)


def test_a_budget_ends_the_asking_of_a_run(service: DataService) -> None:
    """L7: cost in bps and net of it."""
    with serving() as fake:
        run = backtest(service, fake.url, "limit=6", "llm.budget_usd=0.0006")
    assert len(fake.requests) == 2
    told = run.result["llm"]
    assert told["fallback_levels"] == {"0": 2, "4": 4}
    assert told["cost_usd"] == pytest.approx(2 * 0.00042)
    assert told["cost_bps"] == pytest.approx(told["cost_usd"] / 10_000 * 1e4)
    assert told["total_return_net"] < run.result["total_return"]


def test_an_unknown_price_is_null(service: DataService) -> None:
    with serving() as fake:
        run = backtest(service, fake.url, "limit=2", "llm.model=never-heard-of")
    told = run.result["llm"]
    assert (told["cost_usd"], told["cost_bps"], told["total_return_net"]) == (None, None, None)
    assert "what the models cost is not known" in " ".join(run.result["warnings"])


@pytest.mark.parametrize("count", [10**400, 10**19, -1], ids=["no float", "no column", "negative"])
def test_a_count_of_tokens_that_cannot_be_is_not_known(service: DataService, count: int) -> None:
    """It ends no run, and the budget counts the most that it can be."""
    told = {"prompt_tokens": count, "completion_tokens": 100}
    with serving(Says(allocation, usage=told)) as fake:
        run = backtest(service, fake.url, "limit=2", "llm.budget_usd=0.0001")
    assert (len(fake.requests), run.result["llm"]["cost_usd"], run.result["llm"]["fallback_levels"]) == (1, None, {"0": 1, "4": 1})


def test_a_budget_bounds_a_model_whose_price_is_not_known(service: DataService) -> None:
    """L7: 1,100 tokens at the highest price are 0.11 USD; of a day of paper trading, which decide shares, as of a run."""
    unknown = ["llm.model=never-heard-of", "llm.cache=off", "llm.budget_usd=0.2"]
    with serving() as fake:
        run = backtest(service, fake.url, "limit=6", *unknown)
        assert len(fake.requests) == 2
        told = ["decision=llm", "trader.id=mind", f"llm.base_url={fake.url}", *unknown]
        made = [decide(load("decide", told), Now(), service) for _ in range(3)]
        assert len(fake.requests) == 4
    assert (run.result["llm"]["fallback_levels"], run.result["llm"]["cost_usd"]) == ({"0": 2, "4": 4}, None)
    assert [one["fallback_level"] for one in made] == [0, 0, 4]
    assert "never-heard-of has no price in llm.models and counts at llm.unknown_price_usd, 100 USD" in made[2]["attempts"][0]["said"]
    assert spent_usd(service, "mind", START) == pytest.approx(0.22)


@pytest.mark.parametrize(
    ("says", "dear"),
    [(Says(raw=b"<html>"), True), (Says(status=500, raw=b"{}"), True), (Says(status=401, raw=b"{}"), False), (None, False)],
    ids=["a page", "500", "401", "refused"],
)
def test_a_call_that_failed_and_may_be_charged_has_no_known_cost(service: DataService, says: Says | None, dear: bool) -> None:
    """A sum that it is in is not known either, and the budget counts the most that it can be."""
    with serving(Says(allocation), *([says] if says else [])) as fake:
        url = fake.url if says else "http://127.0.0.1:9/v1"
        run = backtest(service, url, "limit=8", "llm.budget_usd=0.02", "llm.retries=0")
    told = run.result["llm"]
    assert (told["cost_usd"] is None, told["total_return_net"] is None) == (dear, dear)
    assert any("may have been charged" in warning for warning in run.result["warnings"]) == dear
    kinds = [json.loads(one.record)["attempts"][-1]["error_class"] for one in run.advice]
    assert ("BudgetSpent" in kinds) == dear


@pytest.mark.parametrize(
    ("overrides", "calls"),
    [
        (["most_calls=11"], 12),
        (["most_calls=11", "llm.model=never-heard-of", "llm.cache=record"], 12),
        (["most_calls=12"], None),
        (["most_calls=1", "confirm=true"], None),
    ],
)
def test_a_backtest_asks_nobody_more_often_than_was_meant(service: DataService, overrides: list[str], calls: int | None) -> None:
    """Each of six closes may be asked for twice."""
    with serving() as fake:
        if calls:
            with pytest.raises(
                ConfigError, match=rf"6 questions of about .* at most {calls} calls .* more than most_calls=11: .*confirm=true"
            ):
                backtest(service, fake.url, "limit=6", *overrides)
        else:
            backtest(service, fake.url, "limit=6", *overrides)
        assert len(fake.requests) == (0 if calls else 6)


def test_what_may_be_asked_is_said_before_anybody_is(
    service: DataService, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On stderr; nothing is said where only kept answers are taken, or there is no key."""
    told = ["decision=llm", "limit=6", f"database.url=sqlite:///{tmp_path / 'arena.db'}", f"outputs={tmp_path}"]
    before = []

    def first(body: Body) -> str:
        before.append(capsys.readouterr().err)
        return allocation(body)

    with serving(Says(first)) as fake:
        command.run(load("backtest", [*told, f"llm.base_url={fake.url}"]))
    assert before[0].startswith("backtest: 6 questions of about ")
    assert "at most 12 calls for 0.0" in before[0]
    assert "a budget of 5 USD (llm.budget_usd) ends that" in before[0]
    for silent in ("llm.cache=replay_strict", "llm.cache=record"):
        command.run(load("backtest", [*told, silent, "most_calls=1"]))
        assert "questions" not in capsys.readouterr().err
        monkeypatch.delenv("DEEPSEEK_API_KEY", raising=False)


@pytest.mark.parametrize(("cache", "kept"), [("replay", "not asked again"), ("record", "asked again"), ("off", "asked again")])
def test_whether_what_is_kept_is_paid_for_again_is_said(service: DataService, cache: str, kept: str) -> None:
    with serving() as fake, pytest.raises(ConfigError, match=f"what is kept from before is {kept}"):
        backtest(service, fake.url, "limit=6", "most_calls=1", f"llm.cache={cache}")


def test_what_is_said_beforehand_covers_second_questions(service: DataService) -> None:
    """They quote the answer at length; models that are dear to read cost by that."""
    dear = Card(input_usd=100.0, output_usd=0.0)
    with serving(Says("no JSON " * 1000)) as fake:
        settings = load("backtest", ["decision=llm", "limit=3", "llm.cache=off", "llm.fallbacks=[]", f"llm.base_url={fake.url}"])
        assert isinstance(settings.decider, Llm)
        model = replace(settings.decider.model, models={ANY: dear})
        settings = replace(settings, decider=replace(settings.decider, model=model))
        markets = markets_of(settings, service, None)
        told = estimate(settings, settings.decider, markets, window(markets, None, 3))
        run_backtest(settings, service)
    assert len(fake.requests) == told.calls == 6
    assert told.cost_usd > sum(call_usd(model, most_tokens(body["messages"])) for body in fake.requests)


def test_an_arena_counts_all_of_its_askings(service: DataService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each model is asked for each close as often as it has samples, and each trader has a budget of its own."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk")
    monkeypatch.delenv("DEEPSEEK_API_KEY")
    told = ["arena.traders=[replayed_model,ema_solo]", "arena.samples=3", "limit=300", "llm.base_url=http://127.0.0.1:9/v1"]
    with pytest.raises(ConfigError, match=r"^900 questions of about .* at most 1,800 calls for .* a budget of 5 USD .* most_calls=1,000"):
        run_arena(load("arena", [*told, "llm.cache=record"]), service, Now().now_ms())


def test_how_often_may_be_asked_shapes_no_run() -> None:
    """A run whose limit was raised, or that is older than the limit, is made again all the same."""
    assert same_config({"most_calls": 5}, {"most_calls": 1000, "confirm": True}, SHAPE_NOTHING).same
