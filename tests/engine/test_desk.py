"""What can go wrong around a cycle: another configuration, a trader that fails, bars that come late, a halt in between."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from math import inf, nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import alpha_arena
from alpha_arena.core.errors import ConfigError, DataError
from alpha_arena.core.market import Market
from alpha_arena.core.types import Candles, Signals, Target
from alpha_arena.data.ledger import Ledger
from alpha_arena.data.queries import decisions
from alpha_arena.data.service import DataService
from alpha_arena.engine import Tick, finite
from alpha_arena.risk.limits import shrink
from alpha_arena.settings import Settings, load
from alpha_arena.wiring import decide, sync, trade_cycle
from alpha_arena.wiring.desk import awaited
from alpha_arena.wiring.study import signals
from alpha_arena.wiring.trading import SomeFailed, each

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
HOUR = 3_600_000
START = 1_704_067_200_000
BARS = 90


@dataclass
class Stepped:
    """A clock that stands until it is set."""

    time: int

    def now_ms(self) -> int:
        """Where it stands."""
        return self.time


def walk(seed: int) -> Candles:
    """A market on which the grid trades at most closes."""
    draw = np.random.default_rng(seed)
    close = 40_000 * np.exp(np.cumsum(draw.normal(0, 0.012, BARS)))
    opened = np.concatenate([close[:1], close[:-1]])
    ts = START + HOUR * np.arange(BARS, dtype=np.int64)
    return Candles(ts, opened, np.maximum(opened, close) * 1.004, np.minimum(opened, close) * 0.996, close, np.full(BARS, 10.0))


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Candles of two symbols in a database."""
    path = tmp_path_factory.mktemp("desk") / "m.db"
    with closing(DataService(f"sqlite:///{path}")) as service:
        service.upgrade()
        for seed, symbol in enumerate((BTC, ETH), 1):
            service.write_candles("file", symbol, "1h", walk(seed))
            service.write_candles("file", symbol, "4h", walk(seed + 2)[::4])
    return path


@pytest.fixture
def service(market: Path, tmp_path: Path) -> Iterator[DataService]:
    """A copy of its own for each test."""
    shutil.copy(market, tmp_path / "t.db")
    with closing(DataService(f"sqlite:///{tmp_path / 't.db'}")) as made:
        yield made


@cache
def trader(*more: str) -> Settings:
    """A paper trader that starts without catch-up."""
    how = ["strategy=grid_trading", "decision=single", "exchange=file", "schedule.catch_up_days=0", "trader.id=t", *more]
    return load("trade", how)


def at(bar: int) -> Stepped:
    """The close of a bar, counted from 0."""
    return Stepped(START + HOUR * (bar + 1))


def test_an_account_is_not_taken_to_another_timeframe_or_away_from_its_position(service: DataService) -> None:
    """D25, D27: bars of another length would fill orders before they were made; a position that nobody looks at is never stopped."""
    for bar in range(70, 78):
        trade_cycle(trader(), at(bar), service)
    assert Ledger(service, "t", "1h", "simulated").engaged() == {BTC}
    with pytest.raises(ConfigError, match=r"trader t trades 1h bars, not timeframe=4h; give timeframe=1h, or use another trader.id="):
        trade_cycle(trader("timeframe=4h"), at(79), service)
    for command in (trade_cycle, sync, decide):
        with pytest.raises(ConfigError, match=r"trader t has a position or order in BTC/USDT:USDT"):
            command(trader("symbol=eth"), at(78), service)
    assert trade_cycle(trader("symbols=[btc,eth]"), at(78), service)


def test_one_trader_that_fails_does_not_keep_the_others_from_their_stops() -> None:
    """D38: all act; then the failure is told with its trader."""
    acted = []

    def act(one: Any) -> str:
        acted.append(one.trader)
        if one.trader == "b":
            raise KeyError("x")
        return str(one.trader)

    names = [SimpleNamespace(trader=name, traders=()) for name in "abc"]
    with pytest.raises(SomeFailed, match=r"1 of 3 traders failed, the others did their part: b: KeyError: 'x'"):
        each(SimpleNamespace(traders=names), act)  # type: ignore[arg-type]
    assert acted == ["a", "b", "c"]
    with pytest.raises(KeyError):
        each(replace(trader(), trader="b"), act)


def test_a_newest_bar_waits_for_the_candles_of_all_symbols_but_not_for_ever() -> None:
    """A symbol whose candle comes late is not traded past it."""
    ticks = [Tick(bar, bar + 1, bar + 1, dict.fromkeys("ab"[:symbols], 0)) for bar, symbols in ((1, 1), (2, 2), (3, 1))]
    assert [tick.bar_ts for tick in awaited(ticks, 2, patience_ms=2)] == [1, 2]
    assert [tick.bar_ts for tick in awaited(ticks, 2, patience_ms=4)] == [1, 2, 3]


