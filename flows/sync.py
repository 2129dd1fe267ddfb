"""The flow `sync`: apply closed bars to every trader's account and mark its equity; decides nothing."""

from __future__ import annotations

from typing import Any

from flows.bodies import once
from flows.prefect_server import flow_of


def work(overrides: list[str]) -> list[dict[str, Any]]:
    """One sync; the account of each trader after it."""
    return once("sync", overrides)


sync = flow_of("sync", work, description=__doc__)
