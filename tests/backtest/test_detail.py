"""Shorter bars from the database: what came first within a bar, through the configuration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from alpha_arena.backtest.result import Run, Terms
from alpha_arena.core.errors import ConfigError, NoData, UnknownName
from alpha_arena.core.types import Candles
from alpha_arena.data.service import DataService
from alpha_arena.settings import Settings, load
from alpha_arena.wiring import backtest, run_backtest
from alpha_arena.wiring.backtesting import details_of, play, record_of, window
from alpha_arena.wiring.desk import markets_of, study_of, trader_of

ROWS = 4 * 3000
TIGHT = ("strategy.stop_loss_atr=0.5", "strategy.take_profit_atr=0.5")


@pytest.fixture(scope="module")
def stored(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> DataService:
    """OKX's quarter-hours, from which the hours are made."""
    bars = pd.read_parquet(shared_data / "okx_BTC-USDT-SWAP_15m_2023-01_2025-04.parquet").iloc[:ROWS]
    service = DataService(f"sqlite:///{tmp_path_factory.mktemp('detail') / 'arena.db'}")
    service.upgrade()
    candles = Candles(*(bars[name].to_numpy() for name in ("ts", "open", "high", "low", "close", "volume")))
    service.write_candles("okx", "BTC/USDT:USDT", "15m", candles)
    return service


def configured(*more: str) -> Settings:
    """A strategy with both levels near the price."""
    return load("backtest", ["symbol=btc", "strategy=ema_trend", *TIGHT, *more])


def through_the_loop(settings: Settings, service: DataService) -> Run:
    """As run_backtest, without the kernel."""
    markets, details, trader = markets_of(settings, service, None), details_of(settings, service), trader_of(settings)
    store = play(study_of(settings, markets), trader, settings.initial_capital, window(markets, None, None), details=details)
    record = replace(record_of(store, markets, settings.initial_capital), details=details)
    return Run.of("loop", record, Terms(trader.costs, trader.instruments, trader.decider.leverage))


def test_doubtful_bars_are_decided(stored: DataService) -> None:
    """As often as without it a bar is in doubt, to the kernel as to the loop; fewer are left."""
    without = run_backtest(configured(), stored)
    within = run_backtest(configured("detail=15m"), stored)
    looped = through_the_loop(configured("detail=15m"), stored)
    assert without.result["ambiguous"]["left"] == without.result["ambiguous"]["bars"] > 0
    told = within.result["ambiguous"]
    assert told["decided_by_detail"] > 0
    assert told["left"] == told["bars"] - told["decided_by_detail"]
    assert within.result["engine"] == "kernel"
    assert looped.result["ambiguous"] == pytest.approx(told)
    pd.testing.assert_frame_equal(within.trades, looped.trades, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("detail", "error", "words"),
    [
        ("1h", ConfigError, "detail=1h tells nothing of what happens inside 1h bars"),
        ("2h", ConfigError, "detail=2h tells nothing"),
        ("1m", NoData, "detail=1m: no such candles"),
        ("7m", UnknownName, "detail"),
    ],
)
def test_what_is_refused(stored: DataService, detail: str, error: type[Exception], words: str) -> None:
    """A timeframe that tells nothing, that is not stored, or that is none."""
    with pytest.raises(error, match=words):
        run_backtest(configured(f"detail={detail}"), stored)


def test_a_frame_has_no_shorter_bars() -> None:
    """Nothing is left out in silence."""
    frame = pd.DataFrame({"ts": [1_700_006_400_000, 1_700_010_000_000], **dict.fromkeys(("open", "high", "low", "close", "volume"), 1.0)})
    with pytest.raises(ConfigError, match="detail=15m is read from the database"):
        backtest(frame, detail="15m")
