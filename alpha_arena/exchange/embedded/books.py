"""The embedded exchange's own ledger file: what an exchange knows survives the death of its process.

One SQLite file, WAL, synchronous=FULL, readable by its owner alone since it holds the accounts' keys. Each thing is a row of JSON; what one
request or one played stretch has changed is one transaction.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from alpha_arena.core.errors import StoreError
from alpha_arena.exchange.embedded.state import Algo, Bill, Client, FillRow, Holding, PlacedOrder

if TYPE_CHECKING:
    from alpha_arena.exchange.embedded.exchange import EmbeddedExchange

PRIVATE = 0o600
CREATE = """
CREATE TABLE IF NOT EXISTS things (account TEXT, kind TEXT, id TEXT, content TEXT, PRIMARY KEY (account, kind, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
"""
KINDS: dict[str, TypeAdapter[Any]] = {
    "order": TypeAdapter(PlacedOrder),
    "algo": TypeAdapter(Algo),
    "fill": TypeAdapter(FillRow),
    "bill": TypeAdapter(Bill),
    "holding": TypeAdapter(Holding),
}
CLIENT = ("name", "uid", "api_key", "secret", "passphrase", "perm", "pos_mode", "cancel_after_ms")
AMOUNTS = TypeAdapter(dict[str, Any])


class Books:
    """A ledger file.

    Args:
        begun: what it belongs to, by the names of settings: kept at the first save, and never another afterwards.

    Raises:
        StoreError: it cannot be written, or is another exchange's.
    """

    def __init__(self, path: Path, begun: Mapping[str, str] | None = None) -> None:
        self.path, self.begun = path, begun or {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE))
            self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self.connection.execute("PRAGMA journal_mode=WAL")
            self.connection.execute("PRAGMA synchronous=FULL")
            self.connection.executescript(CREATE)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"the exchange's ledger {path} cannot be written ({error}); choose another with exchange.ledger=") from error

    def save(self, exchange: EmbeddedExchange) -> None:
        """One transaction of all that has changed.

        Raises:
            StoreError: the file refused; nothing of it is written.
        """
        touched = exchange.cashier.touched
        if not touched and self._fact("played_ms") == str(exchange.played_ms):
            return
        rows = [(*key, _written(key[1], thing)) for key, thing in touched.items()]
        facts = {**self.begun, "seed": exchange.seed, "number": exchange.cashier.numbers.last, "played_ms": exchange.played_ms}
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            self.connection.executemany("INSERT OR REPLACE INTO things VALUES (?, ?, ?, ?)", rows)
            self.connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", [(name, str(value)) for name, value in facts.items()])
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise StoreError(f"the exchange's ledger {self.path} refused ({error}); nothing of this request was written") from error

    def _fact(self, name: str) -> str | None:
        row = self.connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def load(self, exchange: EmbeddedExchange) -> None:
        """Give an exchange its accounts back, and the time up to which its market was played.

        Raises:
            StoreError: the file belongs to a market of another seed.
        """
        if self._fact("seed") is None:
            return
        for name, value in {**self.begun, "seed": str(exchange.seed)}.items():
            kept = self._fact(name)
            if kept != value:
                raise StoreError(
                    f"the exchange's ledger {self.path} was begun with {name}={kept or 'none'}, not {value}; "
                    "give that, or choose another file with exchange.ledger="
                )
        exchange.cashier.numbers.last = int(self._fact("number") or 0)
        exchange.played_ms = int(self._fact("played_ms") or 0)
        for (content,) in self.connection.execute("SELECT content FROM things WHERE kind = 'client' ORDER BY id"):
            client = _client(content)
            exchange.clients[client.api_key] = client
            self._things(client)

    def _things(self, client: Client) -> None:
        query = "SELECT kind, content FROM things WHERE account = ? AND kind != 'client' ORDER BY kind, id"
        for kind, content in self.connection.execute(query, (client.name,)):
            thing = KINDS[kind].validate_json(content)
            if kind == "fill":
                client.fills.append(thing)
            elif kind == "bill":
                client.bills.append(thing)
            elif kind == "holding":
                client.holdings[thing.inst_id, thing.mgn_mode] = thing
            else:
                owned: dict[str, Any] = client.orders if kind == "order" else client.algos
                owned[getattr(thing, "ord_id" if kind == "order" else "algo_id")] = thing

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


def _written(kind: str, thing: Any) -> str:
    if kind != "client":
        return KINDS[kind].dump_json(thing).decode()
    levers = {"|".join(key): str(value) for key, value in thing.levers.items()}
    return AMOUNTS.dump_json({name: getattr(thing, name) for name in CLIENT} | {"cash": str(thing.cash), "levers": levers}).decode()


def _client(content: str) -> Client:
    read = AMOUNTS.validate_json(content)
    if isinstance(read["cancel_after_ms"], int):
        # as it was written before the switch knew tags
        read["cancel_after_ms"] = {"": read["cancel_after_ms"]} if read["cancel_after_ms"] else {}
    levers = {(key.partition("|")[0], key.partition("|")[2]): Decimal(value) for key, value in read.pop("levers").items()}
    return Client(cash=Decimal(read.pop("cash")), levers=levers, **read)
