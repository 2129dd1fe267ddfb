"""Runs a module as a process that dies with its parent: `python -m flows.child PARENT_PID MODULE ARGS...`."""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
import threading
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def main(argv: Sequence[str]) -> None:
    """Tie this process to its parent, then become MODULE."""
    parent, module, *args = argv
    die_with(int(parent))
    sys.argv = [module, *args]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def die_with(parent: int) -> None:
    """Have this process killed when `parent` (a pid) dies, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # the parent may have died before the call above
        if os.getppid() != parent:
            os._exit(1)
    else:
        threading.Thread(target=_exit_at_end_of_input, daemon=True).start()


def _exit_at_end_of_input() -> None:
    """The parent alone holds the other end of stdin, so its end is the parent's."""
    while sys.stdin.buffer.read(1):
        continue
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
