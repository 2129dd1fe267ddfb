"""A search: which parameters are tried on which stored candles, by whom, and what is remembered of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from alpha_arena.backtest.pool import Job, Pool
from alpha_arena.backtest.search import Series, figures_of, objective_of
from alpha_arena.backtest.space import Axis, Candidates, Space, Template, space_of
from alpha_arena.backtest.trials import Bench, Draft, Outcomes, bench_of, blank, evaluate
from alpha_arena.core.errors import ConfigError
from alpha_arena.core.market import Market
from alpha_arena.core.timeframes import bars_per_year, timeframe_ms
from alpha_arena.core.types import Floats
from alpha_arena.decision.single import Single
from alpha_arena.settings import Settings
from alpha_arena.settings.laboratory import Sweep
from alpha_arena.settings.parameters import fields_of, plain_types
from alpha_arena.wiring.backtesting import Progress, window
from alpha_arena.wiring.desk import markets_of
from alpha_arena.wiring.identity import as_numbers, parameters_hash, strategy_hash, terms_hash

if TYPE_CHECKING:
    import optuna

    from alpha_arena.data.service import DataService

PROBE = 8
ROUND = 32
BATCH_S = 1.0
LONGEST_BATCH = 4096
NUMBERS = frozenset({int, float, type(None)})

PoolOf = Callable[[Sequence[Bench], Mapping[str, Template], float], AbstractContextManager[Pool]]


@dataclass(frozen=True, slots=True)
class Ground:
    """A series that is searched. identity: what a trial's strategy and parameters are added to, to know it again."""

    series: Series
    bench: Bench
    data_hash: str
    identity: str


@dataclass(frozen=True)
class Task:
    """One strategy on one series; its trials are rows first to first + trials of the search.

    Attributes:
        candidates: what is tried, None where each trial learns from those before.
    """

    ground: int
    space: Space
    candidates: Candidates | None
    first: int
    trials: int


@dataclass
class Book:
    """All trials of a search in their order, filled in as they are made.

    Attributes:
        drafts: what each row tried, None while that is not known. refused: why by row. reused: rows known from earlier searches.
    """

    outcomes: Outcomes
    drafts: list[Draft | None]
    refused: dict[int, str] = field(default_factory=dict)
    reused: int = 0
    done: int = 0

    @classmethod
    def of(cls, trials: int) -> Book:
        """Nothing tried yet."""
        return cls(blank(trials, 1), [None] * trials)

    def put(self, rows: Sequence[int], outcomes: Outcomes) -> None:
        """Write outcomes down."""
        where = np.asarray(rows, np.int64)
        for name in ("figures", "sums", "squares"):
            getattr(self.outcomes, name)[where] = getattr(outcomes, name)
        self.refused |= {row: why for row, why in zip(rows, outcomes.refused, strict=True) if why}
        self.done += len(rows)


def spaces_of(search: Sweep, templates: Mapping[str, Template]) -> list[Space]:
    """The space of each strategy.

    Raises:
        ConfigError: no strategy, an unknown parameter, an empty range.
    """
    if not search.strategies:
        raise ConfigError("sweep.strategies={} names no strategy; choose a space with sweep=NAME or strategy=NAME")
    kinds = {name: {k: plain_types(f) for k, f in fields_of(template.kind).items()} for name, template in templates.items()}
    whole = {name: {k: int in types for k, types in own.items()} for name, own in kinds.items()}
    spaces = [space_of(name, given, whole[name]) for name, given in search.strategies.items()]
    for space in spaces:
        for axis in space.axes:
            check_numbers(space.strategy, axis, kinds[space.strategy][axis.name])
    return spaces


def check_numbers(strategy: str, axis: Axis, kinds: Set[Any]) -> None:
    """Refuse what no number can be read from; a value that is out of bounds is a combination that is refused, and counted.

    Args:
        kinds: types that the parameter takes.
    """
    if not kinds or not kinds <= NUMBERS:
        return
    for value in axis.values:
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise ConfigError(
                f"sweep.strategies.{strategy}.{axis.name}: {value!r} is no number; give a list of them, or a range such as 5..20/5"
            )


def grounds_of(settings: Settings, service: DataService) -> list[Ground]:
    """Every symbol in every timeframe of a search.

    Raises:
        ConfigError: something was asked for that no trial could heed. NoData: nothing is stored of one, or nothing in the window.
    """
    if settings.window:
        raise ConfigError(f"window={settings.window} is not for searches, whose signals see all history; leave it out")
    if not isinstance(settings.decider, Single):
        raise ConfigError(f"decision={settings.decider.name} is not for searches, each trial of which is one strategy alone; leave it out")
    return [_ground(one, service) for one in series_of(settings).values()]


