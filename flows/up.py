"""Everything on this machine with one command: migrated database, clock, Prefect, runner and page, kept running until Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path

from alpha_arena.core.timeframes import timeframe_ms
from alpha_arena.data.lock import only_one
from alpha_arena.data.service import DataService
from alpha_arena.settings import Settings
from alpha_arena.settings.gates import refuse_secrets
from flows.children import LOOPBACK, Plan, children_of, free_port
from flows.market import pace_of
from flows.supervisor import Child, Supervisor
from flows.timekeeper import BEAT_MS, Pulse, Timekeeper
from flows.timetable import check_pace

LOG_BYTES = 10_000_000
LOG_FILES = 3
LOG_NAME = "up.log"
LEVELS = ("INFO ", "WARNING ", "ERROR ")
MOMENT_S = 0.5
BANNER = frozenset(" _|/\\")


def main(settings: Settings) -> int:
    """Run everything until Ctrl-C; 0 after a clean stop.

    The first line on stdout is the page's address, once it answers.

    Raises:
        ConfigError: another `up` runs here, a port is taken, bars would close faster than every 30 s, or an override holds a secret.
        StoreError: the database cannot be migrated or written.
    """
    refuse_secrets(settings.overrides)
    folder = settings.data_folder
    pace = pace_of(settings)
    check_pace(settings.timeframe, timeframe_ms(settings.timeframe), pace.speed)
    with only_one(folder / "up.lock", "`up`", "name another database with database.url="):
        monitor = settings.monitor
        port = free_port(monitor.host, monitor.port, "monitor.port")
        prefect_port = free_port(LOOPBACK, 0, "the port of Prefect")
        plan = Plan(folder, tuple(settings.overrides), monitor.host, port, prefect_port, exchange_port(settings))
        service = DataService(settings.database_url)
        try:
            service.upgrade()
            return keep(plan, Timekeeper(service, pace))
        finally:
            service.close()


def exchange_port(settings: Settings) -> int:
    """Where the embedded exchange will listen; 0 where another market is traded.

    Raises:
        ConfigError: the port is taken.
    """
    exchange = settings.exchange
    embedded = exchange is not None and exchange.kind == "embedded"
    return free_port(LOOPBACK, int(exchange.params["port"]), "exchange.port") if exchange and embedded else 0


def keep(plan: Plan, keeper: Timekeeper) -> int:
    """Start the clock and the children; 0 once all have stopped."""
    log = Journal(plan.folder)
    try:
        log("up", f"the market's clock is at {keeper.start()}; Prefect's page will be {plan.prefect_url.removesuffix('/api')}")
        log("up", f"all that is said goes to {plan.folder / LOG_NAME}")
        asyncio.run(supervise(children_of(plan, Once(lambda: announce(plan))), log, keeper))
        log("up", f"stopped; the market's clock rests at {keeper.shown()}")
    finally:
        keeper.stop()
        log.close()
    return 0


def announce(plan: Plan) -> None:
    """Print the page's address for whoever started us."""
    sys.stdout.write(f"{plan.address}\n")
    sys.stdout.flush()


class Once:
    """Calls a function the first time only."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.calls = [call]

    def __call__(self) -> None:
        """Call it, if that has not been done."""
        while self.calls:
            self.calls.pop()()


class Journal:
    """What every process says: all of it in one file with its name before it; the supervisor's and the engine's own words on stderr too."""

    def __init__(self, folder: Path) -> None:
        self.handler = RotatingFileHandler(folder / LOG_NAME, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
        self.handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))

    def __call__(self, name: str, line: str) -> None:
        """Note one line; a server's banner is none."""
        if BANNER.issuperset(line):
            return
        self.handler.handle(logging.LogRecord(name, logging.INFO, "", 0, "%-8s %s", (name, line), None))
        if name == "up" or (name == "runner" and line.startswith(LEVELS)):
            sys.stderr.write(f"{name:8} {line}\n")

    def close(self) -> None:
        """Close the file."""
        self.handler.close()


def spaced(call: Callable[[], None], now_s: Callable[[], float]) -> Callable[[], None]:
    """The call, deaf for a moment after each time: one Ctrl-C may arrive twice, from the terminal and from a program in between."""
    last = [float("-inf")]

    def once_a_moment() -> None:
        if now_s() - last[0] >= MOMENT_S:
            last[0] = now_s()
            call()

    return once_a_moment


def handle_signals(interrupt: Callable[[], None]) -> None:
    """Have Ctrl-C, a termination and a closed terminal call `interrupt` in the running loop, even if inherited as ignored."""
    loop = asyncio.get_running_loop()
    interrupt = spaced(interrupt, loop.time)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if number := getattr(signal, name, None):
            try:
                loop.add_signal_handler(number, interrupt)
            except NotImplementedError:
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(interrupt))


async def supervise(children: Sequence[Child], log: Journal, keeper: Timekeeper) -> None:
    """Keep the children and beat the clock until a signal; then freeze the clock and stop them."""
    supervisor = Supervisor(children, log, lambda: asyncio.to_thread(keeper.stop))
    handle_signals(supervisor.interrupt)
    beating = asyncio.create_task(_beat(keeper, log))
    try:
        await supervisor.run()
    finally:
        beating.cancel()


async def _beat(keeper: Timekeeper, log: Journal) -> None:
    """A sign of life each second; a sleep that took longer than it should tells that the machine slept too."""
    pulse = Pulse(keeper.beat, lambda line: log("up", line))
    while True:
        before = keeper.wall()
        await asyncio.sleep(BEAT_MS / 1000)
        await asyncio.to_thread(pulse, keeper.wall() - before - BEAT_MS)
