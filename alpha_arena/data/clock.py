"""The clock row: simulated time that all processes share. Wall and simulated times are ms since the epoch (specs: operations §6)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from sqlalchemy import select

from alpha_arena.data.service import DataService
from alpha_arena.data.tables import clock

SILENT_MS = 5_000


@dataclass(frozen=True, slots=True)
class ClockRow:
    """Where time stands.

    Attributes:
        mode: "running" or "stopped". wall0, sim0: an instant on both clocks, ms. speed: simulated / wall.
        beat: the keeper's last sign of life, wall ms. epoch: how often the clock was re-based.
    """

    mode: str
    wall0: float
    sim0: float
    speed: float
    beat: float
    epoch: int

    def now_ms(self, wall_ms: float) -> int:
        """Simulated time at a wall time."""
        return int(self.sim0 + (wall_ms - self.wall0) * self.speed) if self.mode == "running" else int(self.sim0)

    @property
    def is_wall(self) -> bool:
        """Whether the market's time is the wall's own, as that of a real exchange is."""
        return self.sim0 == self.wall0 and self.speed == 1

    def shared_ms(self, wall_ms: float) -> int:
        """Time as every process takes it: simulated time goes on for 5 s at most after the keeper's last sign of life.

        So a machine that wakes from sleep, or a keeper that was killed, does not let it jump.
        """
        return int(wall_ms) if self.is_wall else self.now_ms(min(wall_ms, self.beat + SILENT_MS))


def is_kept(row: ClockRow, wall_ms: float) -> bool:
    """Whether somebody drives the clock: it runs and its keeper is alive."""
    return row.mode == "running" and abs(wall_ms - row.beat) <= SILENT_MS


def read_clock(service: DataService) -> ClockRow | None:
    """The stored clock, None before `up` has ever run."""
    with service.database.read() as connection:
        row = connection.execute(select(clock)).mappings().first()
    return ClockRow(**{name: value for name, value in row.items() if name != "id"}) if row else None


def write_clock(service: DataService, row: ClockRow) -> None:
    """Replace the stored clock; it is written every second, so this does not wait for the disk."""
    with service.database.write(durable=False) as connection:
        service.database.upsert(connection, clock, [{"id": 1, **asdict(row)}], ("id",))


def wall_ms() -> int:
    """Now on the computer's clock, ms since the epoch."""
    return time.time_ns() // 1_000_000


class DatabaseClock:
    """Time as the clock row tells it, wall time where none was ever started; keeps `core.ports.Clock`. Never goes back.

    Args:
        wall: the computer's clock, ms.
    """

    def __init__(self, service: DataService, wall: Callable[[], int] = wall_ms) -> None:
        self.service = service
        self.wall = wall
        self._newest = 0

    def now_ms(self) -> int:
        """Simulated time now."""
        row = read_clock(self.service)
        self._newest = max(self._newest, row.shared_ms(self.wall()) if row else self.wall())
        return self._newest
