"""Live execution: orders once, fills once, positions protected, whatever the exchange loses, delays or repeats."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest
from fake_venue import nothing
from hypothesis import given, settings
from hypothesis import strategies as st
from live_world import BTC, HOUR, SKIPPED, START, World, check, emptied

from alpha_arena.core.errors import SafetyError
from alpha_arena.core.types import Order, Target
from alpha_arena.core.venue import AccountConfig, OrderRejected, OutcomeUnknown, TryAgain, VenueRefused
from alpha_arena.data import queries
from alpha_arena.data.controls import Controls
from alpha_arena.data.lease import Lease, LeaseLost
from alpha_arena.execution.live import open_account, prepare
from alpha_arena.execution.reconcile import Unreconciled

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


class Fault:
    """Raises at some of the calls of one name, before or after they are carried out."""

    def __init__(self, made: World, name: str, when: str, error: Exception, times: int = 1, skip: int = 0) -> None:
        self.name, self.when, self.error, self.times, self.skip = name, when, error, times, skip
        made.hook = self

    def __call__(self, name: str, when: str) -> None:
        if (name, when) != (self.name, self.when):
            return
        if self.skip:
            self.skip -= 1
        elif self.times:
            self.times -= 1
            raise self.error


LOST = OutcomeUnknown("no reply")


def sent(made: World) -> int:
    """How often an order was sent."""
    return made.venue.calls.count("send")


def test_an_order_whose_reply_is_lost_is_not_sent_again() -> None:
    """A2, A3, D20."""
    made = world()
    Fault(made, "send", "after", LOST)
    made.run(range(1))
    assert (sent(made), made.states()) == (1, ["FILLED"])
    name = queries.orders(made.service, "t")[0]["client_order_id"]
    assert made.life(name) == ["INTENT", "SENT", "UNKNOWN", "PARTIAL", "FILLED"]
    check(made)


def test_an_order_that_never_arrived_is_sent_again_once_it_cannot_arrive_any_more() -> None:
    """A4: the second attempt comes after the first one's expiry."""
    made = world()
    Fault(made, "send", "before", LOST)
    before = made.clock.time
    made.run(range(1))
    assert sent(made) == 2
    assert made.clock.time - before > made.pace.expires_ms + made.pace.margin_ms
    assert made.states() == ["FILLED"]
    check(made)


@pytest.mark.parametrize(("delay_ms", "arrivals"), [(1_000, 1), (4_000, 1), (60_000, 2)])
def test_an_order_that_arrives_late_is_one_order(delay_ms: int, arrivals: int) -> None:
    """A5, A6: within its expiry it is found, after it the exchange discards it; an exchange that would take a second one gets none."""
    made = world()
    made.venue.delay_ms = delay_ms

    def heal(name: str, when: str) -> None:
        made.venue.delay_ms = 0 if (name, when) == ("send", "after") or len(made.venue.late) else made.venue.delay_ms

    made.hook = heal
    made.run(range(1))
    made.clock.wait(120)
    made.sync()
    assert sent(made) == arrivals
    check(made)


def test_at_a_clock_that_stands_it_stays_unknown_and_the_next_sync_knows() -> None:
    made = world()
    Fault(made, "send", "before", LOST)
    made.clock.wait = lambda seconds: None  # type: ignore[method-assign]
    made.run(range(1))
    assert made.states() == ["UNKNOWN"]
    with pytest.raises(Unreconciled, match="may still arrive"):
        made.sync()
    assert made.ledger().stands()[0] == "UNRECONCILED"
    made.clock.time += 10_000
    made.sync()
    assert made.states() == ["FILLED"]
    check(made)


def test_an_order_that_is_resolved_only_in_the_next_bar_is_expired() -> None:
    """Its decision is no longer valid: none is sent, and the bar in hand is decided afresh."""
    made = world({0: LONG, 1: FLAT})
    Fault(made, "send", "before", LOST)
    made.clock.wait = lambda seconds: None  # type: ignore[method-assign]
    made.run(range(2))
    assert made.states() == ["EXPIRED"]
    assert (made.quantity, made.venue.orders) == (0.0, {})
    check(made)


