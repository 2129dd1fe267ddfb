"""Two implementations of one page: the kernel and the trading loop agree trade by trade."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from histories import COSTS, INSTRUMENT, History, histories, inside
from hypothesis import given, settings
from hypothesis import strategies as st
from loop import looped

from alpha_arena.backtest.kernel import simulate
from alpha_arena.backtest.record import from_simulation
from alpha_arena.core.costs import Costs

CAPITAL = 10_000.0


COSTLY = [COSTS, replace(COSTS, stop_slippage=0.02), replace(COSTS, taker_fee=0.003, maintenance_margin=0.0), replace(COSTS, slippage=0.01)]


@given(histories, st.sampled_from([None, 5_000.0]), st.sampled_from(COSTLY), st.none() | st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_kernel_equals_loop(h: History, fixed: float | None, costs: Costs, seed: int | None) -> None:
    """Fills, trades, equity and funding to 1e-9 on random histories with gaps, reversals, levels, liquidations, and dear costs."""
    terms = (h.market, h.signals, costs, INSTRUMENT, h.leverage, CAPITAL)
    detail = None if seed is None else inside(h, seed)
    ours = from_simulation(simulate(*terms, forced=h.forced, fixed_equity=fixed, detail=detail), h.market, h.signals, CAPITAL)
    theirs = looped(*terms, h.forced, fixed, detail)
    for table in ("fills", "trades"):
        pd.testing.assert_frame_equal(getattr(theirs, table), getattr(ours, table), rtol=1e-9, atol=1e-9)
    assert theirs.equity == pytest.approx(ours.equity, rel=1e-9, abs=1e-9 * CAPITAL)
    assert theirs.exposure == pytest.approx(ours.exposure, rel=1e-9, abs=1e-9)
    assert theirs.funding == pytest.approx(ours.funding, rel=1e-9, abs=1e-9)
    assert theirs.funding_assumed == ours.funding_assumed
    assert len(theirs.open_positions) == len(ours.open_positions)
