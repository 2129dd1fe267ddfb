"""A peer's side of the comparison, run in the peers' own environment: run_peer.py TASK BARS.npz [COUNT], JSON on the last line.

vectorbt (Apache 2 with Commons Clause) and backtesting.py (AGPL) are imported here and in the files beside it, by this process alone:
nothing that is shipped imports them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.peers.clocks import typical
from benchmarks.peers.terms import Columns, load

WARM_BARS = 2_000
ENGINES = {
    "vectorbt-rust": ("peer_vectorbt", "rust"),
    "vectorbt-numba": ("peer_vectorbt", "numba"),
    "backtesting.py": ("peer_backtesting", ""),
    "backtrader": ("peer_backtrader", ""),
    "freqtrade": ("peer_freqtrade", ""),
}


def engine(name: str) -> Callable[[Columns], dict[str, Any]]:
    """The peer's full run of bars: trades, total_return and what else it says."""
    module, variant = ENGINES[name]
    prepared: Callable[[Columns], dict[str, Any]] = import_module(f"benchmarks.peers.{module}").engine(variant)
    return prepared


def full(name: str, columns: Columns) -> dict[str, Any]:
    """Seconds of a full run, indicators and figures in, after a short one that compiles."""
    run = engine(name)
    run({key: values[:WARM_BARS] for key, values in columns.items()})
    seconds, figures = typical(lambda: run(columns))
    return {"seconds": seconds, **figures}


def main(task: str, path: str, *rest: str) -> None:
    """Do it and print."""
    columns = load(Path(path))
    if task in ENGINES:
        made = full(task, columns)
    elif task == "sweep":
        made = import_module("benchmarks.peers.peer_vectorbt").search(columns, int(rest[0]))
    elif task == "cold":
        made = engine("backtesting.py")(columns)
    else:
        made = import_module("benchmarks.peers.peer_backtesting").parity()
    print(json.dumps(made))


if __name__ == "__main__":
    main(*sys.argv[1:])
