"""The runner's view of Prefect, against a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import pytest

from flows.prefect_server import PrefectServer, flow_of
from flows.runner import Run, Runner
from flows.timetable import Timetable
from flows.work import Job, Work

pytestmark = [
    pytest.mark.usefixtures("prefect_server", "collected"),
    # Prefect leaves the socket of its event stream open when a loop ends
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

HOUR_MS = 3_600_000
CLOSE_S = 1_700_000_000.25
OVERRIDES = ["symbol=btc", "timeframe=1h"]


class Bench:
    """A registered set of jobs whose bodies note what they were given."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[str]]] = []
        self.broken = False
        self.jobs = [Job("ingest", self.body("ingest"), 1.0), Job("trade", self.body("trade"), 2.0), Job("backtest", self.body("backtest"))]
        self.timetable = Timetable(HOUR_MS, CLOSE_S * 1000, 500_000 * HOUR_MS, 60.0)

    def body(self, name: str) -> Callable[[list[str]], list[dict[str, object]]]:
        def work(overrides: list[str]) -> list[dict[str, object]]:
            self.calls.append((name, overrides))
            if self.broken:
                raise OSError("the disk is full")
            return [{"symbol": "BTC/USDT:USDT", "exposure": float("nan")}]

        return work

    async def asked(self, server: PrefectServer, job: str) -> Run:
        """A new run of the job that is due now."""
        before = {run.id for run in await server.due(time.time())}
        await server.request(job, time.time() - 0.5)
        (made,) = (run for run in await server.due(time.time()) if run.job == job and not run.by_schedule and run.id not in before)
        return made


def play(story: Callable[[Bench, PrefectServer], Awaitable[None]]) -> None:
    async def go() -> None:
        bench = Bench()
        flows = {job.name: flow_of(job.name, job.body, lambda: "named-by-the-clock") for job in bench.jobs}
        async with PrefectServer(flows, OVERRIDES) as server:
            assert await server.answers()
            await server.register(bench.jobs, bench.timetable)
            for run in await server.due(time.time() + 7200):
                await server.skip(run, 0.0)
            await server.free([])
            await story(bench, server)

    asyncio.run(asyncio.wait_for(go(), 240.0))


def test_a_run_is_taken_executed_and_shown() -> None:
    async def story(bench: Bench, server: PrefectServer) -> None:
        run = await bench.asked(server, "trade")
        assert await server.take(run)
        assert await server.execute(run)
        assert bench.calls == [("trade", OVERRIDES)]
        stored = await server.client.read_flow_run(UUID(run.id))
        assert stored.state
        assert (stored.name, stored.state.name) == ("named-by-the-clock", "Completed")
        tables = await server.client.read_artifacts()
        assert any(table.flow_run_id == stored.id and table.key == "trade" for table in tables)

    play(story)


def test_a_failing_body_fails_its_run_and_nothing_else() -> None:
    async def story(bench: Bench, server: PrefectServer) -> None:
        bench.broken = True
        run = await bench.asked(server, "trade")
        assert await server.take(run)
        assert not await server.execute(run)
        assert (await server.client.read_flow_run(UUID(run.id))).state_name == "Failed"

    play(story)


def test_a_second_run_of_a_job_finds_its_slot_taken_until_the_first_is_freed() -> None:
    """D27, D28, D29: one run of a job at a time, and a crash does not keep its slot."""

    async def story(bench: Bench, server: PrefectServer) -> None:
        first, second = await bench.asked(server, "trade"), await bench.asked(server, "trade")
        assert await server.take(first)
        assert not await server.take(second)
        assert await server.free([first.id]) == 0
        assert await server.free([]) == 1
        assert (await server.client.read_flow_run(UUID(first.id))).state_name == "Crashed"
        assert await server.take(await bench.asked(server, "trade"))

    play(story)


def test_a_skipped_run_says_how_late_it_was() -> None:
    async def story(bench: Bench, server: PrefectServer) -> None:
        run = await bench.asked(server, "ingest")
        await server.skip(run, 143.2)
        state = (await server.client.read_flow_run(UUID(run.id))).state
        assert state
        assert (state.name, state.message) == ("Skipped", "143 s late")
        assert run.id not in {other.id for other in await server.due(time.time())}

    play(story)


def test_schedules_follow_the_clock_and_a_pause_outlives_a_new_registration() -> None:
    async def story(bench: Bench, server: PrefectServer) -> None:
        deployment = await server.client.read_deployment_by_name("trade/up")
        schedule = deployment.schedules[0].schedule
        assert schedule.interval.total_seconds() == 60.0
        assert schedule.anchor_date.timestamp() == pytest.approx(CLOSE_S + 2.0, abs=1e-3)
        assert await server.paused() == set()
        await server.client.pause_deployment(deployment.id)
        await server.register(bench.jobs, Timetable(HOUR_MS, CLOSE_S * 1000 + 7_000, 500_000 * HOUR_MS, 30.0, 1))
        assert await server.paused() == {"trade"}
        moved = (await server.client.read_deployment_by_name("trade/up")).schedules
        assert [one.schedule.interval.total_seconds() for one in moved] == [120.0]
        await server.client.resume_deployment(deployment.id)
        assert await server.paused() == set()

    play(story)


def test_a_cancel_in_the_page_reaches_the_runner() -> None:
    from prefect.states import Cancelling

    async def story(bench: Bench, server: PrefectServer) -> None:
        run = await bench.asked(server, "backtest")
        await server.take(run)
        await server.client.set_flow_run_state(UUID(run.id), Cancelling(), force=True)
        assert await server.cancelling() == [run.id]
        await server.cancelled(run.id)
        assert await server.cancelling() == []

    play(story)


def test_the_runner_recovers_a_bar_through_the_server(tmp_path: Path) -> None:
    async def story(bench: Bench, server: PrefectServer) -> None:
        def told(kind: str, message: str) -> None: ...

        work = Work(bench.jobs, lambda: Timetable(HOUR_MS, time.time() * 1000 - 30_000, 500_000 * HOUR_MS, 60.0), tmp_path, told)
        server.flows = {job.name: flow_of(job.name, lambda overrides, name=job.name: work(name, overrides)) for job in bench.jobs}
        runner = Runner(work, server, OVERRIDES, lambda close: True, lambda: False)
        while len(bench.calls) < 2:
            await runner.tick()
            await asyncio.gather(*runner.active.values())
        assert bench.calls == [("ingest", OVERRIDES), ("trade", OVERRIDES)]

    play(story)


def test_a_server_that_is_not_there_does_not_answer() -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    async def go() -> None:
        async with PrefectServer({}, []) as server:
            assert not await server.answers()
            with pytest.raises(OSError, match="connect"):
                await server.due(0.0)

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        asyncio.run(go())
