"""`up` as a user starts it: real processes, real Prefect, the synthetic market."""

from __future__ import annotations

import os
import queue
import re
import select
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from alpha_arena.core.errors import ConfigError
from alpha_arena.data.ledger import Ledger
from alpha_arena.data.queries import decisions, traders
from alpha_arena.data.service import DataService
from alpha_arena.settings import load
from flows.up import Journal, main, spaced

FIRST_S = 240.0
STOP_S = 60.0
HOUR_MS = 3_600_000
DECIDED = r"^runner .* exposure"


class Up:
    """A running `up`; its lines on stderr can be waited for."""

    def __init__(self, folder: Path, *overrides: str) -> None:
        self.lines: queue.Queue[str] = queue.Queue()
        command = [
            sys.executable,
            "-m",
            "alpha_arena.cli",
            "up",
            f"database.url=sqlite:///{folder}/arena.db",
            "monitor.port=0",
            *(overrides or ["exchange.speed=120"]),
        ]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, cwd=folder, text=True, start_new_session=True, **pipes)
        self.reading = threading.Thread(target=self._read)
        self.reading.start()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.lines.put(line)

    def seen(self, pattern: str) -> re.Match[str]:
        """The next line that matches."""
        while True:
            if found := re.search(pattern, self.lines.get(timeout=FIRST_S)):
                return found

    def line(self) -> str:
        """The first line on stdout, which is the address once the page answers."""
        assert self.process.stdout
        readable, _, _ = select.select([self.process.stdout], [], [], FIRST_S)
        assert readable, "no page in time"
        return self.process.stdout.readline().strip()

    def children(self) -> list[int]:
        """Their pids."""
        return [int(pid) for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()]

    def child(self, module: str) -> int:
        """The pid of the one that runs a module."""
        return next(pid for pid in self.children() if module in Path(f"/proc/{pid}/cmdline").read_text().split("\0"))

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_S)


@contextmanager
def up_in(folder: Path, *overrides: str) -> Iterator[Up]:
    started = Up(folder, *overrides)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            os.killpg(started.process.pid, signal.SIGKILL)
        started.process.wait()
        started.reading.join()
        for pipe in (started.process.stdout, started.process.stderr):
            assert pipe
            pipe.close()


def bars(folder: Path) -> dict[str, list[int]]:
    """Decided bars of each trader, ms, ascending."""
    service = DataService(f"sqlite:///{folder}/arena.db", read_only=True)
    try:
        rows = decisions(service, limit=100_000)
    finally:
        service.close()
    return {trader: sorted(row["bar_ts"] for row in rows if row["trader"] == trader) for trader in {row["trader"] for row in rows}}


def test_a_signal_that_arrives_twice_is_one_and_a_second_one_is_a_second() -> None:
    calls: list[float] = []
    now = [0.0]
    interrupt = spaced(lambda: calls.append(now[0]), lambda: now[0])
    for now[0] in (10.0, 10.01, 10.4, 10.6, 12.0):
        interrupt()
    assert calls == [10.0, 10.6, 12.0]


def test_the_journal_keeps_all_and_shows_what_is_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = Journal(tmp_path)
    for name, line in [
        ("up", "page is ready"),
        ("runner", "INFO decided"),
        ("runner", "Traceback"),
        ("prefect", "said"),
        ("prefect", " _ |_|"),
    ]:
        journal(name, line)
    journal.close()
    assert capsys.readouterr().err == "up       page is ready\nrunner   INFO decided\n"
    kept = (tmp_path / "up.log").read_text().splitlines()
    assert [line[24:] for line in kept] == ["up       page is ready", "runner   INFO decided", "runner   Traceback", "prefect  said"]


def test_a_fast_market_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """D75."""
    with pytest.raises(ConfigError, match="at most 120"):
        main(load("up", [f"database.url=sqlite:///{tmp_path}/new/arena.db", "exchange.speed=121"]))
    assert not (tmp_path / "new").exists()


def test_a_market_without_a_future_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exchange=file does not go on"):
        main(load("up", [f"database.url=sqlite:///{tmp_path}/arena.db", "exchange=file", f"exchange.path={tmp_path}"]))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel for children, as only Linux can be asked")
