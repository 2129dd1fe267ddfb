"""Keeps child processes running: ordered readiness, restarts with backoff, a bounded stop (specs: operations §3)."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

CHUNK_BYTES = 65_536
SETTLED_S = 10.0
SOON_S = 0.2
FIRST_WAIT_S = 0.5
LOOK_S = 0.1
ILL_LOOK_S = 1.0
BEFORE_STOP_S = 2.0

Log = Callable[[str, str], None]


async def _at_once(pid: int) -> bool:
    return True


async def _nothing() -> None:
    return


def _healthy(pid: int) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep running.

    Attributes:
        module, args: what `python -m` runs. env: its whole environment.
        ready: asked with the pid until it says yes. ill: asked each second once ready; a reason means kill and start again.
        after: names of children that must have been ready once before this one starts.
        stop_order: lower ones are stopped first. stop_s: seconds after SIGTERM until its group is killed.
        longest_wait_s: the most that is waited before a restart.
    """

    name: str
    module: str
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    ready: Callable[[int], Awaitable[bool]] = _at_once
    ill: Callable[[int], str] = _healthy
    after: tuple[str, ...] = ()
    stop_order: int = 0
    stop_s: float = 4.0
    longest_wait_s: float = 30.0

    @property
    def command(self) -> tuple[str, ...]:
        """A start of the module that dies with this process."""
        return (sys.executable, "-m", "flows.child", str(os.getpid()), self.module, *self.args)


def restart_wait_s(ready_for_s: float, failures: int, longest_s: float) -> float:
    """Seconds to wait before a restart: soon after a good run, else doubling.

    Args:
        ready_for_s: how long it had been ready, 0 if never. failures: short runs in a row, this one included.
    """
    return SOON_S if ready_for_s >= SETTLED_S else min(FIRST_WAIT_S * 2 ** min(failures - 1, 16), longest_s)


