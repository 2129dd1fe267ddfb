"""The page's frame, words and scripts without a browser."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from fill import BTC

from alpha_arena.core.errors import ConfigError
from alpha_arena.core.records import FINAL_STATES, OPEN_STATES
from alpha_arena.data.service import DataService
from alpha_arena.monitor import library
from alpha_arena.monitor.app import address_of, bound, build
from alpha_arena.monitor.scope import Scope
from alpha_arena.monitor.ui import ASSETS, LANGUAGES, PAGES, Frame, words

SCRIPTS = sorted(ASSETS.glob("*.js"))
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS)


def used_keys() -> tuple[set[str], set[str]]:
    """Keys that scripts and frame name whole, and the beginnings of those that scripts put together."""
    whole = set(re.findall(r"\bt\('([^']+)'", SOURCE)) | set(re.findall(r"[?:(] ?'([a-z]+\.[a-z_]+)'", SOURCE))
    frame = Frame(dict.fromkeys(words(), ""))
    whole |= {key for name in PAGES for key in re.findall(r'data-t="([^"]+)"', frame.page(name))}
    whole |= set(re.findall(r'\(?"([a-z]+\.[a-z]+)"\)', (ASSETS.parent / "ui.py").read_text(encoding="utf-8")))
    return whole & ({key for key in whole if "." in key} | {"months"}), set(re.findall(r"t\(`([a-z]+\.)\$", SOURCE))


def test_every_sentence_that_is_used_exists_and_none_is_idle() -> None:
    """D66: no key shows through, none is dead."""
    whole, beginnings = used_keys()
    known = set(words("en"))
    assert {key for key in whole if key not in known} == set()
    assert {key for key in known - whole if not key.startswith(tuple(beginnings))} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything_with_the_same_values(language: str) -> None:
    """Same keys, same {names} in each sentence, twelve months."""
    ours, theirs = words("en"), words(language)
    assert {f"state.{state}" for state in (*OPEN_STATES, *FINAL_STATES, "EXTERNAL")} <= theirs.keys()
    assert list(ours) == list(theirs)
    names = {key: (set(re.findall(r"\{\w+\}", ours[key])), set(re.findall(r"\{\w+\}", theirs[key]))) for key in ours}
    assert {key for key, (a, b) in names.items() if a != b} == set()
    assert len(theirs["months"].split(" ")) == 12


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_write_text_only_and_stay_home(path: Path) -> None:
    """D58: no way for stored text to become markup, and no address but our own."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
    assert not re.search(r"https?://", text)
    assert text.count("\n") <= 400


def test_the_frame_names_no_other_address_than_the_licence_s_link() -> None:
    """No font, icon or script from elsewhere."""
    page = "".join(Frame(words()).page(name) for name in PAGES)
    assert set(re.findall(r"https?://[^\s\"<]+", page)) == {"https://www.tradingview.com/"}
    assert "TradingView, Inc." in page


def test_the_chart_library_is_the_examined_one() -> None:
    """Another version or other bytes are refused with the pin to install."""
    assert b"Lightweight Charts" in library.chart_library()[:200]
    with pytest.raises(ConfigError, match=r"needs pylightcharts==9\.9\.9, found 0\.1\.6"):
        library.chart_library(version="9.9.9")
    with pytest.raises(ConfigError, match="not the file that was examined"):
        library.chart_library(digest="0")


async def built(store: DataService) -> FastAPI:
    """The application; Gradio leaves event loops open where none runs."""
    return build(store, Scope((BTC,)))


def test_page_api_and_assets_share_one_port(store: DataService) -> None:
    """The page by Gradio, everything below /api in JSON, assets under a prefix of their own."""
    with TestClient(asyncio.run(built(store))) as client:
        page = client.get("/")
        assert page.status_code == 200
        assert "/monitor/assets/main.js" in page.text
        assert client.get("/monitor/lightweight-charts.js").headers["content-type"].startswith("text/javascript")
        assert client.get("/monitor/assets/lang/en.json").json()["page.arena"] in page.text
        assert "data-page=" in client.get("/arena").text
        missing = client.get("/api/nothing/here")
        assert (missing.status_code, missing.json()) == (404, {"error": "there is no /api/nothing/here"})
        assert client.get("/healthz").json() == {"ok": True}


def test_port_0_is_any_free_one_and_a_taken_one_is_named() -> None:
    """D3: the error says what to choose."""
    with bound("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        assert address_of(first) == f"http://127.0.0.1:{port}"
        with pytest.raises(ConfigError, match=f"monitor.port={port} cannot be used on 127.0.0.1"):
            bound("127.0.0.1", port)
