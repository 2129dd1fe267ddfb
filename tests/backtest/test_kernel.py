"""Laws of the kernel over random histories, and what it refuses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from types import ModuleType

import numba
import numpy as np
import pytest
from candle_tables import CASES
from engines import run_kernel
from histories import COSTS, INSTRUMENT, History, histories, history
from hypothesis import given, settings
from hypothesis import strategies as st

import alpha_arena.backtest
from alpha_arena.backtest.kernel import REASONS, Simulation, equity_curve, simulate
from alpha_arena.core.errors import ConfigError, DataError
from alpha_arena.core.types import Candles, Signals

CAPITAL = 10_000.0


def simulated(h: History, rows: int | None = None) -> Simulation:
    """A history, or its first rows, through the kernel."""
    part = h.market if rows is None else h.market.rows(0, rows)
    signals = Signals(*(getattr(h.signals, name)[:rows] for name in ("exposure", "stop", "take", "confidence")))
    return simulate(part, signals, COSTS, INSTRUMENT, h.leverage, CAPITAL, forced=h.forced[:rows])


@given(histories)
@settings(max_examples=200, deadline=None)
def test_accounting_identity(h: History) -> None:
    """Capital, closed trades' results, and the open position's paid and unrealised parts are the last equity."""
    s = simulated(h)
    unrealised = sum(s.quantity[-1] * (h.market.close[-1] - entry) for entry in s.open_trade.entry_price)
    total = CAPITAL + s.trades.pnl.sum() + s.open_trade.pnl.sum() + unrealised
    assert total == pytest.approx(s.equity[-1], abs=1e-6 * CAPITAL)


@given(histories, st.data())
@settings(max_examples=100, deadline=None)
def test_nothing_is_known_before_it_happens(h: History, data: st.DataObject) -> None:
    """Equity and fills up to a bar are the same without all later bars."""
    rows = data.draw(st.integers(1, len(h.market)))
    whole, part = simulated(h), simulated(h, rows)
    before = whole.fills.row < rows
    assert np.array_equal(whole.fills.price[before], part.fills.price)
    # funding that is known late is charged at an assumed rate until then
    if not part.funding_assumed:
        assert np.allclose(whole.equity[:rows], part.equity, rtol=1e-12)


@given(histories)
@settings(max_examples=100, deadline=None)
def test_positions_are_whole_lots(h: History) -> None:
    """And the sum of fills."""
    s = simulated(h)
    lots = s.quantity / INSTRUMENT.lot
    assert np.allclose(lots, np.round(lots), atol=1e-6)
    assert np.bincount(s.fills.row, s.fills.quantity, len(h.market)).cumsum() == pytest.approx(s.quantity, abs=1e-9)


@given(histories)
@settings(max_examples=100, deadline=None)
def test_fills_lie_in_their_bar(h: History) -> None:
    """But for slippage, a fill's price was traded in its bar; a take may be worse, never better; liquidation has no fee."""
    s = simulated(h)
    row, price, reason = s.fills.row, s.fills.price, np.array(REASONS)[s.fills.reason]
    buys, liquidated, worse = s.fills.quantity > 0, reason == "liquidation", reason == "take"
    assert ((price <= h.market.high[row] * 1.0006) | liquidated | (worse & buys)).all()
    assert ((price >= h.market.low[row] * 0.9994) | liquidated | (worse & ~buys)).all()
    assert (s.fills.fee[liquidated] == 0).all()


@given(histories)
@settings(max_examples=50, deadline=None)
def test_mark_bars_that_equal_the_traded_ones_change_nothing(h: History) -> None:
    """The traded bars decide on liquidation where no others are given."""
    marked = simulate(h.market, h.signals, COSTS, INSTRUMENT, h.leverage, CAPITAL, forced=h.forced, mark=h.market.candles)
    assert np.array_equal(marked.equity, simulated(h).equity)


def test_histories_show_every_exit() -> None:
    """The laws above are tested on all that can happen."""
    reasons: set[str] = set()
    for seed in range(40):
        reasons |= {REASONS[code] for code in simulated(history(seed, 80, 50.0)).trades.reason}
    assert reasons == {"signal", "stop", "take", "liquidation"}


def test_start_cuts_what_is_simulated() -> None:
    """Rows before it are as if they were not there."""
    h = history(7)
    late = simulate(h.market, h.signals, COSTS, INSTRUMENT, h.leverage, CAPITAL, start=30)
    cut = Signals(*(getattr(h.signals, name)[30:] for name in ("exposure", "stop", "take", "confidence")))
    alone = simulate(h.market.rows(30, 80), cut, COSTS, INSTRUMENT, h.leverage, CAPITAL)
    assert late.equity.size == 50
    assert np.array_equal(late.ts, h.market.ts[30:])
    assert np.array_equal(late.equity, alone.equity)


