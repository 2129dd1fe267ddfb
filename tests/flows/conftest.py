"""One Prefect server for all tests that need its engine."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A temporary server in a process of its own, on loopback; it takes about ten seconds to start."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def collected() -> Iterator[None]:
    """Have what a test leaves behind collected within it, where its warnings are expected."""
    yield
    gc.collect()
