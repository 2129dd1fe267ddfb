"""Two weeks of paper trading in a database, and the API over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shutil import copy

import pytest
from fastapi.testclient import TestClient
from fill import BTC, HOSTILE, fill

from alpha_arena.data.service import DataService
from alpha_arena.monitor.api import build_api
from alpha_arena.monitor.reader import Reader
from alpha_arena.monitor.scope import Scope

WALL_MS = 1_900_000_000_000


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with three traders; the first one's reasons are hostile text. Copy it before writing."""
    file = tmp_path_factory.mktemp("monitor") / "filled.db"
    service = DataService(f"sqlite:///{file}")
    fill(service, 12, why=HOSTILE)
    service.close()
    return file


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Iterator[DataService]:
    """A copy of the filled database that a test may write to."""
    service = DataService(f"sqlite:///{copy(filled, tmp_path / 'copy.db')}")
    yield service
    service.close()


@pytest.fixture
def reader(store: DataService) -> Reader:
    """What pages read from."""
    return Reader(store, Scope((BTC,)), lambda: WALL_MS)


@pytest.fixture
def client(reader: Reader) -> Iterator[TestClient]:
    """A caller of the API."""
    with TestClient(build_api(reader)) as made:
        yield made
