"""`alpha-arena exchange` as a process of its own: its first line, its keys, its end, its resume."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from console import Run, one_line

from alpha_arena.commands.trade import fates
from alpha_arena.core.errors import ConfigError, StoreError
from alpha_arena.data.lock import only_one
from alpha_arena.exchange.accounts import read_embedded
from alpha_arena.settings import load
from alpha_arena.wiring.embedded import (
    SharedClock,
    exchange_of,
    market_of,
    market_start_ms,
    marks_of,
    names_of,
    own_clock,
    profile_of,
    serve_embedded,
)
from alpha_arena.wiring.live import pace_of

FIRST_S = 120.0
STOP_S = 60.0
HOUR_MS = 3_600_000


class Exchange:
    """The running process."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "alpha_arena.cli", "exchange", "exchange.port=0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout
        readable, _, _ = select.select([self.process.stdout], [], [], FIRST_S)
        assert readable, "nothing was said in time"
        self.line: dict[str, Any] = json.loads(self.process.stdout.readline())

    def get(self, path: str, token: str = "") -> tuple[dict[str, Any], dict[str, str]]:
        """A public answer, or with a token one of the control plane, and its headers."""
        asked = urllib.request.Request(f"{self.line['url']}{path}", headers={"authorization": f"Bearer {token}"} if token else {})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=STOP_S) as answer:
            return json.loads(answer.read()), {name.lower(): value for name, value in answer.headers.items()}

    def stop(self, number: int) -> tuple[int, str, str]:
        """Exit code, and what else was said."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=STOP_S)
        return self.process.returncode, out, err


@contextmanager
def exchange(*arguments: str) -> Iterator[Exchange]:
    started = Exchange(*arguments)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
            started.process.communicate()


def test_it_says_where_it_is_answers_and_stops(own_folder: Path, run: Run) -> None:
    """One JSON object first; keys for their owner's eyes alone; candles and time for every other command; a clean end."""
    with exchange("exchange.accounts=[default,second]", "initial_capital=5000") as one:
        assert set(one.line) == {"url", "control_url", "control_token", "accounts"}
        assert one.line["url"].startswith("http://127.0.0.1:")
        assert [account["name"] for account in one.line["accounts"]] == ["default", "second"]
        assert len({account["api_key"] for account in one.line["accounts"]}) == 2
        told, headers = one.get("/api/v5/public/time")
        assert (told["code"], headers["x-sim"]) == ("0", "1")
        file = own_folder / "embedded.json"
        assert file.stat().st_mode & 0o777 == 0o600
        assert read_embedded(file).url == one.line["url"]
        run("db", "upgrade")
        code, out, err = run("ingest", "exchange=embedded", "since_days=2", "report=json")
        assert code == 0, err
        assert json.loads(out)["inserted"] >= 47
        code, out, err = run("decide", "exchange=embedded", "report=json")
        assert code == 0, err
        assert one.stop(signal.SIGTERM) == (0, "", "")
    code, _, err = run("ingest", "exchange=embedded", "since_days=2", "exchange.attempts=1")
    assert code == 1
    one_line(err, ["start it with alpha-arena exchange"])


def test_a_trader_paces_itself_by_the_exchange_that_runs(own_folder: Path) -> None:
    """Its own exchange.speed= may be another: at a thousandfold an order's five seconds would be over before it arrives."""
    settings = load("trade", ["executor=okx"])
    assert pace_of(settings).expires_ms == 5_000
    with exchange("exchange.speed=1000") as one:
        assert pace_of(settings).expires_ms == 5_000_000
        assert (pace_of(settings).settle_ms, pace_of(settings).stale_ms) == (60_000_000, 60_000_000)
        asked = urllib.request.Request(
            f"{one.line['control_url']}/clock", b'{"speed": 20}', {"authorization": f"Bearer {one.line['control_token']}"}
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=10):
            assert pace_of(settings).expires_ms == 100_000
    assert pace_of(settings).expires_ms == 5_000


def test_trade_says_what_became_of_its_orders(own_folder: Path, run: Run) -> None:
    """That one was made says nothing of whether it was filled, refused or came too late."""
    with exchange():
        run("db", "upgrade")
        run("ingest", "exchange=embedded", "since_days=20")
        code, out, err = run("trade", "executor=okx", "decision=hold", "report=json")
        assert code == 0, err
        assert [one["state"] for one in json.loads(out)["decisions"][0]["orders"]] == ["FILLED"]
    assert fates([{"state": "FILLED", "cause": "at 1"}, {"state": "LAPSED", "cause": "not sent: late"}]) == "FILLED; LAPSED: not sent: late"
    assert (fates([{"id": "paper"}]), fates([])) == (1, 0)


