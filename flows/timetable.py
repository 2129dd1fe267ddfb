"""When the jobs of a bar are due, in wall time, on a clock that may run faster than the wall's."""

from __future__ import annotations

from dataclasses import dataclass

from alpha_arena.core.errors import ConfigError

SHORTEST_BAR_S = 30.0


@dataclass(frozen=True, slots=True)
class Timetable:
    """Bars of a clock that runs at `speed` times wall time.

    Attributes:
        bar_ms: length of a bar in simulated ms. wall0_ms, sim0_ms: an instant on both clocks, ms since the epoch.
        epoch: number of times the clock was re-based; wall times made under another epoch are void.
    """

    bar_ms: int
    wall0_ms: float
    sim0_ms: float
    speed: float
    epoch: int = 0

    @property
    def bar_s(self) -> float:
        """Length of a bar in wall seconds."""
        return self.bar_ms / self.speed / 1000

    def sim_ms(self, wall_s: float) -> float:
        """Simulated time, ms, at a wall time in seconds since the epoch."""
        return self.sim0_ms + (wall_s * 1000 - self.wall0_ms) * self.speed

    def wall_s(self, sim_ms: float) -> float:
        """Wall time, seconds since the epoch, at a simulated time in ms."""
        return (self.wall0_ms + (sim_ms - self.sim0_ms) / self.speed) / 1000

    def newest_close(self, wall_s: float) -> int:
        """The last close that has passed, simulated ms."""
        return int(self.sim_ms(wall_s) // self.bar_ms) * self.bar_ms


def check_pace(timeframe: str, bar_ms: int, speed: float) -> None:
    """Refuse bars that would close faster than they can be worked on.

    Raises:
        ConfigError: a bar takes less than 30 s of wall time at this speed.
    """
    if bar_ms / speed / 1000 < SHORTEST_BAR_S:
        raise ConfigError(
            f"speed {speed:g} makes a {timeframe} bar last {bar_ms / speed / 1000:g} s; scheduled runs are never closer than "
            f"{SHORTEST_BAR_S:g} s: choose a speed of at most {bar_ms / SHORTEST_BAR_S / 1000:g} or a longer timeframe"
        )
