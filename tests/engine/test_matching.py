"""The matching engine inside one bar: what candle tables do not reach."""

from __future__ import annotations

from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.core.accounting import margins
from alpha_arena.core.costs import Costs
from alpha_arena.core.types import BOTH_SIDES, Account, Instrument, Order, Position
from alpha_arena.exchange.matching import Bar, MatchingEngine, Settlement

COSTS = Costs(0.0005, 0.0002, 0.0, 0.0, 10, 10, 0.01, 0.004, 24)
BTC = Instrument("X", 0.0001, 0.1, 0.01, 100, "2026-01-01")


def engine(position: Position | None = None, cash: float = 10_000.0, leverage: float = 3.0, costs: Costs = COSTS) -> MatchingEngine:
    """An engine that may hold a position already."""
    return MatchingEngine("me", Account(cash, {"X": position} if position else {}), {"X": BTC}, costs, leverage)


def test_the_same_bar_and_order_make_the_same_ids() -> None:
    """D20, D25: a repeated run names fills alike, so that they are booked once."""
    bar = Bar(0, 100, 106, 94, 101)
    first, second = (engine(Position(1, 100, 95)).advance("X", bar, (), ()) for _ in range(2))
    assert first.fills == second.fills
    assert first.fills[0].reason == "stop"


def test_resubmitting_an_order_fills_it_once() -> None:
    """D20: the id decides, not the number of calls."""
    e = engine()
    for _ in range(3):
        e.submit(Order("a", "X", 1.0))
    assert len(e.advance("X", Bar(0, 100, 100, 100, 100), (), ()).fills) == 1
    assert e.advance("X", Bar(1, 100, 100, 100, 100), (), ()).fills == []


@pytest.mark.parametrize(
    ("side", "stop", "take", "bar", "price", "reason"),
    [
        (1, 95, 110, (100, 112, 94, 100), 95, "stop"),
        (1, 95, 110, (93, 96, 92, 95), 93, "stop"),
        (1, 95, 110, (113, 115, 112, 114), 110, "take"),
        (1, 95, 110, (100, 109, 96, 100), None, ""),
        (1, 95, 110, (100, 110, 96, 100), None, ""),
        (1, 95, 110, (100, 112, 96, 100), 110, "take"),
        (-1, 105, 90, (100, 106, 89, 100), 105, "stop"),
        (-1, 105, 90, (107, 108, 101, 102), 107, "stop"),
        (-1, 105, 90, (88, 95, 85, 90), 90, "take"),
    ],
)
def test_stops_and_takes(side: int, stop: float, take: float, bar: tuple[float, ...], price: float | None, reason: str) -> None:
    """D1, D6, D7, D8, D10: stop first, gaps at the open, takes only when traded through and never better."""
    out = engine(Position(side, 100, stop, take)).advance("X", Bar(0, *bar), (), ())
    assert [(fill.price, fill.reason) for fill in out.fills] == ([] if price is None else [(price, reason)])


def test_liquidation_costs_exactly_the_margin_and_no_fee() -> None:
    """D9: a 10x long through a bar of -12 % loses its margin, a tenth of its worth."""
    e = engine(Position(10, 100), leverage=10)
    out = e.advance("X", Bar(0, 100, 100, 88, 95), (), ())
    assert [fill.reason for fill in out.fills] == ["liquidation"]
    assert e.account.cash == pytest.approx(10_000 - 100)
    assert e.account.position("X").disarmed == 1


def test_mark_prices_decide_liquidation_where_they_are_given() -> None:
    """A wick of the last price does not liquidate when the mark has not moved so far."""
    wick = Bar(0, 100, 100, 60, 100, mark_low=95, mark_high=101)
    assert engine(Position(10, 100), leverage=10).advance("X", wick, (), ()).fills == []
    assert engine(Position(-10, 100), leverage=10).advance("X", wick._replace(mark_high=120.0), (), ()).fills[0].reason == "liquidation"


def test_a_stop_nearer_than_liquidation_goes_first_unless_it_would_lose_more_than_the_margin() -> None:
    """At 10x, a stop at 95 loses 5 %; one at 90.5 with 1 % slippage would lose more than the 10 % margin."""
    near = engine(Position(10, 100, 95), leverage=10).advance("X", Bar(0, 100, 100, 80, 85), (), ())
    assert near.fills[0].reason == "stop"
    costs = Costs(0.0005, 0.0002, 0.0, 0.01, 10, 10, 0.01, 0.004, 24)
    far = engine(Position(10, 100, 90.6), leverage=10, costs=costs).advance("X", Bar(0, 100, 100, 80, 85), (), ())
    assert far.fills[0].reason == "liquidation"


