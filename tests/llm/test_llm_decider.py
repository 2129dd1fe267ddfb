"""What becomes of a model's words: targets, levels, shares, holding; and what it is told (faults D2, D3; specs: quant L8, L9)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from math import isfinite, isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llm_world import ENABLED, HOUR, OPENAI, ROWS, Passing, advised, bars, caller, decider, good, scripted, view, weights, wish

from alpha_arena.core.advice import HOLD
from alpha_arena.core.errors import ConfigError, DataError
from alpha_arena.core.market import View
from alpha_arena.core.outcomes import Outcome
from alpha_arena.core.types import Candles, Floats, Target
from alpha_arena.decision.brief import Units, bar_table, brief
from alpha_arena.decision.llm import Llm
from alpha_arena.engine import Tick, Trader, limit, plan_symbol
from alpha_arena.llm.chain import Chain
from alpha_arena.llm.prompt import SPLIT, parsed, template
from alpha_arena.llm.reply import CallFailed
from alpha_arena.settings import load
from alpha_arena.wiring.desk import trader_of


def target(made: Llm, seen: View | None = None) -> Target:
    """Of one symbol."""
    return made.decide(seen or view())["X"]


def test_the_target_is_total_position_times_leverage_split_by_the_weights() -> None:
    """Levels are those of the strategies on its side; confidence is the model's own."""
    made = target(advised(weights(("ema_trend", 0.57), ("breakout", 0.38), total_position=0.5), global_leverage=2.0))
    assert (made.exposure, made.confidence) == (1.0, 0.8)
    assert [(share.strategy_id, share.weight) for share in made.shares] == [
        ("ema_trend", pytest.approx(0.6)),
        ("breakout", pytest.approx(0.4)),
    ]
    assert [share.exposure for share in made.shares] == [pytest.approx(0.6), pytest.approx(0.4)]
    assert (made.stop, made.take) == (90, 120)
    assert made.advice
    assert made.advice.fallback_level == 0


def test_a_short_takes_the_levels_of_those_that_are_short() -> None:
    made = target(advised(good(-0.5)))
    assert (made.exposure, made.stop, made.take) == (-0.5, 110, 80)


def test_without_a_level_on_its_side_it_has_none() -> None:
    made = target(advised(good(0.5)), view({"ema_trend": wish(0.0, 90, 120), "breakout": wish(-0.3, 110, 80)}))
    assert isnan(made.stop)
    assert isnan(made.take)


def test_allocation_weights_the_strategies_own_exposures() -> None:
    made = target(advised(good(-1.0), mode="allocation"))
    assert made.exposure == pytest.approx(0.6 * 0.6 - 0.4 * 0.3)
    assert made.confidence == 0.8
    assert [share.exposure for share in made.shares] == [0.6, -0.3]


@pytest.mark.parametrize("held", [0.0, 40.0, -40.0])
def test_hold_keeps_the_position(held: float) -> None:
    """With its levels; a new trader is flat. The model's own HOLD is an answer, not a fallback."""
    seen = view(held=held)
    for said, fallback in (('{"selected_strategy_id": "HOLD", "confidence": 0.4}', 0), ("rubbish", HOLD)):
        made = target(advised(said), seen)
        assert made.exposure == seen.exposure("X")
        assert isnan(made.stop)
        assert made.shares == ()
        assert made.why.startswith("hold")
        assert made.advice
        assert made.advice.fallback_level == fallback


def test_a_chosen_strategy_is_followed_within_the_leverage() -> None:
    said = '{"selected_strategy_id": "ema_trend", "confidence": 0.7, "reasoning": "a trend"}'
    made = target(advised(said, global_leverage=0.5))
    assert (made.exposure, made.stop, made.take, made.confidence) == (0.5, 90, 120, 0.7)
    assert [(share.strategy_id, share.weight) for share in made.shares] == [("ema_trend", 1.0)]


def test_a_fallback_is_told_in_the_decision() -> None:
    """Level and reason, never silent."""
    passing = Passing()
    chain = Chain([caller(scripted(passing, CallFailed("Http401", "no", 401)), passing)], (), "breakout")
    made = target(decider(chain, fallback_strategy="breakout"))
    assert (made.exposure, made.why) == (-0.3, "breakout alone. fallback 3: openai Http401")
    assert made.advice
    record = json.loads(made.advice.record)
    assert (record["fallback_level"], record["selected_strategy_id"], record["response_raw"]) == (3, "breakout", None)
    assert [(one["http_status"], one["error_class"]) for one in record["attempts"]] == [(401, "Http401")]


def test_what_must_be_computed_first_takes_nothing_of_the_models_time() -> None:
    """On a cold machine it may be longer than the deadline."""
    passing, seen = Passing(), view()

    class Slow(dict[str, Mapping[str, Floats]]):
        def __getitem__(self, key: str) -> Mapping[str, Floats]:
            passing.now += 1000
            return super().__getitem__(key)

    late = replace(seen, study=replace(seen.study, recent=Slow(seen.study.recent)))
    wire = scripted(passing, good())
    assert target(decider(Chain([caller(wire, passing, replace(OPENAI, cache="off"))])), late).exposure == 0.5