def test_it_survives_a_kill_with_the_same_accounts(own_folder: Path) -> None:
    """SIGKILL, and the next start has the same keys; another seed is another market's ledger."""
    with exchange() as first:
        keys = first.line["accounts"]
        first.process.kill()
    with exchange() as second:
        assert second.line["accounts"] == keys
        assert second.stop(signal.SIGINT)[0] == 0
    refused = [sys.executable, "-m", "alpha_arena.cli", "exchange", "seed=8"]
    done = subprocess.run(refused, capture_output=True, text=True, check=False, timeout=FIRST_S)
    assert done.returncode == 1
    one_line(done.stderr, ["seed", "exchange.ledger="])


def test_another_exchange_is_not_served(run: Run) -> None:
    for given in ("exchange=okx", "exchange=synthetic", "exchange=null"):
        code, out, err = run("exchange", given)
        assert (code, out) == (2, "")
        one_line(err, ["only exchange=embedded is"])


def test_a_taken_port_is_refused(run: Run) -> None:
    from alpha_arena.exchange.embedded.server import listening

    with listening(0) as taken:
        taken.listen()
        code, out, err = run("exchange", f"exchange.port={taken.getsockname()[1]}")
    assert (code, out) == (2, "")
    one_line(err, ["exchange.port=", "0 for any free one"])


def test_every_trader_has_an_account() -> None:
    assert names_of(load("exchange", [])) == ["default"]
    assert names_of(load("exchange", ["trader.id=mine"])) == ["mine"]
    assert names_of(load("exchange", ["arena=default"])) == ["ema_solo", "equal_weight", "portfolio"]
    assert names_of(load("exchange", ["arena=default", "exchange.accounts=[a]"])) == ["a"]


def test_how_time_goes() -> None:
    at = ["start=2024-01-01"]
    assert own_clock(load("exchange", at)).mode == "real"
    assert own_clock(load("exchange", [*at, "exchange.speed=60"])).mode == "scaled"
    stepped = own_clock(load("exchange", [*at, "exchange.driven=true"]))
    assert (stepped.mode, stepped.now_ms()) == ("stepped", 1_704_067_200_000)


def test_profiles() -> None:
    """`spec` has the costs of a backtest and nothing else."""
    spec = profile_of(load("exchange", ["exchange.profile=spec"]))
    assert (spec.spec, spec.half_spread, spec.impact, spec.participation, spec.latency_ms) == (True, 0.0, 0.0, 1.0, 0)
    market = profile_of(load("exchange", ["costs.taker_fee=0.001", "exchange.latency_ms=7", "exchange.price_path=pessimistic"]))
    assert (market.spec, market.costs.taker_fee, market.latency_ms, market.path) == (False, 0.001, 7, "pessimistic")


def candles(file: Path, rows: int, step_ms: int) -> None:
    import pandas as pd

    close = np.linspace(40_000, 41_000, rows)
    columns = {"ts": np.arange(rows) * step_ms + 1_704_067_200_000, "open": close, "high": close + 5, "low": close - 5, "close": close}
    pd.DataFrame({**columns, "volume": np.ones(rows)}).to_csv(file, index=False)


def test_a_replay_is_driven_by_the_shortest_bars_and_begins_after_some_past(tmp_path: Path) -> None:
    candles(tmp_path / "okx_BTC-USDT-SWAP_1h_2024.csv", 480, HOUR_MS)
    candles(tmp_path / "okx_BTC-USDT-SWAP_4h_2024.csv", 120, 4 * HOUR_MS)
    given = ["exchange.market=replay", f"exchange.path={tmp_path}"]
    settings = load("exchange", [*given, "exchange.history_days=3"])
    market, bar_ms = market_of(settings)
    assert bar_ms == HOUR_MS
    assert len(market.bars("BTC/USDT:USDT", 0, 2**62)) == 480
    assert market_start_ms(settings) == 1_704_067_200_000 + 72 * HOUR_MS
    assert market_start_ms(load("exchange", [*given, "start=2024-01-09"])) == 1_704_758_400_000
    assert abs(market_start_ms(load("exchange", given)) - (1_704_067_200_000 + 240 * HOUR_MS)) <= HOUR_MS
    with pytest.raises(ConfigError, match="ETH"):
        market_of(load("exchange", [*given, "symbols=[eth]"]))


