"""A sweep: a search with what it leaves, the best of it simulated whole and judged by everything that was ever tried."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import psutil
from numpy.typing import NDArray

from alpha_arena.backtest.evidence import Evidence
from alpha_arena.backtest.result import Run
from alpha_arena.backtest.search import Found, best_first, blocks_of_trials, figures_of, objective_of
from alpha_arena.backtest.verdict import Verdict, judge
from alpha_arena.core.errors import ConfigError
from alpha_arena.core.types import Floats
from alpha_arena.data.trials import Trial, Tried, finished, record_trials, tried
from alpha_arena.decision.single import Single
from alpha_arena.settings import Settings
from alpha_arena.settings.laboratory import Sweep
from alpha_arena.wiring.backtesting import Progress, are_generated, simulate
from alpha_arena.wiring.judging import evidence
from alpha_arena.wiring.proof import searched
from alpha_arena.wiring.searching import Book, Ground, PoolOf, Searching, grounds_of, series_of

if TYPE_CHECKING:
    from alpha_arena.data.service import DataService

HOUR_S, MIB = 3600.0, 2**20
# of a combination, refused ones included, when the search is judged, as measured: sums 400, values 250, table 420, blocks and draws 700
EACH_BYTES = 1800
# of the machine's memory; the rest is for the workers, what is known from before, and others
MEMORY_SHARE = 0.5


class NothingMade(ConfigError):
    """No combination of a search could be made or traded."""


@dataclass(frozen=True)
class Finish:
    """A finished search, before it is judged.

    Attributes:
        ever: all that was tried on each series. generated: candles are not real. where: who did the work.
    """

    searching: Searching
    book: Book
    columns: Mapping[str, Floats]
    ever: Sequence[Tried]
    generated: bool
    where: str
    seconds: float


def too_large(searching: Searching, estimate_s: float, settings: Settings, trainings: int = 0) -> None:
    """Refuse a search that nobody may have meant, or that memory cannot hold, before anybody is called to work on it.

    Args:
        trainings: of a walk-forward, in each of which a combination has an objective.

    Raises:
        ConfigError: it has more combinations than sweep.most, or needs more than MEMORY_SHARE of the machine's memory; says how many, how
            long and how much.
    """
    most, each, there = searching.search.most, EACH_BYTES + 8 * trainings, psutil.virtual_memory().total
    needed = searching.total * each
    workers = (settings.cluster.workers if settings.cluster else None) or os.cpu_count() or 1
    long = f"about {duration(estimate_s / workers)} on {workers} workers and {needed / MIB:,.0f} MiB of memory"
    said = f"the space has {searching.total:,} combinations, {long}"
    if needed > MEMORY_SHARE * there:
        fit = int(MEMORY_SHARE * there / each)
        raise ConfigError(
            f"{said}, more than {MEMORY_SHARE:.0%} of the {there / MIB:,.0f} MiB of this machine, confirm=true or not; "
            f"take fewer values, or sweep.method=random with sweep.trials={min(most, fit)}"
        )
    if searching.total > most and not settings.confirm:
        raise ConfigError(f"{said}, more than sweep.most={most:,}; take fewer values or sweep.method=random, or say confirm=true")


def duration(seconds: float) -> str:
    """A stretch of time in words."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * HOUR_S else f"{seconds / HOUR_S:.1f} h"


