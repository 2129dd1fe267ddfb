"""The dashboard as a reader meets it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from fill import BTC, HOSTILE, last_close
from visits import Visitor, serving

from alpha_arena.core.types import Candles
from alpha_arena.data.service import DataService
from alpha_arena.monitor.app import bound

pytestmark = pytest.mark.browser

COLOURS = """selector => {
  const seen = new Set();
  for (const canvas of document.querySelectorAll(selector + ' canvas')) {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < data.length; i += 4) if (data[i + 3]) seen.add((data[i] << 16) + (data[i + 1] << 8) + data[i + 2]);
  }
  return [...seen];
}"""
# the view that the page keeps is the one that is shown: the last of several steps has been noted too
SETTLED = """() => {
  const { axis, chart, view } = document.querySelector('#aa').page.candles;
  const shown = chart.timeScale().getVisibleLogicalRange();
  const close = (index, ms) => Math.abs(axis.ms(index) - ms) < axis.step / 2;
  return new URLSearchParams(location.search).get('from') && close(shown.from, view[0]) && close(shown.to, view[1]);
}"""
UP, DOWN, ACCENT = 0x00796B, 0xB83A08, 0x3B4FD8


def asked(address: str, path: str) -> dict[str, Any]:
    """The API's answer."""
    found: dict[str, Any] = httpx.get(f"{address}{path}", trust_env=False, timeout=120).json()
    return found


def shown(value: float, signed: bool = False, digits: int = 2) -> str:
    """A number as the page writes it."""
    text = f"{abs(value):,.{digits}f}"
    nothing = not float(text.replace(",", ""))
    return ("" if nothing else "−" if value < 0 else "+" if signed else "") + text


def test_charts_are_drawn_and_nothing_is_asked_elsewhere(visit: Visitor, address: str) -> None:
    """D59: candles in both colours with entries on them; the console stays empty and no request leaves the machine."""
    seen = visit(address, "trader=portfolio")
    assert {UP, DOWN, ACCENT} <= set(seen.page.evaluate(COLOURS, ".chart.candles"))
    assert len(seen.page.evaluate(COLOURS, ".chart.equity")) > 10
    assert {urlsplit(url).hostname for url in seen.asked if url.startswith("http")} == {"127.0.0.1"}
    assert seen.said == []
    assert seen.page.title() == "Dashboard · Alpha Arena"


@pytest.mark.parametrize("trader", ["ema_solo", "equal_weight", "portfolio"])
def test_the_tiles_say_what_the_api_says(visit: Visitor, address: str, trader: str) -> None:
    """D31: to the last digit shown, signs and units included; the legend's return equals the leaderboard's."""
    kpi = asked(address, f"/api/dashboard?trader={trader}")["kpi"]
    seen = visit(address, f"trader={trader}")
    assert seen.text("[data-kpi=equity] .big") == shown(kpi["equity"])
    assert shown(kpi["total"], True) in seen.text("[data-kpi=total] .big")
    assert f"{shown(kpi['total_fraction'] * 100, True)} %" in seen.text("[data-kpi=total] .sub")
    assert shown(kpi["today"], True) in seen.text("[data-kpi=today] .big")
    assert seen.text("[data-kpi=drawdown] .big") == f"{shown(kpi['drawdown'] * 100)} %"
    assert f"{shown(kpi['total_fraction'] * 100, True)} %" in seen.text(f".legend [data-key={trader}]")
    assert "SIMULATED" in seen.text("[data-panel=strip]")
    assert "synthetic market" in seen.text("[data-panel=strip]")


def test_hostile_text_is_text(visit: Visitor, address: str) -> None:
    """D58: markup in a reason is read, not run, and five thousand characters stay in their card."""
    seen = visit(address, "trader=ema_solo")
    assert seen.text(".decision .why").startswith("<img src=x onerror=")
    assert seen.page.locator(".feed img, .feed b").count() == 0
    assert seen.page.title() != "owned"
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert len(HOSTILE) > 2000