def test_an_exchange_that_is_busy_is_asked_again_with_the_same_order() -> None:
    """A7: definitely not carried out, so it may be sent at once."""
    made = world()
    Fault(made, "send", "before", TryAgain("too many requests", "50011"), times=2)
    made.run(range(1))
    assert made.states() == ["FILLED"]
    check(made)
    made = world()
    Fault(made, "send", "before", TryAgain("too many requests", "50011"), times=100)
    made.run(range(1))
    assert (made.states(), made.venue.orders) == (["INTENT"], {})
    made.hook = nothing
    made.sync()
    assert made.states() == ["FILLED"]
    check(made)


def test_a_rejected_order_is_at_its_end() -> None:
    made = world()
    Fault(made, "send", "before", OrderRejected("insufficient margin", "51008"), times=100)
    made.run(range(2))
    assert made.states() == ["REJECTED"]
    assert "insufficient margin" in queries.orders(made.service, "t")[0]["cause"]
    check(made)


def test_three_refused_orders_in_a_row_halt() -> None:
    """E2."""
    made = world({0: LONG, 1: LONG, 2: LONG, 3: LONG})
    Fault(made, "send", "before", OrderRejected("insufficient margin", "51008"), times=100)
    made.run()
    assert made.states() == ["REJECTED", "REJECTED", "REJECTED", "LAPSED"]
    assert "refused 3 orders in a row" in made.ledger().halted()


def test_an_order_that_came_too_late_may_be_sent_again() -> None:
    """A5: 50036 is a clear answer."""
    made = world()
    Fault(made, "send", "before", OrderRejected("expired", "50036"))
    made.run(range(1))
    assert made.states() == ["FILLED"]
    check(made)


def test_refused_keys_halt() -> None:
    """A15: no storm of retries; a person is needed."""
    made = world()
    Fault(made, "send", "before", VenueRefused("key of another environment", "50101"), times=100)
    with pytest.raises(VenueRefused):
        made.run(range(1))
    assert (made.states(), made.ledger().halted()) == (["REJECTED"], "key of another environment")
    Fault(made, "balance", "before", VenueRefused("no permission", "50120"))
    with pytest.raises(VenueRefused):
        made.sync()


@pytest.mark.parametrize("name", ["positions", "balance", "fills", "bills", "open_orders", "protections"])
def test_a_call_that_fails_is_never_read_as_flat(name: str) -> None:
    """Nothing is booked or sent, the cycle is skipped, and it goes on by itself."""
    made = world({0: LONG, 1: LONG})
    made.run(range(1))
    before = repr(made.ledger().account())
    Fault(made, name, "before", TryAgain("no reply"), times=10_000)
    made.at(1)
    with pytest.raises(SKIPPED):
        made.cycle(1)
    assert repr(made.ledger().account()) == before
    assert sent(made) == 1
    assert made.ledger().stands()[0] == "UNRECONCILED"
    made.hook = nothing
    made.cycle(1)
    assert made.ledger().stands()[0] == "READY"
    check(made)


def test_fills_that_are_told_late_are_waited_for_while_the_position_is_protected() -> None:
    """A8, I5: not closed before its fills are booked, no second order meanwhile, absorbed into the bar without a second snapshot."""
    made = world({0: LONG, 1: LONG})
    made.venue.lag_ms = 30_000
    made.run(range(1))
    assert made.states() == ["PARTIAL"]
    assert (made.quantity, len(made.venue.algos)) == (0.0, 1)
    with pytest.raises(Unreconciled, match="is filled, 0"):
        made.sync()
    made.clock.time += 31_000
    made.sync()
    assert (made.quantity, made.states()) == (50.0, ["FILLED"])
    assert len(queries.equity(made.service, "t")["ts"]) == 1
    check(made)


