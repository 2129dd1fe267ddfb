"""A walk-forward: a search on each training, the tests in a row as one account trades them, judged by everything that was ever tried."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from alpha_arena.backtest.columns import TALLIED
from alpha_arena.backtest.evidence import Evidence
from alpha_arena.backtest.result import Run
from alpha_arena.backtest.search import Fold, Series, Walk, Walked, blocks_of_trials, figures_of, objective_of
from alpha_arena.backtest.statistics import mean
from alpha_arena.backtest.trials import Bench, Draft, Outcomes, bench_of, blank, evaluate
from alpha_arena.backtest.verdict import judge
from alpha_arena.backtest.walkforward import (
    SCHEMES,
    Cut,
    Leg,
    Plan,
    Relay,
    changes,
    chosen,
    cuts,
    decay_of,
    plan_of,
)
from alpha_arena.core.errors import ConfigError
from alpha_arena.core.ports import Strategy
from alpha_arena.core.timeframes import timeframe_ms
from alpha_arena.core.types import Floats, Ints
from alpha_arena.data.trials import Tried, tried
from alpha_arena.decision.single import Single
from alpha_arena.settings import Settings
from alpha_arena.settings.laboratory import Sweep, WalkForward
from alpha_arena.wiring import proof
from alpha_arena.wiring.backtesting import SYNTHETIC, Progress, simulate
from alpha_arena.wiring.judging import evidence
from alpha_arena.wiring.searching import Book, Ground, PoolOf, Searching, grounds_of, series_of
from alpha_arena.wiring.sweeping import NothingMade, keep_trials, too_large

if TYPE_CHECKING:
    from alpha_arena.data.service import DataService

Window = tuple[int, int]


@dataclass
class Marks(Book):
    """The trials of a walk-forward: the whole stretch of each, and of each training only what is chosen by.

    Attributes:
        series: of each training. best: objective in it, of those that traded often enough; shape [trials, trainings].
    """

    objective: str = ""
    least_trades: int = 0
    series: Sequence[Series] = ()
    best: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    @classmethod
    def on(cls, trials: int, search: Sweep, series: Sequence[Series]) -> Marks:
        """Nothing tried yet."""
        best = np.full((trials, len(series)), nan)
        return cls(
            blank(trials, 1), [None] * trials, objective=search.objective, least_trades=search.least_trades, series=series, best=best
        )

    def put(self, rows: Sequence[int], outcomes: Outcomes) -> None:
        """Write outcomes down, the first part of which is the whole stretch; of what is only known there is no other."""
        super().put(rows, Outcomes(outcomes.figures[:, :1], outcomes.sums[:, :1], outcomes.squares[:, :1], outcomes.refused))
        for at, series in enumerate(self.series[: outcomes.figures.shape[1] - 1]):
            figures = figures_of(outcomes.figures[:, at + 1], series)
            self.best[list(rows), at] = objective_of(figures, self.objective, self.least_trades)


@dataclass(frozen=True)
class Course:
    """What is walked.

    Attributes:
        ground: the bench has the whole stretch as its first part, then each of `windows`, the trainings of all schemes.
        cuts: by scheme.
    """

    settings: Settings
    ground: Ground
    cuts: Mapping[str, Sequence[Cut]]
    windows: Sequence[Window]

    @property
    def name(self) -> str:
        """Its strategies."""
        return "_".join(self.settings.templates)

    @property
    def tested(self) -> int:
        """Bars of all tests in a row, the same in each scheme."""
        every = next(iter(self.cuts.values()))
        return every[-1].test_stop - every[0].test_start

    def series(self, window: Window) -> Series:
        """A part of the stretch."""
        return replace(self.ground.series, bars=window[1] - window[0])


@dataclass(frozen=True)
class Judging:
    """What a verdict needs beside the run. where: who did the work; seconds: of the search."""

    searching: Searching
    marks: Marks
    ever: Tried
    where: str
    seconds: float


def one_series(settings: Settings) -> Settings:
    """The settings of the one symbol and timeframe that is walked.

    Raises:
        ConfigError: there are several, the search learns from tests, or signals are to see a part of history only.
    """
    assert settings.search
    timeframes = settings.search.timeframes or [settings.timeframe]
    if len(settings.symbols) > 1 or len(timeframes) > 1:
        several = [*(one.symbol for one in settings.symbols), *timeframes]
        raise ConfigError(f"walkforward takes one symbol and one timeframe, not {', '.join(several)}; give symbol= and timeframe=")
    if settings.search.method == "tpe":
        raise ConfigError("sweep.method=tpe would learn from bars that are tested later; walkforward takes sweep.method=grid or random")
    return replace(settings, timeframe=timeframes[0])


def course_of(settings: Settings, ground: Ground) -> Course:
    """Cut a series into its folds.

    Raises:
        ConfigError: the plan leaves nothing. DataError: too few bars.
    """
    assert isinstance(settings.action, WalkForward)
    walk, market = settings.action, ground.bench.market
    plan: Plan = plan_of(walk.train_days, walk.test_days, walk.purge_bars, walk.embargo, timeframe_ms(ground.series.timeframe))
    first = len(market) - ground.series.bars
    every = {scheme: cuts(plan, scheme, first, len(market)) for scheme in SCHEMES[walk.scheme]}
    windows = list(dict.fromkeys(cut.train for folds in every.values() for cut in folds))
    bench = bench_of_parts(settings, ground, [(first, len(market)), *windows])
    return Course(settings, replace(ground, bench=bench), every, windows)


def bench_of_parts(settings: Settings, ground: Ground, parts: Sequence[Window]) -> Bench:
    """The same market with other parts."""
    bench = ground.bench
    return bench_of(bench.market, bench.rules, settings.costs, bench.instrument, ground.series.capital, parts, settings.equity)


def run_walkforward(settings: Settings, service: DataService, pool_of: PoolOf, now_ms: int, told: Progress | None = None) -> Walked:
    """Try every combination on every training, trade the chosen ones in the tests that follow, and judge that.

    Each combination is kept in the database as one trial on the whole stretch, the same as a sweep's.

    Args:
        pool_of: who does the work, given benches, templates and the estimated seconds of one core. now_ms: ms UTC.

    Raises:
        ConfigError: the space or the plan does not fit. DataError: too few bars. NothingMade: no training had anything to choose.
    """
    own = one_series(settings)
    course = course_of(own, grounds_of(own, service)[0])

    keep = partial(keep_trials, service, own.trader, now_ms, f"walkforward-{now_ms}")
    searching, marks, where, seconds = searched(course, pool_of, keep, told)
    generated = SYNTHETIC in service.source(course.ground.series.symbol, own.source)
    ever = tried(service, course.ground.series.symbol, course.ground.series.timeframe, course.tested)
    walked = walked_of(course, Judging(searching, marks, ever, where, seconds), generated)
    read = dict.fromkeys(series_of(own), course.ground.bench.market)
    return replace(walked, read=read, proof=proof.searched(walked.walks[0].run, own, service, read, [ever]))


def searched(
    course: Course, pool_of: PoolOf, keep: Callable[[Searching, Sequence[int]], None], told: Progress | None = None
) -> tuple[Searching, Marks, str, float]:
    """All trials on all trainings, who made them, and in how many seconds.

    Args:
        keep: given rows of finished trials.
    """
    began = time.perf_counter()
    searching = Searching(course.settings, [course.ground], [{}])
    searching.keep = partial(keep, searching)
    estimate = searching.probe()
    too_large(searching, estimate, course.settings, len(course.windows))
    with pool_of([course.ground.bench], course.settings.templates, estimate) as pool:
        marks = marked(course, searching)
        searching.run(pool, told)
        return searching, marks, str(pool), time.perf_counter() - began


def prepared(course: Course) -> tuple[Searching, Marks]:
    """A search of all trainings, and what it is written down in."""
    searching = Searching(course.settings, [course.ground], [{}])
    return searching, marked(course, searching)


def marked(course: Course, searching: Searching) -> Marks:
    """What a search of all trainings is written down in."""
    marks = Marks.on(searching.total, searching.search, [course.series(window) for window in course.windows])
    searching.book = marks
    return marks


def choices_of(course: Course, marks: Marks, scheme: str) -> list[int]:
    """The trial chosen in each fold, by its training alone; -1 where there is none."""
    at = {window: number for number, window in enumerate(course.windows)}
    return [chosen(marks.best[:, at[cut.train]]) for cut in course.cuts[scheme]]


def walked_of(course: Course, judging: Judging, generated: bool) -> Walked:
    """Every scheme traded and judged.

    Raises:
        NothingMade: no training had anything to choose.
    """
    choices = {scheme: choices_of(course, judging.marks, scheme) for scheme in course.cuts}
    if all(row < 0 for rows in choices.values() for row in rows):
        refused, least = judging.marks.refused, judging.marks.least_trades
        idle = f"none traded {least} times (sweep.least_trades) in any training with a defined objective"
        why = next(iter(refused.values())) if len(refused) == judging.searching.total else idle
        raise NothingMade(f"none of {judging.searching.total:,} combinations can be chosen: {why}; widen the space or train longer")
    runs, folds = {}, {}
    for scheme, rows in choices.items():
        folds[scheme] = folds_of(course, judging.marks, course.cuts[scheme], rows)
        runs[scheme] = run_of(course, judging.marks, course.cuts[scheme], rows, generated)
    together = np.stack([run.returns for run in runs.values()], axis=1)
    walks = [
        Walk(scheme, folds[scheme], run, judge(evidence_of(course, judging, folds[scheme], run, together))) for scheme, run in runs.items()
    ]
    assert course.settings.search
    return Walked(course.name, course.settings.resolved, course.settings.search.objective, walks, result_of(course, judging, walks))


def folds_of(course: Course, marks: Marks, every: Sequence[Cut], rows: Sequence[int]) -> list[Fold]:
    """Each fold with the figures of its choice in training and in the test, each from a flat account."""
    drafts: dict[int, Draft] = {row: draft for row in rows if row >= 0 and (draft := marks.drafts[row])}
    parts = [part for cut in every for part in (cut.train, cut.test)]
    made = evaluate(bench_of_parts(course.settings, course.ground, parts), course.settings.templates, list(drafts.values()))
    at = {row: number for number, row in enumerate(drafts)}
    ts, out = course.ground.bench.market.ts, []
    for number, (cut, row) in enumerate(zip(every, rows, strict=True)):
        tallies = made.figures[at[row], 2 * number : 2 * number + 2] if row >= 0 else flat(course.ground.series.capital)
        inside, outside = (figures_at(tally, course.series(part)) for tally, part in zip(tallies, (cut.train, cut.test), strict=True))
        draft = drafts.get(row) or Draft("", {})
        out.append(Fold(number + 1, *times(cut, ts), draft.strategy, dict(draft.varied), inside, outside))
    return out


def times(cut: Cut, ts: Ints) -> tuple[int, int, int, int]:
    """Opens of the first and last bar of training and test, ms UTC."""
    return int(ts[cut.train_start]), int(ts[cut.train_stop - 1]), int(ts[cut.test_start]), int(ts[cut.test_stop - 1])


def flat(capital: float) -> Floats:
    """Tallies of a training that left nothing to choose, and of the test in which nobody traded."""
    nothing = {"final_equity": capital, "peak_equity": capital}
    return np.array([[nan] * len(TALLIED), [nothing.get(name, 0.0) for name in TALLIED]])


def figures_at(tally: Floats, series: Series) -> dict[str, float]:
    """Figures of one trial on one part."""
    return {name: float(values[0]) for name, values in figures_of(tally[None], series).items()}


def run_of(course: Course, marks: Marks, every: Sequence[Cut], rows: Sequence[int], generated: bool) -> Run:
    """All tests in a row: one account, each test traded by its choice, with every risk rule."""
    settings, market = course.settings, course.ground.bench.market
    made: dict[int, Strategy | None] = {-1: None}
    for row in rows:
        draft = marks.drafts[row]
        if row not in made and draft:
            made[row] = settings.templates[draft.strategy].make(draft.varied)
    legs = [Leg(int(market.ts[c.test_start]), int(market.ts[c.test_stop - 1]), made[row]) for c, row in zip(every, rows, strict=True)]
    relay = Relay(legs)
    decider = Single(name="single", strategies=[course.name], leverages={course.name: relay.max_leverage if relay.runners else 1.0})
    own = replace(
        settings,
        symbols=(course.ground.bench.instrument,),
        strategies={course.name: relay},
        decider=decider,
        start_ms=legs[0].first_ts,
        limit=None,
    )
    return simulate(own, {market.symbol: market.rows(0, every[-1].test_stop)}, generated)


def evidence_of(course: Course, judging: Judging, folds: Sequence[Fold], run: Run, together: Floats) -> Evidence:
    """What the verdict is based on: the tests alone, and how many things were tried to get there.

    Args:
        together: returns of all schemes, of which the best could have been told.
    """
    series, whole = course.ground.series, judging.marks.outcomes
    blocks = blocks_of_trials(whole.sums[:, 0], whole.squares[:, 0], series.bars)
    inside = mean(np.array([fold.inside["sharpe"] for fold in folds if fold.strategy]))
    return evidence(course.settings, run, series.ppy, judging.ever, blocks, together, inside)


def result_of(course: Course, judging: Judging, walks: Sequence[Walk]) -> dict[str, Any]:
    """What result.json holds: a backtest's figures of the first scheme's tests in a row, and what is a walk-forward's own."""
    first, marks, action = walks[0], judging.marks, course.settings.action
    assert isinstance(action, WalkForward)
    return {
        **first.run.result,
        "warnings": [*first.run.result["warnings"], *warnings(walks, marks.least_trades)],
        "scheme": first.scheme,
        "objective": marks.objective,
        "combinations": judging.searching.total,
        "made": judging.searching.total - len(marks.refused),
        "skipped": len(marks.refused),
        "skipped_because": next(iter(marks.refused.values()), ""),
        "trials_ever": judging.ever.count,
        "where": judging.where,
        "search_seconds": judging.seconds,
        "plan": asdict(action),
        "decay": decay_of(first.folds, first.run.result),
        "folds": [{"scheme": walk.scheme, **asdict(fold)} for walk in walks for fold in walk.folds],
        "schemes": [summary(walk) for walk in walks],
        "verdict": first.verdict.as_dict(),
    }


SUMMARY = ("total_return", "cagr", "sharpe", "max_drawdown", "trades", "fees", "funding", "buy_and_hold_return")


def summary(walk: Walk) -> dict[str, Any]:
    """One scheme."""
    own = {name: walk.run.result[name] for name in SUMMARY}
    told = {"folds": len(walk.folds), "changes": changes(walk.folds), "grade": walk.verdict.grade}
    return {"scheme": walk.scheme, **told, **own, "decay": decay_of(walk.folds, walk.run.result), "verdict": walk.verdict.as_dict()}


def warnings(walks: Sequence[Walk], least_trades: int) -> Iterator[str]:
    """Folds in which nothing could be chosen."""
    for walk in walks:
        idle = [str(fold.number) for fold in walk.folds if not fold.strategy]
        if idle:
            yield f"{walk.scheme}: fold {', '.join(idle)} stays flat, no combination traded {least_trades} times in its training"
