"""The schema: migrations make the tables, keep the data, and a database that does not fit is refused by name."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from series import BTC, same, walk

from alpha_arena.core.errors import ConfigError, StoreError
from alpha_arena.data import schema
from alpha_arena.data.database import Database
from alpha_arena.data.live_ledger import LiveLedger
from alpha_arena.data.service import DataService
from alpha_arena.data.tables import METADATA

LISTED = """candles funding_rates prices instruments decisions strategy_allocations llm_calls llm_answers llm_spending orders trades
positions balances order_lifecycle_events bills equity_snapshots backtests backtest_trades data_gaps ingest_runs leases
clock trials halts candle_revisions outcomes alerts sent_orders protections account_states controls audits"""


def test_every_table_exists_and_every_trading_row_carries_its_trader() -> None:
    assert set(METADATA.tables) == set(LISTED.split())
    market = {"candles", "funding_rates", "prices", "instruments", "candle_revisions", "data_gaps", "ingest_runs", "leases", "clock"} | {
        "llm_answers"
    }
    assert [name for name, table in METADATA.tables.items() if name not in market and "trader" not in table.c] == []


def test_migrations_make_exactly_the_tables(service: DataService) -> None:
    """Nothing is left for a migration to do, on either database."""
    with service.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []


def test_the_history_is_that_of_the_migrations() -> None:
    scripts = ScriptDirectory.from_config(schema.alembic_config())
    assert [script.revision for script in scripts.walk_revisions()][::-1] == list(schema.HISTORY)
    assert scripts.get_heads() == [schema.HEAD]


@pytest.mark.parametrize("revision", schema.HISTORY)
def test_data_survives_the_upgrade_from_every_earlier_schema(tmp_path: Path, revision: str) -> None:
    from alembic import command

    service = DataService(f"sqlite:///{tmp_path / 'old.db'}")
    with service.database.write() as connection:
        command.upgrade(schema.alembic_config(connection), revision)
        connection.exec_driver_sql(f"INSERT INTO candles VALUES ('x', '{BTC}', '1h', 3600000, 1, 2, 0.5, 1.5, 9)")
        connection.exec_driver_sql("INSERT INTO balances VALUES ('t', '990.5', '991', '1000', '1000', 3600000, 7200000)")
        connection.exec_driver_sql(f"INSERT INTO positions VALUES ('t', '{BTC}', '0.5', '100', '90', NULL, 0, 0, 7200000)")
        row = f"'o', 't', 'simulated', '{BTC}', 'market', '0.5', NULL, '90', NULL, '0', NULL, '0', false, 'WORKING', '', 7200000, 7200000"
        connection.exec_driver_sql(f"INSERT INTO orders VALUES ({row})")
    service.upgrade()
    service.check_schema()
    assert service.get_ohlcv(BTC, "1h", 5).close.tolist() == [1.5]
    ledger = LiveLedger(service, "t", "1h", "simulated")
    assert (ledger.account().cash, ledger.account().position(BTC).stop) == (990.5, 90.0)
    assert [(one.order.id, one.state, one.attempts) for one in ledger.tracked()] == [("o", "WORKING", 0)]
    ledger.sending(ledger.open_orders()[0], 7200001, 7205000)
    assert ledger.tracked()[0].expires_ms == 7205000
    service.close()


def test_upgrading_twice_changes_nothing(service: DataService) -> None:
    bars = walk(3)
    service.write_candles("x", BTC, "1h", bars)
    service.upgrade()
    assert same(service.get_ohlcv(BTC, "1h", 5), bars)


def test_a_folder_is_made_and_may_have_any_name(tmp_path: Path) -> None:
    service = DataService(f"sqlite:///{tmp_path}/new folder/100% über #1/arena.db")
    service.upgrade()
    service.check_schema()
    service.close()
    assert [path.name for path in (tmp_path / "new folder").iterdir()] == ["100% über #1"]


def test_a_database_that_is_not_migrated_is_refused_with_the_command(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/arena.db"
    with pytest.raises(StoreError, match=r"does not exist; run alpha-arena db upgrade"):
        DataService(url).check_schema()
    with pytest.raises(StoreError, match=r"does not exist; run alpha-arena db upgrade"):
        DataService(url, read_only=True)
    assert list(tmp_path.iterdir()) == []
    service = DataService(url)
    for use in (lambda: service.get_ohlcv(BTC, "1h", 5), lambda: service.write_candles("x", BTC, "1h", walk(1))):
        with pytest.raises(StoreError, match=r"is not migrated; run alpha-arena db upgrade"):
            use()
    with pytest.raises(StoreError, match=r"is not migrated; run alpha-arena db upgrade"):
        service.check_schema()
    service.close()


def test_an_unmigrated_server_says_so_too(postgres: str) -> None:
    service = DataService(postgres)
    with pytest.raises(StoreError, match=r"is not migrated; run alpha-arena db upgrade"):
        service.get_ohlcv(BTC, "1h", 5)
    service.close()


def test_a_newer_schema_is_refused(service: DataService) -> None:
    with service.database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for use in (service.check_schema, service.upgrade):
        with pytest.raises(StoreError, match=r"is of schema 9999, newer than .* update alpha-arena"):
            use()


def test_an_older_schema_is_refused_with_the_command(service: DataService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "HISTORY", (*schema.HISTORY, "0999"))
    monkeypatch.setattr(schema, "HEAD", "0999")
    with pytest.raises(StoreError, match=r"is of schema 0006, this program needs 0999; run alpha-arena db upgrade"):
        service.check_schema()


@pytest.mark.parametrize("url", ["arena.db", "mysql://host/x", "oracle://x", "", "sqlite+aiosqlite:///x.db"])
def test_an_address_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"database.url must be an address of SQLite"):
        DataService(url)


def test_plain_postgresql_addresses_go_through_psycopg_and_hide_their_password() -> None:
    for scheme in ("postgresql", "postgres"):
        database = Database(f"{scheme}://arena:secret@127.0.0.1:1/x")
        assert database.name == "postgresql+psycopg://arena:***@127.0.0.1:1/x"
        with pytest.raises(StoreError, match="the server does not answer") as refused, database.read():
            pass
        assert "secret" not in str(refused.value)


def test_a_missing_server_database_is_named(postgres: str) -> None:
    database = Database(postgres.replace("/postgres?", "/nowhere?"))
    with pytest.raises(StoreError, match=r"no such database or role; create it"), database.read():
        pass


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are notes, not a database" * 100, encoding="utf-8")
    with pytest.raises(StoreError, match="not an SQLite database"):
        DataService(f"sqlite:///{path}").upgrade()
    assert path.read_text(encoding="utf-8").startswith("these are notes")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StoreError, match=r"folder .*file/below cannot be made.*database.url="):
        DataService(f"sqlite:///{tmp_path}/file/below/arena.db")


def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist or may not be read"):
        DataService(f"sqlite:///{tmp_path}").upgrade()


def as_somebody(code: str, folder: Path) -> str:
    """What code prints that is run in a folder as a user to whom file permissions apply: root becomes nobody once all is imported."""
    become = "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
    start = "import os\nfrom alpha_arena.core.errors import StoreError\nfrom alpha_arena.data.service import DataService\n"
    command = [sys.executable, "-c", start + become + code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True).stdout


@contextmanager
def protected(source: Path) -> Iterator[Path]:
    """A folder that everybody may read and nobody write, with a copy of the database."""
    home = Path(tempfile.mkdtemp())
    shutil.copy(source, home / "arena.db")
    (home / "arena.db").chmod(0o444)
    home.chmod(0o555)
    try:
        yield home
    finally:
        home.chmod(0o755)
        shutil.rmtree(home)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_file_without_write_permission_can_be_read_and_refuses_writes_by_name(migrated_file: Path) -> None:
    code = """
