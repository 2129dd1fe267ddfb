"""Cycles through `trade`'s code on a database equal the backtest, decision by decision and fill by fill."""

from __future__ import annotations

import os
from math import isnan
from pathlib import Path

import pandas as pd
import pytest

from alpha_arena.core.types import Candles, Funding
from alpha_arena.data.lease import Lease
from alpha_arena.data.ledger import Ledger
from alpha_arena.data.memory import MemoryStore
from alpha_arena.data.queries import bills, decisions, fills, round_trips
from alpha_arena.data.service import DataService
from alpha_arena.settings import load
from alpha_arena.wiring import sync, trade_cycle
from alpha_arena.wiring.backtesting import Window, play
from alpha_arena.wiring.desk import study_of, trader_of

BTC = "BTC/USDT:USDT"
HOUR = 3_600_000
HISTORY, CYCLES, FEW = 800, 510, 120


class Stepped:
    """A clock that stands until it is set."""

    def __init__(self, now_ms: int) -> None:
        self.time = now_ms

    def now_ms(self) -> int:
        """Where it stands."""
        return self.time


@pytest.fixture(scope="module")
def stored(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Real candles and funding in a database; its address."""
    url = f"sqlite:///{tmp_path_factory.mktemp('equality') / 'db.sqlite'}"
    frame = pd.read_parquet(shared_data / "okx_BTC-USDT-SWAP_1h_2023-01_2025-04.parquet").iloc[-HISTORY - CYCLES :]
    funding = pd.read_parquet(shared_data / "binance_BTCUSDT-PERP_funding_2019-09_2025-04.parquet")
    service = DataService(url)
    service.upgrade()
    columns = (frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume"))
    service.write_candles("file", BTC, "1h", Candles(frame.ts.to_numpy(), *columns))
    service.write_funding("file", BTC, Funding(funding.ts.to_numpy() // 60_000 * 60_000, funding.funding_rate.to_numpy()))
    service.close()
    return url


def traded(url: str, overrides: list[str], trader: str, gaps: int = 1, synced: bool = False, bars: int = CYCLES) -> DataService:
    """Run `trade`'s code over the last bars of the database, every `gaps` closes; `synced`: with a sync between."""
    service = DataService(url)
    settings = load("trade", [*overrides, f"database.url={url}", f"trader.id={trader}"])
    last = service.last_ts("file", BTC, "1h")
    assert last is not None
    clock = Stepped(last - (bars - 1) * HOUR)
    for cycle in range(bars + 1):
        if cycle % gaps == 0:
            trade_cycle(settings, clock, service)
        if synced:
            sync(settings, clock, service)
        clock.time += HOUR
    return service


def backtested(service: DataService, overrides: list[str], bars: int = CYCLES) -> MemoryStore:
    """The same bars through the backtest."""
    settings = load("backtest", overrides)
    markets = {BTC: service.market(BTC, "1h")}
    part = Window(int(markets[BTC].ts[-bars - 1]), int(markets[BTC].ts[-2]), bars)
    return play(study_of(settings, markets), trader_of(settings), settings.initial_capital, part)


def same(a: float | None, b: float) -> bool:
    """Equal to 1e-9 relative; NULL is NaN."""
    return isnan(b) if a is None else a == pytest.approx(b, rel=1e-9)


def assert_equal(service: DataService, trader: str, result: MemoryStore) -> None:
    """Every decision, fill, trade and the cash are those of the backtest."""
    made = decisions(service, trader, limit=5_000)[::-1]
    expected = result.decisions
    first = expected[0].bar_ts
    made = [row for row in made if first <= row["bar_ts"] <= expected[-1].bar_ts]
    assert [row["bar_ts"] for row in made] == [d.bar_ts for d in expected]
    for row, d in zip(made, expected, strict=True):
        assert all(same(row[name], getattr(d.target, name)) for name in ("exposure", "stop", "take"))
    filled = [fill for booking in result.bookings for fill in booking.fills]
    kept = [row for row in sorted(fills(service, trader), key=lambda row: row["id"]) if row["ts"] <= expected[-1].bar_ts]
    assert [(row["ts"], row["quantity"], row["reason"]) for row in kept] == [(f.ts, f.quantity, f.reason) for f in filled]
    assert all(same(row["price"], f.price) and same(row["fee"], f.fee) for row, f in zip(kept, filled, strict=True))
    assert len(filled) > 2


@pytest.mark.parametrize(
    ("decider", "bars"),
    [("portfolio", FEW), *(pytest.param(name, CYCLES, marks=pytest.mark.slow) for name in ("single", "weighted", "portfolio"))],
)
def test_cycles_of_trade_equal_the_backtest(stored: str, decider: str, bars: int) -> None:
    """D2, D3, D4, D11: paper trading a cycle at a time is the backtest, whoever decides."""
    overrides, trader = ["exchange=file", f"decision={decider}"], f"{decider}_{bars}"
    service = traded(stored, overrides, trader, bars=bars)
    assert_equal(service, trader, backtested(service, overrides, bars))
    ledger = Ledger(service, trader, "1h", "simulated")
    rebuilt, kept = ledger.rebuild(), ledger.account()
    assert rebuilt.cash == pytest.approx(kept.cash, abs=1e-6)
    assert rebuilt.position(BTC).quantity == kept.position(BTC).quantity
    lasting = service.last_ts("file", BTC, "1h")
    assert lasting is not None
    theirs = backtested(service, overrides, bars).outcomes(lasting, 5_000)
    assert [(one.bar_ts, one.closed_ts, one.ended_by, one.parts) for one in ledger.outcomes(lasting, 5_000)] == [
        (one.bar_ts, one.closed_ts, one.ended_by, one.parts) for one in theirs
    ]
    assert sum(row["amount"] for row in bills(service, trader, limit=5_000)) == pytest.approx(kept.cash, abs=1e-6)
    assert round_trips(service, trader)
    service.close()


def test_catching_up_after_missed_bars_equals_trading_each(stored: str) -> None:
    """Stopped for eight bars at a time, the simulated executor replays them through the same step, marked as catch-up."""
    overrides = ["exchange=file", "decision=weighted"]
    service = traded(stored, overrides, "late", gaps=8, bars=FEW)
    result = backtested(service, overrides, FEW)
    assert_equal(service, "late", result)
    assert any(row["catch_up"] for row in decisions(service, "late", limit=5_000))
    service.close()


def test_a_sync_between_cycles_changes_nothing(stored: str) -> None:
    """`sync` applies closed bars and decides nothing; the bar after it is decided all the same."""
    overrides = ["exchange=file", "decision=single"]
    service = traded(stored, overrides, "synced", synced=True, bars=FEW)
    assert_equal(service, "synced", backtested(service, overrides, FEW))
    service.close()


def test_a_second_cycle_on_the_same_bar_does_nothing(stored: str) -> None:
    """D27, D28: two schedulers, one decision."""
    service = DataService(stored)
    settings = load("trade", ["exchange=file", f"database.url={stored}", "trader.id=once"])
    last = service.last_ts("file", BTC, "1h")
    assert last is not None
    clock = Stepped(last + HOUR)
    assert len(trade_cycle(settings, clock, service)) == 1
    assert trade_cycle(settings, clock, service) == []
    assert len(decisions(service, "once")) == 1
    service.close()


def test_old_candles_are_not_traded_on(stored: str) -> None:
    """D72: a week after the newest stored bar it is still decided, and every new risk is refused as stale."""
    service = DataService(stored)
    settings = load("trade", ["exchange=file", f"database.url={stored}", "trader.id=stale", "decision=weighted"])
    last = service.last_ts("file", BTC, "1h")
    assert last is not None
    made = trade_cycle(settings, Stepped(last + 7 * 24 * HOUR), service)
    assert made[0]["exposure"] == 0
    assert made[0]["orders"] == []
    assert [refusal["rule"] for refusal in made[0]["refusals"]] == ["StaleData"]
    service.close()


def test_a_process_that_does_not_hold_the_lease_does_nothing(stored: str) -> None:
    """D27: while another living process acts for the trader, neither a cycle nor a sync touches its account."""
    service = DataService(stored)
    settings = load("trade", ["exchange=file", f"database.url={stored}", "trader.id=leased"])
    last = service.last_ts("file", BTC, "1h")
    assert last is not None
    clock = Stepped(last + HOUR)
    other = Lease(service, "trader:leased", 600.0, pid=os.getppid())
    other.acquire()
    assert trade_cycle(settings, clock, service) == []
    assert sync(settings, clock, service)["traders"][0]["bars"] == 0
    assert decisions(service, "leased") == []
    other.release()
    assert len(trade_cycle(settings, clock, service)) == 1
    service.close()
