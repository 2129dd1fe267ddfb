"""A run is made again from its folder: to the last digit, or it is said what differs."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from console import Run, one_line

from alpha_arena.backtest.folder import seal
from alpha_arena.cli import main
from alpha_arena.data.service import DataService
from alpha_arena.data.trials import times_tried

BTC = "BTC/USDT:USDT"
BACKTEST = ("timeframe=1h", "strategy=ema_trend", "strategy.ema_fast=12", "limit=400")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of generated candles of two symbols, and a run of it, made once."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()):
        patch.chdir(folder)
        patch.setenv("DATABASE_URL", "sqlite:///arena.db")
        assert main(["backfill", "exchange=synthetic", "symbols=[btc,eth]", "start=2024-01-01", "end=2024-02-10"]) == 0
        assert main(["backtest", *BACKTEST, "symbol=btc"]) == 0
    return folder


@pytest.fixture
def made(kept: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the run, in a copy of all that was made."""
    monkeypatch.setenv("DATABASE_URL", "sqlite:///arena.db")
    shutil.copytree(kept, own_folder, dirs_exist_ok=True)
    return next(Path("outputs/backtest").iterdir())


def backtest(run: Run, *more: str) -> Path:
    """The folder of a run."""
    code, out, err = run("backtest", *BACKTEST, *more, "report=json")
    assert code == 0, err
    return Path(json.loads(out)["folder"])