def test_nobody_is_asked_about_a_past_bar() -> None:
    passing = Passing()
    wire = scripted(passing, good())
    made = target(decider(Chain([caller(wire, passing)])), view(catch_up=True, held=10.0))
    assert (wire.asked, made.exposure > 0, made.why) == ([], True, "hold. a model is not asked about a past bar")
    assert made.advice
    assert (made.advice.fallback_level, made.advice.record) == (HOLD, "")


def test_the_record_has_what_was_asked_and_said() -> None:
    """Specs: quant L1."""
    made = target(advised(weights(("ema_trend", 0.3)), good()))
    assert made.advice
    record = json.loads(made.advice.record)
    fields = """decision_id run_id seq mode symbol timeframe bar_close_ts asof_ts wall_ts provider base_url_host model_requested
        model_returned system_fingerprint params prompt_template_id template_sha256 prompt_sha256 data_sha256 enabled_strategies
        response_raw response_sha256 reasoning_trace parsed validation fallback_level attempts usage cost_usd price_table_version cache
        ensemble_position rl_adjustment risk_clips final_position order_ids schema_version"""
    assert [name for name in fields.split() if name not in record] == []
    assert (record["fallback_level"], record["validation"]["ok"], record["ensemble_position"]) == (1, True, 0.5)
    first, second = record["attempts"]
    assert "sum to 0.3" in first["errors"][0]
    assert first["response_raw"] == weights(("ema_trend", 0.3))
    assert "response_raw" not in second
    assert record["asof_ts"] <= record["bar_close_ts"]
    assert record["template_sha256"] == template("allocation_v1").sha256
    assert record["decision_id"][14] == "7"
    assert made.advice.tokens == 2200


def words(seen: View) -> str:
    """What is told of a close."""
    told = brief(seen, "X", ENABLED, [10, 20], 1.0, 50, False)
    return "\n".join(message["content"] for message in template("allocation_v1").messages(told.rules, told.data))


def test_what_is_told_comes_from_closed_bars_alone() -> None:
    """Later rows change nothing of it, to the character."""
    whole, t = bars(), 40
    torn = {
        name: np.r_[getattr(whole, name)[: t + 1], getattr(whole, name)[t + 1 :] * 3] for name in ("open", "high", "low", "close", "volume")
    }
    assert words(view(t=t)) == words(view(t=t, candles=Candles(whole.ts, **torn)))
    assert words(view(t=t)) != words(view(t=t + 1))


def test_an_outcome_that_ends_after_the_close_is_not_told() -> None:
    """L9, whatever a memory gives; one that ended at the close is."""
    seen = view()
    ended = [Outcome("X", 0, HOUR, HOUR, "RANGE", 1.0, 1e3, (), 100.0, 5.0, closed_ts=seen.ts - n * HOUR) for n in range(5)]
    late = [replace(one, gross=-5.0, closed_ts=seen.ts + 1) for one in ended]
    told = words(replace(seen, past=lambda _, __: [*ended, *late]))
    assert told == words(replace(seen, past=lambda _, __: ended))
    assert "win_rate_fraction: 1" in told
    assert brief(replace(seen, past=lambda _, __: ended), "X", ENABLED, [10], 1.0, 50, False).asof_ts == seen.ts


def test_the_prompt_says_all_that_it_should() -> None:
    """Oldest first, six digits, five bars, strategies with signals and performance, account, too few outcomes."""
    text = words(view(held=20.0))
    lines = text.splitlines()
    start = lines.index("bar regime adx bb_width atr_percentile efficiency volume_trend")
    assert [line.split()[0] for line in lines[start + 1 : start + 6]] == ["-4", "-3", "-2", "-1", "0"]
    assert lines[start + 1] == "-4 RANGE 0.123457 0.123457 0.123457 0.123457 0.123457"
    assert "ema_trend 0.6 90 120 1 0.0156495 0.0317965 0" in text
    assert "insufficient (n=0" in text
    for word in ("exposure_now: 0.2", "equity_quote: 10000", "unrealised_return_fraction: 0", "new_risk_allowed: yes"):
        assert word in text
    assert SPLIT not in text


def test_bars_in_the_wrong_order_are_not_told() -> None:
    seen = view()
    market = seen.study.markets["X"]
    back = replace(market, ts=market.ts[::-1])
    with pytest.raises(DataError, match="do not ascend"):
        bar_table(back, ROWS - 1, Units())


def test_nothing_of_after_the_close_is_ever_told() -> None:
    made = advised(good())
    assert made.adviser
    told = brief(view(), "X", ENABLED, [10], 1.0, 50, False)
    with pytest.raises(DataError, match="nothing was asked"):
        made.adviser.ask(replace(told, asof_ts=told.close_ts + 1), 1e9)


