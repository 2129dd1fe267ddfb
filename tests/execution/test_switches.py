"""What people tell a live trader: kill switch, pause, close now, resume; each with an audit row, and across restarts."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from live_world import BTC, World, check

from alpha_arena.core.errors import ConfigError
from alpha_arena.core.types import Switches, Target
from alpha_arena.data.controls import EVERYONE, Controls
from alpha_arena.data.service import DataService
from alpha_arena.execution.reconcile import Unreconciled

LONG = Target(0.5, stop=95.0, take=120.0)
MORE = Target(0.9, stop=95.0, take=120.0)
FLAT = Target(0.0)


def world(*targets: Target) -> World:
    """A calm market, a target a bar."""
    return World([100.0, 101.0, 102.0, 103.0], dict(enumerate(targets)))


def test_a_kill_switch_that_holds_sends_nothing_and_keeps_the_protection() -> None:
    """E1, I6: neither entries nor exits; the stop stays, and is placed again where somebody took it."""
    made = world(LONG, FLAT)
    made.run(range(1))
    made.controls.kill(EVERYONE, made.clock.time, "somebody", "hold", "strange prices")
    for algo_id in list(made.venue.algos):
        made.venue.unprotect(BTC, [algo_id])
    made.run(range(1, 2))
    assert (made.quantity, made.states()) == (50.0, ["FILLED"])
    check(made)
    assert made.controls.resume(EVERYONE, made.clock.time, "somebody") == ["kill"]
    assert made.controls.state("t") == Switches()
    assert [row["action"] for row in made.controls.audits("t")] == ["resume", "kill"]


def test_a_kill_switch_that_flattens_closes_everything() -> None:
    """E1: at the next cycle or sync, once, however often it is looked at."""
    made = world(LONG, MORE)
    made.run(range(1))
    made.controls.kill("t", made.clock.time, "somebody", "flatten")
    for _ in range(3):
        made.sync()
    assert (made.quantity, made.states()) == (0.0, ["FILLED", "FILLED"])
    made.run(range(1, 2))
    assert made.states() == ["FILLED", "FILLED"]
    check(made)


def test_a_kill_switch_flattens_what_is_not_told_in_full_yet() -> None:
    """E1: fills are half a minute behind; the position goes all the same, and is booked when they come."""
    made = world(LONG)
    made.venue.lag_ms = 30_000
    made.run(range(1))
    made.controls.kill("t", made.clock.time, "somebody", "flatten")
    for _ in range(3):
        with suppress(Unreconciled):
            made.sync()
    assert made.venue.held[BTC].quantity == 0
    made.clock.time += 31_000
    made.sync()
    assert (made.quantity, made.states()) == (0.0, ["FILLED", "FILLED"])
    check(made)


def test_a_kill_switch_withdraws_what_rests() -> None:
    """A10: an order that waits is canceled; one that was faster is booked, and closed."""
    made = world(LONG)
    made.venue.rests = True
    made.run(range(1))
    made.controls.kill("t", made.clock.time, "somebody")
    made.sync()
    made.sync()
    assert (made.quantity, made.states()) == (0.0, ["CANCELLED"])
    check(made)
    made = world(LONG)
    made.venue.rests = True
    made.run(range(1))
    made.controls.kill("t", made.clock.time, "somebody", "flatten")
    made.hook = lambda name, when: made.venue.play() if (name, when) == ("cancel", "before") else None
    for _ in range(3):
        made.sync()
    assert (made.quantity, made.states()) == (0.0, ["FILLED", "FILLED"])
    check(made)


def test_a_file_is_a_kill_switch(tmp_path: Path) -> None:
    """E1: by a file alone, and by one that cannot be read."""
    service = DataService(f"sqlite:///{tmp_path / 'a.db'}")
    service.upgrade()
    controls = Controls(service)
    (tmp_path / "KILL").write_text("flatten, please", encoding="utf-8")
    assert controls.state("t").killed == "flatten"
    (tmp_path / "KILL").write_bytes(b"\xff\xfe")
    assert controls.state("anybody").killed == "hold"
    assert "KILL" in controls.state("t").no_entries
    controls.resume("t", 1, "somebody")
    assert controls.state("t").killed == "hold"
    controls.resume(EVERYONE, 2, "somebody")
    assert controls.state("t") == Switches()
    controls.kill(EVERYONE, 3, "somebody", "hold", "why not")
    assert (tmp_path / "KILL").read_text(encoding="utf-8") == "hold\nwhy not\n"
    service.close()
    again = DataService(f"sqlite:///{tmp_path / 'a.db'}")
    assert Controls(again).state("t").no_entries == "the kill switch is on (why not)"
    again.close()


def test_a_pause_refuses_entries_and_lets_exits_go() -> None:
    made = world(LONG, MORE, FLAT)
    made.run(range(1))
    made.controls.pause("t", made.clock.time, "somebody", "lunch")
    made.run(range(1, 3))
    assert (made.quantity, made.states()) == (0.0, ["FILLED", "FILLED"])
    check(made)
    assert made.controls.resume("t", made.clock.time, "somebody") == ["pause of t"]


def test_a_pause_in_mid_cycle_is_seen_where_the_order_is_committed() -> None:
    """E1: between the decision and the sending; the switch and the order meet in one transaction."""
    made = world(LONG)
    made.hook = lambda name, when: made.controls.pause("t", made.clock.time, "x") if (name, when) == ("order", "after") else None
    made.run(range(1))
    assert (made.states(), made.venue.orders) == (["LAPSED"], {})


def test_close_now_closes_once_and_the_trader_goes_on() -> None:
    made = world(LONG, LONG)
    made.run(range(1))
    made.controls.close_now("t", made.clock.time, "somebody", "out")
    made.sync()
    made.sync()
    assert (made.quantity, made.controls.state("t").close_ms) == (0.0, None)
    made.run(range(1, 2))
    assert made.quantity > 0
    assert [row["action"] for row in made.controls.audits("t")][::-1] == ["close", "close", "closed"]
    check(made)


def test_orders_for_one_are_not_for_another_and_flatten_goes_before_hold() -> None:
    controls = world().controls
    controls.pause("a", 1, "x")
    controls.kill("b", 2, "x", "flatten")
    assert (controls.state("a").paused, controls.state("b").paused) == ("by x", "")
    controls.kill(EVERYONE, 3, "x", "hold")
    assert [controls.state(name).killed for name in ("a", "b")] == ["hold", "flatten"]
    with pytest.raises(ConfigError, match="policy=melt is not allowed: it is hold or flatten"):
        controls.kill(EVERYONE, 4, "x", "melt")  # type: ignore[arg-type]
    assert sorted(controls.resume(EVERYONE, 5, "x")) == ["kill", "kill of b", "pause of a"]
    assert len(controls.audits()) == 4
