"""walkforward from the command line: what it prints, leaves and remembers; what it refuses, in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from console import Run, one_line

from alpha_arena.cli import main

SPACE = [
    "sweep.strategies.ema_trend.ema_fast=[5,9]",
    "sweep.strategies.ema_trend.ema_medium=21",
    "sweep.strategies.ema_trend.ema_slow=50",
    "sweep.strategies.ema_trend.stop_loss_atr=2.0",
    "sweep.strategies.ema_trend.take_profit_atr=[3.0,6.0]",
]
DAYS = ["walkforward.train_days=40", "walkforward.test_days=20"]
WALK = ["walkforward", *SPACE, *DAYS, "ray.use=never"]
FILES = {"config.yaml", "overrides.txt", "meta.json", "result.json", "report.html", "trades.parquet", "equity.parquet", "signals.parquet"}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a hundred days of the synthetic market."""
    file = tmp_path_factory.mktemp("market") / "arena.db"
    url = f"database.url=sqlite:///{file}"
    assert main(["db", "upgrade", url]) == 0
    assert main(["ingest", "exchange=synthetic", "since_days=100", "timeframe=1h", url]) == 0
    return file


@pytest.fixture
def stored(market: Path, own_folder: Path) -> None:
    """A copy of it."""
    shutil.copy(market, own_folder / "arena.db")


def result_of(run: Run, *more: str) -> dict[str, Any]:
    """What a walk-forward reports."""
    code, out, err = run(*WALK, *more, "report=json")
    assert (code, out.count("\n")) == (0, 1), err
    made: dict[str, Any] = json.loads(out)
    return made


def test_a_walk_forward_leaves_a_folder_and_is_remembered(run: Run, stored: None) -> None:
    """The files of a backtest and its folds; each combination counts once, however often it is tried; the same run again says the same."""
    first = result_of(run)
    folder = Path(first["folder"])
    assert folder.parent == Path("outputs/walkforward")
    assert {file.name for file in folder.iterdir()} == FILES | {"folds.parquet"}
    told = json.loads((folder / "result.json").read_text())
    assert told == {name: value for name, value in first.items() if name not in ("name", "folder")}
    assert (first["combinations"], first["trials_ever"], first["synthetic"]) == (4, 4, True)
    assert [scheme["scheme"] for scheme in first["schemes"]] == ["anchored", "rolling"]
    about = json.loads((folder / "meta.json").read_text())
    assert about["read"]["BTC/USDT:USDT"]["last_ts"] >= first["end_ts"]
    assert (about["command"], about["trials"], len(about["data_hash"])) == ("walkforward", {"BTC/USDT:USDT": 4}, 64)
    assert first["verdict"]["grade"] in ("PASS", "WEAK", "REJECT")
    folds, equity = pd.read_parquet(folder / "folds.parquet"), pd.read_parquet(folder / "equity.parquet")
    assert len(folds) == len(first["folds"])
    assert equity["ts"].iloc[0] == folds["test_first_ts"].min()
    again = result_of(run)
    kept = ("seconds", "search_seconds", "folder", "where")
    assert {name: value for name, value in again.items() if name not in kept} == {n: v for n, v in first.items() if n not in kept}


def test_a_sweep_of_the_same_bars_adds_no_trials(run: Run, stored: None) -> None:
    """The same parameters on the same bars are one trial, whoever tries them."""
    assert result_of(run, "walkforward.scheme=rolling")["trials_ever"] == 4
    code, out, err = run("sweep", *SPACE, "ray.use=never", "report=json")
    assert code == 0, err
    assert {name: json.loads(out)[name] for name in ("trials_ever", "reused")} == {"trials_ever": 4, "reused": 4}


def test_what_people_read(run: Run, stored: None) -> None:
    """The verdict first, then the folds with what was chosen, and the tests in a row."""
    code, out, err = run(*WALK, "walkforward.scheme=rolling")
    assert code == 0, err
    assert out.lstrip().split(":")[0] in ("PASS", "WEAK", "REJECT")
    for part in (
        "rolling walk-forward",
        "ema_trend ema_fast=",
        "the tests in a row",
        "efficiency",
        "4 combinations",
        "outputs/walkforward/",
    ):
        assert part in out


@pytest.mark.parametrize(
    ("given", "code", "named"),
    [
        (["walkforward.train_days=400"], 1, ["needs", "days of bars", "are stored", "walkforward.train_days="]),
        (["start=2001-01-01", "end=2001-02-01"], 1, ["no closed 1h candles"]),
        (["walkforward.test_days=0.01"], 2, ["walkforward.test_days=0.01 holds no bar"]),
        (["walkforward.test_days=0"], 2, ["walkforward.test_days=0", "> 0"]),
        (["walkforward.purge_bars=1000"], 2, ["walkforward.purge_bars=1000", "walkforward.train_days=40"]),
        (["walkforward.embargo=1"], 2, ["walkforward.embargo=1", "< 1"]),
        (["walkforward.scheme=expanding"], 2, ["walkforward.scheme=expanding", "anchored"]),
        (["sweep.method=tpe"], 2, ["sweep.method=tpe", "grid or random"]),
        (["symbols=[btc,eth]"], 2, ["one symbol", "ETH/USDT:USDT"]),
        (["sweep.timeframes=[1h,4h]"], 2, ["one timeframe", "4h"]),
        (["window=300"], 2, ["window=300"]),
        (["detail=15m"], 2, ["detail=15m"]),
        (["+sweep.strategies.ema_trend.ema_fsat=[1,2]"], 2, ["ema_fsat", "did you mean 'ema_fast'"]),
        (["sweep.strategies.ema_trend.ema_fast=9..5/1"], 2, ["ema_fast=9..5/1", "empty"]),
        (["sweep.most=3"], 2, ["4 combinations", "confirm=true"]),
        (["sweep.strategies.ema_trend.ema_fast=[30,40]"], 2, ["none of 4 combinations can be chosen", "ema_fast"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_what_cannot_be_walked_is_said_in_one_line(run: Run, stored: None, given: list[str], code: int, named: list[str]) -> None:
    """By its key, with what is allowed; nothing is written."""
    found, out, err = run(*WALK, *given)
    assert (found, out) == (code, ""), err
    one_line(err, named)
    assert not Path("outputs").exists()
