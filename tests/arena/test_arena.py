"""`alpha-arena arena`: the board and its folder, models that are asked several times, what is refused."""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from contests import SMALL, arena, market
from fake_llm import Body, Says, allocation, serving
from laboratory import BTC

from alpha_arena.cli import main
from alpha_arena.commands.arena import place
from alpha_arena.core.errors import ConfigError
from alpha_arena.data.service import DataService
from alpha_arena.data.trials import times_tried
from alpha_arena.wiring.arena import Entry, contestants
from alpha_arena.wiring.backtesting import simulate

Said = Callable[..., tuple[int, str, str]]
MODEL = ("arena.traders=[replayed_model,ema_solo]", "arena.samples=2", "limit=25")


@pytest.fixture
def said(service: DataService, capsys: pytest.CaptureFixture[str]) -> Said:
    """The command line in this process: exit code, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(arguments))
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def board(said: Said, *overrides: str) -> dict[str, Any]:
    """What `report=json` prints."""
    code, out, err = said("arena", *SMALL, "report=json", *overrides)
    assert code == 0, err
    made: dict[str, Any] = json.loads(out)
    return made


def row(made: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    """One row."""
    found: dict[str, Any] = next(one for one in made["rows"] if (one["kind"], one["name"]) == (kind, name))
    return found


def test_who_halted_is_told(said: Said) -> None:
    """With the day: its curve is flat from then on, and that is no decision of its strategy."""
    tight = board(said, "limit=300", "arena.traders=[ema_solo,equal_weight]", "risk.rules.drawdown_halt.max_drawdown=0.005")
    (note,) = [note for note in tight["notes"] if note.startswith("Halted")]
    assert "ema_solo since " in note
    assert not [note for note in board(said, "limit=300")["notes"] if note.startswith("Halted")]


def test_an_arena_leaves_a_folder_and_a_row(said: Said, service: DataService) -> None:
    """Board, curves and report; each trader counts as a trial once."""
    made = board(said, "limit=300")
    folder = Path(made["folder"])
    files = {"board.json", "config.yaml", "curves.parquet", "meta.json", "overrides.txt", "report.html"}
    assert {file.name for file in folder.iterdir()} == files
    assert {**json.loads((folder / "board.json").read_text()), "folder": made["folder"]} == made
    assert (made["bars"], made["tried"], made["synthetic"]) == (300, 2, False)
    curves = pd.read_parquet(folder / "curves.parquet")
    assert len(curves) == 300
    assert {"ts", "trader:ema_solo", "benchmark:flat", "random:low"} <= set(curves)
    for name in ("ema_solo", "equal_weight"):
        assert curves[f"trader:{name}"].iloc[-1] / 10_000 - 1 == pytest.approx(row(made, "trader", name)["total_return"])
    assert row(made, "benchmark", "flat")["total_return"] == 0
    assert times_tried(service, BTC, "1h") == 2
    assert board(said, "limit=300")["tried"] == 2
    with sqlite3.connect(service.database.engine.url.database or "") as connection:
        kept = connection.execute("SELECT strategy, symbol, folder FROM backtests ORDER BY name").fetchall()
    assert kept[0] == ("arena", BTC, made["folder"])


def test_each_trader_does_what_it_does_alone(said: Said) -> None:
    """As a backtest with its file has it."""
    made = board(said, "limit=300")
    for name in ("ema_solo", "equal_weight"):
        code, out, err = said("backtest", f"trader={name}", "limit=300", "report=json")
        assert code == 0, err
        alone, here = json.loads(out), row(made, "trader", name)
        for key in ("total_return", "max_drawdown", "fees", "funding", "trades", "turnover", "volatility"):
            assert here[key] == pytest.approx(alone[key], rel=1e-12), (name, key)


def test_what_it_says_to_people(said: Said) -> None:
    """What the order is worth comes first."""
    code, out, err = said("arena", *SMALL, "limit=300")
    assert (code, err) == (0, "")
    assert "cannot be told apart" in out.splitlines()[0] or "told apart from all" in out.splitlines()[0]
    for word in ("1 a", "benchmark", "buy_and_hold", "best_rule", "outputs/arena/"):
        assert word in out


def test_generated_candles_are_watermarked(said: Said) -> None:
    """Across the page, in the JSON and on the terminal."""
    assert said("backfill", "exchange=synthetic", "symbol=eth", "since_days=15")[0] == 0
    made = board(said, "symbol=eth", "limit=200")
    assert made["synthetic"] is True
    page = (Path(made["folder"]) / "report.html").read_text()
    assert 'class="across"' in page
    assert "SYNTHETIC DATA" in page
    assert said("arena", *SMALL, "symbol=eth", "limit=200")[1].startswith("SYNTHETIC")


def test_it_is_made_again_and_says_what_differs(said: Said, tmp_path: Path) -> None:
    """To the last digit; a trader's file that has changed since is named."""
    own = tmp_path / "conf" / "trader"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("# @package _global_\ndefaults:\n  - override /strategy: breakout\ntrader:\n  id: mine\n")
    folder = board(said, "arena.traders=[mine,ema_solo]", "limit=200")["folder"]
    code, out, _ = said("verify", folder)
    assert (code, out.splitlines()[-1]) == (0, "reproduced to the last digit")
    (own / "mine.yaml").write_text("# @package _global_\ndefaults:\n  - override /strategy: momentum\ntrader:\n  id: mine\n")
    code, out, _ = said("verify", folder, "report=json")
    assert code == 1
    told = {one["part"]: one for one in json.loads(out)["compared"]}
    assert "cannot be made again as it was" in told["configuration"]["said"]
    assert not told["board"]["same"]


