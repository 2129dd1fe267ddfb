"""A lease with a fencing token: at most one process acts for a name, and one that has lost it cannot write."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import Any

import psutil
from sqlalchemy import Connection, select

from alpha_arena.core.errors import SafetyError
from alpha_arena.data.service import DataService
from alpha_arena.data.tables import leases


class LeaseLost(SafetyError):
    """Another process holds the lease; nothing was written."""

    exit_code = 0


def alive(host: str, pid: int, started_s: float) -> bool:
    """Whether the very process may still be there: pids are used again, so its start time counts too; another host's is not seen."""
    if host != socket.gethostname():
        return True
    try:
        return bool(abs(psutil.Process(pid).create_time() - started_s) < 1.0)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


class Lease:
    """A name that one process holds.

    Args:
        name: what is leased, e.g. "trader:portfolio". ttl_s: wall seconds for which it is held without renewal.
        wall_s: wall time, seconds since the epoch. pid: of the holder; its start time is looked up.
    """

    def __init__(
        self, service: DataService, name: str, ttl_s: float, wall_s: Callable[[], float] = time.time, pid: int | None = None
    ) -> None:
        self.service = service
        self.name = name
        self.ttl_s = ttl_s
        self.wall_s = wall_s
        self.host = socket.gethostname()
        self.pid = pid or os.getpid()
        self.started_s = psutil.Process(self.pid).create_time()
        self.token: int | None = None

    def acquire(self) -> int:
        """Take the lease; a holder that has ended or let it run out is not waited for.

        Returns:
            the fencing token, greater than every earlier one.

        Raises:
            LeaseLost: another living process holds it.
        """
        with self.service.database.write() as connection:
            row = connection.execute(select(leases).where(leases.c.name == self.name)).first()
            if row is not None and not self._free(row):
                raise LeaseLost(f"{self.name} is held by process {row.pid} on {row.host}; nothing was done, stop it or wait for it to end")
            self.token = (row.token if row else 0) + 1
            self._put(connection, self.token)
        return self.token

    def _free(self, row: Any) -> bool:
        mine = (row.host, row.pid, row.process_started_s) == (self.host, self.pid, self.started_s)
        return bool(mine or row.expires_s <= self.wall_s() or not alive(row.host, row.pid, row.process_started_s))

    def _put(self, connection: Connection, token: int) -> None:
        row = {
            "name": self.name,
            "token": token,
            "holder": f"pid {self.pid}",
            "host": self.host,
            "pid": self.pid,
            "process_started_s": self.started_s,
            "expires_s": self.wall_s() + self.ttl_s,
        }
        self.service.database.upsert(connection, leases, [row], ("name",))

    def check(self, connection: Connection) -> None:
        """Assure within a transaction that the lease is still this process's.

        Raises:
            LeaseLost: it is not.
        """
        found = connection.execute(select(leases.c.token).where(leases.c.name == self.name)).scalar()
        if self.token is None or found != self.token:
            raise LeaseLost(f"{self.name} has passed to another process; nothing was written")

    def renew(self) -> None:
        """Hold it for another `ttl_s`.

        Raises:
            LeaseLost: it has passed on.
        """
        with self.service.database.write() as connection:
            self.check(connection)
            self._put(connection, self.token or 0)

    def release(self) -> None:
        """Give it back; does nothing where it has passed on."""
        with self.service.database.write() as connection:
            mine = (leases.c.name == self.name) & (leases.c.token == self.token)
            connection.execute(leases.update().where(mine).values(expires_s=0.0))
        self.token = None
