"""A search on Ray: the benches once in the object store, a worker a core that keeps its indicators, a worker that dies replaced."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

import psutil

from alpha_arena.backtest.pool import AHEAD, Job, Worker
from alpha_arena.backtest.space import Template
from alpha_arena.backtest.trials import Bench, Outcomes
from alpha_arena.core.errors import AlphaArenaError, ConfigError
from alpha_arena.settings.laboratory import Cluster

LOCAL = "local"
RESTARTS = 3
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
# without clusters Ray listens on loopback alone; with them on every interface, to whoever asks
ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
CONNECT_S = 5.0
START_S = 120.0
STARTS = 3
GONE_S = 30.0
# of Ray's own processes within half a minute, which is little on a machine that does much else; there is no setting for it
LATE = "timed out during startup"
LOOPBACK = "127.0.0.1"
# how a client of HTTP/2 opens; a server answers by a frame of its settings
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
FRAME = 9
SETTINGS = 4


class RayFailed(AlphaArenaError):
    """Workers on Ray died again and again."""


def _ray() -> Any:
    try:
        return import_module("ray")
    except ImportError:
        raise ConfigError("Ray is not installed; install alpha-arena[sweep], or give ray.use=never") from None


class RayPool:
    """A pool of Ray actors.

    Args:
        workers: actors of one core each; where others hold the cores, those that have started after START_S.

    Raises:
        RayFailed: none has started.
    """

    def __init__(self, benches: Sequence[Bench], templates: Mapping[str, Template], workers: int) -> None:
        ray = _ray()
        # given with each job: what its constructor was given, a worker that is replaced might not find again
        self._shared = [ray.put((list(benches), dict(templates)))]
        kind = ray.remote(num_cpus=1, max_restarts=RESTARTS, max_task_retries=RESTARTS)(_Actor)
        self._actors = _started(ray, [kind.remote() for _ in range(workers)], self._shared)
        self.workers = len(self._actors)
        self.nodes = len([node for node in ray.nodes() if node["Alive"]])

    def __str__(self) -> str:
        return f"Ray, {self.workers} worker{'s' * (self.workers > 1)} on {self.nodes} node{'s' * (self.nodes > 1)}"

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcomes]]:
        """As Pool.

        Raises:
            RayFailed: a worker died more often than it is replaced. Whatever a job raised, as if it had been done here.
        """
        ray = _ray()
        idle: list[Any] = list(self._actors) * AHEAD
        waiting: dict[Any, tuple[Any, Job]] = {}
        try:
            for job in jobs:
                actor = idle.pop()
                waiting[actor.do.remote(self._shared, job)] = (actor, job)
                if not idle:
                    yield self._next(waiting, idle)
            while waiting:
                yield self._next(waiting, idle)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayError as error:
            raise RayFailed(
                f"workers on Ray died {RESTARTS} times and more ({first_line(error)}); run the command again, finished trials are kept"
            ) from None
        finally:
            for pending in waiting:
                ray.cancel(pending)

    def _next(self, waiting: dict[Any, tuple[Any, Job]], idle: list[Any]) -> tuple[Job, Outcomes]:
        ray = _ray()
        done = ray.wait(list(waiting), num_returns=1)[0][0]
        actor, job = waiting.pop(done)
        idle.append(actor)
        outcomes: Outcomes = ray.get(done)
        return job, outcomes


def _started(ray: Any, actors: Sequence[Any], shared: Sequence[Any]) -> list[Any]:
    """Those of them that have a core."""
    called = {actor.ready.remote(shared): actor for actor in actors}
    ready, late = ray.wait(list(called), num_returns=len(called), timeout=START_S)
    try:
        ray.get(ready)
    except ray.exceptions.RayError as error:
        raise RayFailed(f"a worker on Ray could not start ({first_line(error)}); give ray.use=never to work in this process") from None
    for call in late:
        ray.kill(called[call])
    if not ready:
        raise RayFailed(
            f"no worker on Ray has started within {START_S:.0f} s, other work holds the cores; wait for it, or give ray.use=never"
        )
    return [called[call] for call in ready]


class _Actor:
    """A worker in a process of its own."""

    worker: Worker | None = None

    def ready(self, shared: Sequence[Any]) -> bool:
        """Make the worker where there is none.

        Args:
            shared: one reference to benches and templates.
        """
        self.worker = self.worker or Worker(*_ray().get(shared[0]))
        return True

    def do(self, shared: Sequence[Any], job: Job) -> Outcomes:
        """Try the drafts of a job."""
        self.ready(shared)
        assert self.worker
        return self.worker.do(job)


@contextmanager
def ray_pool(
    benches: Sequence[Bench], templates: Mapping[str, Template], cluster: Cluster, plugins: Sequence[str] = ()
) -> Iterator[RayPool]:
    """Workers on this machine's cores or on a cluster's, until the block ends.

    Raises:
        ConfigError: Ray is not installed, no cluster answers at the address, or it has fewer cores than ray.workers.
    """
    with _environment(QUIET | (ALONE if cluster.address == LOCAL else {})):
        ray = _ray()
        _connect(ray, cluster, plugins)
    try:
        yield RayPool(benches, templates, _workers(ray, cluster))
    finally:
        ray.shutdown()


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables that Ray reads as it is imported and started, where they are not set."""
    missing = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(missing)
    try:
        yield
    finally:
        for name in missing:
            del os.environ[name]


