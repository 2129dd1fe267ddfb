"""One process for a file: a lock that the kernel frees, however its holder ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from alpha_arena.core.errors import ConfigError


@contextmanager
def only_one(path: Path, what: str, advice: str) -> Iterator[None]:
    """Hold the lock file at `path`, this process's pid inside, until the block ends.

    Args:
        what: is being done, e.g. "`up`"; advice: what to do beside stopping it.

    Raises:
        ConfigError: another process holds it; the message names its pid.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        if not _locked(file):
            file.seek(0)
            raise ConfigError(
                f"another {what} (pid {file.read().strip() or 'unknown'}) already runs here (lock {path}); stop it first, or {advice}"
            )
        _note(file, str(os.getpid()))
        yield
        _note(file, "")


def _note(file: IO[str], text: str) -> None:
    file.truncate(0)
    file.write(text)
    file.flush()


if sys.platform == "win32":
    import msvcrt

    FAR = 1 << 30

    def _locked(file: IO[str]) -> bool:
        """Lock a byte far behind the pid, since a locked byte cannot be read there."""
        file.seek(FAR)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _locked(file: IO[str]) -> bool:
        """Whether this process holds the lock now."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
