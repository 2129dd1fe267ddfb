"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# a slow machine is no failure of a law; the same examples on every run
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real candles, funding and recorded replies that lies beside the checkout; tests that need it skip without it."""
    if not SHARED.is_dir():
        pytest.skip("real market data (a folder shared/data beside the checkout) is not present")
    return SHARED
