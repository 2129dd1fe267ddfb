"""report.html of a walk-forward: its verdict first, then what was kept out of sample, fold by fold, and the stitched run's own report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from alpha_arena.backtest.charts import DIM, EDGE, HOLD, SERIES, SHORT, TEXT, YELLOW, dressed, fragment, line, money_axis, times
from alpha_arena.backtest.page import card, chapter, folded, headline, page, said, side_by_side, warned
from alpha_arena.backtest.reference import buy_and_hold
from alpha_arena.backtest.report import about, sections
from alpha_arena.backtest.search import Fold, Walk, Walked
from alpha_arena.backtest.tables import coloured, row, table
from alpha_arena.backtest.thinning import extremes
from alpha_arena.backtest.verdict_card import verdict_card
from alpha_arena.backtest.wording import UNKNOWN, date, figure, number, percent, value_text, words
from alpha_arena.core.types import Floats

COLOURS = (SERIES, SHORT, YELLOW, TEXT)
MOST_PARAMETERS = 12
HEAD = ("Fold", "Trained", "Tested", "Chosen", "Sharpe in", "Sharpe out", "Return in", "Return out", "Trades out")


def walk_html(walked: Walked) -> str:
    """The whole page."""
    first = walked.walks[0]
    parts = [headline(walked.name, told(walked)), *warned(first.run.result)]
    parts += [verdict_card(walk.verdict, f"{walk.scheme} training", walk is not first) for walk in walked.walks]
    parts.append(card("Equity out of sample", fragment(stitched_chart(walked)), "quote currency; the lines are where a test begins"))
    parts.append(side_by_side("even", [decay(walked), stability(walked)]))
    parts += [folds_card(walk) for walk in walked.walks]
    parts += [chapter(f"Out of sample, {first.scheme} training", ", ".join(about(first.run))), *sections(first.run)]
    parts.append(card("How it was made", folded({"Configuration": walked.settings})))
    return page(f"{walked.name}: {first.verdict.grade}", parts)


def told(walked: Walked) -> Iterator[str]:
    """What was walked."""
    first = walked.walks[0]
    yield from first.run.markets
    yield from (f"{walk.scheme}: {len(walk.folds)} folds" for walk in walked.walks)
    yield f"chosen by {words(walked.objective)} in training"


def stitched_chart(walked: Walked) -> Any:
    """Equity of each scheme's tests in a row, against buying and holding, and where each test begins."""
    chart, drawn, first = go.Figure(), [], walked.walks[0]
    ts = first.run.equity["ts"].to_numpy()
    hold = buy_and_hold(first.run.markets, ts) * first.run.result["initial_capital"]
    paths = {"buy and hold": (ts, hold)}
    paths |= {walk.scheme: (walk.run.equity["ts"].to_numpy(), walk.run.equity["equity"].to_numpy()) for walk in walked.walks}
    for (name, (at, values)), colour in zip(paths.items(), (HOLD, *COLOURS), strict=False):
        kept = extremes([values])
        dash = "dot" if colour == HOLD else "solid"
        chart.add_trace(line(times(at[kept]), values[kept], escape(name), colour, line={"dash": dash}, hovertemplate="%{y:,.2f}"))
        drawn.append(values)
    begins = times(np.array([fold.test_first_ts for fold in first.folds], np.int64))
    chart.update_layout(shapes=[boundary(x) for x in begins.tolist()])
    chart.update_yaxes(**money_axis(np.concatenate(drawn)), tickformat=",.0f", title_text="equity")
    return dressed(chart, 420)


def boundary(x: Any) -> dict[str, Any]:
    """An upright line behind the others."""
    return {
        "type": "line",
        "x0": x,
        "x1": x,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "layer": "below",
        "line": {"color": EDGE, "width": 1},
    }


def decay(walked: Walked) -> str:
    """What was left in each test of what was found in its training."""
    pairs = {walk.scheme: in_and_out(walk, walked.objective) for walk in walked.walks}
    inside, outside = next(iter(pairs.values()))
    if not inside.size:
        return card("In sample against out of sample", said("No fold has both figures."))
    mean_in, mean_out = (figure(walked.objective, float(values.mean())) for values in (inside, outside))
    more = f"{words(walked.objective)} of each fold; {walked.walks[0].scheme}: mean {mean_in} in, {mean_out} out"
    return card("In sample against out of sample", fragment(decay_chart(pairs, walked.objective)), more)


def in_and_out(walk: Walk, objective: str) -> tuple[Floats, Floats]:
    """The objective in training and in test of the folds that have both."""
    found = np.array([[fold.inside.get(objective, np.nan), fold.outside.get(objective, np.nan)] for fold in walk.folds], np.float64)
    known = found.reshape(-1, 2)[np.isfinite(found.reshape(-1, 2)).all(axis=1)]
    return known[:, 0], known[:, 1]


