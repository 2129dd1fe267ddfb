"""Each engine that trades the candle tables, in turn."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from candle_tables import Case
from engines import ENGINES, Outcome


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Callable[[Case], Outcome]:
    """Kernel and loop."""
    return ENGINES[request.param]