def test_a_replay_s_mark_prices_are_those_of_their_file(shared_data: Path) -> None:
    """Any file of the stored data can be replayed; the traded prices go on where there is no mark."""
    traded_in = shared_data / "okx_ETH-USDT-SWAP_1h_2024-01_2025-04.parquet"
    given = ["symbols=[eth]", "exchange.market=replay", "exchange.driven=true", "start=2024-01-01", f"exchange.path={traded_in}"]
    marks = f"exchange.mark_path={shared_data / 'okx_ETH-USDT-SWAP_1h-mark_2022-05_2025-04.parquet'}"
    settings = load("exchange", [*given, marks])
    market, bar_ms = market_of(settings)
    at = ("ETH/USDT:USDT", 1_704_067_200_000, 1_704_067_200_000 + 500 * HOUR_MS)
    traded, mark = market.bars(*at), market.mark(*at)
    assert (bar_ms, len(mark), (mark.ts == traded.ts).all()) == (HOUR_MS, 500, True)
    assert 0 < np.abs(mark.close / traded.close - 1).max() < 0.01
    plain, _ = market_of(load("exchange", given))
    assert (plain.mark(*at).close == traded.close).all()
    exchange = exchange_of(settings, own_clock(settings))
    exchange.clock.step_to(at[1] + 400 * HOUR_MS)
    assert exchange.mark("ETH-USDT-SWAP") == Decimal(repr(float(mark.close[399]))) != exchange.last("ETH-USDT-SWAP")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["symbols=[btc]", "exchange.path={shared}/okx_BTC-USDT-SWAP_1h_2023-01_2025-04.parquet"], "none of BTC"),
        (["symbols=[eth]", "exchange.path={shared}/okx_ETH-USDT-SWAP_5m_2022-05_2022-12.parquet"], "no timeframe that both hold"),
    ],
)
def test_mark_prices_that_do_not_fit_are_refused(given: list[str], said: str, shared_data: Path) -> None:
    marks = f"exchange.mark_path={shared_data / 'okx_ETH-USDT-SWAP_1h-mark_2022-05_2025-04.parquet'}"
    settings = load("exchange", ["exchange.market=replay", marks, *(one.format(shared=shared_data) for one in given)])
    with pytest.raises(ConfigError, match=said):
        market_of(settings)


def test_candles_are_no_mark_prices(tmp_path: Path, shared_data: Path) -> None:
    """A folder's marks are its files of marks alone; a file of candles has none."""
    names = ("okx_ETH-USDT-SWAP_1h-mark_2022-05_2025-04", "okx_ETH-USDT-SWAP_1h_2024-01_2025-04", "okx_ETH-USDT-SWAP_5m_2022-05_2022-12")
    for name in names:
        (tmp_path / f"{name}.parquet").symlink_to(shared_data / f"{name}.parquet")
    given = ["exchange.market=replay", "symbols=[eth]", f"exchange.path={tmp_path / names[1]}.parquet"]
    source, marked = marks_of(load("exchange", [*given, f"exchange.mark_path={tmp_path}"]))
    assert source
    assert marked == {"ETH/USDT:USDT": ("1h",)}
    with pytest.raises(ConfigError, match="no mark prices"):
        marks_of(load("exchange", [*given, f"exchange.mark_path={tmp_path / names[1]}.parquet"]))


def test_mark_prices_are_of_a_replay() -> None:
    with pytest.raises(ConfigError, match="mark_path"):
        load("exchange", ["exchange.mark_path=marks.parquet"])


def test_under_up_the_control_plane_does_not_move_the_clock(tmp_path: Path) -> None:
    from alpha_arena.data.clock import ClockRow, wall_ms, write_clock
    from alpha_arena.data.service import DataService

    service = DataService(os.environ["DATABASE_URL"])
    try:
        service.upgrade()
        write_clock(service, ClockRow("running", wall_ms(), 1_704_067_200_000, 60, wall_ms(), 1))
        clock = SharedClock(service)
        assert (clock.mode, clock.speed) == ("scaled", 60)
        assert 0 <= clock.now_ms() - 1_704_067_200_000 < 60 * 10_000
        with pytest.raises(ConfigError, match="kept by up"):
            clock.set(mode="stepped")
        before = clock.now_ms()
        clock.step_to(2**60)
        assert clock.now_ms() - before < 60 * 10_000
    finally:
        service.close()


def test_a_ledger_belongs_to_one_market_and_one_process(tmp_path: Path) -> None:
    """Other settings on old books would make up a past; two processes on one would each have half of it."""
    at = [f"database.url=sqlite:///{tmp_path}/t.db", "exchange.driven=true"]
    books = load("exchange", at)
    exchange_of(books, own_clock(books))
    for other, said in (("exchange.profile=spec", "exchange.profile=market, not spec"), ("seed=9", "seed="), ("start=2024-03-01", "start")):
        changed = load("exchange", [*at, other])
        with pytest.raises(StoreError, match=f"was begun with .*{said}.*exchange.ledger="):
            exchange_of(changed, own_clock(changed))
    exchange_of(books, own_clock(books))
    with only_one(tmp_path / "embedded.lock", "embedded exchange", "wait"), pytest.raises(ConfigError, match="another embedded exchange"):
        serve_embedded(books, own_clock(books))
