"""Which clock a command goes by: that of `up`, that of an embedded exchange, or the wall's."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from alpha_arena.commands.shared import WallClock, clock_of
from alpha_arena.core.errors import ConfigError, TransientError
from alpha_arena.data.clock import ClockRow, DatabaseClock, wall_ms, write_clock
from alpha_arena.data.service import DataService
from alpha_arena.exchange.accounts import write_embedded
from alpha_arena.exchange.told_clock import ASK_S, ToldClock
from alpha_arena.settings import load


@dataclass
class Telling:
    """A server that tells the times it is given, one for each request, and then nothing of use; `busy` requests are too many before."""

    times: list[int]
    asked: list[str] = field(default_factory=list)
    url: str = ""
    busy: int = 0


@pytest.fixture
def telling() -> Iterator[Telling]:
    told = Telling([])

    class Times(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(self.path)
            busy, told.busy = told.busy > 0, told.busy - 1
            rows = [{"ts": str(told.times.pop(0))}] if told.times and not busy else []
            self.send_response(429 if busy else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"code": "50011" if busy else "0", "msg": "", "data": rows}).encode())

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Times) as server:
        told.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield told
        server.shutdown()
        thread.join()


def test_it_is_asked_four_times_a_second_at_most(telling: Telling) -> None:
    """The exchange would refuse more."""
    telling.times = [1_000, 2_000]
    now = [10.0]
    clock = ToldClock(telling.url, lambda: now[0])
    assert [clock.now_ms(), clock.now_ms()] == [1_000, 1_000]
    now[0] += ASK_S
    assert clock.now_ms() == 2_000
    assert telling.asked == ["/api/v5/public/time"] * 2


def test_too_many_questions_are_asked_again(telling: Telling) -> None:
    """Executors and other processes of this machine ask for the time as well, and OKX counts by address."""
    telling.times, telling.busy, waited = [1_000], 3, list[float]()
    assert ToldClock(telling.url, wait=waited.append).now_ms() == 1_000
    assert waited == [ASK_S] * 3
    telling.busy = 100
    with pytest.raises(TransientError, match="does not tell the time"):
        ToldClock(telling.url, wait=waited.append).now_ms()
    assert sum(waited[3:]) > 2


def test_an_exchange_that_tells_no_time_is_said(telling: Telling) -> None:
    with pytest.raises(TransientError, match="start it with alpha-arena exchange"):
        ToldClock(telling.url).now_ms()
    with pytest.raises(TransientError, match="does not tell the time"):
        ToldClock("http://127.0.0.1:9").now_ms()


def test_which_clock_a_command_goes_by(telling: Telling, tmp_path: Path) -> None:
    """One that `up` keeps comes first, then that of the exchange that is asked."""
    settings = load("trade", ["executor=okx"])
    service = DataService(settings.database_url)
    service.upgrade()
    try:
        assert isinstance(clock_of(service, load("trade")), WallClock)
        with pytest.raises(ConfigError, match="no embedded exchange runs here"):
            clock_of(service, settings)
        write_embedded(tmp_path / "embedded.json", {"url": telling.url, "control_url": "", "control_token": "", "accounts": []})
        assert isinstance(clock_of(service, settings), ToldClock)
        write_clock(service, ClockRow("running", wall_ms(), 0, 60, wall_ms(), 1))
        assert isinstance(clock_of(service, settings), DatabaseClock)
        write_clock(service, ClockRow("running", 0, 0, 60, wall_ms() - 60_000, 1))
        assert isinstance(clock_of(service, settings), ToldClock)
        assert isinstance(clock_of(service, load("trade")), DatabaseClock)
    finally:
        service.close()
