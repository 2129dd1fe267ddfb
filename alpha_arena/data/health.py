"""Whether a database can be trusted as a file."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from alpha_arena.core.errors import StoreError
from alpha_arena.data.service import DataService


def damage(service: DataService) -> str:
    """What SQLite finds wrong with its file, "" for nothing; PostgreSQL keeps its own files and is only asked whether it answers."""
    sqlite = service.database.engine.dialect.name == "sqlite"
    try:
        with service.database.read() as connection:
            rows = connection.execute(text("PRAGMA quick_check(3)" if sqlite else "SELECT 'ok'")).scalars().all()
    except (StoreError, DBAPIError) as error:
        return str(error).splitlines()[0]
    return "" if list(rows) == ["ok"] else "; ".join(map(str, rows))
