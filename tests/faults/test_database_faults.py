"""The trading database fails while a trader works: nothing is half-written, and the next cycle goes on as if nothing had happened."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event

from alpha_arena.core.errors import StoreError
from alpha_arena.core.types import Candles
from alpha_arena.data.ledger import Ledger
from alpha_arena.data.queries import decisions, fills
from alpha_arena.data.service import DataService
from alpha_arena.settings import Settings, load
from alpha_arena.wiring import trade_cycle

BTC = "BTC/USDT:USDT"
HOUR = 3_600_000
START = 1_704_067_200_000
BARS, CYCLES = 90, 12
WRITES = ("INSERT", "UPDATE", "DELETE")


class Stepped:
    """A clock that stands until it is set."""

    def __init__(self, now_ms: int) -> None:
        self.time = now_ms

    def now_ms(self) -> int:
        """Where it stands."""
        return self.time


class FailingWrite:
    """Lets the n-th write of a database fail, counted from 0; None: none."""

    def __init__(self, service: DataService, nth: int | None) -> None:
        self.nth = nth
        self.count = 0
        event.listen(service.database.engine, "before_cursor_execute", self.before)

    def before(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        """Count a statement that writes."""
        if statement.lstrip().upper().startswith(WRITES):
            self.count += 1
            if self.count - 1 == self.nth:
                raise sqlite3.OperationalError("disk I/O error")


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with candles on which the grid trades at most closes."""
    path = tmp_path_factory.mktemp("faults") / "market.db"
    draw = np.random.default_rng(1)
    close = 40_000 * np.exp(np.cumsum(draw.normal(0, 0.012, BARS)))
    opened = np.concatenate([close[:1], close[:-1]])
    ts = START + HOUR * np.arange(BARS, dtype=np.int64)
    high, low = np.maximum(opened, close) * 1.004, np.minimum(opened, close) * 0.996
    with closing(DataService(f"sqlite:///{path}")) as service:
        service.upgrade()
        service.write_candles("file", BTC, "1h", Candles(ts, opened, high, low, close, np.full(BARS, 10.0)))
    return path


@pytest.fixture
def url(market: Path, tmp_path: Path) -> str:
    """A database of its own for each test."""
    shutil.copy(market, tmp_path / "t.db")
    return f"sqlite:///{tmp_path / 't.db'}"


@cache
def settings_of(url: str) -> Settings:
    """A trader that trades often."""
    how = ["strategy=grid_trading", "decision=single", "exchange=file", "schedule.catch_up_days=0"]
    return load("trade", [*how, f"database.url={url}", "trader.id=t"])


def cycle(url: str, number: int, nth: int | None = None) -> int:
    """One cycle in a process that has just started; returns how many writes it made."""
    with closing(DataService(url)) as service:
        failing = FailingWrite(service, nth)
        trade_cycle(settings_of(url), Stepped(START + HOUR * (BARS - CYCLES + number)), service)
        return failing.count


def state(url: str) -> tuple[Any, ...]:
    """All that a trader has done and has."""
    with closing(DataService(url, read_only=True)) as service:
        ledger = Ledger(service, "t", "1h", "simulated")
        made = [(row["bar_ts"], row["exposure"], row["stop"]) for row in decisions(service, "t", limit=1000)]
        filled = [(row["trade_id"], row["quantity"], row["price"]) for row in fills(service, "t", limit=1000)]
        assert ledger.rebuild().cash == pytest.approx(ledger.account().cash)
        return made, filled, ledger.account()


