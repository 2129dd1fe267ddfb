"""What README says is run as it stands."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAM = f"{shlex.quote(sys.executable)} -m alpha_arena.cli"
PATIENCE_S = 240


def block(language: str, word: str) -> str:
    """The code block of a language that holds a word."""
    return next(text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if word in text)


def environment(folder: Path) -> dict[str, str]:
    """This environment, with the database in a folder."""
    return {**os.environ, "DATABASE_URL": f"sqlite:///{folder / 'data' / 'alpha_arena.db'}", "PYTHONPATH": str(ROOT)}


def test_the_two_commands_of_a_backtest_work_as_written(tmp_path: Path) -> None:
    """A new user copies them; the second leaves a folder with a report."""
    script = block("sh", "backfill").replace(".venv/bin/alpha-arena", PROGRAM)
    done = subprocess.run(["bash", "-ec", script], cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("outputs/backtest/*/report.html"))
    assert "synthetic" in done.stdout + done.stderr


def test_the_notebook_s_three_lines_work_as_written() -> None:
    """A frame in, figures and frames out; the frame is left as it was."""
    rng = np.random.default_rng(5)
    close = 40_000 * np.exp(np.cumsum(rng.normal(0, 0.006, 3_000)))
    open_ = np.r_[40_000, close[:-1]]
    high, low = np.maximum(open_, close) * 1.002, np.minimum(open_, close) * 0.998
    index = pd.date_range("2024-01-01", periods=3_000, freq="h")
    volume = rng.lognormal(3, 0.6, 3_000)
    frame = pd.DataFrame({"open": open_, "high": high, "low": low, "close": close, "volume": volume}, index=index)
    before, names = frame.copy(), {"frame": frame}
    exec(block("python", "alpha_arena.backtest"), names)
    run = names["run"]
    assert run.result["bars"] == 3_000  # type: ignore[attr-defined]
    assert len(run.trades) == run.result["trades"] > 0  # type: ignore[attr-defined]
    pd.testing.assert_frame_equal(frame, before)
    exec(block("python", "alpha_arena.backtest"), names)
    assert names["run"].result["final_equity"] == run.result["final_equity"]  # type: ignore[attr-defined]


def test_what_readme_points_to_is_there() -> None:
    """Links to files of the tree, and the variables it names."""
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.slow
def test_make_run_trades_on_paper_until_it_is_interrupted(tmp_path: Path) -> None:
    """The first command: an address on stdout, a recorded trade, a clean end on Ctrl-C."""
    if not (ROOT / ".venv").is_dir() or shutil.which("make") is None:
        pytest.skip("needs make, and the environment that it makes in .venv")
    shutil.copy2(ROOT / "Makefile", tmp_path)
    shutil.copy2(ROOT / "constraints.txt", tmp_path)
    shutil.copy2(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    for stamp in ("uv.ok", "run.ok"):
        (ROOT / ".venv" / stamp).touch()
    # a pipe that nobody reads would stop it once it is full
    with (tmp_path / "said.txt").open("w") as said:
        process = subprocess.Popen(
            ["make", "run", "ARGS=monitor.port=0"],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            start_new_session=True,
        )
    assert process.stdout
    try:
        address = next(line for line in process.stdout if line.startswith("http"))
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address.strip())
        assert first_trade(tmp_path, process), (tmp_path / "said.txt").read_text()
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=120)


def first_trade(folder: Path, process: subprocess.Popen[str]) -> bool:
    """Wait, by the process's own time, until a fill is recorded; False if it ends before or takes too long."""
    for _ in range(PATIENCE_S):
        with sqlite3.connect(f"file:{folder / 'data' / 'alpha_arena.db'}?mode=ro", uri=True) as connection:
            if connection.execute("SELECT count(*) FROM trades").fetchone()[0]:
                return True
        try:
            process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            continue
        return False
    return False