reader = DataService("sqlite:///arena.db", read_only=True)
print(reader.coverage())
try:
    DataService("sqlite:///arena.db").record_gaps()
except StoreError as error:
    print(error)
"""
    with protected(migrated_file) as home:
        read, refused = as_somebody(code, home).splitlines()
    assert read == "[]"
    assert "may not be written to; change its permissions" in refused


def test_a_locked_database_names_who_holds_it(migrated_file: Path, tmp_path: Path) -> None:
    """D60: a writer waits its time, then says what holds the file; nothing is written."""
    shutil.copy(migrated_file, tmp_path / "arena.db")
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sqlite3,sys; c=sqlite3.connect('arena.db'); c.execute('BEGIN IMMEDIATE'); print(flush=True); input()",
        ],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    service = DataService(f"sqlite:///{tmp_path}/arena.db", busy_ms=50)
    try:
        assert holder.stdout
        assert holder.stdin
        holder.stdout.readline()
        with pytest.raises(
            StoreError, match=rf"another process holds it; try again, or stop that process \(open in: .*process {holder.pid}\)"
        ):
            service.write_candles("x", BTC, "1h", walk(2))
        assert service.series() == []
        holder.communicate(b"\n", timeout=20)
        assert service.write_candles("x", BTC, "1h", walk(2)).inserted == 2
    finally:
        holder.kill()
        holder.wait()
        service.close()


def test_a_writer_on_a_server_waits_its_time_too(postgres: str, service: DataService, url: str) -> None:
    if not url.startswith("postgresql"):
        pytest.skip("SQLite's is tested with its file")
    hasty = DataService(url, busy_ms=50)
    with service.database.write(), pytest.raises(StoreError, match="another process holds it"):
        hasty.write_candles("x", BTC, "1h", walk(2))
    hasty.close()


def test_a_damaged_file_is_told(migrated_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "arena.db"
    shutil.copy(migrated_file, path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 60_000)
    service = DataService(f"sqlite:///{path}")
    with pytest.raises(StoreError, match=r"damaged; restore a copy|not an SQLite database"):
        service.stats()
    service.close()


def test_an_unknown_refusal_is_said_in_the_databases_words(sqlite_service: DataService) -> None:
    twice = "INSERT INTO candles VALUES ('x', 'y', '1h', 0, 1, 1, 1, 1, 1), ('x', 'y', '1h', 0, 1, 1, 1, 1, 1)"
    with pytest.raises(StoreError, match="UNIQUE constraint failed: candles"), sqlite_service.database.write() as connection:
        connection.exec_driver_sql(twice)
    assert sqlite_service.series() == []


def test_a_database_in_memory_serves_one_thread() -> None:
    service = DataService("sqlite://")
    service.upgrade()
    assert service.write_candles("x", BTC, "1h", walk(5)).inserted == 5
    service.check_schema()
    service.close()


def test_durability_is_full_for_the_ledger_and_normal_for_the_clock(sqlite_service: DataService) -> None:
    levels = []
    for durable in (True, False, True):
        with sqlite_service.database.write(durable=durable) as connection:
            levels.append(connection.exec_driver_sql("PRAGMA synchronous").scalar())
    assert levels == [2, 1, 2]


def test_sqlite_is_closed_without_leftovers(sqlite_url: str, tmp_path: Path) -> None:
    service = DataService(sqlite_url)
    service.write_candles("x", BTC, "1h", walk(5))
    service.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arena.db"]
    with closing(sqlite3.connect(tmp_path / "arena.db")) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
