"""The supervisor, with real child processes that say what they do through their output."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from alpha_arena.core.errors import ConfigError
from alpha_arena.data.lock import only_one
from flows.supervisor import Child, Supervisor, restart_wait_s

# several starts of Python, one after the other, on a busy machine
LIMIT_S = 90.0

CHILDREN = {
    "steady": """
        import signal, sys
        signal.signal(signal.SIGTERM, lambda *_: (print("bye", flush=True), sys.exit(0)))
        print("up", flush=True)
        while True: signal.pause()
    """,
    "deaf": """
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("up", flush=True)
        while True: signal.pause()
    """,
    "short": "print('up', flush=True)",
    "wide": "print('x' * 200_000, flush=True); print('end', flush=True)",
    "parent": """
        import subprocess, sys, signal
        grandchild = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        print(f"grandchild {grandchild.pid}", flush=True)
        signal.pause()
    """,
    "boss": """
        import asyncio, sys
        from flows.supervisor import Child, Supervisor
        asyncio.run(Supervisor([Child("deaf", "deaf_child")], lambda name, line: print(name, line, flush=True)).run())
    """,
}


class Log:
    """Collects lines and lets a test wait for one."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.grown = asyncio.Event()

    def __call__(self, name: str, line: str) -> None:
        self.lines.append((name, line))
        self.grown.set()

    def at(self, name: str, text: str) -> int:
        """Where a child's line stands that begins with `text`; -1 if nowhere."""
        return next((n for n, (who, line) in enumerate(self.lines) if who == name and line.startswith(text)), -1)

    def count(self, name: str, text: str) -> int:
        return sum(who == name and line.startswith(text) for who, line in self.lines)

    async def seen(self, name: str, text: str, times: int = 1) -> None:
        while self.count(name, text) < times:
            self.grown.clear()
            await self.grown.wait()


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Child]:
    """Makes a child that runs one of the programs above."""
    for name, code in CHILDREN.items():
        (tmp_path / f"{name}_child.py").write_text(textwrap.dedent(code))
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"}
    return lambda name, program="steady", **more: Child(name, f"{program}_child", env=env, **more)


def drive(children: list[Child], scenario: Callable[[Supervisor, Log], Awaitable[None]]) -> Log:
    """Run a supervisor beside a scenario, which ends by interrupting it."""

    async def play() -> Log:
        log = Log()
        supervisor = Supervisor(children, log)
        await asyncio.wait_for(asyncio.gather(supervisor.run(), scenario(supervisor, log)), LIMIT_S)
        return log

    return asyncio.run(play())


def ended(pidfd: int) -> bool:
    """Whether the process ends within the limit."""
    readable, _, _ = select.select([pidfd], [], [], LIMIT_S)
    os.close(pidfd)
    return bool(readable)


def test_a_child_starts_when_the_one_before_it_is_ready_and_all_stop_in_order(make: Callable[..., Child]) -> None:
    asked: list[int] = []

    async def second_time(pid: int) -> bool:
        asked.append(pid)
        return len(asked) > 1

    async def scenario(supervisor: Supervisor, log: Log) -> None:
        await log.seen("late", "up")
        await log.seen("early", "up")
        supervisor.interrupt()

    log = drive([make("early", ready=second_time, stop_order=1), make("late", after=("early",), stop_order=0)], scenario)
    assert log.at("up", "early is ready") < log.at("late", "up")
    assert -1 < log.at("late", "bye") < log.at("early", "bye")
    assert len(set(asked)) == 1


def test_a_killed_child_comes_back(make: Callable[..., Child]) -> None:
    async def scenario(supervisor: Supervisor, log: Log) -> None:
        await log.seen("one", "up")
        os.kill(supervisor.processes["one"].pid, signal.SIGKILL)
        await log.seen("one", "up", times=2)
        supervisor.interrupt()

    log = drive([make("one")], scenario)
    assert log.at("up", "one exited with -9") > -1


def test_waits_double_until_their_limit_and_a_good_run_ends_them() -> None:
    assert [restart_wait_s(0.0, n, 4.0) for n in range(1, 7)] == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert [restart_wait_s(9.9, n, 30.0) for n in (1, 7, 100)] == [0.5, 30.0, 30.0]
    assert restart_wait_s(10.0, 50, 30.0) == 0.2


