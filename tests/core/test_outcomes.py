"""What came of decisions: spans that leave nothing out, and who of the strategies earned it."""

from __future__ import annotations

from math import fsum, isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.core.accounting import book, pay
from alpha_arena.core.outcomes import Outcome, Outcomes, parts_of
from alpha_arena.core.records import Decision, RegimeContext
from alpha_arena.core.types import Account, Fill, Order, Payment, Share, Target

HOUR = 3_600_000
CAPITAL = 10_000.0
SYMBOLS = ("A", "B")


def decision(bar: int, symbol: str = "A", exposure: float = 1.0, regime: str = "RANGE", equity: float = CAPITAL) -> Decision:
    """Made at a bar's close, of one strategy."""
    target = Target(exposure, shares=(Share("ema_trend", 1.0, exposure),))
    return Decision("t", symbol, "1h", bar * HOUR, (bar + 1) * HOUR, "llm", target, target, (), RegimeContext(regime), equity, 100.0)


def signal(bar: int, quantity: float, price: float, symbol: str = "A", of: int | None = None, fee: float = 1.0, n: int = 0) -> Fill:
    """A fill in a bar of the order that was decided at the close before it, or at that of bar `of`."""
    made = bar - 1 if of is None else of
    return Fill(f"{symbol}{bar}.{n}", f"{symbol}{made}", bar * HOUR, symbol, quantity, price, fee)


def exit_(bar: int, quantity: float, price: float, reason: str = "stop") -> Fill:
    """A protective exit."""
    return Fill(f"s{bar}", f"s{bar}", bar * HOUR, "A", quantity, price, 2.0, reason)


def followed(*happened: Decision | Fill | Payment) -> Outcomes:
    """Everything in its order; each decision sends an order."""
    made = Outcomes()
    for one in happened:
        if isinstance(one, Decision):
            made.decided([one], [Order(f"{one.symbol}{one.bar_ts // HOUR}", one.symbol, 1.0)])
        else:
            made.happened(one)
    return made


def told(one: Outcome) -> tuple[int, int, int | None, int, str, float, float, float]:
    """What a table of expected outcomes gives, times in bars."""
    closed = one.closed_ts // HOUR if one.closed_ts is not None else None
    return one.bar_ts // HOUR, one.opened_ts // HOUR, closed, one.horizon_bars, one.ended_by, one.pnl, one.fees, one.funding


def test_from_its_fill_to_the_next_decisions_fill() -> None:
    """The next fill's fee is the next one's; a decision without a fill belongs to the one before it; going flat costs its fee."""
    made = followed(
        decision(0),
        signal(1, 2.0, 100.0),
        decision(1),
        Payment(2 * HOUR, "A", -3.0, 0.0001),
        decision(3, exposure=0.0, equity=9_000.0),
        signal(4, -2.0, 110.0),
        decision(6),
        signal(7, 1.0, 90.0),
    )
    assert [told(one) for one in made.closed] == [(0, 1, 5, 3, "decision", 16.0, 1.0, 3.0), (3, 4, 8, 3, "decision", -1.0, 1.0, 0.0)]
    assert [one.return_ for one in made.closed] == [16 / 10_000, -1 / 9_000]
    assert made.running["A"].marked(1.0, 95.0).pnl == 4.0


@pytest.mark.parametrize("reason", ["stop", "take", "liquidation", "external"])
def test_an_exit_ends_it_and_pays_its_own_fee(reason: str) -> None:
    """Known at the close of its bar; what is paid after it belongs to no decision."""
    late = Payment(3 * HOUR, "A", -5.0, 0.0001)
    made = followed(decision(0), signal(1, 2.0, 100.0), exit_(2, -2.0, 95.0, reason), late, signal(3, 0.5, 96.0, of=0, n=1))
    assert [told(one) for one in made.closed] == [(0, 1, 3, 1, reason, -13.0, 3.0, 0.0)]
    assert made.running == {}


def test_what_people_close_is_ended_by_them() -> None:
    """Their order is of no decision, whatever the exchange calls its fill; one that leaves a part ends nothing."""
    people = [Fill(f"p{n}", "close-now", bar * HOUR, "A", -1.0, 95.0, 2.0) for n, bar in enumerate((2, 3))]
    made = followed(decision(0), signal(1, 2.0, 100.0), *people)
    assert [told(one)[:6] for one in made.closed] == [(0, 1, 4, 2, "external", -15.0)]
    assert made.running == {}


def test_an_exit_of_a_part_ends_nothing() -> None:
    made = followed(decision(0), signal(1, 2.0, 100.0), exit_(2, -1.0, 95.0))
    assert (made.closed, made.running["A"].pnl) == ([], -13.0)


