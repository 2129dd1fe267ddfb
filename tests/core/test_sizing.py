"""From target to order, rule by rule."""

from __future__ import annotations

from math import inf, isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.core.costs import Costs
from alpha_arena.core.sizing import cap_exposures, desired_quantity, floor_lots, plan, rearm, towards_entry
from alpha_arena.core.types import Instrument, Position, Target

BTC = Instrument("X", 0.0001, 0.1, 0.01, 100, "2026-01-01")
COSTS = Costs(0.0005, 0.0002, 0.0001, 0.0005, 10, 10, 0.01, 0.004, 24)


FLAT = Position()


def planned(target: Target, position: Position = FLAT, equity: float = 10_000, price: float = 100.0, since: int = 0):
    """A plan at price 100 with equity 10,000."""
    return plan(target, position, equity, price, BTC, COSTS, since, str)


def test_a_quotient_just_below_a_whole_lot_counts_as_that_lot() -> None:
    """0.3 / 0.1 is 2.9999999999999996 in floats, and three lots."""
    assert floor_lots(0.3, 0.1) == 0.3
    assert floor_lots(0.29999, 0.1) == 0.2


@given(st.floats(0, 1e6), st.sampled_from([0.0001, 0.001, 0.01, 1.0]))
def test_rounding_down_never_rounds_up(quantity: float, lot: float) -> None:
    """D73: a size never grows on its way to the order."""
    floored = floor_lots(quantity, lot)
    assert floored <= quantity + lot * 1e-6
    assert quantity - floored < lot * (1 + 1e-6)


def test_a_target_becomes_an_order_with_its_levels() -> None:
    """60 % of 10,000 at 100 is 60 units."""
    (order,) = planned(Target(0.6, 95, 110)).orders
    assert (order.quantity, order.stop, order.take, order.reduce_only) == (60.0, 95, 110, False)


def test_nothing_is_sent_below_the_smallest_notional_or_without_equity() -> None:
    """A position worth 9 quote is no position; a ruined account stays flat."""
    assert planned(Target(0.0009)).orders == ()
    assert desired_quantity(0.5, -1.0, 100, 0.0001, 10) == 0


@pytest.mark.parametrize(("held", "sent"), [(59.5, []), (58.9, [1.1]), (60.9, []), (61.0, [-1.0])])
def test_a_held_position_is_adjusted_only_beyond_the_threshold(held: float, sent: list[float]) -> None:
    """The threshold is the largest of 10 quote, 10 quote and 1 % of equity: 100 quote, one unit."""
    assert [order.quantity for order in planned(Target(0.6), Position(held, 100)).orders] == sent


def test_a_demanded_reduction_ignores_the_threshold() -> None:
    """A risk rule's word counts for every lot."""
    (order,) = planned(Target(0.6, forced=True), Position(60.5, 100)).orders
    assert (order.quantity, order.reduce_only) == (-0.5, True)


def test_a_change_of_sign_closes_with_one_order_and_opens_with_another() -> None:
    """From long 10 to short 60: -10, which may only close, then -60 with a name of its own; to flat: -10."""
    flip = [(order.id, order.quantity, order.reduce_only) for order in planned(Target(-0.6), Position(10, 100)).orders]
    close = [(order.id, order.quantity, order.reduce_only) for order in planned(Target(0.0), Position(10, 100)).orders]
    assert flip == [("exit", -10, True), ("entry", -60, False)]
    assert close == [("exit", -10, True)]


@pytest.mark.parametrize(("held", "offered", "result"), [(90, 95, 95), (90, 85, 90), (nan, 85, 85), (90, nan, 90)])
def test_a_stop_never_loosens(held: float, offered: float, result: float) -> None:
    """D7: the held stop moves only nearer."""
    assert planned(Target(0.6, offered), Position(60, 100, held)).position.stop == result


def test_levels_are_left_alone_when_the_target_is_not_of_the_position_s_side() -> None:
    """A target of 0 or of the other side says nothing about the position that is being closed."""
    for exposure in (0.0, -0.5):
        assert planned(Target(exposure, 95, 99), Position(60, 100, 90, 120)).position.stop == 90


def test_after_a_protective_exit_its_side_is_closed_until_another_target_is_seen() -> None:
    """D8, D46: no re-entry on the signal that was just stopped out."""
    position = Position(disarmed=1, disarmed_ts=5)
    assert rearm(position, 0.5, 3, 24) == (position, 0.0)
    assert rearm(position, 0.5, 24, 24)[1] == 0.5
    for other in (0.0, -0.5):
        armed, exposure = rearm(position, other, 3, 24)
        assert (armed.disarmed, exposure) == (0, other)


@given(st.dictionaries(st.sampled_from("ABC"), st.floats(-5, 5), min_size=1), st.floats(1, 10))
def test_exposures_are_capped_together_and_keep_their_proportions(wanted: dict[str, float], leverage: float) -> None:
    """The sum of |x| / leverage is at most 0.98."""
    targets = {symbol: Target(exposure) for symbol, exposure in wanted.items()}
    capped = cap_exposures(targets, leverage)
    assert sum(abs(target.exposure) for target in capped.values()) / leverage <= 0.98 + 1e-9
    assert all(abs(capped[s].exposure) <= abs(targets[s].exposure) and capped[s].exposure * wanted[s] >= 0 for s in wanted)


@given(st.floats(1, 1e5), st.floats(1, 1e5), st.sampled_from([0.1, 0.01, 1e-4]))
def test_levels_round_towards_the_entry(level: float, entry: float, tick: float) -> None:
    """Rounding a stop never adds risk, by more than a tick never moves it, and twice is once."""
    rounded = towards_entry(level, entry, tick)
    assert abs(rounded - level) <= tick * (1 + 1e-6)
    assert rounded >= level - tick * 1e-5 if level < entry else rounded <= level + tick * 1e-5
    assert towards_entry(rounded, entry, tick) == pytest.approx(rounded, abs=tick * 1e-6)


def test_no_level_stays_none_and_costs_refuse_what_is_no_number() -> None:
    """NaN is "none" for a level, and an error for a cost."""
    assert isnan(towards_entry(nan, 100, 0.1))
    with pytest.raises(ValueError, match="finite"):
        Costs(inf, 0, 0, 0, 0, 0, 0, 0, 24)
