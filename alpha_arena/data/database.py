"""Connections: one writer at a time, readers that see one state, errors as one sentence. Dialects differ here and nowhere else."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import URL, Connection, Engine, Select, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from alpha_arena.core.errors import ConfigError, StoreError
from alpha_arena.data import schema
from alpha_arena.data.refusal import refusal

BUSY_MS = 5_000
CONNECT_S = 5
WRITERS_LOCK = 0x616C706861
ALLOWED = "database.url must be an address of SQLite (sqlite:///FILE) or PostgreSQL (postgresql+psycopg://USER:PASSWORD@HOST/NAME)"


def address(url: str) -> URL:
    """A database's address; PostgreSQL always through psycopg.

    Raises:
        ConfigError: it is neither SQLite's nor PostgreSQL's.
    """
    try:
        made = make_url(url)
    except ArgumentError as error:
        raise ConfigError(ALLOWED) from error
    if made.drivername in ("postgres", "postgresql"):
        return made.set(drivername="postgresql+psycopg")
    if made.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise ConfigError(f"{ALLOWED}, not {made.drivername}")
    return made


def file_of(url: URL) -> Path | None:
    """The file of an SQLite database, None for one in memory or on a server."""
    name = url.database
    return Path(name) if url.get_backend_name() == "sqlite" and name and name != ":memory:" else None


def opening(path: Path | None, read_only: bool) -> str:
    """How SQLite is told to open a file (None: in memory).

    A reader shares an index beside the file; where it may not make one, nobody else can be writing, and it reads without.
    """
    if path is None:
        return "file::memory:"
    alone = read_only and not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()
    return f"file:{quote(str(path.resolve()))}?mode={'ro' if read_only else 'rwc'}{'&immutable=1' if alone else ''}"


def sqlite_engine(url: URL, read_only: bool, busy_ms: int) -> Engine:
    """SQLite with a write-ahead log, full synchronisation, patience, and transactions that take the write lock at once."""

    def connect() -> sqlite3.Connection:
        target = opening(file_of(url), read_only)
        return sqlite3.connect(target, timeout=busy_ms / 1000, isolation_level=None, check_same_thread=False, uri=True)

    engine = create_engine(url, creator=connect)

    @event.listens_for(engine, "connect")
    def settle(connection: sqlite3.Connection, _: Any) -> None:
        connection.execute("PRAGMA synchronous=FULL")
        if not read_only and connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            with suppress(sqlite3.OperationalError):  # another process is just doing it, or the file may only be read
                connection.execute("PRAGMA journal_mode=WAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("writes"):
            connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options['durable'] else 'NORMAL'}")
        # a transaction that starts as a reader and then writes fails at once, however patient
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")

    return engine


def postgresql_engine(url: URL, read_only: bool, busy_ms: int) -> Engine:
    """PostgreSQL, where writers take turns as they do on SQLite, so that the same code is right on both."""
    limits = f"-c lock_timeout={busy_ms} -c default_transaction_read_only={'on' if read_only else 'off'}"
    engine = create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_S, "options": limits})

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not options.get("writes"):
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS_LOCK})")
        if not options["durable"]:
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")

    return engine


class Database:
    """A database and its connections; may be used from several threads.

    Args:
        url: SQLAlchemy's form, sqlite:///FILE or postgresql+psycopg://.
        read_only: refuse every write. busy_ms: how long a writer waits for another.

    Raises:
        ConfigError: the address cannot be understood.
        StoreError: the folder cannot be made, or there is nothing to read.
    """

    def __init__(self, url: str, read_only: bool = False, busy_ms: int = BUSY_MS) -> None:
        self.url = address(url)
        self.path = file_of(self.url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._batch = threading.local()
        self._upserts: dict[tuple[str, tuple[str, ...], tuple[str, ...], bool], Any] = {}
        if self.path:
            self._prepare(self.path, read_only)
        self.engine = (sqlite_engine if self.is_sqlite else postgresql_engine)(self.url, read_only, busy_ms)

    @property
    def name(self) -> str:
        """The address without its password."""
        return self.url.render_as_string(hide_password=True)

    def _prepare(self, path: Path, read_only: bool) -> None:
        if read_only:
            if not path.exists():
                raise StoreError(f"the database {self.name} does not exist; run alpha-arena db upgrade")
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the database's folder {path.parent} cannot be made: {error.strerror}; choose another with database.url="
            ) from error

    @contextmanager
    def _connected(self, **options: Any) -> Iterator[Connection]:
        try:
            with self.engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection
        except DBAPIError as error:
            raise refusal(error.orig or error, self.name, self.path) from error
        except self.engine.dialect.loaded_dbapi.Error as error:
            raise refusal(error, self.name, self.path) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one state. Inside `batch` it sees the batch's writes.

        Raises:
            StoreError: the database refused.
        """
        if self._outer:
            yield self._outer
            return
        with self._connected() as connection:
            yield connection

    @contextmanager
    def write(self, durable: bool = True) -> Iterator[Connection]:
        """A transaction: all of it or nothing. Inside `batch` it is all or nothing of the batch.

        Args:
            durable: on disk when this returns; without it, it may be lost with the machine's power, never with a process.

        Raises:
            StoreError: the database refused.
        """
        if self._outer:
            with self._outer.begin_nested():
                yield self._outer
            return
        with self._connected(writes=True, durable=durable) as connection:
            yield connection

    @property
    def _outer(self) -> Connection | None:
        return getattr(self._batch, "connection", None)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Make this thread's writes within the block one transaction."""
        outer = self._outer
        with self.write() as connection:
            self._batch.connection = connection
            try:
                yield
            finally:
                self._batch.connection = outer

    def upsert(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], keys: Sequence[str], update: bool = True
    ) -> None:
        """Insert rows, all with the same columns; where the keys exist, replace the others, or leave the row as it is."""
        if rows:
            connection.execute(self._upserting(table, tuple(rows[0]), tuple(keys), update), list(rows))

    def _upserting(self, table: Table, names: tuple[str, ...], keys: tuple[str, ...], update: bool) -> Any:
        """The compiled statement, kept: SQLAlchemy itself compiles this kind anew at each use."""
        asked = (table.name, names, keys, update)
        if asked not in self._upserts:
            insert: Any = sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)
            replaced = {name: insert.excluded[name] for name in names if update and name not in keys}
            conflict = insert.on_conflict_do_update if replaced else insert.on_conflict_do_nothing
            made = conflict(index_elements=list(keys), **({"set_": replaced} if replaced else {}))
            self._upserts[asked] = made.compile(dialect=self.engine.dialect, column_keys=list(names))
        return self._upserts[asked]

    def append(self, connection: Connection, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
        """Insert many new rows, values in the order of the table's columns, past SQLAlchemy's own handling of each."""
        names = ", ".join(table.c.keys())
        if self.is_sqlite:
            marks = ", ".join("?" * len(table.c))
            connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", list(rows))
            return
        cursor: Any = connection.connection.cursor()
        with cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def matrix(self, connection: Connection, query: Select[Any]) -> NDArray[np.float64]:
        """Rows of numbers as an array of shape [rows, columns], past SQLAlchemy's row objects."""
        found = connection.execute(query)
        cursor: Any = found.cursor
        return np.fromiter(chain.from_iterable(cursor), np.float64).reshape(-1, len(found.keys()))

    def upgrade(self) -> None:
        """Bring the schema to its newest form; creates it where there is none.

        Raises:
            StoreError: the database is newer than this program, or refused.
        """
        with self.write() as connection:
            schema.upgrade(connection, self.name)

    def check_schema(self) -> None:
        """Refuse a database that is not of this program's schema.

        Raises:
            StoreError: it does not exist, is not migrated, or is newer.
        """
        if self.path and not self.path.exists():
            raise StoreError(f"the database {self.name} does not exist; run alpha-arena db upgrade")
        with self.read() as connection:
            schema.check(connection, self.name)

    def close(self) -> None:
        """Release all connections."""
        self.engine.dispose()
