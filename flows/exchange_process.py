"""The embedded exchange as a process of `up`: `python -m flows.exchange_process OVERRIDES...`; time is the clock row's."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from alpha_arena.data.service import DataService
from alpha_arena.settings import load
from alpha_arena.wiring.embedded import SharedClock, serve_embedded


def main(overrides: Sequence[str]) -> None:
    """Serve until SIGTERM; keys go to the file that the configuration names, and nowhere else."""
    settings = load("exchange", list(overrides))
    service = DataService(settings.database_url, read_only=True)
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
            serve_embedded(settings, SharedClock(service))
    finally:
        service.close()


if __name__ == "__main__":
    main(sys.argv[1:])
