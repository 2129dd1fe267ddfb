"""Calls to a server that limits and sometimes fails: pace, and patience with errors that pass."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from alpha_arena.core.errors import TransientError

Reply = TypeVar("Reply")
WINDOW_S = 2.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """How real time passes, in seconds; tests give their own, so that nothing is waited for."""

    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class Limiter:
    """Keeps calls below `limit` in any `WINDOW_S` seconds, as the exchange counts them."""

    limit: int
    waiting: Waiting
    past: deque[float] = field(default_factory=deque)

    def wait(self) -> None:
        """Return when one more call is allowed, and count it."""
        if len(self.past) >= self.limit:
            self.waiting.sleep(max(self.past.popleft() + WINDOW_S - self.waiting.monotonic(), 0.0))
        self.past.append(self.waiting.monotonic())


@dataclass(frozen=True, slots=True)
class Patience:
    """Repeats a call that failed in a way that may pass.

    Attributes:
        attempts: calls at most. first_s, longest_s: wait after the first failure, and the longest one; the wait doubles, and up to
            half of it is added by a seeded draw, so that a client's calls do not come back in step.
    """

    attempts: int
    first_s: float
    longest_s: float
    waiting: Waiting
    draw: Random = field(default_factory=lambda: Random(0))

    def call(self, what: str, function: Callable[[], Reply]) -> Reply:
        """The call's reply.

        Raises:
            TransientError: the last attempt failed as well; other errors come at once.
        """
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

        retrying = Retrying(
            stop=stop_after_attempt(self.attempts),
            wait=lambda state: self._pause(state.attempt_number),
            retry=retry_if_exception_type(TransientError),
            sleep=self.waiting.sleep,
            reraise=True,
        )
        try:
            return retrying(function)
        except TransientError as error:
            raise TransientError(f"{what} failed {self.attempts} times, last with: {error}; check the network") from error

    def _pause(self, failures: int) -> float:
        return min(self.first_s * 2.0 ** (failures - 1), self.longest_s) * (1 + self.draw.random() / 2)