def test_an_order_after_a_gap_exit_keeps_only_what_opens_the_other_side() -> None:
    """Stopped at the open: a close lapses, a flip opens its new side."""
    e = engine(Position(1, 100, 95))
    e.submit(Order("close", "X", -1.0, reduce_only=True))
    out = e.advance("X", Bar(0, 90, 91, 89, 90), (), ())
    assert [event.state for event in out.events] == ["FILLED", "LAPSED"]
    e = engine(Position(1, 100, 95))
    e.submit(Order("exit", "X", -1.0, reduce_only=True))
    e.submit(Order("entry", "X", -2.0, stop=99))
    e.advance("X", Bar(0, 90, 91, 89, 90), (), ())
    assert (e.account.position("X").quantity, e.account.position("X").stop) == (-2, 99)


def test_funding_is_paid_by_what_is_held_at_its_time() -> None:
    """D53: the position carried in pays at the open, that held at the close pays inside; a long pays a positive rate."""
    e = engine(Position(2, 60_000), cash=1e6)
    out = e.advance("X", Bar(0, 60_000, 60_000, 60_000, 60_000), [Settlement(0, 0.0001, False)], [])
    assert [payment.amount for payment in out.payments] == [pytest.approx(-12.0)]
    e = engine(cash=1e6)
    e.submit(Order("o", "X", -2.0))
    out = e.advance("X", Bar(0, 60_000, 60_000, 60_000, 60_000), [Settlement(0, 0.0001, False)], [Settlement(1, 0.0001, True)])
    assert [(payment.amount, payment.assumed) for payment in out.payments] == [(pytest.approx(12.0), True)]


def test_a_new_position_whose_levels_are_already_passed_is_not_opened() -> None:
    """A stop above the open of a long would fill at once."""
    e = engine()
    e.submit(Order("o", "X", 1.0, stop=101))
    out = e.advance("X", Bar(0, 100, 102, 99, 100), (), ())
    assert (out.fills, out.events[0].state) == ([], "LAPSED")


@given(
    st.lists(st.tuples(st.floats(-300, 300), st.floats(50, 150), st.floats(0, 20), st.floats(0, 20), st.floats(-1, 1)), max_size=40),
    st.floats(1, 10),
)
def test_margin_is_never_more_than_cash_when_a_position_is_opened(bars: list[tuple[float, ...]], leverage: float) -> None:
    """D73: whatever is asked for, what is opened is affordable, fees included, in whole lots."""
    e = engine(leverage=leverage)
    for ts, (wanted, price, up, down, drift) in enumerate(bars):
        e.submit(Order(f"o{ts}", "X", round(wanted, 4)))
        before = margins(e.account, leverage)
        e.advance("X", Bar(ts, price, price + up, max(price - down, 1), price + drift * min(up, down)), (), ())
        after = e.account.position("X")
        assert margins(e.account, leverage) <= max(e.account.cash, before) + 1e-6 or after.quantity == 0
        assert after.quantity == pytest.approx(round(after.quantity, 4), abs=1e-9)


def test_a_free_margin_too_small_for_all_opens_part() -> None:
    """Cash 100 at 3x buys at most 300 less fees."""
    e = engine(cash=100.0)
    e.submit(Order("o", "X", 10.0))
    out = e.advance("X", Bar(0, 100, 100, 100, 100), (), ())
    assert out.fills[0].quantity == pytest.approx(2.9955, abs=1e-4)
    assert "free margin" in out.events[0].cause


def test_levels_that_are_not_given_are_not_hit() -> None:
    """NaN compares with nothing."""
    assert engine(Position(1, 100, nan, nan), leverage=1).advance("X", Bar(0, 100, 1e9, 1e-9, 100), (), ()).fills == []


def test_two_stops_in_one_bar_are_two_exits_with_names_of_their_own() -> None:
    """A long is stopped at the open, the short that its flip opened inside the bar: both are booked, both sides are disarmed."""
    e = engine(Position(1, 100, 95))
    e.submit(Order("exit", "X", -1.0, reduce_only=True))
    e.submit(Order("entry", "X", -2.0, stop=99))
    out = e.advance("X", Bar(7, 90, 100, 89, 90), (), ())
    assert [(fill.quantity, fill.price, fill.reason) for fill in out.fills] == [(-1, 90, "stop"), (-2, 90, "signal"), (2, 99, "stop")]
    assert len({fill.trade_id for fill in out.fills}) == 3
    assert (e.account.position("X").disarmed, e.account.position("X").disarmed_ts) == (BOTH_SIDES, 7)


def test_an_exchange_s_order_may_close_and_open_at_once() -> None:
    """Another client than the engine's own may flip with one order: closed first, and after a gap exit only the rest is opened."""
    e = engine(Position(1, 100))
    e.submit(Order("flip", "X", -3.0, stop=105))
    fills = e.advance("X", Bar(0, 100, 101, 99, 100), (), ()).fills
    assert [(fill.trade_id, fill.quantity) for fill in fills] == [("flip-1", -1), ("flip-2", -2)]
    e = engine(Position(1, 100, 95))
    e.submit(Order("flip", "X", -3.0, stop=99))
    e.advance("X", Bar(0, 90, 91, 89, 90), (), ())
    assert (e.account.position("X").quantity, e.account.position("X").stop) == (-2, 99)
