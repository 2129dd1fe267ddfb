"""From a question to an answer or to the next best thing; who is asked, how often, for how long and for how much."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

import pytest
from llm_world import ENABLED, OPENAI, QUESTION, Passing, caller, good, replied, scripted, weights

from alpha_arena.core.advice import ANOTHER, ASKED_AGAIN, FIRST, HOLD, STRATEGY
from alpha_arena.llm.chain import Chain
from alpha_arena.llm.guards import Breaker, Purse
from alpha_arena.llm.kept import KeptHere, asked_of, question_key
from alpha_arena.llm.provider import Card
from alpha_arena.llm.reply import CallFailed, Usage

WRONG = weights(("ema_trend", 0.3))
BUSY = CallFailed("Http429", "slow down", 429, passing=True)
REFUSED = CallFailed("Http401", "no", 401)
OTHER = replace(OPENAI, name="other")


def test_a_good_answer_is_taken_at_once() -> None:
    passing = Passing()
    wire = scripted(passing, good())
    verdict = Chain([caller(wire, passing)]).ask(QUESTION, ENABLED, passing.now + 60)
    assert (verdict.level, verdict.checked.ok, len(wire.asked), verdict.why) == (FIRST, True, 1, "")
    assert verdict.tokens == 1100
    assert verdict.cost_usd == pytest.approx((1000 * 0.4 + 100 * 1.6) / 1e6)


def test_a_wrong_answer_is_asked_again_once_with_its_errors() -> None:
    passing = Passing()
    wire = scripted(passing, WRONG, good())
    verdict = Chain([caller(wire, passing)]).ask(QUESTION, ENABLED, passing.now + 60)
    assert verdict.level == ASKED_AGAIN
    *first, said, errors = wire.asked[1]
    assert tuple(first) == QUESTION
    assert said == {"role": "assistant", "content": WRONG}
    assert "sum to 0.3" in errors["content"]
    assert "openai answered wrongly (strategy_allocations: the weights sum to 0.3" in verdict.why
    assert verdict.cost_usd == pytest.approx(2 * (1000 * 0.4 + 100 * 1.6) / 1e6)


def test_then_another_provider_is_asked_once() -> None:
    """A failed call is not asked again with errors: there are none."""
    passing = Passing()
    first, second = scripted(passing, REFUSED), scripted(passing, good())
    verdict = Chain([caller(first, passing), caller(second, passing, OTHER)]).ask(QUESTION, ENABLED, passing.now + 60)
    assert (verdict.level, verdict.last.caller.provider.name) == (ANOTHER, "other")
    assert (len(first.asked), len(second.asked)) == (1, 1)
    assert verdict.why == "openai Http401"


def test_then_a_strategy_that_was_named_then_the_configured_one_then_hold() -> None:
    passing = Passing()
    named = weights(("ema_trend", 0.3), selected_strategy_id="breakout")
    for said, configured, level, chosen in (
        (named, "", STRATEGY, "breakout"),
        (named, "ema_trend", STRATEGY, "breakout"),
        (WRONG, "ema_trend", STRATEGY, "ema_trend"),
        (WRONG, "", HOLD, ""),
    ):
        verdict = Chain([caller(scripted(passing, said), passing)], (), configured).ask(QUESTION, ENABLED, passing.now + 60)
        assert (verdict.level, verdict.selected, verdict.checked.ok, len(verdict.asked)) == (level, chosen, False, 2)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, None])
def test_what_may_pass_is_tried_again_twice(status: int | None) -> None:
    passing = Passing()
    wire = scripted(passing, CallFailed("x", "", status, passing=True))
    outcome = caller(wire, passing).ask(QUESTION, passing.now + 60)
    assert len(wire.asked) == len(outcome.attempts) == 3
    assert [one.http_status for one in outcome.attempts] == [status] * 3
    assert len(passing.slept) == 2
    assert 0 <= passing.slept[0] <= 0.5
    assert 0 <= passing.slept[1] <= 1.0


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_will_not_pass_is_not(status: int) -> None:
    passing = Passing()
    wire = scripted(passing, CallFailed(f"Http{status}", "", status))
    assert caller(wire, passing).ask(QUESTION, passing.now + 60).why == f"Http{status}"
    assert (len(wire.asked), passing.slept) == (1, [])


def test_retry_after_is_honoured_where_there_is_time() -> None:
    passing = Passing()
    later = CallFailed("Http429", "", 429, passing=True, after_s=7.0)
    assert caller(scripted(passing, later, replied(good())), passing).ask(QUESTION, passing.now + 60).reply
    assert passing.slept == [7.0]
    longer = scripted(passing, CallFailed("Http429", "", 429, passing=True, after_s=120.0))
    assert caller(longer, passing).ask(QUESTION, passing.now + 60).why == "Http429"
    assert (len(longer.asked), passing.slept) == (1, [7.0])


def test_one_deadline_holds_for_all_of_it() -> None:
    """Both providers hang: each call gets what is left, the first at most half, and nobody is asked after the end."""
    passing = Passing()
    late = CallFailed("Timeout", passing=True)
    first, second = scripted(passing, late, took_s=1e9), scripted(passing, late, took_s=1e9)
    began = passing.now
    verdict = Chain([caller(first, passing), caller(second, passing, OTHER)]).ask(QUESTION, ENABLED, began + 40)
    assert verdict.level == HOLD
    assert passing.now - began <= 40
    assert first.timeouts[0] == 20
    assert sum(first.timeouts + second.timeouts) <= 40


def test_a_breaker_opens_after_five_failures_and_closes_after_ten_minutes() -> None:
    passing = Passing()
    breaker = Breaker(5, 600)
    wire = scripted(passing, REFUSED)
    made = caller(wire, passing, breaker=breaker)
    for _ in range(5):
        assert made.ask(QUESTION, passing.now + 60).why == "Http401"
    assert made.ask(QUESTION, passing.now + 60).why == "BreakerOpen"
    assert len(wire.asked) == 5
    passing.now += 600
    wire.said = [replied(good())]
    assert made.ask(QUESTION, passing.now + 60).reply
    assert breaker.in_a_row == 0


def test_a_spent_budget_asks_nobody() -> None:
    """L7: what was spent earlier counts; the last call may go over."""
    passing = Passing()
    purse = Purse(0.001, lambda: 0.0004)
    wire = scripted(passing, good())
    made = caller(wire, passing, replace(OPENAI, budget_usd=0.001, cache="off"), purse=purse)
    assert [made.ask(QUESTION, passing.now + 60).why for _ in range(3)] == ["", "", "BudgetSpent"]
    assert len(wire.asked) == 2
    verdict = Chain([made], (), "ema_trend").ask(QUESTION, ENABLED, passing.now + 60)
    assert (verdict.level, verdict.selected) == (STRATEGY, "ema_trend")
    assert "BudgetSpent" in verdict.why


def test_no_key_is_said() -> None:
    verdict = Chain([caller(None, Passing())]).ask(QUESTION, ENABLED, 2000.0)
    assert (verdict.level, verdict.why) == (HOLD, "openai NoKey")
    assert "OPENAI_API_KEY" in verdict.last.outcome.attempts[0].said
    assert (verdict.cost_usd, verdict.tokens) == (0.0, None)


def test_an_unknown_price_is_unknown_and_never_nothing() -> None:
    passing = Passing()
    made = caller(scripted(passing, good()), passing, replace(OPENAI, model="new-model"))
    outcome = made.ask(QUESTION, passing.now + 60)
    assert isnan(outcome.cost_usd)
    assert outcome.kept()["cost_usd"] is None
    assert isnan(Usage(None, None, 5).cost_usd(Card(1.0, 1.0, 1.0)))
    assert Usage(1000, 600, 100).cost_usd(Card(1.0, 0.1, 2.0)) == pytest.approx((400 + 60 + 200) / 1e6)
    assert Usage(1000, 0, 100).cost_usd(Card(0.0, 0.0, 0.0)) == 0.0


@pytest.mark.parametrize(("mode", "calls", "second"), [("off", 2, good(0.2)), ("record", 2, good(0.2)), ("replay", 1, good(0.1))])
def test_cache_modes(mode: str, calls: int, second: str) -> None:
    """off and record ask every time; replay asks only for what is not kept; replay_strict asks nobody."""
    passing, kept = Passing(), KeptHere()
    wire = scripted(passing, good(0.1), good(0.2))
    made = caller(wire, passing, replace(OPENAI, cache=mode), kept)
    first, again = (made.ask(QUESTION, passing.now + 60) for _ in range(2))
    assert (first.hit, len(wire.asked)) == (False, calls)
    assert again.reply
    assert (again.reply.text, again.hit) == (second, mode == "replay")
    strict = caller(None, passing, replace(OPENAI, cache="replay_strict"), kept).ask(QUESTION, passing.now + 60)
    assert (strict.reply and strict.reply.text, strict.why) == ((None, "CacheMiss") if mode == "off" else (second, ""))


def test_a_failure_is_replayed_by_the_strict_alone() -> None:
    """A recorded run is made again as it was; who asks for what is missing asks again for what failed."""
    passing, kept = Passing(), KeptHere()
    recorded = caller(scripted(passing, REFUSED), passing, replace(OPENAI, cache="record"), kept).ask(QUESTION, passing.now + 60)
    strict = caller(None, passing, replace(OPENAI, cache="replay_strict"), kept).ask(QUESTION, passing.now + 60)
    assert strict == recorded
    assert strict.hit
    wire = scripted(passing, good())
    assert caller(wire, passing, replace(OPENAI, cache="replay"), kept).ask(QUESTION, passing.now + 60).reply
    assert len(wire.asked) == 1


@pytest.mark.parametrize("failure", [REFUSED, None], ids=["a wrong key", "no key"])
def test_a_failure_takes_no_answer_away(failure: CallFailed | None) -> None:
    """Recording again without a key, budget or provider must not cost what was paid for; a later answer does take its place."""
    passing, kept = Passing(), KeptHere()
    record = replace(OPENAI, cache="record")
    caller(scripted(passing, good(0.1)), passing, record, kept).ask(QUESTION, passing.now + 60)
    failed = caller(scripted(passing, failure) if failure else None, passing, record, kept).ask(QUESTION, passing.now + 60)
    assert failed.reply is None
    strict = caller(None, passing, replace(OPENAI, cache="replay_strict"), kept)
    for said in (good(0.1), good(0.2)):
        replayed = strict.ask(QUESTION, passing.now + 60).reply
        assert replayed
        assert replayed.text == said
        caller(scripted(passing, good(0.2)), passing, record, kept).ask(QUESTION, passing.now + 60)


def test_a_miss_says_that_answers_of_another_template_are_kept() -> None:
    passing, kept = Passing(), KeptHere()
    caller(scripted(passing, good()), passing, kept=kept).ask(QUESTION, passing.now + 60)
    strict = replace(caller(None, passing, replace(OPENAI, cache="replay_strict"), kept), template_sha256="u" * 64)
    missed = strict.ask((QUESTION[0], {"role": "user", "content": "other"}), passing.now + 60)
    assert missed.why == "CacheMiss"
    assert "1 answers are kept to questions of other templates" in missed.attempts[0].said


def test_a_key_is_that_of_all_that_shapes_an_answer() -> None:
    """One character more is another question; where the provider lies is not part of it."""
    params = OPENAI.params({})
    key = question_key(asked_of(OPENAI, params), QUESTION)
    more = (QUESTION[0], {"role": "user", "content": "data."})
    assert question_key(asked_of(replace(OPENAI, base_url="http://127.0.0.1:1/v1"), params), QUESTION) == key
    others = [
        question_key(asked_of(OPENAI, params), more),
        question_key(asked_of(OTHER, params), QUESTION),
        question_key(asked_of(replace(OPENAI, model="x"), params), QUESTION),
        question_key(asked_of(replace(OPENAI, sample=1), params), QUESTION),
        question_key(asked_of(OPENAI, {**params, "temperature": 0.3}), QUESTION),
        question_key(asked_of(OPENAI, {**params, "response_format": None}), QUESTION),
    ]
    assert len({key, *others}) == 7
