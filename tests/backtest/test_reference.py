"""What a run is held against: costs a side, holding at its exposure and volatility, market regimes."""

from __future__ import annotations

from math import isnan, nan, prod, sqrt

import numpy as np
import pytest
from candle_tables import FLAT, HOUR, T0, Case
from engines import run_kernel
from histories import History, histories
from hypothesis import given, settings
from specimens import BTC, run_made
from test_run import case_named, record_of, run_of, run_of_history

from alpha_arena.backtest.reference import (
    buy_and_hold,
    by_regime,
    costs_per_side,
    funding_paid,
    hold_at,
    hold_figures,
    hold_returns,
    known_regimes,
)
from alpha_arena.core.market import Market
from alpha_arena.core.types import REGIMES, Candles, Funding, Regimes

PPY = 8760.0
RISE = [FLAT, FLAT, (100, 110, 100, 110), (110, 121, 110, 121)]


def test_costs_a_side() -> None:
    """Five bought at 101 and sold at 108.9: 50 of gross on 1,049.50 of notional is what could have been borne, 11.5495 what was."""
    result = run_of(case_named("market fills pay slippage and the taker fee on each side")).result
    assert result["break_even_cost"] == pytest.approx(50 / 1049.5)
    assert result["cost_per_side"] == pytest.approx(11.5495 / 1049.5)


@given(histories)
@settings(max_examples=30, deadline=None)
def test_a_run_gains_where_it_could_bear_more_than_it_paid(h: History) -> None:
    """(break-even less paid) x notional is the net result."""
    r = run_of_history(h).result
    if r["break_even_cost"] is None:
        assert r["trades"] == r["fees"] == 0
    else:
        traded = (r["costs"]["gross"] - r["costs"]["net"]) / r["cost_per_side"]
        assert (r["break_even_cost"] - r["cost_per_side"]) * traded == pytest.approx(r["costs"]["net"], abs=1e-6)


def test_without_trading_no_cost_is_known() -> None:
    """Not 0, which would say that it is free."""
    assert all(isnan(value) for value in costs_per_side({"gross": 0, "fees": 0, "slippage": 0, "funding": 0, "net": 0}, 0.0).values())


def test_holding_at_an_exposure() -> None:
    """Half of +10 % and of -10 %, compounded; what is lost whole stays lost."""
    r = np.array([0.1, -0.1, 0.1])
    assert hold_at(r, 0.5) == pytest.approx([1, 1.05, 0.9975, 1.047375])
    assert hold_at(r, 12.0).tolist() == pytest.approx([1, 2.2, 0, 0])
    assert hold_at(r, -1.0) == pytest.approx([1, 0.9, 0.99, 0.891])
    assert all(value is nan or isnan(value) for value in hold_figures(hold_at(r, nan), nan, PPY).values())


def test_who_holds_pays_funding_as_the_simulation_has_it() -> None:
    """Bought as the second bar opens: not what is due then, and after it the open on the bar, the close within it, the open after a gap."""
    ts = T0 + np.array([0, 1, 2, 3, 5]) * HOUR
    opens, close = np.array([99.0, 100, 110, 121, 120]), np.array([100.0, 110, 121, 120, 130])
    due = T0 + np.arange(12) * HOUR // 2
    rates = np.zeros(12)
    rates[[0, 2, 3, 4, 9, 11]] = 0.5, 0.25, 0.01, 0.02, 0.03, -0.01
    market = Market.of(BTC, HOUR, Candles(ts, opens, opens, close, close, close), Funding(due, rates))
    paid = np.cumsum([0, 1.10, 2.20, 0, 3.60 - 1.30])
    assert funding_paid(market) == pytest.approx(paid)
    assert buy_and_hold({BTC: market}, ts) == pytest.approx((close - paid) / 100)
    assert hold_returns({BTC: market}, ts) == pytest.approx([0, 0.089, 0.08, -1 / 121, 7.7 / 120])


