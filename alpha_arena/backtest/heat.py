"""Maps of a search: the objective over each pair of varied parameters, best and median over all the others; cells are counted here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from alpha_arena.backtest.charts import CARD, DIM, HOLD, LEAST, MOST, SERIES, TEXT, dressed, line
from alpha_arena.backtest.wording import figure, value_text, words
from alpha_arena.core.types import Floats

MOST_VALUES = 30
MOST_MAPS = 40
EXACT, ROUGH = 10, 3
# cells whose number can be read
MOST_NUMBERS = 150
DRAW = """function draw(s){const maps=JSON.parse(document.getElementById('maps').textContent)[s.value];
s.parentNode.querySelectorAll('.map').forEach((box,i)=>{box.parentNode.hidden=!maps[i];
if(maps[i])Plotly.react(box,maps[i].data,maps[i].layout,{displaylogo:false,responsive:true})})}
draw(document.getElementById('pair'))"""


@dataclass(frozen=True, slots=True)
class Axis:
    """A varied parameter of trials: its distinct values as text, in order, and which of them each trial has.

    Attributes:
        binned: the values stand for ranges, since there are too many to be shown.
        best, shipped: text of that value, None where it is not on the axis.
    """

    name: str
    labels: tuple[str, ...]
    codes: NDArray[np.int64]
    binned: bool
    best: str | None
    shipped: str | None


def axis_of(name: str, values: pd.Series[Any], best: Any, shipped: Any) -> Axis:
    """An axis of trials; more than MOST_VALUES numbers are put into as many equal ranges, named by their middle."""
    distinct = values.dropna().unique()
    numbers = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if numbers and distinct.size > MOST_VALUES:
        return _binned(name, values.to_numpy(np.float64), best, shipped)
    ordered = sorted(distinct) if numbers else sorted(distinct, key=str)
    labels = tuple(value_text(value, EXACT) for value in ordered)
    codes = pd.Categorical(values, categories=ordered).codes.astype(np.int64)
    # a switch is stored as 0 and 1
    known = [float(value) if numbers and isinstance(value, bool) else value for value in (best, shipped)]
    on = [text if text in labels else None for text in (value_text(value, EXACT) for value in known)]
    return Axis(name, labels, codes, False, *on)


def _binned(name: str, values: Floats, best: Any, shipped: Any) -> Axis:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    edges = np.linspace(low, high, MOST_VALUES + 1)
    labels = tuple(value_text(middle, ROUGH) for middle in (edges[:-1] + edges[1:]) / 2)

    def place(given: NDArray[Any]) -> NDArray[np.int64]:
        return np.asarray(np.clip(np.searchsorted(edges, given, side="right") - 1, 0, MOST_VALUES - 1), np.int64)

    def label(value: Any) -> str | None:
        within = isinstance(value, int | float) and low <= value <= high
        return labels[int(place(np.array([value]))[0])] if within else None

    return Axis(name, labels, place(values), True, label(best), label(shipped))


def summed(axes: Sequence[Axis], objective: Floats) -> tuple[Floats, Floats]:
    """Best and median objective of the trials of each cell, NaN where there are none; shape [values of each axis]."""
    shape = tuple(len(axis.labels) for axis in axes)
    flat = np.ravel_multi_index(tuple(axis.codes for axis in axes), shape)
    cells = pd.Series(objective).groupby(flat).agg(["max", "median"]).reindex(range(int(np.prod(shape))))
    best, median = (cells[name].to_numpy(np.float64).reshape(shape) for name in ("max", "median"))
    return best, median


def maps_of(axes: Sequence[Axis], objective: Floats, name: str) -> Iterator[tuple[str, list[Any]]]:
    """Title and charts of each pair of parameters, or of the only one; `name`: of the objective."""
    if len(axes) == 1:
        yield axes[0].name, [profile(axes[0], *summed(axes, objective), name)]
    for x, y in combinations(axes, 2):
        best, median = summed((y, x), objective)
        same = np.array_equal(best, median, equal_nan=True)
        titles = [words(name)] if same else [f"{kind} {words(name)} over all others" for kind in ("best", "median")]
        yield f"{y.name} × {x.name}", [heatmap(x, y, z, title, name) for z, title in zip((best, median), titles, strict=False)]


def profile(axis: Axis, best: Floats, median: Floats, name: str) -> Any:
    """The objective along one parameter."""
    told = [figure(name, value) for value in best]
    x = list(axis.labels)
    chart = go.Figure(line(x, best, f"best {words(name)}", SERIES, customdata=told, hovertemplate="%{customdata}"))
    if not np.array_equal(best, median, equal_nan=True):
        told = [figure(name, value) for value in median]
        chart.add_trace(
            line(x, median, f"median {words(name)}", HOLD, line={"dash": "dot"}, customdata=told, hovertemplate="%{customdata}")
        )
    for label, title, symbol in ((axis.best, "best", "star"), (axis.shipped, "shipped", "circle-open")):
        if label is not None:
            marker = {"symbol": symbol, "size": 12, "color": TEXT, "line": {"width": 2}}
            chart.add_trace(go.Scatter(x=[label], y=[best[x.index(label)]], mode="markers", name=title, marker=marker, hoverinfo="skip"))
    chart.update_traces(mode="lines+markers", selector={"mode": "lines"})
    chart.update_xaxes(type="category", title_text=escape(axis.name))
    chart.update_yaxes(title_text=words(name))
    return dressed(chart, 360, dates=False)


def heatmap(x: Axis, y: Axis, z: Floats, title: str, name: str) -> Any:
    """The objective over two parameters: losses and gains in their colours, the paler the nearer to 0."""
    told = [[figure(name, value) for value in row] for row in z]
    size = max(float(np.nanmax(np.abs(z))), 1e-12)
    cells = go.Heatmap(
        x=list(x.labels),
        y=list(y.labels),
        z=z,
        text=told,
        texttemplate="%{text}" if z.size <= MOST_NUMBERS else "",
        zmin=-size,
        zmax=size,
        colorscale=[[0, LEAST], [0.5, CARD], [1, MOST]],
        xgap=1,
        ygap=1,
        showscale=z.size > MOST_NUMBERS,
        colorbar={"thickness": 10, "tickfont": {"color": DIM, "size": 11}, "outlinewidth": 0},
        hovertemplate=f"{escape(y.name)} %{{y}}, {escape(x.name)} %{{x}}: %{{text}}<extra></extra>",
    )
    chart = go.Figure(cells)
    outlined(chart, x, y)
    chart.update_xaxes(type="category", title_text=named(x))
    chart.update_yaxes(type="category", title_text=named(y))
    chart.update_layout(title={"text": title, "font": {"size": 12, "color": DIM}, "x": 0, "y": 0.99, "yanchor": "top"})
    return dressed(chart, 420, dates=False).update_layout(hovermode="closest", margin_t=52)


def named(axis: Axis) -> str:
    """An axis title."""
    return escape(axis.name) + (" (middle of a range)" if axis.binned else "")


def outlined(chart: Any, x: Axis, y: Axis) -> None:
    """Frame the cells of the best trial and of the shipped parameters, and name the frames in the legend."""
    for across, up, name, dash in ((x.best, y.best, "best", "solid"), (x.shipped, y.shipped, "shipped", "dot")):
        if across is not None and up is not None:
            i, j = x.labels.index(across), y.labels.index(up)
            chart.add_shape(x0=i - 0.5, x1=i + 0.5, y0=j - 0.5, y1=j + 0.5, line={"color": TEXT, "width": 3, "dash": dash})
            frame = {"color": TEXT, "width": 3, "dash": dash}
            chart.add_trace(go.Scatter(x=[None], y=[None], mode="lines", name=name, line=frame, showlegend=True))


def chosen_from(maps: Sequence[tuple[str, list[Any]]]) -> str:
    """Charts of which one entry is drawn, and a list to choose it from; what is not drawn is data."""
    data = json.dumps([[json.loads(chart.to_json()) for chart in charts] for _, charts in maps], separators=(",", ":"))
    options = "".join(f"<option value={place}>{escape(title)}</option>" for place, (title, _) in enumerate(maps))
    alone = " hidden" if len(maps) == 1 else ""
    boxes = '<div class=even><div><div class="map"></div></div><div><div class="map"></div></div></div>'
    select = f'<select id=pair class=select onchange="draw(this)" aria-label="Parameters to show"{alone}>{options}</select>'
    kept = data.replace("<", "\\u003c")
    return f'<div>{select}{boxes}</div><script type="application/json" id=maps>{kept}</script><script>{DRAW}</script>'
