"""How values are distributed, as a histogram whose bins are counted here, so that a page's size does not grow with them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go

from alpha_arena.backtest.charts import DOWN, SERIES, UP, bare, dressed
from alpha_arena.backtest.result import Run
from alpha_arena.backtest.statistics import curve, returns, skewness
from alpha_arena.backtest.wording import number, percent
from alpha_arena.core.timeframes import UNIT_MS
from alpha_arena.core.types import Floats

MOST_BINS = 60


def daily_returns(run: Run) -> tuple[Floats, str]:
    """Returns from day to day (UTC), or of bars where they are longer or all lie in one day; and what one is called."""
    when, equity = run.equity["ts"] // UNIT_MS["d"], run.equity["equity"]
    by_bar = run.result["simulation"]["timeframe_ms"] > UNIT_MS["d"] or when.nunique() < 2
    values = equity if by_bar else equity.groupby(when).last()
    return returns(curve(run.result["initial_capital"], values.to_numpy(np.float64))), "bar" if by_bar else "day"


def bins(values: Floats) -> Floats:
    """Edges of equal bins, one of them at 0; at most MOST_BINS and two of them, as wide as Freedman and Diaconis (1981) say or wider."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    if high == low:
        return np.array([-0.5, 0.0, 0.5])
    quarters = np.quantile(values, [0.25, 0.75])
    width = max(2 * (quarters[1] - quarters[0]) / np.cbrt(values.size), (high - low) / MOST_BINS)
    return np.asarray(np.arange(np.floor(low / width), np.ceil(high / width) + 1) * width, np.float64)


def histogram(values: Floats, name: str) -> Any:
    """Counts of fractions, gains and losses in their colours."""
    edges = bins(values)
    counts, _ = np.histogram(values, edges)
    middles = (edges[:-1] + edges[1:]) / 2
    told = [[percent(a, 2, True), percent(b, 2, True)] for a, b in pairwise(edges.tolist())]
    colours = np.where(middles > 0, UP, DOWN) if values.any() else SERIES
    bars = go.Bar(
        x=middles,
        y=counts,
        width=np.diff(edges) * 0.9,
        marker={"color": colours},
        customdata=told,
        hovertemplate=f"%{{customdata[0]}} to %{{customdata[1]}}: %{{y:,}} {name}<extra></extra>",
    )
    figure = go.Figure([bars])
    figure.update_xaxes(tickformat=".1~%", nticks=6)
    figure.update_yaxes(title_text=name)
    return bare(dressed(figure, 240, dates=False))


def spread_of(values: Floats) -> str:
    """Mean, middle and the share above 0, in words."""
    mean, middle = percent(float(np.mean(values)), 2, True), percent(float(np.median(values)), 2, True)
    return f"mean {mean}, median {middle}, {percent(float(np.mean(values > 0)), 0)} above 0, skew {number(skewness(values))}"
