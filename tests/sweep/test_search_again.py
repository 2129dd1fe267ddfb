"""Sweeps and walk-forwards are made again from their folders: to the last digit, or it is said what differs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from laboratory import BTC, HOUR, ROWS, SPACE, walk

from alpha_arena.backtest.folder import seal
from alpha_arena.backtest.proof import Compared
from alpha_arena.cli import main
from alpha_arena.data.service import DataService
from alpha_arena.data.trials import times_tried
from alpha_arena.settings import load
from alpha_arena.wiring.again import Again
from alpha_arena.wiring.search_again import sweep_again, walk_again
from alpha_arena.wiring.verification import again, kept_run

RANDOM = ("sweep.method=random", "sweep.trials=12", "sweep.strategies.ema_trend.stop_loss_atr=1.0..4.0")
TPE = ("sweep.method=tpe", "sweep.trials=40", "sweep.strategies.ema_trend.stop_loss_atr=1.0..4.0")
BOTH = ("sweep.timeframes=[1h,4h]", "+sweep.strategies.breakout={lookback_period: [5, 10]}")
DAYS = ("walkforward.train_days=10", "walkforward.test_days=5", "walkforward.purge_bars=5")
COMMANDS = {"sweep": (), "walkforward": DAYS}


@pytest.fixture
def made(service: DataService, capsys: pytest.CaptureFixture[str]) -> Callable[..., Path]:
    """The folder of a run that was made over the small space."""

    def make(command: str, *more: str) -> Path:
        capsys.readouterr()
        assert main([command, *SPACE, *COMMANDS[command], *more, "report=json"]) == 0
        return Path(json.loads(capsys.readouterr().out)["folder"])

    return make


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Callable[[Path], tuple[int, dict[str, dict[str, Any]]]]:
    """Exit code, and what was said by part; of several of a kind the one that differs."""

    def call(folder: Path) -> tuple[int, dict[str, dict[str, Any]]]:
        capsys.readouterr()
        code = main(["verify", str(folder), "report=json"])
        parts = json.loads(capsys.readouterr().out)["compared"]
        return code, {one["part"]: one for one in sorted(parts, key=lambda one: not one["same"])}

    return call


Make = Callable[..., Path]
Verify = Callable[[Path], tuple[int, dict[str, dict[str, Any]]]]


def differing(parts: dict[str, dict[str, Any]]) -> list[str]:
    """Parts that differ where they must not."""
    return [name for name, one in parts.items() if one["binding"] and not one["same"]]


def rewritten(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """A JSON file with a change, and the hashes made up as well."""
    told = json.loads(file.read_text())
    change(told)
    file.write_text(json.dumps(told))
    seal(file.parent)


def sql(command: str) -> None:
    """Change the database behind the program's back."""
    with sqlite3.connect("arena.db") as connection:
        assert connection.execute(command).rowcount > 0
    connection.close()


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ("sweep", ()),
        ("sweep", RANDOM),
        ("sweep", TPE),
        ("sweep", ("limit=500", "risk=none", "equity=3000", "sweep.objective=total_return", "seed=9")),
        ("walkforward", ()),
        ("walkforward", ("walkforward.scheme=rolling", "limit=600", *RANDOM)),
    ],
)
def test_a_search_is_reproduced(made: Make, verify: Verify, command: str, more: tuple[str, ...]) -> None:
    """Every part is the same, whatever the method, the window and the terms."""
    code, parts = verify(made(command, *more))
    assert (code, differing(parts)) == (0, [])
    own = {"candles", "funding", "result", "verdict", "trades", "equity", "signals", "combinations"}
    assert set(parts) == {*("files", "code", "versions", "configuration", "trials"), *own} | ({"folds"} if command != "sweep" else set())
    assert "trials made again" in parts["combinations"]["said"]


