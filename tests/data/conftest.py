"""Migrated databases, SQLite's and PostgreSQL's, each test with its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from postgres_server import binaries, server
from sqlalchemy import create_engine, make_url

from alpha_arena.data.service import DataService

NUMBERS = count()


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
    """A running server whose database `migrated` is migrated; the address of `postgres`."""
    folder = binaries()
    if folder is None:
        pytest.skip("PostgreSQL is not installed (no initdb on the path or in /usr/lib/postgresql)")
    with server(folder) as url:
        copy_database(url, "migrated", "template1")
        service = DataService(str(make_url(url).set(database="migrated").render_as_string(hide_password=False)))
        service.upgrade()
        service.close()
        yield url


def copy_database(url: str, name: str, template: str) -> str:
    """Make a database of a server as a copy of another; its address."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
    engine.dispose()
    return make_url(url).set(database=name).render_as_string(hide_password=False)


@pytest.fixture
def sqlite_url(migrated_file: Path, tmp_path: Path) -> str:
    """The address of a migrated SQLite database."""
    shutil.copy(migrated_file, tmp_path / "arena.db")
    return f"sqlite:///{tmp_path / 'arena.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """The address of a migrated database of each kind."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    return copy_database(request.getfixturevalue("postgres"), f"test_{next(NUMBERS)}", "migrated")


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
