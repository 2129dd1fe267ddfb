"""A run's charts in plotly: equity, drawdown and exposure, trades on candles, rolling Sharpe, costs; colours of specs: monitor §5."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from alpha_arena.backtest.record import of_symbol
from alpha_arena.backtest.reference import buy_and_hold, hold_at, hold_returns
from alpha_arena.backtest.result import Run
from alpha_arena.backtest.statistics import curve, returns
from alpha_arena.backtest.thinning import candle_ms, extremes, means, merged
from alpha_arena.backtest.wording import money
from alpha_arena.core.market import Market
from alpha_arena.core.timeframes import UNIT_MS, bars_per_year
from alpha_arena.core.types import Floats, Ints

TEXT, DIM, LINE, CARD = "#16202e", "#5a6675", "#dfe3ea", "#ffffff"
SERIES, SHORT, HOLD, UP, DOWN = "#3b4fd8", "#b0269a", "#6b7686", "#00796b", "#b83a08"
YELLOW, BARS, EDGE = "#8a6d00", "#aab3c5", "#c5ccd8"
# ends of a scale, on which numbers are written
MOST, LEAST = "#007a6c", "#b83b09"
FALL, USED = "rgba(184,58,8,.12)", "rgba(22,32,46,.10)"
# what the page shows instead where the reader's system is dark
DARK = {TEXT: "#e6eaf0", DIM: "#98a4b5", LINE: "#283140", CARD: "#161c26", SERIES: "#8d9bff", SHORT: "#ff7ac8", HOLD: "#8793a5"}
DARK |= {UP: "#35c2ac", DOWN: "#ff8a4c", YELLOW: "#ffd23f", BARS: "#5a6675", EDGE: "#3c4757"}
DARK |= {MOST: "#1a7a6c", LEAST: "#b0521f", FALL: "rgba(255,138,76,.16)", USED: "rgba(230,234,240,.12)"}
FONT = "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
AXIS = {"gridcolor": LINE, "zerolinecolor": LINE, "linecolor": LINE, "tickfont": {"color": DIM, "size": 11}, "automargin": True}
OTHERS = {
    "size": ("hold at its mean size", YELLOW),
    "net": ("hold at its net exposure", UP),
    "volatility": ("hold at its volatility", SHORT),
}
WIDE = 3
ROLLING_MS = 90 * UNIT_MS["d"]
LEAST_ROLLING = 20
FEW, MANY = 60, 200
LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"}


def times(ts: Ints) -> NDArray[np.datetime64]:
    """ms UTC as plotly takes them."""
    return ts.astype("datetime64[ms]")


def dressed(figure: Any, height: int, dates: bool = True) -> Any:
    """The page's look; `dates`: across runs time."""
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 34, "b": 8},
        paper_bgcolor=CARD,
        plot_bgcolor=CARD,
        font={"family": FONT, "size": 12, "color": TEXT},
        hovermode="x unified",
        hoverlabel={"bgcolor": CARD, "bordercolor": LINE},
        legend=LEGEND,
        dragmode="zoom",
    )
    figure.update_xaxes(**AXIS, showgrid=False, hoverformat="%-d %b %Y %H:%M" if dates else None)
    figure.update_yaxes(**AXIS)
    return figure


def bare(figure: Any, top: int = 8) -> Any:
    """Without a legend, and with so many pixels above."""
    return figure.update_layout(hovermode="closest", showlegend=False, margin_t=top)


def fragment(figure: Any) -> str:
    """A figure's HTML without the library."""
    return str(figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False, "responsive": True}))


def line(x: Any, y: Floats, name: str, colour: str, **more: Any) -> Any:
    """A line whose hover shows two decimals."""
    return go.Scatter(x=x, y=y, name=name, mode="lines", line={"color": colour, "width": 1.5, **more.pop("line", {})}, **more)


