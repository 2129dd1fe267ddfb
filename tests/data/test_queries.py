"""Read models: what pages show adds up to what happened."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise

import pytest
from series import BTC, HOUR, START
from trading import CAPITAL, Scene, booking, opened, scene

from alpha_arena.core.records import Booking
from alpha_arena.core.timeline import timeline
from alpha_arena.core.trades import round_trips
from alpha_arena.data import queries
from alpha_arena.data.memory import MemoryStore
from alpha_arena.data.notes import record_alert, record_backtest
from alpha_arena.data.service import DataService

BARS = 60


@pytest.fixture
def shown() -> Scene:
    """One symbol, sixty bars."""
    return scene(bars=BARS, symbols=(BTC,), seed=4)


@pytest.fixture
def bookings(service: DataService, shown: Scene) -> list[Booking]:
    """What the loop booked, in a list; the same is in the database."""
    memory = MemoryStore("whim")
    list(shown.play(memory))
    ledger = opened(service, "whim")
    with service.batch():
        list(shown.play(ledger))
    return memory.bookings


def test_round_trips_are_those_of_the_backtest(service: DataService, bookings: list[Booking]) -> None:
    """D4: the page's trades are the run folder's."""
    rows = {b.ts: row for row, b in enumerate(bookings)}
    closed, running = round_trips(timeline(bookings), rows, [b.equity for b in bookings], CAPITAL)
    found = queries.round_trips(service, "whim")[::-1]
    assert len(found) == len(closed) > 3
    assert [row["return"] for row in found] == [trade.return_ for trade in closed]
    assert [(row["entry_ts"], row["bars_held"], row["pnl"]) for row in found] == [(t.entry_ts, t.bars_held, t.pnl) for t in closed]
    assert [row["symbol"] for row in queries.open_trips(service, "whim")] == list(running)
    held = queries.positions(service, "whim")
    assert [row["quantity"] for row in held] == [trip.position.quantity for trip in running.values()]


def test_equity_has_a_column_for_each_figure(service: DataService, bookings: list[Booking]) -> None:
    columns = queries.equity(service, "whim")
    assert columns["ts"] == [b.close_ts for b in bookings]
    assert columns["equity"] == [b.equity for b in bookings]
    peak = 0.0
    for value, drawdown in zip(columns["equity"], columns["drawdown"], strict=True):
        peak = max(peak, value)
        assert drawdown == value / peak - 1
    part = queries.equity(service, "whim", columns["ts"][10], columns["ts"][12])
    assert {name: values[10:13] for name, values in columns.items()} == part
    assert queries.equity(service, "nobody")["ts"] == []


def test_exposure_and_drawdown_are_told_without_equity(sqlite_service: DataService) -> None:
    ledger = opened(sqlite_service)
    ledger.book(booking(1, CAPITAL))
    ledger.database.write()
    with sqlite_service.database.write() as connection:
        connection.exec_driver_sql("UPDATE equity_snapshots SET equity = '-5'")
    row = queries.equity(sqlite_service, "t")
    assert (row["exposure"], row["drawdown"]) == ([None], [0.0])


def test_decisions_are_paged_with_allocations_and_orders(service: DataService, bookings: list[Booking]) -> None:
    every = queries.decisions(service, "whim", limit=1000)
    assert len(every) == BARS
    assert [row["bar_ts"] for row in every] == [b.ts for b in bookings][::-1]
    page = queries.decisions(service, "whim", limit=10, before_id=every[9]["id"], symbol=BTC)
    assert page == every[10:20]
    assert queries.decisions(service, after_id=every[3]["id"]) == every[:3]
    assert [share["strategy_id"] for share in every[0]["allocations"]] == ["whim", "calm"]
    assert every[0]["allocations"][0]["performance_score"] is None
    assert every[0]["regime_context"]["indicators"] == {"adx": 17.5}
    assert every[0]["refusals"] == []
    assert json.dumps(every)
    sent = [queries.decision(service, row["id"]) for row in every]
    assert sum(len(row["orders"]) for row in sent if row) == len([o for o in queries.orders(service, limit=1000) if o["kind"] == "market"])
    assert queries.decision(service, 10**9) is None
    assert queries.decisions(service, "nobody") == []


def test_orders_and_fills_are_paged(service: DataService, bookings: list[Booking]) -> None:
    every = queries.orders(service, "whim", limit=1000)
    assert {row["state"] for row in every} <= {"FILLED", "LAPSED", "WORKING"}
    assert queries.orders(service, state="FILLED", limit=1000) == [row for row in every if row["state"] == "FILLED"]
    assert queries.orders(service, before_ts=every[5]["created_ts"], limit=1000) == [
        r for r in every if r["created_ts"] < every[5]["created_ts"]
    ]
    fills = queries.fills(service, "whim")
    assert [row["id"] for row in fills] == sorted((row["id"] for row in fills), reverse=True)
    assert queries.fills(service, before_id=fills[2]["id"], limit=2) == fills[3:5]
    middle = START + 30 * HOUR
    assert queries.fills(service, start_ts=middle) + queries.fills(service, end_ts=middle) == fills
    assert sum(row["fee"] for row in fills) == pytest.approx(-queries.sums(service, "whim")["fee"])
    assert len(queries.bills(service, "whim", "funding", 1000)) > 0


def test_traders_say_where_they_stand(service: DataService, bookings: list[Booking]) -> None:
    opened(service, "new")
    new, whim = queries.traders(service)
    assert (new["trader"], new["decider"], new["bar_ts"], new["halted"]) == ("new", None, None, "")
    assert (whim["decider"], whim["timeframe"], whim["bar_ts"]) == ("whim", "1h", bookings[-1].ts)
    assert whim["equity"] == bookings[-1].equity


def test_cursors_change_with_whatever_is_shown(service: DataService, shown: Scene) -> None:
    seen = [queries.cursors(service)]
    ledger = opened(service, "whim")
    seen.append(queries.cursors(service))
    for cycle in shown.play(ledger):
        seen.append(queries.cursors(service))
        if cycle.decisions[0].bar_ts > START + 3 * HOUR:
            break
    ledger.halt(START, "x")
    seen.append(queries.cursors(service))
    ledger.acknowledge(START + 1, "me")
    seen.append(queries.cursors(service))
    record_alert(service, START, "warning", "late", "143 s late")
    seen.append(queries.cursors(service))
    assert all(a != b for a, b in pairwise(seen))


def test_alerts_and_backtests_are_kept(service: DataService, bookings: list[Booking]) -> None:
    record_alert(service, START, "error", "feed", "no bar for 3 h", "whim")
    record_alert(service, START, "info", "skipped", "2 bars")
    assert [row["kind"] for row in queries.alerts(service)] == ["skipped", "feed"]
    assert [row["message"] for row in queries.alerts(service, 5, "whim")] == ["no bar for 3 h"]
    closed, _ = round_trips(timeline(bookings), {b.ts: i for i, b in enumerate(bookings)}, [b.equity for b in bookings], CAPITAL)
    row = {"name": "run", "trader": "whim", "created_ms": START, "symbol": BTC, "timeframe": "1h", "strategy": "whim"}
    row |= {"folder": "outputs/run", "config_hash": "a", "data_hash": "b"}
    for _ in range(2):
        record_backtest(service, row, {"trades": len(closed), "sharpe": None}, [asdict(trade) for trade in closed])
    assert [found["result"]["trades"] for found in queries.backtests(service)] == [len(closed)]
    assert [found["pnl"] for found in queries.backtest_trades(service, "run")] == [trade.pnl for trade in closed]
