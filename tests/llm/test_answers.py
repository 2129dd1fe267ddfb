"""What is accepted of a model's words, what is put right, and what is no decision (specs: quant L4, faults D1)."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from llm_world import ENABLED, good, replied, weights

from alpha_arena.llm.answer import Checked, check, schema
from alpha_arena.llm.reply import clean

KNOWN = (*ENABLED, "momentum")


def checked(text: str, **changes: Any) -> Checked:
    """An answer read."""
    return check(replied(text, **changes), ENABLED, KNOWN)


def percent(text: str) -> str:
    return text.replace("0.6", '"60%"').replace("0.4", '"40%"')


ACCEPTED = {
    "plain": (good(), ""),
    "fenced": (f"```json\n{good()}\n```", "fence"),
    "fenced without a language": (f"```\n{good()}```", "fence"),
    "thinking before it": (f'<think>maybe {{"total_position": 1}}</think>\n{good()}', "thinking"),
    "thinking without a beginning": (f"hm, {{}}\n</think>{good()}", "thinking"),
    "leading prose": (f"Here is my decision:\n{good()}", "around the object"),
    "trailing prose": (f"{good()}\nGood luck!", "around the object"),
    "trailing commas": (good().replace("}]", "},]").replace('"why not"}', '"why, ]not",}'), "trailing commas"),
    "sum 0.95": (weights(("ema_trend", 0.6), ("breakout", 0.35)), "scaled"),
    "sum 1.05": (weights(("ema_trend", 0.6), ("breakout", 0.45)), "scaled"),
    "one weight of 1.05": (weights(("ema_trend", 1.05)), "scaled"),
    "regime outside enum": (good(market_regime="MOON"), "UNKNOWN"),
    "regime of another type": (good(market_regime=["RANGE"]), "UNKNOWN"),
    "extra keys": (good(orders=[{"buy": 100}]), "left out: orders"),
}
REJECTED = {
    "empty": ("", "empty"),
    "blank": (" \n\t ", "empty"),
    "only thinking": ("<think>buy</think>", "empty"),
    "thinking without an end": (f"<think>buy {good()}", "thinks"),
    "prose": ("I would buy everything", "one JSON object"),
    "half a JSON": (good()[:80], "one JSON object"),
    "NaN": (good().replace("0.5", "NaN"), "one JSON object"),
    "Infinity": (good().replace("0.5", "Infinity"), "one JSON object"),
    "a number that overflows": (good().replace("0.5", "1e999"), "total_position"),
    "a number of 5,000 digits": (good().replace("0.5", "9" * 5000), "one JSON object"),
    "a number of 400 digits": (good().replace("0.5", "9" * 400), "total_position"),
    "nested beyond all bounds": ("[" * 100_000, "one JSON object"),
    "a list": (f"[{good()}]", "one JSON object"),
    "two objects": (good() + good(), "one JSON object"),
    "a key twice": (good()[:-1] + ', "total_position": 1}', "one JSON object"),
    "percent strings": (percent(good()), "weight"),
    "unknown id": (weights(("ema_trend", 0.5), ("moon", 0.5)), "'moon' is unknown"),
    "disabled id": (weights(("ema_trend", 0.5), ("momentum", 0.5)), "'momentum' is not enabled"),
    "duplicate id": (weights(("ema_trend", 0.5), ("ema_trend", 0.5)), "given 2 times"),
    "negative weight": (weights(("ema_trend", 1.2), ("breakout", -0.2)), "weight"),
    "sum 0.949": (weights(("ema_trend", 0.6), ("breakout", 0.349)), "sum to 0.949"),
    "sum 1.051": (weights(("ema_trend", 0.6), ("breakout", 0.451)), "sum to 1.051"),
    "total_position 1.0001": (good(1.0001), "total_position"),
    "total_position -1.0001": (good(-1.0001), "total_position"),
    "total_position true": (good().replace("0.5", "true"), "total_position"),
    "total_position missing": (json.dumps({k: v for k, v in json.loads(good()).items() if k != "total_position"}), "total_position"),
    "confidence 70": (good(confidence=70), "confidence"),
    "confidence NaN": (good().replace("0.8", "NaN"), "one JSON object"),
    "empty allocations": (good(strategy_allocations=[]), "strategy_allocations"),
    "allocations of another shape": (good(strategy_allocations={"ema_trend": 1}), "strategy_allocations"),
    "the old form with an unknown id": ('{"selected_strategy_id": "moon", "confidence": 0.7}', "unknown"),
    "the old form without confidence": ('{"selected_strategy_id": "HOLD"}', "confidence"),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_accepted(name: str) -> None:
    """And what was put right is said."""
    text, repair = ACCEPTED[name]
    found = checked(text)
    assert found.ok
    assert found.allocation
    assert found.allocation.total_position == 0.5
    assert sum(one.weight for one in found.allocation.strategy_allocations) == pytest.approx(1, abs=1e-12)
    assert repair in " ".join(found.repairs)
    assert bool(repair) == bool(found.repairs)


@pytest.mark.parametrize("name", REJECTED)
def test_what_is_no_decision(name: str) -> None:
    """With the reason, which the model is told when it is asked again."""
    text, reason = REJECTED[name]
    found = checked(text)
    assert not found.ok
    assert (found.allocation, found.selection) == (None, None)
    assert reason in " ".join(found.errors)
    assert max(map(len, found.errors)) < 300


def test_an_answer_that_was_cut_off_is_none_even_where_it_can_be_read() -> None:
    """What is missing may be what matters."""
    found = checked(good(), finish="length")
    assert not found.ok
    assert "cut off" in found.errors[0]


ENDLESS = {
    "a fence and lines": "```json\n" + "\n" * 90_000,
    "a fence and blanks": "```" + " " * 90_000 + "\n{}",
    "a fence, an object and lines": "```json\n{" + "\n" * 90_000,
    "thoughts without an end": "<think>" * 14_000 + "</x",
    "quotes behind backslashes": '"' + '\\"' * 45_000,
    "lines behind backslashes": '"' + "\\\n" * 45_000,
    "commas": ", " * 45_000,
    "braces": "{" * 90_000,
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_long_answer_is_read_in_a_moment(name: str) -> None:
    """A model that repeats itself up to the largest length must not hold up the close: patterns that try again would take hours."""
    began = time.process_time()
    assert not checked(ENDLESS[name], finish="length").ok
    assert time.process_time() - began < 2


@pytest.mark.parametrize("named", ["HOLD", "breakout"])
def test_the_old_form_is_read(named: str) -> None:
    """One strategy, or HOLD."""
    found = checked(json.dumps({"selected_strategy_id": named, "confidence": 0.7, "reasoning": "x"}))
    assert found.selection
    assert (found.ok, found.selection.selected_strategy_id, found.selection.confidence) == (True, named, 0.7)


def test_a_wrong_answer_may_still_name_a_strategy() -> None:
    """What the chain falls back on, if it is enabled."""
    assert checked(weights(("ema_trend", 0.3), selected_strategy_id="breakout")).selected == "breakout"
    assert checked(weights(("ema_trend", 0.3), selected_strategy_id="momentum")).selected == ""
    assert checked(weights(("ema_trend", 0.3), selected_strategy_id=["breakout"])).selected == ""


def test_words_are_kept_as_every_database_takes_them() -> None:
    """Halves of surrogate pairs, NUL, right-to-left tricks, a terminal's other control characters, length."""
    found = checked(good(reasoning="a\ud800b\x00c" + "d" * 1000))
    assert found.allocation
    assert found.allocation.reasoning.startswith("a?bc")
    assert len(found.allocation.reasoning) == 500
    found.allocation.reasoning.encode()
    assert clean("x\x1b[31mred\x7f") == "x[31mred"
    assert clean("\x9b31mred\u202eold\u2066 \u200fé\t\n漢") == "31mredold é\t\n漢"


def test_the_schema_that_is_sent_asks_for_what_is_checked() -> None:
    """Strict servers take objects without further keys only."""
    sent = schema()
    answer = json.loads(good())
    assert set(sent["properties"]) == set(answer) == set(sent["required"])
    assert sent["additionalProperties"] is False
    assert sent["properties"]["strategy_allocations"]["items"]["additionalProperties"] is False