@pytest.mark.parametrize(
    ("name", "key", "value"), [("board.json", "training", None), ("meta.json", "trials", {}), ("meta.json", "start_ts", "x")]
)
def test_a_folder_that_was_changed_is_refused_in_a_sentence(said: Said, name: str, key: str, value: object) -> None:
    """What the run would be made again by is gone."""
    folder = Path(board(said, "limit=60", "arena.traders=[ema_solo]")["folder"])
    told = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**told, key: value}))
    code, out, err = said("verify", str(folder))
    assert (code, out) == (1, "")
    assert "take it from a copy or make the run again" in err
    assert err.count("\n") == 1


def varied() -> Callable[[Body], str]:
    """Good answers, each with another position."""
    number = count()

    def answer(body: Body) -> str:
        return json.dumps({**json.loads(allocation(body)), "total_position": (next(number) * 7 % 19 - 9) / 10})

    return answer


def test_a_model_is_asked_several_times_and_replayed_without_a_key(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded once with another answer each time, then the same board to the byte with nobody to ask; the row spans its samples."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody-sees-this")
    with serving(Says(varied())) as fake:
        recorded = board(said, *MODEL, "llm.cache=record", f"llm.base_url={fake.url}")
        assert len(fake.requests) == 50
    monkeypatch.delenv("OPENAI_API_KEY")
    made, again = board(said, *MODEL), board(said, *MODEL)
    for name in ("board.json", "curves.parquet"):
        assert (Path(made["folder"]) / name).read_bytes() == (Path(again["folder"]) / name).read_bytes()
    samples = [row(made, "sample", f"replayed_model #{sample}") for sample in range(2)]
    returns = [one["total_return"] for one in samples]
    model = row(made, "trader", "replayed_model")
    assert returns == [row(recorded, "sample", one["name"])["total_return"] for one in samples]
    assert returns[0] != returns[1]
    assert (model["samples"], model["return_low"], model["return_high"]) == (2, min(returns), max(returns))
    assert model["total_return"] == min(returns)
    assert (model["decisions"], model["fallback_rate"], model["parse_failure_rate"]) == (25, 0, 0)
    # 1,000 tokens of prompt, 600 of them cached, and 100 of answer at the prices of conf/llm
    assert model["llm_cost_usd"] == pytest.approx(25 * (400 * 0.4 + 600 * 0.1 + 100 * 1.6) / 1e6)
    assert model["latency_ms"] >= 0
    assert (model["rank"], model["contaminated"]) == (None, True)
    assert any(note.startswith("replayed_model is not ranked. CONTAMINATED") for note in made["notes"])
    assert "CONTAMINATED" in (Path(made["folder"]) / "report.html").read_text()
    assert made["tried"] == 3
    assert said("verify", made["folder"])[0] == 0