def test_a_child_that_cannot_start_does_not_hold_up_the_stop(make: Callable[..., Child]) -> None:
    async def scenario(supervisor: Supervisor, log: Log) -> None:
        await log.seen("broken", "up", times=2)
        await log.seen("one", "up")
        supervisor.interrupt()

    log = drive([make("broken", "short"), make("waits", after=("never",)), make("never", "short", ready=_never), make("one")], scenario)
    assert log.at("waits", "up") == -1


async def _never(pid: int) -> bool:
    return False


def test_a_child_that_ignores_the_stop_is_killed_when_its_time_is_up(make: Callable[..., Child]) -> None:
    async def scenario(supervisor: Supervisor, log: Log) -> None:
        await log.seen("deaf", "up")
        supervisor.interrupt()

    log = drive([make("deaf", "deaf", stop_s=0.2)], scenario)
    assert log.at("up", "deaf did not stop within 0.2 s") > -1
    assert log.at("up", "deaf exited with -9") > -1


def test_a_second_interrupt_kills_at_once(make: Callable[..., Child]) -> None:
    async def scenario(supervisor: Supervisor, log: Log) -> None:
        await log.seen("deaf", "up")
        supervisor.interrupt()
        supervisor.interrupt()

    log = drive([make("deaf", "deaf", stop_s=LIMIT_S * 2)], scenario)
    assert log.at("up", "deaf exited with -9") > -1


def test_an_ill_child_is_killed_with_its_reason_and_starts_again(make: Callable[..., Child]) -> None:
    ill: dict[int, str] = {}

    async def scenario(supervisor: Supervisor, log: Log) -> None:
        await log.seen("one", "up")
        ill[supervisor.processes["one"].pid] = "busy for 99 s"
        await log.seen("one", "up", times=2)
        supervisor.interrupt()

    log = drive([make("one", ill=lambda pid: ill.get(pid, ""))], scenario)
    assert log.at("up", "one is killed: busy for 99 s") > -1


def test_a_line_longer_than_the_pipe_blocks_nobody(make: Callable[..., Child]) -> None:
    async def scenario(supervisor: Supervisor, log: Log) -> None:
        await log.seen("wide", "end")
        supervisor.interrupt()

    log = drive([make("wide", "wide")], scenario)
    assert sum(len(line) for name, line in log.lines if name == "wide" and line[:1] == "x") >= 200_000


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel, as only Linux can be asked")
def test_what_a_child_left_behind_ends_with_it(make: Callable[..., Child]) -> None:
    watched: list[int] = []

    async def scenario(supervisor: Supervisor, log: Log) -> None:
        await log.seen("parent", "grandchild")
        watched.append(os.pidfd_open(int(log.lines[log.at("parent", "grandchild")][1].split()[1])))
        supervisor.interrupt()

    drive([make("parent", "parent")], scenario)
    assert ended(watched[0])


def test_readiness_that_fails_ends_the_supervisor_with_its_error(make: Callable[..., Child]) -> None:
    async def fails(pid: int) -> bool:
        raise OSError("no such port")

    async def nothing(supervisor: Supervisor, log: Log) -> None: ...

    with pytest.raises(OSError, match="no such port"):
        drive([make("one", ready=fails)], nothing)


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel, as only Linux can be asked")
def test_no_child_outlives_a_killed_supervisor(make: Callable[..., Child]) -> None:
    """D27, what trades must not go on beside the next supervisor's."""
    env = dict(make("boss").env)
    boss = subprocess.Popen([sys.executable, "-m", "boss_child"], env=env, stdout=subprocess.PIPE, text=True)
    assert boss.stdout
    with boss, boss.stdout as lines:
        assert any(line.startswith("deaf up") for line in lines)
        child = int(Path(f"/proc/{boss.pid}/task/{boss.pid}/children").read_text().split()[0])
        watched = os.pidfd_open(child)
        boss.kill()
        assert ended(watched)


def test_a_second_holder_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    lock = (tmp_path / "up.lock", "`up`", "wait")
    with only_one(*lock), pytest.raises(ConfigError, match=rf"another `up` \(pid {os.getpid()}\).*or wait"), only_one(*lock):
        pass
    with only_one(*lock):
        assert (tmp_path / "up.lock").read_text() == str(os.getpid())
