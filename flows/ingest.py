"""The flow `ingest`: store the candles and funding that have closed since the last time."""

from __future__ import annotations

from typing import Any

from flows.bodies import once
from flows.prefect_server import flow_of


def work(overrides: list[str]) -> list[dict[str, Any]]:
    """One import; a report for each series."""
    return once("ingest", overrides)


ingest = flow_of("ingest", work, description=__doc__)
