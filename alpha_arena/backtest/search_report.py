"""report.html of a search: its verdict first, then what was tried, and the best trial's own report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, cast

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from alpha_arena.backtest import search
from alpha_arena.backtest.charts import BARS, HOLD, SERIES, SHORT, TEXT, dressed, fragment
from alpha_arena.backtest.heat import MOST_MAPS, Axis, axis_of, chosen_from, maps_of
from alpha_arena.backtest.page import card, chapter, folded, headline, page, said, side_by_side, tiled, warned
from alpha_arena.backtest.report import about, sections
from alpha_arena.backtest.search import Found, best_first
from alpha_arena.backtest.tables import coloured, row, table
from alpha_arena.backtest.verdict_card import verdict_card
from alpha_arena.backtest.wording import figure, percent, value_text, words
from alpha_arena.core.types import Floats

MOST_ROWS = 30
MOST_REFUSALS = 10
BINS = 60
# of the trials, drawn in the first bar, so that a few ruined ones do not squeeze the rest
LOWEST = 0.005
SHOWN = {
    "total_return": "Return",
    "cagr": "A year",
    "sharpe": "Sharpe",
    "calmar": "Calmar",
    "max_drawdown": "Max drawdown",
    "trades": "Trades",
    "win_rate": "Won",
    "profit_factor": "Profit factor",
    "exposure_time": "In the market",
    "fees": "Fees",
}
# beside the parameters there is no room for all
RANKED = ("total_return", "max_drawdown", "trades", "win_rate", "profit_factor", "exposure_time", "fees")
GAINS = ("total_return", "cagr")
SERIES_OF = ("symbol", "timeframe", "strategy")


def search_html(found: Found) -> str:
    """The whole page."""
    made = found.best >= 0
    parts = [headline(found.name, told(found)), *(warned(found.run.result) if made else ()), verdict_card(found.verdict), tiles(found)]
    parts += [*maps(found), *tried(found)] if made else [card("Trials", said("No trial could be made."))]
    parts += refusals(found)
    if made:
        parts += [chapter("The best trial", ", ".join(about(found.run))), *sections(found.run)]
    return page(f"{found.name}: {found.verdict.grade}", [*parts, card("How it was made", folded({"Configuration": found.settings}))])


def told(found: Found) -> Iterator[str]:
    """What was searched."""
    for name in ("symbol", "timeframe", "strategy"):
        values = found.table[name].drop_duplicates().astype(str).tolist()
        yield ", ".join(values) if len(values) < 4 else f"{len(values)} of {name}"
    yield f"{len(found.table):,} trials"
    yield f"objective {words(found.objective)}"


def objective_of(found: Found) -> Floats:
    """The objective of each trial, NaN of one that was refused or traded too rarely."""
    return search.objective_of(found.table, found.objective, found.least_trades)


def luck_of(found: Found) -> float | None:
    """What the best of all trials is expected to show by luck; None where the objective is another than the Sharpe ratio."""
    luck = found.verdict.figures.get("luck_sharpe")
    return float(luck) if found.objective == "sharpe" and luck is not None and np.isfinite(luck) else None


def tiles(found: Found) -> str:
    """The search in figures."""
    objective, name = objective_of(found), words(found.objective)
    known = objective[~np.isnan(objective)]
    refused, luck = int((found.table["refused"] != "").sum()), luck_of(found)
    gained = percent(float(np.mean(known > 0)), 1) if known.size else percent(None)
    best, middle = (float(call(known)) if known.size else None for call in (np.max, np.median))
    rows = [
        ("Trials", f"{len(found.table):,}", f"{refused:,} refused{ever(found)}"),
        (f"Best {name}", figure(found.objective, best), "of all trials"),
        ("Best by luck", figure("sharpe", luck), "expected Sharpe of the best of as many trials without an edge"),
        (f"Median {name}", figure(found.objective, middle), "of all trials"),
        ("Above 0", gained, f"of the trials by {name}"),
    ]
    return tiled(row for row in rows if row[0] != "Best by luck" or luck is not None)


def ever(found: Found) -> str:
    """How many were made on the best trial's symbol and timeframe in all, where that is known."""
    count = found.result.get("trials_ever")
    return f"; {count:,} ever made there" if count else ""


