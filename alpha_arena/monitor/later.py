"""What takes seconds to compute, off the way of whoever asks for it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from threading import Lock, Thread
from time import monotonic
from typing import Generic, TypeVar

T = TypeVar("T")
LONG_S = 1.0
# makes something; what it tells on the way stands for it until it is finished
Build = Callable[[Callable[[T], None]], T]


@dataclass(frozen=True, slots=True)
class Made(Generic[T]):
    """What there is. value: the newest that is finished, None before the first; newer: a newer one is being made."""

    value: T | None
    newer: bool


class Later(Generic[T]):
    """Makes one thing after the other in a thread; the last one stands until the next is finished.

    Args:
        patience_s: how long whoever asks waits for what is being made. finished: called in the thread after each, before anybody is told.
        rest_s: how long nothing is begun after one that took a second or more, so that the machine is left to others.
    """

    def __init__(self, patience_s: float, finished: Callable[[], None], rest_s: float = 0.0) -> None:
        self.patience_s = patience_s
        self.finished = finished
        self.rest_s = rest_s
        self._rested_s = 0.0
        self._lock = Lock()
        self._state = ""
        self._job: Future[T] | None = None
        self._value: T | None = None

    def get(self, state: str, build: Build[T]) -> Made[T]:
        """What `build` gives for a state of things, or the last it gave or told where that takes longer; what it raises is raised here.

        A state that comes while another is being made, or too soon after it, is taken up by whoever asks later.
        """
        with self._lock:
            if self._state != state and (self._job is None or self._job.done()) and monotonic() >= self._rested_s:
                self._state, self._job = state, self._started(build)
            job, current = self._job, self._state == state
        if job:
            wait([job], self.patience_s)
        with self._lock:
            done = job is None or job.done()
            if job and done and (error := job.exception()):
                raise error
            return Made(self._value, not (current and done))

    def _started(self, build: Build[T]) -> Future[T]:
        job: Future[T] = Future()
        # a thread of a pool would be waited for when the process ends
        Thread(target=self._run, args=(job, build), daemon=True).start()
        return job

    def _run(self, job: Future[T], build: Build[T]) -> None:
        began = monotonic()
        told: Callable[[], None]
        try:
            made = build(self._early)
            told = partial(self._keep, job, made)
        except BaseException as error:  # noqa: BLE001 whoever asks is told
            told = partial(job.set_exception, error)
        ended = monotonic()
        # at once for whoever asks: an answer with what is new must not still count as the one before
        with self._lock:
            self._rested_s = ended + self.rest_s if ended - began >= LONG_S else ended
            told()
            self.finished()

    def _early(self, made: T) -> None:
        with self._lock:
            self._value = made
            self.finished()

    def _keep(self, job: Future[T], made: T) -> None:
        self._value = made
        job.set_result(made)
