"""A PostgreSQL server of the tests' own, on a socket in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_S = 60
NOBODY = "nobody"


def binaries() -> Path | None:
    """The folder of initdb and postgres, None where they are not installed."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Start one and stop it; the address of its database `postgres`. PostgreSQL refuses to be run by root, so root runs it as nobody."""
    owner = NOBODY if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    home = Path(tempfile.mkdtemp(prefix="aa-pg-"))
    try:
        shutil.chown(home, owner)
        given = {"user": owner, "cwd": home, "check": True, "capture_output": True, "timeout": START_S}
        subprocess.run([folder / "initdb", "-D", home / "db", "-U", "arena", "-A", "trust", "-E", "UTF8", "--no-locale"], **given)
        quick = f"-k {home} -c listen_addresses= -c fsync=off -c shared_buffers=16MB -c max_connections=50"
        control = [folder / "pg_ctl", "-D", home / "db", "-w"]
        subprocess.run([*control, "-l", home / "log", "-o", quick, "start"], **{**given, "capture_output": False})
        try:
            yield f"postgresql+psycopg://arena@/postgres?host={home}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], **given)
    finally:
        shutil.rmtree(home, ignore_errors=True)
