"""The table of jobs in docs/commands.md is run, top to bottom, in one database."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from console import Run

from alpha_arena.cli import COMING, COMMANDS
from alpha_arena.settings import load

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
# run until interrupted: what they do is tested with the flows and the monitor
LIVE = ("up", "serve")


def jobs() -> Iterator[tuple[str, list[str]]]:
    """Job and arguments of each row."""
    for job, command in re.findall(r"^\| (.+?) \| `alpha-arena (.+?)` \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE):
        yield job, shlex.split(command)


def test_every_job_is_one_command(run: Run) -> None:
    """Each ends with 0, those that are coming with 1 and one line; the loop is stopped after a turn.

    The one that trades at an exchange finds none here, and says how to start one.
    """
    seen = list(jobs())
    assert len(seen) == 22
    for job, (command, *overrides) in seen:
        if command in LIVE:
            assert load(command, overrides).command == command
            continue
        if "executor=okx" in overrides and command == "trade":
            code, out, err = run(command, *overrides)
            assert (code, out) == (2, ""), (job, err)
            assert "start one with alpha-arena exchange" in err
            continue
        code, out, err = run(command, *overrides, *(["loop.cycles=1"] if command == "loop" else []))
        if "(coming)" in job:
            assert (code, out, err.count("\n")) == (1, "", 1), (job, err)
            assert "comes with a later version" in err
        else:
            assert code == 0, (job, err)
            assert out.strip(), job


def commands_in(text: str) -> Iterator[list[str]]:
    """Arguments of each command that stands in a text, in a block or between backticks; `cmd1|cmd2` is a table's own bar."""
    for told in re.findall(r"(?:^|`)(?:\.venv/bin/)?alpha-arena ([a-z][^`\n]*)", text, re.MULTILINE):
        yield shlex.split(told.replace("NAME", "default"), comments=True)


@pytest.mark.parametrize(
    "page",
    [
        *("README.md", "docs/live.md", "docs/operations.md", "docs/strategies.md", "docs/extending.md", "docs/walkforward.md"),
        *("docs/proof.md", "docs/laboratory.md", "docs/arena.md", "docs/models.md", "docs/monitor.md"),
    ],
)
def test_every_command_in_the_documents_is_one(page: str) -> None:
    """It is known, and its overrides fit; what it does is tested where the command is."""
    for command, *overrides in commands_in((DOCUMENT.parents[1] / page).read_text(encoding="utf-8")):
        assert command in COMMANDS or command == "COMMAND"
        if all("=" in one and not one.startswith("plugins=") for one in overrides):
            assert load(command, overrides).command == command


def test_the_commands_of_live_trading_are_all_there() -> None:
    """The page on it names what a person needs when it matters."""
    named = {command for command, *_ in commands_in((DOCUMENT.parent / "live.md").read_text(encoding="utf-8"))}
    assert {"up", "exchange", "trade", "doctor", "kill", "pause", "close", "resume", "acknowledge"} <= named


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented(command: str) -> None:
    """In the table of commands, and with a root file."""
    assert f"| `{command}` |" in DOCUMENT.read_text(encoding="utf-8")
    assert load(command).command == command


def test_what_is_coming_is_documented() -> None:
    """By name."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [name for name in COMING if name not in text] == []
