"""What the tests of Ray work with: a space of many jobs, the command in a process of its own, and a plugin's strategy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
from laboratory import SPACE

from alpha_arena.settings.laboratory import Cluster

MANY = ("sweep.strategies.ema_trend.take_profit_atr=1..8/0.1",)
COMBINATIONS = 18 * 71
LIMIT_S = 540
ACTOR = "ray::_Actor"
SEVERAL = "Found multiple active Ray instances"
PLUGIN = '''
import os

import numpy as np
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import Market
from alpha_arena.core.types import Signals


@dataclass(frozen=True)
class Own:
    """In the market every so many bars."""

    lookback: int
    every: int
    exposure: float
    mortal: bool
    max_position: float
    max_leverage: float

    def signals(self, market: Market) -> Signals:
        if self.mortal and os.getpid() != int(os.environ["DRIVER"]):
            os.kill(os.getpid(), 9)
        none = np.full(len(market), np.nan)
        return Signals(np.where(np.arange(len(market)) // self.every % 2, self.exposure, 0.0), none, none, np.ones(len(market)))
'''


def local(workers: int) -> Cluster:
    """Ray on this machine."""
    return Cluster(use="always", address="local", workers=workers, above_s=0.0)


def actors(parent: int) -> list[psutil.Process]:
    """Workers on Ray that a process has started."""
    return [process for process in psutil.Process(parent).children(recursive=True) if _title(process).startswith(ACTOR)]


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def sweep(*overrides: str, prelude: str = "", environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """`alpha-arena sweep` in a process of its own; prelude: what is run in it before."""
    program = f"import sys\nfrom alpha_arena.cli import main\n{prelude}\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "sweep", *overrides]
    return subprocess.run(command, env={**os.environ, **(environment or {})}, capture_output=True, text=True, timeout=LIMIT_S, check=False)


def found(*overrides: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """What a sweep over many combinations says as JSON."""
    done = sweep(*SPACE, *MANY, "report=json", *overrides, environment=environment)
    # with ray.address=auto Ray says so where it sees a second cluster, one of another test that is just ending among them
    said = [line for line in done.stderr.splitlines() if SEVERAL not in line]
    assert (done.returncode, said) == (0, []), done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def plugin(folder: Path) -> str:
    """A user's own package with a strategy; the override that names it."""
    (folder / "conf" / "strategy").mkdir(parents=True)
    (folder / "own_rule.py").write_text(PLUGIN)
    values = "lookback: 0\nevery: 5\nexposure: 0.5\nmortal: false\nmax_position: 1.0\nmax_leverage: 1.0\n"
    (folder / "conf" / "strategy" / "own.yaml").write_text(f"_target_: own_rule.Own\n{values}")
    return f"plugins={folder}"
