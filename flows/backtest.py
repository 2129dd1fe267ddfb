"""The flow `backtest`: a backtest over stored candles, in a process of its own."""

from __future__ import annotations

from typing import Any

from flows.bodies import Real
from flows.prefect_server import flow_of


def work(overrides: list[str]) -> list[dict[str, Any]]:
    """One backtest; its result as result.json has it."""
    return Real().laboratory("backtest", overrides)


backtest = flow_of("backtest", work, description=__doc__)
