"""The simulated executor and the live executor on the embedded exchange give the same trades on the same real candles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rig import BTC, SWAP, rig

from alpha_arena.core.market import Market
from alpha_arena.core.types import Candles, Funding
from alpha_arena.data.queries import fills
from alpha_arena.engine import step, ticks
from alpha_arena.exchange.embedded.contracts import Profile
from alpha_arena.exchange.embedded.feed import Feed, Replay
from alpha_arena.settings import load
from alpha_arena.wiring.backtesting import Window, play
from alpha_arena.wiring.desk import study_of, trader_of

HOUR = 3_600_000
HISTORY = 400


def real(shared_data: Path, bars: int) -> Market:
    """The last bars of OKX's real candles, with real funding."""
    frame = pd.read_parquet(shared_data / "okx_BTC-USDT-SWAP_1h_2023-01_2025-04.parquet").iloc[-HISTORY - bars :]
    paid = pd.read_parquet(shared_data / "binance_BTCUSDT-PERP_funding_2019-09_2025-04.parquet")
    columns = (frame[name].to_numpy(np.float64) for name in ("open", "high", "low", "close", "volume"))
    funding = Funding(paid.ts.to_numpy() // 60_000 * 60_000, paid.funding_rate.to_numpy())
    return Market.of(BTC, HOUR, Candles(frame.ts.to_numpy(), *columns), funding)


LONG = [pytest.param(name, 2000, marks=pytest.mark.slow) for name in ("ema_trend", "grid_trading")]


@pytest.mark.parametrize(("strategy", "bars"), [("grid_trading", 150), *LONG])
def test_the_live_executor_trades_as_the_simulated_one_does(strategy: str, bars: int, shared_data: Path, tmp_path: Path) -> None:
    """D20, D24: fill by fill over the wire: time, quantity, price and fee; at the end the same cash."""
    market = real(shared_data, bars)
    settings = load("backtest", [f"strategy={strategy}", "decision=single"])
    seen, trader = study_of(settings, {BTC: market}), trader_of(settings)
    first, last = int(market.ts[-bars - 1]), int(market.ts[-2])
    memory = play(seen, trader, 10_000.0, Window(first, last, bars))
    with rig(tmp_path, feed_of(market), Profile("spec", settings.costs), first + HOUR, settings.trader) as made:
        executor = made.executor(market, settings.decider.leverage)
        for tick in ticks(seen, first, None, last):
            made.clock.step_to(tick.close_ts)
            step(tick, seen, trader, executor, made.ledger)
        ours = fills(made.service, settings.trader, limit=10_000)[::-1]
        theirs = [fill for booking in memory.bookings for fill in booking.fills]
        assert len(theirs) > bars / 50
        assert [(row["ts"], row["reason"]) for row in ours] == [(fill.ts, fill.reason) for fill in theirs]
        for name in ("quantity", "price", "fee"):
            assert [row[name] for row in ours] == pytest.approx([getattr(fill, name) for fill in theirs], rel=1e-9, abs=1e-9)
        cash = made.ledger.account().cash
        assert cash == pytest.approx(memory.bookings[-1].account.cash, rel=1e-9)
        assert cash == pytest.approx(float(made.client.cash), rel=1e-9)


def feed_of(market: Market) -> Feed:
    """A market as the embedded exchange replays it, a bar at a time."""
    bars = Candles(market.ts, market.open, market.high, market.low, market.close, market.volume)
    return Feed(Replay({BTC: bars}, {BTC: Funding(market.funding_ts, market.funding_rate)}, {}), {SWAP: BTC}, HOUR)
