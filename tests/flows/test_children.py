"""What `up` gives its children, and how it knows that they are well."""

from __future__ import annotations

import asyncio
import http.server
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from alpha_arena.core.errors import ConfigError
from alpha_arena.settings import load
from flows.children import BUSY_S, STALE_BEAT_S, Plan, alive, answers_at, children_of, environment, for_page, free_port, hung
from flows.work import Beat, Pulse

PLAN = Plan(Path("data"), ("symbol=eth", "timeframes=[15m,1h]", "since_days=30"), "127.0.0.1", 8000, 4299)


def test_prefect_reads_every_setting_that_it_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from prefect.settings import Settings

    for name, value in environment(Plan(tmp_path, (), "127.0.0.1", 8000, 4299), {}).items():
        monkeypatch.setenv(name, value)
    read = Settings()
    assert read.home == tmp_path / "prefect"
    assert str(read.api.url) == "http://127.0.0.1:4299/api"
    assert read.server.analytics_enabled is False
    assert read.server.services.db_vacuum.enabled_vacuum_types >= {"events", "flow_runs"}
    assert read.server.services.db_vacuum.retention_period == read.server.events.retention_period
    assert read.logging.extra_loggers == ["alpha_arena"]


def test_nothing_on_loopback_goes_through_a_proxy() -> None:
    assert environment(PLAN, {"NO_PROXY": "example.org"})["NO_PROXY"] == "example.org,127.0.0.1,localhost"


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("exchange.speed=120", "timeframes=[15m,1h]", "since_days=30"),
        ("exchange=okx", "arena=null", "symbols=[btc,eth]", "timeframe=4h"),
        ("strategy.ema_fast=10", "trader.id=mine"),
        ("executor=okx", "exchange.speed=60"),
        ("exchange=embedded", "arena=null", "confirm_live=false"),
    ],
)
def test_the_page_sees_the_market_and_the_traders_of_the_runner(overrides: tuple[str, ...]) -> None:
    run, page = load("up", overrides), load("serve", for_page(overrides))
    assert page.source == run.source
    assert page.symbols == run.symbols
    assert page.timeframe == run.timeframe
    assert [one.trader for one in page.traders] == [one.trader for one in run.traders]
    assert page.trader == run.trader


def test_the_runner_and_the_page_stop_before_prefect_and_nothing_waits_for_it() -> None:
    """D29."""
    children = {child.name: child for child in children_of(PLAN, lambda: None)}
    assert max(children["runner"].stop_order, children["page"].stop_order) < children["prefect"].stop_order
    assert all(child.after == () for child in children.values())
    assert children["runner"].longest_wait_s == 4.0


def test_the_exchange_comes_first_and_holds_an_account_for_each_trader() -> None:
    """The runner needs it; it needs nothing, and is told of no confirmation."""
    plan = replace(PLAN, overrides=("executor=okx", "exchange.port=0", "since_days=30", "confirm_live=false"), exchange_port=4300)
    children = {child.name: child for child in children_of(plan, lambda: None)}
    assert children["runner"].after == ("exchange",)
    assert children["exchange"].after == ()
    assert children["exchange"].stop_order > children["runner"].stop_order
    served = load("exchange", children["exchange"].args)
    assert served.exchange
    assert (served.exchange.kind, served.exchange.params["port"]) == ("embedded", 4300)
    assert [one.trader for one in served.traders] == [one.trader for one in load("up", plan.overrides).traders]
    assert "confirm_live=false" not in children["exchange"].args


def test_a_taken_port_is_refused_by_its_key_and_zero_finds_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"monitor\.port={port} .* 0 for any free one"):
            free_port("127.0.0.1", port, "monitor.port")
    assert free_port("127.0.0.1", 0, "monitor.port") > 0


def test_an_address_for_everybody_is_shown_as_one_that_a_browser_can_open() -> None:
    assert Plan(Path(), (), "0.0.0.0", 8000, 1).address == "http://127.0.0.1:8000"


def test_the_runner_is_ready_when_its_own_pid_beats(tmp_path: Path) -> None:
    """A dead runner's row does not count."""
    pulse = Pulse(tmp_path / "runner.json")
    ready = alive(pulse, lambda: 1000.0)
    assert not asyncio.run(ready(7))
    pulse.write(Beat(7, 999.0))
    assert asyncio.run(ready(7))
    assert not asyncio.run(ready(8))
    pulse.write(Beat(7, 1000.0 - STALE_BEAT_S))
    assert not asyncio.run(ready(7))


@pytest.mark.parametrize(
    ("beat", "reason"),
    [
        (Beat(7, 999.0), ""),
        (Beat(7, 999.0, "trade", 990.0), ""),
        (Beat(7, 999.0, "trade", 999.0 - BUSY_S - 2.0), "busy with trade"),
        (Beat(7, 999.0 - STALE_BEAT_S), "no sign of life"),
        (Beat(8, 999.0), "no sign of life"),
    ],
)
def test_a_runner_is_hung_when_it_is_silent_or_busy_for_too_long(tmp_path: Path, beat: Beat, reason: str) -> None:
    pulse = Pulse(tmp_path / "runner.json")
    pulse.write(beat)
    assert hung(pulse, lambda: 1000.0)(7).startswith(reason)
    assert bool(hung(pulse, lambda: 1000.0)(7)) == bool(reason)


def test_a_server_is_ready_when_its_health_path_says_so() -> None:
    class Health(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz" else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Health) as server:
        port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        assert asyncio.run(answers_at("127.0.0.1", port, "/healthz")(1))
        assert not asyncio.run(answers_at("127.0.0.1", port, "/other")(1))
        server.shutdown()
        thread.join()
    assert not asyncio.run(answers_at("127.0.0.1", port, "/healthz")(1))
