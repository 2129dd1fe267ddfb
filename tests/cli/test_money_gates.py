"""Where orders may go: a table of environment and overrides (faults A15, E3)."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from console import Run, one_line

from alpha_arena.core.errors import ConfigError, SafetyError
from alpha_arena.settings import load
from alpha_arena.settings.gates import (
    ACTING,
    Asked,
    Environment,
    check_host,
    gate,
    refuse_secrets,
    switch,
    without_confirmation,
)

ON, OFF = {"TRADING_ENABLED": "true"}, {"TRADING_ENABLED": "false"}
REAL = ON | {"OKX_IS_DEMO": "false"}
LIVE = "executor=okx exchange=okx confirm_live=true"

# environment, what is given with `trade`, where orders then go
ALLOWED: list[tuple[dict[str, str], str, Environment]] = [
    ({}, "", "paper"),
    (REAL, "", "paper"),
    (REAL, "exchange=okx", "paper"),
    ({}, "executor=okx", "embedded"),
    ({}, "executor=okx exchange=embedded", "embedded"),
    (REAL, "executor=okx exchange=embedded", "embedded"),
    (ON, "executor=okx exchange=okx", "demo"),
    (ON | {"OKX_IS_DEMO": "true"}, "executor=okx exchange=okx", "demo"),
    (ON | {"OKX_IS_DEMO": ""}, "executor=okx exchange=okx", "demo"),
    (REAL, LIVE, "live"),
    (REAL | {"TRADING_ENABLED": "TRUE"}, f"{LIVE} trader=ema_solo", "live"),
]

# environment, what is given with `trade`, what the line must say
REFUSED: list[tuple[dict[str, str], str, list[str]]] = [
    ({}, "executor=okx exchange=okx", ["TRADING_ENABLED=true", "exchange=embedded"]),
    (OFF, "executor=okx exchange=okx", ["TRADING_ENABLED=true"]),
    ({"TRADING_ENABLED": ""}, "executor=okx exchange=okx", ["TRADING_ENABLED=true"]),
    ({"OKX_IS_DEMO": "false"}, LIVE, ["TRADING_ENABLED=true"]),
    (REAL, "executor=okx exchange=okx", ["OKX_IS_DEMO=false", "confirm_live=true"]),
    (REAL, "executor=okx exchange=okx confirm_live=false", ["confirm_live=true"]),
    (ON, LIVE, ["contradicts OKX_IS_DEMO=true"]),
    ({"TRADING_ENABLED": "yes"}, "executor=okx exchange=okx", ["TRADING_ENABLED=yes", "true or false"]),
    (ON | {"OKX_IS_DEMO": "0"}, "executor=okx exchange=okx", ["OKX_IS_DEMO=0", "true or false"]),
    ({}, "executor=okx exchange=synthetic", ["exchange=synthetic", "exchange=embedded"]),
    ({}, "executor=okx exchange=file exchange.path=x", ["exchange=file"]),
    ({}, "executor=okx exchange=null", ["exchange=null"]),
    ({}, "executor=okx risk=none", ["risk=none is refused"]),
    (REAL, f"{LIVE} risk=none", ["risk=none is refused"]),
    ({}, "executor=okx executor.dead_man_s=5", ["executor.dead_man_s=5", "10"]),
    ({}, "executor=okx executor.expires_s=0", ["executor.expires_s=0", "> 0"]),
    ({}, "executor.kind=ftx", ["executor.kind", "ftx"]),
    ({}, "confirm_live=maybe", ["confirm_live=maybe", "true or false"]),
    ({}, "exchange=embedded exchange.market=replay", ["exchange.path"]),
    ({}, "exchange=embedded exchange.speed=2000", ["exchange.speed=2000", "<= 1000"]),
    ({}, "exchange=embedded exchange.accounts=[a,a]", ["exchange", "each once"]),
]


@pytest.mark.parametrize(("environment", "given", "place"), ALLOWED)
def test_what_is_allowed(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], given: str, place: Environment) -> None:
    """Paper and the embedded exchange are free; a demo account is switched on; real money is confirmed twice."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert load("trade", given.split()).environment == place


