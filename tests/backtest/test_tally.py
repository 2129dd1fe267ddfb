"""A history in sums: the same as the whole path of it, figure by figure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from candle_tables import HOUR, T0
from histories import COSTS, INSTRUMENT, History, histories, history
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_arena.backtest import statistics
from alpha_arena.backtest.columns import TALLIED, Sums
from alpha_arena.backtest.kernel import REASONS, Simulation, simulate, staged, tallied
from alpha_arena.backtest.targets import ready
from alpha_arena.core.market import Market
from alpha_arena.core.types import Candles, Funding, Signals

CAPITAL = 10_000.0
BLOCKS = 4


def both(h: History, start: int = 0, fixed: float | None = None) -> tuple[Simulation, Sums]:
    """The path and the sums of one history, whose levels lie anywhere."""
    path = simulate(
        h.market,
        ready(h.signals, h.market, (), INSTRUMENT),
        COSTS,
        INSTRUMENT,
        h.leverage,
        CAPITAL,
        start,
        forced=h.forced,
        fixed_equity=fixed,
    )
    stage = staged(h.market, COSTS, INSTRUMENT, 1.0, CAPITAL, start, fixed_equity=fixed)
    return path, tallied(stage, h.signals, h.leverage, BLOCKS, h.forced)


def expected(path: Simulation) -> dict[str, float]:
    """The sums of a path."""
    curve = statistics.curve(CAPITAL, path.equity)
    r = statistics.returns(curve)
    pnl, reason = path.trades.pnl, np.array(REASONS)[path.trades.reason]
    return {
        "final_equity": curve[-1],
        "peak_equity": curve.max(),
        "max_drawdown": statistics.max_drawdown(curve),
        "sum": r.sum(),
        "squares": (r**2).sum(),
        "cubes": (r**3).sum(),
        "fourths": (r**4).sum(),
        "bars_held": np.count_nonzero(path.quantity),
        "trades": len(path.trades),
        "wins": np.count_nonzero(pnl > 0),
        "won": pnl[pnl > 0].sum(),
        "lost": -pnl[pnl < 0].sum(),
        "stopped": np.count_nonzero((reason == "stop") | (reason == "liquidation")),
        "fees": path.fills.fee.sum(),
        "funding": path.funding.sum(),
        "traded": (np.abs(path.fills.quantity) * path.fills.price).sum(),
    }


@given(histories, st.integers(0, 5), st.sampled_from([None, 5_000.0]), st.sampled_from([1.0, 1.00007, 0.99991]))
@settings(max_examples=150, deadline=None)
def test_sums_are_those_of_the_path(h: History, start: int, fixed: float | None, beside: float) -> None:
    """Every figure, whatever happens; bars that are passed over change none, and levels beside the tick grid are put on it."""
    moved = replace(h.signals, stop=h.signals.stop * beside, take=h.signals.take * beside)
    path, sums = both(replace(h, signals=moved), min(start, len(h.market) - 1), fixed)
    seen = dict(zip(TALLIED, sums.figures, strict=True))
    for name, value in expected(path).items():
        assert seen[name] == pytest.approx(value, rel=1e-9, abs=1e-9 * CAPITAL), name
    assert sums.assumed[0] == path.funding_assumed


def test_ruin_is_seen_in_a_bar_that_would_be_passed_over() -> None:
    """Positions are sized by a fixed equity, and the account's own is gone between two settlements: all is sold for good."""
    close = np.concatenate([np.full(20, 100.0), np.linspace(100, 86, 20), np.linspace(86, 99, 20)])
    before = np.concatenate([[100.0], close[:-1]])
    candles = Candles(T0 + np.arange(60) * HOUR, before, np.maximum(before, close), np.minimum(before, close), close, np.ones(60))
    market = Market.of("BTC/USDT:USDT", HOUR, candles, Funding(np.array([T0 + 12 * HOUR]), np.array([1.9])))
    signals = Signals(np.where(np.arange(60) < 2, 0.0, 1.0), np.full(60, np.nan), np.full(60, np.nan), np.ones(60))
    costs = replace(COSTS, diff_fraction=0.3)
    path = simulate(market, signals, costs, INSTRUMENT, 5.0, CAPITAL, fixed_equity=5_000.0)
    sums = tallied(staged(market, costs, INSTRUMENT, 1.0, CAPITAL, fixed_equity=5_000.0), signals, 5.0, BLOCKS)
    seen = dict(zip(TALLIED, sums.figures, strict=True))
    assert path.quantity[-1] == 0
    assert path.equity[-1] < 0
    assert {name: seen[name] for name in expected(path)} == pytest.approx(expected(path))


def test_blocks_are_sums_of_returns() -> None:
    """Equal parts of the bars; rows beyond a multiple of the blocks are in none."""
    path, sums = both(history(3, 83))
    r = statistics.returns(statistics.curve(CAPITAL, path.equity))[: 83 // BLOCKS * BLOCKS].reshape(BLOCKS, -1)
    assert sums.sums == pytest.approx(r.sum(axis=1), abs=1e-12)
    assert sums.squares == pytest.approx((r**2).sum(axis=1), abs=1e-12)