def verify(run: Run, folder: Path, *more: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code, and what was said by part; of several of a kind the one that differs."""
    code, out, err = run("verify", str(folder), *more, "report=json")
    assert out, err
    parts = json.loads(out)["compared"]
    return code, {one["part"]: one for one in sorted(parts, key=lambda one: not one["same"])}


def differing(parts: dict[str, dict[str, Any]]) -> list[str]:
    """Parts that differ where they must not."""
    return [name for name, one in parts.items() if one["binding"] and not one["same"]]


def trials(folder: Path) -> int:
    """How many had been made when a run was."""
    told: dict[str, int] = json.loads((folder / "meta.json").read_text())["trials"]
    return told[BTC]


def rewritten(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """A JSON file with a change."""
    told = json.loads(file.read_text())
    change(told)
    file.write_text(json.dumps(told))


def forged(folder: Path, change: Callable[[dict[str, Any]], Any] = lambda told: None) -> None:
    """A folder whose meta.json and hashes fit a change, as a careful hand would leave it."""
    rewritten(folder / "meta.json", change)
    seal(folder)


def sql(own_folder: Path, command: str) -> None:
    """Change the database behind the program's back."""
    with sqlite3.connect(own_folder / "arena.db") as connection:
        assert connection.execute(command).rowcount > 0
    connection.close()


def test_a_run_is_reproduced(run: Run, made: Path) -> None:
    """Every part is the same, and the last line says it."""
    code, out, err = run("verify", str(made))
    assert (code, err) == (0, "")
    assert out.endswith("reproduced to the last digit\n")
    assert "DIFFERS" not in out
    code, parts = verify(run, made)
    assert (code, differing(parts)) == (0, [])
    assert set(parts) == {
        *("files", "code", "versions", "configuration", "trials"),
        *("candles", "funding", "result", "trades", "equity", "signals"),
    }


@pytest.mark.parametrize(
    "asked",
    [
        ("decision=portfolio", "limit=150"),
        ("strategy=breakout", "start=2024-01-20", "end=2024-02-01", "window=100", "equity=5000", "seed=3"),
        ("decision=weighted", "risk=none", "costs.taker_fee=0.001", "limit=150"),
    ],
)
def test_runs_of_all_kinds_are_reproduced(run: Run, made: Path, asked: tuple[str, ...]) -> None:
    """Other deciders, windows, risk and costs."""
    code, out, err = run("backtest", *asked, "report=json")
    assert code == 0, err
    assert verify(run, Path(json.loads(out)["folder"]))[0] == 0


def test_shorter_bars_are_part_of_a_run(run: Run, made: Path, own_folder: Path) -> None:
    """Those that decide what came first within a bar have a hash of their own; a change in them is told, and makes another trial."""
    assert run("backfill", "exchange=synthetic", "timeframe=15m", "start=2024-01-01", "end=2024-02-11")[0] == 0
    folder = backtest(run, "detail=15m")
    assert trials(folder) == trials(backtest(run, "detail=15m")) == 2
    assert verify(run, folder)[0] == 0
    sql(own_folder, "UPDATE candles SET volume = volume + 1 WHERE timeframe = '15m' AND ts = 1705000500000")
    code, parts = verify(run, folder)
    assert (code, differing(parts)) == (1, ["detail"])
    assert trials(backtest(run, "detail=15m")) == 3


def test_several_symbols_are_reproduced(run: Run, made: Path) -> None:
    """Each with its own hashes."""
    folder = backtest(run, "symbols=[btc,eth]")
    meta = json.loads((folder / "meta.json").read_text())
    assert set(meta["trials"]) == set(meta["sources"]) == {BTC, "ETH/USDT:USDT"}
    assert verify(run, folder)[0] == 0


def test_candles_that_came_later_change_nothing(run: Run, made: Path) -> None:
    """Nor a settlement of the last close, nor a second source."""
    assert run("backfill", "exchange=synthetic", "start=2024-02-10", "end=2024-02-20")[0] == 0
    assert run("backfill", "exchange=synthetic", "exchange.name=other", "start=2024-01-01", "end=2024-01-20")[0] == 0
    assert verify(run, made)[0] == 0


def test_the_environment_does_not_shape_a_run_made_again(run: Run, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a variable gives now is told; the run is made with what it gave then."""
    monkeypatch.setenv("RISK_MAX_NOTIONAL", "17")
    monkeypatch.setenv("PORTFOLIO_DIFF_THRESHOLD", "999")
    code, parts = verify(run, made)
    assert code == 0
    assert not parts["configuration"]["same"]
    for told in ("risk.rules.max_notional.limit_quote was 20000, is 17 here", "costs.diff_threshold was 10, is 999 here"):
        assert told in parts["configuration"]["said"]


def test_a_moved_database_is_named(run: Run, made: Path, own_folder: Path) -> None:
    """The run's own by default; another where the command says so."""
    (own_folder / "arena.db").rename(own_folder / "elsewhere.db")
    code, out, err = run("verify", str(made))
    assert (code, out) == (1, "")
    assert "arena.db" in err
    assert verify(run, made, f"database.url=sqlite:///{own_folder}/elsewhere.db")[0] == 0


@pytest.mark.parametrize(
    "name", ["config.yaml", "overrides.txt", "result.json", "report.html", "trades.parquet", "equity.parquet", "signals.parquet"]
)
def test_a_file_that_was_tampered_with_is_named(run: Run, made: Path, name: str) -> None:
    """A blank at its end is enough; what it says is compared all the same."""
    (made / name).write_bytes((made / name).read_bytes() + (b"\n" if name != "overrides.txt" else b"seed=7\n"))
    code, parts = verify(run, made)
    assert (code, parts["files"]["said"]) == (1, f"changed after the run: {name}")
    assert "result" not in differing(parts)


def test_a_figure_that_was_made_up_is_told(run: Run, made: Path) -> None:
    """Also where its hash was made up as well: the run made again says otherwise."""
    true = json.loads((made / "result.json").read_text())["total_return"]
    rewritten(made / "result.json", lambda told: told.update(total_return=9.5))
    forged(made)
    code, parts = verify(run, made)
    assert (code, differing(parts)) == (1, ["result"])
    assert parts["result"]["said"].startswith(f"total_return is 9.5 in the folder and {true} made again; 1 of ")


def test_a_row_that_was_made_up_is_told(run: Run, made: Path) -> None:
    """With its time and both values."""
    frame = pd.read_parquet(made / "equity.parquet")
    true, stamp = frame.loc[100, "equity"], frame.loc[100, "ts"]
    frame.loc[100:, "equity"] += 0.5
    frame.to_parquet(made / "equity.parquet", index=False)
    code, out, _ = run("verify", str(made))
    assert code == 1
    assert out.endswith("not reproduced: files, equity\n")
    said = verify(run, made)[1]["equity"]["said"]
    assert said.startswith("equity of row 100 (")
    assert f"is {true + 0.5} in the folder and {true} made again; 300 of 400 rows differ" in said
    assert pd.Timestamp(stamp, unit="ms").strftime("%H:%M") in said


def test_a_candle_that_was_changed_is_told(run: Run, made: Path, own_folder: Path) -> None:
    """Its series, and from which bar on the equity differs."""
    stamp = int(pd.read_parquet(made / "equity.parquet").loc[300, "ts"])
    sql(own_folder, f"UPDATE candles SET close = close * 1.3, high = high * 1.4 WHERE ts = {stamp} AND timeframe = '1h'")
    code, parts = verify(run, made)
    assert code == 1
    assert f"{BTC} is not what was read" in parts["candles"]["said"]
    assert "as then, but with other values" in parts["candles"]["said"]
    assert parts["funding"]["same"]
    assert parts["files"]["same"]


def test_settlements_that_are_gone_are_told(run: Run, made: Path, own_folder: Path) -> None:
    """Funding has a hash of its own."""
    sql(own_folder, "DELETE FROM funding_rates WHERE ts = (SELECT max(ts) FROM funding_rates)")
    code, parts = verify(run, made)
    assert code == 1
    assert "funding" in differing(parts)
    assert parts["candles"]["same"]


def test_other_code_and_versions_are_for_information(run: Run, made: Path) -> None:
    """They are told, and the run is reproduced all the same."""

    def older(told: dict[str, Any]) -> None:
        told["versions"]["numpy"] = "1.0"
        told["code"] = "0" * 64
        told["git"] = {"revision": "f" * 40, "changed": True}

    forged(made, older)
    code, parts = verify(run, made)
    assert code == 0
    assert "numpy 1.0 then" in parts["versions"]["said"]
    assert "what shapes a simulation was changed; revision ffffffffffff with changes then" in parts["code"]["said"]


def test_every_backtest_counts_as_a_trial_once(run: Run, made: Path, own_folder: Path) -> None:
    """The same again is no new one; another parameter, window or cost is."""

    def count() -> int:
        service = DataService(f"sqlite:///{own_folder}/arena.db")
        try:
            return times_tried(service, BTC, "1h")
        finally:
            service.close()

    assert json.loads((made / "meta.json").read_text())["trials"] == {BTC: 1}
    backtest(run)
    assert count() == 1
    for number, more in enumerate(("strategy.ema_fast=11", "limit=399", "costs.taker_fee=0.0007", "initial_capital=5", "risk=none"), 2):
        folder = backtest(run, more)
        assert json.loads((folder / "meta.json").read_text())["trials"] == {BTC: number}
    assert "1 when it was made, 6 now" in verify(run, made)[1]["trials"]["said"]


def test_a_backtest_is_held_against_all_that_was_tried_by_hand(run: Run, made: Path) -> None:
    """The count stands beside the PSR in the figures, the report and the terminal, and is made again as it was."""
    folder = made
    for count, more in enumerate((None, "strategy.ema_fast=11", "strategy.ema_fast=13", "strategy.ema_fast=14"), 1):
        folder = made if more is None else backtest(run, more)
        told = json.loads((folder / "result.json").read_text())
        assert told["trials_ever"] == count
        assert (told["luck_sharpe"] > 0) == (told["deflated_sharpe"] < told["probabilistic_sharpe"]) == (count > 1)
        page = (folder / "report.html").read_text()
        assert f"{count} trial{'s' if count > 1 else ''} ever; PSR" in page
        assert (f"what the best of {count} trials shows by luck (DSR)" in page) == (count > 1)
    said = {line.rsplit(maxsplit=1)[0].strip(): line.split()[-1] for line in run("backtest")[1].splitlines() if line.strip()}
    assert said["trials ever"] == "5"
    assert {"probabilistic sharpe", "deflated sharpe"} <= said.keys()
    assert verify(run, made)[0] == verify(run, folder)[0] == 0


def test_what_is_no_run_is_refused_in_a_sentence(run: Run, made: Path, own_folder: Path) -> None:
    """Nothing named, no folder, none of a run, not whole, of an earlier version, of another command, not readable."""
    (own_folder / "empty").mkdir()
    cases: list[tuple[list[str], int, list[str]]] = [
        ([], 2, ["names no run", "alpha-arena verify outputs/backtest/NAME"]),
        (["nowhere"], 1, ["nowhere is not a folder"]),
        (["empty"], 1, ["holds no meta.json"]),
    ]
    for arguments, code, words in cases:
        assert run("verify", *arguments)[:2] == (code, "")
        one_line(run("verify", *arguments)[2], words)
    whole = (made / "meta.json").read_text()
    for change, words in (
        (lambda told: told.update(command="train"), ["is a run of train", "makes runs of backtest, sweep, walkforward, arena again"]),
        (lambda told: told.update(command="sweep"), ["did not keep what its sweep had read", "make the run again"]),
        (lambda told: told.pop("deviation"), ["did not keep what its backtest had read", "make the run again"]),
        (lambda told: told.pop("command"), ["is not that of a run"]),
    ):
        forged(made, change)
        assert run("verify", str(made))[0] == 1
        one_line(run("verify", str(made))[2], words)
        (made / "meta.json").write_text(whole)
    for change, words in (
        (lambda told: told.pop("seal"), ["kept no hashes of its files"]),
        (lambda told: told["read"].update({BTC: 3}), ["meta.json was changed after the run", "take it from a copy"]),
        (lambda told: told.update(command=["backtest"]), ["meta.json was changed after the run"]),
    ):
        rewritten(made / "meta.json", change)
        assert run("verify", str(made))[0] == 1
        one_line(run("verify", str(made))[2], words)
        (made / "meta.json").write_text(whole)
    (made / "trades.parquet").unlink()
    one_line(run("verify", str(made))[2], ["is not whole, trades.parquet is missing"])
    (made / "meta.json").write_text("{")
    one_line(run("verify", str(made))[2], ["cannot be read as a JSON object"])


@pytest.mark.parametrize(("name", "part"), [("equity.parquet", "equity"), ("result.json", "result")])
def test_a_file_that_cannot_be_read_is_one_that_differs(run: Run, made: Path, name: str, part: str) -> None:
    """The others are compared."""
    (made / name).write_bytes(b"x")
    code, parts = verify(run, made)
    assert (code, differing(parts)) == (1, ["files", part])


def test_a_configuration_that_cannot_be_read_ends_it(run: Run, made: Path) -> None:
    """Nothing can be made again from it."""
    (made / "config.yaml").write_bytes(b"[")
    code, out, err = run("verify", str(made))
    assert (code, out) == (1, "")
    one_line(err, ["cannot be read as a configuration"])
