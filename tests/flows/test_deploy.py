"""Deployments elsewhere: what they hold, and what they must not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from alpha_arena.core.errors import ConfigError, SafetyError, SourceError
from alpha_arena.settings import load
from flows.bodies import LABORATORY, once
from flows.deploy import POOL, main, offsets_of
from flows.up import main as up


@pytest.mark.parametrize("text", ["confirm_live=true", "confirm_live=false", "++confirm_live=true"])
def test_a_confirmation_of_live_trading_is_not_stored(text: str) -> None:
    with pytest.raises(SafetyError, match="confirm live trading by hand"):
        load("deploy", ["symbol=btc", text])
    with pytest.raises(SafetyError, match="confirm live trading by hand"):
        once("trade", ["symbol=btc", text])


@pytest.mark.parametrize(
    "text", ["database.url=postgresql+psycopg://me:pa55word@host/name", "database.url=postgresql://host/name?password=pa55word"]
)
def test_a_password_is_not_stored(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by a scheduler elsewhere nor by the one of `up`; what is said does not repeat it."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    for command, start in (("deploy", main), ("up", up)):
        with pytest.raises(ConfigError, match="set it in the environment") as refused:
            start(load(command, ["symbol=btc", text]))
        assert "pa55word" not in str(refused.value)


def test_a_server_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(ConfigError, match="PREFECT_API_URL is not set"):
        main(load("deploy"))


def test_the_schedules_switches_hold_elsewhere_too() -> None:
    assert offsets_of(load("deploy", ["schedule.trade=false"])) == {
        "ingest": 1.0,
        "sync": 8.0,
        "backtest": None,
        "sweep": None,
        "walkforward": None,
    }


@pytest.mark.usefixtures("prefect_server", "collected")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_every_flow_gets_a_schedule_its_overrides_and_an_entrypoint_that_loads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.flows import load_flow_from_entrypoint
    from prefect.settings import PREFECT_API_URL

    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    overrides = (f"database.url=sqlite:///{tmp_path}/arena.db", "timeframe=4h")
    assert main(load("deploy", overrides)) == 0
    names = capsys.readouterr().out.split()

    async def stored() -> None:
        async with get_client() as client:
            for name in names:
                one = await client.read_deployment_by_name(name)
                assert one.parameters == {"overrides": list(overrides)}
                assert one.work_pool_name == POOL
                assert one.entrypoint
                assert load_flow_from_entrypoint(one.entrypoint).name == name.partition("/")[0]
                assert [s.schedule.interval.total_seconds() for s in one.schedules] == (
                    [] if name.partition("/")[0] in LABORATORY else [14_400.0]
                )

    asyncio.run(stored())
    assert [name.partition("/")[0] for name in names] == ["ingest", "trade", "sync", *LABORATORY]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_a_server_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}), pytest.raises(SourceError, match=r"127\.0\.0\.1:9/api refuses"):
        main(load("deploy"))