def test_a_template_that_does_not_fit_is_refused() -> None:
    """Before anything is asked, by the field's name."""
    text = (template("allocation_v1").rules + SPLIT + template("allocation_v1").data).replace("$bars", "")
    for wrong, said in ((text, r"lacks \$bars"), (text + "$bars $moon", r"has \$moon"), ("no data", "=== DATA ===")):
        with pytest.raises(ConfigError, match=said):
            parsed("mine", wrong)
    with pytest.raises(ConfigError, match="allocation_v1"):
        load("decide", ["decision=llm", "llm.template=allocation_v0"])


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20) | st.sampled_from([*ENABLED, "HOLD", "30%", 1e308]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
NUMBER = st.floats(-2, 2) | st.sampled_from([0.0, 0.5, 1.0, -1.0, 1.0001, 70, 1e308]) | JSON
PART = st.fixed_dictionaries(
    {"strategy_id": st.sampled_from([*ENABLED, "momentum", "moon"]) | JSON, "weight": NUMBER},
    optional={"confidence": NUMBER, "reasoning": JSON},
)
NEAR = st.fixed_dictionaries(
    {"strategy_allocations": st.lists(PART, max_size=3) | JSON, "total_position": NUMBER, "confidence": NUMBER},
    optional={"market_regime": JSON, "reasoning": JSON, "selected_strategy_id": st.sampled_from([*ENABLED, "HOLD", "moon"]) | JSON},
)


def allocated(weight: float, position: float, confidence: float, regime: object) -> dict[str, object]:
    """An answer that is accepted: by chance hardly any is, and what is refused sends nothing."""
    parts = [{"strategy_id": "ema_trend", "weight": weight}, {"strategy_id": "breakout", "weight": 1 - weight}]
    return {"market_regime": regime, "strategy_allocations": parts, "total_position": position, "confidence": confidence}


FRACTION = st.floats(0, 1)
ACCEPTED = st.builds(allocated, FRACTION, st.floats(-1, 1) | st.sampled_from([-1.0, 1.0]), FRACTION | st.just(1.0), JSON)
ANSWERS = st.one_of(ACCEPTED, ACCEPTED, NEAR, JSON)
TRADER = trader_of(load("decide", ["decision=llm"]))
LIMITS = TRADER.rules
BTC = next(iter(TRADER.instruments.values()))


@settings(max_examples=300)
@given(ANSWERS, st.sampled_from([0.5, 1.0, 3.0]), st.sampled_from(["position", "allocation"]), st.floats(-80, 80))
def test_no_answer_leads_beyond_the_limits(said: object, g: float, mode: str, held: float) -> None:
    """D2, I7: whatever the model says."""
    within_limits(said, g, mode, held)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(ANSWERS, st.sampled_from([0.5, 1.0, 3.0]), st.sampled_from(["position", "allocation"]), st.floats(-80, 80))
def test_ten_thousand_answers_stay_within_the_limits(said: object, g: float, mode: str, held: float) -> None:
    """As above, more of it."""
    within_limits(said, g, mode, held)


def within_limits(said: object, g: float, mode: str, held: float) -> None:
    """A target is a number within the leverage, or the held position; the risk rules shrink it to their limits."""
    seen = view(held=held, candles=FLAT)
    made = target(advised(json.dumps(said), mode=mode, global_leverage=g), seen)
    assert abs(made.exposure) <= g + 1e-9 or made.exposure == seen.exposure("X")
    assert 0 <= made.confidence <= 1
    assert made.why
    assert made.advice
    json.loads(made.advice.record)
    limited = made
    for rule in LIMITS:
        limited = rule.limit(limited, "X", seen)
    assert abs(limited.exposure) <= 3 + 1e-9
    assert abs(limited.exposure) * seen.sizing_equity <= 20_000 + 1e-6
    assert abs(limited.exposure) <= abs(made.exposure)
    ordered(made, replace(TRADER, decider=advised("{}"), instruments={"X": replace(BTC, symbol="X")}), seen)


def ordered(made: Target, trader: Trader, seen: View) -> None:
    """What is sent of a target takes the position no further from flat than it is, or not beyond the limits."""
    targets, _ = limit({"X": made}, seen, trader)
    held, price = seen.account.position("X").quantity, seen.prices["X"]
    sent = plan_symbol("X", targets["X"], seen, Tick(0, seen.ts, seen.ts, seen.t), trader).orders
    after = held + sum(order.quantity for order in sent)
    assert all(isfinite(order.quantity) for order in sent)
    if sent and (abs(after) > abs(held) or after * held < 0):
        assert abs(after) * price <= min(20_000.0, 3 * seen.sizing_equity) + 1e-6


FLAT = Candles(np.arange(ROWS) * HOUR, *(np.full(ROWS, 100.0) for _ in range(5)))
