"""Migrated databases, SQLite's and PostgreSQL's, empty for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import database_of
from postgres_server import binaries, server
from sqlalchemy import create_engine, make_url

from alpha_arena.data.service import DataService


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("migrated") / "arena.db"
    service = DataService(f"sqlite:///{path}")
    service.upgrade()
    service.close()
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A running server; the address of its database `postgres`, which is not migrated."""
    folder = binaries()
    if folder is None:
        pytest.skip("PostgreSQL is not installed (no initdb on the path or in /usr/lib/postgresql)")
    with server(folder) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_migrated(postgres: str) -> str:
    """The address of a migrated database of the server."""
    engine = create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE arena")
    engine.dispose()
    url = make_url(postgres).set(database="arena").render_as_string(hide_password=False)
    service = DataService(url)
    service.upgrade()
    service.close()
    return url


@pytest.fixture
def sqlite_url(migrated_file: Path, tmp_path: Path) -> str:
    """The address of a migrated SQLite database."""
    shutil.copy(migrated_file, tmp_path / "arena.db")
    return f"sqlite:///{tmp_path / 'arena.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """The address of a migrated, empty database of each kind."""
    return database_of(request, request.param)


@pytest.fixture
def service(url: str) -> Iterator[DataService]:
    """An open DataService on each kind of database."""
    opened = DataService(url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_service(sqlite_url: str) -> Iterator[DataService]:
    """An open DataService on SQLite."""
    opened = DataService(sqlite_url)
    yield opened
    opened.close()
