"""What `doctor` finds, what it says to do about it, and when it says that trading would be unsafe."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from console import Run
from healthy_venue import BTC, NOW_MS, WELL, HealthyVenue

from alpha_arena.core.ports import Clock
from alpha_arena.core.venue import ExchangeOrder, ExchangePosition, Protection, TryAgain, Venue, VenueRefused
from alpha_arena.exchange.accounts import Keys
from alpha_arena.settings import Settings, load
from alpha_arena.wiring.consultation import accounts
from alpha_arena.wiring.examination import Examination
from alpha_arena.wiring.findings import FIXES, Finding
from alpha_arena.wiring.surroundings import age, disk, dotenv, reach

POSITION = ExchangePosition(
    "BTC/USDT:USDT", Decimal("0.01"), Decimal(40_000), Decimal(40_000), Decimal(3), Decimal(130), Decimal(30_000), NOW_MS
)
RESTING = ExchangeOrder("2", "", "BTC/USDT:USDT", Decimal(1), Decimal(0), None, Decimal(0), "live", "limit", False, NOW_MS, NOW_MS)
STOP = Protection("1", "p1", "BTC/USDT:USDT", Decimal("-0.01"), Decimal(38_000), None, "live")


@dataclass
class At:
    """A clock that stands."""

    ms: int = NOW_MS

    def now_ms(self) -> int:
        return self.ms


def examined(venue: Venue, at_ms: int = NOW_MS, speed: float = 1.0, private: bool = True) -> list[Finding]:
    settings = load("trade")
    return Examination("default", venue, settings.symbols, settings.decider.leverage, At(at_ms), speed, private).findings()


def wrong(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.severity, one.check) for one in findings if one.severity not in ("ok", "info")]


def test_a_healthy_account() -> None:
    found = examined(HealthyVenue())
    assert wrong(found) == []
    assert {one.check for one in found} == {
        "clock",
        "permissions",
        "position mode",
        "maintenance",
        "balance",
        "positions",
        "instrument",
        "leverage",
    }
    assert {one.trader for one in found} == {"default"}


SICK = [
    (HealthyVenue(account=replace(WELL, permissions=frozenset({"read_only", "trade", "withdraw"}))), "error", "permissions", "withdraw"),
    (HealthyVenue(account=replace(WELL, permissions=frozenset({"read_only"}))), "error", "permissions", "right to trade"),
    (HealthyVenue(account=replace(WELL, level=1)), "error", "account level", "futures mode"),
    (HealthyVenue(shut="engine upgrade until 12:00"), "warning", "maintenance", "wait"),
    (HealthyVenue(equity=Decimal(0)), "error", "balance", "transfer"),
    (HealthyVenue(held=[POSITION]), "error", "positions", "sync"),
    (HealthyVenue(held=[POSITION], protected=[replace(STOP, state="canceled")]), "error", "positions", "sync"),
    (HealthyVenue(held=[POSITION], protected=[replace(STOP, stop=None, take=Decimal(50_000))]), "error", "positions", "sync"),
    (HealthyVenue(contract=replace(BTC, lot=Decimal("0.001"))), "error", "instrument", "lot: 0.001"),
    (HealthyVenue(contract=replace(BTC, tick=Decimal("0.5"))), "error", "instrument", "tick: 0.5"),
    (HealthyVenue(contract=replace(BTC, contract_size=Decimal(1))), "error", "instrument", "contract_size: 1"),
    (HealthyVenue(contract=replace(BTC, max_leverage=Decimal(50))), "error", "instrument", "max_leverage: 50"),
    (HealthyVenue(contract=replace(BTC, state="suspend")), "error", "instrument", "another symbol"),
]


@pytest.mark.parametrize(("venue", "severity", "check", "fix"), SICK)
def test_what_is_wrong_is_found_with_its_fix(venue: HealthyVenue, severity: str, check: str, fix: str) -> None:
    """D32: stale contract rules."""
    found = examined(venue)
    assert wrong(found) == [(severity, check)]
    assert fix in next(one.fix for one in found if one.check == check and one.severity == severity)


@pytest.mark.parametrize(
    ("opened", "severity", "fix"),
    [
        ({}, "info", "none is needed: net is set"),
        ({"held": [POSITION], "protected": [STOP]}, "error", "close all positions"),
        ({"refuses": VenueRefused("only isolated, net positions are traded")}, "error", "close all positions"),
        ({"resting": [RESTING]}, "error", "cancel all orders"),
    ],
)
def test_long_short_mode_is_unsafe_where_trading_could_not_change_it(opened: dict[str, Any], severity: str, fix: str) -> None:
    """D33: `trade` sets the mode itself, which an exchange refuses while anything is open."""
    [found] = [one for one in examined(HealthyVenue(account=replace(WELL, net=False), **opened)) if one.check == "position mode"]
    assert (found.severity, fix in found.fix) == (severity, True)


def test_a_protected_position_is_well() -> None:
    assert wrong(examined(HealthyVenue(held=[POSITION], protected=[STOP]))) == []
    assert wrong(examined(HealthyVenue(held=[replace(POSITION, quantity=Decimal(0))]))) == []


@pytest.mark.parametrize(
    ("away_ms", "speed", "severity"),
    [
        (0, 1, []),
        (-4_000, 1, []),
        (6_000, 1, ["warning"]),
        (-29_000, 1, ["warning"]),
        (31_000, 1, ["error"]),
        (31_000, 60, []),
        (-1_900_000, 60, ["error"]),
    ],
)
def test_clocks_that_differ(away_ms: int, speed: float, severity: list[str]) -> None:
    """D42; the window of signatures is wall time."""
    assert [one for one, check in wrong(examined(HealthyVenue(), NOW_MS + away_ms, speed))] == severity


def raising(error: Exception) -> Callable[[], None]:
    def fault() -> None:
        raise error

    return fault


@pytest.mark.parametrize("code", [*FIXES, "50199"])
def test_keys_that_are_refused_are_asked_once(code: str) -> None:
    """A15, D34, D35: no storm of calls, and the code's own fix."""
    venue = HealthyVenue(fault=raising(VenueRefused(f"refused: {code}", code)))
    found = examined(venue)
    assert wrong(found) == [("error", "account")]
    assert venue.asked == ["config"]
    assert next(one.fix for one in found if one.severity == "error") == FIXES.get(
        code, "correct the account at the exchange and run doctor again"
    )


