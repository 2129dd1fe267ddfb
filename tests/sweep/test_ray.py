"""A search on Ray finds what threads find, whoever dies in the middle, on one node or two; without Ray it says so at once.

One Ray at a time: these tests are one worker's (tests/guard/turns.py).
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psutil
import pytest
from laboratory import BTC, SPACE, begun, same, search
from raylab import COMBINATIONS, LIMIT_S, MANY, actors, found, local, plugin, sweep

from alpha_arena.backtest.pool import Job
from alpha_arena.core.errors import ConfigError
from alpha_arena.data import queries
from alpha_arena.data.service import DataService
from alpha_arena.data.trials import times_tried
from alpha_arena.settings import load
from alpha_arena.wiring.searching import Searching
from benchmarks.sweeps import cluster
from flows.raypool import RayFailed, _connect, ray_pool
from flows.sweeps import pool_for, wants_ray

# the pipes to Ray's own processes are closed by their end, not by Ray
QUIET = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning", "ignore:unclosed:ResourceWarning")
DRIVER = """
import sys
from functools import partial

from alpha_arena.data.service import DataService
from alpha_arena.settings import load
from alpha_arena.wiring.sweeping import run_sweep
from flows.sweeps import pool_for

settings = load("sweep", sys.argv[1:])


def wait_for_the_end(done, total):
    print(done, total, flush=True)
    sys.stdin.read()


run_sweep(settings, DataService(settings.database_url), partial(pool_for, settings), 1, wait_for_the_end)
"""


def ray_marks(test: object) -> object:
    """A test that starts Ray."""
    for mark in (pytest.mark.slow, QUIET):
        test = mark(test)
    return test


def on_ray(searching: Searching, workers: int, told: object = None) -> Searching:
    """A search made on this machine's Ray."""
    with ray_pool([ground.bench for ground in searching.grounds], searching.templates, local(workers)) as pool:
        searching.run(pool, told)  # type: ignore[arg-type]
        assert str(pool) == f"Ray, {workers} worker{'s' * (workers > 1)} on 1 node"
    # what Ray leaves behind complains of its own end: here, where that is expected, and not in whichever test comes next
    gc.collect()
    return searching


@ray_marks
@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_numbers_as_in_threads(service: DataService, workers: int) -> None:
    """To the bit, refused combinations included, and all of them kept."""
    threads = search(service, *MANY, workers=2, remember=False)
    ray = on_ray(begun(service, *MANY), workers)
    assert ray.book.done == COMBINATIONS
    assert same(ray.book, threads.book)
    assert times_tried(service, BTC, "1h") == COMBINATIONS - len(ray.book.refused)


@ray_marks
def test_workers_that_are_killed_are_replaced(service: DataService) -> None:
    """Both of them, with jobs at hand: these are done again, nothing twice, and the numbers are the same."""
    killed: list[psutil.Process] = []

    def kill(done: int, total: int) -> None:
        if not killed:
            killed.extend(actors(os.getpid()))
            for worker in killed:
                worker.send_signal(signal.SIGKILL)

    ray = on_ray(begun(service, *MANY), 2, kill)
    assert len(killed) == 2
    assert ray.book.done == COMBINATIONS
    assert same(ray.book, search(service, *MANY, remember=False).book)


@pytest.mark.slow
def test_a_driver_that_is_killed_leaves_what_was_finished(service: DataService, url: str) -> None:
    """Its workers end by themselves (two agents of Ray after a minute), and the same command repeats nothing."""
    command = [sys.executable, "-c", DRIVER, *SPACE, *MANY, "ray.use=always", "ray.workers=2"]
    # it would have ended by itself, had the machine kept this process waiting
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout
        assert driver.stdout.readline().endswith(f"{COMBINATIONS}\n")
        family = psutil.Process(driver.pid).children(recursive=True)
        driver.kill()
    try:
        assert psutil.wait_procs(family, timeout=180)[1] == []
    finally:
        for process in psutil.wait_procs(family, timeout=0)[1]:
            process.kill()
    kept = times_tried(service, BTC, "1h")
    assert 0 < kept < COMBINATIONS
    again = search(service, *MANY)
    assert again.book.reused == kept
    assert same(again.book, search(service, *MANY, remember=False).book)


