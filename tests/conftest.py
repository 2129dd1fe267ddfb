"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# a slow machine is no failure of a law; the same examples on every run
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
GUARD = str(Path(__file__).resolve().parent / "guard")
sys.path.append(GUARD)

import loopback_only  # noqa: E402
import turns  # noqa: E402

# processes that tests start are guarded as well
os.environ["PYTHONPATH"] = loopback_only.environment(os.environ, GUARD, os.pathsep)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> turns.Turns:
    """Called with several workers only."""
    return turns.Turns(config, log)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real candles, funding and recorded replies that lies beside the checkout; tests that need it skip without it."""
    if not SHARED.is_dir():
        pytest.skip("real market data (a folder shared/data beside the checkout) is not present")
    return SHARED


@pytest.fixture(autouse=True)
def nothing_leaves_this_machine() -> Iterator[None]:
    """A connection or a look-up beyond loopback fails, and so does the test in which something tried and swallowed the failure (E8)."""
    loopback_only.install()
    loopback_only.attempts.clear()
    yield
    tried = [*loopback_only.attempts]
    loopback_only.attempts.clear()
    assert tried == [], f"this test would have reached another machine: {tried}"
