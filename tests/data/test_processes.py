"""Several processes on one database: nothing is lost, doubled or half-written, and nobody is turned away."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from series import BTC, HOUR, START, same, walk
from trading import CAPITAL, booking, decision, opened

from alpha_arena.core.errors import AlreadyDecided
from alpha_arena.core.types import Account, Candles, Fill, Order, Position
from alpha_arena.data import queries
from alpha_arena.data.lease import Lease, LeaseLost
from alpha_arena.data.ledger import Ledger
from alpha_arena.data.service import DataService
from alpha_arena.data.tables import METADATA

HERE = str(Path(__file__).parent)
PRELUDE = f"""
import json, sys
sys.path.insert(0, {HERE!r})
from series import BTC, HOUR, START, walk
from trading import booking, decision, opened
from alpha_arena.core.errors import AlreadyDecided
from alpha_arena.core.types import Order
from alpha_arena.data.service import DataService
# turns are waited for however slow the disk is
service = DataService(sys.argv[1], busy_ms=60_000)
print("ready", flush=True)
sys.stdin.readline()
"""


def started(code: str, url: str) -> subprocess.Popen[str]:
    """A process that has opened the database and waits for a line."""
    child = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + code, url], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout
    assert child.stdout.readline() == "ready\n", child.communicate()[1]
    return child


def finished(children: list[subprocess.Popen[str]]) -> list[object]:
    """Let all of them go at once; what each printed as JSON."""
    for child in children:
        assert child.stdin
        child.stdin.write("go\n")
        child.stdin.flush()
    answers = [child.communicate(timeout=60) for child in children]
    assert [error for _, error in answers if error] == []
    return [json.loads(said) for said, _ in answers]


def test_two_writers_at_once_lose_nothing(service: DataService, url: str) -> None:
    """D60, D61: both write candles and the same decisions; each bar is there once, each decision has one winner."""
    code = """
won = []
ledger = opened(service, "t")
for bar in range(10):
    service.write_candles("x", BTC, "1h", walk(20, START + 20 * HOUR * bar, seed=bar))
    try:
        ledger.intend([decision(bar)], [Order(f"o{bar}", BTC, 0.1)], {})
        won.append(bar)
    except AlreadyDecided:
        pass
print(json.dumps(won))
"""
    first, second = finished([started(code, url), started(code, url)])
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert sorted(first + second) == list(range(10))
    assert len(service.get_ohlcv(BTC, "1h", 1000)) == 200
    assert len(queries.decisions(service, "t")) == len(queries.orders(service, "t")) == 10
    assert len(queries.bills(service, "t")) == 1


def test_two_upgrades_at_once_make_one_schema(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    code = "service.upgrade(); service.check_schema(); print(json.dumps(len(service.stats())))"
    assert finished([started(code, url), started(code, url)]) == [len(METADATA.tables)] * 2


def test_a_writer_killed_in_mid_transaction_leaves_nothing_half_written(service: DataService, url: str) -> None:
    """D24, D60: after SIGKILL the next writer finds all or nothing, at once."""
    bars = walk(50)
    service.write_candles("x", BTC, "1h", bars)
    opened(service)
    code = """
import os, signal
ledger = opened(service)
with service.batch():
    service.write_candles("x", BTC, "1h", walk(5_000, seed=9))
    ledger.book(booking(1, 10_000.0))
    ledger.intend([decision(1)], [Order("o", BTC, 0.1)], {})
    os.kill(os.getpid(), signal.SIGKILL)