@settings(max_examples=15)
@given(parts=st.integers(1, 50), twice=st.booleans(), lag_ms=st.sampled_from([0, 40_000]), bars=st.integers(1, 4))
def test_split_repeated_and_reordered_fills_are_booked_once(parts: int, twice: bool, lag_ms: int, bars: int) -> None:
    """A8, D25: average price exact, both books the same."""
    made = world({0: LONG, 1: SHORT, 2: Target(0.3, stop=90.0), 3: FLAT})
    made.venue.parts, made.venue.twice, made.venue.lag_ms = parts, twice, lag_ms
    for bar in range(bars):
        made.run(range(bar, bar + 1))
        for _ in range(3):
            made.clock.time += 41_000
            made.sync()
        check(made)


def test_of_a_partly_filled_order_the_filled_part_is_protected_and_the_rest_is_not_bought_again() -> None:
    """A9: the ledger has what was filled; no new order without a new decision."""
    made = world()
    made.venue.portion = Decimal("0.4")
    made.run(range(1))
    assert (made.quantity, made.states()) == (20.0, ["PARTIAL"])
    check_protected(made, 20.0)
    name = next(iter(made.venue.orders))
    made.venue.give_up(name)
    made.sync()
    assert made.states() == ["CANCELLED"]
    assert sent(made) == 1
    check(made)


def check_protected(made: World, quantity: float) -> None:
    """The only live protection is of this size."""
    live = [one.quantity for one in made.venue.algos.values() if one.state == "live"]
    assert live == [Decimal(repr(-quantity))]


def test_protection_grows_with_the_position() -> None:
    made = world()
    made.venue.portion = Decimal("0.4")
    made.run(range(1))
    made.venue.play()
    made.sync()
    assert (made.quantity, made.states()) == (50.0, ["FILLED"])
    check(made)


def test_attached_protection_that_fails_is_replaced() -> None:
    """A11, I5."""
    made = world()
    made.venue.attach_fails = True
    made.run(range(1))
    assert made.quantity == 50.0
    assert made.clock.time - START - HOUR - 2_000 < 2_000
    check(made)


def test_a_position_that_cannot_be_protected_is_closed() -> None:
    """A11: at the market, reduce-only, with an audit row."""
    made = world()
    made.venue.attach_fails, made.venue.refuses_protection = True, 10_000
    made.run(range(1))
    assert (made.quantity, made.states()) == (0.0, ["FILLED", "FILLED"])
    assert [row["action"] for row in made.controls.audits("t")] == ["close"]
    check(made)


def test_a_reply_about_protection_that_is_lost_places_no_second_one() -> None:
    made = world()
    made.venue.attach_fails = True
    Fault(made, "protect", "after", LOST)
    made.run(range(1))
    check(made)


def test_protection_taken_away_by_somebody_is_placed_again() -> None:
    made = world()
    made.run(range(1))
    for algo_id in list(made.venue.algos):
        made.venue.unprotect(BTC, [algo_id])
    made.sync()
    check(made)


def test_new_levels_are_placed_before_the_old_ones_go() -> None:
    made = world({0: LONG, 1: Target(0.5, stop=98.0, take=125.0)})
    made.run(range(1))
    made.venue.calls.clear()
    made.run(range(1, 2))
    asked = [name for name in made.venue.calls if name in ("protect", "unprotect")]
    assert asked == ["protect", "unprotect"]
    check(made)


@pytest.mark.parametrize(("price", "reason"), [("94.5", "stop"), ("121", "take")])
def test_an_exit_by_protection_is_told_apart_and_disarms(price: str, reason: str) -> None:
    """A11: the closing fill is attributed, its side disarmed, nothing is left over."""
    made = world({0: LONG, 1: LONG})
    made.run(range(1))
    made.clock.time += 60_000
    made.venue.move(BTC, price)
    made.at(1)
    made.cycle(1)
    fill = queries.fills(made.service, "t")[0]
    assert (fill["reason"], fill["quantity"], fill["ts"]) == (reason, -50.0, START + HOUR)
    position = made.ledger().account().position(BTC)
    assert (position.disarmed, position.disarmed_ts) == (1, START + HOUR)
    row = next(row for row in queries.orders(made.service, "t") if row["kind"] == reason)
    assert (row["state"], row["filled"]) == ("FILLED", -50.0)
    assert made.states() == ["FILLED", "FILLED"]
    check(made)


