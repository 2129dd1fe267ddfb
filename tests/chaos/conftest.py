"""Where the rig lies, and the line of figures at the end of a run."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from pydantic import TypeAdapter

# the live trader in one process
sys.path.append(str(Path(__file__).resolve().parents[1] / "execution"))

from checker import Figures

FIGURES = "chaos_figures"
BEGAN = time.monotonic()
TOLD: list[tuple[str, Figures]] = []


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """With several workers this comes to the one that speaks."""
    if report.when == "call":
        for name, value in report.user_properties:
            if name == FIGURES:
                TOLD.append((report.nodeid, Figures(*TypeAdapter(tuple[int, int, int, int]).validate_python(value))))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line: scenarios, lives, orders, duplicates, losses, seconds."""
    if not TOLD or hasattr(config, "workerinput"):
        return
    total = sum((figures for _, figures in TOLD), Figures())
    scenarios = {node.partition("[")[2].rstrip("]").partition("-")[0] for node, _ in TOLD}
    seconds = time.monotonic() - BEGAN
    terminalreporter.write_line(
        f"chaos: {len(scenarios)} scenarios, {total.lives} lives, {total.orders} orders, {total.duplicates} duplicates, "
        f"{total.losses} losses, {seconds:.0f} s"
    )
    TOLD.clear()
