"""The database: migrate it, look into it, hand on what models answered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpha_arena.commands.shared import database
from alpha_arena.core.errors import ConfigError
from alpha_arena.settings import DatabaseAction, Settings
from alpha_arena.settings.environment import masked_text

if TYPE_CHECKING:
    from alpha_arena.data.service import DataService

NEWEST = 20


def run(settings: Settings) -> dict[str, Any]:
    """Upgrade the schema; browse: the tables with their row counts, or the newest rows of one; write or read a file of answers.

    Raises:
        StoreError: the database cannot be written, or is not migrated. ConfigError: no file is named, or it is not one of answers.
    """
    action = settings.action
    assert isinstance(action, DatabaseAction)
    if action.action == "upgrade":
        return upgrade(settings)
    return browse(settings, action.table) if action.action == "browse" else hand_on(settings, action)


def hand_on(settings: Settings, action: DatabaseAction) -> dict[str, Any]:
    """Write all answers to a file, or take in those of one.

    Raises:
        ConfigError: no file is named, or it cannot be used.
    """
    from alpha_arena.wiring.handing_on import export_answers, import_answers

    if not action.file:
        raise ConfigError(f"db {action.action} needs a file: db.file=answers.jsonl")
    acts = {"export_answers": export_answers, "import_answers": import_answers}
    with database(settings) as service:
        return {"file": action.file, **acts[action.action](service, Path(action.file).expanduser())}


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