class Process(asyncio.SubprocessProtocol):
    """A started child: its end, and its output line by line.

    asyncio's own Process is not used since its wait() also waits for grandchildren that hold the pipe.
    """

    def __init__(self, hear: Callable[[str], None]) -> None:
        self.hear = hear
        self.rest = b""
        self.exited = asyncio.Event()
        self.closed = asyncio.Event()

    @classmethod
    async def start(cls, child: Child, hear: Callable[[str], None]) -> Process:
        """Start it in a session of its own, so that a terminal's Ctrl-C does not reach it."""
        _, process = await asyncio.get_running_loop().subprocess_exec(
            lambda: cls(hear),
            *child.command,
            env=child.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return process

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember how to reach it."""
        assert isinstance(transport, asyncio.SubprocessTransport)
        self.transport = transport
        self.pid = transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        """Hand on whole lines; one longer than a chunk comes in pieces."""
        assert isinstance(data, bytes)
        *lines, self.rest = (self.rest + data).split(b"\n")
        if len(self.rest) > CHUNK_BYTES:
            lines, self.rest = [*lines, self.rest], b""
        for line in lines:
            self.hear(line.decode(errors="replace").rstrip())

    def process_exited(self) -> None:
        """Note that it itself has ended."""
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nothing holds its pipes any more."""
        if self.rest:
            self.hear(self.rest.decode(errors="replace"))
        self.closed.set()

    def terminate(self) -> None:
        """SIGTERM, if it still runs."""
        with suppress(ProcessLookupError):
            self.transport.terminate()

    def kill(self) -> None:
        """SIGKILL to its session: itself and whatever it started."""
        with suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self.transport.kill()
            else:
                os.killpg(self.pid, signal.SIGKILL)


class Supervisor:
    """Runs children until told to stop.

    Args:
        log: called with a child's name and one line of what it wrote, or of what happened to it ("up" is the supervisor).
        before_stop: awaited between the first interrupt and the first SIGTERM, for at most two seconds.
    """

    def __init__(self, children: Sequence[Child], log: Log, before_stop: Callable[[], Awaitable[None]] = _nothing) -> None:
        self.before_stop = before_stop
        self.children = {child.name: child for child in children}
        self.log = log
        self.stopping = asyncio.Event()
        self.was_ready = {child.name: asyncio.Event() for child in children}
        self.processes: dict[str, Process] = {}

    def interrupt(self) -> None:
        """The first call stops in order, the second kills at once."""
        if self.stopping.is_set():
            self.kill()
        self.stopping.set()

    def kill(self) -> None:
        """SIGKILL to every child and what it started."""
        for process in self.processes.values():
            process.kill()

    async def run(self) -> None:
        """Start all, keep them until `interrupt`, stop them in order; no child is alive afterwards."""
        keepers = [asyncio.create_task(self._keep(child)) for child in self.children.values()]
        try:
            await self._until_stopping(asyncio.shield(asyncio.gather(*keepers)))
            self.stopping.set()
            await self._stop()
        finally:
            self.stopping.set()
            self.kill()
            await asyncio.gather(*keepers, return_exceptions=True)

    async def _until_stopping(self, work: Awaitable[object]) -> bool:
        """Wait for the stop or `work`, whichever is first; whether `work` was. An error of `work` is raised."""
        stop, task = asyncio.ensure_future(self.stopping.wait()), asyncio.ensure_future(work)
        done, late = await asyncio.wait({stop, task}, return_when=asyncio.FIRST_COMPLETED)
        for other in late:
            other.cancel()
        if task in done:
            task.result()
        return task in done

    async def _keep(self, child: Child) -> None:
        for name in child.after:
            if not await self._until_stopping(self.was_ready[name].wait()):
                return
        failures = 0
        while not self.stopping.is_set():
            ready_for_s = await self._once(child)
            failures = 0 if ready_for_s >= SETTLED_S else failures + 1
            if not self.stopping.is_set():
                wait_s = restart_wait_s(ready_for_s, failures, child.longest_wait_s)
                self.log("up", f"{child.name} ended after {ready_for_s:.1f} s of being ready; starts again in {wait_s:g} s")
                await self._until_stopping(asyncio.sleep(wait_s))

    async def _once(self, child: Child) -> float:
        """One life of a child; seconds for which it was ready."""
        process = await Process.start(child, partial(self.log, child.name))
        self.processes[child.name] = process
        if self.stopping.is_set():
            process.kill()
        try:
            return await self._life(child, process)
        finally:
            process.kill()
            await process.closed.wait()
            process.transport.close()
            self.log("up", f"{child.name} exited with {process.transport.get_returncode()}")
            del self.processes[child.name]

    async def _life(self, child: Child, process: Process) -> float:
        """Until it exits or is ill; seconds for which it was ready. An error of its readiness is raised."""
        watching = asyncio.create_task(self._watch(child, process.pid))
        exit_ = asyncio.create_task(process.exited.wait())
        await asyncio.wait({exit_, watching}, return_when=asyncio.FIRST_COMPLETED)
        exit_.cancel()
        watching.cancel()
        since = (await asyncio.gather(watching, return_exceptions=True))[0]
        if isinstance(since, Exception):
            raise since
        return time.monotonic() - since if isinstance(since, float) else 0.0

    async def _watch(self, child: Child, pid: int) -> float:
        """Wait until it is ready, then until it is ill; when it became ready, seconds on the monotonic clock."""
        while not await child.ready(pid):
            await asyncio.sleep(LOOK_S)
        since = time.monotonic()
        self.was_ready[child.name].set()
        self.log("up", f"{child.name} is ready")
        with suppress(asyncio.CancelledError):
            while not (reason := child.ill(pid)):
                await asyncio.sleep(ILL_LOOK_S)
            self.log("up", f"{child.name} is killed: {reason}")
        return since

    async def _stop(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.before_stop(), BEFORE_STOP_S)
        children = sorted(self.children.values(), key=lambda child: child.stop_order)
        for _, together in groupby(children, key=lambda child: child.stop_order):
            await asyncio.gather(*map(self._stop_one, together))

    async def _stop_one(self, child: Child) -> None:
        process = self.processes.get(child.name)
        if process is None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.exited.wait(), child.stop_s)
        except TimeoutError:
            self.log("up", f"{child.name} did not stop within {child.stop_s:g} s and is killed")
            process.kill()
