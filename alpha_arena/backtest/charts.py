"""The report's charts: equity with drawdown beneath, and the trades on the candles; plotly, colours of specs: monitor §5 (light)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from alpha_arena.backtest.ambiguous import of_symbol
from alpha_arena.backtest.result import Run, buy_and_hold
from alpha_arena.backtest.thinning import candle_ms, extremes, merged
from alpha_arena.core.market import Market
from alpha_arena.core.types import Floats, Ints

TEXT, DIM, LINE, CARD = "#16202e", "#5a6675", "#dfe3ea", "#ffffff"
SERIES, SHORT, HOLD, UP, DOWN = "#3b4fd8", "#b0269a", "#6b7686", "#00796b", "#b83a08"
FONT = "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
AXIS = {"gridcolor": LINE, "zerolinecolor": LINE, "linecolor": LINE, "tickfont": {"color": DIM, "size": 11}, "automargin": True}
WIDE = 3
FEW, MANY = 60, 200
LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"}


def times(ts: Ints) -> NDArray[np.datetime64]:
    """ms UTC as plotly takes them."""
    return ts.astype("datetime64[ms]")


def dressed(figure: Any, height: int) -> Any:
    """The page's look."""
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
    figure.update_xaxes(**AXIS, showgrid=False, hoverformat="%-d %b %Y %H:%M")
    figure.update_yaxes(**AXIS)
    return figure


def fragment(figure: Any) -> str:
    """A figure's HTML without the library."""
    return str(figure.to_html(full_html=False, include_plotlyjs=False, config={"displaylogo": False, "responsive": True}))


def line(x: Any, y: Floats, name: str, colour: str, **more: Any) -> Any:
    """A line whose hover shows two decimals."""
    return go.Scatter(x=x, y=y, name=name, mode="lines", line={"color": colour, "width": 1.5, **more.pop("line", {})}, **more)


def equity_chart(run: Run) -> Any:
    """Equity against buying and holding, and drawdown beneath."""
    equity, drawdown = run.equity["equity"].to_numpy(), run.equity["drawdown"].to_numpy()
    ts = run.equity["ts"].to_numpy()
    hold = buy_and_hold(run.markets, ts) * run.result["initial_capital"]
    kept = extremes([equity, hold, drawdown])
    x = times(ts[kept])
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.04)
    figure.add_trace(line(x, hold[kept], "buy and hold", HOLD, line={"dash": "dot"}, hovertemplate="%{y:,.2f}"), 1, 1)
    figure.add_trace(line(x, equity[kept], run.name, SERIES, hovertemplate="%{y:,.2f}"), 1, 1)
    under = line(
        x, drawdown[kept], "drawdown", DOWN, fill="tozeroy", fillcolor="rgba(184,58,8,.12)", hovertemplate="%{y:.2%}", showlegend=False
    )
    figure.add_trace(under, 2, 1)
    figure.update_yaxes(**money_axis(np.concatenate([equity, hold])), title_text="equity", row=1, col=1, tickformat=",.0f")
    figure.update_yaxes(title_text="drawdown", tickformat=".0%", row=2, col=1)
    return dressed(figure, 460)


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
