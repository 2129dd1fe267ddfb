"""The schema's revisions, and how a database is brought to the newest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect

from alpha_arena.core.errors import StoreError

MIGRATIONS = Path(__file__).parent / "migrations"
HISTORY = ("0001", "0002", "0003", "0004", "0005", "0006")
HEAD = HISTORY[-1]


def alembic_config(connection: Connection | None = None) -> Any:
    """Alembic's view of the migrations in this package, working on a connection that is open already."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def revision(connection: Connection) -> str | None:
    """The revision of a stored schema, None where there is none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def refuse_newer(found: str | None, name: str) -> None:
    """Refuse a revision that this program does not know.

    Raises:
        StoreError: it is not in HISTORY.
    """
    if found is not None and found not in HISTORY:
        raise StoreError(f"the database {name} is of schema {found}, newer than {HEAD} of this program; update alpha-arena")


def check(connection: Connection, name: str) -> None:
    """Refuse a schema that is not this program's.

    Raises:
        StoreError: it is newer, older, or there is none; the message names the command that helps.
    """
    found = revision(connection)
    refuse_newer(found, name)
    if found != HEAD:
        what = "is not migrated" if found is None else f"is of schema {found}, this program needs {HEAD}"
        raise StoreError(f"the database {name} {what}; run alpha-arena db upgrade")


def upgrade(connection: Connection, name: str) -> None:
    """Bring the schema to HEAD within the connection's transaction; nothing happens where it is there.

    Raises:
        StoreError: it is newer than this program.
    """
    found = revision(connection)
    refuse_newer(found, name)
    if found == HEAD:
        return
    from alembic import command

    command.upgrade(alembic_config(connection), HEAD)