def series_of(settings: Settings) -> dict[str, Settings]:
    """The settings of each series that is read, as meta.json names it: by its symbol, with the timeframe where there are several."""
    asked = settings.search.timeframes if settings.search else None
    timeframes = list(dict.fromkeys(asked or [settings.timeframe]))
    return {
        f"{one.symbol} {name}" if len(timeframes) > 1 else one.symbol: replace(settings, symbols=(one,), timeframe=name)
        for name in timeframes
        for one in settings.symbols
    }


def _ground(settings: Settings, service: DataService) -> Ground:
    market = markets_of(settings, service, settings.end_ms)[settings.symbols[0].symbol]
    return ground_of(settings, market, service.data_hash([market]))


def ground_of(settings: Settings, market: Market, data_hash: str) -> Ground:
    """The market of the settings' one symbol and timeframe, to be searched."""
    instrument = settings.symbols[0]
    part = window({market.symbol: market}, settings.start_ms, settings.limit)
    start, capital = int(np.searchsorted(market.ts, part.first_ts)), settings.initial_capital
    bench = bench_of(market, settings.rules, settings.costs, instrument, capital, [(start, len(market))], settings.equity)
    series = Series(market.symbol, settings.timeframe, part.rows, bars_per_year(timeframe_ms(settings.timeframe)), capital)
    return Ground(series, bench, data_hash, terms_hash(settings, instrument, settings.timeframe, part.first_ts, part.last_ts))


def tasks_of(grounds: Sequence[Ground], spaces: Sequence[Space], search: Sweep, seed: int) -> list[Task]:
    """Each strategy on each series."""
    tasks, first = [], 0
    for ground in range(len(grounds)):
        for space in spaces:
            candidates = None if search.method == "tpe" else Candidates(space, None if search.method == "grid" else search.trials, seed)
            count = search.trials if candidates is None else len(candidates)
            tasks.append(Task(ground, space, candidates, first, count))
            first += count
    return tasks


