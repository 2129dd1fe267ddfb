"""report.html: one file that needs no network, made to be looked at."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

import yaml  # type: ignore[import-untyped]
from plotly.offline import get_plotlyjs

from alpha_arena.backtest.charts import candle_chart, equity_chart, fragment
from alpha_arena.backtest.result import Run, plain
from alpha_arena.backtest.tables import (
    MOST_TRADES,
    coloured,
    cost_table,
    figures_table,
    monthly_table,
    risk_figures,
    trade_figures,
    trades_table,
)
from alpha_arena.backtest.wording import date, money, number, percent
from alpha_arena.core.timeframes import timeframe_name

FEW_TRADES = 30
MANY_AMBIGUOUS = 0.05
SYNTHETIC = "SYNTHETIC DATA: these candles were generated. The figures show that the machinery works, and nothing about any market."


def report_html(run: Run) -> str:
    """The whole page."""
    style = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
    title = f"{run.name}, {', '.join(run.markets)}"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(title)}</title>'
    library = f"<style>{style}</style><script>{get_plotlyjs()}</script>"
    body = "".join([header(run), *notes(run), tiles(run), *charts(run), numbers(run), trades(run), terms(run)])
    return f'<!doctype html><html lang="en"><head>{head}{library}</head><body><main>{body}</main></body></html>\n'


def card(title: str, body: str, more: str = "") -> str:
    """A panel."""
    return f'<section class="card"><h2>{escape(title)} <span>{escape(more)}</span></h2>{body}</section>'


def header(run: Run) -> str:
    """What was run on what."""
    r = run.result
    span = f"{date(r['start_ts'])} to {date(r['end_ts'])}"
    told = (*run.markets, timeframe_name(r["simulation"]["timeframe_ms"]), span, f"{r['bars']:,} bars", "fees, slippage and funding in")
    return f"<header><h1>{escape(run.name)}</h1>{''.join(f'<span class=chip>{escape(text)}</span>' for text in told)}</header>"


def notes(run: Run) -> Iterator[str]:
    """What to know before believing the figures."""
    r = run.result
    if r["synthetic"]:
        yield f'<div class="banner" role="alert">{SYNTHETIC}</div>'
    if r["trades"] < FEW_TRADES:
        yield f'<div class="note">Only {r["trades"]} closed trades: too few to tell skill from luck.</div>'
    if r["ambiguous"]["share_of_trades"] > MANY_AMBIGUOUS:
        gain = money(r["ambiguous"]["gain_if_take_first"], True)
        part = percent(r["ambiguous"]["share_of_trades"], 1)
        yield f'<div class="note">{part} of the trades ended in a bar that reached stop and take; takes first would give {gain} more.</div>'
    if r["funding_assumed"]:
        yield f'<div class="note">{r["funding_assumed"]:,} funding payments had no known rate and were charged at 0.01 %.</div>'


def tiles(run: Run) -> str:
    """The figures one looks at first."""
    r = run.result
    ahead = r["total_return"] - r["buy_and_hold_return"]
    rows = [
        ("Final equity", money(r["final_equity"]), f"from {money(r['initial_capital'])}"),
        ("Total return", coloured(percent(r["total_return"], 2, True), r["total_return"]), f"{percent(r['cagr'], 2, True)} a year"),
        (
            "Buy and hold",
            percent(r["buy_and_hold_return"], 2, True),
            f"{number(abs(ahead) * 100, 1)} points {'ahead' if ahead > 0 else 'behind'}",
        ),
        ("Sharpe", number(r["sharpe"]), f"Sortino {number(r['sortino'])}"),
        ("Max drawdown", percent(r["max_drawdown"]), f"Calmar {number(r['calmar'])}"),
        ("Trades", f"{r['trades']:,}", f"{percent(r['win_rate'], 1)} won"),
        ("Profit factor", number(r["profit_factor"]), f"{money(r['expectancy'], True)} a trade"),
        ("In the market", percent(r["exposure_time"], 1), f"turnover {number(r['turnover'], 0)} x"),
    ]
    return '<div class="tiles">' + "".join(tile(*row) for row in rows) + "</div>"


def tile(name: str, value: str, below: str) -> str:
    """One figure."""
    return f'<div class="tile"><small>{name}</small><b>{value}</b><i>{below}</i></div>'


def charts(run: Run) -> Iterator[str]:
    """Equity, then each symbol's candles."""
    yield card("Equity", fragment(equity_chart(run)), "quote currency, against buying and holding; drawdown beneath")
    for symbol in run.markets:
        figure, length = candle_chart(run, symbol)
        yield card(f"Trades on {symbol}", fragment(figure), f"1 candle = {timeframe_name(length)}; drag to zoom, double click to see all")


def numbers(run: Run) -> str:
    """Tables of figures."""
    bar_ms = run.result["simulation"]["timeframe_ms"]
    months = card("Return by month", monthly_table(run), "%, UTC")
    costs = card("From gross to net", cost_table(run.result), "what costs took")
    risk, how = (card(name, figures_table(make(run.result, bar_ms))) for name, make in (("Risk", risk_figures), ("Trading", trade_figures)))
    return f'<div class="pair">{months}{costs}</div><div class="three">{risk}{how}{still_open(run)}</div>'


def still_open(run: Run) -> str:
    """Positions after the last bar, marked there and counted in equity, not among the trades."""
    held = run.result["open_positions"]
    pairs = [
        (f"{p['side']} {abs(p['quantity']):g} {p['symbol']} at {number(p['entry_price'])}", money(p["unrealised"], True)) for p in held
    ]
    return card(
        "Still open at the end", figures_table(pairs) if pairs else "<p class=dim>Nothing: the account ended flat.</p>", "unrealised"
    )


def trades(run: Run) -> str:
    """The first trades; all are in trades.parquet."""
    count = len(run.trades)
    more = f"first {MOST_TRADES} of {count:,}; all in trades.parquet" if count > MOST_TRADES else f"{count:,}"
    body = f'<div class="scroll">{trades_table(run)}</div>' if count else "<p class=dim>No trade was closed.</p>"
    return card("Trades", body, more)


def terms(run: Run) -> str:
    """Inputs of the simulation and the whole configuration, folded."""
    texts = {"Simulation inputs": run.result["simulation"], "Configuration": run.settings}
    folded = (
        f"<details><summary>{name}</summary><pre>{escape(yaml.safe_dump(plain(value), sort_keys=False))}</pre></details>"
        for name, value in texts.items()
        if value
    )
    return card("How it was made", "".join(folded))
