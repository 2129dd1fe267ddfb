"""A database for each test, by its kind."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine

from alpha_arena.data import schema
from alpha_arena.data.tables import METADATA


def emptied(url: str) -> str:
    """A server's migrated database without rows, as after `db upgrade`; its address."""
    engine = create_engine(url)
    with engine.begin() as connection:
        for name in METADATA.tables:
            connection.exec_driver_sql(f"DELETE FROM {name}")
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{schema.HEAD}'")
    engine.dispose()
    return url


def database_of(request: pytest.FixtureRequest, kind: str) -> str:
    """The address of a migrated, empty database, "sqlite" or "postgresql"."""
    if kind == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    return emptied(request.getfixturevalue("postgres_migrated"))