class Searching:
    """A search at work.

    Args:
        known: by ground, figures, sums and squares of earlier trials by their hash.

    Attributes:
        keep: called with the rows of finished trials, to remember them.
        only: rows that are made whatever is known of them, and no others; None for all that are not known.
        each_s: seconds of one worker for a trial, as measured last.
    """

    def __init__(self, settings: Settings, grounds: Sequence[Ground], known: Sequence[Mapping[str, Any]]) -> None:
        assert settings.search
        self.search, self.seed, self.templates = settings.search, settings.seed, settings.templates
        self.grounds, self.known = grounds, known
        self._identities = [
            {name: strategy_hash(ground.identity, name, one.kind) for name, one in self.templates.items()} for ground in grounds
        ]
        self._fixed = {name: as_numbers(one.values) for name, one in self.templates.items()}
        self.keep: Callable[[Sequence[int]], None] = lambda rows: None
        self.only: Set[int] | None = None
        self.tasks = tasks_of(grounds, spaces_of(settings.search, settings.templates), settings.search, settings.seed)
        self.total = sum(task.trials for task in self.tasks)
        self.each_s = 0.0

    @cached_property
    def book(self) -> Book:
        """What has been tried; made when it is first written to, since a search that is too large is refused before."""
        return Book.of(self.total)

    def task_of(self, row: int) -> Task:
        """Whose trial a row is."""
        return next(task for task in reversed(self.tasks) if task.first <= row)

    def hash_of(self, ground: int, draft: Draft) -> str:
        """Identity of a trial beside the rows that it sees."""
        values = {**self._fixed[draft.strategy], **as_numbers(draft.varied)}
        return parameters_hash(self._identities[ground][draft.strategy], values)

    def probe(self) -> float:
        """Try a few of each task, and estimate from them: seconds of one core for the whole search."""
        estimate = 0.0
        for task in self.tasks:
            spread = np.unique(np.linspace(0, task.trials - 1, PROBE).astype(int)).tolist()
            drafts = [self._drawn(task, number) for number in spread]
            bench = self.grounds[task.ground].bench
            evaluate(bench, self.templates, drafts[:1])
            began = time.perf_counter()
            evaluate(bench, self.templates, drafts)
            estimate += (time.perf_counter() - began) / len(drafts) * task.trials
        self.each_s = estimate / max(self.total, 1)
        return estimate

    def _drawn(self, task: Task, number: int) -> Draft:
        if task.candidates is None:
            return Draft(task.space.strategy, task.space.drawn(np.random.default_rng((self.seed, number))))
        return Draft(task.space.strategy, task.candidates[number])

    def run(self, pool: Pool, told: Progress | None = None) -> Book:
        """Make all trials that are not known yet."""
        if self.search.method == "tpe":
            for task in self.tasks:
                self._learn(task, pool, told)
        else:
            self._make(self._jobs(pool), pool, told)
        return self.book

    def _make(self, jobs: Iterable[Job], pool: Pool, told: Progress | None) -> None:
        began, before = time.perf_counter(), self.book.done
        for job, outcomes in pool.run(jobs):
            self.book.put(job.rows, outcomes)
            self.keep([row for row, why in zip(job.rows, outcomes.refused, strict=True) if not why])
            made = self.book.done - self.book.reused - before
            self.each_s = (time.perf_counter() - began) * pool.workers / max(made, 1)
            if told:
                told(self.book.done, self.total)

    def _jobs(self, pool: Pool) -> Iterator[Job]:
        for task in self.tasks:
            numbers: list[int] = []
            for number in range(task.trials):
                if self._wanted(task, task.first + number, self._drawn(task, number)):
                    numbers.append(task.first + number)
                if len(numbers) >= self._batch(pool):
                    yield self._job(task, numbers)
                    numbers = []
            if numbers:
                yield self._job(task, numbers)

    def _batch(self, pool: Pool) -> int:
        """Trials of about a second, of less where that leaves workers idle at the end."""
        left = max(self.total - self.book.done, 1)
        return max(1, min(int(BATCH_S / max(self.each_s, 1e-6)), left // (4 * pool.workers) or 1, LONGEST_BATCH))

    def _job(self, task: Task, rows: Sequence[int]) -> Job:
        drafts = (self.book.drafts[row] for row in rows)
        return Job(task.ground, tuple(rows), tuple(draft for draft in drafts if draft))

    def _wanted(self, task: Task, row: int, draft: Draft) -> bool:
        """Whether a trial is to be made; one that is known is written down."""
        self.book.drafts[row] = draft
        if self.only is not None and row in self.only:
            return True
        return not self._recall(task, row, draft) and self.only is None

    def unknown(self) -> Iterator[tuple[int, Draft]]:
        """Trials that no earlier search has made, with their rows."""
        for task in self.tasks:
            for number in range(task.trials):
                draft = self._drawn(task, number)
                if self.hash_of(task.ground, draft) not in self.known[task.ground]:
                    yield task.first + number, draft

    def _recall(self, task: Task, row: int, draft: Draft) -> bool:
        """Whether a trial was made before; it is then written down as it was."""
        self.book.drafts[row] = draft
        known = self.known[task.ground]
        found = known.get(self.hash_of(task.ground, draft)) if known else None
        if found is None:
            return False
        figures, sums, squares = (np.reshape(values, (1, 1, -1)) for values in found)
        self.book.put([row], Outcomes(figures, sums, squares, ("",)))
        self.book.reused += 1
        return True

    def _learn(self, task: Task, pool: Pool, told: Progress | None) -> None:
        """Tree-structured Parzen estimator (Bergstra et al. 2011): rounds of fixed size, so that the number of workers changes nothing."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(seed=self.seed, constant_liar=True)
        study = optuna.create_study(direction="maximize", sampler=sampler)
        for first in range(0, task.trials, ROUND):
            asked = [study.ask() for _ in range(min(ROUND, task.trials - first))]
            rows = [task.first + first + number for number in range(len(asked))]
            drafts = [Draft(task.space.strategy, {axis.name: suggested(trial, axis) for axis in task.space.axes}) for trial in asked]
            fresh = [row for row, draft in zip(rows, drafts, strict=True) if not self._recall(task, row, draft)]
            size = -(-len(fresh) // pool.workers) or 1
            self._make((self._job(task, fresh[at : at + size]) for at in range(0, len(fresh), size)), pool, told)
            for trial, value in zip(asked, self.objective(rows, task), strict=True):
                state = optuna.trial.TrialState.FAIL if np.isnan(value) else None
                study.tell(trial, None if state else float(value), state=state)

    def objective(self, rows: Sequence[int], task: Task) -> Floats:
        """What is to be best, of trials of one task."""
        figures = figures_of(self.book.outcomes.figures[rows, 0], self.grounds[task.ground].series)
        return objective_of(figures, self.search.objective, self.search.least_trades)


def suggested(trial: optuna.Trial, axis: Axis) -> Any:
    """A value of an axis that a study asks for."""
    if axis.values:
        return axis.values[trial.suggest_int(axis.name, 0, len(axis.values) - 1)]
    if axis.whole:
        return trial.suggest_int(axis.name, int(axis.low), int(axis.high))
    return trial.suggest_float(axis.name, axis.low, axis.high)
