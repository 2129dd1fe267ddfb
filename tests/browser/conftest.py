"""A real browser before a real server on loopback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copy, which

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from alpha_arena.data.clock import ClockRow, wall_ms, write_clock
from alpha_arena.data.service import DataService

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "monitor"))
from fill import HOSTILE, fill, last_close
from visits import Visit, Visitor, serving

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
HOUR_MS = 3_600_000
# a machine that compiles, or starts Ray beside this, is no failure of a page
PATIENCE_MS = 120_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium; gone with the module, since its driver keeps a loop running in this thread."""
    if which(CHROMIUM) is None:
        pytest.skip(f"{CHROMIUM} is not installed; the page is not looked at")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=PATIENCE_MS)
        yield found
        found.close()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filled database whose clock runs an hour's part past its last candle."""
    file = tmp_path_factory.mktemp("browser") / "filled.db"
    service = DataService(f"sqlite:///{file}")
    fill(service, 10, why=HOSTILE)
    now, wall = last_close(service) + 10 * 60_000, wall_ms()
    # a keeper that will still have been seen when the last test ends
    write_clock(service, ClockRow("running", float(wall), float(now), 1.0, float(wall + HOUR_MS), 1))
    service.close()
    return file


@pytest.fixture(scope="module")
def address(filled: Path) -> Iterator[str]:
    """A server over a database that nobody writes to."""
    with serving(filled) as found:
        yield found


@pytest.fixture
def copied(filled: Path, tmp_path: Path) -> Path:
    """A database that a test may write to."""
    return Path(copy(filled, tmp_path / "copy.db"))


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visitor]:
    """Open a page and wait until it is drawn."""
    opened: list[Page] = []

    def go(address: str, query: str = "", width: int = 1280, height: int = 900, path: str = "/") -> Visit:
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE_MS)
        opened.append(page)
        found = Visit(page, address)
        page.on("console", lambda message: found.said.append(message.text))
        page.on("pageerror", lambda error: found.said.append(str(error)))
        page.on("request", lambda request: found.asked.append(request.url))
        page.goto(f"{address}{path}?__theme=light&{query}")
        page.wait_for_selector("#aa[data-ready=yes]")
        return found

    yield go
    for page in opened:
        page.close()
