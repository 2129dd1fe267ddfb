"""report.html of a run: one file that needs no network, made to be looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from alpha_arena.backtest.charts import candle_chart, cost_chart, equity_chart, fragment, rolling_sharpe_chart, rolling_window
from alpha_arena.backtest.consulted import fallen
from alpha_arena.backtest.distributions import daily_returns, histogram, spread_of
from alpha_arena.backtest.page import card, column, folded, headline, page, said, side_by_side, tiled, warned
from alpha_arena.backtest.result import Run
from alpha_arena.backtest.tables import (
    MOST_TRADES,
    coloured,
    cost_table,
    figures_table,
    hold_table,
    monthly_table,
    per_side_table,
    regime_table,
    risk_figures,
    trade_figures,
    trades_table,
)
from alpha_arena.backtest.verdict import FEWEST_TRADES
from alpha_arena.backtest.wording import date, money, number, percent, span
from alpha_arena.core.timeframes import timeframe_name

MANY_AMBIGUOUS = 0.05


def report_html(run: Run) -> str:
    """The whole page."""
    return page(f"{run.name}, {', '.join(run.markets)}", [headline(run.name, about(run)), *sections(run), terms(run)])


def about(run: Run) -> tuple[str, ...]:
    """What it was run on."""
    r = run.result
    stretch = f"{date(r['start_ts'])} to {date(r['end_ts'])}"
    return (*run.markets, timeframe_name(r["simulation"]["timeframe_ms"]), stretch, f"{r['bars']:,} bars", "fees, slippage and funding in")


def sections(run: Run) -> Iterator[str]:
    """Everything about one run but its heading and its configuration."""
    yield from notes(run)
    yield tiles(run)
    yield from charts(run)
    yield side_by_side("pair", [column(over_time(run)), column([costs(run), still_open(run)])])
    yield side_by_side("even", spreads(run))
    yield regimes(run)
    yield side_by_side("even", numbers(run))
    yield trades(run)


def notes(run: Run) -> Iterator[str]:
    """What to know before believing the figures."""
    r = run.result
    yield from warned(r)
    for told in fallen(run.advice):
        yield f'<div class="note">{escape(told)}</div>'
    if r["trades"] < FEWEST_TRADES:
        yield f'<div class="note">Only {r["trades"]} closed trades: too few to tell skill from luck.</div>'
    if r["ambiguous"]["share_of_trades"] > MANY_AMBIGUOUS:
        gain = money(r["ambiguous"]["gain_if_take_first"], True)
        part = percent(r["ambiguous"]["share_of_trades"], 1)
        reached = f"{part} of the trades ended in a bar that reached take and stop or liquidation"
        yield f'<div class="note">{reached}; takes first would give {gain} more.</div>'
    if r["funding_assumed"]:
        yield f'<div class="note">{r["funding_assumed"]:,} funding payments had no known rate and were charged at 0.01 %.</div>'


def tiles(run: Run) -> str:
    """The figures one looks at first; of a model those that it cannot have known."""
    r = run.result
    if r.get("llm", {}).get("contaminated"):
        return clean_tiles(r["llm"])
    ahead = r["total_return"] - r["buy_and_hold_return"]
    rows = [
        ("Final equity", money(r["final_equity"]), f"from {money(r['initial_capital'])}"),
        ("Total return", coloured(percent(r["total_return"], 2, True), r["total_return"]), f"{percent(r['cagr'], 2, True)} a year"),
        (
            "Buy and hold",
            percent(r["buy_and_hold_return"], 2, True),
            f"{number(abs(ahead) * 100, 1)} points {'ahead' if ahead > 0 else 'behind'}; funding in",
        ),
        ("Sharpe", number(r["sharpe"]), f"Sortino {number(r['sortino'])}"),
        *luck_tile(r),
        ("Max drawdown", percent(r["max_drawdown"]), f"Calmar {number(r['calmar'])}"),
        ("Trades", f"{r['trades']:,}", f"{percent(r['win_rate'], 1)} won"),
        ("Profit factor", number(r["profit_factor"]), f"{money(r['expectancy'], True)} a trade"),
        ("In the market", percent(r["exposure_time"], 1), f"turnover {number(r['turnover'], 0)} x"),
    ]
    return tiled(rows)


def luck_tile(r: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """How sure the Sharpe is beside all that was tried; nothing where a verdict says it, or no trials are counted."""
    if "deflated_sharpe" in r:
        tried = f"{r['trials_ever']:,} trial{'s' if r['trials_ever'] > 1 else ''} ever"
        yield "More than luck (DSR)", percent(r["deflated_sharpe"], 1), f"{tried}; PSR {percent(r['probabilistic_sharpe'], 1)}"


def clean_tiles(asked: Mapping[str, Any]) -> str:
    """What came after a model's training; nothing else of its run may be headlined."""
    after = asked["after_cutoff"]
    if after is None:
        return tiled([("After the model's training", "none", "no bar of this run counts")])
    gained = after["total_return"]
    rows = [
        ("Return after the cutoff", coloured(percent(gained, 2, True), gained), f"{after['bars']:,} bars"),
        ("Sharpe after the cutoff", number(after["sharpe"]), "a year"),
        ("Max drawdown after the cutoff", percent(after["max_drawdown"]), f"from {date(asked['clean_from_ts'])} on"),
    ]
    return tiled(rows)


