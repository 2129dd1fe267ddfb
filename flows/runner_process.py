"""The runner as a process: `python -m flows.runner_process OVERRIDES...`, started and stopped by `up`."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from flows.bodies import Bench
from flows.runner import Runner
from flows.work import Work

SIGNAL_SEEN_S = 0.5

Stopping = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


def main(overrides: Sequence[str]) -> None:
    """Work until SIGTERM."""
    say_what_is_ours()
    with Bench.of("up", overrides) as bench:
        work = Work(bench.jobs(), bench.timetable, bench.folder, bench.alert)
        in_second_thread(lambda stop: _run(bench, work, stop))


def say_what_is_ours() -> None:
    """The engine's own log on stdout, each record with its level before it; Prefect's goes where Prefect is told."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    ours = logging.getLogger("alpha_arena")
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    ours.propagate = False


async def _run(bench: Bench, work: Work, stop: asyncio.Event) -> None:
    # takes seconds, and nothing before this needs it
    from flows.prefect_server import PrefectServer, flow_of

    work.beat()
    flows = {job.name: flow_of(job.name, _asks(work, job.name), _named(bench, job.name)) for job in work.jobs.values()}
    stored = list(bench.settings.stored_overrides)
    async with PrefectServer(flows, stored) as server:
        await Runner(work, server, stored, bench.undecided, bench.asked).run(stop)


def _asks(work: Work, name: str) -> Callable[[list[str]], Any]:
    return lambda overrides: work(name, overrides)


def _named(bench: Bench, name: str) -> Callable[[], str]:
    return lambda: bench.run_name(name)


def in_second_thread(work: Stopping) -> None:
    """Run an event loop beside the main thread, which takes signals only: Prefect would put handlers of its own in the main thread."""
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    listening = threading.Event()

    async def go() -> None:
        stop = asyncio.Event()
        begun.set_result((asyncio.get_running_loop(), stop))
        # a signal that the work itself provokes must find its handler
        await asyncio.to_thread(listening.wait)
        await work(stop)

    with ThreadPoolExecutor(1, "loop") as pool:
        ended = pool.submit(lambda: asyncio.run(go()))
        loop, stop = begun.result()
        with signals_to(lambda: loop.is_closed() or loop.call_soon_threadsafe(stop.set)):
            listening.set()
            # a signal that comes just before the main thread blocks on a lock would not be seen until that lock is free
            while wait([ended], timeout=SIGNAL_SEEN_S).not_done:
                pass
            ended.result()


@contextmanager
def signals_to(call: Callable[[], object]) -> Iterator[None]:
    """Have SIGTERM and SIGINT call a function; the handlers before are put back."""
    before = {number: signal.signal(number, lambda *_: call()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    main(sys.argv[1:])
