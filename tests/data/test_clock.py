"""The clock row: one time for all processes, which neither jumps nor goes back."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from series import DAY, HOUR, START

from alpha_arena.data.clock import SILENT_MS, ClockRow, DatabaseClock, read_clock, wall_ms, write_clock
from alpha_arena.data.service import DataService

WALL = START + 123
ROW = ClockRow("running", WALL, START - DAY, 60.0, WALL, 0)


def test_without_a_clock_it_is_wall_time(service: DataService) -> None:
    assert read_clock(service) is None
    assert DatabaseClock(service, lambda: WALL).now_ms() == WALL
    assert abs(DatabaseClock(service).now_ms() - wall_ms()) < 60_000


def test_every_process_reads_the_row_each_time(service: DataService) -> None:
    wall = [WALL]
    clock = DatabaseClock(service, lambda: wall[0])
    write_clock(service, ROW)
    assert read_clock(service) == ROW
    assert clock.now_ms() == START - DAY
    wall[0] += 1_000
    assert clock.now_ms() == START - DAY + 60_000
    write_clock(service, replace(ROW, mode="stopped", sim0=START))
    wall[0] += DAY
    assert clock.now_ms() == START
    write_clock(service, ClockRow("running", wall[0], START, 120.0, wall[0], 1))
    wall[0] += 1_000
    assert clock.now_ms() == START + 120_000


def test_a_silent_keeper_stops_time_and_a_machine_that_wakes_does_not_let_it_jump(service: DataService) -> None:
    """A night's sleep at 60 x would be three weeks of bars."""
    write_clock(service, ROW)
    assert DatabaseClock(service, lambda: WALL + 8 * HOUR).now_ms() == START - DAY + SILENT_MS * 60


def test_a_real_markets_time_is_the_walls_whoever_keeps_it(service: DataService) -> None:
    for mode in ("running", "stopped"):
        write_clock(service, ClockRow(mode, WALL, WALL, 1.0, WALL, 0))
        assert DatabaseClock(service, lambda: WALL + DAY).now_ms() == WALL + DAY


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.integers(-5_000, 20_000), st.booleans()), max_size=12))
def test_time_never_goes_back(sqlite_service: DataService, steps: list[tuple[int, bool]]) -> None:
    """Whatever the computer's clock does and whether or not the keeper beats."""
    service = sqlite_service
    wall, row, seen = [WALL], ROW, []
    clock = DatabaseClock(service, lambda: wall[0])
    write_clock(service, row)
    for step, beats in steps:
        wall[0] += step
        if beats:
            row = replace(row, beat=wall[0])
            write_clock(service, row)
        seen.append(clock.now_ms())
    assert seen == sorted(seen)
