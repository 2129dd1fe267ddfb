"""`alpha-arena sweep` from the command line: the verdict, the folder, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import psutil
import pytest
from laboratory import BTC, SPACE, threads

from alpha_arena.cli import main
from alpha_arena.core.errors import ConfigError
from alpha_arena.data.service import DataService
from alpha_arena.data.trials import times_tried
from alpha_arena.settings import load
from alpha_arena.wiring.sweeping import run_sweep


def swept(capsys: pytest.CaptureFixture[str], *overrides: str) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    capsys.readouterr()
    code = main(["sweep", *SPACE, *overrides])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_sweep_leaves_a_folder(service: DataService, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With every trial, the best run's files, the verdict and a report; again it knows all of them."""
    code, out, _ = swept(capsys, "report=json")
    result = json.loads(out)
    assert code == 0
    assert (result["combinations"], result["made"], result["refused"], result["reused"]) == (18, 16, 2, 0)
    assert result["verdict"]["grade"] in ("PASS", "WEAK", "REJECT")
    assert result["trials_ever"] == 16
    folder = Path(result["folder"])
    assert {"config.yaml", "overrides.txt", "meta.json", "result.json", "report.html", "trials.parquet"} <= {
        f.name for f in folder.iterdir()
    }
    table = pd.read_parquet(folder / "trials.parquet")
    assert len(table) == 18
    assert table["sharpe"].max() == pytest.approx(result["best"]["trial"]["sharpe"])
    assert {f"ema_trend.{name}" for name in ("ema_fast", "ema_medium", "ema_slow", "stop_loss_atr")} <= set(table)
    again = json.loads(swept(capsys, "report=json")[1])
    assert again["reused"] == 16
    for key in ("best", "verdict"):
        assert again[key] == result[key]


def test_the_best_is_run_with_every_rule(service: DataService, capsys: pytest.CaptureFixture[str]) -> None:
    """As `backtest` with the same parameters has it."""
    result = json.loads(swept(capsys, "report=json")[1])
    own = [f"strategy.{name}={value}" for name, value in result["best"]["parameters"].items()]
    assert main(["backtest", *own, "report=json"]) == 0
    backtest = json.loads(capsys.readouterr().out)
    for name in ("final_equity", "trades", "sharpe", "max_drawdown", "fees"):
        assert backtest[name] == pytest.approx(result["run"][name], rel=1e-9)


def test_what_it_says_to_people(service: DataService, capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict first, in words."""
    code, out, err = swept(capsys)
    assert code == 0
    assert out.split(":")[0] in ("PASS", "WEAK", "REJECT")
    assert "16 trials" in out
    assert "2 refused (ema_fast (8) must be below ema_medium (7))" in out
    assert err == ""


def test_a_space_that_is_too_large_is_asked_for_twice(service: DataService) -> None:
    """How many, how long, and what to say; confirmed it goes on."""
    settings = load("sweep", [*SPACE, "sweep.most=10", "ray.workers=2"])
    said = r"18 combinations, about \d+ s on 2 workers and 0 MiB of memory, more than sweep\.most=10.*confirm=true"
    with pytest.raises(Exception, match=said):
        run_sweep(settings, service, threads, 0)
    assert times_tried(service, BTC, "1h") == 0
    assert run_sweep(load("sweep", [*SPACE, "sweep.most=10", "confirm=true"]), service, threads, 0).result["made"] == 16


def test_what_memory_cannot_hold_is_refused_though_it_is_confirmed(service: DataService, monkeypatch: pytest.MonkeyPatch) -> None:
    """18 combinations of 1,800 bytes on a machine of 60,000; what is named as the way out is then made."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=60_000))
    with pytest.raises(ConfigError, match=r"MiB of memory, more than 50% of .* confirm=true or not; .*random with sweep\.trials=16"):
        run_sweep(load("sweep", [*SPACE, "confirm=true"]), service, threads, 0)
    assert times_tried(service, BTC, "1h") == 0
    found = run_sweep(load("sweep", [*SPACE, "sweep.method=random", "sweep.trials=16"]), service, threads, 0)
    assert found.result["combinations"] == 16


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("sweep.strategies.ema_trend.ema_fast=[30,40]",), "none of 12 combinations has a sharpe: ema_fast"),
        (("sweep.strategies.ema_trend.ema_fast=[[3,5]]",), "ema_fast: [3, 5] is no single value"),
        (("sweep.strategies.ema_trend.ema_fast=[3,5x]",), "sweep.strategies.ema_trend.ema_fast: '5x' is no number"),
        (("ray.use=sometimes",), "auto, always, never"),
        (("ray.address=127.0.0.1:1",), "ray.address=127.0.0.1:1 cannot be reached"),
        (("sweep=nothing",), "unknown sweep 'nothing'"),
        (("strategy.volume_threshold=100",), "none of 18 combinations has a sharpe: none of them traded"),
        (
            ("limit=9",),
            "in 9 bars (sweep.least_trades); widen the space, or the window where that is less than the strategy needs to warm up",
        ),
        (
            ("strategy.volume_threshold=100", "sweep.objective=total_return"),
            "none of 18 combinations has a total_return: none of them traded",
        ),
        (("window=300",), "window=300 is not for searches"),
        (("decision=weighted",), "decision=weighted is not for searches"),
        (
            ("sweep.strategies.ema_trend.ema_slow=0..99999/1", "sweep.strategies.ema_trend.ema_fast=0..99999/1", "ray.use=never"),
            "the space has 60,000,000,000",
        ),
    ],
)
def test_one_clear_sentence(service: DataService, capsys: pytest.CaptureFixture[str], overrides: tuple[str, ...], words: str) -> None:
    """And exit code 2."""
    code, out, err = swept(capsys, *overrides)
    assert code == 2
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


def test_a_combination_that_never_trades_is_not_the_best(service: DataService) -> None:
    """Though its return of 0 is more than that of all others, which lose."""
    overrides = ("sweep.objective=total_return", "costs.taker_fee=0.02", "+sweep.strategies.ema_trend.volume_threshold=[1.0,100]")
    found = run_sweep(load("sweep", [*SPACE, *overrides]), service, threads, 0)
    table = found.table[found.table["refused"] == ""]
    assert found.result["best"]["trial"]["trades"] > 0
    assert found.result["best"]["trial"]["total_return"] == table[table["trades"] > 0]["total_return"].max() < 0


def test_too_large_knows_the_clock() -> None:
    """Long searches are told in minutes and hours."""
    from alpha_arena.wiring.sweeping import duration

    assert [duration(seconds) for seconds in (5, 600, 10_000)] == ["5 s", "10 min", "2.8 h"]
