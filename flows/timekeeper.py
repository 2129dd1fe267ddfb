"""How the clock row moves: started, beaten once a second, stopped (specs: operations §6). All times are ms since the epoch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from alpha_arena.core.errors import AlphaArenaError
from alpha_arena.data.clock import ClockRow, read_clock, wall_ms, write_clock
from alpha_arena.data.service import DataService
from flows.timetable import Timetable

RUNNING = "running"
STOPPED = "stopped"
BEAT_MS = 1_000
SUSPENDED_MS = 5_000


def timetable_of(row: ClockRow, bar_ms: int) -> Timetable:
    """The bars of a clock."""
    return Timetable(bar_ms, row.wall0, row.sim0, row.speed, row.epoch)


def started(row: ClockRow | None, now_ms: int, speed: float, follows_wall: bool) -> ClockRow:
    """The clock as `up` starts it.

    It goes on where it stopped. One that still says running belonged to a process that was killed: it goes on a beat after its
    last sign of life, since the time between is nobody's, and nothing can have been stamped later.

    Args:
        row: as stored, None the first time. follows_wall: a real market's clock is the wall's, whatever was stored.
    """
    if row is None or follows_wall:
        return ClockRow(RUNNING, now_ms, now_ms, speed, now_ms, row.epoch + 1 if row else 0)
    sim = row.now_ms(max(row.beat, min(row.beat + BEAT_MS, now_ms)))
    return ClockRow(RUNNING, now_ms, sim, speed, now_ms, row.epoch + 1)


def beaten(row: ClockRow, now_ms: int, lost_ms: float, follows_wall: bool) -> ClockRow:
    """The clock after another sign of life.

    Args:
        lost_ms: wall time that went by since the last one while nothing ran (the machine slept) or that was set; more than five
            seconds are taken out of a simulated clock, under a new epoch. A beat that was only late has lost nothing.
    """
    if follows_wall or abs(lost_ms) <= SUSPENDED_MS:
        return replace(row, beat=now_ms)
    return replace(row, wall0=row.wall0 + lost_ms, beat=now_ms, epoch=row.epoch + 1)


def stopped(row: ClockRow, now_ms: int) -> ClockRow:
    """The clock as `up` leaves it."""
    return replace(row, mode=STOPPED, wall0=now_ms, sim0=row.now_ms(now_ms), beat=now_ms)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a market's time goes: simulated seconds a wall second; whether it is the wall's own (a real market)."""

    speed: float
    follows_wall: bool


class Timekeeper:
    """Writes the clock row while `up` runs.

    Args:
        wall: wall time, ms since the epoch.
    """

    def __init__(self, service: DataService, pace: Pace, wall: Callable[[], int] = wall_ms) -> None:
        self.service = service
        self.pace = pace
        self.wall = wall
        self._turn = threading.Lock()

    def start(self) -> str:
        """Go on where the clock rests; the market's time from which it goes on, for people."""
        with self._turn:
            row = started(read_clock(self.service), self.wall(), self.pace.speed, self.pace.follows_wall)
            write_clock(self.service, row)
        return told(row, row.wall0)

    def beat(self, lost_ms: float = 0.0) -> None:
        """Give a sign of life; does nothing once stopped. lost_ms: as in `beaten`."""
        with self._turn:
            row = read_clock(self.service)
            if row and row.mode == RUNNING:
                write_clock(self.service, beaten(row, self.wall(), lost_ms, self.pace.follows_wall))

    def stop(self) -> None:
        """Let the clock rest; a second call changes nothing."""
        with self._turn:
            row = read_clock(self.service)
            if row and row.mode == RUNNING:
                write_clock(self.service, stopped(row, self.wall()))

    def shown(self) -> str:
        """The market's time to the second, for people."""
        row = read_clock(self.service)
        return told(row, self.wall()) if row else "unknown"


def told(row: ClockRow, wall_ms: float) -> str:
    """The market's time to the second at a wall time in ms."""
    return datetime.fromtimestamp(row.now_ms(wall_ms) / 1000, UTC).isoformat(" ", "seconds")


class Pulse:
    """Signs of life, again after one that failed, with the time that was lost before it; what keeps them from being written is told once.

    Args:
        beat: as of Timekeeper. say: told what fails, and that it is over.
    """

    def __init__(self, beat: Callable[[float], None], say: Callable[[str], None]) -> None:
        self.beat, self.say = beat, say
        self.lost_ms, self.failing = 0.0, False

    def __call__(self, lost_ms: float) -> None:
        """One sign of life; lost_ms: as in `beaten`."""
        self.lost_ms = max(self.lost_ms, lost_ms, key=abs)
        try:
            self.beat(self.lost_ms)
        except AlphaArenaError as error:
            if not self.failing:
                self.say(f"the clock cannot be written and is tried again every second: {error}")
            self.failing = True
            return
        if self.failing:
            self.say("the clock is written again")
        self.lost_ms, self.failing = 0.0, False
