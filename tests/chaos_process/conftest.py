"""One process, with everything imported, of which the processes of these tests are forks."""

from __future__ import annotations

import os
import sys
from multiprocessing import forkserver
from pathlib import Path

import pytest

# the live trader in one process
sys.path.append(str(Path(__file__).resolve().parents[1] / "execution"))

from process_world import PRELOADED


@pytest.fixture(scope="session", autouse=True)
def fork_server() -> None:
    """It starts before any of them; kernels are plain Python there, since loading compiled ones takes each fork a second."""
    forkserver.set_forkserver_preload(PRELOADED)
    before = os.environ.get("NUMBA_DISABLE_JIT")
    os.environ["NUMBA_DISABLE_JIT"] = "1"
    forkserver.ensure_running()
    del os.environ["NUMBA_DISABLE_JIT"]
    if before is not None:
        os.environ["NUMBA_DISABLE_JIT"] = before
