"""What models cost: budgets that bound, costs that are not known, what is said and asked before anybody is paid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_llm import Says, allocation, serving
from run_world import START, Now, backtest, one_key, stored

from alpha_arena.data.models import spent_usd
from alpha_arena.data.service import DataService
from alpha_arena.settings import load
from alpha_arena.wiring import decide


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