def test_fills_of_one_decision_are_one_outcome_even_where_a_later_one_has_come_first() -> None:
    """An exit and an entry of a turn; parts of an order; a part that comes late."""
    turn = [decision(0), signal(1, 2.0, 100.0), decision(1), signal(2, -2.0, 101.0), signal(2, -1.0, 101.0, n=1)]
    made = followed(*turn, signal(3, 0.25, 99.0, of=0))
    assert [told(one)[:6] for one in made.closed] == [(0, 1, 3, 1, "decision", 1.0)]
    assert made.running["A"].pnl == pytest.approx(2.0 - 3.0)


def test_an_order_that_fills_after_the_next_ones_stop_opens_its_own() -> None:
    """Its decision has had no outcome, and what it holds is its doing."""
    made = followed(decision(0), decision(1), signal(2, 1.0, 100.0), exit_(3, -1.0, 95.0), signal(4, 2.0, 96.0, of=0))
    assert [told(one)[0] for one in made.closed] == [1]
    assert made.running["A"].bar_ts == 0


def test_without_equity_there_is_no_return() -> None:
    made = followed(decision(0, equity=0.0), signal(1, 1.0, 100.0), decision(1), signal(2, 1.0, 100.0))
    assert isnan(made.closed[0].return_)


STEP = st.tuples(
    st.sampled_from(SYMBOLS),
    st.sampled_from(["decide", "hold", "stop", "fund"]),
    st.floats(50, 150),
    st.integers(-30, 30),
    st.floats(0, 3),
)


@given(st.lists(STEP, max_size=40))
def test_outcomes_and_what_runs_are_the_change_of_equity(steps: list[tuple[str, str, float, int, float]]) -> None:
    """Each symbol for itself, costs in; nothing is left out, nothing counts twice."""
    account, made, prices = Account(CAPITAL), Outcomes(), dict.fromkeys(SYMBOLS, 100.0)
    for bar, (symbol, what, price, wanted, cost) in enumerate(steps, 1):
        held = account.position(symbol).quantity
        events: list[Fill | Payment] = []
        if what == "decide":
            made.decided([decision(bar - 1, symbol)], [Order(f"{symbol}{bar - 1}", symbol, 1.0)])
            events = [signal(bar, wanted / 10 - held, price, symbol, fee=cost)] if wanted / 10 != held else []
        elif what == "hold":
            made.decided([decision(bar - 1, symbol)], [])
        elif held and what == "stop":
            events = [Fill(f"s{bar}", f"s{bar}", bar * HOUR, symbol, -held, price, cost, "stop")]
        elif held:
            events = [Payment(bar * HOUR, symbol, cost - 1.5, 0.0001)]
        for event in events:
            account = pay(account, event) if isinstance(event, Payment) else book(account, event)
            made.happened(event)
        prices[symbol] = price
    running = [one.marked(made.held[symbol], prices[symbol]).pnl for symbol, one in made.running.items()]
    change = account.equity(prices) - CAPITAL
    assert fsum([*(one.pnl for one in made.closed), *running]) == pytest.approx(change, abs=1e-6)
    assert all(one.opened_ts <= (one.closed_ts or 0) and one.horizon_bars >= 0 for one in made.closed)
    assert [one.closed_ts for one in made.closed] == sorted(one.closed_ts or 0 for one in made.closed)


@pytest.mark.parametrize(
    ("shares", "exposure", "parts"),
    [
        ([("a", 0.6, 0.3), ("b", 0.4, 0.2)], 0.5, [0.6, 0.4]),
        ([("a", 0.6, 0.6), ("b", 0.4, -0.3)], 0.24, [1.5, -0.5]),
        ([("a", 0.5, 0.6), ("b", 0.5, 0.0)], 0.3, [1.0, 0.0]),
        ([("a", 0.5, 0.6), ("b", 0.5, -0.59)], 0.005, [0.5, 0.5]),
        ([("a", 0.75, 0.0), ("b", 0.25, 0.0)], 0.0, [0.75, 0.25]),
        ([("a", 1.0, 2.0)], 1.0, [1.0]),
        ([], 0.5, []),
    ],
    ids=["a model's own size", "one against the other", "one that is idle", "they cancel out", "flat", "clipped", "nobody"],
)
def test_parts_are_what_each_strategy_added(shares: list[tuple[str, float, float]], exposure: float, parts: list[float]) -> None:
    found = parts_of(Target(exposure, shares=tuple(Share(*one) for one in shares)))
    assert [name for name, _ in found] == [name for name, *_ in shares]
    assert [part for _, part in found] == pytest.approx(parts)
