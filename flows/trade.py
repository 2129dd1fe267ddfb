"""The flow `trade`: decide the newest closed bar for every trader of an arena, the bars that were missed first."""

from __future__ import annotations

from typing import Any

from flows.bodies import once
from flows.prefect_server import flow_of


def work(overrides: list[str]) -> list[dict[str, Any]]:
    """One trading cycle; its decisions."""
    return once("trade", overrides)


trade = flow_of("trade", work, description=__doc__)
