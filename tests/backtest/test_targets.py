"""Targets over whole arrays: bit for bit what the trading loop makes of them row by row."""

from __future__ import annotations

import numpy as np
import pytest
from candle_tables import HOUR
from histories import INSTRUMENT, History, histories
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alpha_arena.backtest.targets import ready
from alpha_arena.core.errors import DataError
from alpha_arena.core.market import Market, Study, View
from alpha_arena.core.sizing import rounded_levels
from alpha_arena.core.types import Account, Candles, Instrument, Regimes, RiskState, Signals
from alpha_arena.engine import Trader, limit_symbol
from alpha_arena.risk.min_confidence import MinConfidence
from alpha_arena.risk.protective_stop import ProtectiveStop

TICKS = [10.0**-power for power in range(11)] + [0.5, 0.25, 0.05, 0.025, 0.00025, 5e-9, 2.0**-11, 1 / 3, 0.7, 3.0, 1e5, 1e-12]
prices = st.one_of(st.floats(1e-9, 1e9), st.floats(1e-3, 1e6).map(lambda price: round(price, 2)), st.just(np.nan))


def bars(close: np.ndarray) -> Market:
    """Bars that stand at their closes."""
    return Market.of("BTC/USDT:USDT", HOUR, Candles(HOUR * np.arange(close.size), close, close, close, close, close))


@given(st.lists(st.tuples(prices, prices, st.floats(1e-9, 1e9)), min_size=1, max_size=30), st.sampled_from(TICKS))
@settings(max_examples=300, deadline=None)
@example([(42_000.1, 524_287.9999999999, 40_000.0), (0.0, -0.05, 1.0), (0.00048828125, 1.5e-10, 0.1), (-1e-300, 524_288.3, 1.0)], 2.0**-11)
@example([(np.inf, -np.inf, 1.0), (0.00000000005, 0.00000000015, 1.0), (0.00000000025, 1e15, 1.0)], 1e-12)
def test_levels_are_the_loops_to_the_bit(rows: list[tuple[float, float, float]], tick: float) -> None:
    """Rounded to any tick, at any price; those that stay and those that change; infinite ones are kept for the loop to refuse."""
    stop, take, close = np.array(rows, np.float64).T
    nothing = np.zeros(close.size)
    out = ready(Signals(nothing, stop, take, nothing), bars(close), [], Instrument("X", 0.1, tick, 1.0, 10.0, "2024-01-01"))
    for row in np.flatnonzero(~np.isinf(stop) & ~np.isinf(take)):
        expected = rounded_levels(Signals(nothing, stop, take, nothing).at(row), close[row], tick)
        assert np.array([out.stop[row], out.take[row]]).tobytes() == np.array([expected.stop, expected.take]).tobytes(), (row, rows[row])
    assert np.array_equal(np.isinf(out.stop), np.isinf(stop))


@given(histories, st.sampled_from([0.01, 0.1, 0.3]))
@settings(max_examples=100, deadline=None)
def test_targets_are_those_of_the_loop(h: History, max_loss: float) -> None:
    """Rules that look at target and close alone, then the tick; a rule that does not bind is passed over."""
    rules = [MinConfidence(minimum=0.5), ProtectiveStop(max_loss=max_loss)]
    out = ready(h.signals, h.market, rules, INSTRUMENT)
    for row, close in enumerate(h.market.close.tolist()):
        assert repr(out.at(row)) == repr(limited(h, rules, row, close))


def limited(h: History, rules: list, row: int, close: float) -> object:
    """A row's target after the loop's own treatment of it."""
    nothing = np.full(len(h.market), np.nan)
    regimes = Regimes(np.full(len(h.market), -1, np.int8), nothing, nothing, nothing, nothing, nothing)
    symbol = h.market.symbol
    study = Study({symbol: h.market}, {symbol: {}}, {symbol: regimes}, {symbol: {}})
    view = View(int(h.market.ts[row]) + HOUR, 0, {symbol: row}, study, Account(1e4), RiskState(1e4), {symbol: close})
    trader = Trader("x", "1h", {symbol: INSTRUMENT}, None, rules, None, "x")  # type: ignore[arg-type]
    return limit_symbol(h.signals.at(row), symbol, view, trader)[0]


def test_nothing_to_do() -> None:
    """No rows give no rows."""
    none = np.empty(0)
    assert ready(Signals(none, none, none, none), bars(none), [ProtectiveStop(max_loss=0.1)], INSTRUMENT).stop.size == 0


def test_signals_of_other_rows_are_refused() -> None:
    """Before any of them is read."""
    short = np.zeros(3)
    with pytest.raises(DataError, match="4 bars, 3 signals"):
        ready(Signals(short, short, short, short), bars(np.ones(4)), [], INSTRUMENT)
