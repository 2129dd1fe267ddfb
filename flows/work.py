"""The jobs of a bar, done one at a time, each bar tried a bounded number of times, whoever asks for them."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alpha_arena.core.errors import AlphaArenaError
from alpha_arena.core.quality import utc
from flows.timetable import Timetable

log = logging.getLogger("alpha_arena.flows")

MOST_ATTEMPTS = 3
FIRST = -1

Body = Callable[[list[str]], Any]
Alert = Callable[[str, str], None]


class GaveUp(AlphaArenaError):
    """A job has failed too often for this bar and waits for the next one."""


@dataclass(frozen=True, slots=True)
class Job:
    """Work to be done once a bar, or on request.

    Attributes:
        body: takes overrides, returns something that can be shown; blocks.
        offset_s: wall seconds after a close at which it is due; None: only on request.
    """

    name: str
    body: Body
    offset_s: float | None = None


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life: whose, when, and since when it has been busy with what (wall seconds since the epoch)."""

    pid: int
    at_s: float
    job: str = ""
    since_s: float = 0.0


class Pulse:
    """The runner's sign of life in a file, which costs no disk flush."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, beat: Beat) -> None:
        """Replace the beat whole."""
        _replace(self.path, asdict(beat))

    def read(self) -> Beat | None:
        """The newest beat; None before the first."""
        stored = _stored(self.path)
        return Beat(**stored) if stored else None


class Attempts:
    """How often each job has been begun for its newest bar, kept over crashes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def of(self, name: str, close: int) -> int:
        """Attempts so far for the bar that closed at `close`."""
        stored = _stored(self.path).get(name, {})
        return int(stored.get("attempts", 0)) if stored.get("close") == close else 0

    def begin(self, name: str, close: int) -> None:
        """Count one more."""
        self._put(name, {"close": close, "attempts": self.of(name, close) + 1})

    def forget(self, name: str) -> None:
        """The bar is done."""
        self._put(name, {})

    def _put(self, name: str, value: dict[str, int]) -> None:
        _replace(self.path, {**_stored(self.path), name: value})


def _stored(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def _replace(path: Path, value: Mapping[str, Any]) -> None:
    part = path.with_suffix(f".{threading.get_ident()}.part")
    part.write_text(json.dumps(value))
    part.replace(path)


class Turn:
    """Lets one through at a time; of those that wait, the lowest rank is next."""

    def __init__(self) -> None:
        self.free = threading.Condition()
        self.waiting: list[int] = []
        self._taken = False

    @contextmanager
    def of(self, rank: int) -> Iterator[None]:
        """Wait for the turn, and give it back."""
        with self.free:
            self.waiting.append(rank)
            self.free.notify_all()
            self.free.wait_for(lambda: not self._taken and min(self.waiting) == rank)
            self.waiting.remove(rank)
            self._taken = True
        try:
            yield
        finally:
            with self.free:
                self._taken = False
                self.free.notify_all()


class Work:
    """Does jobs in the thread that asks, those of a bar one at a time and in their order.

    Args:
        timetable: the clock as it is now; read each time.
        alert: called with a kind and a sentence when a bar is given up.
        folder: where attempts and the sign of life are kept.
        wall: wall time, seconds since the epoch.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        timetable: Callable[[], Timetable],
        folder: Path,
        alert: Alert,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.jobs = {job.name: job for job in jobs}
        self.timetable = timetable
        self.attempts = Attempts(folder / "attempts.json")
        self.pulse = Pulse(folder / "runner.json")
        self.alert = alert
        self.wall = wall
        self.begun: dict[str, int] = {}
        self._paused_path = folder / "paused.json"
        self.paused = set(_stored(self._paused_path).get("names", ()))
        self._busy: tuple[str, float] = ("", 0.0)
        self._turn = Turn()

    @property
    def scheduled(self) -> list[Job]:
        """Jobs that every bar needs, in their order."""
        return [job for job in self.jobs.values() if job.offset_s is not None]

    def beat(self) -> None:
        """Give a sign of life."""
        self.pulse.write(Beat(os.getpid(), self.wall(), *self._busy))

    def pause(self, names: set[str]) -> None:
        """Leave these jobs out of what is overdue; remembered, so that a pause holds while nobody can be asked about it."""
        if names != self.paused:
            _replace(self._paused_path, {"names": sorted(names)})
            self.paused = names

    def overdue(self) -> list[Job]:
        """Scheduled jobs, not paused, whose time for the newest bar has come and that have not been begun for it."""
        timetable, now = self.timetable(), self.wall()
        close = timetable.newest_close(now)
        late_s = now - timetable.wall_s(close)
        return [
            job
            for job in self.scheduled
            if job.name not in self.paused and self.begun.get(job.name, -1) < close and late_s >= (job.offset_s or 0.0)
        ]

    def __call__(self, name: str, overrides: list[str]) -> Any:
        """Do a job for the newest bar.

        Raises:
            GaveUp: it has been begun for this bar too often.
        """
        job = self.jobs[name]
        if job.offset_s is None:
            return job.body(overrides)
        with self._turn.of(self.scheduled.index(job)):
            close = self.timetable().newest_close(self.wall())
            self._count(name, close)
            try:
                result = self._busied(job, overrides)
            except Exception as error:
                log.error("%s: %s", name, error, exc_info=None if isinstance(error, AlphaArenaError) else error)
                # so that it is tried again
                self.begun.pop(name, None)
                raise
            self.attempts.forget(name)
            return result

    def at_once(self, name: str, overrides: list[str]) -> None:
        """Do a bar's job beside its times, before whatever waits; a failure is said, and counts for no bar."""
        with self._turn.of(FIRST):
            try:
                self._busied(self.jobs[name], overrides)
            except Exception as error:
                log.error("%s: %s", name, error, exc_info=None if isinstance(error, AlphaArenaError) else error)

    def _count(self, name: str, close: int) -> None:
        self.begun[name] = close
        if self.attempts.of(name, close) >= MOST_ATTEMPTS:
            message = f"{name} failed {MOST_ATTEMPTS} times for the bar that closed at {utc(close)}; it waits for the next bar"
            self.alert("skipped_bar", message)
            raise GaveUp(message)
        self.attempts.begin(name, close)

    def _busied(self, job: Job, overrides: list[str]) -> Any:
        self._busy = (job.name, self.wall())
        self.beat()
        try:
            return job.body(overrides)
        finally:
            self._busy = ("", 0.0)
            self.beat()
