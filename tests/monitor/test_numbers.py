"""The figures of the tiles by hand arithmetic."""

from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.core.types import Account, Position
from alpha_arena.monitor.books import action
from alpha_arena.monitor.numbers import Curve, carried, figures, guessed_tick, marked, runs

DAY = 86_400_000
SYMBOL = "BTC/USDT:USDT"


def curve(*equity: float) -> Curve:
    """One close every six hours, the first at 06:00, from 1000."""
    return Curve(np.arange(1, len(equity) + 1, dtype=np.int64) * DAY // 4, np.array(equity, np.float64), 1_000.0)


def test_the_six_tiles() -> None:
    """D31, D41: equity after fees, today since 00:00 UTC, total against the initial capital, drawdown against the peak."""
    account = Account(1_040.0, {SYMBOL: Position(0.5, 200.0, 180.0, 260.0)})
    prices = {SYMBOL: 220.0}
    assert marked(account, prices) == 1_050.0
    found = figures(curve(1_100, 1_000, 990, 980, 1_020, 1_050), account, prices, int(1.6 * DAY), 0.07)
    assert found["equity"] == 1_050
    assert found["today"] == 70  # midnight is the fourth close
    assert found["today_fraction"] == pytest.approx(70 / 980)
    assert (found["total"], found["total_fraction"], found["hold_fraction"]) == (50, pytest.approx(0.05), 0.07)
    assert found["drawdown"] == pytest.approx(1_050 / 1_100 - 1)
    assert found["max_drawdown"] == pytest.approx(980 / 1_100 - 1)
    assert (found["notional"], found["unrealised"], found["exposure"]) == (110, 10, pytest.approx(110 / 1_050))
    assert (found["held"], found["largest"], found["largest_quantity"]) == (1, SYMBOL, 0.5)


def test_before_the_first_close_nothing_is_known() -> None:
    """An empty account shows dashes, not zeros."""
    found = figures(Curve(np.empty(0, np.int64), np.empty(0), 1_000.0), Account(1_000.0), {}, DAY, nan)
    assert all(isnan(float(str(found[name]))) for name in ("equity", "today", "total", "drawdown", "exposure"))


def test_a_drawdown_counts_from_the_initial_capital() -> None:
    """An account that only ever lost is in drawdown from its start."""
    assert curve(900, 950).drawdowns().tolist() == pytest.approx([-0.1, -0.05])


def test_the_curve_ends_at_the_present_mark() -> None:
    """Unrealised profit is in the last point; a mark at the last close replaces it."""
    marked_ = curve(1_000, 1_010).with_now(DAY, 1_020)
    assert (marked_.ts.tolist(), marked_.equity.tolist()) == ([DAY // 4, DAY // 2, DAY], [1_000, 1_010, 1_020])
    assert curve(1_000, 1_010).with_now(DAY // 2, 1_020).equity.tolist() == [1_000, 1_020]


def test_a_held_symbol_without_a_price_makes_equity_unknown() -> None:
    """Never a made-up price."""
    assert isnan(marked(Account(1.0, {SYMBOL: Position(1.0, 2.0)}), {}))


@pytest.mark.parametrize(
    ("before", "ordered", "wanted", "name"),
    [
        (0, 0, 0, "flat"),
        (0, 0, 0.5, "hold"),
        (1, 0, 0.5, "hold"),
        (0, 1, 0.5, "enter_long"),
        (0, -1, -0.5, "enter_short"),
        (1, -1, 0, "exit"),
        (1, -2, -0.5, "reverse"),
        (1, 1, 0.9, "add"),
        (-2, 1, -0.5, "reduce"),
        (0.3, -0.1, 0.2, "reduce"),
    ],
)
def test_what_a_decision_did(before: float, ordered: float, wanted: float, name: str) -> None:
    """Named by the position before and after it."""
    assert action(before, ordered, wanted) == name


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_runs_cover_all_rows_once(names: list[str]) -> None:
    """Each stretch is of one name and its neighbours are of another."""
    found = runs(names)
    assert [row for first, last in found for row in range(first, last + 1)] == list(range(len(names)))
    assert all(len(set(names[first : last + 1])) == 1 for first, last in found)
    assert all(names[last] != names[last + 1] for _, last in found[:-1])


def test_values_are_carried_forward_only() -> None:
    """What is not known yet is NaN, never the later value."""
    found = carried(np.array([2, 4], np.int64), np.array([20.0, 40.0]), np.array([1, 2, 3, 5], np.int64))
    assert isnan(found[0])
    assert found[1:].tolist() == [20, 20, 40]


@pytest.mark.parametrize(("price", "tick"), [(84_000, 1.0), (0.5, 0.0001), (2.1, 0.0001), (0, 0.01)])
def test_a_tick_is_guessed_where_none_is_configured(price: float, tick: float) -> None:
    """Five significant digits."""
    assert guessed_tick(price) == pytest.approx(tick)