def run_sweep(settings: Settings, service: DataService, pool_of: PoolOf, now_ms: int, told: Progress | None = None) -> Found:
    """Search, then judge the best.

    Every trial is kept in the database as it is made, so that a search that was stopped goes on where it was.

    Args:
        pool_of: who does the work, given benches, templates and the estimated seconds of one core. now_ms: ms UTC.

    Raises:
        ConfigError: the space is empty, does not fit, or is too large. NoData: nothing is stored. NothingMade: no trial traded.
    """
    grounds = grounds_of(settings, service)
    searching = Searching(settings, grounds, [finished(service, ground.data_hash) for ground in grounds])
    searching.keep = partial(keep_trials, service, settings.trader, now_ms, f"sweep-{now_ms}", searching)
    estimate, began = searching.probe(), time.perf_counter()
    too_large(searching, estimate, settings)
    with pool_of([ground.bench for ground in grounds], settings.templates, estimate) as pool:
        book = searching.run(pool, told)
        where = str(pool)
    read = dict(zip(series_of(settings), (ground.bench.market for ground in grounds), strict=True))
    generated = are_generated(settings, service)
    ever = [tried(service, ground.series.symbol, ground.series.timeframe, ground.series.bars) for ground in grounds]
    done = Finish(searching, book, columns_of(searching, book), ever, generated, where, time.perf_counter() - began)
    found = found_of(settings, done)
    return replace(found, read=read, proof=searched(found.run, settings, service, read, ever))


def keep_trials(service: DataService, trader: str, now_ms: int, name: str, searching: Searching, rows: Sequence[int]) -> None:
    """Keep finished rows of a search in the database. name: of the search."""
    record_trials(service, trader, now_ms, list(trials_of(searching, rows, name)))


def trials_of(searching: Searching, rows: Sequence[int], name: str) -> Iterator[Trial]:
    """Finished rows as they are kept."""
    figures = searching.book.outcomes
    for row, per_bar in zip(rows, sharpes(searching, rows), strict=True):
        task, draft = searching.task_of(row), searching.book.drafts[row]
        assert draft
        ground = searching.grounds[task.ground]
        parameters = {**searching.templates[draft.strategy].values, **draft.varied}
        yield Trial(
            search=name,
            symbol=ground.series.symbol,
            timeframe=ground.series.timeframe,
            strategy=draft.strategy,
            parameters=parameters,
            config_hash=searching.hash_of(task.ground, draft),
            data_hash=ground.data_hash,
            bar_sharpe=per_bar,
            bars=ground.series.bars,
            figures=figures.figures[row, 0],
            sums=figures.sums[row, 0],
            squares=figures.squares[row, 0],
        )


def sharpes(searching: Searching, rows: Sequence[int]) -> list[float]:
    """Per bar, of each row."""
    where, out = np.asarray(rows, np.int64), np.full(len(rows), nan)
    owner = np.searchsorted([task.first for task in searching.tasks], where, side="right") - 1
    for number in np.unique(owner):
        task, mine = searching.tasks[number], owner == number
        out[mine] = figures_of(searching.book.outcomes.figures[where[mine], 0], searching.grounds[task.ground].series)["bar_sharpe"]
    return [float(value) for value in out]


