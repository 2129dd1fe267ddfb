"""Who does the work of a search: jobs of some trials each, taken lazily, answered in any order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import local
from typing import Protocol

from alpha_arena.backtest.space import Template
from alpha_arena.backtest.trials import Bench, Draft, Outcomes, evaluate
from alpha_arena.features.shared import Memo

AHEAD = 2


@dataclass(frozen=True, slots=True)
class Job:
    """Trials on one bench.

    Attributes:
        bench: its number. rows: of each trial in the whole search.
    """

    bench: int
    rows: tuple[int, ...]
    drafts: tuple[Draft, ...]


class Pool(Protocol):
    """Tries things, on this machine or on others. A job whose worker dies is done again."""

    @property
    def workers(self) -> int: ...

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcomes]]:
        """Each job with what came of it, as they finish; no more are taken than are needed to keep everyone busy."""


class Worker:
    """Benches with indicators of its own: whoever computes alone, shares with nobody."""

    def __init__(self, benches: Sequence[Bench], templates: Mapping[str, Template]) -> None:
        self.benches, self.templates = benches, templates
        self._memos = [Memo() for _ in benches]

    def do(self, job: Job) -> Outcomes:
        """Try the drafts of a job."""
        return evaluate(self.benches[job.bench], self.templates, job.drafts, self._memos[job.bench])


class Threads:
    """A pool of threads of this process: what takes time is machine code, which lets others run."""

    def __init__(self, benches: Sequence[Bench], templates: Mapping[str, Template], workers: int) -> None:
        self.benches, self.templates, self.workers = benches, templates, workers
        self._own = local()

    def __str__(self) -> str:
        return f"in this process, {self.workers} thread{'s' * (self.workers > 1)}"

    def _do(self, job: Job) -> tuple[Job, Outcomes]:
        if not hasattr(self._own, "worker"):
            self._own.worker = Worker(self.benches, self.templates)
        return job, self._own.worker.do(job)

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcomes]]:
        """As Pool; an error in a job ends the search."""
        waiting: set[Future[tuple[Job, Outcomes]]] = set()
        pool = ThreadPoolExecutor(self.workers, "trials")
        try:
            for job in jobs:
                waiting.add(pool.submit(self._do, job))
                if len(waiting) >= AHEAD * self.workers:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (one.result() for one in done)
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in done)
        finally:
            pool.shutdown(cancel_futures=True)
