"""Ctrl-C is heard wherever the main thread waits."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from alpha_arena.commands.interrupts import heard


def test_a_signal_that_ends_no_wait_is_sent_again() -> None:
    """One that another thread takes, as one does that comes just before the wait: the main thread would read on for ever."""
    reader, writer = os.pipe()
    taken = threading.Event()

    def take() -> None:
        taken.wait()
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    other = threading.Thread(target=take)
    # so that a failure ends as well
    rescue = threading.Timer(20, os.write, (writer, b"x"))
    other.start()
    rescue.start()
    began = time.monotonic()

    def wait() -> None:
        with heard():
            taken.set()
            os.read(reader, 1)

    with pytest.raises(KeyboardInterrupt):
        wait()
    rescue.cancel()
    other.join()
    assert time.monotonic() - began < 10
    os.close(reader)
    os.close(writer)


def test_once_is_enough() -> None:
    """What cleans up after an interrupt is not interrupted in its turn, and the handler before is back afterwards."""
    before = signal.getsignal(signal.SIGINT)
    cleaned = []

    def interrupted() -> None:
        with heard():
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                threading.Event().wait(0.5)
                cleaned.append(True)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert cleaned
    assert signal.getsignal(signal.SIGINT) is before


def test_elsewhere_than_in_the_main_thread() -> None:
    """Nothing is changed."""
    done = []

    def run() -> None:
        with heard():
            done.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done == [signal.getsignal(signal.SIGINT)]
