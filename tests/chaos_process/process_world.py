"""A market, its exchange as a server of its own, and traders as processes of their own; what the tests of real processes share."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from multiprocessing import connection, get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import traders

from alpha_arena.core.market import View
from alpha_arena.core.types import Candles, Target
from alpha_arena.data import queries
from alpha_arena.data.live_ledger import LiveLedger
from alpha_arena.data.service import DataService
from alpha_arena.exchange.accounts import write_embedded
from alpha_arena.execution.tracker import exact
from alpha_arena.settings import Settings, load

BTC, SWAP = "BTC/USDT:USDT", "BTC-USDT-SWAP"
HOUR = 3_600_000
START = 1_704_067_200_000
PAST, BARS = 120, 160
# wall seconds within which any of these processes has said something
SAID_S = 60.0
# a restart that waited for the dead one's lease would take 600 s; on a machine that does nothing else it takes less than 10
RESTART_S = 60.0
LONG = Target(0.5, stop=38_000.0, take=42_000.0)
SHORT = Target(-0.5, stop=42_000.0, take=38_000.0)
PROCESSES = get_context("forkserver")
# imported once; each process that a test starts is a fork of the one that has them
PRELOADED = [
    "alpha_arena.wiring.live",
    "alpha_arena.wiring.embedded",
    "alpha_arena.exchange.okx_account",
    "alpha_arena.features.regime",
    "uvicorn.protocols.http.h11_impl",
]


@dataclass(frozen=True)
class Script:
    """Targets by the open of a bar; none elsewhere keeps the exposure."""

    wanted: Mapping[int, Target]
    leverage: float = 3.0
    name: str = "script"

    def decide(self, view: View) -> dict[str, Target]:
        """What the script says at this close."""
        kept = Target(view.exposure(BTC))
        return {symbol: self.wanted.get(view.ts - HOUR, kept) for symbol in view.t}


def candles(bars: int = BARS) -> Candles:
    """Hours around 40,000 that reach no stop."""
    ts = START + HOUR * np.arange(bars, dtype=np.int64)
    close = np.float64(40_000) + 10 * (np.arange(bars) % 7)
    opened = np.concatenate([close[:1], close[:-1]])
    return Candles(ts, opened, np.maximum(opened, close) + 5, np.minimum(opened, close) - 5, close, np.full(bars, 1000.0))


def bar(number: int) -> int:
    """Open of a bar, ms; 0 is the newest one that has closed when the exchange starts."""
    return START + HOUR * (PAST - 1 + number)


def trader(folder: Path, name: str, *more: str) -> Settings:
    """A trader with a database of its own, long at bar 0, short at bar 1; the folder holds the exchange's address."""
    url = f"database.url=sqlite:///{folder / name / 'arena.db'}"
    how = ["exchange=embedded", "executor=okx", "decision=single", "strategy=grid_trading", "executor.expires_s=1"]
    made = load("trade", [*how, url, f"exchange.accounts_file={folder / 'embedded.json'}", f"trader.id={name}", *more])
    return replace(made, decider=Script({bar(0): LONG, bar(1): SHORT}), rules=())


def template(folder: Path) -> Path:
    """A database with the candles that all traders see."""
    path = folder / "template.db"
    with closing(DataService(f"sqlite:///{path}")) as service:
        service.upgrade()
        service.write_candles("embedded", BTC, "1h", candles())
    return path


def seat(settings: Settings, source: Path) -> Path:
    """Give a trader its database."""
    path = database(settings)
    path.parent.mkdir(exist_ok=True)
    shutil.copy(source, path)
    return path


def database(settings: Settings) -> Path:
    """Its file."""
    return Path(settings.database_url.removeprefix("sqlite:///"))


