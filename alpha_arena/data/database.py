"""Connections: one writer at a time, errors as one sentence, the schema brought up to date."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from alpha_arena.core.errors import ConfigError, StoreError

BUSY_MS = 10_000
MIGRATIONS = Path(__file__).parent / "migrations"
REASONS = {
    "locked": "another process has held it for 10 s; stop that process or try again",
    "readonly": "it may not be written to; change its permissions or choose another with database.url=",
    "read-only": "it may not be written to; change its permissions or choose another with database.url=",
    "unable to open": "its folder does not exist or may not be read; choose another with database.url=",
    "not a database": "the file is not an SQLite database; choose another with database.url=",
    "no such table": "it is not migrated; run alpha-arena db upgrade",
    "no such column": "it is not migrated; run alpha-arena db upgrade",
    "undefinedtable": "it is not migrated; run alpha-arena db upgrade",
    "disk is full": "the disk is full; free some space, nothing of this change was written",
    "connection": "the server does not answer; start it or choose another with database.url=",
}


def store_error(error: DBAPIError, name: str) -> StoreError:
    """A driver's error as one sentence."""
    said = f"{type(error.orig).__name__} {error.orig}".lower()
    reason = next((text for word, text in REASONS.items() if word in said), str(error.orig).splitlines()[0])
    return StoreError(f"the database {name} refused: {reason}")


def prepare_sqlite(engine: Engine, read_only: bool) -> None:
    """Write-ahead log, full synchronisation, patience, and transactions that take the write lock at once."""

    @event.listens_for(engine, "connect")
    def settle(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        for pragma in (f"busy_timeout={BUSY_MS}", "synchronous=FULL", "foreign_keys=ON", f"query_only={int(read_only)}"):
            connection.execute(f"PRAGMA {pragma}")
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # a transaction that starts as a reader and then writes fails at once, however patient
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


class Database:
    """A database and its connections.

    Args:
        url: SQLAlchemy's form, sqlite:/// or postgresql+psycopg://.
        read_only: refuse every write.

    Raises:
        ConfigError: the address cannot be understood.
        StoreError: the folder cannot be made.
    """

    def __init__(self, url: str, read_only: bool = False) -> None:
        self.read_only = read_only
        self._outer: Connection | None = None
        try:
            self.url = make_url(url)
            self._make_folder()
            self.engine = create_engine(self.url)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise ConfigError(
                "database.url is not an address of SQLite (sqlite:///FILE) or PostgreSQL (postgresql+psycopg://...)"
            ) from error
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        if self.is_sqlite:
            prepare_sqlite(self.engine, read_only)

    @property
    def name(self) -> str:
        """The address without its password."""
        return self.url.render_as_string(hide_password=True)

    @property
    def path(self) -> Path | None:
        """The file of an SQLite database."""
        name = self.url.database
        return Path(name) if self.url.get_backend_name() == "sqlite" and name and name != ":memory:" else None

    def _make_folder(self) -> None:
        if self.path is None or self.read_only:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the database folder {self.path.parent} cannot be made: {error.strerror}; choose another with database.url="
            ) from error

    @contextmanager
    def _connected(self, **options: Any) -> Iterator[Connection]:
        try:
            with self.engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection
        except DBAPIError as error:
            raise store_error(error, self.name) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state.

        Raises:
            StoreError: the database refused.
        """
        if self._outer is not None:
            yield self._outer
            return
        with self._connected() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: all of it or nothing. Inside `batch` it is part of the batch.

        Raises:
            StoreError: the database refused.
        """
        if self._outer is not None:
            yield self._outer
            return
        with self._connected(writes=True) as connection:
            yield connection

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Make the writes of this object within the block one transaction. Not for use from several threads at once."""
        with self.write() as connection:
            outer, self._outer = self._outer, connection
            try:
                yield
            finally:
                self._outer = outer

    def upsert(
        self, connection: Connection, table: Table, rows: Sequence[dict[str, Any]], keys: Sequence[str], update: bool = True
    ) -> None:
        """Insert rows; where the keys exist, replace the other columns, or leave the row as it is."""
        if not rows:
            return
        insert: Any = sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)
        if update:
            values = {name: insert.excluded[name] for name in rows[0] if name not in keys}
            statement = insert.on_conflict_do_update(index_elements=list(keys), set_=values)
        else:
            statement = insert.on_conflict_do_nothing(index_elements=list(keys))
        connection.execute(statement, list(rows))

    def placeholder(self) -> str:
        """How the driver marks a parameter."""
        return "?" if self.is_sqlite else "%s"

    def upgrade(self) -> None:
        """Bring the schema to its newest form; creates it where there is none.

        Raises:
            StoreError: the database is newer than this program, or refused.
        """
        from alembic import command
        from alembic.util import CommandError

        with self.write() as connection:
            try:
                command.upgrade(self._alembic(connection), "head")
            except CommandError as error:
                raise StoreError(f"the database {self.name} was written by a newer version of this program; update the program") from error

    def _alembic(self, connection: Connection | None = None) -> Any:
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        return config

    def head(self) -> str:
        """The newest revision that this program knows."""
        from alembic.script import ScriptDirectory

        return str(ScriptDirectory.from_config(self._alembic()).get_current_head())

    def revision(self) -> str | None:
        """The revision of the stored schema, None for an empty database."""
        with self.read() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar())

    def check_schema(self) -> None:
        """Refuse a database that is not of this program's schema.

        Raises:
            StoreError: it does not exist, is not migrated, or is newer.
        """
        if self.path is not None and not self.path.exists():
            raise StoreError(f"the database {self.name} does not exist; run alpha-arena db upgrade")
        found = self.revision()
        if found != self.head():
            raise StoreError(
                f"the database {self.name} is at revision {found}, this program needs {self.head()}; run alpha-arena db upgrade"
            )

    def close(self) -> None:
        """Release all connections."""
        self.engine.dispose()