def test_somebody_elses_trade_is_adopted_and_halts_until_it_is_acknowledged() -> None:
    """A12, D26."""
    made = world({0: LONG, 1: LONG, 2: Target(0.8, stop=95.0, take=130.0)})
    made.run(range(1))
    made.venue.manual(BTC, "-20")
    made.run(range(1, 2))
    assert made.quantity == 30.0
    external = next(row for row in queries.orders(made.service, "t") if row["kind"] == "external")
    assert (external["state"], external["filled"]) == ("FILLED", -20.0)
    assert "was not made by this trader" in made.ledger().halted()
    assert made.ledger().stands()[0] == "HALTED"
    assert [row["action"] for row in made.controls.audits("t")] == ["external"]
    made.run(range(2, 3))
    assert made.states()[-1] == "LAPSED"
    check(made)
    made.ledger().acknowledge(made.clock.time, "somebody")
    made.sync()
    assert made.ledger().stands() == ("READY", "")


def test_a_trade_that_flips_the_position_is_booked_in_two() -> None:
    made = world()
    made.run(range(1))
    made.venue.manual(BTC, "-80")
    made.sync()
    assert made.quantity == -30.0
    assert len(queries.round_trips(made.service, "t")) == 1
    check(made, protected=False)


@pytest.mark.parametrize(("category", "kind"), [("full_liquidation", "liquidation"), ("adl", "external")])
def test_a_forced_close_is_adopted_and_halts(category: str, kind: str) -> None:
    """A12: liquidation and ADL, with what they cost; a liquidation disarms its side."""
    made = world()
    made.run(range(1))
    made.venue.price[BTC] = Decimal(70)
    made.venue.force(BTC, category)
    made.sync()
    assert made.quantity == 0
    assert "forced by the exchange" in made.ledger().halted()
    assert queries.fills(made.service, "t")[0]["reason"] == kind
    assert made.ledger().account().position(BTC).disarmed == (1 if kind == "liquidation" else 0)
    check(made)


def test_a_penalty_is_booked_once_from_its_bill() -> None:
    """A12, B5: its bill comes after the fill; until then the cash is not explained, and nothing is booked for it."""
    made = world()
    made.run(range(1))
    made.venue.force(BTC)
    late = made.venue.all_bills.pop()
    with pytest.raises(Unreconciled, match="bills explain"):
        made.sync()
    made.venue.all_bills.append(late)
    for _ in range(2):
        made.sync()
    assert queries.sums(made.service, "t")["penalty"] == -7
    assert "cash changed by -7 (penalty" in made.ledger().halted()
    check(made)


def test_a_penalty_whose_bill_comes_after_it_was_adopted_is_told_once() -> None:
    """B5: what was adopted in its place is taken back."""
    made = world()
    made.run(range(1))
    made.venue.force(BTC)
    late = made.venue.all_bills.pop()
    for _ in range(2):
        with suppress(Unreconciled):
            made.sync()
        made.clock.time += 3_600_000
    assert queries.sums(made.service, "t")["external"] == -7
    made.venue.all_bills.append(late)
    for _ in range(2):
        with suppress(Unreconciled):
            made.sync()
        made.clock.time += 3_600_000
    assert [queries.sums(made.service, "t")[kind] for kind in ("penalty", "external")] == [-7, 0]
    check(made)


def test_somebody_elses_resting_order_is_told_once_and_left_alone() -> None:
    """A12: an order with a foreign id."""
    made = world()
    name = made.venue.rest_by_hand(BTC)
    made.sync()
    assert "rests that is not this trader's" in made.ledger().halted()
    made.ledger().acknowledge(made.clock.time, "somebody")
    made.sync()
    assert (made.ledger().halted(), made.ledger().open_orders()) == ("", [])
    made.controls.kill("t", made.clock.time, "somebody", "flatten")
    made.sync()
    assert made.venue.orders[name].state == "live"
    made.venue.execute(name)
    made.sync()
    assert made.quantity == 0
    assert "was not made by this trader" in made.ledger().halted()