"""
    child = started(code, url)
    child.communicate("go\n", timeout=60)
    assert child.returncode == -signal.SIGKILL
    assert same(service.get_ohlcv(BTC, "1h", 10_000), bars)
    ledger = opened(service)
    assert (ledger.last_booked_ts(), ledger.decided_ts(BTC), ledger.open_orders()) == (None, None, [])
    ledger.book(booking(1, CAPITAL))
    ledger.intend([decision(1)], [Order("o", BTC, 0.1)], {})
    assert ledger.decided_ts(BTC) == START + HOUR


def test_eight_readers_and_a_writer_never_meet_a_lock(service: DataService) -> None:
    """D60, D61: every reader sees whole writes only, and no "database is locked"."""
    done, seen = threading.Event(), []

    def read() -> int:
        times = 0
        while not done.is_set() or times == 0:
            found = service.get_candles_range(BTC, "1h", 0, 2**60, "x")
            assert len(found) % 100 == 0
            assert len(set(found.close.tolist())) <= 1
            queries.traders(service)
            times += 1
        return times

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(read) for _ in range(8)]
        for value in range(1, 9):
            price = np.full(100, float(value))
            service.write_candles("x", BTC, "1h", Candles(START + HOUR * np.arange(100), price, price, price, price, price))
        done.set()
        seen = [reader.result(timeout=60) for reader in readers]
    assert min(seen) > 0


def test_threads_share_a_service_and_each_has_its_own_batch(service: DataService) -> None:
    ledgers = [opened(service, f"t{n}") for n in range(4)]

    def trade(ledger: Ledger) -> int:
        for bar in range(5):
            with service.batch():
                ledger.intend([decision(bar, trader=ledger.trader)], [Order(f"{ledger.trader}-{bar}", BTC, 0.1)], {})
                ledger.book(booking(bar, CAPITAL))
        return len(ledger.open_orders())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(trade, ledgers)) == [5, 5, 5, 5]


def test_a_lease_has_one_living_holder_and_its_token_only_grows(service: DataService) -> None:
    """D27: a second process is refused while the first lives, and the first once it has been passed over."""
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    wall = [1000.0]
    mine, theirs = (Lease(service, "trader:t", 30.0, lambda: wall[0], pid) for pid in (None, sleeper.pid))
    try:
        assert mine.acquire() == 1
        assert mine.acquire() == 2
        with pytest.raises(LeaseLost, match=r"trader:t is held by process \d+ on .*; nothing was done"):
            theirs.acquire()
        mine.renew()
        wall[0] += 31
        assert theirs.acquire() == 3
        with pytest.raises(LeaseLost, match="has passed to another process"):
            mine.renew()
        mine.release()
        with pytest.raises(LeaseLost, match=rf"held by process {sleeper.pid}"):
            mine.acquire()
        theirs.release()
        assert mine.acquire() == 4
    finally:
        sleeper.communicate(b"\n")


def test_a_lease_of_a_dead_process_is_not_waited_for(service: DataService) -> None:
    """A pid alone proves nothing: it may be another process's by now; and another host's processes cannot be seen."""
    gone = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    dead = Lease(service, "x", 1e9, pid=gone.pid)
    dead.acquire()
    gone.communicate(b"\n")
    mine = Lease(service, "x", 1e9)
    assert mine.acquire() == 2
    with service.database.write() as connection:
        connection.exec_driver_sql("UPDATE leases SET process_started_s = process_started_s - 100")
    assert Lease(service, "x", 1e9).acquire() == 3
    with service.database.write() as connection:
        connection.exec_driver_sql("UPDATE leases SET host = 'elsewhere', pid = 1")
    with pytest.raises(LeaseLost, match="process 1 on elsewhere"):
        mine.acquire()


def test_a_ledger_whose_lease_has_passed_on_writes_nothing(service: DataService) -> None:
    """D20, D27: the token is checked in the same transaction as the write."""
    lease = Lease(service, "trader:t", 30.0)
    ledger = Ledger(service, "t", "1h", "simulated", lease)
    lease.acquire()
    ledger.open_account(CAPITAL, START)
    Lease(service, "trader:t", 30.0).acquire()
    account = Account(CAPITAL, {BTC: Position(0.1, 100.0)})
    fill = Fill("f", "o", START, BTC, 0.1, 100.0, 0.0)
    for use in (
        lambda: ledger.intend([decision(1)], [Order("o", BTC, 0.1)], {}),
        lambda: ledger.book(booking(1, CAPITAL, account, fills=(fill,))),
        lambda: ledger.halt(START, "drawdown"),
    ):
        with pytest.raises(LeaseLost, match="nothing was written"):
            use()
    assert queries.decisions(service) == queries.fills(service) == queries.halts(service) == []
    lease.acquire()
    ledger.intend([decision(1)], [], {})
    with pytest.raises(AlreadyDecided):
        ledger.intend([decision(1)], [], {})
