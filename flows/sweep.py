"""The flow `sweep`: a search over parameters, in a process of its own."""

from __future__ import annotations

from typing import Any

from flows.bodies import Real
from flows.prefect_server import flow_of


def work(overrides: list[str]) -> list[dict[str, Any]]:
    """One search; its result as result.json has it."""
    return Real().laboratory("sweep", overrides)


sweep = flow_of("sweep", work, description=__doc__)
