"""The arena and a model's decisions as a reader meets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fill import HOSTILE
from model_fill import NAME, fill_model
from test_dashboard import asked, shown
from visits import Visitor, serving

from alpha_arena.data.service import DataService

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def arena(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server over three traders by rules and one with a model."""
    file = tmp_path_factory.mktemp("arena") / "arena.db"
    file.write_bytes(filled.read_bytes())
    service = DataService(f"sqlite:///{file}")
    fill_model(service, 60)
    service.close()
    with serving(file) as found:
        yield found


def test_the_board_says_what_the_api_says(visit: Visitor, arena: str) -> None:
    """Return, equity, trades of each row to the last digit shown; the market is marked as synthetic; nothing is asked elsewhere."""
    seen = visit(arena, path="/arena")
    rows = asked(arena, "/api/arena")["rows"]
    assert len(rows) == 4
    for row in rows:
        line = f"[data-panel=board] [data-key='trader:{row['name']}']"
        assert seen.text(f"{line} .c-total_return") == f"{shown(row['total_return'] * 100, True)} %"
        assert seen.text(f"{line} .c-equity") == shown(row["equity"])
        assert seen.text(f"{line} .c-trades") == str(row["trades"])
        low, high = (shown(row[name], digits=1) for name in ("sharpe_low", "sharpe_high"))
        assert f"[{low}, {high}]" in seen.text(f"{line} .c-sharpe")
        assert ("few trades" in seen.text(f"{line} .c-name")) == (row["trades"] < 30)
    assert "since" in seen.text(f"[data-key='trader:{NAME}'] .c-name")
    assert seen.page.locator(".watermark:visible").count() == 2
    assert seen.page.title() == "Arena · Alpha Arena"
    assert seen.said == []


def test_sorting_is_in_the_head_and_in_the_address(visit: Visitor, arena: str) -> None:
    """A click sorts, a second turns it round; what is not known stays last; an address opens it so, an unknown one is told."""
    seen = visit(arena, path="/arena")
    names = "[...document.querySelectorAll('[data-panel=board] tbody tr')].map(row => row.dataset.key.split(':')[1])"
    rows = asked(arena, "/api/arena")["rows"]
    for falling in (True, False):
        seen.page.click(".c-max_drawdown button")
        expected = sorted(rows, key=lambda row: row["max_drawdown"], reverse=falling)
        assert seen.page.evaluate(names) == [row["name"] for row in expected]
        assert seen.page.get_attribute("th.c-max_drawdown", "aria-sort") == ("descending" if falling else "ascending")
        assert f"sort=max_drawdown&desc={int(falling)}" in seen.page.url
    linked = visit(arena, "sort=name&desc=0", path="/arena")
    assert linked.page.evaluate(names) == sorted(row["name"] for row in rows)
    lost = visit(arena, "sort=%3Cb%3Enothing", path="/arena")
    assert "sort = <b>nothing, which does not exist" in lost.text("[data-role=complaint]")


def test_columns_come_in_groups(visit: Visitor, arena: str) -> None:
    """Every column of the board is in one; a model's cost that is not known is a dash."""
    seen = visit(arena, path="/arena")
    seen.page.click("[data-panel=board] [data-value=models]")
    line = f"[data-key='trader:{NAME}']"
    assert seen.text(f"{line} .c-decisions") == "60"
    assert seen.text(f"{line} .c-fallback_rate") == "33.3 %"
    assert seen.text(f"{line} .c-llm_cost_usd") == "– USD"
    seen.page.click("[data-panel=board] [data-value=every]")
    assert seen.page.locator("[data-panel=board] thead th").count() == 30
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_phone_shows_five_columns(visit: Visitor, arena: str) -> None:
    """Rank, trader, return, against holding, drawdown; no sideways scroll of the page."""
    seen = visit(arena, "__theme=dark", 390, 844, path="/arena")
    assert seen.page.evaluate("document.documentElement.scrollWidth") == 390
    heads = seen.page.evaluate(
        "[...document.querySelectorAll('[data-panel=board] thead th')].filter(one => one.offsetParent).map(one => one.innerText.trim())"
    )
    assert [head.rstrip("↓") for head in heads] == ["#", "Trader", "Return", "vs hold", "Max DD"]


