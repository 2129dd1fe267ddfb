"""What a reader does between a question and its answer, and when the page counts as drawn."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, Route
from test_dashboard import asked, shown
from visits import Visitor

pytestmark = pytest.mark.browser

PORTFOLIO = "/api/dashboard?trader=portfolio&symbol=BTC%2FUSDT%3AUSDT"
DECISIONS = "/api/decisions?trader=portfolio&symbol=BTC%2FUSDT%3AUSDT&limit=60"


def held(page: Page, address: str) -> list[Route]:
    """Where questions to an address go from now on; they wait there for an answer."""
    found: list[Route] = []
    page.route(address, lambda route: found.append(route))
    return found


def first(page: Page, found: list[Route]) -> Route:
    """The first of them, once it is there."""
    while not found:
        page.evaluate("new Promise(requestAnimationFrame)")
    return found[0]


def test_a_page_is_ready_when_its_last_panel_is(browser: Browser, address: str) -> None:
    """Whoever acts on it then finds curves and their names, not their places."""
    page = browser.new_page()
    page.set_default_timeout(120_000)
    late = held(page, "**/api/equity?*")
    page.goto(f"{address}/?trader=portfolio")
    first(page, late)
    assert page.get_attribute("#aa", "data-ready") is None
    late[0].continue_()
    page.wait_for_selector("#aa[data-ready=yes]")
    assert page.locator("[data-panel=equity] .legend .name").count() == 4
    page.close()


def test_an_answer_about_another_trader_does_not_take_the_choice_back(visit: Visitor, address: str) -> None:
    """It was asked for before the choice, and comes after it."""
    seen = visit(address, "trader=portfolio")
    late = held(seen.page, "**/api/dashboard?trader=portfolio*")
    first(seen.page, late)
    seen.page.select_option("[data-pick=trader]", "ema_solo")
    late[0].fulfill(json=asked(address, PORTFOLIO))
    equity = shown(asked(address, "/api/dashboard?trader=ema_solo")["kpi"]["equity"])
    seen.page.wait_for_function(f"document.querySelector('[data-kpi=equity] .big').textContent === '{equity}'")
    assert seen.page.input_value("[data-pick=trader]") == "ema_solo"
    assert seen.said == []


@pytest.mark.parametrize(
    ("path", "name", "button", "rows"),
    [
        (DECISIONS, "decisions", "[data-panel=decisions] [data-value=fallback]", ".decision"),
        (
            "/api/orders?trader=portfolio&symbol=BTC%2FUSDT%3AUSDT&limit=50",
            "orders",
            "[data-panel=orders] [data-value=rejected]",
            "tr.pick",
        ),
    ],
)
def test_an_answer_to_another_filter_is_not_shown(visit: Visitor, address: str, path: str, name: str, button: str, rows: str) -> None:
    """It would stay: the answer to the chosen one has been seen and does not come again."""
    seen = visit(address, "trader=portfolio")
    late = held(seen.page, f"**/api/{name}?*filter=all*")
    first(seen.page, late)
    seen.page.click(button)
    chosen = button.rpartition("=")[2].rstrip("]")
    expected = len(asked(address, f"{path}&filter={chosen}")[name])
    counted = f"document.querySelectorAll('{rows}').length"
    seen.page.wait_for_function(f"{counted} === {expected}")
    everything = asked(address, f"{path}&filter=all")
    assert len(everything[name]) != expected
    # the next round of questions begins when this one's answers have been dealt with
    with seen.page.expect_request(f"**/api/{name}?*filter={chosen}*"):
        late[0].fulfill(json=everything)
    assert seen.page.evaluate(counted) == expected
