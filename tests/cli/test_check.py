"""`check` on stored candles: honest strategies pass, a leaking plugin ends with exit code 1 and its column is named."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from console import Run, one_line

LEAK = '''
import numpy as np
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import Market
from alpha_arena.core.types import Signals


@dataclass(frozen=True)
class Prophet:
    """Long before a bar that closes higher."""

    lookback: int
    max_position: float
    max_leverage: float

    def signals(self, market: Market) -> Signals:
        tomorrow = np.r_[market.close[1:], market.close[-1:]]
        none = np.full(len(market), np.nan)
        return Signals((tomorrow > market.close) * 1.0, none, none, np.ones(len(market)))
'''


@pytest.fixture(autouse=True)
def candles(run: Run) -> None:
    """Forty days of generated hours."""
    assert run("backfill", "exchange=synthetic", "start=2024-01-01", "end=2024-02-10")[0] == 0


@pytest.fixture
def plugin(own_folder: Path) -> Iterator[str]:
    """A folder with a leaking strategy."""
    folder = own_folder / "mine"
    (folder / "conf" / "strategy").mkdir(parents=True)
    (folder / "prophet.py").write_text(LEAK)
    (folder / "conf" / "strategy" / "prophet.yaml").write_text(
        "_target_: prophet.Prophet\nlookback: 1\nmax_position: 1.0\nmax_leverage: 1.0\n"
    )
    path = list(sys.path)
    yield "plugins=mine"
    sys.path[:] = path
    sys.modules.pop("prophet", None)


def test_a_strategy_and_the_regime_are_checked(run: Run) -> None:
    """Three findings each, in words and as JSON."""
    code, out, err = run("check", "strategy=breakout", "check.cuts=8", "report=json")
    assert (code, err) == (0, "")
    made = json.loads(out)
    assert made["ok"]
    kinds = ["lookahead", "warmup", "start"]
    assert [(one["strategy"], one["kind"]) for one in made["findings"]] == [
        (name, kind) for name in ("breakout", "regime") for kind in kinds
    ]
    code, out, _ = run("check", "strategy=breakout", "check.cuts=8", "check.kinds=[lookahead]")
    assert code == 0
    assert "no bias was found" in out


def test_a_leak_ends_with_1_and_names_the_column(run: Run, plugin: str) -> None:
    """In the table too."""
    code, out, _ = run("check", plugin, "strategy=prophet", "check.cuts=20", "report=json")
    made = json.loads(out)
    assert (code, made["ok"]) == (1, False)
    (leak,) = [one for one in made["findings"] if not one["ok"]]
    assert (leak["strategy"], leak["kind"], leak["column"], leak["outputs"]) == ("prophet", "lookahead", "close", ["exposure"])
    code, out, _ = run("check", plugin, "strategy=prophet", "check.cuts=20")
    assert code == 1
    assert "there is bias" in out
    assert "WRONG" in out


def test_all_of_a_decider_s_strategies_and_symbols_are_checked(run: Run) -> None:
    """Each strategy on each symbol; bars are those between start and end."""
    assert run("backfill", "exchange=synthetic", "symbol=eth", "start=2024-01-01", "end=2024-02-10")[0] == 0
    asked = ("symbols=[btc,eth]", "decision=portfolio", "check.kinds=[lookahead]", "check.cuts=2", "limit=500", "report=json")
    code, out, _ = run("check", *asked)
    findings = json.loads(out)["findings"]
    assert code == 0
    assert len(findings) == 2 * len({one["strategy"] for one in findings}) > 6
    assert {one["symbol"] for one in findings} == {"BTC/USDT:USDT", "ETH/USDT:USDT"}
    assert all("of 500 rows" in one["detail"] for one in findings)


def test_too_few_bars_are_refused(run: Run) -> None:
    """How many, and how many are enough."""
    code, out, err = run("check", "limit=60")
    assert (code, out) == (1, "")
    one_line(err, ["60 bars of BTC/USDT:USDT are too few", "at least 100"])


@pytest.mark.parametrize(("override", "words"), [("check.cuts=0", ["check.cuts", ">= 1"]), ("check.kinds=[luck]", ["check.kinds"])])
def test_wrong_settings_are_refused(run: Run, override: str, words: list[str]) -> None:
    """By name, before anything is read."""
    code, out, err = run("check", override)
    assert (code, out) == (2, "")
    one_line(err, words)