def test_a_trader_has_seen_what_one_of_its_samples_has() -> None:
    """The median one may have been answered by another model."""
    run = simulate(arena("arena.traders=[ema_solo]").traders[0], market())
    told = [replace(run, result={**run.result, "llm": {"contaminated": seen, "contamination": "it knew"}}) for seen in (False, True)]
    entries = [Entry(arena(), one, f"m #{n}", "m") for n, one in enumerate(told)]
    assert [(one.kind, one.contaminated) for one in contestants(entries)] == [("trader", True), ("sample", False), ("sample", True)]


def test_all_askings_of_a_model_have_one_budget(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    """L7: what a run may cost is not multiplied by its samples."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody-sees-this")
    with serving(Says(allocation)) as fake:
        # a call costs 0.00038 USD
        board(said, *MODEL, "llm.cache=record", f"llm.base_url={fake.url}", "llm.budget_usd=0.0036")
        assert len(fake.requests) == 10


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"rank": 2, "group": 1}, "2 a"),
        ({"contaminated": True}, "contaminated"),
        ({"silent": True}, "silent"),
        ({}, "cost unknown"),
        ({"kind": "benchmark"}, "benchmark"),
    ],
)
def test_what_stands_in_the_place_of_a_rank(told: dict[str, Any], words: str) -> None:
    """Why a trader has none, as on the page."""
    assert place({"rank": None, "group": None, "contaminated": False, "silent": False, "kind": "trader", **told}).lower() == words


def test_nothing_recorded_is_said(said: Said) -> None:
    """It keeps what it had, all its decisions are fallbacks, and the note says how to record."""
    made = board(said, *MODEL)
    model = row(made, "trader", "replayed_model")
    assert (model["fallback_rate"], model["total_return"], model["silent"], model["rank"]) == (1, 0, True, None)
    command = shlex.join(["alpha-arena", "arena", *SMALL, *MODEL, "llm.cache=record"])
    assert any(note.endswith(f": {command}") for note in made["notes"])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("arena=nowhere",), "unknown arena 'nowhere'"),
        (("arena=null",), "arena=null: name one of conf/arena"),
        (("arena.traders=[nobody]",), "unknown trader 'nobody'"),
        (("arena.traders=[]",), "arena.traders"),
        (("arena.traders=[ema_solo,ema_solo]",), "trader.id=ema_solo is that of two traders"),
        (("decision=single",), "decision= would make all traders of the arena the same"),
        (("arena.samples=0",), "arena.samples=0 is not allowed"),
        (("arena.train_fraction=1",), "arena.train_fraction=1 is not allowed"),
        (("symbol=sol",), "no"),
        (("start=2023-11-16", "end=2023-11-16T01:00"), "are too few to choose a rule on and to compete on"),
    ],
)
def test_one_clear_sentence(said: Said, overrides: tuple[str, ...], words: str) -> None:
    """And nothing on stdout."""
    code, out, err = said("arena", *overrides)
    assert code != 0
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(("line", "key"), [("timeframe: 4h", "timeframe=4h"), ("costs:\n  taker_fee: 0.0", "costs.taker_fee=0.0")])
def test_a_trader_on_other_terms_is_refused(service: DataService, tmp_path: Path, line: str, key: str) -> None:
    """Its file, the key and both values are named."""
    own = tmp_path / "conf" / "trader"
    own.mkdir(parents=True)
    (own / "other.yaml").write_text(f"# @package _global_\n{line}\ntrader:\n  id: other\n")
    with pytest.raises(ConfigError, match=rf"trader=other has {key}, the arena {key.split('=')[0]}=.*conf/trader/other\.yaml"):
        arena("arena.traders=[ema_solo,other]")
