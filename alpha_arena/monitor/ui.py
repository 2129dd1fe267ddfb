"""The pages' frames as Gradio mounts them; the scripts in assets/ draw the panels from the API."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from alpha_arena.monitor.library import notice

ASSETS = Path(__file__).parent / "assets"
LANGUAGES = ("en", "zh")
PAGES = {"dashboard": "/", "arena": "/arena"}
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

    def page(self, name: str) -> str:
        """The whole frame of one of PAGES."""
        body = self.dashboard() if name == "dashboard" else self.arena()
        return f"""<div id="aa" data-page="{name}"><a class="skip" href="#aa-main">{self.t("page.skip")}</a>
{self.navigation(name)}
<main class="main" id="aa-main" tabindex="-1">{self.strip(name)}{body}{self.foot()}</main></div>"""

    def dashboard(self) -> str:
        """The panels of one trader."""
        return f"""{self.tiles()}<div class="grid"><div class="column">{self.equity()}{self.candles()}</div>
<div class="column">{self.position()}{self.feedback()}{self.decisions()}</div></div>{self.orders()}"""

    def arena(self) -> str:
        """The race and the leaderboard."""
        spark = '<template data-role="spark"><svg viewBox="0 0 96 22" aria-hidden="true"><polyline/></svg></template>'
        return self.race() + self.board("board") + self.board("contaminated", " hidden") + spark

    def navigation(self, here: str) -> str:
        """Name, pages, on the dashboard trader and symbol."""
        picks = "".join(
            f'<label class="pick">{self.t(f"pick.{name}")}<select data-pick="{name}"></select></label>' for name in ("trader", "symbol")
        )
        links = "".join(self.link(name, path, name == here) for name, path in PAGES.items())
        brand = '<span class="brand">Alpha Arena</span>'
        chosen = f'<div class="picks">{picks}</div>' if here == "dashboard" else ""
        return f'<header class="nav">{brand}<nav>{links}</nav><span class="grow"></span>{chosen}</header>'

    def link(self, name: str, path: str, here: bool) -> str:
        """A page in the navigation."""
        return self.t(f"page.{name}", "a", f' href="{path}"' + (' class="here" aria-current="page"' if here else ""))

    def strip(self, name: str) -> str:
        """The page's name for who cannot see it, mode, freshness, next decision, time, switches."""
        return f"""<div class="strip card" data-panel="strip" role="status" aria-label="{self.label("strip.label")}">
<h1 class="hidden-text">{self.t(f"page.{name}")}</h1><span data-role="chips" style="display:contents"></span>
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

    def panel(self, name: str, title: str, tools: str, body: str, classes: str = "", more: str = "") -> str:
        """A card with a head."""
        note = '<span class="stale-note" hidden></span>'
        head = f'<div class="head">{title}{note}<div class="tools">{tools}</div></div>'
        return f'<section class="panel card {classes}" data-panel="{name}"{more}>{head}{body}</section>'

    def equity(self) -> str:
        """The equity chart."""
        tools = '<span class="dim" data-role="at"></span>' + self.group("scale", "scale.label") + self.group("range", "range.label")
        box = f'<div class="chart equity" role="img" aria-label="{self.label("equity.chart")}"><div class="empty" hidden></div></div>'
        return self.panel("equity", self.t("equity.title", "h2"), tools, f'<div class="legend"></div>{box}', "equity-panel")

    def race(self) -> str:
        """The equity of everybody on the board."""
        tools = '<span class="dim" data-role="at"></span>' + self.group("scale", "scale.label")
        label = self.label("race.chart")
        chart = f'<div class="chart race" role="img" aria-label="{label}"><div class="empty" hidden></div>{self.watermark()}</div>'
        return self.panel("race", self.t("race.title", "h2"), tools, f'<div class="legend"></div>{chart}')

    def board(self, name: str, more: str = "") -> str:
        """A leaderboard."""
        title = self.t(f"{name}.title", "h2") + '<span class="dim" data-role="terms"></span>'
        table = '<table class="rows board"><caption class="hidden-text"></caption><thead><tr></tr></thead><tbody></tbody></table>'
        label = self.label(f"{name}.title")
        scroll = f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">{table}{self.watermark()}</div>'
        notes = '<p class="sentence" data-role="none" hidden></p><ul class="notes" data-role="notes"></ul>'
        return self.panel(name, title, self.group("view", "board.view"), scroll + notes, "board-panel", more)

    def watermark(self) -> str:
        """What a generated market's figures are marked with."""
        return self.t("page.synthetic", "span", ' class="watermark" aria-hidden="true" hidden')

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

    def feedback(self) -> str:
        """How a model's decisions have done, as it was told; there only where a model decides."""
        title = self.t("feedback.title", "h2") + '<span class="dim" data-role="shown"></span>'
        return self.panel("feedback", title, "", '<dl class="facts"></dl><p data-role="few"></p>', "feedback", " hidden")

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
    """Gradio's Blocks with all pages."""
    import gradio as gr

    frame = Frame(words())
    name, *others = PAGES
    with gr.Blocks(title="Alpha Arena", analytics_enabled=False, fill_width=True) as blocks:
        gr.HTML(frame.page(name), apply_default_css=False, padding=False, js_on_load="")
    for other in others:
        with blocks.route(other, PAGES[other], show_in_navbar=False):
            gr.HTML(frame.page(other), apply_default_css=False, padding=False, js_on_load="")
    return blocks
