"""The reports as a reader opens them, from a file, without a server or a network."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "backtest"))
from specimens import HOSTILE, contest_made, found_made, grid_found, run_made, table_made, walked_made

from alpha_arena.backtest.board_report import contest_html
from alpha_arena.backtest.report import report_html
from alpha_arena.backtest.search import Found
from alpha_arena.backtest.search_report import search_html
from alpha_arena.backtest.walk_report import walk_html

pytestmark = pytest.mark.browser

PAGES: dict[str, Callable[[], str]] = {
    "run": lambda: report_html(run_made()),
    "run without trades": lambda: report_html(run_made(still=True)),
    "run of one bar": lambda: report_html(run_made(1)),
    "search": lambda: search_html(grid_found()),
    "search of hostile names": lambda: search_html(hostile()),
    "walk": lambda: walk_html(walked_made()),
}
PATIENCE_MS = 120_000
DRAWN = "[...document.querySelectorAll('.js-plotly-plot')].filter(p => p.offsetParent).map(p => p.querySelectorAll('.main-svg').length)"


def hostile() -> Found:
    """A search whose every name is an attack."""
    axes = {HOSTILE: (HOSTILE, "a"), "x": (1, 2)}
    return found_made(table_made({HOSTILE: axes}, (HOSTILE,)), {HOSTILE: list(axes)}, name=HOSTILE, run=run_made(name=HOSTILE))


def opened(browser: Browser, file: Path, width: int, charts: int = 4) -> tuple[Page, list[str]]:
    """A page that is drawn, with at least so many charts, and all that went wrong or was asked for."""
    page, said = browser.new_page(viewport={"width": width, "height": 900}), []
    page.set_default_timeout(PATIENCE_MS)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: said.append(request.url) if not request.url.startswith(("file:", "data:")) else None)
    page.goto(file.as_uri())
    page.wait_for_function(f"{DRAWN}.length >= {charts} && {DRAWN}.every(n => n > 0)")
    return page, said


@pytest.mark.parametrize("name", list(PAGES))
def test_reports_are_drawn_at_any_width(browser: Browser, tmp_path: Path, name: str) -> None:
    """On a desk and on a phone: all charts drawn, nothing wider than the page, nothing fetched, no error, nothing of a name run."""
    file = tmp_path / "report.html"
    file.write_text(PAGES[name](), encoding="utf-8")
    for width in (1280, 390):
        page, said = opened(browser, file, width)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert said == []
        page.close()


COLOURS = """[...document.querySelectorAll('.js-plotly-plot')].filter(p => p.offsetParent)
.map(p => p.layout.paper_bgcolor + ' ' + p.layout.font.color)"""
GROUND = "getComputedStyle(document.body).backgroundColor"
LIGHT, DARKER = ("rgb(246, 247, 249)", "#ffffff #16202e"), ("rgb(14, 19, 27)", "#161c26 #e6eaf0")


@pytest.mark.parametrize("name", ["run", "search", "walk"])
def test_reports_are_dark_where_the_reader_s_system_is(browser: Browser, tmp_path: Path, name: str) -> None:
    """From the start, and when it changes; on paper they are light. Another pair of parameters is drawn as the others are."""
    file = tmp_path / "report.html"
    file.write_text(PAGES[name](), encoding="utf-8")
    page, said = opened(browser, file, 1280)
    for scheme, (ground, colours) in (("light", LIGHT), ("dark", DARKER), ("light", LIGHT)):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"{GROUND} === '{ground}' && {COLOURS}.every(one => one === '{colours}')")
        if name == "search":
            page.select_option("#pair", label="atr × slow" if scheme == "dark" else "slow × fast")
            assert set(page.evaluate(COLOURS)) == {colours}
    page.emulate_media(color_scheme="dark", media="print")
    page.wait_for_function(f"{COLOURS}.every(one => one === '{LIGHT[1]}')")
    assert said == []
    page.close()


@pytest.mark.parametrize("name", ["plain", HOSTILE])
def test_a_leaderboard_is_drawn_at_any_width(browser: Browser, tmp_path: Path, name: str) -> None:
    """The order first, the race beneath, a watermark that takes no click; a name is text."""
    file = tmp_path / "report.html"
    file.write_text(contest_html(contest_made(name)), encoding="utf-8")
    for width in (1280, 390):
        page, said = opened(browser, file, width, 2)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.inner_text(".order").startswith("The order is not established")
        assert page.inner_text("table.board tbody tr:first-child td:nth-child(2) b") == name
        page.click("summary")
        assert said == []
        page.close()


def test_another_pair_of_parameters_is_drawn(browser: Browser, tmp_path: Path) -> None:
    """Choosing it replaces both maps."""
    file = tmp_path / "report.html"
    file.write_text(search_html(grid_found()), encoding="utf-8")
    page, said = opened(browser, file, 1280)
    axes = "[...document.querySelectorAll('.map')].map(m => m.layout.xaxis.title.text + ' ' + m.layout.yaxis.title.text)"
    assert page.evaluate(axes) == ["fast slow", "fast slow"]
    page.select_option("#pair", label="atr × slow")
    page.wait_for_function(f"{axes}.every(t => t === 'slow atr')")
    assert said == []
    page.close()
