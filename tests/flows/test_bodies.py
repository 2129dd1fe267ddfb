"""The flows' bodies without a server: what they are given, what they leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from alpha_arena.core.errors import StoreError
from alpha_arena.core.ports import Clock
from alpha_arena.core.types import Order
from alpha_arena.data import queries
from alpha_arena.data.clock import ClockRow, read_clock, write_clock
from alpha_arena.data.controls import EVERYONE, Controls
from alpha_arena.data.live_ledger import LiveLedger
from alpha_arena.data.service import DataService
from alpha_arena.settings import Settings, load
from flows.bodies import LABORATORY, Bench, LaboratoryFailed, Real, said
from flows.prefect_server import flow_of
from flows.runner_process import in_second_thread

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
CLOSE = NOW_MS // HOUR_MS * HOUR_MS


class Fake:
    """Bodies that note what they were asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, int]] = []

    def _note(self, name: str, settings: Settings, clock: Clock) -> list[dict[str, Any]]:
        self.calls.append((name, settings.timeframe, clock.now_ms()))
        return []

    def ingest(self, settings: Settings, clock: Clock, service: DataService) -> list[dict[str, Any]]:
        return self._note("ingest", settings, clock)

    def trade(self, settings: Settings, clock: Clock, service: DataService) -> list[dict[str, Any]]:
        return self._note("trade", settings, clock)

    def sync(self, settings: Settings, clock: Clock, service: DataService) -> list[dict[str, Any]]:
        return self._note("sync", settings, clock)

    def laboratory(self, command: str, overrides: Sequence[str]) -> list[dict[str, Any]]:
        return [{"overrides": list(overrides)}]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A migrated database whose clock stands."""
    address = f"sqlite:///{tmp_path}/arena.db"
    service = DataService(address)
    service.upgrade()
    write_clock(service, ClockRow("stopped", NOW_MS, NOW_MS, 60.0, NOW_MS, 2))
    service.close()
    return address


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def bench(url: str, fake: Fake) -> Iterator[Bench]:
    with Bench.of("up", [f"database.url={url}"], fake) as made:
        yield made


def test_each_flow_hands_its_overrides_to_its_body_on_the_markets_clock(bench: Bench, fake: Fake) -> None:
    for job in bench.jobs()[:3]:
        assert asyncio.run(flow_of(job.name, job.body).fn(overrides=bench.overrides)) == []
    assert fake.calls == [(name, "1h", NOW_MS) for name in ("ingest", "trade", "sync")]


def test_other_overrides_are_loaded_for_the_run_that_brings_them(bench: Bench, fake: Fake) -> None:
    bench.trade([*bench.overrides, "timeframe=4h"])
    bench.trade(bench.overrides)
    assert [timeframe for _, timeframe, _ in fake.calls] == ["4h", "1h"]


def test_jobs_follow_the_schedules_switches(url: str, fake: Fake) -> None:
    with Bench.of("up", [f"database.url={url}", "schedule.trade=false", "schedule.ingest_offset_s=3"], fake) as made:
        assert [(job.name, job.offset_s) for job in made.jobs()] == [("ingest", 3.0), ("sync", 8.0), *((name, None) for name in LABORATORY)]


def test_the_timetable_is_that_of_the_clock_row(bench: Bench) -> None:
    timetable = bench.timetable()
    assert (timetable.bar_s, timetable.epoch) == (60.0, 2)
    assert timetable.newest_close(NOW_MS / 1000) == CLOSE


def test_a_run_is_named_by_the_markets_clock(bench: Bench) -> None:
    assert bench.run_name("trade") == "trade-BTC-1114T22"


def test_a_bar_is_undecided_until_every_trader_has_decided_it(url: str) -> None:
    """D27: what has been decided is not asked for again."""
    overrides = [f"database.url={url}", "timeframe=1h", "since_days=20", "schedule.catch_up_days=1"]
    with Bench.of("up", overrides, Real()) as real:
        assert real.undecided(CLOSE)
        real.ingest(overrides)
        made = real.trade(overrides)
        assert not real.undecided(CLOSE)
        assert real.undecided(CLOSE + HOUR_MS)
        assert {row["trader"] for row in made} == {one.trader for one in real.settings.traders}
        assert real.trade(overrides) == []
        assert {row["trader"] for row in real.sync(overrides)} == {one.trader for one in real.settings.traders}
        assert {run["timeframe"] for run in queries.ingest_runs(real.side)} == {"1h", "funding"}


def test_an_alert_is_kept_with_the_markets_time(bench: Bench) -> None:
    bench.alert("no_run", "nothing came")
    (alert,) = queries.alerts(bench.side)
    assert (alert["ts"], alert["severity"], alert["kind"], alert["message"]) == (NOW_MS, "warning", "no_run", "nothing came")


def test_a_database_that_is_not_migrated_is_refused_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="alpha-arena db upgrade"):
        Bench.of("up", [f"database.url=sqlite:///{tmp_path}/none.db"])


def test_a_backtest_that_fails_says_why() -> None:
    with pytest.raises(LaboratoryFailed, match="timefrme"):
        Real().laboratory("backtest", ["timefrme=1h"])


def test_a_decision_is_said_in_a_line() -> None:
    row = {"trader": "a", "symbol": "BTC/USDT:USDT", "bar_ts": CLOSE, "exposure": -0.25, "price": 100.0, "orders": [{"quantity": -0.01}]}
    assert said(row) == "a BTC/USDT:USDT 2023-11-14 22:00: exposure -0.250 at 100, order -0.01"


def test_the_modules_that_a_deployment_names_hold_flows_with_overrides() -> None:
    from importlib import import_module

    for name in ("ingest", "trade", "sync", "backtest", "sweep", "walkforward"):
        flow = getattr(import_module(f"flows.{name}"), name)
        assert flow.name == name
        assert list(flow.parameters.properties) == ["overrides"]
        assert flow.isasync


def test_an_error_in_the_second_thread_reaches_the_first() -> None:
    async def fails(stop: asyncio.Event) -> None:
        raise StoreError("gone")

    with pytest.raises(StoreError, match="gone"):
        in_second_thread(fails)


def test_a_signal_ends_the_loop_in_the_second_thread_in_order() -> None:
    import os
    import signal

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    ended: list[bool] = []

    async def work(stop: asyncio.Event) -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stop.wait(), 60.0)
        ended.append(True)

    try:
        in_second_thread(work)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert ended == [True]


def test_results_are_plain_enough_for_json(bench: Bench) -> None:
    assert json.loads(json.dumps(bench.laboratory("backtest", ["symbol=btc"]))) == [{"overrides": ["symbol=btc"]}]


def test_the_clock_is_read_each_time(bench: Bench) -> None:
    row = read_clock(bench.side)
    assert row
    write_clock(bench.side, ClockRow("stopped", NOW_MS, NOW_MS + HOUR_MS, 60.0, NOW_MS, 3))
    assert bench.clock.now_ms() == NOW_MS + HOUR_MS
    assert bench.timetable().epoch == 3


def test_only_what_is_at_an_exchange_is_closed_between_the_closes(bench: Bench) -> None:
    """E1: close now, and a kill switch that flattens, as long as something is held; paper traders close at the next open anyway."""
    controls, ledger = Controls(bench.side), LiveLedger(bench.side, "ema_solo", "1h", "okx")
    ledger.open_account(100.0, NOW_MS)
    controls.close_now(EVERYONE, NOW_MS, "somebody")
    assert not bench.asked()
    bench.settings = load("up", ["exchange=embedded", "executor=okx"])
    assert bench.asked()
    controls.closed("ema_solo", NOW_MS, NOW_MS, "done")
    controls.kill(EVERYONE, NOW_MS, "somebody", "flatten")
    assert not bench.asked()
    ledger.intend_order(Order("a", "BTC/USDT:USDT", 0.1), NOW_MS, "by hand")
    assert bench.asked()
