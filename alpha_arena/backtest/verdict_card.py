"""A verdict as the first thing on a page: the grade, and each reason in words."""

from __future__ import annotations

from collections import Counter
from html import escape

from alpha_arena.backtest.verdict import Reason, Verdict
from alpha_arena.backtest.wording import words

MEANING = {
    "PASS": "Nothing that was asked of it speaks for luck.",
    "WEAK": "It earned, but not all that was asked of it holds.",
    "REJECT": "It lost, or luck explains what it earned.",
}
MARKS = {True: ("yes", "✓ passed"), False: ("no", "✕ failed"), None: ("open", "– not defined")}


def verdict_card(verdict: Verdict, about: str = "", folded: bool = False) -> str:
    """A panel; `about`: what was judged, where a page has several; `folded`: the reasons wait behind a click."""
    count = Counter(reason.passed for reason in verdict.reasons)
    told = ", ".join(f"{count[passed]} {MARKS[passed][1][2:]}" for passed in MARKS if count[passed])
    grade = f'<b class="grade">{escape(verdict.grade)}</b>'
    lead = f"<div><h2>Verdict <span>{escape(about)}</span></h2><p>{MEANING[verdict.grade]}</p><p class=dim>{told}</p></div>"
    reasons = f"<ul class=reasons>{''.join(map(reason_line, verdict.reasons))}</ul>"
    if folded:
        reasons = f"<details><summary>Reasons</summary>{reasons}</details>"
    return f'<section class="card verdict {verdict.grade.lower()}"><div class=judged>{grade}{lead}</div>{reasons}</section>'


def reason_line(reason: Reason) -> str:
    """One reason."""
    kind, mark = MARKS[reason.passed]
    name = escape(words(reason.name))
    name = name[:1].upper() + name[1:]
    return f'<li class="{kind}"><i>{mark}</i><b>{name}</b><span>{escape(reason.text)}</span></li>'
