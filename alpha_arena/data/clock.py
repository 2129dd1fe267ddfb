"""The clock row: simulated time that all processes share. Wall and simulated times are ms since the epoch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from sqlalchemy import select

from alpha_arena.core.errors import StoreError
from alpha_arena.data.service import DataService
from alpha_arena.data.tables import clock


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


def read_clock(service: DataService) -> ClockRow | None:
    """The stored clock, None before `up` has ever run."""
    with service.database.read() as connection:
        row = connection.execute(select(clock)).mappings().first()
    return ClockRow(**{name: value for name, value in row.items() if name != "id"}) if row else None


def write_clock(service: DataService, row: ClockRow) -> None:
    """Replace the stored clock."""
    with service.database.write() as connection:
        service.database.upsert(connection, clock, [{"id": 1, **asdict(row)}], ("id",))


def wall_ms() -> int:
    """Now on the computer's clock, ms since the epoch."""
    return time.time_ns() // 1_000_000


class DatabaseClock:
    """Time as the clock row tells it; keeps `core.ports.Clock`.

    Args:
        wall: the computer's clock, ms.
    """

    def __init__(self, service: DataService, wall: Callable[[], int] = wall_ms) -> None:
        self.service = service
        self.wall = wall

    def now_ms(self) -> int:
        """Simulated time now.

        Raises:
            StoreError: no clock has been started.
        """
        row = read_clock(self.service)
        if row is None:
            raise StoreError(f"no clock runs on {self.service.database.name}; start one with alpha-arena up")
        return row.now_ms(self.wall())
