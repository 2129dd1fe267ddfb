"""What `up` starts, where, and how it is known to be ready or hung."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from alpha_arena.core.errors import ConfigError
from alpha_arena.settings.gates import key_of, without_confirmation
from flows.supervisor import Child
from flows.work import Pulse

STALE_BEAT_S = 30.0
BUSY_S = 600.0
PREFECT_DAYS = 3
LOOPBACK = "127.0.0.1"
INGEST_ONLY = ("timeframes", "since_days")
# overrides after which `up` runs no default arena
ONE_TRADER = {"arena", "trader", "decision", "strategy"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What `up` starts.

    Attributes:
        folder: where the lock, the log, the runner's state and Prefect's database lie.
        overrides: of the command, handed on to the runner and the page.
        host, port: of the page. prefect_port: of Prefect's server and its own page, on loopback.
        exchange_port: of the embedded exchange, on loopback; 0 where another market is traded.
    """

    folder: Path
    overrides: tuple[str, ...]
    host: str
    port: int
    prefect_port: int
    exchange_port: int = 0

    @property
    def address(self) -> str:
        """Where a browser finds the page."""
        return f"http://{LOOPBACK if self.host == '0.0.0.0' else self.host}:{self.port}"

    @property
    def prefect_url(self) -> str:
        """Where Prefect's API is."""
        return f"http://{LOOPBACK}:{self.prefect_port}/api"


def free_port(host: str, port: int, key: str) -> int:
    """The port itself, or any free one for 0.

    Raises:
        ConfigError: something else listens there; `key` is what to override.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(f"{key}={port} cannot be used on {host} ({error.strerror}); choose another, or 0 for any free one") from error
        return int(probe.getsockname()[1])


def environment(plan: Plan, base: Mapping[str, str]) -> dict[str, str]:
    """The children's environment: no telemetry, Prefect's files beside ours, every client at our server, nothing through a proxy."""
    return {
        **base,
        "PREFECT_HOME": str((plan.folder / "prefect").resolve()),
        "PREFECT_API_URL": plan.prefect_url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "alpha_arena",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(PREFECT_DAYS * 86_400),
        # Prefect reads this one as ISO 8601, the one above as seconds
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": f"P{PREFECT_DAYS}D",
        "DO_NOT_TRACK": "1",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "NO_PROXY": ",".join(filter(None, [base.get("NO_PROXY", ""), LOOPBACK, "localhost"])),
        "PYTHONUNBUFFERED": "1",
    }


def answers_at(host: str, port: int, path: str) -> Callable[[int], Awaitable[bool]]:
    """Readiness of a server: its health path says 200."""

    def ask() -> bool:
        link = http.client.HTTPConnection(host, port, timeout=2.0)
        try:
            link.request("GET", path)
            return link.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            link.close()

    async def ready(pid: int) -> bool:
        return await asyncio.to_thread(ask)

    return ready


def alive(pulse: Pulse, wall: Callable[[], float] = time.time) -> Callable[[int], Awaitable[bool]]:
    """Readiness of the runner: a fresh sign of life that carries its pid."""

    async def ready(pid: int) -> bool:
        beat = pulse.read()
        return beat is not None and beat.pid == pid and wall() - beat.at_s < STALE_BEAT_S

    return ready


def hung(pulse: Pulse, wall: Callable[[], float] = time.time) -> Callable[[int], str]:
    """Why the runner must be killed: no sign of life, or one job for too long; empty while it is well."""

    def reason(pid: int) -> str:
        beat, now = pulse.read(), wall()
        if beat is None or beat.pid != pid or now - beat.at_s > STALE_BEAT_S:
            return f"no sign of life for {STALE_BEAT_S:g} s"
        return f"busy with {beat.job} for more than {BUSY_S:g} s" if beat.job and now - beat.since_s > BUSY_S else ""

    return reason


def for_page(overrides: tuple[str, ...]) -> tuple[str, ...]:
    """Overrides of `serve` that make it see what `up` runs with these."""
    keys = {key_of(text) for text in overrides}
    exchange = () if "exchange" in keys or "executor=okx" in overrides else ("exchange=synthetic",)
    arena = () if {key.partition(".")[0] for key in keys} & ONE_TRADER else ("arena=default",)
    return (*exchange, *arena, *(text for text in overrides if key_of(text) not in INGEST_ONLY))


def for_exchange(plan: Plan) -> tuple[str, ...]:
    """Overrides of `exchange` that make it hold an account for each trader that `up` runs, at the port that was found free."""
    kept = (text for text in for_page(plan.overrides) if key_of(text) != "exchange.port")
    return (*without_confirmation(tuple(kept)), f"exchange.port={plan.exchange_port}")


def exchange_of(plan: Plan, env: Mapping[str, str]) -> Child:
    """The embedded exchange, ready when it tells the time."""
    ready = answers_at(LOOPBACK, plan.exchange_port, "/api/v5/public/time")
    return Child("exchange", "flows.exchange_process", for_exchange(plan), env, ready, stop_order=1, longest_wait_s=4.0)


def children_of(plan: Plan, opened: Callable[[], None]) -> list[Child]:
    """The embedded exchange if it is traded, Prefect, runner and page; nothing waits for Prefect, the runner waits for the exchange.

    Args:
        opened: called when the page answers for the first time.
    """
    env = environment(plan, os.environ)
    pulse = Pulse(plan.folder / "runner.json")
    page = answers_at(LOOPBACK if plan.host == "0.0.0.0" else plan.host, plan.port, "/healthz")

    async def page_ready(pid: int) -> bool:
        if ready := await page(pid):
            opened()
        return ready

    serve = (*for_page(plan.overrides), f"monitor.host={plan.host}", f"monitor.port={plan.port}")
    prefect = ("server", "start", "--host", LOOPBACK, "--port", str(plan.prefect_port))
    exchange = [exchange_of(plan, env)] if plan.exchange_port else []
    after = tuple(child.name for child in exchange)
    return [
        *exchange,
        Child("runner", "flows.runner_process", plan.overrides, env, alive(pulse), hung(pulse), after, stop_s=6.0, longest_wait_s=4.0),
        Child("page", "alpha_arena.cli", ("serve", *serve), env, page_ready),
        Child("prefect", "prefect", prefect, env, answers_at(LOOPBACK, plan.prefect_port, "/api/health"), stop_order=1),
    ]
