"""How often the verdict passes noise, and how often an edge: the table of docs/verdict.md. Run: python benchmarks/verdicts.py"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from alpha_arena.backtest.evidence import Evidence
from alpha_arena.backtest.verdict import Verdict, judge
from alpha_arena.wiring.judging import worth

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "backtest"))

from test_verdict import alone, searched

# name, how many, and the evidence of each
CASES: dict[str, tuple[int, Callable[[int], Evidence]]] = {
    "best of 20 without an edge, 1,000 bars": (300, lambda seed: searched(seed, 20)),
    "best of 100 without an edge, 1,000 bars": (200, lambda seed: searched(seed, 100)),
    "best of 1,000 without an edge, 1,000 bars": (60, lambda seed: searched(seed, 1000)),
    "one alone without an edge, 2,000 bars": (600, lambda seed: alone(0.0, seed)),
    "one alone, edge 0.01 % a bar, 2,000 bars": (600, lambda seed: alone(0.0001, seed)),
    "one alone, edge 0.1 % a bar, 2,000 bars": (200, lambda seed: alone(0.001, seed)),
    "one of 100, edge 0.1 % a bar, 2,000 bars": (100, lambda seed: searched(seed, 100, 2000, 0.001)),
    "one alone, edge 0.2 % a bar, 2,000 bars": (100, lambda seed: alone(0.002, seed)),
    "one of 100, edge 0.2 % a bar, 2,000 bars": (100, lambda seed: searched(seed, 100, 2000, 0.002)),
}


def judged(found: Evidence) -> Verdict:
    """As a sweep judges it: its trials are worth what they are by their blocks."""
    return judge(replace(found, effective_trials=worth(found.trials, found.blocks)))


def main() -> None:
    """A line a case, as it is done."""
    print("| case | runs | PASS | WEAK | REJECT | earned | PSR above 95 % | SPA at most 5 % |\n|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, (runs, made) in CASES.items():
        began, every = time.perf_counter(), [judged(made(seed)) for seed in range(runs)]
        grades = Counter(one.grade for one in every)
        figures = [one.figures for one in every]
        counts = [sum(f[key] > bound for f in figures) for key, bound in (("net_return", 0.0), ("psr", 0.95))]
        superior = sum(f["spa_p"] <= 0.05 for f in figures) if figures[0]["candidates"] else "–"
        cells = (runs, grades["PASS"], grades["WEAK"], grades["REJECT"], *counts, superior)
        print(f"| {name} | {' | '.join(map(str, cells))} |", flush=True)
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
