"""The command line itself: what it prints where, its exit codes, how fast it answers."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import redirect_stdout
from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from console import Run, one_line

from alpha_arena.cli import COMING, COMMANDS, main
from alpha_arena.commands import loop, spelled
from alpha_arena.commands.output import cell, jsonable, print_text
from alpha_arena.settings import load

HELP_S = 0.5


def process(*arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """The command line as a process of its own."""
    program = ["-c", code] if code else ["-m", "alpha_arena.cli"]
    return subprocess.run([sys.executable, *program, *arguments], capture_output=True, text=True, check=False, timeout=60)


def test_help_answers_at_once_and_knows_no_hydra() -> None:
    """Its processor time, since the machine may be busy; nothing heavy is imported."""
    heavy = "{'hydra', 'omegaconf', 'numpy', 'pandas', 'pydantic', 'prefect', 'gradio', 'sqlalchemy', 'rich'}"
    script = "import sys, time; from alpha_arena.cli import main; code = main(['--help'])\n"
    script += f"print(sorted({heavy} & set(sys.modules)), time.process_time(), file=sys.stderr); sys.exit(code)"
    done = process(code=script)
    imported, _, seconds = done.stderr.strip().rpartition(" ")
    assert (done.returncode, imported) == (0, "[]")
    assert float(seconds) < HELP_S
    assert [name for name in (*COMMANDS, *COMING) if name not in done.stdout] == []


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_command(run: Run, arguments: list[str]) -> None:
    """Without a command too."""
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    assert out.startswith("alpha-arena COMMAND")


def test_version(run: Run) -> None:
    """Of the package."""
    assert run("--version")[:2] == (0, "alpha-arena 0.1.0\n")


def test_an_unknown_command_names_the_nearest(run: Run) -> None:
    """Exit code 2, one line; also as a process."""
    code, out, err = run("bactest")
    assert (code, out) == (2, "")
    one_line(err, ["did you mean 'backtest'"])
    done = process("bactest")
    assert (done.returncode, done.stdout, done.stderr) == (code, out, err)


@pytest.mark.parametrize("command", COMING)
def test_a_command_that_is_coming_says_so(run: Run, command: str) -> None:
    """It takes overrides all the same."""
    code, out, err = run(command, "symbol=btc", "report=json")
    assert (code, out) == (1, "")
    one_line(err, [command, "later version"])


def test_help_of_a_command_is_hydras(run: Run) -> None:
    """Groups, keys, flags; overrides count."""
    code, out, _ = run("backtest", "--help", "strategy=breakout")
    assert code == 0
    for part in ("strategy: bollinger_range, breakout", "lookback_period: 20", "--multirun", "initial_capital: 10000"):
        assert part in out
    assert "Config search path" in run("backtest", "--info", "searchpath")[1] or "Search Path" in run("backtest", "--info", "searchpath")[1]
    assert "hydra" in run("backtest", "--hydra-help")[1]


def test_the_configuration_is_shown(run: Run) -> None:
    """All of it or a part, resolved or not."""
    assert run("backtest", "--cfg", "job", "--package", "costs.min_notional")[1] == "${oc.decode:${oc.env:PORTFOLIO_MIN_NOTIONAL,10}}\n"
    assert run("backtest", "--cfg", "job", "--resolve", "-p", "costs.min_notional")[1] == "10\n"
    assert "timeframe: 4h\n" in run("backtest", "timeframe=4h", "--cfg", "job")[1]


def test_json_is_one_object_and_all_else_is_on_stderr(run: Run) -> None:
    """Before there is a database, then of each kind of result."""
    code, out, err = run("decide", "report=json")
    assert (code, out) == (1, "")
    one_line(err, ["alpha-arena db upgrade"])
    for arguments in (
        ["db", "upgrade"],
        ["ingest", "since_days=5"],
        ["data", "check"],
        ["decide"],
        ["backtest", "limit=50"],
        ["strategies"],
    ):
        code, out, err = run(*arguments, "report=json")
        assert (code, out.count("\n")) == (0, 1), err
        assert isinstance(json.loads(out), dict)


def test_what_libraries_print_does_not_reach_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    """Only the object does."""
    load("strategies")
    text = io.StringIO()
    with redirect_stdout(text):
        assert main(["strategies", "report=json"]) == 0
    assert json.loads(text.getvalue())["strategies"]


def test_an_import_is_idempotent_and_told_in_rows(run: Run) -> None:
    """A second run changes nothing; text shows the totals."""
    assert run("backfill", "since_days=3", "timeframes=[1h,4h]")[0] == 0
    again = json.loads(run("backfill", "since_days=3", "timeframes=[1h,4h]", "report=json")[1])
    assert (again["inserted"], again["changed"]) == (0, 0)
    assert [one["timeframe"] for one in again["series"]] == ["1h", "4h", "funding"]
    assert "0 changed" in run("backfill", "since_days=3")[1]
    assert "ingest_runs" in run("db", "browse")[1]
    assert "inserted" in run("db", "browse", "db.table=ingest_runs", "limit=1")[1]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["ingest", "exchange=file"], ["exchange.path"]),
        (["ingest", "exchange=file", "exchange.path=nowhere.parquet"], ["exchange.path=nowhere.parquet", "does not exist"]),
        (["ingest", "exchange=null"], ["exchange=file"]),
        (["backfill", "exchange=synthetic"], ["start=", "since_days="]),
        (["db", "browse", "db.table=candels"], ["did you mean 'candles'"]),
        (["data", "stat"], ["did you mean 'stats'"]),
        (["acknowledge", "trader.id=mine"], ["trader.id=mine is not halted"]),
    ],
)
def test_a_command_that_cannot_work_says_why(run: Run, arguments: list[str], named: list[str]) -> None:
    """Exit code 2 and one line; nothing is half-written."""
    assert run("db", "upgrade")[0] == 0
    code, out, err = run(*arguments)
    assert (code, out) == (2, ""), err
    one_line(err, named)
    tables = json.loads(run("db", "browse", "report=json")[1])["tables"]
    assert sum(one["rows"] for one in tables) == 0


@pytest.mark.parametrize("command", ["backtest", "decide", "trade", "sync", "data", "strategies"])
def test_nothing_stored_names_the_next_step(run: Run, command: str) -> None:
    """First the migration, then the import."""
    extra = {"data": ["check"], "strategies": ["on=stored"]}.get(command, [])
    code, _, err = run(command, *extra)
    assert code == 1
    one_line(err, ["db upgrade"])
    run("db", "upgrade")
    code, _, err = run(command, *extra)
    assert code == 1
    one_line(err, ["ingest"])


def test_a_read_only_database_is_said(run: Run, own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that cannot be made, a file that is no database."""
    (own_folder / "notes.txt").write_text("no database\n" * 100)
    for url in (f"sqlite:///{own_folder}/notes.txt", f"sqlite:///{own_folder}/notes.txt/arena.db"):
        monkeypatch.setenv("DATABASE_URL", url)
        code, out, err = run("data", "stats")
        assert (code, out) == (1, "")
        one_line(err, ["notes.txt"])