def columns_of(searching: Searching, book: Book) -> dict[str, Floats]:
    """Figures of all trials, row by row."""
    parts = [
        figures_of(book.outcomes.figures[t.first : t.first + t.trials, 0], searching.grounds[t.ground].series) for t in searching.tasks
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def table_of(searching: Searching, book: Book, columns: Mapping[str, Floats]) -> pd.DataFrame:
    """A row a trial (see Found)."""
    series = [searching.grounds[task.ground].series for task in searching.tasks]
    counts = [task.trials for task in searching.tasks]
    own = {name: np.repeat([getattr(one, name) for one in series], counts) for name in ("symbol", "timeframe")}
    strategy = np.repeat([task.space.strategy for task in searching.tasks], counts)
    varied = {
        f"{task.space.strategy}.{axis.name}": varied_column(searching, book, task.space.strategy, axis.name)
        for task in searching.tasks
        for axis in task.space.axes
    }
    refused = [book.refused.get(row, "") for row in range(searching.total)]
    return pd.DataFrame({**own, "strategy": strategy, **varied, **columns, "refused": refused})


def varied_column(searching: Searching, book: Book, strategy: str, name: str) -> NDArray[Any]:
    """A parameter's value in each trial of its strategy, NaN elsewhere; where some are no numbers as text, "" elsewhere."""
    values = [d.varied.get(name) if d and d.strategy == strategy else None for d in book.drafts]
    try:
        return np.array([nan if value is None else value for value in values], np.float64)
    except (TypeError, ValueError):
        return np.array(["" if value is None else str(value) for value in values])


def found_of(settings: Settings, done: Finish) -> Found:
    """The best trial as a run of its own with every risk rule, and the verdict.

    Raises:
        NothingMade: no trial traded.
    """
    searching, book = done.searching, done.book
    order = best_first(objective_of(done.columns, searching.search.objective, searching.search.least_trades))
    if not order.size:
        every = len(book.refused) == searching.total
        why = next(iter(book.refused.values())) if every else rarely(searching.search, min(one.series.bars for one in searching.grounds))
        more = "widen the space" if every else "widen the space, or the window where that is less than the strategy needs to warm up"
        raise NothingMade(f"none of {searching.total:,} combinations has a {searching.search.objective}: {why}; {more}")
    best = int(order[0])
    ground, draft = searching.grounds[searching.task_of(best).ground], book.drafts[best]
    assert draft
    run = run_of(settings, ground, draft.strategy, searching.templates[draft.strategy].make(draft.varied), done.generated)
    verdict = judge(evidence_of(settings, done, best, run))
    result = result_of(done, best, run, verdict)
    axes = {task.space.strategy: [axis.name for axis in task.space.axes] for task in searching.tasks}
    name = "_".join(axes)
    table = table_of(searching, book, done.columns)
    search = searching.search
    return Found(name, settings.resolved, search.objective, search.least_trades, table, axes, best, run, verdict, result)


def rarely(search: Sweep, bars: int) -> str:
    """Why trials that were made have no objective."""
    often = f" {search.least_trades} times" if search.least_trades else ""
    return f"none of them traded{often} in {bars:,} bars{' (sweep.least_trades)' if often else ''}"


def run_of(settings: Settings, ground: Ground, name: str, strategy: Any, generated: bool = False) -> Run:
    """A trial made again with its whole path and all risk rules."""
    decider = Single(name="single", strategies=[name], leverages={name: strategy.max_leverage})
    own = replace(
        settings,
        symbols=(ground.bench.instrument,),
        timeframe=ground.series.timeframe,
        strategies={name: strategy},
        decider=decider,
    )
    return simulate(own, {ground.series.symbol: ground.bench.market}, generated)


def evidence_of(settings: Settings, done: Finish, best: int, run: Run) -> Evidence:
    """What the verdict is based on: the best run, the trials of its series in this search, and all that were ever made there."""
    searching, book = done.searching, done.book
    ground = searching.grounds[searching.task_of(best).ground]
    rows = np.concatenate([np.arange(t.first, t.first + t.trials) for t in searching.tasks if searching.grounds[t.ground] is ground])
    blocks = blocks_of_trials(book.outcomes.sums[rows, 0], book.outcomes.squares[rows, 0], ground.series.bars)
    ever = done.ever[searching.task_of(best).ground]
    return evidence(settings, run, ground.series.ppy, ever, blocks, np.zeros((len(run.equity), 0)))


def result_of(done: Finish, best: int, run: Run, verdict: Verdict) -> dict[str, Any]:
    """What result.json holds."""
    searching, book = done.searching, done.book
    draft, ground = book.drafts[best], searching.grounds[searching.task_of(best).ground]
    assert draft
    made = searching.total - len(book.refused)
    shown = {"strategy": draft.strategy, "symbol": ground.series.symbol, "timeframe": ground.series.timeframe}
    return {
        "objective": searching.search.objective,
        "method": searching.search.method,
        "combinations": searching.total,
        "made": made,
        "reused": book.reused,
        "refused": len(book.refused),
        "refused_because": next(iter(book.refused.values()), ""),
        "trials_ever": done.ever[searching.task_of(best).ground].count,
        "where": done.where,
        "search_seconds": done.seconds,
        "trials_per_second": (made - book.reused) / done.seconds,
        "best": {**shown, "parameters": dict(draft.varied), "trial": {name: float(values[best]) for name, values in done.columns.items()}},
        "run": run.result,
        "verdict": verdict.as_dict(),
    }
