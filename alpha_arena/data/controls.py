"""What people tell traders to do: the kill switch, pauses, close now. It survives restarts, and each word leaves an audit row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, delete, insert, select

from alpha_arena.core.errors import ConfigError
from alpha_arena.core.types import Switches
from alpha_arena.data.database import Database
from alpha_arena.data.service import DataService
from alpha_arena.data.tables import audits, balances, controls

Policy = Literal["hold", "flatten"]
POLICIES = ("hold", "flatten")
EVERYONE = ""
FILE = "KILL"


def read(connection: Connection, trader: str) -> Switches:
    """A trader's switches from the rows alone; flatten goes before hold."""
    rows = connection.execute(select(controls).where(controls.c.trader.in_((EVERYONE, trader)))).all()
    kills = sorted((row for row in rows if row.kind == "kill"), key=lambda row: (row.policy != "flatten", row.trader))
    paused, paused_ms = next(((row.reason or f"by {row.made_by}", row.ts) for row in rows if row.kind == "pause"), ("", 0))
    asked = [row.ts for row in rows if row.kind == "close"]
    policy: Any
    policy, reason, killed_ms = (kills[0].policy, kills[0].reason, kills[0].ts) if kills else ("", "", 0)
    return Switches(policy, reason, paused, max(asked, default=None), killed_ms, paused_ms)


def audit(connection: Connection, trader: str, ts: int, action: str, by: str, detail: str) -> None:
    """Append to what people and the program did to a trader; "" is everyone."""
    row = {"trader": trader, "ts": ts, "action": action, "made_by": by, "detail": detail}
    connection.execute(insert(audits), [row])


def kill_file(database: Database) -> Path | None:
    """The file beside an SQLite database whose presence is a kill switch."""
    return database.path.parent / FILE if database.path else None


def with_file(told: Switches, file: Path | None) -> Switches:
    """The switches of the rows with that of a kill file, where there is one."""
    policy = file_policy(file)
    if not policy or told.killed == "flatten":
        return told
    return replace(told, killed=policy, reason=told.reason if told.killed else f"file {file}")


def file_policy(file: Path | None) -> Policy | Literal[""]:
    if file is None or not file.exists():
        return ""
    try:
        return "flatten" if "flatten" in file.read_text(encoding="utf-8") else "hold"
    except (OSError, UnicodeDecodeError):
        return "hold"


class Controls:
    """The switches. `trader` is a slug, EVERYONE ("") for all; times are ms UTC.

    Args:
        file: whose presence kills everyone, `KILL` beside an SQLite database; the word flatten in it chooses that policy. A program or a
            person may make it without the database.
    """

    def __init__(self, service: DataService, file: Path | None = None) -> None:
        self.database = service.database
        self.file = file or kill_file(service.database)

    def state(self, trader: str) -> Switches:
        """What holds for a trader now; a kill file that cannot be read is a kill switch that holds."""
        with self.database.read() as connection:
            return with_file(read(connection, trader), self.file)

    def every(self) -> list[dict[str, Any]]:
        """The switches that are on, oldest first: trader ("" is everyone), kind, policy, reason, made_by, ts (0: unknown)."""
        with self.database.read() as connection:
            found = [dict(row) for row in connection.execute(select(controls).order_by(controls.c.ts)).mappings()]
        policy = file_policy(self.file)
        known = any(row["kind"] == "kill" and row["trader"] == EVERYONE for row in found)
        filed = {"trader": EVERYONE, "kind": "kill", "policy": policy, "reason": "", "made_by": f"file {FILE}", "ts": 0}
        return [filed, *found] if policy and not known else found

    def kill(self, trader: str, ts: int, by: str, policy: Policy = "hold", reason: str = "") -> None:
        """Stop all trading. The file is written first, so that a database that refuses does not stand in the way.

        Raises:
            ConfigError: an unknown policy.
        """
        if policy not in POLICIES:
            raise ConfigError(f"policy={policy} is not allowed: it is hold or flatten")
        if trader == EVERYONE and self.file is not None:
            self.file.write_text(f"{policy}\n{reason}\n", encoding="utf-8")
        self._put(trader, "kill", ts, by, policy, reason)

    def pause(self, trader: str, ts: int, by: str, reason: str = "") -> None:
        """No new entries; exits and protection go on."""
        self._put(trader, "pause", ts, by, "", reason)

    def close_now(self, trader: str, ts: int, by: str, reason: str = "") -> None:
        """Close a trader's positions at its next cycle or sync, for EVERYONE those of all; it may trade on with its next decision."""
        for one in self._traders() if trader == EVERYONE else [trader]:
            self._put(one, "close", ts, by, "", reason)

    def _traders(self) -> Sequence[str]:
        with self.database.read() as connection:
            return connection.execute(select(balances.c.trader).order_by(balances.c.trader)).scalars().all()

    def _put(self, trader: str, kind: str, ts: int, by: str, policy: str, reason: str) -> None:
        row = {"trader": trader, "kind": kind, "policy": policy, "reason": reason, "made_by": by, "ts": ts}
        with self.database.write() as connection:
            self.database.upsert(connection, controls, [row], ("trader", "kind"))
            audit(connection, trader, ts, kind, by, " ".join(word for word in (policy, reason) if word))

    def closed(self, trader: str, asked_ms: int, ts: int, detail: str) -> None:
        """What was asked at `asked_ms` has been done; a later request stays."""
        mine = (controls.c.trader == trader) & (controls.c.kind == "close") & (controls.c.ts <= asked_ms)
        with self.database.write() as connection:
            if connection.execute(delete(controls).where(mine)).rowcount:
                audit(connection, trader, ts, "closed", "alpha-arena", detail)

    def resume(self, trader: str, ts: int, by: str, reason: str = "") -> Sequence[str]:
        """Lift a trader's kill switch and pause, for EVERYONE those of all; halts stay until they are acknowledged.

        Returns:
            what was lifted, each as "kill", "kill of TRADER", "pause of TRADER".
        """
        ours: list[Any] = [controls.c.kind.in_(("kill", "pause"))]
        ours += [] if trader == EVERYONE else [controls.c.trader == trader]
        with self.database.write() as connection:
            found = connection.execute(select(controls.c.kind, controls.c.trader).where(*ours)).all()
            connection.execute(delete(controls).where(*ours))
            audit(connection, trader, ts, "resume", by, reason)
        filed = trader == EVERYONE and self.file is not None and self.file.exists()
        if filed and self.file is not None:
            self.file.unlink(missing_ok=True)
        byfile = [f"kill by file {self.file}"] if filed and not any(row.kind == "kill" and row.trader == EVERYONE for row in found) else []
        return byfile + [f"{row.kind} of {row.trader}" if row.trader else str(row.kind) for row in found]

    def audits(self, trader: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """What people and the program did, newest first; None for all traders."""
        query = select(audits).order_by(audits.c.id.desc()).limit(limit)
        query = query if trader is None else query.where(audits.c.trader.in_((EVERYONE, trader)))
        with self.database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]
