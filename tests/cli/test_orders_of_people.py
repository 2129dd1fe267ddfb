"""kill, pause, close and resume by command: who is meant, what holds afterwards, what is kept of it (fault E1)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from console import Run, one_line

from alpha_arena.data.controls import Controls
from alpha_arena.data.ledger import Ledger
from alpha_arena.data.service import DataService


@pytest.fixture
def controls() -> Iterator[Controls]:
    """Of a database in which two traders have accounts."""
    service = DataService(os.environ["DATABASE_URL"])
    service.upgrade()
    for trader in ("default", "ema_solo"):
        Ledger(service, trader, "1h", "simulated").open_account(10_000.0, 0)
    yield Controls(service)
    service.close()


def told(run: Run, *arguments: str) -> dict[str, Any]:
    code, out, err = run(*arguments, "report=json")
    assert code == 0, err
    made: dict[str, Any] = json.loads(out)
    return made


def test_a_kill_is_for_everyone_until_it_is_resumed(run: Run, controls: Controls, own_folder: Path) -> None:
    """By a file as well, so that a database that is busy does not stand in its way; a second process sees it."""
    made = told(run, "kill", "policy=flatten", "reason=drill")
    assert made["trader"] == "everyone"
    assert {row["trader"]: row["killed"] for row in made["traders"]} == {"default": "flatten", "ema_solo": "flatten"}
    assert (own_folder / "KILL").read_text().startswith("flatten")
    assert controls.state("default").no_entries == "the kill switch is on (drill)"
    assert told(run, "resume")["lifted"] == "kill"
    assert controls.state("default").no_entries == ""
    assert not (own_folder / "KILL").exists()
    assert [row["action"] for row in controls.audits()] == ["resume", "kill"]


def test_a_word_to_one_trader_leaves_the_others(run: Run, controls: Controls) -> None:
    assert told(run, "kill", "trader.id=ema_solo")["trader"] == "ema_solo"
    assert (controls.state("ema_solo").killed, controls.state("default").killed) == ("hold", "")
    assert told(run, "pause", "trader=ema_solo", "reason=news")["traders"][0]["paused"] == "news"
    assert controls.state("default").no_entries == ""
    assert told(run, "resume", "trader.id=ema_solo")["lifted"].split(", ") == ["kill of ema_solo", "pause of ema_solo"]
    assert controls.state("ema_solo").no_entries == ""


def test_close_is_asked_once_and_trading_goes_on(run: Run, controls: Controls) -> None:
    assert told(run, "close", "trader.id=default")["traders"][0]["close_ms"]
    state = controls.state("default")
    assert state.close_ms
    assert state.no_entries == ""
    assert controls.state("ema_solo").close_ms is None
    assert [(row["trader"], row["action"]) for row in controls.audits()] == [("default", "close")]


@pytest.mark.parametrize("command", ["kill", "pause", "close", "resume"])
@pytest.mark.usefixtures("controls")
def test_a_trader_that_nobody_is_is_refused(run: Run, command: str) -> None:
    """A typing mistake must not pass for a switch that was thrown."""
    code, out, err = run(command, "trader.id=ema_sole")
    assert (code, out) == (2, "")
    one_line(err, ["ema_sole", "did you mean 'ema_solo'"])


@pytest.mark.parametrize(
    ("given", "named"), [("policy=liquidate", ["policy=liquidate", "hold, flatten"]), ("trader=nobody", ["nobody", "ema_solo"])]
)
def test_a_wrong_word_is_refused(run: Run, controls: Controls, given: str, named: list[str]) -> None:
    code, out, err = run("kill", given)
    assert (code, out) == (2, "")
    one_line(err, named)
    assert controls.state("default").killed == ""


def test_a_kill_holds_although_there_is_no_database(run: Run, own_folder: Path) -> None:
    """It says that it could not be recorded, and the file is there."""
    code, _, err = run("kill")
    assert code == 1
    one_line(err, ["alpha-arena db upgrade"])
    assert (own_folder / "KILL").exists()


def test_what_is_said_can_be_read(run: Run, controls: Controls) -> None:
    code, out, _ = run("pause", "reason=news")
    assert code == 0
    assert "everyone" in out
    assert "news" in out