def test_sync_leaves_to_trade_what_trade_has_to_decide(service: DataService, market: Path, tmp_path: Path) -> None:
    """D46: syncs while trade is down lose no decision: the outage ends in the same account as no outage."""
    for bar in (70, 71, 72):
        trade_cycle(trader(), at(bar), service)
    for bar in range(73, 80):
        sync(trader(), at(bar), service)
    trade_cycle(trader(), at(80), service)
    shutil.copy(market, tmp_path / "whole.db")
    with closing(DataService(f"sqlite:///{tmp_path / 'whole.db'}")) as whole:
        for bar in range(70, 81):
            trade_cycle(trader(), at(bar), whole)
        assert [row["bar_ts"] for row in decisions(service, "t", limit=99)] == [row["bar_ts"] for row in decisions(whole, "t", limit=99)]
        assert Ledger(service, "t", "1h", "simulated").account() == Ledger(whole, "t", "1h", "simulated").account()


def test_a_loss_halts_in_a_bar_that_only_sync_has_applied(service: DataService) -> None:
    """D46: trading is switched off, sync goes on, and the drawdown latches all the same."""
    how = ("risk.rules.drawdown_halt.max_drawdown=0.001", "risk=default")
    for bar in range(70, 78):
        trade_cycle(trader(), at(bar), service)
    settings = trader(*how, "schedule.trade=false")
    for bar in range(78, 90):
        sync(settings, at(bar), service)
    assert "drawdown" in Ledger(service, "t", "1h", "simulated").risk(START).halted


def test_decide_shows_what_trade_would_do_halts_included(service: DataService) -> None:
    """Nothing is written, bars not yet seen are applied in memory, and a halted trader is told so."""
    for bar in range(70, 78):
        trade_cycle(trader(), at(bar), service)
    before = len(decisions(service, "t", limit=99))
    shown = decide(trader(), at(80), service)
    assert len(decisions(service, "t", limit=99)) == before
    traded = trade_cycle(trader(), at(80), service)[-1]
    assert {name: shown[name] for name in ("exposure", "stop", "equity", "orders")} == {
        name: traded[name] for name in ("exposure", "stop", "equity", "orders")
    }
    Ledger(service, "t", "1h", "simulated").halt(START, "drawdown 80.0%")
    halted = decide(trader(), at(81), service)
    assert (halted["exposure"], halted["refusals"][0]["rule"]) == (0.0, "DrawdownHalt")


@dataclass(frozen=True)
class Warming:
    """A strategy that gives NaN until it is warm."""

    lookback: int = 0
    max_position: float = 1.0
    max_leverage: float = 1.0

    def signals(self, market: Market) -> Signals:
        """The first three rows are NaN."""
        nothing = np.full(len(market), nan)
        exposure = np.where(np.arange(len(market)) < 3, nan, 0.5)
        return Signals(exposure, nothing, nothing, np.ones(len(market)))


def test_a_wish_that_is_not_a_number_is_refused_before_anything_is_sent() -> None:
    """D1: NaN is not flat, and least of all a full position of the other side."""
    with pytest.raises(DataError, match=r"Warming gives nan as exposure at the bar of BTC/USDT:USDT .* \(row 0\); 0 means flat"):
        signals(Warming(), Market.of(BTC, HOUR, walk(1)))
    tick, named = Tick(1, 2, 2, {BTC: 0}), SimpleNamespace(decider_name="llm")
    for target in (Target(nan), Target(inf), Target(0.5, stop=-inf), Target(0.5, take=inf)):
        with pytest.raises(DataError, match="nothing was sent"):
            finite(target, BTC, tick, named)  # type: ignore[arg-type]
    assert finite(Target(0.5), BTC, tick, named) == Target(0.5)  # type: ignore[arg-type]
    assert shrink(Target(-2.0), 1.0, 0.0, "x").exposure == -1.0


def test_funding_of_a_frame_is_checked_as_that_of_a_file_is() -> None:
    """D54: rows in any order are put in order; what cannot be trusted is refused by its row."""
    candles = walk(1)
    frame = pd.DataFrame({name: getattr(candles, name) for name in ("ts", "open", "high", "low", "close", "volume")})
    ts = START + HOUR * np.arange(0, BARS, 8, dtype=np.int64)
    funding = pd.DataFrame({"ts": ts, "rate": np.linspace(0.0001, 0.002, ts.size)})
    told = [
        alpha_arena.backtest(frame, "grid_trading", funding=each_).result
        for each_ in (funding, funding[::-1], funding.sample(frac=1, random_state=1))
    ]
    assert told[0]["funding"] == told[1]["funding"] == told[2]["funding"] != 0
    with pytest.raises(DataError, match="rate"):
        alpha_arena.backtest(frame, "grid_trading", funding=funding.assign(rate=np.nan))
    with pytest.raises(ConfigError, match="ts"):
        alpha_arena.backtest(frame, "grid_trading", funding=funding.drop(columns="ts"))