@pytest.mark.parametrize(("environment", "given", "named"), REFUSED)
def test_what_is_refused(
    run: Run, own_folder: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], given: str, named: list[str]
) -> None:
    """D35: exit code 2 and one sentence, before anything is read or written."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    code, out, err = run("trade", *given.split())
    assert (code, out) == (2, "")
    one_line(err, named)
    assert list(own_folder.iterdir()) == []


@pytest.mark.parametrize("command", sorted(ACTING))
def test_every_command_that_sends_orders_is_guarded(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Not `trade` alone; those that send none may be asked about an account all the same."""
    with pytest.raises(SafetyError, match="TRADING_ENABLED=true"):
        load(command, ["executor=okx", "exchange=okx", "arena=null"])
    assert load("backtest", ["executor=okx", "exchange=okx"]).environment == "demo"


@pytest.mark.parametrize("folder", ["experiment", "trader"])
def test_real_money_is_not_confirmed_by_a_file(own_folder: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    """Nor by a variable: it is typed each time."""
    for name, value in REAL.items():
        monkeypatch.setenv(name, value)
    file = own_folder / "conf" / folder / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("# @package _global_\nconfirm_live: true\n" + ("trader: {id: mine}\n" if folder == "trader" else ""))
    for command in ("trade", "backtest"):
        with pytest.raises(SafetyError, match="stands in a file"):
            load(command, [f"{folder}=mine", "executor=okx", "exchange=okx"])
    monkeypatch.setenv("CONFIRM_LIVE", "true")
    with pytest.raises(SafetyError, match="add confirm_live=true"):
        load("trade", ["executor=okx", "exchange=okx"])


def test_real_money_always_needs_three_switches() -> None:
    """Over all combinations: live only where everything says so, and never by a default."""
    for command, exchange, rules, trading, demo, confirmed, typed in product(
        sorted(ACTING), ("okx", "embedded", "synthetic", ""), *[(True, False)] * 5
    ):
        asked = Asked(command, "okx", exchange, rules, trading, demo, confirmed, ("confirm_live=true",) if typed else ())
        try:
            place = gate(asked)
        except (ConfigError, SafetyError):
            continue
        assert place in ("embedded", "demo", "live")
        if place == "live":
            assert trading
            assert confirmed
            assert typed
            assert not demo
            assert rules
            assert command != "deploy"
        if place == "demo":
            assert trading
            assert demo
        assert exchange == ("embedded" if place == "embedded" else "okx")


WORLD = "https://www.okx.com"
LOCAL = "http://127.0.0.1:8700"


@pytest.mark.parametrize(
    ("environment", "host", "key"),
    [
        ("embedded", LOCAL, "demo-1"),
        ("demo", WORLD, "a1b2"),
        ("live", "https://eea.okx.com", "a1b2"),
        ("demo", LOCAL, "demo-1"),
        ("demo", WORLD, ""),
    ],
)
def test_keys_and_hosts_that_belong_together(environment: Environment, host: str, key: str) -> None:
    check_host(environment, host, key)


@pytest.mark.parametrize(
    ("environment", "host", "key"),
    [
        ("live", LOCAL, "a1b2"),
        ("live", LOCAL, "demo-1"),
        ("live", WORLD, "demo-1"),
        ("demo", WORLD, "demo-1"),
        ("demo", LOCAL, "a1b2"),
        ("embedded", LOCAL, "a1b2"),
        ("embedded", WORLD, "demo-1"),
        ("embedded", WORLD, ""),
        ("live", "http://www.okx.com", "a1b2"),
        ("live", "https://www.okx.com.evil.example", "a1b2"),
        ("live", "https://evilokx.com", "a1b2"),
        ("demo", "https://example.org", ""),
    ],
)
def test_keys_of_one_world_never_reach_another(environment: Environment, host: str, key: str) -> None:
    with pytest.raises(SafetyError, match=r"okx\.com|the embedded exchange"):
        check_host(environment, host, key)


def test_a_switch_is_true_or_false() -> None:
    """Anything else is a mistake, not a no."""
    assert [switch({"A": text}, "A", True) for text in ("true", "FALSE", "", " true ")] == [True, False, True, True]
    assert switch({}, "A", False) is False
    with pytest.raises(ConfigError, match="A=1 in the environment"):
        switch({"A": "1"}, "A", True)


def test_what_may_be_stored() -> None:
    """Neither a confirmation nor a secret."""
    assert without_confirmation(["symbol=btc", "confirm_live=true", "++confirm_live=true", "seed=3"]) == ("symbol=btc", "seed=3")
    refuse_secrets(["symbol=btc", "database.url=sqlite:///data/a.db", "seed=3"])
    for text in ("llm.api_key=hunter2", "database.url=postgresql://me:hunter2@host/name"):
        with pytest.raises(ConfigError, match="set it in the environment") as refused:
            refuse_secrets([text])
        assert "hunter2" not in str(refused.value)
