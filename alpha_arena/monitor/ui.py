"""The dashboard's frame as Gradio mounts it; the scripts in assets/ draw the panels from the API."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from alpha_arena.monitor.library import notice

ASSETS = Path(__file__).parent / "assets"
LANGUAGES = ("en", "zh")
TILES = ("equity", "today", "total", "drawdown", "position", "exposure")

HEAD = """
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/monitor/assets/page.css">
<script src="/monitor/lightweight-charts.js" defer></script>
<script>
  (() => {
    const asked = new URLSearchParams(location.search).get('__theme');
    let kept = null;
    try { kept = localStorage.getItem('alpha-arena.__theme'); } catch { kept = null; }
    const system = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
    document.documentElement.dataset.theme = [asked, kept, system].find(one => one === 'light' || one === 'dark');
  })();
</script>
<script type="module" src="/monitor/assets/main.js"></script>
"""


def words(language: str = "en") -> dict[str, str]:
    """The page's sentences by key."""
    loaded: dict[str, str] = json.loads((ASSETS / "lang" / f"{language}.json").read_text(encoding="utf-8"))
    return loaded


class Frame:
    """Writes the page's skeleton in one language; scripts replace the words when another is chosen.

    Args:
        sentences: by key.
    """

    def __init__(self, sentences: dict[str, str]) -> None:
        self.sentences = sentences

    def t(self, key: str, tag: str = "span", more: str = "") -> str:
        """An element with a sentence."""
        return f'<{tag} data-t="{key}"{more}>{escape(self.sentences[key])}</{tag}>'

    def label(self, key: str) -> str:
        """A sentence for an attribute."""
        return escape(self.sentences[key], quote=True)

    def group(self, role: str, key: str) -> str:
        """A place for a group of buttons."""
        return f'<div class="group" role="group" data-role="{role}" aria-label="{self.label(key)}"></div>'

    def page(self) -> str:
        """The whole frame."""
        return f"""<div id="aa"><a class="skip" href="#aa-main">{self.t("page.skip")}</a>
{self.navigation()}
<main class="main" id="aa-main" tabindex="-1">{self.strip()}{self.tiles()}
<div class="grid"><div class="column">{self.equity()}{self.candles()}</div>
<div class="column">{self.position()}{self.decisions()}</div></div>{self.orders()}{self.foot()}</main></div>"""

    def navigation(self) -> str:
        """Name, pages, trader and symbol."""
        picks = "".join(
            f'<label class="pick">{self.t(f"pick.{name}")}<select data-pick="{name}"></select></label>' for name in ("trader", "symbol")
        )
        here = self.t("page.dashboard", "a", ' class="here" href="/" aria-current="page"')
        brand = '<span class="brand">Alpha Arena</span>'
        return f'<header class="nav">{brand}<nav>{here}</nav><span class="grow"></span><div class="picks">{picks}</div></header>'

    def strip(self) -> str:
        """Mode, freshness, next decision, time, switches."""
        return f"""<div class="strip card" data-panel="strip" role="status" aria-label="{self.label("strip.label")}">
<h1 class="hidden-text">{self.t("page.title")}</h1><span data-role="chips" style="display:contents"></span>
<span class="message" data-role="message"></span><span class="dim" data-role="next"></span><span class="grow"></span>
<span class="dim" data-role="time"></span>
<div class="group" role="group" data-switch="tz" aria-label="{self.label("zone.label")}"></div>
<div class="group" role="group" data-switch="lang" aria-label="{self.label("language.label")}"></div>
<button type="button" class="toggle" data-switch="theme"></button>
<span class="stale-note" role="alert" data-role="complaint" hidden></span></div>"""

    def tiles(self) -> str:
        """The key figures."""
        tiles = "".join(
            f'<div class="kpi" data-kpi="{name}">{self.t(f"kpi.{name}", "dt")}<dd class="big">–</dd><dd class="sub">\u00a0</dd></div>'
            for name in TILES
        )
        return f'<dl class="kpis card" data-panel="kpi" aria-label="{self.label("kpi.label")}">{tiles}</dl>'

    def panel(self, name: str, title: str, tools: str, body: str, classes: str = "") -> str:
        """A card with a head."""
        note = '<span class="stale-note" hidden></span>'
        head = f'<div class="head">{title}{note}<div class="tools">{tools}</div></div>'
        return f'<section class="panel card {classes}" data-panel="{name}">{head}{body}</section>'

    def equity(self) -> str:
        """The equity chart."""
        tools = '<span class="dim" data-role="at"></span>' + self.group("scale", "scale.label") + self.group("range", "range.label")
        box = f'<div class="chart equity" role="img" aria-label="{self.label("equity.chart")}"><div class="empty" hidden></div></div>'
        return self.panel("equity", self.t("equity.title", "h2"), tools, f'<div class="legend"></div>{box}', "equity-panel")

    def candles(self) -> str:
        """The candle chart."""
        title = '<h2 data-role="symbol">\u00a0</h2><span class="chip" data-role="bar">\u00a0</span>'
        box = (
            f'<div class="chart candles" tabindex="0" role="application" aria-label="{self.label("candles.chart")}">'
            '<div class="empty" hidden></div><div class="hover" hidden></div></div>'
        )
        bands = (("range", "range"), ("trend_up", "up"), ("trend_down", "down"), ("volatile", "volatile"))
        swatch = '<span class="swatch box" style="background:var(--regime-{})"></span>'
        legend = "".join(f'<span class="name">{swatch.format(tone)}{self.t(f"candles.{key}")}</span>' for key, tone in bands)
        legend = f'<div class="legend dim">{legend}{self.t("candles.marks")}</div>'
        line = '<div class="legend"><span class="dim" data-role="ohlc">\u00a0</span></div>'
        return self.panel("candles", title, self.group("range", "range.label"), line + box + legend, "candles-panel")

    def position(self) -> str:
        """The ladders of open positions."""
        body = '<div class="positions"><p class="dim" data-role="flat" hidden></p><div data-role="list"></div></div>'
        return self.panel("position", self.t("position.title", "h2"), '<span class="chip" data-role="count"></span>', body, "position")

    def decisions(self) -> str:
        """The feed of decisions."""
        label = self.label("decisions.title")
        body = f'<p class="sentence" data-role="none" hidden></p><div class="feed" role="feed" tabindex="0" aria-label="{label}"></div>'
        return self.panel("decisions", self.t("decisions.title", "h2"), self.group("filter", "decisions.filter"), body, "decisions")

    def orders(self) -> str:
        """Orders and round trips."""
        table = '<table class="rows"><caption class="hidden-text"></caption><thead><tr></tr></thead><tbody></tbody></table>'
        more = self.t("orders.more", "button", ' type="button" class="toggle more" hidden')
        scroll = f'<div class="scroll" tabindex="0" role="region" aria-label="{self.label("orders.title")}">{table}</div>'
        body = f'{scroll}<p class="sentence" data-role="none" hidden></p>{more}'
        return self.panel("orders", self.t("orders.title", "h2"), self.group("view", "orders.view"), body, "orders")

    def foot(self) -> str:
        """Attribution of the chart library."""
        link = self.t("page.charts", "a", ' href="https://www.tradingview.com/" rel="noopener noreferrer" target="_blank"')
        return f'<footer class="foot">{link}<span>{escape(notice())}</span></footer>'


def page() -> Any:
    """Gradio's Blocks with the dashboard."""
    import gradio as gr

    with gr.Blocks(title=words()["page.title"], analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(Frame(words()).page(), apply_default_css=False, padding=False, js_on_load="")
    return blocks
