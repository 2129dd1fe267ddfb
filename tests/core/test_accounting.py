"""Laws of accounting: cash, entries and margins, whatever the order of fills."""

from __future__ import annotations

from math import isclose, isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.core.accounting import book, liquidation_price, margin, pay
from alpha_arena.core.types import Account, Fill, Payment, Position

LOT = 0.001
fills = st.lists(
    st.tuples(st.integers(-500, 500).filter(bool), st.floats(1, 1e5), st.floats(0, 10)).map(
        lambda row: Fill("t", "o", 0, "X", round(row[0] * LOT, 10), row[1], row[2])
    ),
    min_size=1,
    max_size=30,
)


@given(fills)
def test_equity_equals_initial_cash_plus_the_value_of_all_fills_less_fees(made: list[Fill]) -> None:
    """The accounting identity: cash flows of fills and the holding's worth explain equity at any price."""
    account = Account(1000.0)
    for fill in made:
        account = book(account, fill)
    price = 123.0
    held = sum(fill.quantity for fill in made)
    flows = sum(-fill.quantity * fill.price - fill.fee for fill in made)
    assert isclose(account.equity({"X": price}), 1000.0 + flows + held * price, rel_tol=1e-9, abs_tol=1e-4)
    assert isclose(account.position("X").quantity, held, abs_tol=1e-9)


@given(fills)
def test_a_flat_position_has_no_entry_and_no_levels(made: list[Fill]) -> None:
    """What is closed leaves nothing behind."""
    account = Account(0.0)
    for fill in made:
        account = book(account, fill)
    held = account.position("X").quantity
    if held:
        account = book(account, Fill("t", "o", 0, "X", -held, 50.0, 0.0))
    position = account.position("X")
    assert position.quantity == 0
    assert all(map(isnan, (position.entry, position.stop, position.take)))


def test_additions_average_the_entry_and_reductions_keep_it() -> None:
    """Long 1 at 100, 1 more at 110, then half closed: the entry is 105 throughout."""
    account = book(book(Account(0.0), Fill("a", "o", 0, "X", 1, 100, 0)), Fill("b", "o", 0, "X", 1, 110, 0))
    assert account.position("X").entry == 105
    account = book(account, Fill("c", "o", 0, "X", -1, 120, 0))
    assert account.position("X").entry == 105
    assert account.cash == 15


def test_a_flip_closes_first_and_opens_at_the_fill_price() -> None:
    """Long 1 at 100, sell 3 at 90: short 2 at 90, ten lost."""
    account = book(book(Account(0.0), Fill("a", "o", 0, "X", 1, 100, 0)), Fill("b", "o", 0, "X", -3, 90, 0))
    assert account.position("X") == Position(-2, 90, account.position("X").stop, account.position("X").take)
    assert account.cash == -10


def test_funding_moves_cash_only() -> None:
    """A payment leaves positions alone."""
    account = Account(10.0, {"X": Position(1, 100)})
    paid = pay(account, Payment(0, "X", -12.0, 0.0001))
    assert paid.cash == -2.0
    assert paid.positions == account.positions


@pytest.mark.parametrize(
    ("leverage", "long", "short"),
    [(3, 33484.011385, 66368.010619), (10, 45203.415369, 54753.608761), (50, 49221.496735, 50771.528123)],
)
def test_liquidation_prices_are_those_of_the_definition(leverage: float, long: float, short: float) -> None:
    """Entry 50,000, one unit, maintenance 0.4 %, fee 0.05 %."""
    assert liquidation_price(Position(1, 50_000), leverage, 0.004, 0.0005) == pytest.approx(long, abs=1e-6)
    assert liquidation_price(Position(-1, 50_000), leverage, 0.004, 0.0005) == pytest.approx(short, abs=1e-6)


def test_a_long_without_leverage_is_never_liquidated() -> None:
    """Its margin is its whole worth."""
    assert liquidation_price(Position(1, 50_000), 1, 0.004, 0.0005) <= 0
    assert margin(Position(-2, 50_000), 5) == 20_000
