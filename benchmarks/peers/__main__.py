"""The engine against peers on the same bars: python -m benchmarks.peers [quick] [parity | full | search | cold | loop | database ...]

Installs the peers in an environment of their own (.venv-peers), runs one rule in each and in ours, and prints what the project must show.
Without a part all of them; `quick` takes a tenth of the bars. Times are process CPU time, medians, one thread, after a warm run, unless a
row says wall; everything is measured in the same minutes on the same machine, so the ratios count, and they count on an idle machine.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np

from benchmarks.peers import anchor, environment, ours, terms
from benchmarks.peers.clocks import typical
from benchmarks.peers.environment import together, told, wall

SIZES, SEARCHED, TRIALS, STREAMED, LOOPED, STORED = (10_000, 100_000), 20_000, 1_000, 4_000_000, 10_000, 1_000_000
ENGINES = ("vectorbt-rust", "vectorbt-numba", "backtesting.py", "backtrader", "freqtrade")
GOALS = {"vectorbt-rust": 10, "backtesting.py": 400, "backtrader": 3_000, "freqtrade": 2_500}
DIFFERENCES = {
    "ours": "levels act from the bar of the fill on; after one was reached the next entry is at the following close at the earliest.",
    "vectorbt-rust": "levels are fractions of the fill's price, looked at from the bar after it on, and a new entry may follow at once.",
    "backtesting.py": "the rule as ours, told to wait after a level; a take fills where the price touches it, ours beyond it.",
    "backtrader": "the rule as ours, sized at the close that decides; a take fills at the open where that is better.",
    "freqtrade": "one fixed stop and take (multiples of the median ATR) instead of the bar's own, and no waiting after a level.",
}


@dataclass(frozen=True)
class Scale:
    """How much of everything is measured, and where the bars lie."""

    part: float
    folder: Path

    def of(self, count: int) -> int:
        """So many, or a part of them."""
        return int(count * self.part)

    def bars(self, count: int) -> Path:
        """A file of that many bars."""
        path = self.folder / f"{count}.npz"
        if not path.exists():
            np.savez(path, **terms.bars(count))
        return path


def row(*cells: object) -> None:
    """A line of a table."""
    print("|", " | ".join(map(str, cells)), "|", flush=True)


def head(*cells: str) -> None:
    """The top of a table."""
    print()
    row(*cells)
    row(*(["---", *["---:"] * (len(cells) - 1)]))


def goal(what: str, measured: float, least: float | None, most: float | None = None, unit: str = "x") -> None:
    """A line of the table of goals."""
    wanted = f"at least {least:,.10g} {unit}" if least is not None else f"at most {most:,.10g} {unit}"
    met = measured >= least if least is not None else most is not None and measured <= most
    row(what, f"{measured:,.3g} {unit}" if measured < 1000 else f"{measured:,.0f} {unit}", wanted, "yes" if met else "NO")


GOAL_COLUMNS = ("what", "measured", "wanted", "met")


def parity(scale: Scale) -> None:
    """Case A1."""
    print(f"\n{anchor.compared(told(True, 'parity', scale.bars(scale.of(SIZES[0]))))}")


def full(scale: Scale) -> None:
    """Each engine's run of the same bars."""
    ratios: dict[str, dict[str, float]] = {}
    for count in map(scale.of, SIZES):
        market = ours.market_of(terms.bars(count))
        made = {name: timed(run, market) for name, run in (("ours", ours.full), ("ours, in sums", ours.in_sums))}
        for name in ENGINES:
            made[name] = told(True, name, scale.bars(count))
        head(f"{count:,} bars", "ns a bar", "x ours", "x ours in sums", "trades", "total return")
        for name, seen in made.items():
            factors = [f"{seen['seconds'] / made[own]['seconds']:,.1f}" for own in ("ours", "ours, in sums")]
            row(name, f"{seen['seconds'] / count * 1e9:,.1f}", *factors, seen["trades"], f"{seen['total_return']:.2%}")
        ratios = {own: {name: made[name]["seconds"] / made[own]["seconds"] for name in GOALS} for own in ("ours", "ours, in sums")}
    print()
    for name, text in DIFFERENCES.items():
        print(f"- {name}: {text}")
    head(*GOAL_COLUMNS)
    for name, least in GOALS.items():
        for own in ratios:
            goal(f"full run against {name} ({own})", ratios[own][name], least)