def test_matched_holds_of_a_rise() -> None:
    """Half held over the last two of four bars, each +10 %: exposure 0.2593 on average, and the same volatility as 0.5 x the market's."""
    record = record_of(Case("", RISE, [0.5] * 4))
    result = run_of(Case("", RISE, [0.5] * 4)).result
    exposure = [0, 0.5, 550 / 1050, 605 / 1105]
    matched = result["matched_hold"]
    assert record.exposure.tolist() == pytest.approx(exposure)
    assert matched["net"]["exposure"] == pytest.approx(np.mean(exposure))
    assert matched["net"]["total_return"] == pytest.approx((1 + 0.1 * np.mean(exposure)) ** 2 - 1)
    own = np.array([0, 0, 0.05, 1105 / 1050 - 1])
    assert matched["volatility"]["exposure"] == pytest.approx(np.std(own) / np.std([0, 0, 0.1, 0.1]))
    assert matched["volatility"]["volatility"] == pytest.approx(result["volatility"])
    hold = result["buy_and_hold"]
    assert (hold["exposure"], hold["total_return"]) == (1.0, pytest.approx(0.21))
    assert hold["sharpe"] == pytest.approx(0.05 / np.std([0, 0, 0.1, 0.1], ddof=1) * sqrt(PPY))
    assert hold["total_return"] == pytest.approx(result["buy_and_hold_return"])


def test_who_is_long_as_often_as_short_is_held_against_as_much_at_risk() -> None:
    """Half long, then half short: next to nothing net, and 0.5 x of size but for what prices made of it."""
    result = run_of(Case("", [FLAT] * 6, [0.5, 0.5, -0.5, -0.5, 0.0, 0.0])).result
    matched = result["matched_hold"]
    assert matched["net"]["exposure"] == pytest.approx(0, abs=0.01)
    assert matched["size"]["exposure"] == result["average_leverage"] == pytest.approx(4 / 6 * 0.5, rel=0.01)


def test_holding_a_market_that_does_not_move() -> None:
    """No exposure gives it the run's volatility."""
    matched = run_of(Case("", [FLAT] * 4, [0.5] * 4)).result["matched_hold"]
    assert matched["volatility"]["exposure"] is matched["volatility"]["total_return"] is None
    assert matched["net"]["total_return"] == 0


def test_a_regime_is_known_at_the_next_open() -> None:
    """That of the last close before the bar's open, over missing bars too; none before the first."""
    ts = T0 + np.array([0, 1, 3]) * HOUR
    price = np.full(3, 100.0)
    market = Market.of("x", HOUR, Candles(ts, price, price, price, price, price))
    none = np.full(3, nan)
    regimes = Regimes(np.array([2, 0, 1], np.int8), none, none, none, none, none)
    assert known_regimes(market, regimes, T0 + np.arange(5) * HOUR).tolist() == [-1, 2, 0, 0, 1]


def test_results_by_regime() -> None:
    """Bars, returns and trades where they belong: a trade that is entered in one regime and left in another counts in the first."""
    case = Case("", [FLAT, FLAT, (100, 110, 100, 110), (110, 110, 99, 99), (99, 99, 99, 99)], [0.5, 0.5, 0, 0, 0])
    record = record_of(case)
    codes = np.array([-1, 0, 0, 2, 2], np.int8)
    found = by_regime(record, buy_and_hold(record.markets, record.ts), {BTC: codes}, PPY)[BTC]
    assert list(found) == ["STRONG_TREND", "RANGE", "UNKNOWN"]
    strong, quiet, unknown = (found[name] for name in ("STRONG_TREND", "RANGE", "UNKNOWN"))
    assert (strong["time_share"], strong["trades"], strong["win_rate"], strong["pnl"]) == (0.4, 1, 1.0, pytest.approx(50))
    assert (strong["total_return"], strong["hold_return"]) == (pytest.approx(0.05), pytest.approx(0.1))
    assert strong["sharpe"] == pytest.approx(0.025 / np.std([0, 0.05], ddof=1) * sqrt(PPY))
    assert (quiet["total_return"], quiet["hold_return"], quiet["trades"]) == (pytest.approx(0), pytest.approx(-0.1), 0)
    assert unknown["time_share"] == 0.2
    assert isnan(unknown["sharpe"])
    assert isnan(unknown["win_rate"])


def test_regimes_make_up_the_whole() -> None:
    """Shares add up to 1, returns compound to the run's, each trade is in one of them."""
    result = run_made().result
    found = result["by_regime"][BTC].values()
    assert sum(r["time_share"] for r in found) == pytest.approx(1)
    assert prod(1 + r["total_return"] for r in found) - 1 == pytest.approx(result["total_return"])
    assert sum(r["trades"] for r in found) == result["trades"]
    assert set(result["by_regime"][BTC]) <= {*REGIMES, "UNKNOWN"}


def test_regimes_that_were_not_read() -> None:
    """Nothing is said of them."""
    assert run_of(Case("", [FLAT] * 3, [0.5] * 3)).result["by_regime"] == {}
    assert run_kernel(Case("", [FLAT] * 3, [0.5] * 3)).equity.size == 3
