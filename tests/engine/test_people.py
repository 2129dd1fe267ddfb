"""What people tell a paper trader: the same words as to a live one, obeyed by the same loop."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_desk import BTC, at, market, service, trader

from alpha_arena.core.types import Switches, Target
from alpha_arena.data.controls import EVERYONE, Controls
from alpha_arena.data.ledger import Ledger
from alpha_arena.data.queries import decisions
from alpha_arena.data.service import DataService
from alpha_arena.wiring import decide, sync, trade_cycle

__all__ = ["market", "service"]

FIRST, LAST = 76, 80


def held(service: DataService) -> float:
    return Ledger(service, "t", "1h", "simulated").account().position(BTC).quantity


def go(service: DataService, *bars: int) -> list[list[dict]]:  # type: ignore[type-arg]
    """A cycle at each close; the orders of each."""
    return [[order for row in trade_cycle(trader(), at(bar), service) for order in row["orders"]] for bar in bars]


@pytest.fixture
def holding(service: DataService) -> DataService:
    """A trader with a position after bar LAST."""
    go(service, *range(FIRST, LAST + 1))
    assert held(service)
    return service


def after(bar: int) -> int:
    return at(bar).now_ms() + 60_000


def test_a_kill_switch_that_holds_leaves_the_position_as_it_is(holding: DataService) -> None:
    """E1: nothing is opened, changed or closed by a decision, whatever the strategy wants; only its protection acts."""
    before, controls = held(holding), Controls(holding)
    controls.kill(EVERYONE, after(LAST), "somebody", "hold", "strange prices")
    assert go(holding, *range(LAST + 1, LAST + 4)) == [[], [], []]
    assert held(holding) == before
    told = [row for row in decisions(holding, "t", limit=3) if row["refusals"]]
    assert told
    assert {(r["rule"], r["reason"]) for row in told for r in row["refusals"]} == {("people", "the kill switch is on (strange prices)")}
    controls.resume(EVERYONE, after(LAST + 3), "somebody")
    assert any(go(holding, *range(LAST + 4, 90)))


@pytest.mark.parametrize("word", ["flatten", "close"])
def test_told_to_close_it_closes_at_the_next_open(holding: DataService, word: str) -> None:
    """E1: a kill switch stays until it is lifted; close now is done once, and the trader goes on."""
    controls = Controls(holding)
    if word == "close":
        controls.close_now("t", after(LAST), "somebody")
    else:
        controls.kill("t", after(LAST), "somebody", "flatten")
    (exits,) = go(holding, LAST + 1)
    assert [order["reduce_only"] for order in exits] == [True]
    sync(trader("schedule.trade=false"), at(LAST + 2), holding)
    assert held(holding) == 0
    traded = any(go(holding, *range(LAST + 2, 90)))
    assert traded == (word == "close")
    assert controls.state("t").close_ms is None
    assert [row["action"] for row in controls.audits("t")] == (["closed", "close"] if word == "close" else ["kill"])


def test_a_pause_lets_exits_go(service: DataService) -> None:
    """No entry for as long as it lasts; after it the trader trades."""
    Controls(service).pause("t", 0, "somebody", "news")
    assert not any(go(service, *range(FIRST, 82)))
    assert decide(trader(), at(82), service)["exposure"] == 0
    Controls(service).resume("t", after(82), "somebody")
    assert any(go(service, *range(83, 90)))


def test_a_file_stops_a_paper_trader(service: DataService, tmp_path: Path) -> None:
    """E1: without the database."""
    (tmp_path / "KILL").write_text("")
    assert not any(go(service, *range(FIRST, 82)))


def test_what_is_caught_up_with_is_decided_as_people_wanted_it_then(holding: DataService) -> None:
    """A word said during an outage holds from when it was said; what was asked to be closed is not taken for closed by an earlier bar."""
    Controls(holding).kill("t", after(LAST + 4), "somebody", "flatten")
    go(holding, LAST + 8)
    rows = {row["bar_ts"]: row for row in decisions(holding, "t", limit=8)}
    refused = [bool(row["refusals"]) for _, row in sorted(rows.items())]
    assert not any(refused[:4])
    assert held(holding) == 0


def test_the_words_of_people_come_after_every_rule() -> None:
    """Flatten goes before hold, a switch that is off changes nothing."""
    from types import SimpleNamespace
    from typing import Any

    from alpha_arena.risk.switches import obey

    def view(told: Switches, quantity: float = 1.0) -> Any:
        account = SimpleNamespace(positions={BTC: SimpleNamespace(quantity=quantity)})
        return SimpleNamespace(now_ms=10, risk=SimpleNamespace(told=told), account=account, exposure=lambda _: 0.4 * quantity)

    long = Target(0.8, 95.0, 120.0)
    assert obey(long, BTC, view(Switches())) is long
    assert obey(long, BTC, view(Switches("hold", killed_ms=11))) is long
    assert obey(Target(-0.8), BTC, view(Switches("hold"))).exposure == 0.4
    assert obey(long, BTC, view(Switches("flatten", close_ms=3))).exposure == 0
    assert obey(long, BTC, view(Switches(close_ms=3), quantity=0.0)) is long
    assert obey(long, BTC, view(Switches(paused="x"))).exposure == 0.4
    assert obey(Target(0.1), BTC, view(Switches(paused="x"))).exposure == 0.1