class Running:
    """A process of a test; it is dead when the test is over.

    Args:
        work: a function of `traders`, which gets the process's end of a pipe and the arguments.
    """

    def __init__(self, work: Any, *arguments: Any) -> None:
        self.pipe, other = PROCESSES.Pipe()
        self.process = PROCESSES.Process(target=work, args=(other, *arguments), daemon=True)
        self.process.start()
        other.close()

    def said(self) -> Any:
        """What it says next; None where it has ended."""
        assert self.pipe.poll(SAID_S), "nothing was said in time"
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionResetError):
            return None

    def ended(self) -> int | None:
        """Its exit code, -9 where it was killed."""
        assert connection.wait([self.process.sentinel], SAID_S), "it did not end in time"
        self.process.join()
        return self.process.exitcode

    def stop(self) -> None:
        """Kill it, if it still runs."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


@contextmanager
def running(work: Any, *arguments: Any) -> Iterator[Running]:
    """A process while a test needs it."""
    made = Running(work, *arguments)
    try:
        yield made
    finally:
        made.stop()


class Server:
    """The embedded exchange as a process.

    Args:
        folder: in which its books and its address lie. accounts: their names. more: as `traders.serve_exchange`.
    """

    def __init__(self, folder: Path, accounts: list[str], **more: Any) -> None:
        self.folder, self.accounts, self.more = folder, accounts, more
        self.start()

    def start(self) -> None:
        """Start it on its books, at any free port."""
        at = {"start_ms": bar(1) + 2_000, "ledger": self.folder / "exchange.db", "accounts": self.accounts}
        self.running = Running(traders.serve_exchange, candles(), {**at, **self.more})
        self.line: dict[str, Any] = json.loads(self.running.said())
        write_embedded(self.folder / "embedded.json", self.line)

    def control(self, command: str, **body: Any) -> dict[str, Any]:
        """What the control plane answers."""
        headers = {"authorization": f"Bearer {self.line['control_token']}", "content-type": "application/json"}
        asked = urllib.request.Request(f"{self.line['control_url']}/{command}", json.dumps(body).encode(), headers, method="POST")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=SAID_S) as answer:
            told: dict[str, Any] = json.loads(answer.read())
        return told

    def account(self, name: str) -> dict[str, Any]:
        """All that the exchange has of an account."""
        return next(one for one in self.control("dump")["dump"]["accounts"] if one["name"] == name)

    def stop(self) -> None:
        """Kill it."""
        self.running.stop()


def agree(settings: Settings, theirs: dict[str, Any], orders: int) -> None:
    """I1 to I5 of a trader: so many orders, each once; both books the same; what is held is protected."""
    named = [order["cl_ord_id"] for order in theirs["orders"].values() if order["cl_ord_id"]]
    assert (len(named), len(set(named))) == (orders, orders), f"I1: {named}"
    with closing(DataService(settings.database_url, read_only=True)) as service:
        kept = [row["trade_id"] for row in queries.fills(service, settings.trader, 10_000)]
        assert sorted(kept) == sorted(fill["bill_id"] for fill in theirs["fills"]), "I2"
        states = {row["client_order_id"]: row["state"] for row in queries.orders(service, settings.trader, 10_000)}
        assert {states.get(name) for name in named} == {"FILLED"}, f"I2: {states}"
        ledger = LiveLedger(service, settings.trader, settings.timeframe, "okx")
        account, stands, claims = ledger.account(), ledger.stands(), ledger.claims(BTC)
    assert stands == ("READY", "")
    held = sum(Decimal(str(one["pos"])) for one in theirs["holdings"].values()) * Decimal("0.01")
    position = account.position(BTC)
    assert (exact(position.quantity) or 0) == held, "I3"
    assert account.cash == pytest.approx(float(theirs["cash"]), abs=1e-8), "I4"
    live = [algo for algo in theirs["algos"].values() if algo["state"] == "live"]
    assert len(live) == bool(position.quantity), f"I5: {live}"
    assert all(claims[algo["algo_cl_ord_id"]] for algo in live), "I5: protection that is not the trader's own"
    assert all(exact(position.stop) == Decimal(str(algo["sl_trigger_px"])) for algo in live), "I5"
