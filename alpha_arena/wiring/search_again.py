"""A sweep or a walk-forward made again, without what is remembered of it and without leaving anything; a large search as a sample."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import nan
from random import Random
from typing import TYPE_CHECKING, Any

from alpha_arena.backtest.folder import as_json
from alpha_arena.backtest.pool import Threads
from alpha_arena.backtest.proof import Compared, Kept, first_difference, flat, same_frame, same_result
from alpha_arena.backtest.result import Run
from alpha_arena.backtest.search import best_first, objective_of
from alpha_arena.backtest.trials import Draft
from alpha_arena.backtest.walkforward import folds_frame
from alpha_arena.core.errors import DataError
from alpha_arena.core.market import Market
from alpha_arena.data.trials import Tried, finished
from alpha_arena.settings import Settings
from alpha_arena.wiring.again import FRAMES, Again, read_again, same_data, surroundings
from alpha_arena.wiring.backtesting import Progress
from alpha_arena.wiring.searching import Ground, Searching, ground_of, series_of
from alpha_arena.wiring.sweeping import Finish, NothingMade, columns_of, found_of
from alpha_arena.wiring.walkforward import Judging, course_of, one_series, prepared, walked_of

if TYPE_CHECKING:
    import pandas as pd

    from alpha_arena.data.service import DataService

# a search that takes longer is made again in part
LONGEST_S = 120.0
COMBINATIONS = "combinations"


@dataclass(frozen=True, slots=True)
class Part:
    """How much of a search was made again.

    Attributes:
        rows: of the trials that were, those that are refused included; drawn: how many were chosen to be. total: of the search.
        forgotten: trials that were not, and that are not remembered either.
    """

    rows: list[int]
    drawn: int
    total: int
    forgotten: int

    def __str__(self) -> str:
        others = "" if self.forgotten else ", the others as the database remembers them"
        return f"{self.drawn:,} of {self.total:,} trials made again{others if self.drawn < self.total else ''}"


def sweep_again(run: Again, service: DataService, told: Progress | None = None, longest_s: float = LONGEST_S) -> Iterator[Compared]:
    """A sweep: what has changed and the data, then every trial, the best run and the verdict.

    Args:
        longest_s: seconds after which a sample is made again, and the best of the search, instead of all of it.
    """
    kept, settings = run.kept, told_by(run)
    yield from surroundings(run, service)
    read = read_again(kept, settings, service)
    yield from same_data(kept, read)
    searching = Searching(settings, grounds_on(settings, read, service), [{} for _ in read])
    try:
        part = made_again(searching, service, best_of(kept, searching), longest_s, told)
        done = Finish(searching, searching.book, columns_of(searching, searching.book), ever_of(kept), run.generated, "", 1.0)
        found = found_of(settings, done)
    except (NothingMade, DataError) as error:
        yield Compared("result", False, str(error))
        return
    yield same_rows(kept, found.table, part)
    yield from compared(kept, found.result, found.run, part)


def walk_again(run: Again, service: DataService, told: Progress | None = None, longest_s: float = LONGEST_S) -> Iterator[Compared]:
    """A walk-forward: what has changed and the data, then every choice by its training, the tests in a row and the verdicts.

    Args:
        longest_s: as of sweep_again; of a sample none may be better in a training than what was chosen.
    """
    kept, settings = run.kept, one_series(told_by(run))
    yield from surroundings(run, service)
    read = read_again(kept, settings, service)
    yield from same_data(kept, read)
    try:
        course = course_of(settings, grounds_on(settings, read, service)[0])
        searching, marks = prepared(course)
        part = made_again(searching, service, chosen_of(kept, searching), longest_s, told)
        walked = walked_of(course, Judging(searching, marks, ever_of(kept)[0], "", 1.0), run.generated)
    except (NothingMade, DataError) as error:
        yield Compared("result", False, str(error))
        return
    yield Compared(COMBINATIONS, True, str(part))
    yield same_frame(kept, "folds", folds_frame({walk.scheme: walk.folds for walk in walked.walks}))
    yield from compared(kept, walked.result, walked.walks[0].run, part)


def told_by(run: Again) -> Settings:
    """Settings with the parameters that were not varied as they were: those of strategies that are not enabled stand in no config.yaml."""
    kept = run.kept.meta["strategies"]
    return replace(run.settings, templates={name: replace(one, values=kept[name]) for name, one in run.settings.templates.items()})


def grounds_on(settings: Settings, read: Mapping[str, Market], service: DataService) -> list[Ground]:
    """Every series on the rows that were read."""
    return [ground_of(own, read[name], service.data_hash([read[name]])) for name, own in series_of(settings).items()]


def ever_of(kept: Kept) -> list[Tried]:
    """What had been tried on each series when the verdict was made."""
    known = kept.meta["deviation"]
    return [Tried(count, nan if known[name] is None else known[name]) for name, count in kept.meta["trials"].items()]


def best_of(kept: Kept, searching: Searching) -> list[int]:
    """Rows of the best trials by the folder's own table."""
    try:
        objective = objective_of(kept.frame("trials"), searching.search.objective, searching.search.least_trades)
    except (DataError, KeyError, ValueError):
        return []
    return [int(row) for row in best_first(objective[: searching.total])[: searching.search.keep]]


