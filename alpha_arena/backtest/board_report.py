"""report.html of an arena: the leaderboard with what its order is worth, the race, drawdowns, what was left out of the order."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from alpha_arena.backtest.board import Board, Row
from alpha_arena.backtest.charts import DIM, DOWN, SERIES, SHORT, UP, YELLOW, dressed, fragment, line, times
from alpha_arena.backtest.contest import Contest
from alpha_arena.backtest.contestants import Contestant
from alpha_arena.backtest.page import card, folded, headline, page, said, side_by_side, warned
from alpha_arena.backtest.statistics import drawdowns
from alpha_arena.backtest.tables import coloured, figures_table, row, table
from alpha_arena.backtest.thinning import extremes
from alpha_arena.backtest.wording import UNKNOWN, date, letter, money, number, percent
from alpha_arena.core.types import Floats

COLOURS = (SERIES, SHORT, UP, DOWN, YELLOW, "#0b7fab", "#6a3fb5", "#4d7a1f", "#c2185b", "#5b4636")
DASHES = {"flat": "dot", "buy_and_hold": "dash", "equal_weight": "dashdot", "best_rule": "longdash", "portfolio": "longdashdot"}
BELOW = {"orientation": "h", "x": 0, "y": -0.1, "xanchor": "left", "yanchor": "top", "traceorder": "normal"}
SHADE = "rgba(128,140,158,.26)"
BENCHMARK = DIM
HEAD = ["", "Contestant", "Return", "Net of LLM", "Sharpe", "PSR", "DSR", "Max drawdown", "Exposure", "Trades", "Above random"]
HEAD += ["Told apart from"]
MORE = ["", "Contestant", "Needs", "Volatility", "Turnover", "Fees", "Funding", "LLM cost", "Unusable", "Fallback", "Latency"]
WATERMARK = (
    "<style>.across{position:fixed;inset:0;display:grid;place-items:center;pointer-events:none;z-index:9;overflow:hidden}"
    ".across b{transform:rotate(-28deg);font-size:min(13vw,180px);font-weight:800;letter-spacing:.06em;color:rgba(184,58,8,.11)}</style>"
    '<div class="across" aria-hidden="true"><b>SYNTHETIC</b></div>'
)
STYLE = (
    "<style>table.board td:nth-child(2),table.board th:nth-child(2){text-align:left;position:sticky;left:0;z-index:1}"
    "table.board td:nth-child(2),table.board th:nth-child(2){background:var(--card)}"
    "table.board td{height:38px}table.board small{display:block;color:var(--dim);max-width:260px;overflow:hidden;text-overflow:ellipsis}"
    "table.board tr.part td{background:var(--chip);height:26px;font-weight:600}.order{font-size:15px;margin:0 0 10px;font-weight:600}"
    "@media(max-width:700px){table.board small{max-width:120px}}</style>"
)


def contest_html(contest: Contest) -> str:
    """The whole page."""
    return page(f"Arena {contest.name}", [headline(f"Arena {contest.name}", about(contest)), STYLE, *sections(contest)])


def about(contest: Contest) -> tuple[str, ...]:
    """What was competed on."""
    r = contest.result
    told = (*r["symbols"], r["timeframe"], f"{date(r['start_ts'])} to {date(r['end_ts'])}", f"{r['bars']:,} bars")
    return (*told, f"{money(r['initial_capital'])} each", "fees, slippage and funding in")


def sections(contest: Contest) -> Iterator[str]:
    """From the order to how it was made."""
    yield from warned(contest.result)
    if contest.result["synthetic"]:
        yield WATERMARK
    yield leaderboard(contest.board)
    for note in contest.result["notes"]:
        yield f'<div class="note">{escape(note)}</div>'
    yield card("Equity", fragment(race(contest)), "return on the same capital; shaded: 5 to 95 % of traders with random weights")
    yield card("Drawdown", fragment(falls(contest)), "below the highest equity so far; lines as above")
    yield from left_out(contest.board)
    yield behind(contest.board)
    yield side_by_side("even", [chosen(contest), chance(contest)])
    yield card("How it was made", folded({"Configuration": contest.settings}))


def leaderboard(board: Board) -> str:
    """What the order is worth, then the ranked ones and the benchmarks."""
    ranked = [one for one in board.rows if one.rank is not None]
    beside = [one for one in board.rows if one.kind == "benchmark"]
    lines = [*map(board_row, ranked), part("Benchmarks"), *map(board_row, beside)]
    order = f'<p class="order">{escape(board.said)}</p>'
    more = f"by return net of what models cost; letters: within one group an order could as well be luck; {board.tried:,} tried"
    return card("Leaderboard", order + table(HEAD, lines, " class=board"), more)


def part(name: str) -> str:
    """A heading within the board."""
    return f'<tr class="part"><td></td><td>{escape(name)}</td><td colspan={len(HEAD) - 2}></td></tr>'


def board_row(one: Row) -> str:
    """One contestant by what it made."""
    rank = "" if one.rank is None or one.group is None else f"<b>{one.rank}</b> {letter(one.group)}"
    return row([rank, called(one), *figures(one)])


def called(one: Row) -> str:
    """Its name, and what it is."""
    return f"<b>{escape(one.name)}</b><small>{escape(one.about)}</small>"


def figures(one: Row) -> Iterator[str]:
    """The columns of HEAD; a span where a model was asked several times."""
    span = f"<small>{percent(one.return_low, 1, True)} to {percent(one.return_high, 1, True)}</small>" if one.samples > 1 else ""
    yield coloured(percent(one.total_return, 2, True), one.total_return) + span
    yield percent(one.net_return, 2, True)
    yield sharpe_text(one)
    yield from (number(one.psr, 3), number(one.dsr, 3), percent(one.max_drawdown, 1), f"{number(one.exposure)} x", f"{one.trades:,}")
    yield percent(one.random_share, 0)
    yield told_apart(one)


def sharpe_text(one: Row) -> str:
    """With its standard error and where it lies with 95 % confidence."""
    if np.isnan(one.sharpe_low):
        return number(one.sharpe)
    return f"{number(one.sharpe)} ± {number(one.sharpe_error)}<small>{number(one.sharpe_low)} to {number(one.sharpe_high)}</small>"


def behind(board: Board) -> str:
    """What was paid for the figures of the board, how long a record they need, and how the models answered."""
    lines = (row(["" if one.rank is None else str(one.rank), called(one), *paid(one)]) for one in board.rows)
    return card("Costs, records and models", table(MORE, lines, " class=board"), "needs: days until such a Sharpe is told from 0")


def paid(one: Row) -> Iterator[str]:
    """The columns of MORE."""
    yield from (days(one.least_days), percent(one.volatility, 1), f"{number(one.turnover, 0)} x", money(one.fees), money(one.funding))
    yield UNKNOWN if np.isnan(one.llm_cost_usd) else f"{money(one.llm_cost_usd)} USD<small>{number(one.llm_cost_bps, 1)} bp</small>"
    yield from (percent(one.parse_failure_rate, 1), percent(one.fallback_rate, 1))
    yield UNKNOWN if np.isnan(one.latency_ms) else f"{number(one.latency_ms, 0)} ms"


def days(value: float) -> str:
    """How long a record must be."""
    return "∞" if value == float("inf") else UNKNOWN if np.isnan(value) else f"{number(value, 0)} days"


def told_apart(one: Row) -> str:
    """From which benchmarks, and on which side."""
    better = f"better than {', '.join(one.beats)}" if one.beats else ""
    worse = f"worse than {', '.join(one.loses_to)}" if one.loses_to else ""
    if one.kind != "trader":
        return ""
    return f"<small>{escape('; '.join(filter(None, (better, worse))) or 'no benchmark')}</small>"


def left_out(board: Board) -> Iterator[str]:
    """Those without a rank: contaminated ones, those of silent or unpriced models, and each asking of a model."""
    dirty = [one for one in board.rows if one.kind == "trader" and one.contaminated]
    if dirty:
        more = "these bars lie before its cut-off and a month, so that it may remember what it should foresee: not ranked"
        yield card("CONTAMINATED", table(HEAD, map(board_row, dirty), " class=board"), more)
    others = [one for one in board.rows if one.kind == "trader" and one.rank is None and not one.contaminated]
    if others:
        more = "not one decision is their model's, or nothing is known of its cost"
        yield card("Not ranked", table(HEAD, map(board_row, others), " class=board"), more)
    samples = [one for one in board.rows if one.kind == "sample"]
    if samples:
        more = "each asking of a model is an account of its own; the median stands on the board"
        yield card("Samples", table(HEAD, map(board_row, samples), " class=board"), more)


def shown(contest: Contest) -> list[Contestant]:
    """Those that are drawn, in the order of the board: samples and the median random trader are in spans and bands."""
    places = {(one.kind, one.name): place for place, one in enumerate(contest.board.rows)}
    drawn = [one for one in contest.contestants if one.kind != "sample" and (one.kind, one.name) != ("benchmark", "random")]
    return sorted(drawn, key=lambda one: places[one.kind, one.name])


def race(contest: Contest) -> Any:
    """Returns of all on one scale, and the band of random traders beneath them."""
    drawn, capital = shown(contest), contest.result["initial_capital"]
    lines = {(one.kind, one.name): one.equity / capital - 1 for one in drawn}
    low, high = contest.band.low / capital - 1, contest.band.high / capital - 1
    kept = extremes([low, high, *lines.values()])
    x = times(contest.band.ts[kept])
    figure = go.Figure()
    figure.add_trace(line(x, high[kept], "random, 95 %", DIM, line={"width": 0}, showlegend=False, hovertemplate="%{y:+.2%}"))
    bottom = line(x, low[kept], "random, 5 to 95 %", DIM, line={"width": 0}, fill="tonexty", fillcolor=SHADE, hovertemplate="%{y:+.2%}")
    figure.add_trace(bottom)
    dirty = [one.name for one in drawn if one.contaminated]
    add_lines(figure, x, {key: values[kept] for key, values in lines.items()}, "%{y:+.2%}", dirty)
    figure.update_yaxes(tickformat="+.0%", zeroline=True, zerolinewidth=1.5)
    return dressed(figure, 520).update_layout(legend=BELOW, margin_t=8)


def falls(contest: Contest) -> Any:
    """Drawdowns of all."""
    lines = {(one.kind, one.name): drawdowns(one.curve)[1:] for one in shown(contest)}
    kept = extremes(list(lines.values()))
    figure = go.Figure()
    add_lines(figure, times(contest.band.ts[kept]), {key: values[kept] for key, values in lines.items()}, "%{y:.2%}")
    figure.update_yaxes(tickformat=".0%")
    return dressed(figure, 300).update_layout(showlegend=False, margin_t=8)


def add_lines(figure: Any, x: Any, lines: dict[tuple[str, str], Floats], told: str, contaminated: Collection[str] = ()) -> None:
    """Traders in colour, benchmarks grey and broken. contaminated: traders that are told as such."""
    colours = dict(zip((key for key in lines if key[0] == "trader"), COLOURS * (len(lines) // len(COLOURS) + 1), strict=False))
    for key, values in lines.items():
        trader, name = key[0] == "trader", escape(key[1])
        style = {"width": 2} if trader else {"dash": DASHES.get(key[1], "dot"), "width": 1.2}
        kind = (" (contaminated)" if key[1] in contaminated else "") if trader else " (benchmark)"
        figure.add_trace(line(x, values, f"{name}{kind}", colours.get(key, BENCHMARK), line=style, hovertemplate=told))


def chosen(contest: Contest) -> str:
    """What the best rule was chosen by."""
    training = contest.result["training"]
    if training is None:
        return card("Best rule", said("No bars were stored to choose one on."))
    found = sorted(training["sharpes"].items(), key=lambda pair: -np.inf if pair[1] is None else pair[1], reverse=True)
    pairs = [(f"{name}{' (chosen)' if name == training['chosen'] else ''}", number(value)) for name, value in found]
    stretch = f"{training['bars']:,} bars from {date(training['first_ts'])} to {date(training['last_ts'])}"
    return card("Best rule", figures_table(pairs), f"Sharpe of each rule on the {stretch}, before the contest")


def chance(contest: Contest) -> str:
    """What random weights made."""
    band = contest.board.random
    pairs = [
        (f"{name} of them end below", percent(band[key], 2, True)) for name, key in (("5 %", "low"), ("half", "middle"), ("95 %", "high"))
    ]
    return card("Random traders", figures_table(pairs), f"{int(band['seeds']):,} traders that draw their weights anew again and again")