def equity_chart(run: Run) -> Any:
    """Equity against buying and holding, drawdown and exposure beneath; holding at the run's risk waits in the legend."""
    equity, drawdown, exposure = (run.equity[name].to_numpy() for name in ("equity", "drawdown", "exposure"))
    ts = run.equity["ts"].to_numpy()
    hold, others = held(run, ts)
    kept = extremes([equity, hold, drawdown, *others.values()])
    x = times(ts[kept])
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, row_heights=[0.62, 0.2, 0.18], vertical_spacing=0.035)
    figure.add_trace(line(x, hold[kept], "buy and hold", HOLD, line={"dash": "dot"}, hovertemplate="%{y:,.2f}"), 1, 1)
    for key, values in others.items():
        name, colour = OTHERS[key]
        figure.add_trace(line(x, values[kept], name, colour, line={"dash": "dot"}, hovertemplate="%{y:,.2f}", visible="legendonly"), 1, 1)
    figure.add_trace(line(x, equity[kept], escape(run.name), SERIES, hovertemplate="%{y:,.2f}"), 1, 1)
    figure.add_trace(under(x, drawdown[kept], "drawdown", DOWN, FALL, "%{y:.2%}"), 2, 1)
    starts, mean = means(exposure)
    used = under(times(ts[starts]), mean, "exposure", TEXT, USED, "%{y:.2f} x", line={"width": 1, "shape": "hv"})
    figure.add_trace(used, 3, 1)
    figure.update_yaxes(**money_axis(np.concatenate([equity, hold])), title_text="equity", row=1, col=1, tickformat=",.0f")
    figure.update_yaxes(title_text="drawdown", tickformat=".0%", nticks=5, row=2, col=1)
    figure.update_yaxes(title_text="exposure", tickformat=".2~f", ticksuffix="x", nticks=5, row=3, col=1)
    return dressed(figure, 540)


def held(run: Run, ts: Ints) -> tuple[Floats, dict[str, Floats]]:
    """Quote currency from buying and holding, and from holding at the run's exposure and volatility where these are known; shape [T]."""
    capital, hold = run.result["initial_capital"], buy_and_hold(run.markets, ts)
    r = hold_returns(run.markets, ts)
    known = {key: matched["exposure"] for key, matched in run.result["matched_hold"].items() if matched["total_return"] is not None}
    return hold * capital, {key: hold_at(r, exposure)[1:] * capital for key, exposure in known.items()}


def under(x: Any, y: Floats, name: str, colour: str, fill: str, told: str, **more: Any) -> Any:
    """A line that is filled to 0, without a place in the legend."""
    return line(x, y, name, colour, fill="tozeroy", fillcolor=fill, hovertemplate=told, showlegend=False, **more)