def chosen_of(kept: Kept, searching: Searching) -> list[int]:
    """Rows of the trials that the folder's folds have chosen."""
    try:
        folds = kept.result["folds"]
    except (DataError, KeyError):
        return []
    chosen = {searching.hash_of(0, Draft(one["strategy"], one["parameters"])) for one in folds if one["strategy"] in searching.templates}
    return [row for row, draft in searching.unknown() if searching.hash_of(0, draft) in chosen]


def made_again(searching: Searching, service: DataService, best: list[int], longest_s: float, told: Progress | None) -> Part:
    """Make a search again: all of it, or where that takes too long the best and a sample drawn by its seed.

    A search that learns is always made whole, since each of its trials follows from those before it.
    """
    pool = Threads([ground.bench for ground in searching.grounds], searching.templates, os.cpu_count() or 1)
    most_s = longest_s * pool.workers
    whole = searching.probe() <= most_s or searching.search.method == "tpe"
    part = Part([*range(searching.total)], searching.total, searching.total, 0) if whole else sample(searching, service, best, most_s)
    searching.only = None if whole else set(part.rows)
    searching.run(pool, told)
    return part


def sample(searching: Searching, service: DataService, best: list[int], most_s: float) -> Part:
    """What of a large search is made again; the others may be known to the database.

    Args:
        most_s: seconds of one core.
    """
    size = min(max(int(most_s / searching.each_s), 1), searching.total)
    drawn = {*best, *Random(searching.seed).sample(range(searching.total), size)}
    searching.known = [finished(service, ground.data_hash) for ground in searching.grounds]
    unknown = dict(searching.unknown())
    refused = {row for row, draft in unknown.items() if row not in drawn and refuses(searching, draft)}
    forgotten = unknown.keys() - drawn - refused
    # a few, such as those that a backtest had made before the search, do not make it longer
    also = forgotten if len(forgotten) <= size else set()
    return Part(sorted(drawn | refused | also), len(drawn | also), searching.total, len(forgotten - also))


def refuses(searching: Searching, draft: Draft) -> bool:
    """Whether the parameters do not fit together."""
    try:
        searching.templates[draft.strategy].make(draft.varied)
    except ValueError:
        return True
    return False


def same_rows(kept: Kept, made: pd.DataFrame, part: Part) -> Compared:
    """The table of trials; of a sample whose others are forgotten its own rows."""
    try:
        stored = kept.frame("trials")
    except DataError as error:
        return Compared(COMBINATIONS, False, str(error))
    if part.forgotten and len(stored) == len(made):
        stored, made = stored.iloc[part.rows], made.iloc[part.rows]
    said = first_difference(stored, made)
    return Compared(COMBINATIONS, not said, f"{part}: {said or f'{len(made):,} rows are the same to the last digit'}")


def compared(kept: Kept, result: Mapping[str, Any], run: Run, part: Part) -> Iterator[Compared]:
    """result.json with the verdicts told apart, and the frames of the run."""
    try:
        stored = kept.result
    except DataError as error:
        yield Compared("result", False, str(error))
    else:
        yield same_result(judged(stored, False), judged(result, False))
        yield verdict(kept, stored, result, part)
    for name in FRAMES:
        yield same_frame(kept, name, getattr(run, name))


def judged(result: Mapping[str, Any], wanted: bool) -> dict[str, Any]:
    """Figures of the verdicts, or all others, by dotted name."""
    return {name: value for name, value in flat(json.loads(as_json(result))) if ("verdict" in name.split(".")) == wanted}


def verdict(kept: Kept, stored: Mapping[str, Any], made: Mapping[str, Any], part: Part) -> Compared:
    """The verdicts, by as many trials as there were then, and the spread of their Sharpes."""
    if part.forgotten:
        said = f"not made again: it asks for every trial, and {part.forgotten:,} were not made again and are not remembered by this code"
        return Compared("verdict", False, said, binding=False)
    same = same_result(judged(stored, True), judged(made, True))
    counted = ", ".join(f"{count:,} trials of {name}" for name, count in kept.meta["trials"].items())
    return Compared("verdict", same.same, f"by {counted} as they were counted then: {same.said}")