def test_many_fills() -> None:
    """More than the log's first room, of more lots than whose product an integer holds."""
    rows = 3000
    h = history(3, rows, 3.0)
    turned = replace(h.signals, exposure=np.where(np.arange(rows) % 2, 0.5, -0.5), stop=np.full(rows, np.nan), take=np.full(rows, np.nan))
    s = simulate(h.market, turned, COSTS, INSTRUMENT, 3.0, 1e9)
    assert s.fills.row.size > 4096
    assert (np.diff(s.fills.row) >= 0).all()


def test_equity_curve_starts_at_one_and_is_causal() -> None:
    """What the portfolio decider scores: a multiple of the capital, not of whole lots."""
    h = history(11)
    curve = equity_curve(h.market, h.signals, COSTS, INSTRUMENT, h.leverage)
    first = Signals(*(getattr(h.signals, name)[:40] for name in ("exposure", "stop", "take", "confidence")))
    assert curve[0] == 1
    assert curve.shape == (80,)
    assert equity_curve(h.market.rows(0, 40), first, COSTS, INSTRUMENT, h.leverage) == pytest.approx(curve[:40], rel=1e-12)


def test_no_bars() -> None:
    """Nothing to simulate gives nothing."""
    h = history(1)
    empty = Signals(*(np.empty(0) for _ in range(4)))
    s = simulate(h.market.rows(0, 0), empty, COSTS, INSTRUMENT, 1.0, CAPITAL)
    assert s.equity.size == 0
    assert len(s.trades) == 0


def test_refusals() -> None:
    """The message names the value: leverage, capital, start, rows that do not match, exposures that are not numbers."""
    h = history(1, 10)
    holed = replace(h.signals, exposure=np.where(np.arange(10) == 4, np.nan, h.signals.exposure))

    def refused(error: type[Exception], words: str, market: object = h.market, signals: Signals = h.signals, **given: object) -> None:
        terms = {"leverage": 1.0, "initial_capital": CAPITAL, **given}
        with pytest.raises(error, match=words):
            simulate(market, signals, COSTS, INSTRUMENT, **terms)  # type: ignore[arg-type]

    refused(ConfigError, "leverage 0.0", leverage=0.0)
    refused(ConfigError, "initial_capital nan", initial_capital=float("nan"))
    refused(ConfigError, "start 11", start=11)
    refused(DataError, "9 bars, 10 signals", market=h.market.rows(0, 9))
    refused(DataError, "3 mark bars", mark=Candles(*(np.ones(3) for _ in range(6))))
    refused(DataError, "exposure of row 4", signals=holed)


COMPILED = tuple(f"alpha_arena.backtest.{name}" for name in ("jit_parts", "jit", "tally", "trips", "closes", "kernel"))


@pytest.fixture
def interpreted() -> Iterator[ModuleType]:
    """The kernel's module imported anew with compilation off."""
    kept = {name: sys.modules.pop(name) for name in COMPILED}
    before, numba.config.DISABLE_JIT = numba.config.DISABLE_JIT, 1
    try:
        yield import_module(COMPILED[-1])
    finally:
        numba.config.DISABLE_JIT = before
        for name, module in kept.items():
            sys.modules[name] = module
            setattr(alpha_arena.backtest, name.rpartition(".")[2], module)


def test_without_compilation_it_is_the_same(interpreted: ModuleType) -> None:
    """The loop as plain Python, as with NUMBA_DISABLE_JIT=1, to the last digits."""
    for case in CASES:
        given = {"mark": case.marks, "forced": case.demanded, "fixed_equity": case.fixed, "detail": case.details}
        plain = interpreted.simulate(case.market, case.signals, case.terms, case.instrument, case.leverage, case.capital, **given)
        assert plain.equity == pytest.approx(run_kernel(case).equity, rel=1e-12), case.name
    h = history(2, 2000, 3.0)
    plain = interpreted.simulate(h.market, h.signals, COSTS, INSTRUMENT, h.leverage, CAPITAL, forced=h.forced)
    assert plain.equity == pytest.approx(simulated(h).equity, rel=1e-9)
    assert plain.trades.pnl == pytest.approx(simulated(h).trades.pnl, abs=1e-6)