def decay_chart(pairs: Mapping[str, tuple[Floats, Floats]], objective: str) -> Any:
    """Folds as points; on the diagonal nothing is lost, under it some, under 0 all."""
    every = np.concatenate([values for pair in pairs.values() for values in pair] or [np.zeros(1)])
    low, high = min(float(every.min()), 0.0), max(float(every.max()), 0.0)
    across = np.concatenate([[0.0], *(inside for inside, _ in pairs.values())])
    room = 0.06 * (float(np.ptp(across)) or 1.0)
    chart = go.Figure(line([low, high], np.array([low, high]), "nothing lost", HOLD, line={"dash": "dot"}, hoverinfo="skip"))
    for (name, (inside, outside)), colour, symbol in zip(
        pairs.items(), COLOURS, ("circle", "diamond-open", "square-open", "x"), strict=False
    ):
        marker = {"color": colour, "size": 9, "symbol": symbol, "line": {"width": 1.5}}
        told_ = [f"{figure(objective, a)} in, {figure(objective, b)} out" for a, b in zip(inside, outside, strict=True)]
        points = go.Scatter(
            x=inside, y=outside, mode="markers", name=escape(name), marker=marker, text=told_, hovertemplate="%{text}<extra></extra>"
        )
        chart.add_trace(points)
    chart.update_xaxes(title_text="in sample", zeroline=True, range=[float(across.min()) - room, float(across.max()) + room])
    chart.update_yaxes(title_text="out of sample", zeroline=True, zerolinewidth=2)
    return dressed(chart, 480, dates=False).update_layout(hovermode="closest")


def stability(walked: Walked) -> str:
    """Whether each training chose the same."""
    first = walked.walks[0]
    names = parameters_of(first.folds)
    if not names:
        return card("Chosen parameters", said("No fold was made."))
    chart = fragment(parameters_chart(walked, names[:MOST_PARAMETERS]))
    left = f"; {len(names) - MOST_PARAMETERS} more are only in the table" if len(names) > MOST_PARAMETERS else ""
    return card("Chosen parameters", chart + stability_table(first, names), f"fold by fold; the table is of {first.scheme} training{left}")


def parameters_of(folds: Sequence[Fold]) -> list[str]:
    """What was chosen, as strategy.parameter where there are several strategies, the strategy itself before them."""
    several = len({fold.strategy for fold in folds}) > 1
    own = dict.fromkeys(f"{fold.strategy}.{name}" if several else name for fold in folds for name in fold.parameters)
    return [*(["strategy"] if several else []), *own]


def chosen(fold: Fold, name: str) -> Any:
    """A fold's value of it, None where another strategy was chosen."""
    if name == "strategy":
        return fold.strategy
    strategy, _, short = name.rpartition(".")
    return fold.parameters.get(short) if strategy in ("", fold.strategy) else None


def parameters_chart(walked: Walked, names: Sequence[str]) -> Any:
    """Each parameter over the folds, one below the other."""
    chart = make_subplots(
        rows=len(names), cols=1, shared_xaxes=True, vertical_spacing=0.26 / len(names), subplot_titles=[escape(n) for n in names]
    )
    for (place, name), (walk, colour) in ((p, w) for p in enumerate(names, 1) for w in zip(walked.walks, COLOURS, strict=False)):
        values = [chosen(fold, name) for fold in walk.folds]
        y = [value_text(value) if isinstance(value, str | bool) else value for value in values]
        x = [fold.number for fold in walk.folds]
        shown = {"showlegend": place == 1, "legendgroup": walk.scheme, "connectgaps": False}
        steps = {"color": colour, "width": 1.5, "shape": "hv"}
        chart.add_trace(go.Scatter(x=x, y=y, mode="lines+markers", name=escape(walk.scheme), line=steps, **shown), place, 1)
    chart.update_yaxes(nticks=4)
    chart.update_xaxes(title_text="fold", row=len(names), col=1)
    chart.update_annotations(x=0, xanchor="left", font={"size": 11, "color": DIM})
    height = 90 + 84 * len(names)
    return dressed(chart, height, dates=False).update_layout(hovermode="closest", margin_t=52, legend_y=1 + 26 / height)


def stability_table(walk: Walk, names: Sequence[str]) -> str:
    """How often each parameter was chosen anew."""
    return table(["Parameter", "Commonest", "In folds", "Different", "Changes"], (stable_row(walk, name) for name in names))


def stable_row(walk: Walk, name: str) -> str:
    """One parameter's line."""
    values = [value_text(chosen(fold, name)) for fold in walk.folds]
    known = Counter(value for value in values if value != UNKNOWN)
    common, count = known.most_common(1)[0] if known else (UNKNOWN, 0)
    changes = sum(a != b for a, b in pairwise(values))
    return row([escape(name), escape(common), f"{count} of {len(values)}", str(len(known)), str(changes)])


def folds_card(walk: Walk) -> str:
    """All folds of a scheme."""
    body = (
        f'<div class="scroll">{table(HEAD, map(fold_row, walk.folds), " class=folds")}</div>' if walk.folds else said("No fold was made.")
    )
    return card(f"Folds, {walk.scheme} training", body, "in: training, out: test; both ends in, UTC")


def fold_row(fold: Fold) -> str:
    """One fold."""
    parameters = ", ".join(f"{name} {value_text(value)}" for name, value in fold.parameters.items())
    gained = [fold.inside.get("total_return"), fold.outside.get("total_return")]
    cells = [
        str(fold.number),
        f"{date(fold.train_first_ts)} to {date(fold.train_last_ts)}",
        f"{date(fold.test_first_ts)} to {date(fold.test_last_ts)}",
        escape(f"{fold.strategy}: {parameters}" if fold.strategy else "nothing, flat"),
        number(fold.inside.get("sharpe")),
        number(fold.outside.get("sharpe")),
        *(coloured(percent(value, 1, True), value) for value in gained),
        figure("trades", fold.outside.get("trades")),
    ]
    return row(cells)
