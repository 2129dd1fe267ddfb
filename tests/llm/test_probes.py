"""Probes of memory: an honest model shows no sign of it, one that knows the dates is caught by both (specs: quant L8)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_llm import Body, FakeLlm, Says, ids_of, serving
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.backtest.probes import NO_SIGN, REMEMBERS, TOO_FEW, Limits, by_mirror, by_name, by_shuffle, mirrored, shuffled, wilson
from alpha_arena.core.errors import ConfigError
from alpha_arena.core.market import Market
from alpha_arena.core.types import Candles, Funding
from alpha_arena.data.service import DataService
from alpha_arena.settings import load
from alpha_arena.wiring.probing import run_probe

BTC = "BTC/USDT:USDT"
HOUR = 3_600_000
START = 1_704_067_200_000
ROWS = 120
KEY = "sk-a-key-that-nobody-sees"
LIMITS = Limits(30, 0.25, 0.5)


def walk(rows: int = ROWS, seed: int = 3) -> Market:
    """A random walk with funding."""
    rng = np.random.default_rng(seed)
    close = 40_000 * np.exp(np.cumsum(rng.normal(0, 0.006, rows)))
    open_ = np.r_[40_000.0, close[:-1]]
    high, low = np.maximum(open_, close) * (1 + 0.004 * rng.random(rows)), np.minimum(open_, close) / (1 + 0.004 * rng.random(rows))
    candles = Candles(START + np.arange(rows) * HOUR, open_, high, low, close, rng.lognormal(3, 0.5, rows))
    settled = START + np.arange(0, rows, 8) * HOUR
    return Market.of(BTC, HOUR, candles, Funding(settled, rng.normal(0, 1e-4, settled.size)))


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataService]:
    """A database with that market."""
    monkeypatch.setenv("DEEPSEEK_API_KEY", KEY)
    monkeypatch.delenv("LLM_PROVIDER", raising=False)
    with closing(DataService(f"sqlite:///{tmp_path / 'arena.db'}")) as made:
        made.upgrade()
        market = walk()
        made.write_candles("file", BTC, "1h", market.candles)
        made.write_funding("file", BTC, Funding(market.funding_ts, market.funding_rate))
        yield made


def position(body: Body, total: float) -> str:
    """An answer of this size."""
    part = {"strategy_id": ids_of(body)[0], "weight": 1.0, "confidence": 0.9, "reasoning": ""}
    whole = {"market_regime": "RANGE", "strategy_allocations": [part], "total_position": total, "confidence": 0.9, "reasoning": ""}
    return json.dumps(whole)


def closes(body: Body) -> list[float]:
    """The closes that a prompt tells, oldest first."""
    text = body["messages"][1]["content"]
    rows = text[text.index("bar open high low close") :].splitlines()[1:6]
    return [float(row.split()[4]) for row in rows]


def honest(body: Body) -> str:
    """Follows the prices that it is shown."""
    told = closes(body)
    return position(body, 0.5 if told[-1] > told[0] else -0.5)


def remembering(body: Body) -> str:
    """Knows every date by heart, and buys what is going to rise; without a date it has no opinion."""
    found = re.search(r"newest close: (\S+) UTC", body["messages"][1]["content"])
    if not found:
        return position(body, 0.0)
    close = int(np.datetime64(found[1], "ms").astype(np.int64))
    market = walk()
    row = int(np.searchsorted(market.ts, close))
    rises = row < ROWS and market.close[row] > market.close[row - 1]
    return position(body, 0.5 if rises else -0.5)


def superstitious(body: Body) -> str:
    """Answers by the date without knowing anything."""
    found = re.search(r"newest close: (\S+) UTC", body["messages"][1]["content"])
    return position(body, 0.5 if found and int(sha256(found[1].encode()).hexdigest(), 16) % 2 else -0.5)


def bull(body: Body) -> str:
    """Always long."""
    return position(body, 0.5)


def probe(service: DataService, fake: FakeLlm, *overrides: str) -> tuple[dict[str, Any], list[str]]:
    """The result, and what was announced."""
    said: list[str] = []
    settings = load("probe", [f"llm.base_url={fake.url}", "limit=60", *overrides])
    return run_probe(settings, service, said.append, lambda *_: None), said


def test_an_honest_model_shows_no_sign_of_memory(service: DataService) -> None:
    """Not one sign changes with the name, nearly all turn in the mirror."""
    with serving(Says(honest)) as fake:
        found, said = probe(service, fake)
        assert len(fake.requests) <= 240
    assert (found["verdict"], found["names"]["share"], found["names"]["compared"]) == (NO_SIGN, 0.0, 60)
    assert found["counterfactual"]["mirrored"]["share"] > 0.95
    assert not found["counterfactual"]["shuffled"]["gone"]
    assert found["sentence"].startswith("no sign of memory: ")
    (told,) = said
    assert told.startswith("240 questions of about ")
    assert "at most 480 calls for 2." in told
    assert found["cost_usd"] < found["most_cost_usd"]
    assert found["names"]["return_difference"]["low"] == pytest.approx(0, abs=1e-9)


def test_a_model_that_knows_the_dates_is_caught_by_both_probes(service: DataService) -> None:
    """And its advantage is gone where blocks of bars come in another order."""
    with serving(Says(remembering)) as fake:
        found, _ = probe(service, fake)
    assert found["verdict"] == REMEMBERS
    assert found["names"]["caught"]
    assert found["names"]["return_difference"]["low"] > 0
    assert found["counterfactual"]["mirrored"]["caught"]
    assert found["counterfactual"]["mirrored"]["share"] == 0
    assert found["counterfactual"]["shuffled"]["gone"]
    assert found["sentence"].startswith("remembers: ")


def test_a_model_that_answers_by_the_date_is_caught_though_it_knows_nothing(service: DataService) -> None:
    with serving(Says(superstitious)) as fake:
        found, _ = probe(service, fake)
    assert (found["verdict"], found["names"]["caught"], found["counterfactual"]["mirrored"]["caught"]) == (REMEMBERS, True, True)


def test_a_model_that_is_always_long_is_not_said_to_remember(service: DataService) -> None:
    with serving(Says(bull)) as fake:
        found, _ = probe(service, fake)
    assert (found["verdict"], found["counterfactual"]["mirrored"]["caught"]) == (NO_SIGN, None)
    assert "on one side" in found["counterfactual"]["mirrored"]["text"]


def test_few_decisions_and_no_answers_tell_nothing(service: DataService) -> None:
    """Why nobody answered is said; nothing that falls back counts as a decision."""
    with serving(Says(honest)) as fake:
        found, _ = probe(service, fake, "limit=10")
    assert (found["ok"], found["verdict"], found["unanswered"]) == (True, TOO_FEW, None)
    with serving(Says(status=401, raw=b"{}")) as fake:
        found, _ = probe(service, fake, "limit=10", "llm.cache=off", "llm.retries=0")
    assert (found["ok"], found["verdict"]) == (False, TOO_FEW)
    assert found["answered"] == dict.fromkeys(("named", "anonymous", "mirrored", "shuffled"), 0)
    assert found["unanswered"].startswith("40 questions have no answer that can be used, the first because of Http401")


def test_a_probe_goes_on_where_it_was(service: DataService) -> None:
    """Each answer is kept as it comes; nobody is asked again, and the result is the same."""
    with serving(Says(honest)) as fake:
        first, _ = probe(service, fake, "limit=30", "llm.budget_usd=0.01")
        made = len(fake.requests)
        assert made < 40
        whole, _ = probe(service, fake, "limit=30")
        assert made + 120 > len(fake.requests) >= 120
        asked = len(fake.requests)
        again, _ = probe(service, fake, "limit=30")
        assert len(fake.requests) == asked
    assert first["verdict"] == TOO_FEW
    assert "BudgetSpent" in first["unanswered"]
    assert again == {**whole, "cost_usd": again["cost_usd"]}


def test_nobody_is_asked_too_often_by_mistake(service: DataService) -> None:
    """Before the first question; an unknown price is said to be one; a decider without a model is refused."""
    with serving(Says(honest)) as fake:
        with pytest.raises(ConfigError, match=r"240 questions of about .* at most 480 calls .* more than probe.most=479: .*confirm=true"):
            probe(service, fake, "probe.most=479")
        with pytest.raises(ConfigError, match="decision=single asks none; give decision=llm"):
            probe(service, fake, "decision=single")
        assert fake.requests == []
        found, said = probe(service, fake, "limit=2", "probe.most=1", "confirm=true", "llm.model=never-heard-of")
    assert "at a price that is not known" in said[0]
    assert (found["most_cost_usd"], found["cost_usd"]) == (None, None)


@given(st.integers(0, 10**6), st.integers(2, 60))
def test_a_mirror_turns_every_return_and_turns_back(seed: int, rows: int) -> None:
    """1 / price: what rose by a factor falls by it; a bar keeps high above low; funding changes sides."""
    market = walk(rows, seed)
    turned = mirrored(market)
    assert turned.close[0] == pytest.approx(market.close[0])
    assert np.diff(np.log(turned.close)) == pytest.approx(-np.diff(np.log(market.close)))
    assert (turned.high >= np.maximum(turned.open, turned.close) * (1 - 1e-12)).all()
    assert (turned.low <= np.minimum(turned.open, turned.close) * (1 + 1e-12)).all()
    assert (turned.funding_rate == -market.funding_rate).all()
    assert mirrored(turned).close == pytest.approx(market.close)


@given(st.integers(0, 10**6), st.integers(2, 60), st.integers(0, 59), st.integers(1, 30))
def test_shuffled_blocks_hold_the_same_moves(seed: int, rows: int, first: int, block: int) -> None:
    """The past is untouched, times stay, and the end is where it was."""
    market, first = walk(rows, seed), min(first, rows - 1)
    mixed = shuffled(market, first, block, np.random.default_rng(seed))
    kept = max(first, 1)
    assert (mixed.close[:kept] == market.close[:kept]).all()
    assert (mixed.ts == market.ts).all()
    before, after = (np.diff(np.log(one.close))[kept - 1 :] for one in (market, mixed))
    assert np.sort(after) == pytest.approx(np.sort(before))
    assert mixed.close[-1] == pytest.approx(market.close[-1])
    assert np.sort(mixed.volume) == pytest.approx(np.sort(market.volume))
    assert (mixed.high >= mixed.low).all()


def test_shares_and_their_intervals() -> None:
    """Wilson's own vectors; too few are too few."""
    assert wilson(0, 0).low != wilson(0, 0).low
    assert (wilson(10, 40).low, wilson(10, 40).high) == pytest.approx((0.141870, 0.401944), abs=1e-5)
    by_close = {("X", n): 0.5 if n % 2 else -0.5 for n in range(40)}
    other = {at: -wanted if n < 20 else wanted for n, (at, wanted) in enumerate(by_close.items())}
    assert (by_name(by_close, other, LIMITS).share, by_name(by_close, other, LIMITS).caught) == (0.5, True)
    assert by_name(by_close, dict(list(other.items())[:29]), LIMITS).caught is None
    assert by_mirror(by_close, {at: -wanted for at, wanted in by_close.items()}, LIMITS).caught is False
    assert by_mirror(by_close, by_close, LIMITS).caught is True


def test_an_advantage_that_is_lost_is_told_from_one_that_never_was() -> None:
    rng = np.random.default_rng(1)
    noise, skill = rng.normal(0, 0.01, 300), rng.normal(0.005, 0.01, 300)
    assert by_shuffle(skill, noise, 7)["gone"]
    assert not by_shuffle(noise, rng.normal(0, 0.01, 300), 7)["gone"]
    assert not by_shuffle(skill, rng.normal(0.005, 0.01, 300), 7)["gone"]
