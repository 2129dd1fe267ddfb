"""The flow `walkforward`: parameters chosen on the past and judged on what follows, in a process of its own."""

from __future__ import annotations

from typing import Any

from flows.bodies import Real
from flows.prefect_server import flow_of


def work(overrides: list[str]) -> list[dict[str, Any]]:
    """One walk-forward; its result as result.json has it."""
    return Real().laboratory("walkforward", overrides)


walkforward = flow_of("walkforward", work, description=__doc__)