def maps(found: Found) -> Iterator[str]:
    """The objective over each pair of parameters: those of the best trial's strategy, symbol and timeframe first."""
    drawn: list[tuple[str, list[Any]]] = []
    left = 0
    for title, axes, objective in groups(found):
        wanted = len(axes) * (len(axes) - 1) // 2 or len(axes)
        for pair, charts in maps_of(axes, objective, found.objective) if len(drawn) < MOST_MAPS else ():
            if len(drawn) < MOST_MAPS:
                drawn.append((f"{title}{pair}", charts))
                wanted -= 1
        left += wanted
    more = (
        f"{left:,} more pairs are not drawn" if left else "the best trial is framed, and the shipped parameters where they are on the map"
    )
    if drawn:
        yield card("Objective by parameters", chosen_from(drawn), more)


def groups(found: Found) -> Iterator[tuple[str, Sequence[Axis], Floats]]:
    """Trials of one strategy on one symbol and timeframe, the best trial's first: what they are called, their axes and objectives."""
    kept = found.table[~np.isnan(objective_of(found))]
    best = found.table.loc[found.table.index[found.best]]
    own = (kept[list(SERIES_OF)] == best[list(SERIES_OF)]).all(axis=1)
    by_series = kept.groupby([~own, *(kept[name] for name in SERIES_OF)], sort=True)
    for key, trials in by_series:
        other, symbol, timeframe, strategy = cast("tuple[bool, str, str, str]", key)
        names = found.axes.get(strategy, ())
        several = f"{strategy} on {symbol} {timeframe}: " if by_series.ngroups > 1 else ""
        shipped = shipped_of(found, strategy)
        columns = {name: trials[f"{strategy}.{name}"] for name in names}
        marked = {name: None if other else best[f"{strategy}.{name}"] for name in names}
        axes = [axis_of(name, values, marked[name], shipped.get(name)) for name, values in columns.items() if values.nunique() > 1]
        yield several, axes, trials[found.objective].to_numpy(np.float64)


def shipped_of(found: Found, strategy: str) -> Mapping[str, Any]:
    """Parameters of the configuration, as they are where nothing is varied."""
    configured = found.settings.get("strategies") or {}
    values: Mapping[str, Any] = configured.get(strategy) or {} if isinstance(configured, Mapping) else {}
    return values


def tried(found: Found) -> Iterator[str]:
    """Distribution of all trials, the best against the shipped parameters, the best ones."""
    more = "the lowest 0.5 % share the first bar; infinite ones are left out"
    spread = card(f"All trials by {words(found.objective)}", fragment(distribution(found)), more)
    yield side_by_side("pair", [spread, card("Best against shipped", against(found))])
    order = best_first(objective_of(found))
    body = f'<div class="scroll">{best_table(found, order[:MOST_ROWS].tolist())}</div>'
    yield card("Best trials", body, f"{min(MOST_ROWS, order.size)} of {order.size:,}")


def distribution(found: Found) -> Any:
    """Counts of the objective, with the median, the best and the best that is expected by luck."""
    values = objective_of(found)
    values = values[np.isfinite(values)]
    marks = {"median": (float(np.median(values)), HOLD, "dot"), "best": (float(values.max()), SERIES, "solid")} if values.size else {}
    luck = luck_of(found)
    if luck is not None:
        marks["expected best by luck"] = (luck, SHORT, "dash")
    low = float(np.quantile(values, LOWEST)) if values.size else 0.0
    counts, edges = np.histogram(np.maximum(values, low), BINS)
    bars = go.Bar(x=(edges[:-1] + edges[1:]) / 2, y=counts, width=np.diff(edges) * 0.9, marker_color=BARS, name="trials", showlegend=False)
    chart = go.Figure(bars)
    for name, (at, colour, dash) in marks.items():
        label = f"{name} {figure(found.objective, at)}"
        upright = {"x": [at, at], "y": [0, max(int(counts.max()), 1)], "mode": "lines", "line": {"color": colour, "width": 2, "dash": dash}}
        chart.add_trace(go.Scatter(**upright, name=label, hoverinfo="skip"))
    chart.update_yaxes(title_text="trials")
    chart.update_xaxes(title_text=words(found.objective))
    return dressed(chart, 480, dates=False).update_layout(hovermode="closest", font_color=TEXT)


