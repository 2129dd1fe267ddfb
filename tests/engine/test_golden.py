"""The loop on real candles: the counts of an independent implementation, and the identity to the cent."""

from __future__ import annotations

import importlib
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf

from alpha_arena.backtest.record import Record
from alpha_arena.core.costs import Costs
from alpha_arena.core.market import Market
from alpha_arena.core.types import Candles, Funding, Instrument
from alpha_arena.decision.single import Single
from alpha_arena.engine import Trader
from alpha_arena.risk.protective_stop import ProtectiveStop
from alpha_arena.wiring.backtesting import Window, play, record_of, window
from alpha_arena.wiring.study import study

CONF = Path(__file__).resolve().parents[2] / "conf"
COSTS = Costs(0.0005, 0.0002, 0.0001, 0.0005, 10, 10, 0.01, 0.004, 24)
BTC = "BTC/USDT:USDT"
INSTRUMENTS = {BTC: Instrument(BTC, 0.0001, 0.1, 0.01, 100, "2026-01-01")}


def component(path: Path) -> object:
    """A component from its YAML."""
    values = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    assert isinstance(values, dict)
    module, name = values.pop("_target_").rsplit(".", 1)
    return getattr(importlib.import_module(module), name)(**values)


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Market:
    """OKX's hourly BTC with Binance's funding."""
    candles = pd.read_parquet(shared_data / "okx_BTC-USDT-SWAP_1h_2023-01_2025-04.parquet")
    funding = pd.read_parquet(shared_data / "binance_BTCUSDT-PERP_funding_2019-09_2025-04.parquet")
    columns = (candles[name].to_numpy() for name in ("open", "high", "low", "close", "volume"))
    settled = Funding(funding.ts.to_numpy() // 60_000 * 60_000, funding.funding_rate.to_numpy())
    return Market.of(BTC, 3_600_000, Candles(candles.ts.to_numpy(), *columns), settled)


def played(market: Market, strategy: str) -> Record:
    """All bars with one strategy, default costs, from 10,000."""
    rule = component(CONF / "strategy" / f"{strategy}.yaml")
    leverage = rule.max_leverage  # type: ignore[attr-defined]
    regime = component(CONF / "regime" / "default.yaml")
    seen = study({BTC: market}, {strategy: rule}, regime, COSTS, INSTRUMENTS)  # type: ignore[arg-type, dict-item]
    trader = Trader(
        "golden",
        "1h",
        INSTRUMENTS,
        Single("single", [strategy], {strategy: leverage}),
        [ProtectiveStop(0.1)],
        COSTS,
        "single",
    )
    return record_of(play(seen, trader, 10_000.0, window(seen.markets, None, None)), {BTC: market}, 10_000.0)


@pytest.mark.parametrize(
    ("strategy", "trades"),
    [
        ("ema_trend", 751),
        ("breakout", 466),
        ("grid_trading", 535),
        ("momentum", 74),
        ("mean_reversion", 408),
        ("bollinger_range", 573),
        ("funding_rate_arbitrage", 0),
    ],
)
def test_the_loop_makes_the_trades_of_the_independent_implementation(real: Market, strategy: str, trades: int) -> None:
    """D12: default parameters, default costs; each that trades loses, and the identity holds to the cent."""
    result = played(real, strategy)
    assert len(result.trades) == trades
    assert result.equity[-1] < 10_000 if trades else result.equity[-1] == 10_000
    still = sum(position.realised + position.unrealised for position in result.open_positions)
    assert 10_000 + result.trades.pnl.sum() + still == pytest.approx(result.equity[-1], abs=0.01)


def test_a_window_is_cut_by_start_and_limit(real: Market) -> None:
    """The last `limit` bars from `start` on."""
    assert window({BTC: real}, None, 100) == Window(int(real.ts[-100]), int(real.ts[-1]), 100)
    assert window({BTC: real}, int(real.ts[5]), None).rows == len(real) - 5
