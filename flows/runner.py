"""Executes a Prefect server's scheduled runs in this process, and does the work without it while it does not answer (specs: operations)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from alpha_arena.core.quality import utc
from flows.timetable import Timetable
from flows.work import Job, Work

log = logging.getLogger("alpha_arena.flows")

POLL_S = 1.5
AHEAD_S = 6.0
SILENT_S = 4.0
NO_RUN_S = 10.0
# what people do in the server's page is looked for less often
EVERY_LOOKS = 3
LAST_WORK_S = 5.0
SYNC = "sync"
OBEY_AGAIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Run:
    """A scheduled run.

    Attributes:
        due_s: wall time in seconds since the epoch. by_schedule: False where somebody asked for it.
        raw: the server's own record.
    """

    id: str
    job: str
    due_s: float
    by_schedule: bool = True
    raw: Any = None


class Server(Protocol):
    """The part of a Prefect server that the runner needs; a call that finds no server raises OSError."""

    async def answers(self) -> bool:
        """Whether it is there and healthy."""

    async def register(self, jobs: Sequence[Job], timetable: Timetable) -> None:
        """Make its deployments and schedules those of the clock; what was paused stays paused."""

    async def paused(self) -> set[str]:
        """Names of jobs that somebody has paused."""

    async def free(self, mine: Collection[str]) -> int:
        """Mark runs Crashed that seem to run but are not `mine`; how many."""

    async def due(self, before_s: float) -> list[Run]:
        """Runs scheduled before a wall time, oldest first."""

    async def skip(self, run: Run, late_s: float) -> None:
        """Mark a run as skipped since it came too late."""

    async def take(self, run: Run) -> bool:
        """Claim a run and its slot; False where another has it or it was cancelled."""

    async def execute(self, run: Run) -> bool:
        """Run its flow here; whether it completed."""

    async def request(self, job: str, due_s: float) -> None:
        """Ask for one more run, due at a wall time."""

    async def cancelling(self) -> list[str]:
        """Ids of runs that somebody asked to cancel."""

    async def cancelled(self, run_id: str) -> None:
        """Note that a run has been cancelled."""


def newest_of_each(runs: Sequence[Run], now_s: float) -> tuple[list[Run], list[Run]]:
    """Runs to execute, and overdue ones to skip: of several overdue runs of a job only the newest is kept."""
    overdue = [run for run in runs if run.by_schedule and run.due_s <= now_s]
    newest = {run.job: run.id for run in sorted(overdue, key=lambda run: run.due_s)}
    skip = [run for run in overdue if newest[run.job] != run.id]
    return [run for run in runs if run not in skip], skip


class Runner:
    """One long-lived process's poll loop.

    Args:
        undecided: whether a trader has not yet decided the bar that closed at the given ms.
        asked: whether people asked for something that cannot wait for the next close.
        wall: wall time, seconds since the epoch. pause: sleeps for seconds.
    """

    def __init__(
        self,
        work: Work,
        server: Server,
        overrides: Sequence[str],
        undecided: Callable[[int], bool],
        asked: Callable[[], bool],
        wall: Callable[[], float] = time.time,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.work = work
        self.server = server
        self.overrides = list(overrides)
        self.undecided = undecided
        self.asked = asked
        self.wall = wall
        self.pause = pause
        # a server that has never answered need not be waited for
        self.heard_s = float("-inf")
        self.known_epoch: int | None = None
        self.recover = True
        self.alerted = -1
        self.looks = 0
        self.stopping = False
        self.active: dict[str, asyncio.Task[None]] = {}
        self.waiting: set[str] = set()
        self.plain: asyncio.Task[None] | None = None
        self.obeying: asyncio.Task[None] | None = None
        self.obeyed_s = float("-inf")

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then what has begun may end, within its time."""
        beating = asyncio.create_task(self._beat())
        while not stop.is_set():
            await self.tick()
            await _within(stop.wait(), POLL_S)
        await self._finish()
        beating.cancel()

    async def tick(self) -> None:
        """One look at what people want, and at the server, or one turn of the plain loop while it is silent."""
        self._obey()
        if await self.server.answers():
            self.heard_s = self.wall()
            await self._attend()
        elif self.wall() - self.heard_s >= SILENT_S:
            self.known_epoch = None
            self._work_alone()

    def _obey(self) -> None:
        """Accounts whose positions are to be closed are synced now, and again until they are; Prefect is not needed for it."""
        if SYNC not in self.work.jobs or self.obeying or self.wall() - self.obeyed_s < OBEY_AGAIN_S or not self.asked():
            return
        self.obeyed_s = self.wall()
        log.warning("positions are to be closed: syncing at once")
        self.obeying = asyncio.create_task(asyncio.to_thread(self.work.at_once, SYNC, self.overrides))
        self.obeying.add_done_callback(self._obeyed)

    def _obeyed(self, _: asyncio.Task[None]) -> None:
        self.obeying = None

    async def _attend(self) -> None:
        try:
            await asyncio.wait_for(self._serve(), NO_RUN_S)
        except (OSError, TimeoutError) as error:
            log.warning("Prefect did not do what was asked: %s", error or type(error).__name__)

    async def _serve(self) -> None:
        if self.looks % EVERY_LOOKS == 0:
            self.work.pause(await self.server.paused())
            await self._cancel()
        self.looks += 1
        await self._settle()
        now = self.wall()
        due, late = newest_of_each(await self.server.due(now + AHEAD_S), now)
        for run in late:
            await self.server.skip(run, now - run.due_s)
        for run in due:
            if run.id not in self.active:
                self._spawn(run)
        self._miss()

    async def _settle(self) -> None:
        """After a silence or a re-based clock: schedules, runs that a dead process left, the bar that nobody decided."""
        timetable = self.work.timetable()
        if self.known_epoch != timetable.epoch:
            await self.server.register(list(self.work.jobs.values()), timetable)
            if freed := await self.server.free(self.active):
                log.warning("marked %d runs of an ended process as crashed", freed)
            self.known_epoch = timetable.epoch
        if self.recover and not self.plain and not self.active:
            self.recover = False
            await self._recover(timetable.newest_close(self.wall()))

    async def _recover(self, close: int) -> None:
        """Ask for runs of what the newest bar still needs, if it is not decided; a second apart, so that they keep their order."""
        if not self.undecided(close):
            self.alerted = close
            return
        for n, job in enumerate(self.work.overdue()):
            await self.server.request(job.name, self.wall() + n)

    async def _cancel(self) -> None:
        for run_id in await self.server.cancelling():
            if task := self.active.get(run_id):
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            await self.server.cancelled(run_id)

    def _spawn(self, run: Run) -> None:
        task = asyncio.create_task(self._execute(run))
        self.active[run.id] = task
        task.add_done_callback(lambda _: self.active.pop(run.id, None))

    async def _execute(self, run: Run) -> None:
        self.waiting.add(run.id)
        await self.pause(max(0.0, run.due_s - self.wall()))
        self.waiting.discard(run.id)
        try:
            if await self.server.take(run) and not await self.server.execute(run):
                self.recover = True
        except OSError as error:
            log.warning("Prefect was lost during %s: %s", run.job, error)

    def _miss(self) -> None:
        """Say so when a healthy server gave no trade run for the newest bar."""
        timetable = self.work.timetable()
        close = timetable.newest_close(self.wall())
        late_s = self.wall() - timetable.wall_s(close)
        for job in self.work.overdue():
            if job.name == "trade" and late_s > (job.offset_s or 0.0) + NO_RUN_S and self.alerted < close and not self.active:
                self.alerted = close
                self.work.alert("no_run", f"Prefect answers but gave no trade run for the bar that closed at {utc(close)}")

    def _work_alone(self) -> None:
        if not self.plain and not self.active:
            self.plain = asyncio.create_task(self._plainly())
            self.plain.add_done_callback(self._alone_no_more)

    def _alone_no_more(self, _: asyncio.Task[None]) -> None:
        self.plain = None

    async def _plainly(self) -> None:
        """Do what is due of the newest bar, in order; the first failure ends the turn."""
        for job in self.work.overdue():
            try:
                await asyncio.to_thread(self.work, job.name, self.overrides)
            except Exception:  # noqa: BLE001 - Work has said it, and the next poll tries again
                return
            if self.stopping:
                return

    async def _beat(self) -> None:
        while True:
            self.work.beat()
            await asyncio.sleep(1.0)

    async def _finish(self) -> None:
        """Let begun work end; what waits for its time is dropped."""
        self.stopping = True
        for run_id in self.waiting & self.active.keys():
            self.active[run_id].cancel()
        begun = [*self.active.values(), *(task for task in (self.plain, self.obeying) if task)]
        await _within(asyncio.gather(*begun, return_exceptions=True), LAST_WORK_S)


async def _within(work: Awaitable[Any], limit_s: float) -> None:
    try:
        await asyncio.wait_for(work, limit_s)
    except TimeoutError:
        return
