"""The database: migrate it, look into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alpha_arena.commands.shared import database
from alpha_arena.settings import DatabaseAction, Settings
from alpha_arena.settings.environment import masked_text

if TYPE_CHECKING:
    from alpha_arena.data.service import DataService

NEWEST = 20


def run(settings: Settings) -> dict[str, Any]:
    """Upgrade the schema, or browse: the tables with their row counts, or the newest rows of one.

    Raises:
        StoreError: the database cannot be written, or is not migrated.
    """
    assert isinstance(settings.action, DatabaseAction)
    return upgrade(settings) if settings.action.action == "upgrade" else browse(settings, settings.action.table)


def upgrade(settings: Settings) -> dict[str, Any]:
    """Bring the schema to its newest form; a database that has it is left alone."""
    from alpha_arena.data.service import DataService

    service = DataService(settings.database_url)
    try:
        before = revision_of(service)
        service.upgrade()
        return {"database": masked_text(settings.database_url), "before": before, "revision": revision_of(service)}
    finally:
        service.close()


def revision_of(service: DataService) -> str | None:
    """The schema's revision, None before the first."""
    from alpha_arena.data.schema import revision

    with service.database.read() as connection:
        return revision(connection)


def browse(settings: Settings, table: str | None) -> dict[str, Any]:
    """Tables and their row counts, or a table's newest rows (`limit` of them, 20 by default).

    Raises:
        UnknownName: no such table.
    """
    from alpha_arena.data import queries

    with database(settings) as service:
        if table is None:
            return {"tables": service.stats()}
        return {table: queries.browse(service, table, settings.limit or NEWEST)}