def test_several_series_are_reproduced(service: DataService, made: Make, verify: Verify) -> None:
    """Each by its own name; bars that came later, and shorter ones that close later, are left out."""
    service.write_candles("file", BTC, "4h", walk(ROWS // 4, 4 * HOUR))
    folder = made("sweep", *BOTH)
    about = json.loads((folder / "meta.json").read_text())
    assert set(about["read"]) == set(about["trials"]) == set(about["sha256"]["candles"]) == {f"{BTC} 1h", f"{BTC} 4h"}
    assert (
        about["strategies"]["breakout"]["volume_threshold"]
        == load("backtest", ["strategy=breakout"]).resolved["strategy"]["volume_threshold"]
    )
    service.write_candles("file", BTC, "4h", walk(ROWS, 4 * HOUR)[slice(ROWS // 4, ROWS)])
    code, parts = verify(folder)
    assert (code, differing(parts)) == (0, [])
    assert f"{BTC} 1h: 18 when it was made, 18 now; {BTC} 4h: 18 when it was made, 18 now" in parts["trials"]["said"]


def test_a_search_of_generated_candles_says_so(service: DataService, made: Make, verify: Verify) -> None:
    """In the figures of its run, also made again."""
    service.write_candles("synthetic", "ETH/USDT:USDT", "1h", walk(ROWS, HOUR))
    folder = made("sweep", "symbol=eth")
    assert json.loads((folder / "result.json").read_text())["run"]["synthetic"] is True
    assert verify(folder)[0] == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_remembered_and_nothing_read(service: DataService, made: Make, verify: Verify, command: str) -> None:
    """Trials in the database are left as they are; what they say is not believed; later ones do not change the verdict."""
    folder = made(command)
    before = times_tried(service, BTC, "1h")
    sql("UPDATE trials SET figures = zeroblob(length(figures)), sums = zeroblob(length(sums)), bar_sharpe = 0.5")
    assert main(["backtest", "strategy.ema_fast=4"]) == 0
    code, parts = verify(folder)
    assert (code, differing(parts)) == (0, [])
    assert parts["trials"]["said"] == f"{BTC} 1h: {before} when it was made, {before + 1} now"
    assert f"by {before} trials of {BTC} as they were counted then" in parts["verdict"]["said"]


@pytest.mark.parametrize(
    ("command", "name", "column", "part"),
    [("sweep", "trials", "sharpe", "combinations"), ("walkforward", "folds", "outside.sharpe", "folds")],
)
def test_a_row_that_was_made_up_is_told(made: Make, verify: Verify, command: str, name: str, column: str, part: str) -> None:
    """With its number and both values; the last digit is enough."""
    folder = made(command)
    frame = pd.read_parquet(folder / f"{name}.parquet")
    true = frame.loc[1, column]
    frame.loc[1, column] = true * (1 + 2.5e-16)
    assert frame.loc[1, column] != true
    frame.to_parquet(folder / f"{name}.parquet", index=False)
    code, parts = verify(folder)
    assert (code, differing(parts)) == (1, ["files", part])
    assert f"{column} of row 1 is {frame.loc[1, column]} in the folder and {true} made again; 1 of " in parts[part]["said"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_verdict_that_was_made_up_is_told(made: Make, verify: Verify, command: str) -> None:
    """Also where its hash was made up as well."""
    folder = made(command)
    rewritten(folder / "result.json", lambda told: told["verdict"].update(grade="SURE"))
    code, parts = verify(folder)
    assert (code, differing(parts)) == (1, ["verdict"])
    assert "verdict.grade is SURE in the folder and " in parts["verdict"]["said"]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", ["trials", "deviation"])
def test_a_count_that_was_made_up_is_told(made: Make, verify: Verify, command: str, kind: str) -> None:
    """Fewer trials, or closer ones, make luck smaller."""
    folder = made(command)
    rewritten(folder / "meta.json", lambda told: told.update({kind: {BTC: told[kind][BTC] / 2 if kind == "deviation" else 2}}))
    code, parts = verify(folder)
    assert (code, "verdict" in differing(parts)) == (1, True)


@pytest.mark.parametrize("command", COMMANDS)
def test_candles_that_were_changed_are_told(made: Make, verify: Verify, command: str) -> None:
    """And whatever differs for it."""
    folder = made(command)
    sql(f"UPDATE candles SET close = close * 1.3, high = high * 1.4 WHERE ts = {walk(ROWS, HOUR).ts[350]}")
    code, parts = verify(folder)
    assert code == 1
    assert {"candles", "result"} <= set(differing(parts))
    assert "as then, but with other values" in parts["candles"]["said"]


@pytest.mark.parametrize("command", COMMANDS)
def test_too_few_bars_are_no_end(made: Make, verify: Verify, command: str) -> None:
    """What was read is told, and that nothing can be made of what is left."""
    folder = made(command)
    sql(f"DELETE FROM candles WHERE ts > {walk(ROWS, HOUR).ts[20]}")
    code, parts = verify(folder)
    assert code == 1
    assert f"{ROWS} bars" in parts["candles"]["said"]
    assert not parts["result"]["same"]


def test_a_strategy_s_file_that_changed_since_is_told(made: Make, verify: Verify, tmp_path: Path) -> None:
    """What is not varied is taken as it was, also of strategies that are not enabled."""
    folder = made("sweep", "+sweep.strategies.breakout={lookback_period: [5, 10]}")
    (tmp_path / "conf" / "strategy").mkdir(parents=True)
    node = {**load("backtest", ["strategy=breakout"]).resolved["strategy"], "volume_threshold": 1.75}
    (tmp_path / "conf" / "strategy" / "breakout.yaml").write_text(json.dumps(node))
    code, parts = verify(folder)
    assert code == 0
    assert "searched.breakout.volume_threshold was 1.5, is 1.75 here" in parts["configuration"]["said"]


def test_a_folder_of_an_earlier_version_is_refused(made: Make, capsys: pytest.CaptureFixture[str]) -> None:
    """In a sentence."""
    folder = made("sweep")
    rewritten(folder / "meta.json", lambda told: told.pop("deviation"))
    assert main(["verify", str(folder)]) == 1
    assert "did not keep what its sweep had read; make the run again" in capsys.readouterr().err


def run_of(folder: Path) -> Again:
    """A run to be made again."""
    settings = load("verify", [f"verify.run={folder}"])
    return again(kept_run(settings), settings)


def in_part(folder: Path, service: DataService) -> dict[str, Compared]:
    """A search made again as if there were no time."""
    make = sweep_again if folder.parent.name == "sweep" else walk_again
    parts = list(make(run_of(folder), service, None, longest_s=0.0))
    return {one.part: one for one in sorted(parts, key=lambda one: not one.same)}


def wrong(parts: dict[str, Compared]) -> list[str]:
    """Parts that differ where they must not."""
    return [name for name, one in parts.items() if one.binding and not one.same]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_large_search_is_made_again_in_part(service: DataService, made: Make, command: str) -> None:
    """The best, a sample, and of the others what the database remembers; it is said."""
    parts = in_part(made(command, "sweep.keep=3"), service)
    assert wrong(parts) == []
    assert parts["combinations"].said.startswith(("4 of 18", "3 of 18", "2 of 18", "5 of 18"))
    assert "the others as the database remembers them" in parts["combinations"].said
    assert parts["verdict"].binding


@pytest.mark.parametrize("command", COMMANDS)
def test_a_part_is_made_again_without_what_was_remembered(service: DataService, made: Make, command: str) -> None:
    """The verdict asks for every trial, and is then not made again; all else is."""
    folder = made(command, "sweep.keep=3")
    sql("DELETE FROM trials")
    parts = in_part(folder, service)
    assert wrong(parts) == []
    assert not parts["verdict"].same
    assert parts["verdict"].said.startswith("not made again: it asks for every trial")
    assert "remembers" not in parts["combinations"].said


@pytest.mark.parametrize("seed", range(3))
def test_a_part_finds_what_was_made_up_in_it(service: DataService, made: Make, seed: int) -> None:
    """The best is always in it, and what the others say is held to what is remembered."""
    folder = made("sweep", "sweep.keep=3", f"seed={seed}")
    frame = pd.read_parquet(folder / "trials.parquet")
    best = int(frame["sharpe"].argmax())
    frame.loc[best, "trades"] += 1
    frame.to_parquet(folder / "trials.parquet", index=False)
    said = in_part(folder, service)["combinations"].said
    assert f"trades of row {best} is " in said
    sql("DELETE FROM trials")
    assert f"trades of row {best} is " in in_part(folder, service)["combinations"].said


def test_a_part_does_not_believe_what_is_remembered_of_it(service: DataService, made: Make) -> None:
    """The best trials are made again; others that were made up in the database differ from the folder."""
    folder = made("sweep", "sweep.keep=3")
    sql("UPDATE trials SET figures = zeroblob(length(figures))")
    assert wrong(in_part(folder, service))[0] == "combinations"


def test_a_choice_that_another_beats_is_told(service: DataService, made: Make) -> None:
    """A walk-forward's fold whose parameters are not the best of its training."""
    folder = made("walkforward")
    folds = json.loads((folder / "result.json").read_text())["folds"]
    chosen = {json.dumps(fold["parameters"]) for fold in folds}
    assert len(chosen) > 1
    frame = pd.read_parquet(folder / "folds.parquet")
    stops = frame["ema_trend.stop_loss_atr"]
    frame["ema_trend.stop_loss_atr"] = stops.where(stops.index > 0, 4.5 - stops)
    frame.to_parquet(folder / "folds.parquet", index=False)
    assert wrong(in_part(folder, service)) == ["folds"]