def against(found: Found) -> str:
    """Parameters and figures of the best trial beside the shipped ones."""
    best = found.table.iloc[found.best]
    strategy = str(best["strategy"])
    shipped, names = shipped_of(found, strategy), found.axes.get(strategy, ())
    same = matching(found, best, {f"{strategy}.{name}": shipped.get(name) for name in names})
    values = [
        row([escape(name), f"<b>{escape(value_text(best[f'{strategy}.{name}']))}</b>", escape(value_text(shipped.get(name)))])
        for name in names
    ]
    shown = [
        row([title, cell(key, best[key]), cell(key, None if same is None else same[key])]) for key, title in SHOWN.items() if key in best
    ]
    told = "" if same is not None else said("The shipped parameters were not among the trials.")
    return table([strategy, "Best", "Shipped"], [*values, *shown], " class=wrap") + told


def matching(found: Found, best: pd.Series[Any], wanted: Mapping[str, Any]) -> pd.Series[Any] | None:
    """The trial with these parameters on the best one's symbol and timeframe."""
    same = found.table["refused"] == ""
    for name, value in {**{name: best[name] for name in SERIES_OF}, **wanted}.items():
        same &= found.table[name] == value
    return found.table[same].iloc[0] if same.any() else None


def cell(name: str, value: float | None) -> str:
    """A figure, gains and losses in their colours."""
    text = figure(name, value, name in GAINS)
    return coloured(text, value) if name in GAINS and value == value else text


def best_table(found: Found, rows: list[int]) -> str:
    """Trials from the best on; the parameters of several strategies share a column."""
    trials = found.table.iloc[rows]
    series = [name for name in SERIES_OF if found.table[name].nunique() > 1]
    own = next(iter(found.axes.items())) if len(found.axes) == 1 else None
    figures = [name for name in RANKED if name in trials and name != found.objective]
    lines = []
    for rank, trial in enumerate(trials.to_dict("records"), 1):
        values = [value_text(trial[f"{own[0]}.{name}"]) for name in own[1]] if own else [parameters_text(found, trial)]
        told_ = [escape(text) for text in (*(str(trial[name]) for name in series), *values)]
        best = f"<b>{cell(found.objective, trial[found.objective])}</b>"
        lines.append(row([str(rank), best, *told_, *(cell(key, trial[key]) for key in figures)]))
    head = ["", SHOWN.get(found.objective, words(found.objective)), *series, *(own[1] if own else ["Parameters"])]
    return table([*head, *(SHOWN[name] for name in figures)], lines)


def parameters_text(found: Found, trial: Mapping[Any, Any]) -> str:
    """The varied parameters of a trial."""
    strategy = trial["strategy"]
    return ", ".join(f"{name} {value_text(trial[f'{strategy}.{name}'])}" for name in found.axes.get(strategy, ()))


def refusals(found: Found) -> Iterator[str]:
    """Why trials could not be made, the commonest first."""
    counts = found.table["refused"][found.table["refused"] != ""].value_counts()
    if not counts.size:
        return
    rows = (row([escape(str(reason)), f"{count:,}"]) for reason, count in counts.head(MOST_REFUSALS).items())
    yield card("Refused trials", table(["Reason", "Trials"], rows), f"{int(counts.sum()):,}; {counts.size:,} reasons")