def test_news_changes_numbers_only(visit: Visitor, copied: Path) -> None:
    """D55: cards and rows stay the same elements, the zoomed view stays, the new price arrives by itself."""
    service = DataService(f"sqlite:///{copied}")
    with serving(copied) as address:
        seen = visit(address, "trader=portfolio")
        page = seen.page
        page.focus(".chart.candles")
        for _ in range(3):
            page.keyboard.press("+")
        page.wait_for_function(SETTLED)
        page.evaluate("for (const node of document.querySelectorAll('.decision, .rows tr, .kpi, .legend .name')) node.kept = true")
        view = page.evaluate("document.querySelector('#aa').page.candles.view")
        ts = last_close(service)
        bar = Candles(np.array([ts], np.int64), *(np.array([price]) for price in (77_000.0, 77_777.7, 76_000.0, 77_123.4, 5.0)))
        service.write_candles("synthetic", BTC.symbol, "1h", bar)
        page.wait_for_function("document.querySelector('[data-role=ohlc]').textContent.includes('77,123.4')")
        fresh = "[...document.querySelectorAll('.decision, .rows tr, .kpi, .legend .name')].filter(node => !node.kept).length"
        assert page.evaluate(fresh) == 0
        assert page.evaluate("document.querySelector('#aa').page.candles.view") == view
        assert seen.said == []
    service.close()


@pytest.fixture
def port() -> Iterator[int]:
    """One that is this test's own, also while nobody listens at it."""
    with bound("127.0.0.1", 0) as kept:
        yield int(kept.getsockname()[1])


def test_a_stopped_engine_is_told_and_its_return_too(visit: Visitor, copied: Path, port: int) -> None:
    """D54: the last numbers stay with the time of the last answer; the strip clears itself without a reload."""
    with serving(copied, port) as address:
        seen = visit(address, "trader=portfolio")
        equity = seen.text("[data-kpi=equity] .big")
    # the last answer of a server that ends may be an error, which the strip tells in other words
    seen.page.wait_for_function("document.querySelector('[data-role=message]').textContent.startsWith('No answer from the engine since')")
    assert "down" in (seen.page.get_attribute("[data-panel=strip]", "class") or "").split()
    assert seen.text("[data-role=next]") == ""
    assert seen.text("[data-kpi=equity] .big") == equity
    with serving(copied, port):
        seen.page.wait_for_function("!document.querySelector('[data-panel=strip]').classList.contains('down')")
        assert seen.text("[data-role=message]") == ""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scroll(visit: Visitor, address: str, theme: str) -> None:
    """D56: tiles on the first screen, the position next, in both themes."""
    seen = visit(address, f"trader=portfolio&__theme={theme}", 390, 844)
    assert seen.page.evaluate("document.documentElement.scrollWidth") == 390
    tops = {name: seen.page.locator(f"[data-panel={name}]").bounding_box() for name in ("strip", "kpi", "position", "equity", "orders")}
    heights = [box["y"] for box in tops.values() if box]
    assert heights == sorted(heights)
    assert heights[2] < 844


def test_an_address_opens_what_it_names(visit: Visitor, address: str) -> None:
    """D57: a decision, an order's life and a trade have links; what does not exist is told in one sentence."""
    decision = asked(address, "/api/decisions?trader=portfolio&filter=acted")["decisions"][3]["id"]
    seen = visit(address, f"trader=portfolio&sel=decision:{decision}")
    seen.page.wait_for_selector(f"[data-key='{decision}'].open table")
    order = asked(address, "/api/orders?trader=portfolio")["orders"][0]["id"]
    seen = visit(address, f"trader=portfolio&sel=order:{order}")
    seen.page.wait_for_selector(".life .steps li")
    seen = visit(address, "trader=%3Cb%3Enobody")
    assert "trader = <b>nobody, which does not exist" in seen.text("[data-role=complaint]")


def test_the_switches_work_in_place(visit: Visitor, address: str) -> None:
    """Theme without a reload; Chinese with every label; the choice is in the address."""
    seen = visit(address, "trader=portfolio")
    before = seen.page.evaluate(COLOURS, ".chart.candles")
    seen.page.click("[data-switch=theme]")
    seen.page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    assert "__theme=dark" in seen.page.url
    seen.page.wait_for_function(f"before => ({COLOURS})('.chart.candles').some(one => !before.includes(one))", arg=before)
    chinese = visit(address, "trader=portfolio&lang=zh")
    assert chinese.page.evaluate("document.documentElement.lang") == "zh"
    assert chinese.text("[data-kpi=equity] dt") == "权益"
    assert chinese.said == []
