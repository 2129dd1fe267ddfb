"""The seven strategies on real candles: as many trades as an independent implementation of the rules made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from histories import COSTS

from alpha_arena.backtest.kernel import equity_curve, simulate
from alpha_arena.backtest.record import from_simulation
from alpha_arena.backtest.reference import buy_and_hold
from alpha_arena.backtest.result import Run, Terms
from alpha_arena.core.costs import Costs
from alpha_arena.core.market import Market
from alpha_arena.core.ports import Strategy
from alpha_arena.core.types import Candles, Funding, Instrument, Signals

CONF = Path(__file__).resolve().parents[2] / "conf"
SYMBOL = "BTC/USDT:USDT"
CAPITAL = 10_000.0
TRADES = {
    "ema_trend": 751,
    "breakout": 466,
    "grid_trading": 535,
    "momentum": 74,
    "mean_reversion": 408,
    "bollinger_range": 573,
    "funding_rate_arbitrage": 0,
}
DEFAULTS = Costs(**{**{name: getattr(COSTS, name) for name in COSTS.__dataclass_fields__}, "rearm_bars": 24})
BTC = Instrument(SYMBOL, lot=0.0001, tick=0.1, contract_size=0.01, max_leverage=100, as_of="2024-01-01")


@pytest.fixture(scope="module")
def market(shared_data: Path) -> Market:
    """OKX's hourly bars of 2023 to April 2025 with Binance's funding."""
    bars = pd.read_parquet(shared_data / "okx_BTC-USDT-SWAP_1h_2023-01_2025-04.parquet")
    paid = pd.read_parquet(shared_data / "binance_BTCUSDT-PERP_funding_2019-09_2025-04.parquet")
    candles = Candles(*(bars[name].to_numpy() for name in ("ts", "open", "high", "low", "close", "volume")))
    return Market.of(SYMBOL, 3_600_000, candles, Funding(paid["ts"].to_numpy(), paid["funding_rate"].to_numpy()))


def strategy(name: str) -> Strategy:
    """With the shipped defaults."""
    from importlib import import_module

    values = yaml.safe_load((CONF / "strategy" / f"{name}.yaml").read_text())
    module, _, kind = values.pop("_target_").rpartition(".")
    made: Strategy = getattr(import_module(module), kind)(**values)
    return made


def protected(market: Market, signals: Signals) -> Signals:
    """A target without a stop gets one 10 % from the close, rounded to the tick towards the entry."""
    side = np.sign(signals.exposure)
    level = market.close * (1 - 0.1 * side) / BTC.tick
    ticks = np.where(side > 0, np.ceil(level - 1e-9), np.floor(level + 1e-9))
    stop = np.where((side != 0) & np.isnan(signals.stop), ticks * BTC.tick, signals.stop)
    return Signals(signals.exposure, stop, signals.take, signals.confidence)


@pytest.mark.parametrize("name", TRADES)
def test_trades_of_a_strategy(name: str, market: Market) -> None:
    """With default parameters and costs; all that trade lose after costs, and the books balance."""
    made = strategy(name)
    signals = protected(market, made.signals(market))
    s = simulate(market, signals, DEFAULTS, BTC, made.max_leverage, CAPITAL)
    run = Run.of(name, from_simulation(s, market, signals, CAPITAL), Terms(DEFAULTS, {SYMBOL: BTC}, made.max_leverage))
    assert run.result["trades"] == TRADES[name]
    assert run.result["final_equity"] < CAPITAL or not TRADES[name]
    assert run.result["funding_assumed"] == 0
    kept = sum(p["realised"] + p["unrealised"] for p in run.result["open_positions"])
    assert CAPITAL + run.trades["pnl"].sum() + kept == pytest.approx(s.equity[-1], abs=1e-6 * CAPITAL)
    assert equity_curve(market, signals, DEFAULTS, BTC, made.max_leverage)[-1] == pytest.approx(s.equity[-1] / CAPITAL, rel=0.02)


@pytest.mark.parametrize(("year", "expected"), [(2023, 1.57), (2024, 1.19)])
def test_buying_and_holding_a_year(year: int, expected: float, market: Market) -> None:
    """Within 3 points of the published return of the calendar year, without funding: as holding and as a long position in the kernel."""
    first, after = (int(np.searchsorted(market.ts, np.datetime64(f"{y}-01-01", "ms").astype(np.int64))) for y in (year, year + 1))
    part = market.rows(first, after)
    bare = Market.of(SYMBOL, part.bar_ms, part.candles)
    assert buy_and_hold({SYMBOL: bare}, part.ts)[-1] - 1 == pytest.approx(expected, abs=0.03)
    none = np.full(len(part), np.nan)
    free = Costs(**{**dict.fromkeys(COSTS.__dataclass_fields__, 0.0), "diff_threshold": 1e9, "rearm_bars": 1})
    long = Signals(np.full(len(part), 0.98), none, none, np.ones(len(part)))
    assert simulate(bare, long, free, BTC, 1.0, CAPITAL).equity[-1] / CAPITAL - 1 == pytest.approx(expected * 0.98, abs=0.03)
