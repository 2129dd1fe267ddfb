"""The parts that every report is made of: one file that needs no network, its panels, tiles and what must be known first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from plotly.offline import get_plotlyjs

from alpha_arena.backtest.charts import DARK
from alpha_arena.backtest.result import plain

WATERMARK = "SYNTHETIC DATA: these candles were generated. The figures show that the machinery works, and nothing about any market."


def page(title: str, parts: Iterable[str]) -> str:
    """The whole file."""
    style, script = ((Path(__file__).parent / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(title)}</title>'
    library = f"<style>{style}</style><script>{get_plotlyjs()}</script><script>const DARK={json.dumps(DARK)};{script}</script>"
    return f'<!doctype html><html lang="en"><head>{head}{library}</head><body><main>{"".join(parts)}</main></body></html>\n'


def card(title: str, body: str, more: str = "") -> str:
    """A panel."""
    return f'<section class="card"><h2>{escape(title)} <span>{escape(more)}</span></h2>{body}</section>'


def side_by_side(kind: str, cards: Iterable[str]) -> str:
    """Panels in a row, one below the other where the page is narrow; `kind`: pair (2:1), even, three."""
    return f'<div class="{kind}">{"".join(cards)}</div>'


def column(cards: Iterable[str]) -> str:
    """Panels one below the other, as one of those in a row."""
    return f'<div class="column">{"".join(cards)}</div>'


def headline(name: str, told: Iterable[str]) -> str:
    """The page's name and what it is about."""
    return f"<header><h1>{escape(name)}</h1>{''.join(f'<span class=chip>{escape(text)}</span>' for text in told)}</header>"


def warned(result: Mapping[str, Any]) -> Iterator[str]:
    """What to know first of figures that say nothing about a market."""
    if result["synthetic"]:
        yield f'<div class="banner" role="alert">{WATERMARK}</div>'
    asked = result.get("llm")
    if asked and asked["contaminated"]:
        yield f'<div class="banner" role="alert">{escape(asked["contamination"])}.</div>'


def chapter(title: str, more: str = "") -> str:
    """A heading between panels."""
    return f"<h2 class=chapter>{escape(title)} <span>{escape(more)}</span></h2>"


def tile(name: str, value: str, below: str) -> str:
    """One figure."""
    return f'<div class="tile"><small>{name}</small><b>{value}</b><i>{below}</i></div>'


def tiled(rows: Iterable[tuple[str, str, str]]) -> str:
    """Figures in a row."""
    return f'<div class="tiles">{"".join(tile(*row) for row in rows)}</div>'


def said(text: str) -> str:
    """A remark in the place of something that there is not."""
    return f"<p class=dim>{escape(text)}</p>"


def folded(texts: Mapping[str, Any]) -> str:
    """Mappings as YAML, each behind its name; empty ones are left out."""
    return "".join(_folded(texts))


def _folded(texts: Mapping[str, Any]) -> Iterator[str]:
    for name, value in texts.items():
        if value:
            yield f"<details><summary>{name}</summary><pre>{escape(yaml.safe_dump(plain(value), sort_keys=False))}</pre></details>"