def test_an_exchange_that_is_out_of_reach_is_not_called_unsafe() -> None:
    found = examined(HealthyVenue(fault=raising(TryAgain("timed out"))))
    assert wrong(found) == [("unchecked", "account")]


def test_without_keys_only_what_is_public_is_asked() -> None:
    venue = HealthyVenue(contract=replace(BTC, tick=Decimal("0.5")))
    assert wrong(examined(venue, private=False)) == [("unchecked", "account"), ("error", "instrument")]
    assert venue.asked == []


def test_leverage_that_will_be_set_is_no_fault() -> None:
    found = next(one for one in examined(HealthyVenue(lever=Decimal(10))) if one.check == "leverage")
    assert (found.severity, found.symbol) == ("info", "BTC/USDT:USDT")
    assert "10 x" in found.said


def test_where_orders_would_go() -> None:
    """And why they would not."""
    okx = load("doctor", ["executor=okx", "exchange=okx"])
    assert [one.severity for one in reach(load("doctor"), {})] == ["ok"]
    assert [one.severity for one in reach(load("doctor", ["executor=okx"]), {})] == ["ok"]
    assert "TRADING_ENABLED=true" in next(reach(okx, {})).said
    assert "confirm_live=true" in next(reach(okx, {"TRADING_ENABLED": "true", "OKX_IS_DEMO": "false"})).said
    assert "demo" in next(reach(okx, {"TRADING_ENABLED": "true"})).said


def test_the_age_of_candles() -> None:
    assert [age("X", "1h", bars).severity for bars in (-0.3, 0.0, 2.0, 2.1, 50.0)] == ["ok", "ok", "ok", "error", "error"]


def test_the_disk_and_the_file_of_secrets(tmp_path: Path) -> None:
    assert [one.check for one in disk(tmp_path / "not" / "yet")] == ["disk"]
    assert list(dotenv(tmp_path)) == []
    (tmp_path / ".env").write_text("A=1")
    (tmp_path / ".env").chmod(0o644)
    assert [one.severity for one in dotenv(tmp_path)] == ["warning"]
    (tmp_path / ".env").chmod(0o600)
    assert list(dotenv(tmp_path)) == []