def test_up_trades_shows_a_page_stops_on_interrupt_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """D23, D27: a second start repeats nothing, and a second `up` beside the first is refused."""
    with up_in(tmp_path) as first:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{first.line()}/healthz", timeout=STOP_S) as answer:
            assert answer.status == 200
        first.seen(DECIDED)
        with up_in(tmp_path) as second:
            assert str(first.process.pid) in second.seen(r"another .up.").string
            assert second.process.wait(STOP_S) == 2
        assert first.interrupt() == 0
        rested = first.seen(r"clock rests at (.*)")[1]
    before = bars(tmp_path)
    assert len(before) >= 3
    assert all(len(found) > 700 for found in before.values()), "30 days of catch-up"
    with up_in(tmp_path) as again:
        assert again.seen(r"clock is at (\S+ \S+?);")[1] == rested
        again.seen(DECIDED)
        assert again.interrupt() == 0
    assert_goes_on(before, bars(tmp_path))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel for children, as only Linux can be asked")
def test_kills_of_the_runner_and_of_up_miss_no_bar_and_repeat_none(tmp_path: Path) -> None:
    """D23, D24, D27, D29: start-up is recovery."""
    with up_in(tmp_path) as first:
        first.seen(DECIDED)
        os.kill(first.child("flows.runner_process"), signal.SIGKILL)
        first.seen("runner exited with -9")
        first.seen("runner is ready")
        first.seen(DECIDED)
        watched = [os.pidfd_open(pid) for pid in first.children()]
        os.kill(first.process.pid, signal.SIGKILL)
        assert len(watched) == 3
        for pidfd in watched:
            assert select.select([pidfd], [], [], STOP_S)[0], "a child outlived `up`"
            os.close(pidfd)
    before = bars(tmp_path)
    with up_in(tmp_path) as again:
        again.seen(DECIDED)
        assert again.interrupt() == 0
    assert_goes_on(before, bars(tmp_path))


LIVE = ("exchange=embedded", "executor=okx", "exchange.speed=60")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel for children, as only Linux can be asked")
def test_up_trades_accounts_at_the_embedded_exchange_through_kills_and_closes_when_told(tmp_path: Path) -> None:
    """A1, E1, D20, D23: exchange and runner die and come back; each bar is decided at most once; told to flatten, nothing is held."""
    url = f"database.url=sqlite:///{tmp_path}/arena.db"
    with up_in(tmp_path, *LIVE) as first:
        first.line()
        first.seen(DECIDED)
        os.kill(first.child("flows.exchange_process"), signal.SIGKILL)
        first.seen("exchange exited with -9")
        first.seen("exchange is ready")
        os.kill(first.child("flows.runner_process"), signal.SIGKILL)
        first.seen("runner is ready")
        first.seen(DECIDED)
        held = engaged(tmp_path)
        subprocess.run([sys.executable, "-m", "alpha_arena.cli", "kill", "policy=flatten", url], check=True, capture_output=True)
        # else a decision has closed it meanwhile, or it has been closed at once
        if held and engaged(tmp_path):
            first.seen("positions are to be closed")
        assert first.interrupt() == 0
    decided = bars(tmp_path)
    assert len(decided) == 3
    assert all(len(found) == len(set(found)) >= 2 for found in decided.values())
    with up_in(tmp_path, *LIVE) as again:
        # whatever the interrupt cut short is done before anything is decided
        again.seen(DECIDED)
        assert again.interrupt() == 0
    assert not engaged(tmp_path)


def engaged(folder: Path) -> set[str]:
    """Symbols in which any trader has a position or an open order."""
    service = DataService(f"sqlite:///{folder}/arena.db", read_only=True)
    try:
        names = [str(row["trader"]) for row in traders(service)]
        return {symbol for name in names for symbol in Ledger(service, name, "1h", "okx").engaged()}
    finally:
        service.close()


def assert_goes_on(before: dict[str, list[int]], after: dict[str, list[int]]) -> None:
    """Every trader has more bars than before, one after the other."""
    for trader, found in after.items():
        assert found[: len(before[trader])] == before[trader]
        assert len(found) > len(before[trader])
        assert {right - left for left, right in pairwise(found)} == {HOUR_MS}, "no bar is missed, none decided twice"
