"""Laws of the clock row, with wall time that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.core.errors import StoreError
from alpha_arena.data.clock import ClockRow, DatabaseClock, read_clock
from alpha_arena.data.service import DataService
from flows.timekeeper import RUNNING, STOPPED, Pace, Pulse, Timekeeper, beaten, started, stopped, timetable_of

SPEED = 60.0
WALL = 1_700_000_000_000
HOUR_MS = 3_600_000

spans = st.integers(min_value=0, max_value=10**10)
speeds = st.floats(min_value=1.0, max_value=3600.0)


@given(spans, spans, spans, speeds)
def test_time_stands_still_between_a_stop_and_the_next_start(ran: int, away: int, more: int, speed: float) -> None:
    first = started(None, WALL, speed, follows_wall=False)
    rested = stopped(first, WALL + ran)
    again = started(rested, WALL + ran + away, speed, follows_wall=False)
    assert rested.now_ms(WALL + ran + away) == rested.sim0 == first.now_ms(WALL + ran)
    assert again.now_ms(WALL + ran + away) == int(rested.sim0)
    assert again.now_ms(WALL + ran + away + more) == pytest.approx(rested.sim0 + more * speed, abs=1.0)
    assert again.epoch == first.epoch + 1


@given(spans, spans)
def test_after_a_kill_time_goes_on_within_a_second_of_the_last_beat(ran: int, away: int) -> None:
    row = ClockRow(RUNNING, WALL, WALL, SPEED, WALL + ran, 3)
    again = started(row, WALL + ran + away, SPEED, follows_wall=False)
    resumed = again.now_ms(WALL + ran + away)
    assert resumed == row.now_ms(WALL + ran + min(away, 1_000))


@given(st.integers(min_value=-5_000, max_value=5_000), spans)
def test_a_beat_however_late_changes_nothing_but_itself(lost: int, late: int) -> None:
    row = ClockRow(RUNNING, WALL, WALL, SPEED, WALL + 10_000, 0)
    assert beaten(row, WALL + 10_000 + late, lost, follows_wall=False) == ClockRow(RUNNING, WALL, WALL, SPEED, WALL + 10_000 + late, 0)


@given(st.one_of(st.integers(min_value=5_001, max_value=10**9), st.integers(min_value=-(10**9), max_value=-5_001)))
def test_a_sleep_of_the_machine_is_taken_out_of_the_clock(lost: int) -> None:
    """A night's sleep is not three weeks of bars."""
    row = ClockRow(RUNNING, WALL, WALL, SPEED, WALL + 10_000, 0)
    awake = beaten(row, WALL + 11_000 + lost, lost, follows_wall=False)
    assert awake.now_ms(WALL + 11_000 + lost) == row.now_ms(WALL + 11_000)
    assert awake.epoch == 1


def test_a_real_markets_clock_is_the_walls_whatever_was_stored() -> None:
    rested = ClockRow(STOPPED, WALL, WALL + 10**9, SPEED, WALL, 4)
    row = started(rested, WALL + 5, 1.0, follows_wall=True)
    assert row.now_ms(WALL + 77) == WALL + 77
    assert beaten(row, WALL + 10**6, 10**5, follows_wall=True).now_ms(WALL + 10**6) == WALL + 10**6


def test_schedules_of_a_stopped_and_started_clock_meet_its_closes() -> None:
    row = started(stopped(started(None, WALL, SPEED, follows_wall=False), WALL + 1_234), WALL + 99_999, SPEED, follows_wall=False)
    timetable = timetable_of(row, HOUR_MS)
    close = timetable.newest_close((WALL + 200_000) / 1000)
    assert close % HOUR_MS == 0
    assert row.now_ms(timetable.wall_s(close) * 1000) == pytest.approx(close, abs=30)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[DataService]:
    made = DataService(f"sqlite:///{tmp_path}/arena.db")
    made.upgrade()
    yield made
    made.close()


def test_the_keeper_writes_what_every_process_reads(service: DataService) -> None:
    wall = [WALL]
    keeper = Timekeeper(service, Pace(SPEED, follows_wall=False), lambda: wall[0])
    clock = DatabaseClock(service, lambda: wall[0])
    keeper.start()
    wall[0] += 1_000
    keeper.beat()
    assert clock.now_ms() == WALL + 60_000
    keeper.stop()
    wall[0] += 10**7
    keeper.beat()
    keeper.stop()
    assert clock.now_ms() == WALL + 60_000, "a late beat does not wake it"
    Timekeeper(service, Pace(SPEED, follows_wall=False), lambda: wall[0]).start()
    assert clock.now_ms() == WALL + 60_000
    assert keeper.shown() == "2023-11-14 22:14:20+00:00"
    row = read_clock(service)
    assert row
    assert row.epoch == 1


def test_a_start_tells_the_time_at_which_the_clock_has_rested(service: DataService) -> None:
    """Also where a second passes at each look at the wall, which is a minute of the market."""
    wall = count(WALL, 1_000)
    first, second = (Timekeeper(service, Pace(SPEED, follows_wall=False), lambda: next(wall)) for _ in range(2))
    first.start()
    first.stop()
    rested = first.shown()
    assert second.start() == rested == "2023-11-14 22:14:20+00:00"


def test_a_beat_that_fails_is_told_once_and_loses_nothing() -> None:
    """What the machine slept before it comes with the beat that can be written."""
    said: list[str] = []
    beats: list[float] = []
    busy = [True]

    def beat(lost_ms: float) -> None:
        if busy[0]:
            raise StoreError("another process holds it")
        beats.append(lost_ms)

    pulse = Pulse(beat, said.append)
    for lost in (3.0, 60_000.0, -2.0):
        pulse(lost)
    busy[0] = False
    for lost in (1.0, 2.0):
        pulse(lost)
    assert beats == [60_000, 2]
    assert said == ["the clock cannot be written and is tried again every second: another process holds it", "the clock is written again"]
