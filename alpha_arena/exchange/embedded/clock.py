"""The one clock of the embedded exchange: real, scaled or stepped. Nothing else in it reads the computer's time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


def wall_ms() -> float:
    """The computer's time, ms since the epoch."""
    return time.time_ns() / 1e6


@dataclass(slots=True)
class SimClock:
    """Keeps `core.ports.Clock`.

    Attributes:
        mode: real and scaled run by themselves, stepped stands until it is stepped.
        sim0_ms: simulated time at wall time wall0_ms. speed: simulated by real time, 1 in mode real. wall: real time, ms.
    """

    mode: str
    sim0_ms: float
    speed: float = 1.0
    wall: Callable[[], float] = wall_ms
    wall0_ms: float = field(init=False)
    latest_ms: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.wall0_ms = self.wall()
        self.speed = 1.0 if self.mode == "real" else self.speed

    @classmethod
    def stepped(cls, now_ms: int) -> SimClock:
        """A clock that stands."""
        return cls("stepped", now_ms)

    def now_ms(self) -> int:
        """Now, ms since the epoch, UTC; where the computer's clock is set back, it stands until that has caught up."""
        passed = 0.0 if self.mode == "stepped" else (self.wall() - self.wall0_ms) * self.speed
        self.latest_ms = max(self.latest_ms, int(self.sim0_ms + passed))
        return self.latest_ms

    def step_to(self, ms: int) -> None:
        """Move a stepped clock on; an earlier time changes nothing, since the market is not played back."""
        if self.mode == "stepped":
            self.sim0_ms = max(ms, self.sim0_ms)

    def set(self, mode: str | None = None, now_ms: int | None = None, speed: float | None = None) -> None:
        """Change what is given from this moment on; time never goes back."""
        present = self.now_ms()
        self.sim0_ms = max(now_ms or 0, present)
        self.mode, self.wall0_ms = mode or self.mode, self.wall()
        self.speed = 1.0 if self.mode == "real" else speed or self.speed
