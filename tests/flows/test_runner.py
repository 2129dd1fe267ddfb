"""The runner's loop against a server that does as it is told, on a clock that stands until it is moved."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from alpha_arena.core.errors import ConfigError
from flows.runner import EVERY_LOOKS, Run, Runner, newest_of_each
from flows.timetable import Timetable, check_pace
from flows.work import GaveUp, Job, Turn, Work

HOUR_MS = 3_600_000
START_S = 1_000_000_000.0
# wall seconds after which something is taken to hang
LIMIT_S = 60.0


class FakeServer:
    """A Prefect server in memory; `there` says whether it answers."""

    def __init__(self) -> None:
        self.there = True
        self.scheduled: list[Run] = []
        self.told: list[tuple[str, Any]] = []
        self.refused: set[str] = set()
        self.switched_off: set[str] = set()
        self.to_cancel: list[str] = []
        self.bodies: dict[str, Callable[[], Coroutine[Any, Any, bool]]] = {}

    async def answers(self) -> bool:
        return self.there

    async def register(self, jobs: Sequence[Job], timetable: Timetable) -> None:
        self.told.append(("register", timetable.epoch))

    async def paused(self) -> set[str]:
        return self.switched_off

    async def free(self, mine: Collection[str]) -> int:
        self.told.append(("free", sorted(mine)))
        return 0

    async def due(self, before_s: float) -> list[Run]:
        return [run for run in self.scheduled if run.due_s <= before_s]

    async def skip(self, run: Run, late_s: float) -> None:
        self.scheduled.remove(run)
        self.told.append(("skip", run.id))

    async def take(self, run: Run) -> bool:
        if not self.there:
            raise ConnectionError("gone")
        self.scheduled.remove(run)
        return run.id not in self.refused

    async def execute(self, run: Run) -> bool:
        self.told.append(("execute", run.id))
        return await self.bodies[run.job]()

    async def request(self, job: str, due_s: float) -> None:
        self.told.append(("request", job))
        self.scheduled.append(Run(f"recovery-{job}", job, due_s, by_schedule=False))

    async def cancelling(self) -> list[str]:
        return self.to_cancel

    async def cancelled(self, run_id: str) -> None:
        self.to_cancel.remove(run_id)
        self.told.append(("cancelled", run_id))


class Scene:
    """A runner of three jobs on bars of 60 wall seconds, begun 30 s after a close."""

    def __init__(self, folder: Path) -> None:
        self.now = START_S + 30.0
        self.epoch = 0
        self.done: list[tuple[str, int]] = []
        self.broken: set[str] = set()
        self.decided = -1
        self.asked = False
        self.alerts: list[str] = []
        self.folder = folder
        self.server = FakeServer()
        self.begin()

    def begin(self) -> None:
        """A new process on what the last one left."""
        jobs = [Job(name, self.body(name), offset) for name, offset in {"ingest": 1.0, "trade": 2.0, "sync": 8.0}.items()]
        self.work = Work([*jobs, Job("backtest", self.body("backtest"))], self.timetable, self.folder, self.alert, lambda: self.now)
        self.runner = Runner(
            self.work, self.server, ["symbol=btc"], lambda close: self.decided < close, lambda: self.asked, lambda: self.now, self.pause
        )
        for name in self.work.jobs:
            self.server.bodies[name] = self.flow(name)

    def body(self, name: str) -> Callable[[list[str]], str]:
        def work(overrides: list[str]) -> str:
            if name in self.broken:
                raise OSError(f"{name} is broken")
            self.done.append((name, self.close()))
            if name == "trade":
                self.decided = self.close()
            return name

        return work

    def flow(self, name: str) -> Callable[[], Coroutine[Any, Any, bool]]:
        async def run() -> bool:
            try:
                self.work(name, ["symbol=btc"])
            except (OSError, GaveUp):
                return False
            return True

        return run

    def timetable(self) -> Timetable:
        return Timetable(HOUR_MS, START_S * 1000, 500_000 * HOUR_MS, 60.0, self.epoch)

    def close(self) -> int:
        return self.timetable().newest_close(self.now)

    def alert(self, kind: str, message: str) -> None:
        self.alerts.append(kind)

    async def pause(self, seconds: float) -> None:
        """Jump to when it would have slept until."""
        self.now += seconds

    async def ticks(self, count: int = 1, apart_s: float = 1.5) -> None:
        for _ in range(count):
            await self.runner.tick()
            await asyncio.gather(*self.runner.active.values(), *(task for task in (self.runner.plain, self.runner.obeying) if task))
            self.now += apart_s

    def told(self, what: str) -> list[Any]:
        return [value for kind, value in self.server.told if kind == what]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def play(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, LIMIT_S))


def test_while_the_server_is_silent_each_bar_is_done_once_and_in_order(scene: Scene) -> None:
    """D29: trading does not depend on Prefect."""
    scene.decided = scene.close()
    play(scene.ticks())
    scene.server.there = False
    play(scene.ticks(2))
    assert scene.done == [], "four seconds of silence come first"
    play(scene.ticks(80))
    first = 500_000 * HOUR_MS
    assert scene.done == [(name, close) for close in (first, first + HOUR_MS, first + 2 * HOUR_MS) for name in ("ingest", "trade", "sync")]


def test_a_server_that_answers_without_runs_is_left_alone_and_said(scene: Scene) -> None:
    scene.decided = scene.close()
    play(scene.ticks(30))
    assert scene.done == []
    assert scene.alerts == ["no_run"]


def test_a_job_paused_in_the_server_stays_paused_when_the_server_goes_away_and_in_the_next_process(scene: Scene) -> None:
    scene.server.switched_off = {"trade"}
    scene.decided = scene.close()
    play(scene.ticks())
    scene.server.there = False
    scene.begin()
    play(scene.ticks(30))
    assert {name for name, _ in scene.done} == {"ingest", "sync"}


def test_a_scheduled_run_waits_for_its_time_and_is_executed_once(scene: Scene) -> None:
    scene.decided = scene.close()
    scene.server.scheduled = [Run("a", "trade", scene.now + 5.0)]
    due = scene.now + 5.0
    play(scene.ticks(5, 0.0))
    assert scene.told("execute") == ["a"]
    assert scene.now == due


def test_of_overdue_runs_the_newest_of_each_flow_is_kept_and_asked_ones_too() -> None:
    """D28, D29: a backlog is skipped, not replayed."""
    runs = [Run(f"{job}{n}", job, 100.0 + 60 * n) for job in ("ingest", "trade") for n in range(4)]
    keep, skip = newest_of_each([*runs, Run("mine", "trade", 90.0, by_schedule=False)], 225.0)
    assert [run.id for run in keep] == ["ingest2", "ingest3", "trade2", "trade3", "mine"]
    assert [run.id for run in skip] == ["ingest0", "ingest1", "trade0", "trade1"]


@pytest.mark.parametrize("there", [True, False])
def test_what_people_want_closed_does_not_wait_for_the_next_close(scene: Scene, there: bool) -> None:
    """E1, D35: with and without Prefect; repeated until it is done, also where a sync fails, and counted for no bar."""
    scene.decided, scene.asked, scene.server.there, scene.broken = scene.close(), True, there, {"sync"}
    play(scene.ticks(2, apart_s=0.1))
    assert "sync" not in dict(scene.done)
    scene.broken = set()
    play(scene.ticks(3, apart_s=6.0))
    scene.asked = False
    play(scene.ticks(1))
    assert scene.done.count(("sync", scene.close())) == (1 if there else 2)


def test_a_run_that_another_took_is_left_to_it(scene: Scene) -> None:
    """D27, D28."""
    scene.decided = scene.close()
    scene.server.scheduled = [Run("a", "trade", scene.now)]
    scene.server.refused = {"a"}
    play(scene.ticks(3))
    assert scene.done == []


def test_a_start_frees_what_the_dead_process_held_and_recovers_the_undecided_bar(scene: Scene) -> None:
    """D29: a slot is free at once after a crash."""
    play(scene.ticks(4))
    assert scene.server.told[:2] == [("register", 0), ("free", [])]
    assert scene.told("request") == ["ingest", "trade", "sync"]
    assert [name for name, _ in scene.done] == ["ingest", "trade", "sync"]


def test_a_decided_bar_is_not_recovered(scene: Scene) -> None:
    scene.decided = scene.close()
    play(scene.ticks(4))
    assert scene.told("request") == []


def test_a_rebased_clock_makes_the_schedules_anew(scene: Scene) -> None:
    scene.decided = scene.close()
    play(scene.ticks(2))
    scene.epoch = 1
    play(scene.ticks(2))
    assert scene.told("register") == [0, 1]


def test_a_server_that_comes_back_gets_its_schedules_again(scene: Scene) -> None:
    play(scene.ticks())
    scene.server.there = False
    play(scene.ticks(5))
    scene.server.there = True
    play(scene.ticks())
    assert scene.told("register") == [0, 0]


def test_a_failing_job_is_tried_three_times_for_a_bar_then_waits_for_the_next(scene: Scene) -> None:
    scene.server.there = False
    scene.broken = {"trade"}
    tried = 0

    async def bar() -> None:
        nonlocal tried
        for _ in range(16):
            before = scene.work.attempts.of("trade", scene.close())
            await scene.ticks()
            tried += scene.work.attempts.of("trade", scene.close()) > before

    play(bar())
    assert tried == 3
    assert scene.alerts == ["skipped_bar"]
    scene.broken = set()
    scene.now += 60.0
    play(scene.ticks())
    assert scene.done[-3:] == [(name, scene.close()) for name in ("ingest", "trade", "sync")]


def test_attempts_are_counted_over_restarts(scene: Scene) -> None:
    scene.server.there = False
    for _ in range(3):
        scene.work.attempts.begin("trade", scene.close())
    scene.begin()
    play(scene.ticks(8))
    assert scene.alerts == ["skipped_bar"]
    assert "trade" not in {name for name, _ in scene.done}


def test_a_failed_run_is_recovered_within_its_bar(scene: Scene) -> None:
    scene.decided = scene.close() - HOUR_MS
    scene.server.scheduled = [Run("a", "ingest", scene.now), Run("b", "trade", scene.now)]
    scene.runner.recover = False
    scene.broken = {"trade"}
    play(scene.ticks())
    scene.broken = set()
    play(scene.ticks(3))
    assert "trade" in scene.told("request")
    assert scene.decided == 500_000 * HOUR_MS


def test_a_cancelled_run_is_stopped_and_noted(scene: Scene) -> None:
    async def story() -> None:
        begun = asyncio.Event()

        async def endless() -> bool:
            begun.set()
            await asyncio.Event().wait()
            return True

        scene.decided = scene.close()
        scene.server.bodies["backtest"] = endless
        scene.server.scheduled = [Run("long", "backtest", scene.now, by_schedule=False)]
        await scene.runner.tick()
        await begun.wait()
        scene.server.to_cancel = ["long"]
        for _ in range(EVERY_LOOKS):
            await scene.runner.tick()
        assert scene.told("cancelled") == ["long"]
        assert not scene.runner.active

    play(story())


def test_a_stop_lets_begun_work_end_and_drops_what_waits(scene: Scene) -> None:
    async def story() -> None:
        begun, go = asyncio.Event(), asyncio.Event()
        sleeping = asyncio.Event()

        async def slow() -> bool:
            begun.set()
            await go.wait()
            scene.done.append(("backtest", 0))
            return True

        async def forever(seconds: float) -> None:
            if seconds:
                sleeping.set()
                await asyncio.Event().wait()

        scene.decided = scene.close()
        scene.runner.pause = forever
        scene.server.bodies["backtest"] = slow
        scene.server.scheduled = [Run("now", "backtest", scene.now), Run("later", "trade", scene.now + 5.0)]
        stop = asyncio.Event()
        running = asyncio.create_task(scene.runner.run(stop))
        await begun.wait()
        await sleeping.wait()
        stop.set()
        asyncio.get_running_loop().call_later(0.05, go.set)
        await running
        assert scene.done == [("backtest", 0)]

    play(story())


def test_the_sign_of_life_names_the_process_and_what_it_is_busy_with(scene: Scene) -> None:
    seen: list[tuple[int, str]] = []

    def body(overrides: list[str]) -> None:
        beat = scene.work.pulse.read()
        assert beat
        seen.append((beat.pid, beat.job))

    scene.work.jobs["trade"] = Job("trade", body, 2.0)
    scene.work("trade", [])
    after = scene.work.pulse.read()
    assert seen == [(os.getpid(), "trade")]
    assert after
    assert after.job == ""


def test_of_those_that_wait_the_first_of_a_bar_goes_first() -> None:
    turn = Turn()
    order: list[int] = []

    def go(rank: int) -> None:
        with turn.of(rank):
            order.append(rank)

    with ThreadPoolExecutor(3) as pool, turn.of(9):
        for rank in (2, 0, 1):
            pool.submit(go, rank)
        with turn.free:
            assert turn.free.wait_for(lambda: len(turn.waiting) == 3, LIMIT_S)
    assert order == [0, 1, 2]


def test_wall_and_simulated_time_undo_each_other() -> None:
    timetable = Timetable(HOUR_MS, 5_000.0, 36 * HOUR_MS, 60.0)
    assert timetable.bar_s == 60.0
    assert timetable.wall_s(timetable.sim_ms(1_234.5)) == pytest.approx(1_234.5)
    assert timetable.newest_close(5.0) == 36 * HOUR_MS
    assert timetable.newest_close(64.999) == 36 * HOUR_MS
    assert timetable.newest_close(65.0) == 37 * HOUR_MS


def test_bars_closer_than_thirty_seconds_are_refused() -> None:
    """D75."""
    check_pace("1h", HOUR_MS, 120.0)
    with pytest.raises(ConfigError, match=r"speed 121 makes a 1h bar last .* at most 120"):
        check_pace("1h", HOUR_MS, 121.0)