def told(run: Run, *arguments: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
    """Exit code, and findings by check."""
    code, out, _ = run("doctor", *arguments, "report=json")
    result = json.loads(out)
    assert (code == 0) == result["ok"]
    by_check: dict[str, list[dict[str, str]]] = {}
    for one in result["findings"]:
        by_check.setdefault(one["check"], []).append(one)
    return code, by_check


def test_on_a_fresh_machine_the_database_is_missing_and_nothing_is_made(run: Run, own_folder: Path) -> None:
    code, found = told(run)
    assert (code, found["database"][0]["severity"]) == (1, "error")
    assert "db upgrade" in found["database"][0]["fix"]
    assert list(own_folder.iterdir()) == []


def test_from_empty_to_fresh_to_stale(run: Run, own_folder: Path) -> None:
    """What could not be checked is said; candles that are too old make trading unsafe."""
    run("db", "upgrade")
    code, found = told(run)
    assert (code, found["data"][0]["severity"], found["database"][0]["severity"]) == (0, "warning", "ok")
    assert found["account"][0]["severity"] == "unchecked"
    run("ingest", "since_days=3")
    assert told(run)[1]["data"][0]["severity"] == "ok"
    with sqlite3.connect(own_folder / "arena.db") as connection:
        connection.execute("UPDATE candles SET ts = ts - 36000000")
    connection.close()
    code, found = told(run)
    assert (code, found["data"][0]["severity"]) == (1, "error")
    code, out, _ = run("doctor")
    assert code == 1
    assert "unsafe" in out
    assert "is stale" in out


def test_a_damaged_database_is_unsafe(run: Run, own_folder: Path) -> None:
    run("db", "upgrade")
    run("ingest", "since_days=3")
    file = own_folder / "arena.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    whole = bytearray(file.read_bytes())
    whole[4096 * 3 : 4096 * 60] = b"\xa5" * (4096 * 57)
    file.write_bytes(whole)
    code, found = told(run)
    assert code == 1
    assert found["database"][0]["severity"] == "error"


def test_a_set_of_keys_that_is_not_whole_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """And neither part of it is shown."""
    run("db", "upgrade")
    monkeypatch.setenv("OKX_API_KEY", "canary-1234567")
    code, found = told(run, "exchange=okx")
    assert (code, found["keys"][0]["severity"]) == (1, "error")
    assert "OKX_API_SECRET is not set" in found["keys"][0]["said"]
    assert "canary" not in str(found)


def test_an_account_that_could_not_be_looked_at_is_not_called_safe(run: Run) -> None:
    """A script that asks before it trades must not go on; a paper trader needs no account."""
    run("db", "upgrade")
    code, found = told(run, "executor=okx")
    assert (code, found["keys"][0]["severity"]) == (1, "unchecked")
    assert "alpha-arena exchange" in found["keys"][0]["said"]
    assert "it is not known whether trading would be safe" in run("doctor", "executor=okx")[1]
    code, found = told(run, "exchange=embedded")
    assert (code, found["keys"][0]["severity"]) == (0, "unchecked")


def test_what_people_have_switched_off_is_said(run: Run) -> None:
    run("db", "upgrade")
    run("pause", "reason=news")
    code, found = told(run)
    assert (code, found["switches"][0]["severity"]) == (0, "warning")
    assert "news" in found["switches"][0]["said"]


def test_keys_that_belong_elsewhere_are_said_and_never_sent(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A15, E7."""
    run("db", "upgrade")
    for name, value in (("OKX_API_KEY", "demo-canary-1"), ("OKX_API_SECRET", "canary-22"), ("OKX_PASSPHRASE", "canary-33")):
        monkeypatch.setenv(name, value)
    code, found = told(run, "exchange=okx")
    assert (code, found["keys"][0]["severity"]) == (1, "error")
    assert "embedded exchange" in found["keys"][0]["said"]
    assert "canary" not in str(found)


def test_an_account_is_opened_with_host_and_keys(own_folder: Path) -> None:
    """By whoever knows how; each trader's own."""
    opened: list[tuple[str, str, object]] = []

    def opener(settings: Settings, clock: Clock, host: str, keys: Keys | None) -> Venue:
        opened.append((settings.trader, host, keys))
        return HealthyVenue()

    settings = load("doctor", ["exchange=okx", "executor=okx", "arena=default"])
    own = {"OKX_API_KEY__PORTFOLIO": "a", "OKX_API_SECRET__PORTFOLIO": "b", "OKX_PASSPHRASE__PORTFOLIO": "c"}
    found = list(accounts(settings, At(), own, opener))
    assert [(trader, host, keys is not None) for trader, host, keys in opened] == [
        ("ema_solo", "https://www.okx.com", False),
        ("equal_weight", "https://www.okx.com", False),
        ("portfolio", "https://www.okx.com", True),
    ]
    assert [one.trader for one in found if one.severity == "ok" and one.check == "permissions"] == ["portfolio"]
    assert not [one for one in found if one.severity == "error"]
