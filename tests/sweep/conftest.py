"""A database of its own for each test, with candles of a generated market."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from laboratory import BTC, HOUR, ROWS, walk

from alpha_arena.data.service import DataService


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The working folder is empty; the address of the database that every command finds."""
    monkeypatch.chdir(tmp_path)
    made = f"sqlite:///{tmp_path}/arena.db"
    monkeypatch.setenv("DATABASE_URL", made)
    return made


@pytest.fixture
def service(url: str) -> Iterator[DataService]:
    """The database, with bars of an hour."""
    made = DataService(url)
    made.upgrade()
    made.write_candles("file", BTC, "1h", walk(ROWS, HOUR))
    yield made
    made.close()