def test_money_that_is_moved_is_told() -> None:
    made = world()
    made.venue.bill("transfer", "", Decimal(-500))
    made.sync()
    assert made.ledger().account().cash == 9_500
    assert "cash changed by -500 (transfer)" in made.ledger().halted()
    check(made)


def test_funding_is_booked_once_from_its_bill() -> None:
    """B5, D25."""
    made = world()
    made.run(range(1))
    made.clock.time += 60_000
    made.venue.fund(BTC, "-1.25")
    for _ in range(3):
        made.sync()
    assert queries.sums(made.service, "t")["funding"] == -1.25
    assert made.ledger().halted() == ""
    check(made)


def test_a_position_that_nothing_explains_is_adopted_after_a_while() -> None:
    """I11: its fill is never told: first the cycle is skipped, then it is taken for somebody else's and trading halts."""
    made = world()
    made.run(range(1))
    made.venue.manual(BTC, "7")
    last = made.venue.all_fills.pop()
    made.venue.all_bills = [bill for bill in made.venue.all_bills if bill.bill_id != last.bill_id]
    with pytest.raises(Unreconciled, match=r"the exchange has 57.0, its fills explain 50.0"):
        made.sync()
    assert (made.quantity, made.ledger().stands()[0]) == (50.0, "DIFFERS")
    made.clock.time += 61_000
    made.sync()
    assert (made.quantity, made.ledger().stands()[0]) == (57.0, "HALTED")
    assert made.ledger().account().cash == pytest.approx(float(made.venue.cash))
    check_protected(made, 57.0)


def test_an_exit_that_is_not_known_holds_the_entry_back() -> None:
    """A flip's entry leg is sent only once its exit leg is known, then within the same bar."""
    made = world({0: LONG, 1: SHORT})
    made.run(range(1))
    Fault(made, "send", "before", LOST)
    made.clock.wait = lambda seconds: None  # type: ignore[method-assign]
    made.run(range(1, 2))
    assert made.states() == ["FILLED", "UNKNOWN", "INTENT"]
    made.clock.time += 10_000
    made.sync()
    assert made.states() == ["FILLED", "FILLED", "FILLED"]
    assert made.quantity < 0
    check(made)


def test_an_entry_lapses_where_its_exit_was_rejected() -> None:
    made = world({0: LONG, 1: SHORT})
    made.run(range(1))
    Fault(made, "send", "before", OrderRejected("no", "51000"))
    made.run(range(1, 2))
    assert made.states() == ["FILLED", "REJECTED", "LAPSED"]
    check(made)


def test_orders_that_wait_for_the_next_open_are_both_sent() -> None:
    """Profile spec: an exit that rests is known; both fill at the next open."""
    made = world({0: LONG, 1: SHORT})
    made.venue.rests = True
    for bar in range(3):
        made.run(range(bar, bar + 1))
        assert made.ledger().stands()[0] == "READY"
        made.venue.play()
    made.sync()
    assert made.states()[:3] == ["FILLED"] * 3
    check(made)


def test_without_the_lease_nothing_is_sent() -> None:
    """C1, D27: the lease has passed on after the intent: the order is not sent, and the new holder sends it once."""
    made = world()
    lease = Lease(made.service, "trader:t", 600.0)
    lease.acquire()
    executor = made.boot()
    executor.recover()
    executor.ledger.lease = lease
    made.hook = lambda name, when: setattr(lease, "token", 99) if (name, when) == ("order", "before") else None
    executor.ledger.intend_order(Order("o1", BTC, 1.0), made.clock.time, "by hand")
    with pytest.raises(LeaseLost):
        executor.submit(Order("o1", BTC, 1.0))
    assert sent(made) == 0