@pytest.fixture(scope="module")
def nodes() -> Iterator[tuple[str, dict[str, str]]]:
    """A cluster of two nodes of one core: its address, and the environment in which it is found."""
    with tempfile.TemporaryDirectory(prefix="ray") as folder, cluster(Path(folder)) as address:
        yield address, {"RAY_TMPDIR": folder}


@pytest.mark.slow
@pytest.mark.parametrize("named", [True, False])
def test_a_cluster_of_two_nodes(named: bool, nodes: tuple[str, dict[str, str]], service: DataService) -> None:
    """By its address, or found by Ray: said, and the same trials as in threads."""
    address, environment = nodes
    made = found(f"ray.address={address if named else 'auto'}", environment=environment)
    assert made["where"] == "Ray, 2 workers on 2 nodes"
    assert made["reused"] == 0
    again = begun(service, *MANY)
    assert same(search(service, *MANY).book, search(service, *MANY, remember=False).book)
    assert len(again.known[0]) == made["made"]


@pytest.mark.slow
def test_more_workers_than_cores_are_refused(nodes: tuple[str, dict[str, str]], service: DataService) -> None:
    """A worker without a core would be waited for in vain."""
    address, environment = nodes
    done = sweep(*SPACE, f"ray.address={address}", "ray.workers=3", environment=environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert "ray.workers=3 is more than the 2 cores of the cluster" in done.stderr
    assert done.stderr.count("\n") == 1
    assert queries.browse(service, "trials") == []


@pytest.mark.slow
def test_a_plugin_reaches_the_workers(service: DataService, tmp_path: Path) -> None:
    """And what it raises there is said as if it had been raised here."""
    own = plugin(tmp_path / "mine")
    space = ["strategy=own", "sweep=ema_trend", "~sweep.strategies.ema_trend", "+sweep.strategies.own={every: [3, 4, 5, 6]}"]
    done = sweep(own, *space, "ray.use=always", "ray.workers=2", "report=json")
    assert (done.returncode, done.stderr) == (0, "")
    assert times_tried(service, BTC, "1h") == 4
    said = [sweep(own, *space, "strategy.exposure=.nan", f"ray.use={use}", "ray.workers=2") for use in ("never", "always")]
    assert said[0].returncode == said[1].returncode != 0
    assert said[0].stderr == said[1].stderr


@pytest.mark.slow
def test_workers_that_always_die_are_given_up(service: DataService, tmp_path: Path) -> None:
    """In one sentence, with what to do next, after what Ray itself says of each death."""
    space = ["strategy=own", "sweep=ema_trend", "~sweep.strategies.ema_trend", "+sweep.strategies.own={every: [3, 4, 5, 6]}"]
    deadly = [plugin(tmp_path / "mine"), *space, "strategy.mortal=true", "ray.use=always", "ray.workers=1"]
    done = sweep(*deadly, prelude="import os; os.environ['DRIVER'] = str(os.getpid())")
    assert (done.returncode, done.stdout) == (1, "")
    *deaths, said = done.stderr.splitlines()
    assert said.startswith("alpha-arena: workers on Ray died")
    assert said.endswith("run the command again, finished trials are kept")
    assert "Traceback" not in "".join(deaths)


@contextmanager
def answering(words: bytes) -> Iterator[str]:
    """Something that listens but is no Ray: it says this, or nothing."""
    with socket.create_server(("127.0.0.2", 0)) as server:
        server.settimeout(LIMIT_S)
        open_: list[socket.socket] = []

        def serve() -> None:
            open_.append(server.accept()[0])
            open_[0].sendall(words)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.2:{server.getsockname()[1]}"
        thread.join()
        open_[0].close()


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
@pytest.mark.parametrize("named", [True, False])
def test_who_is_not_ray_is_told_within_seconds(
    words: bytes, named: bool, service: DataService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray itself would ask for two minutes, and then end the process."""
    from alpha_arena.cli import main

    with answering(words) as address:
        monkeypatch.setenv("RAY_ADDRESS", address)
        began = time.monotonic()
        code = main(["sweep", *SPACE, f"ray.address={address if named else 'auto'}"])
        assert time.monotonic() - began < LIMIT_S / 2
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert "cannot be reached" in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("overrides", [("ray.use=always",), ("ray.address=auto",)])
def test_ray_is_not_installed(
    overrides: tuple[str, ...], service: DataService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said how to get it, and how to do without."""
    from alpha_arena.cli import main

    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["sweep", *SPACE, *overrides]) == 2
    said = capsys.readouterr()
    assert said.err == "alpha-arena: Ray is not installed; install alpha-arena[sweep], or give ray.use=never\n"


@pytest.mark.parametrize(
    ("overrides", "estimate_s", "ray"),
    [
        ((), 29.0, False),
        ((), 31.0, True),
        (("ray.above_s=5",), 6.0, True),
        (("ray.use=never",), 1e6, False),
        (("ray.use=never", "ray.address=auto"), 1e6, False),
        (("ray.use=always",), 0.1, True),
        (("ray.address=auto",), 0.1, True),
    ],
)
def test_ray_is_taken_where_it_is_worth_its_start(overrides: tuple[str, ...], estimate_s: float, ray: bool) -> None:
    """By estimated work, unless it is asked for or an address is given."""
    settings = load("sweep", [*SPACE, *overrides])
    assert settings.cluster
    assert wants_ray(settings.cluster, estimate_s) == ray


class Late:
    """A Ray that comes up too late so many times, and leaves a process behind each time."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.left: list[subprocess.Popen[bytes]] = []

    def init(self, *_: object, **more: object) -> None:
        """As Ray's own, which raises no class of its own."""
        if len(self.left) < self.times:
            self.left.append(subprocess.Popen(["sleep", "600"]))
            raise Exception("The current node timed out during startup. This could happen because some of the raylet failed")


@pytest.mark.parametrize(("times", "starts"), [(2, True), (3, False)])
def test_a_start_that_came_too_late_is_tried_again(times: int, starts: bool) -> None:
    """As on a machine that does much else; and no process of it goes on beside the next."""
    ray = Late(times)
    with nullcontext() if starts else pytest.raises(RayFailed, match=r"not started in 3 attempts, .* or give ray.use=never"):
        _connect(ray, local(1), ())
    assert [psutil.pid_exists(one.pid) for one in ray.left] == [False] * times
    for one in ray.left:
        one.wait()


def test_threads_say_that_they_are(service: DataService) -> None:
    """And take as many as are asked for."""
    searching = begun(service)
    with pool_for(load("sweep", [*SPACE, "ray.workers=3"]), [searching.grounds[0].bench], searching.templates, 0.0) as pool:
        assert (pool.workers, str(pool)) == (3, "in this process, 3 threads")
        drafts = [searching._drawn(searching.tasks[0], number) for number in range(2)]
        ((job, outcomes),) = pool.run([Job(0, (0, 1), tuple(drafts))])
    assert job.rows == (0, 1)
    assert len(outcomes) == 2


def test_an_address_that_is_none(service: DataService) -> None:
    """Said before anything is tried."""
    searching = begun(service)
    pool = pool_for(load("sweep", [*SPACE, "ray.address=nowhere"]), [], searching.templates, 0.0)
    with pytest.raises(ConfigError, match=r"ray\.address=nowhere cannot be reached"), pool:
        raise AssertionError