def charts(run: Run) -> Iterator[str]:
    """Equity, then each symbol's candles."""
    yield card(
        "Equity", fragment(equity_chart(run)), "quote currency, against buying and holding (funding in); drawdown and exposure beneath"
    )
    for symbol in run.markets:
        figure, length = candle_chart(run, symbol)
        yield card(f"Trades on {symbol}", fragment(figure), f"1 candle = {timeframe_name(length)}; drag to zoom, double click to see all")


def over_time(run: Run) -> Iterator[str]:
    """Returns by month, what holding would have done at the same risk, and whether it worked all the time."""
    yield card("Return by month", monthly_table(run), "%, UTC")
    more = "funding in, fees and slippage not; set anew at each close; mean size: longs and shorts alike, net: shorts count against longs"
    yield card("Against holding", hold_table(run), more)
    yield rolling(run)


def rolling(run: Run) -> str:
    """Sharpe ratio of the bars before each, where there are enough."""
    window = rolling_window(run)
    if not window:
        return card("Rolling Sharpe", said(f"{run.result['bars']:,} bars are too few."))
    back = span(window, run.result["simulation"]["timeframe_ms"])
    return card("Rolling Sharpe", fragment(rolling_sharpe_chart(run, window)), f"a year, over the {back} before")


def costs(run: Run) -> str:
    """From gross to net, and the cost that could have been borne."""
    body = fragment(cost_chart(run.result)) + cost_table(run.result) + per_side_table(run.result)
    return card("From gross to net", body, "what costs took, quote currency")


def spreads(run: Run) -> Iterator[str]:
    """How returns and trades are distributed."""
    days, word = daily_returns(run)
    yield card(f"Returns by {word}", fragment(histogram(days, f"{word}s")), spread_of(days))
    results = run.trades["return"].to_numpy()
    body = fragment(histogram(results, "trades")) if results.size else said("No trade was closed.")
    yield card("Results of trades", body, spread_of(results) if results.size else "")


def regimes(run: Run) -> str:
    """Results by market regime."""
    more = "the regime that was known when a bar opened; a trade counts where it was entered"
    found = run.result["by_regime"]
    return card("By market regime", regime_table(found), more) if found else card("By market regime", said("Regimes were not read."))


def still_open(run: Run) -> str:
    """Positions after the last bar, marked there and counted in equity, not among the trades."""
    held = run.result["open_positions"]
    pairs = [
        (f"{p['side']} {abs(p['quantity']):g} {p['symbol']} at {number(p['entry_price'])}", money(p["unrealised"], True)) for p in held
    ]
    return card("Still open at the end", figures_table(pairs) if pairs else said("Nothing: the account ended flat."), "unrealised")


def numbers(run: Run) -> Iterator[str]:
    """Tables of figures."""
    bar_ms = run.result["simulation"]["timeframe_ms"]
    for name, make in (("Risk", risk_figures), ("Trading", trade_figures)):
        yield card(name, figures_table(make(run.result, bar_ms)))


def trades(run: Run) -> str:
    """The first trades; all are in trades.parquet."""
    count = len(run.trades)
    more = f"first {MOST_TRADES} of {count:,}; all in trades.parquet" if count > MOST_TRADES else f"{count:,}"
    return card("Trades", f'<div class="scroll">{trades_table(run)}</div>' if count else said("No trade was closed."), more)


def terms(run: Run) -> str:
    """Inputs of the simulation and the whole configuration, folded."""
    told = folded({"Simulation inputs": run.result["simulation"], "Configuration": run.settings})
    return card("How it was made", told, f"{run.result['engine']}: {run.result['engine_reason']}")