def test_the_pages_lead_to_each_other(visit: Visitor, arena: str) -> None:
    """With language, zone and theme; a row leads to its trader."""
    seen = visit(arena, "lang=zh&tz=local", path="/arena")
    seen.page.click("#aa nav a >> nth=0")
    seen.page.wait_for_selector("#aa[data-page=dashboard][data-ready=yes]")
    assert "lang=zh" in seen.page.url
    assert "tz=local" in seen.page.url
    seen.page.click("#aa nav a >> nth=1")
    seen.page.wait_for_selector("#aa[data-page=arena][data-ready=yes]")
    assert seen.page.title() == "竞技场 · Alpha Arena"
    seen.page.click(f"[data-key='trader:{NAME}'] a")
    seen.page.wait_for_selector("#aa[data-page=dashboard][data-ready=yes]")
    assert seen.page.input_value("[data-pick=trader]") == NAME


def test_the_way_to_the_other_page_needs_no_answer(visit: Visitor, arena: str) -> None:
    """Links hold language and zone before the first figure comes, so that an early click loses neither."""
    seen = visit(arena, "lang=zh&tz=local", path="/arena")
    seen.page.route("**/api/**", lambda route: route.abort())
    seen.page.reload()
    seen.page.wait_for_function("document.title.startsWith('竞技场')")
    for link in seen.page.query_selector_all("#aa nav a"):
        assert "lang=zh&tz=local" in (link.get_attribute("href") or "")


def test_a_card_says_what_its_model_did(visit: Visitor, arena: str) -> None:
    """Model, seconds, confidence, tokens, cost; a fallback's level and cause in words; the record folded, all of it as text."""
    seen = visit(arena, f"trader={NAME}")
    rows = asked(arena, f"/api/decisions?trader={NAME}&limit=60")["decisions"]
    good, silent, hostile = (
        next(row for row in rows if row["model"]["level"] == level and (row["model"]["cost_usd"] is None) is unknown)
        for level, unknown in ((0, False), (4, True), (0, True))
    )
    card = seen.text(f"[data-key='{good['id']}']")
    assert "m-1 · 2.1 s · stated confidence 80 % · 1,100 tokens · 0.00056 USD" in card
    assert "fallback 4: position held" in seen.text(f"[data-key='{silent['id']}']")
    assert "ServerError (HTTP 503): the model is overloaded" in seen.text(f"[data-key='{silent['id']}']")
    assert "– tokens · – USD" in seen.text(f"[data-key='{hostile['id']}']")
    assert "win rate" in seen.text("[data-panel=feedback]")
    linked = visit(arena, f"trader={NAME}&sel=decision:{hostile['id']}")
    linked.page.wait_for_selector(".talk summary")
    for summary in linked.page.query_selector_all(".talk summary"):
        summary.click()
    assert HOSTILE[:40] in linked.page.inner_text(".talk")
    assert linked.page.locator(".talk img, .talk b").count() == 0
    assert linked.page.title() != "owned"
    assert linked.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert linked.said == []


def test_the_filter_keeps_what_fell_back(visit: Visitor, arena: str) -> None:
    """And nothing else."""
    seen = visit(arena, f"trader={NAME}")
    seen.page.click("[data-role=filter] [data-value=fallback]")
    fallen = asked(arena, f"/api/decisions?trader={NAME}&filter=fallback")["decisions"]
    seen.page.wait_for_function(f"document.querySelectorAll('.decision').length === {len(fallen)}")
    assert seen.page.locator(".decision .cause").count() == len(fallen) > 10
