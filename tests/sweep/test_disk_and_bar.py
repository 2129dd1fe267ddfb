"""A sweep whose disk fills up in the middle says so and goes on later; its bar is for terminals alone."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from laboratory import BTC, SPACE, same, search
from raylab import COMBINATIONS, MANY, sweep

from alpha_arena.data.service import DataService
from alpha_arena.data.trials import times_tried

ROOM = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes}, resource.RLIM_INFINITY))"
QUIETLY = ("ray.use=never", "ray.workers=2")


def test_a_database_that_cannot_grow(service: DataService) -> None:
    """No file may become larger than half of what the trials need: one sentence, what was kept stays, the same command does the rest."""
    service.close()
    done = sweep(*SPACE, *MANY, *QUIETLY, prelude=ROOM.format(bytes=600_000))
    assert (done.returncode, done.stdout) == (1, "")
    assert "refused" in done.stderr
    assert "free some space" in done.stderr
    assert done.stderr.count("\n") == 1
    kept = times_tried(service, BTC, "1h")
    assert 0 < kept < COMBINATIONS / 2
    again = search(service, *MANY)
    assert again.book.reused == kept
    assert same(again.book, search(service, *MANY, remember=False).book)


def test_outputs_that_cannot_grow(service: DataService, tmp_path: Path) -> None:
    """The trials are kept and nothing half-written is left; the same command then writes the folder without trying anything again."""
    done = sweep(*SPACE, *QUIETLY, prelude=ROOM.format(bytes=600_000))
    assert (done.returncode, done.stdout) == (1, "")
    assert "could not be written (File too large); free some space or choose another with outputs=" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list((tmp_path / "outputs" / "sweep").iterdir()) == []
    again = json.loads(sweep(*SPACE, *QUIETLY, "report=json").stdout)
    assert again["reused"] == again["made"] == times_tried(service, BTC, "1h")
    assert (Path(again["folder"]) / "report.html").exists()


def test_outputs_that_are_no_folder(service: DataService, tmp_path: Path) -> None:
    """Said with what to give instead."""
    (tmp_path / "taken").write_text("")
    done = sweep(*SPACE, *QUIETLY, "outputs=taken/here")
    assert done.returncode == 1
    assert "taken/here cannot be written (Not a directory); choose another folder with outputs=" in done.stderr


@pytest.mark.parametrize("terminal", [True, False])
def test_the_bar(terminal: bool, service: DataService) -> None:
    """On a terminal how many of how many, how fast and how long still; without one nothing."""
    command = [sys.executable, "-m", "alpha_arena.cli", "sweep", *SPACE, *MANY, *QUIETLY, "report=json"]
    ours, theirs = pty.openpty()
    # a terminal without columns has no room for a bar
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs if terminal else subprocess.PIPE, text=True) as process:
        os.close(theirs)
        shown = all_of(ours) if terminal else ""
        out, err = process.communicate()
    os.close(ours)
    assert json.loads(out)["combinations"] == COMBINATIONS
    shown = shown or err
    assert ("trials/s" in shown, f"/{COMBINATIONS} [" in shown, "<" in shown) == (terminal,) * 3
    assert bool(shown) == terminal


def all_of(terminal: int) -> str:
    """What was written to a terminal; its end is an error once nobody has it open."""
    out = b""
    try:
        while part := os.read(terminal, 4096):
            out += part
    except OSError:
        return out.decode()
    return out.decode()