def test_an_order_without_an_intent_is_refused() -> None:
    executor = world().boot()
    with pytest.raises(Exception, match="was not committed before"):
        executor.submit(Order("o1", BTC, 1.0))


def test_an_order_that_the_ledger_lost_is_found_again() -> None:
    """C6, I2: a restored copy of the database decides the bar again with the same name, and finds its order filled."""
    made = world()
    made.run(range(1))
    for name in ("decisions", "orders", "order_lifecycle_events", "trades", "sent_orders", "protections", "positions", "equity_snapshots"):
        with made.service.database.write() as connection:
            connection.exec_driver_sql(f"DELETE FROM {name}")
    with made.service.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM bills WHERE kind != 'deposit'")
        connection.exec_driver_sql("UPDATE balances SET cash = '10000', equity = '10000'")
    made.sync()
    assert (made.quantity, made.states(), made.ledger().halted()) == (50.0, ["FILLED"], "")
    assert sent(made) == 1


def test_what_was_before_the_account_was_opened_is_in_its_first_cash() -> None:
    """A position that is already there is nobody's of ours: after a while it is adopted, and trading halts until it is acknowledged."""
    made = world({})
    made.service = emptied()
    made.controls = Controls(made.service)
    made.venue.manual(BTC, "3")
    made.clock.time += 1_000
    open_account(made.ledger(), made.venue)
    assert made.ledger().account().cash == float(made.venue.cash)
    with pytest.raises(Unreconciled, match=r"the exchange has 3.0, its fills explain 0.0"):
        made.sync()
    made.clock.time += 61_000
    made.sync()
    assert (made.quantity, made.ledger().stands()[0]) == (3.0, "HALTED")
    assert made.ledger().account().cash == float(made.venue.cash)


def test_an_account_whose_cash_does_not_stand_still_is_not_opened() -> None:
    made = world({})
    made.service = emptied()
    made.hook = lambda name, when: made.venue.bill("transfer", "", Decimal(1)) and None if (name, when) == ("bills", "after") else None
    made.boot()
    with pytest.raises(Unreconciled, match="changes while it is opened"):
        open_account(made.ledger(), made.venue)
    assert made.ledger().opened_ms() == 0


def test_an_account_is_prepared() -> None:
    made = world()
    made.venue.net = False
    prepare(made.venue, {BTC: 5.0})
    assert made.venue.net
    assert made.venue.levers == {BTC: Decimal("5.0")}


@pytest.mark.parametrize(
    ("permissions", "level", "what"),
    [
        ({"read_only", "trade", "withdraw"}, 2, "make keys that trade and do not withdraw"),
        ({"read_only"}, 2, "make keys"),
        ({"trade"}, 1, "no swaps"),
    ],
)
def test_an_account_that_is_not_as_it_must_be_is_refused(permissions: set[str], level: int, what: str) -> None:
    """A15: before anything is sent."""
    made = world()
    made.venue.config = lambda: AccountConfig("1", True, level, frozenset(permissions))  # type: ignore[method-assign]
    with pytest.raises(SafetyError, match=what):
        prepare(made.venue, {BTC: 5.0})
    assert made.venue.levers == {}


@pytest.mark.parametrize(("silent_ms", "ended"), [(60_000, "FILLED"), (60_001, "LAPSED")])
def test_in_a_market_that_has_fallen_silent_exits_go_and_entries_do_not(silent_ms: int, ended: str) -> None:
    """B4: the age of the mark price decides, by the exchange's own clock; with the next decision it is over."""
    made = world({0: LONG, 1: SHORT, 2: FLAT, 3: LONG})
    made.run(range(1))
    made.venue.silent_ms = silent_ms
    made.run(range(1, 2))
    assert made.states() == ["FILLED", "FILLED", ended]
    causes = [row["cause"] for row in queries.order_events(made.service, queries.orders(made.service, "t")[0]["client_order_id"])]
    assert ("not sent: STALE: the mark price is 60 s old" in causes) == (ended == "LAPSED")
    made.venue.silent_ms = 0
    made.run(range(2, 4))
    assert made.quantity > 0
    check(made)