def timed(run: Callable[[Any], dict[str, Any]], market: Any) -> dict[str, Any]:
    """A run of ours, after one that compiles."""
    run(market)
    seconds, figures = typical(lambda: run(market))
    return {"seconds": seconds, **figures}


def search(scale: Scale) -> None:
    """A thousand combinations, theirs and ours, on one core and on two, and their memory."""
    path, count = scale.bars(scale.of(SEARCHED)), scale.of(TRIALS)
    theirs = told(True, "sweep", path, count)
    alone = [told(False, "search", path, count) for _ in range(3)]
    each, one_wall = median(run["cpu"] for run in alone) / count, median(run["ended"] - run["began"] for run in alone)
    pairs = [together(2, "search", path, count) for _ in range(3)]
    two_wall = median(max(run["ended"] for run in pair) - min(run["began"] for run in pair) for pair in pairs)
    head(f"{count:,} combinations on {scale.of(SEARCHED):,} bars", "a second and core")
    row("ours", f"{1 / each:,.0f}")
    row("vectorbt-rust, two figures of the equity", f"{1 / theirs['figures']:,.0f}")
    row("vectorbt-rust, simulation alone", f"{1 / theirs['simulation']:,.0f}")
    head(*GOAL_COLUMNS)
    goal("search with figures of the equity, per core, against vectorbt-rust", theirs["figures"] / each, 50)
    goal("the same against vectorbt-rust's simulation alone", theirs["simulation"] / each, 40)
    goal("two cores against one (wall)", 2 * one_wall / two_wall, 1.8)
    goal("memory of the search above what the process held", max(run["mib"] for run in alone), None, 250, "MiB")


def streaming(scale: Scale) -> None:
    """The simulation against reading its five columns."""
    from alpha_arena.backtest.jit import run
    from alpha_arena.backtest.kernel import _detail, _wishes, staged
    from alpha_arena.backtest.tally import tally
    from alpha_arena.features.compiled import compiled

    @compiled
    def read(one: Any, two: Any, three: Any, four: Any, five: Any) -> float:
        total = 0.0
        for t in range(one.size):
            total += one[t] + two[t] + three[t] + four[t] + five[t]
        return total

    count = scale.of(STREAMED)
    market = ours.market_of(terms.bars(count))
    stage = staged(market, initial_capital=terms.CASH, **ours.account())
    wishes = _wishes(stage, ours.strategy().signals(market), None)
    columns = (market.open, market.high, market.low, market.close, wishes.exposure)
    given, money = (stage.bars, wishes, stage.settlements), (stage.rules, stage.capital)
    detail = _detail(market, None, 0)
    works = {
        "read": lambda: read(*columns),
        "path": lambda: run(*given, detail, *money),
        "sums": lambda: tally(*given, *money, ours.BLOCKS),
    }
    taken = {}
    for name, work in works.items():
        work()
        taken[name] = typical(work)[0]
    head(f"{count:,} bars", "ns a bar")
    for name, seconds in taken.items():
        row(name, f"{seconds / count * 1e9:,.2f}")
    head(*GOAL_COLUMNS)
    goal("simulation against reading its columns, whole path", taken["path"] / taken["read"], None, 8)
    goal("simulation against reading its columns, in sums", taken["sums"] / taken["read"], None, 8)