@pytest.fixture(scope="module")
def expected(market: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    """What happens when nothing fails; there are fills in it."""
    path = tmp_path_factory.mktemp("whole") / "t.db"
    shutil.copy(market, path)
    for number in range(CYCLES):
        cycle(f"sqlite:///{path}", number)
    done = state(f"sqlite:///{path}")
    assert len(done[1]) >= 3
    return done


def whole(url: str) -> bool:
    """Whether SQLite finds nothing wrong with the file."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def broken_cycles(url: str, number: int) -> Iterator[int]:
    """Fail each write of a cycle in turn, until the cycle makes fewer writes than that."""
    for nth in range(1000):
        try:
            if cycle(url, number, nth) <= nth:
                return
        except StoreError:
            yield nth


def test_the_nth_write_fails_for_every_n(url: str, expected: tuple[Any, ...]) -> None:
    """C4: each write of each cycle fails once; the cycle is repeated by a new process, and the end is as if nothing had failed."""
    failed = sum(1 for number in range(CYCLES) for _ in broken_cycles(url, number))
    assert failed > 3 * CYCLES
    assert state(url) == expected
    assert whole(url)


def crowded_cycle(url: str, number: int, room: int) -> str:
    """A cycle on a disk with room for so many pages more; what it was refused with, "" once it is done."""
    with closing(DataService(url)) as service:
        with service.database.read() as connection:
            limit = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + room
        event.listen(service.database.engine, "begin", lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count={limit}"))
        try:
            trade_cycle(settings_of(url), Stepped(START + HOUR * (BARS - CYCLES + number)), service)
        except StoreError as error:
            return str(error)
    return ""


def test_a_full_disk_loses_nothing(url: str, expected: tuple[Any, ...]) -> None:
    """C4: with room for one page more each time, cycles are refused in one sentence until they fit, and are then done once."""
    attempts = ((crowded_cycle(url, number, room) for room in range(200)) for number in range(CYCLES))
    said = [sentence for cycle_attempts in attempts for sentence in takewhile(bool, cycle_attempts)]
    assert said
    assert all("the disk is full" in sentence for sentence in said)
    assert state(url) == expected
    assert whole(url)


def test_a_log_that_is_cut_anywhere_leaves_what_was_committed(url: str, tmp_path: Path) -> None:
    """C5: the power goes after any byte of the log: what opens again is whole, and holds the cycles up to some point."""
    path = Path(url.removeprefix("sqlite:///"))
    keeper = sqlite3.connect(path)
    keeper.execute("PRAGMA wal_autocheckpoint=0")
    keeper.execute("SELECT count(*) FROM candles").fetchone()
    states = []
    for number in range(6):
        cycle(url, number)
        states.append(state(url))
    log = Path(f"{path}-wal").read_bytes()
    base = path.read_bytes()
    keeper.close()
    seen = []
    for size in sorted({*range(0, len(log), max(len(log) // 60, 1)), len(log)}):
        copy = tmp_path / f"cut{size}.db"
        copy.write_bytes(base)
        Path(f"{copy}-wal").write_bytes(log[:size] + bytes(37) if size < len(log) else log)
        assert whole(f"sqlite:///{copy}")
        seen.append(known(f"sqlite:///{copy}"))
        copy.unlink()
    assert seen == sorted(seen)
    assert seen[-1] == len(states[-1][0])


def known(url: str) -> int:
    """How many decisions a database holds, its account being the one that its events make."""
    with closing(DataService(url)) as service:
        ledger = Ledger(service, "t", "1h", "simulated")
        made = decisions(service, "t", limit=1000)
        if made:
            assert ledger.rebuild().cash == pytest.approx(ledger.account().cash)
        return len(made)


def test_a_damaged_file_is_refused_in_one_sentence(url: str) -> None:
    """C6: pages overwritten with noise: the cycle ends with a sentence, and nothing is traded on what cannot be read."""
    path = Path(url.removeprefix("sqlite:///"))
    content = bytearray(path.read_bytes())
    content[4096 : len(content)] = np.random.default_rng(1).bytes(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        cycle(url, 0)


def test_a_restored_backup_is_traded_on_as_it_was(url: str, expected: tuple[Any, ...], tmp_path: Path) -> None:
    """C6: an old copy is put back: the bars since are decided again with the same orders, names and fills."""
    path = Path(url.removeprefix("sqlite:///"))
    for number in range(CYCLES):
        if number == 5:
            shutil.copy(path, tmp_path / "backup.db")
        cycle(url, number)
    shutil.copy(tmp_path / "backup.db", path)
    for number in range(5, CYCLES):
        cycle(url, number)
    assert state(url) == expected


def test_a_writer_that_holds_the_database_is_waited_for_and_then_told(url: str) -> None:
    """C3: another process holds the write lock: the cycle ends with its name, without a decision, and is done once the lock is gone."""
    path = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        service = DataService(url, busy_ms=50)
        with pytest.raises(StoreError, match="another process holds it"):
            trade_cycle(settings_of(url), Stepped(START + HOUR * (BARS - CYCLES)), service)
        other.execute("ROLLBACK")
    assert known(url) == 0
    trade_cycle(settings_of(url), Stepped(START + HOUR * (BARS - CYCLES)), service)
    assert known(url) == 1
    service.close()
