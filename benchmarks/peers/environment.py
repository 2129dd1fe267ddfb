"""The peers' own environment beside the project's, and the processes that run in either."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".venv-peers"
# vectorbt is Apache 2 with Commons Clause, backtesting.py AGPL, backtrader and freqtrade GPL: none of them is a dependency of the project
PEERS = ("backtesting==0.6.6", "vectorbt==1.2.0", "vectorbt-rust==1.2.0", "backtrader==1.9.78.123", "freqtrade==2026.9", "ta-lib")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def python() -> Path:
    """Theirs."""
    return HOME / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install() -> None:
    """Make the environment where it is not there; a part that is there stays."""
    marker = HOME / "peers.txt"
    wanted = "\n".join(PEERS)
    if marker.exists() and marker.read_text(encoding="utf-8") == wanted:
        return
    uv = Path(sys.executable).with_name("uv")
    links = ["--find-links", os.environ["PIP_FIND_LINKS"]] if "PIP_FIND_LINKS" in os.environ else []
    if not HOME.exists():
        subprocess.run([sys.executable, "-m", "venv", str(HOME)], check=True)
    tool = (
        [str(uv), "pip", "install", "--quiet", "--python", str(python()), *links]
        if uv.exists()
        else [str(python()), "-m", "pip", "install", "-q"]
    )
    subprocess.run([*tool, *PEERS], check=True)
    marker.write_text(wanted, encoding="utf-8")


def surroundings(theirs: bool) -> dict[str, str]:
    """One thread, and bytecode kept from the first run on; a peer reaches loopback alone, since none needs more and freqtrade would ask an
    exchange."""
    guard = {"PYTHONPATH": str(ROOT / "tests" / "guard")} if theirs else {}
    return {**os.environ, **ONE_THREAD, **guard, "PYTHONDONTWRITEBYTECODE": ""}


def command(theirs: bool, *arguments: object) -> list[str]:
    """A script of this folder with its arguments, in their environment or ours."""
    script = Path(__file__).parent / ("run_peer.py" if theirs else "ours.py")
    return [str(python() if theirs else sys.executable), str(script), *map(str, arguments)]


def told(theirs: bool, *arguments: object) -> dict[str, Any]:
    """What the script prints on its last line.

    Raises:
        RuntimeError: it failed; its last lines are in the message.
    """
    done = subprocess.run(command(theirs, *arguments), capture_output=True, text=True, env=surroundings(theirs), check=False)
    if done.returncode:
        raise RuntimeError(f"{arguments[0]}: {done.stderr.strip()[-400:]}")
    made: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return made


def wall(theirs: bool, *arguments: object) -> float:
    """Seconds of the whole process, imports and all."""
    began = perf_counter()
    told(theirs, *arguments)
    return perf_counter() - began


def together(count: int, *arguments: object) -> list[dict[str, Any]]:
    """As many processes of ours at once."""
    running = [
        subprocess.Popen(command(False, *arguments), stdout=subprocess.PIPE, text=True, env=surroundings(False)) for _ in range(count)
    ]
    return [json.loads(process.communicate()[0].strip().splitlines()[-1]) for process in running]
