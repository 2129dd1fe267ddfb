"""Live execution: orders once, fills once, positions protected, whatever the exchange loses, delays or repeats."""

from __future__ import annotations

from live_world import BTC, HOUR, START, World, check

from alpha_arena.core.types import Target
from alpha_arena.data import queries

LONG = Target(0.5, stop=95.0, take=120.0)
SHORT = Target(-0.5, stop=115.0, take=80.0)
FLAT = Target(0.0)


def world(script: dict[int, Target] | None = None, closes: list[float] | None = None) -> World:
    """A calm market in which somebody goes long at the first close."""
    return World(closes or [100.0, 101.0, 102.0, 103.0], script if script is not None else {0: LONG})


def test_an_entry_is_filled_booked_and_protected() -> None:
    """D20, D25: the intent is committed, the order sent once, the fill booked once, the protection read back."""
    made = world()
    made.run(range(1))
    assert made.quantity == 50.0
    assert made.states() == ["FILLED"]
    position = made.ledger().account().position(BTC)
    assert (position.entry, position.stop, position.take) == (100.0, 95.0, 120.0)
    assert made.ledger().stands() == ("READY", "")
    name = queries.orders(made.service, "t")[0]["client_order_id"]
    assert made.life(name) == ["INTENT", "SENT", "WORKING", "PARTIAL", "FILLED"]
    assert queries.fills(made.service, "t")[0]["ts"] == START + HOUR
    check(made)


def test_a_whole_life_long_tighter_short_flat() -> None:
    """A flip is an exit and an entry; levels follow the decisions; what is flat has no protection left."""
    made = world({0: LONG, 1: Target(0.5, stop=97.0, take=118.0), 2: SHORT, 3: FLAT})
    for bar, side in enumerate((1, 1, -1, 0)):
        made.run(range(bar, bar + 1))
        assert np_sign(made.quantity) == side
        check(made)
    assert made.states() == ["FILLED"] * 4
    assert made.ledger().open_orders() == []


def np_sign(value: float) -> int:
    """Of a number."""
    return (value > 0) - (value < 0)