def cold(scale: Scale) -> None:
    """Whole processes, imports and all, a cache of compiled code being there."""
    path = scale.bars(scale.of(SIZES[0]))
    runs = {"notebook's call": (False, "cold"), "kernel": (False, "kernel"), "backtesting.py": (True, "cold")}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(5):
        for name, (theirs, what) in runs.items():
            took = wall(theirs, what, path)
            seconds[name].extend([took] if turn else [])
    head(f"one backtest of {scale.of(SIZES[0]):,} bars, cold (wall)", "seconds")
    middle = {name: median(taken) for name, taken in seconds.items()}
    for name, took in middle.items():
        row(name, f"{took:.2f}")
    head(*GOAL_COLUMNS)
    for name in ("notebook's call", "kernel"):
        goal(f"cold backtest against backtesting.py, {name}", middle["backtesting.py"] / middle[name], 1)


def loop(scale: Scale) -> None:
    """The trading loop as a backtest runs it: one strategy, the shipped risk rules, memory as its store."""
    from alpha_arena.settings import load
    from alpha_arena.wiring.backtesting import play, window
    from alpha_arena.wiring.desk import study_of, trader_of

    settings = load("backtest", ["strategy=ema_trend"])
    markets = {ours.BTC: ours.market_of(terms.bars(scale.of(LOOPED)))}
    part, trader, study = window(markets, None, None), trader_of(settings), study_of(settings, markets)
    play(study, trader, settings.initial_capital, part)
    seconds, store = typical(lambda: play(study, trader, settings.initial_capital, part), 4.0)
    assert len(store.decisions) == part.rows
    head(*GOAL_COLUMNS)
    goal("trading loop, a bar", seconds / part.rows * 1e6, None, 40, "us")


def database(scale: Scale) -> None:
    """Candles against plain sqlite3, as benchmarks/database.py times them."""
    from alpha_arena.data.service import DataService
    from benchmarks.database import BTC, bars, plain_read, plain_write, seconds

    rows = bars(scale.of(STORED))
    writes, reads = [], []
    for turn in range(3):
        folder = scale.folder / f"db{turn}"
        folder.mkdir()
        service = DataService(f"sqlite:///{folder}/ours.db")
        service.upgrade()
        theirs = seconds(lambda to=folder / "theirs.db": plain_write(to, rows))
        writes.append(theirs / seconds(lambda to=service: to.write_candles("x", BTC, "1m", rows)))
        theirs = seconds(lambda to=folder / "ours.db": plain_read(to))
        reads.append(theirs / seconds(lambda to=service: to.get_candles_range(BTC, "1m", 0, 2**60)))
        service.close()
    head(*GOAL_COLUMNS)
    goal(f"reading {len(rows):,} candles into arrays against fetchall and numpy (wall)", median(reads), 1)
    goal(f"writing {len(rows):,} candles against executemany (wall)", median(writes), 0.5)


PARTS = {part.__name__: part for part in (parity, full, search, streaming, cold, loop, database)}


@contextmanager
def scaled(part: float) -> Iterator[Scale]:
    """A scale with a folder for its bars."""
    with tempfile.TemporaryDirectory() as folder:
        yield Scale(part, Path(folder))


def main(words: list[str]) -> None:
    """Measure and print."""
    unknown = [word for word in words if word not in PARTS and word != "quick"]
    if unknown:
        sys.exit(f"{unknown[0]!r} is no part; there are {', '.join(PARTS)}, and quick")
    environment.install()
    chosen = [PARTS[word] for word in words if word in PARTS] or list(PARTS.values())
    load, began = os.getloadavg()[0], process_time()
    print(f"load before: {load:.1f} on {os.cpu_count()} cores{'' if load < 0.5 else ': other work runs, the figures are not to be kept'}")
    with scaled(0.1 if "quick" in words else 1.0) as scale:
        for part in chosen:
            part(scale)
    print(f"\nload after: {os.getloadavg()[0]:.1f}; {process_time() - began:.0f} s of this process's CPU time")


if __name__ == "__main__":
    main(sys.argv[1:])