def rolling_window(run: Run) -> int:
    """Bars of the rolling Sharpe: 90 days, a quarter of a run that is shorter than a year; 0 where that is too few."""
    bars = min(ROLLING_MS // run.result["simulation"]["timeframe_ms"], len(run.equity) // 4)
    return bars if bars >= LEAST_ROLLING else 0


def rolling_sharpe(r: Floats, window: int, ppy: float) -> Floats:
    """Sharpe ratio a year of the bars up to each, NaN before there are `window` and where they do not vary; shape [T]."""
    rolled = pd.Series(r).rolling(window)
    deviation = rolled.std().to_numpy()
    per_bar: Floats = np.divide(rolled.mean().to_numpy(), deviation, out=np.full(r.size, np.nan), where=deviation > 0)
    return per_bar * float(np.sqrt(ppy))


def rolling_sharpe_chart(run: Run, window: int) -> Any:
    """Of the run and of buying and holding."""
    ts, ppy = run.equity["ts"].to_numpy(), bars_per_year(run.result["simulation"]["timeframe_ms"])
    growth = {escape(run.name): curve(run.result["initial_capital"], run.equity["equity"].to_numpy()), "buy and hold": None}
    hold = curve(1.0, buy_and_hold(run.markets, ts))
    lines = [rolling_sharpe(returns(hold if g is None else g), window, ppy)[window - 1 :] for g in growth.values()]
    kept = extremes([np.nan_to_num(values) for values in lines])
    x = times(ts[window - 1 :][kept])
    figure = go.Figure()
    for name, values, colour, dash in zip(growth, lines, (SERIES, HOLD), ("solid", "dot"), strict=True):
        figure.add_trace(line(x, values[kept], name, colour, line={"dash": dash}, hovertemplate="%{y:.2f}"))
    figure.update_yaxes(zeroline=True, zerolinewidth=2)
    figure.update_xaxes(nticks=6)
    return dressed(figure, 260)


def cost_chart(result: Mapping[str, Any]) -> Any:
    """A waterfall from what was earned before costs to what was left."""
    costs = result["costs"]
    steps = {"gross": costs["gross"], **{name: -costs[name] for name in ("fees", "slippage", "funding")}, "net": costs["net"]}
    bars = go.Waterfall(
        x=list(steps),
        y=list(steps.values()),
        measure=[*["relative"] * 4, "total"],
        text=[money(value, True) for value in steps.values()],
        textposition="outside",
        textfont={"size": 11},
        constraintext="none",
        cliponaxis=False,
        increasing={"marker": {"color": UP}},
        decreasing={"marker": {"color": DOWN}},
        totals={"marker": {"color": SERIES}},
        connector={"line": {"color": DIM, "width": 1, "dash": "dot"}},
        hovertemplate="%{x}: %{text}<extra></extra>",
    )
    figure = go.Figure([bars])
    figure.update_yaxes(tickformat=",.0f", nticks=5)
    return bare(dressed(figure, 240, dates=False), 22)


def money_axis(values: Floats) -> dict[str, str]:
    """A log scale with ticks at 1, 2 and 5 where the values span much, else a linear one."""
    low, high = values.min(), values.max()
    return {"type": "log", "dtick": "D2"} if low > 0 and high / low > WIDE else {"type": "linear"}


def candle_chart(run: Run, symbol: str) -> tuple[Any, int]:
    """A symbol's candles with the trades on them, and the length of a candle in ms."""
    market = run.markets[symbol]
    length = candle_ms(market.ts, market.bar_ms)
    figure = go.Figure([candlesticks(market, length), *trade_marks(of_symbol(run.trades, symbol))])
    figure.update_layout(xaxis_rangeslider_visible=False, hovermode="closest")
    return dressed(figure, 520), length


def candlesticks(market: Market, length: int) -> Any:
    """Hollow up candles, filled down candles."""
    c = merged(market.candles, length)
    up, down = {"line": {"color": UP, "width": 1}, "fillcolor": CARD}, {"line": {"color": DOWN, "width": 1}, "fillcolor": DOWN}
    return go.Candlestick(
        x=times(c.ts), open=c.open, high=c.high, low=c.low, close=c.close, increasing=up, decreasing=down, name="price", opacity=0.55
    )


def trade_marks(trades: pd.DataFrame) -> list[Any]:
    """Entries as triangles in their direction, exits as crosses, a line between them: solid if it won, dotted if it lost.

    The more there are, the smaller they are drawn; exits of many wait in the legend.
    """
    won, long = trades["pnl"] > 0, trades["side"] == "long"
    size = 9 if len(trades) <= FEW else 7 if len(trades) <= MANY else 5
    return [
        links(trades[won], "won", UP, "solid"),
        links(trades[~won], "lost", DOWN, "dot"),
        marks(trades[long], "entry", "buy long", {"symbol": "triangle-up", "size": size, "color": SERIES}),
        marks(trades[~long], "entry", "sell short", {"symbol": "triangle-down", "size": size, "color": SHORT}),
        marks(trades, "exit", "exit", {"symbol": "x-thin-open", "size": size, "color": TEXT}, hidden=len(trades) > MANY),
    ]


def links(trades: pd.DataFrame, name: str, colour: str, dash: str) -> Any:
    """From entry to exit, all of a kind as one trace."""
    gap = np.full(len(trades), np.nan)
    x = np.column_stack([trades["entry_ts"], trades["exit_ts"], trades["exit_ts"]]).ravel()
    y = np.column_stack([trades["entry_price"], trades["exit_price"], gap]).ravel()
    return go.Scatter(x=times(x), y=y, mode="lines", name=name, line={"color": colour, "width": 2, "dash": dash}, hoverinfo="skip")


def marks(trades: pd.DataFrame, end: str, name: str, marker: dict[str, Any], hidden: bool = False) -> Any:
    """One end of each trade."""
    told = np.column_stack([trades["side"], trades["quantity"], trades["pnl"], trades["exit_reason"]])
    result = "pnl %{customdata[2]:,.2f}, exit by %{customdata[3]}"
    return go.Scatter(
        x=times(trades[f"{end}_ts"].to_numpy()),
        y=trades[f"{end}_price"],
        mode="markers",
        name=name,
        marker=marker,
        visible="legendonly" if hidden else True,
        customdata=told,
        hovertemplate=f"{name}: %{{customdata[0]}} %{{customdata[1]}} at %{{y:,.2f}}<br>{result}<extra></extra>",
    )