def _workers(ray: Any, cluster: Cluster) -> int:
    cores = int(ray.cluster_resources().get("CPU", 0))
    if (cluster.workers or 1) > cores:
        raise ConfigError(
            f"ray.workers={cluster.workers or 1} is more than the {cores} cores of the cluster at ray.address={cluster.address}; "
            "give fewer, or leave ray.workers=null for one a core"
        )
    return cluster.workers or cores


def _connect(ray: Any, cluster: Cluster, plugins: Sequence[str]) -> None:
    own = {"num_cpus": cluster.workers, "include_dashboard": False, "_node_ip_address": LOOPBACK}
    paths = os.pathsep.join([*plugins, *(path for path in sys.path if path)])
    environment = {"env_vars": {"PYTHONPATH": paths, "NUMBA_NUM_THREADS": "1"}}
    try:
        _knock(cluster.address)
        given = own if cluster.address == LOCAL else {}
        how = {**given, "log_to_driver": False, "logging_level": "ERROR", "runtime_env": environment}
        _patiently(lambda: ray.init(cluster.address, **how))
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"ray.address={cluster.address} cannot be reached ({first_line(error)}); start a cluster with `ray start --head`, "
            "give its HOST:PORT, or leave ray.address=local"
        ) from None


def _patiently(start: Callable[[], object]) -> None:
    """Start Ray, again where it came up too late; of a start that failed nothing is left.

    Raises:
        RayFailed: it came up too late each time. Whatever else the start raised.
    """
    for left in reversed(range(STARTS)):
        before = set(psutil.Process().children(recursive=True))
        try:
            start()
            return
        except Exception as error:
            if LATE not in str(error):
                raise
        late = set(psutil.Process().children(recursive=True)) - before
        for process in late:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(late, GONE_S)
        if not left:
            raise RayFailed(f"Ray has not started in {STARTS} attempts, other work holds the cores; wait for it, or give ray.use=never")


def _knock(address: str) -> None:
    """Ray itself asks for minutes before it believes that nobody is there, and then ends the process.

    Raises:
        OSError: nobody answers, or not as a cluster does.
    """
    if address == LOCAL:
        return
    given = address.removeprefix("ray://")
    found = given if ":" in given else import_module("ray._private.services").canonicalize_bootstrap_address_or_die(given)
    host, _, port = found.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), CONNECT_S) as connection:
        connection.sendall(HELLO)
        answer = connection.recv(FRAME, socket.MSG_WAITALL)
    if len(answer) < FRAME or answer[3] != SETTINGS:
        raise ConnectionError(f"what answers at {found} is not Ray")


def first_line(error: Exception) -> str:
    """What an error says first, without its full stop."""
    return str(error).strip().partition("\n")[0].rstrip(".")
