"""Registers the flows with schedules in a work pool of a Prefect server elsewhere, at PREFECT_API_URL."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta

from alpha_arena.core.errors import ConfigError, SourceError
from alpha_arena.core.timeframes import timeframe_ms
from alpha_arena.settings import Settings
from alpha_arena.settings.gates import refuse_secrets
from flows.bodies import LABORATORY

POOL = "alpha-arena"


def main(settings: Settings) -> int:
    """Register ingest, trade and sync each bar, and the laboratory's commands on request; 0 when the server has them.

    Raises:
        ConfigError: PREFECT_API_URL is not set, or an override holds a password or key.
        SourceError: the server does not answer.
    """
    refuse_secrets(settings.overrides)
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        raise ConfigError("PREFECT_API_URL is not set; give the API of the Prefect server to deploy to, such as http://127.0.0.1:4200/api")
    names = asyncio.run(_register(settings, url))
    sys.stdout.write("".join(f"{name}\n" for name in names))
    return 0


def offsets_of(settings: Settings) -> dict[str, float | None]:
    """Wall seconds after a close at which each flow is due; None for those on request."""
    schedule = settings.schedule
    return {
        "ingest": schedule.ingest_offset_s,
        **({"trade": schedule.trade_offset_s} if schedule.trade else {}),
        **({"sync": schedule.sync_offset_s} if schedule.sync else {}),
        **dict.fromkeys(LABORATORY),
    }


async def _register(settings: Settings, url: str) -> list[str]:
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound

    try:
        async with get_client() as client:
            try:
                await client.read_work_pool(POOL)
            except ObjectNotFound:
                await client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        return [await _deploy(name, offset_s, settings) for name, offset_s in offsets_of(settings).items()]
    except httpx.HTTPError as error:
        raise SourceError(f"the Prefect server at {url} refuses ({error}); start it, or correct PREFECT_API_URL") from error


async def _deploy(name: str, offset_s: float | None, settings: Settings) -> str:
    from importlib import import_module

    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.schedules import Interval

    flow = getattr(import_module(f"flows.{name}"), name)
    schedules = []
    if offset_s is not None:
        every = timedelta(milliseconds=timeframe_ms(settings.timeframe))
        schedules = [Interval(every, anchor_date=datetime.fromtimestamp(offset_s, UTC))]
    deployment = await flow.ato_deployment(
        name=settings.trader,
        schedules=schedules,
        parameters={"overrides": list(settings.overrides)},
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        work_pool_name=POOL,
    )
    # where a worker finds it: the installed package, not a file of this machine
    deployment.entrypoint = f"flows.{name}.{name}"
    await deployment.aapply()
    return str(deployment.full_name)
