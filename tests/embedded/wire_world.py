"""An exchange for tests of the wire; run as a program, it serves one whose clock is the computer's."""

from __future__ import annotations

import time

from wire_caller import Caller
from wire_fake import FakeExchange, HandClock

from alpha_arena.exchange.embedded.server import serve
from alpha_arena.exchange.embedded.wire import Wire


class RealClock(HandClock):
    """The computer's clock."""

    def now_ms(self) -> int:
        return int(time.time() * 1000)


def wire() -> Wire:
    """A fresh exchange behind its wire, with a stepped clock."""
    return Wire(FakeExchange())


def caller() -> Caller:
    """Its first account."""
    made = wire()
    return Caller(made, next(iter(made.exchange.clients.values())))


if __name__ == "__main__":
    serve(FakeExchange(clock=RealClock(mode="real")))
