"""Ctrl-C that is heard at once, wherever the main thread happens to wait."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SEEN_S = 0.2


@contextmanager
def heard() -> Iterator[None]:
    """Within the block Ctrl-C raises KeyboardInterrupt soon.

    A signal that arrives just before the main thread begins to wait in the system does not end that wait, a request's for instance; so it
    is sent once more where its handler has not run. Elsewhere than in the main thread, or on Windows, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_kill"):
        yield
        return
    seen, (reader, writer) = threading.Event(), os.pipe()
    os.set_blocking(writer, False)

    def handler(number: int, frame: FrameType | None) -> None:
        seen.set()
        raise KeyboardInterrupt

    before, woken = signal.signal(signal.SIGINT, handler), signal.set_wakeup_fd(writer)
    echo = threading.Thread(target=_echo, args=(reader, seen, threading.main_thread().ident), name="interrupts", daemon=True)
    echo.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(woken)
        signal.signal(signal.SIGINT, before)
        os.close(writer)
        echo.join()
        os.close(reader)


def _echo(reader: int, seen: threading.Event, main: int) -> None:
    while number := os.read(reader, 1):
        if number[0] == signal.SIGINT and not seen.wait(SEEN_S):
            signal.pthread_kill(main, signal.SIGINT)