def test_multirun_runs_each_combination(run: Run) -> None:
    """In order, numbered on stderr."""
    assert run("ingest", "since_days=4")[0] == 0
    code, out, err = run("backtest", "--multirun", "strategy=ema_trend,breakout", "limit=20,30")
    assert code == 0
    assert [line for line in err.splitlines() if line.startswith("[")] == [
        "[1/4] strategy=ema_trend limit=20",
        "[2/4] strategy=ema_trend limit=30",
        "[3/4] strategy=breakout limit=20",
        "[4/4] strategy=breakout limit=30",
    ]
    assert out.count("final equity") == 4
    assert out.count("reached take and stop, the worse assumed") == out.count("kernel: ") + out.count("loop: ") == 4


def test_a_history_too_short_for_the_rules_is_told(run: Run) -> None:
    """A result of nothing is not taken for one of a strategy that found nothing to do."""
    assert run("ingest", "since_days=1")[0] == 0
    code, _, err = run("backtest", "strategy=ema_trend", "limit=5")
    assert code == 0
    assert "warning: no position was wanted in 5 bars: the rules never fired, or there are fewer bars than they need to warm up" in err


def test_an_interrupt_is_said_in_a_sentence(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 130, as shells have it."""
    script = "import sys\nfrom alpha_arena import cli\nimport alpha_arena.commands as commands\n"
    script += "def stop(*_):\n    raise KeyboardInterrupt\ncommands.run_command = stop\nsys.exit(cli.main(['sync']))"
    done = process(code=script)
    assert (done.returncode, done.stdout) == (130, "")
    one_line(done.stderr, ["interrupted"])


def test_a_closed_pipe_is_quiet() -> None:
    """`alpha-arena strategies | head -1`."""
    command = f"{sys.executable} -m alpha_arena.cli strategies | head -1"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "LANG": "C.UTF-8"}
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_loop_keeps_its_interval() -> None:
    """Measured from start to start; a turn that takes longer is followed at once."""
    times, waits = iter([0.0, 100.0, 900.0, 2000.0, 2900.0]), []
    assert main(["db", "upgrade"]) == 0
    settings = load("loop", ["loop.cycles=3", "since_days=2", "schedule.trade=false", "schedule.sync=false"])
    made = loop.run(settings, lambda: next(times), waits.append)
    assert waits == [800.0, 0.0]
    assert [one["decisions"] for one in made["cycles"]] == [0, 0, 0]
    assert made["cycles"][0]["rows"] > 40


def test_a_word_is_short_for_an_action() -> None:
    """Only where the command has one."""
    assert spelled("db", ["browse", "limit=3"]) == ["db.action=browse", "limit=3"]
    assert spelled("data", ["--help"]) == ["--help"]
    assert spelled("trade", ["now"]) == ["now"]


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({"a": nan, "b": [inf, 1.5]}, {"a": None, "b": [None, 1.5]}),
        ({"a": np.float64(2.0), "b": np.arange(2), "c": np.bool_(True)}, {"a": 2.0, "b": [0, 1], "c": True}),
        ({"a": Path("x"), "b": (1, {2}), 3: None}, {"a": "x", "b": [1, [2]], "3": None}),
    ],
)
def test_json_knows_only_plain_values(value: Mapping[str, Any], plain: Mapping[str, Any]) -> None:
    """D81: no NaN in JSON."""
    assert jsonable(value) == plain
    json.dumps(jsonable(value), allow_nan=False)


def test_text_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    """Times as UTC, rows as tables, nothing for what is unknown; markup in data is not interpreted."""
    print_text({"name": "[red]x[/red]", "part": {"deep": 1234.5}, "rows": [{"start_ts": 1_704_067_200_000, "value": nan}], "none": []})
    out = capsys.readouterr().out
    for part in ("[red]x[/red]", "part.deep", "1,234.5", "2024-01-01 00:00", "rows"):
        assert part in out
    assert "nan" not in out
    assert cell("bar_ms", 3_600_000) == "3600000"


def test_a_start_takes_no_longer_than_it_must() -> None:
    """A command that only shows its configuration, in processor seconds of this thread: the machine, and others here, may be busy."""
    began = time.thread_time()
    assert main(["backtest", "--cfg", "job"]) == 0
    assert time.thread_time() - began < 2.0


def test_a_gap_is_found_and_repaired_from_its_own_source(run: Run) -> None:
    """What is missing is named, asked for again where the rows came from, and gone; a second repair finds nothing."""
    for start, end in (("2024-01-01", "2024-01-03"), ("2024-01-04", "2024-01-05")):
        assert run("backfill", f"start={start}", f"end={end}")[0] == 0
    (hole,) = json.loads(run("data", "gaps", "report=json")[1])["gaps"]
    assert (hole["kind"], hole["bars"]) == ("missing", 24)
    made = json.loads(run("data", "repair", "symbol=btc", "timeframe=1h", "report=json")[1])
    assert (made["missing"], made["left"]) == (24, 0)
    assert "nothing" in run("data", "gaps")[1]
    assert "nothing" in run("data", "repair")[1]


def test_rows_of_files_are_repaired_from_files_alone(run: Run, own_folder: Path) -> None:
    """Their source cannot be asked again without its path."""
    assert run("db", "upgrade")[0] == 0
    hours = [hour for hour in range(48) if hour != 20]
    rows = [f"{1_704_067_200_000 + hour * 3_600_000},100,101,99,100,5" for hour in hours]
    (own_folder / "okx_BTC-USDT-SWAP_1h_x.csv").write_text("\n".join(["ts,open,high,low,close,volume", *rows, ""]))
    assert run("ingest", "exchange=file", "exchange.path=okx_BTC-USDT-SWAP_1h_x.csv")[0] == 0
    code, _, err = run("data", "repair")
    assert code == 2
    one_line(err, ["exchange=file exchange.path=FOLDER"])
    left = json.loads(run("data", "repair", "exchange=file", "exchange.path=okx_BTC-USDT-SWAP_1h_x.csv", "report=json")[1])["left"]
    assert left == 1
