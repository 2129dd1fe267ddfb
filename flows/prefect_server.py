"""A Prefect server as the runner sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import httpx
from prefect import Flow, flow
from prefect.artifacts import acreate_table_artifact
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, FlowRun, State, StateType
from prefect.client.schemas.responses import OrchestrationResult, SetStateStatus
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound
from prefect.flow_engine import run_flow
from prefect.schedules import Interval
from prefect.states import Cancelled, Crashed, Pending, Scheduled

from flows.runner import Run
from flows.timetable import Timetable
from flows.work import Body, Job

DEPLOYMENT = "up"
HEALTH_S = 2.0
BEGUN = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]


def flow_of(name: str, body: Body, run_name: Callable[[], str] | None = None, description: str = "") -> Flow[Any, Any]:
    """A flow that does `body(overrides)` in a thread; what it returns is shown as an artifact of its run."""

    @flow(name=name, description=description or None, flow_run_name=run_name, persist_result=False)
    async def job(overrides: list[str]) -> Any:
        result = await asyncio.to_thread(body, overrides)
        await show(name, result)
        return result

    return cast(Flow[Any, Any], job)


async def show(name: str, result: Any) -> None:
    """Record rows as a table artifact of the present run; a failure to do so fails nothing, for what counts is in the database."""
    rows = [row for row in (result if isinstance(result, list) else [result]) if isinstance(row, Mapping)]
    if rows and FlowRunContext.get():
        with suppress(httpx.HTTPError, ValueError, TypeError):
            await acreate_table_artifact(table=[{key: str(value) for key, value in row.items()} for row in rows], key=name)


@asynccontextmanager
async def _reaching() -> AsyncIterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        raise ConnectionError(str(error) or type(error).__name__) from error


class PrefectServer:
    """Talks to the server at PREFECT_API_URL; use as an async context manager.

    Args:
        flows: by job name. overrides: the default parameter of every deployment.
    """

    def __init__(self, flows: Mapping[str, Flow[Any, Any]], overrides: Sequence[str]) -> None:
        self.flows = flows
        self.overrides = list(overrides)
        self.names: dict[UUID, str] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> PrefectServer:
        self.client: PrefectClient = await self._stack.enter_async_context(get_client())
        self._health = await self._stack.enter_async_context(httpx.AsyncClient(base_url=str(self.client.api_url), timeout=HEALTH_S))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def answers(self) -> bool:
        """Whether its health check says yes within two seconds."""
        try:
            return (await self._health.get("health")).is_success
        except httpx.HTTPError:
            return False

    async def register(self, jobs: Sequence[Job], timetable: Timetable) -> None:
        """Make its deployments and schedules those of the clock; what was paused stays paused."""
        async with _reaching():
            self.names = {await self._register(job, timetable): job.name for job in jobs}

    async def _register(self, job: Job, timetable: Timetable) -> UUID:
        known = None
        with suppress(ObjectNotFound):
            known = await self.client.read_deployment_by_name(f"{job.name}/{DEPLOYMENT}")
        schedules = []
        if job.offset_s is not None:
            anchor = datetime.fromtimestamp(timetable.wall_s(timetable.sim0_ms // timetable.bar_ms * timetable.bar_ms) + job.offset_s, UTC)
            active = all(schedule.active for schedule in known.schedules) if known else True
            schedules = [Interval(timedelta(seconds=timetable.bar_s), anchor_date=anchor, active=active)]
        deployment = await self.flows[job.name].ato_deployment(
            name=DEPLOYMENT,
            schedules=schedules,
            paused=bool(known and known.paused),
            parameters={"overrides": self.overrides},
            concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        )
        return await deployment.aapply()

    async def paused(self) -> set[str]:
        """Names of jobs whose deployment, or every schedule of it, is switched off."""
        async with _reaching():
            known = await self.client.read_deployments()
        return {
            self.names[one.id]
            for one in known
            if one.id in self.names and (one.paused or (one.schedules and not any(schedule.active for schedule in one.schedules)))
        }

    async def free(self, mine: Collection[str]) -> int:
        """Mark runs Crashed that seem to run but are not `mine`; how many."""
        async with _reaching():
            lost = [run for run in await self._runs(BEGUN) if str(run.id) not in mine]
            for run in lost:
                await self._force(str(run.id), Crashed(message="its process ended"))
        return len(lost)

    async def due(self, before_s: float) -> list[Run]:
        """Runs scheduled before a wall time, oldest first."""
        async with _reaching():
            found = await self.client.get_scheduled_flow_runs_for_deployments(list(self.names), datetime.fromtimestamp(before_s, UTC))
        runs = [self._run(run) for run in found]
        return sorted(runs, key=lambda run: run.due_s)

    def _run(self, run: FlowRun) -> Run:
        assert run.deployment_id
        assert run.next_scheduled_start_time
        return Run(str(run.id), self.names[run.deployment_id], run.next_scheduled_start_time.timestamp(), bool(run.auto_scheduled), run)

    async def skip(self, run: Run, late_s: float) -> None:
        """Mark a run as skipped since it came too late."""
        async with _reaching():
            await self._force(run.id, Cancelled(name="Skipped", message=f"{late_s:.0f} s late"))

    async def take(self, run: Run) -> bool:
        """Claim a run and its slot; False where another has it or it was cancelled."""
        async with _reaching():
            answer: OrchestrationResult[Any] = await self.client.set_flow_run_state(UUID(run.id), Pending())
        run.raw.state = answer.state
        return answer.status == SetStateStatus.ACCEPT

    async def execute(self, run: Run) -> bool:
        """Run its flow here; whether it completed."""
        async with _reaching():
            state = await cast(Any, run_flow(self.flows[run.job], flow_run=run.raw, return_type="state"))
        return isinstance(state, State) and state.is_completed()

    async def request(self, job: str, due_s: float) -> None:
        """Ask for one more run, due at a wall time."""
        ids = [key for key, name in self.names.items() if name == job]
        async with _reaching():
            state: State[Any] = Scheduled(scheduled_time=datetime.fromtimestamp(due_s, UTC))
            await self.client.create_flow_run_from_deployment(ids[0], state=state, tags=["recovery"])

    async def cancelling(self) -> list[str]:
        """Ids of runs that somebody asked to cancel."""
        async with _reaching():
            return [str(run.id) for run in await self._runs([StateType.CANCELLING])]

    async def cancelled(self, run_id: str) -> None:
        """Note that a run has been cancelled."""
        async with _reaching():
            await self._force(run_id, Cancelled())

    async def _runs(self, states: list[StateType]) -> list[FlowRun]:
        if not self.names:
            return []
        chosen = FlowRunFilter.model_validate({"state": {"type": {"any_": states}}, "deployment_id": {"any_": list(self.names)}})
        return await self.client.read_flow_runs(flow_run_filter=chosen)

    async def _force(self, run_id: str, state: State[Any]) -> None:
        await self.client.set_flow_run_state(UUID(run_id), state, force=True)
