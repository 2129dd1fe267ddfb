"""What makes a question and a trader the same, which provider is chosen, and templates that say the same rules."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from alpha_arena.core.errors import ConfigError
from alpha_arena.llm.prompt import names, template
from alpha_arena.llm.provider import ANONYMOUS
from alpha_arena.settings import load


@pytest.fixture(autouse=True)
def nobody_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names no provider."""
    monkeypatch.delenv("LLM_PROVIDER", raising=False)


def test_a_template_that_names_no_market_gives_the_same_rules() -> None:
    """A probe compares the two: only what is told of the market may differ."""
    pairs = [(name, name.removesuffix(ANONYMOUS)) for name in names() if name.endswith(ANONYMOUS)]
    assert pairs
    for anonymous, named in pairs:
        assert template(anonymous).rules == template(named).rules


def test_a_key_of_a_question_is_the_same_in_every_process() -> None:
    """L2: whatever the seed of Python's hashes."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from llm_world import *; from alpha_arena.llm.kept import *; "
        "from alpha_arena.llm.answer import schema; t = brief(view(), 'X', ENABLED, [10], 1.0, 50, False); "
        "m = template('allocation_v1').messages(t.rules, t.data); print(question_key(asked_of(OPENAI, OPENAI.params(schema())), m))"
    ).replace("; t =", "; from alpha_arena.decision.brief import brief; t =")
    keys = set()
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", script, str(Path(__file__).parent)], env=environment, capture_output=True, text=True, check=True
        )
        keys.add(done.stdout.strip())
    assert len(keys) == 1
    assert len(keys.pop()) == 64


def test_the_provider_of_the_environment_is_chosen_and_named_where_it_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty counts as not given; a command line comes first."""
    for given, chosen in (("openai", "openai"), ("", "deepseek")):
        monkeypatch.setenv("LLM_PROVIDER", given)
        assert load("decide", ["decision=llm"]).decider.model.name == chosen  # type: ignore[attr-defined]
        assert load("decide", ["decision=llm", "llm=ollama"]).decider.model.name == "ollama"  # type: ignore[attr-defined]
    monkeypatch.setenv("LLM_PROVIDER", "depseek")
    with pytest.raises(ConfigError, match="LLM_PROVIDER in the environment, 'depseek', did you mean 'deepseek'"):
        load("backtest")


def test_where_a_model_lies_and_what_is_kept_of_it_is_no_part_of_a_trader(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a model is no part of a trader that asks none."""
    asked = load("trade", ["decision=llm"]).config_hash
    assert load("trade", ["decision=llm", "llm.cache=record", "llm.base_url=http://127.0.0.1:1/v1"]).config_hash == asked
    assert load("trade", ["decision=llm", "llm.temperature=0.3"]).config_hash != asked
    alone = load("trade", []).config_hash
    monkeypatch.setenv("LLM_PROVIDER", "openai")
    assert load("trade", []).config_hash == alone
    assert load("trade", ["decision=llm"]).config_hash != asked
