"""The report's tables as HTML: returns by month, costs from gross to net, figures, trades."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from alpha_arena.backtest.result import Run
from alpha_arena.backtest.wording import MONTHS, UNKNOWN, digits_of, moment, money, number, percent, points, span

MOST_TRADES = 200
DEEPEST_TINT = 0.1


def coloured(text: str, value: float | None) -> str:
    """Text in the colour of a gain or loss; the sign says it too."""
    kind = "up" if value and value > 0 else "down" if value and value < 0 else ""
    return f'<span class="{kind}">{text}</span>' if kind else text


def table(head: Sequence[str], rows: Iterable[str], kind: str = "") -> str:
    """Column names and ready-made rows."""
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f"<table{kind}><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def row(cells: Iterable[str], kind: str = "") -> str:
    """A row of ready-made cells."""
    return f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def monthly(equity: pd.DataFrame, initial: float) -> pd.DataFrame:
    """Return of each calendar month (UTC, by bar open) as fractions: a row a year, columns 1 to 12, and "year" compounded; NaN outside."""
    when = pd.to_datetime(equity["ts"], unit="ms")
    last = equity["equity"].groupby([when.dt.year.rename("year"), when.dt.month.rename("month")]).last()
    returns = last / last.shift(1, fill_value=initial) - 1
    out = returns.unstack("month").reindex(columns=range(1, 13))
    return out.assign(year=(1 + out).prod(axis=1) - 1)


def monthly_table(run: Run) -> str:
    """Months across, years down."""
    by_month = monthly(run.equity, run.result["initial_capital"])
    return table(["", *MONTHS, "Year"], (year_row(str(year), values) for year, values in by_month.iterrows()), " class=months")


def year_row(year: str, returns: pd.Series[float]) -> str:
    """One year's months and their product."""
    total = f"<b>{coloured(number(returns['year'] * 100, 1, True), returns['year'])}</b>"
    return f"<tr><td>{year}</td>{''.join(tinted(returns[month]) for month in range(1, 13))}<td>{total}</td></tr>"


def tinted(value: float) -> str:
    """A cell whose background deepens with the size of the return."""
    if np.isnan(value):
        return f'<td class="dim">{UNKNOWN}</td>'
    depth = min(abs(value) / DEEPEST_TINT, 1) * 22
    colour = f"color-mix(in srgb,var(--{'up' if value > 0 else 'down'}) {depth:.1f}%,transparent)"
    return f'<td style="background:{colour}">{number(value * 100, 1, True)}</td>'


def cost_table(result: Mapping[str, Any]) -> str:
    """What was earned before costs, what took how much of it, what was left; bars on one scale."""
    costs = result["costs"]
    lines = [("before costs", costs["gross"]), *((name, -costs[name]) for name in ("fees", "slippage", "funding")), ("net", costs["net"])]
    largest = max(abs(value) for _, value in lines) or 1
    rows = (cost_row(name, value, abs(value) / largest, result["initial_capital"]) for name, value in lines)
    return table(["", "quote", "of capital", ""], rows)


def cost_row(name: str, value: float, part: float, capital: float) -> str:
    """One line of the cost table."""
    colour = "var(--up)" if value > 0 else "var(--down)"
    bar = f'<span class="bar" style="width:{part * 100:.1f}%;background:{colour}"></span>'
    cells = f"<td>{name}</td><td>{coloured(money(value, True), value)}</td><td>{percent(value / capital, 1, True)}</td>"
    return f'<tr class="{"total" if name == "net" else ""}">{cells}<td class="wide">{bar}</td></tr>'


def per_side_table(result: Mapping[str, Any]) -> str:
    """What trading a side cost, and what it could have cost."""
    free, paid = result["break_even_cost"], result["cost_per_side"]
    bearable = "none: it lost before costs" if free is not None and free <= 0 else points(free)
    return figures_table([("Cost a side, of notional", points(paid)), ("Break-even cost a side: net would be 0", bearable)])


def hold_table(run: Run) -> str:
    """The run beside buying and holding, and beside holding at its own risk."""
    r = run.result
    named = {
        run.name: {**r, "exposure": r["average_leverage"]},
        "buy and hold": r["buy_and_hold"],
        "hold at its mean size": r["matched_hold"]["size"],
        "hold at its net exposure": r["matched_hold"]["net"],
        "hold at its volatility": r["matched_hold"]["volatility"],
    }
    rows = (hold_row(name, values) for name, values in named.items())
    return table(["", "Exposure", "Return", "A year", "Sharpe", "Volatility", "Max drawdown"], rows)


def hold_row(name: str, r: Mapping[str, Any]) -> str:
    """One line of the comparison."""
    gain = coloured(percent(r["total_return"], 1, True), r["total_return"])
    exposure = UNKNOWN if r["exposure"] is None else f"{number(r['exposure'])} x"
    return row(
        [
            escape(name),
            exposure,
            gain,
            percent(r["cagr"], 1, True),
            number(r["sharpe"]),
            percent(r["volatility"], 1),
            percent(r["max_drawdown"], 1),
        ]
    )


def regime_table(by_regime: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Figures of each regime, of each symbol where there are several."""
    several = len(by_regime) > 1
    head = [*(["Symbol"] if several else []), "Regime", "Time", "Return", "Hold", "Sharpe", "Trades", "Won", "Result of trades"]
    rows = (
        row([*([escape(symbol)] if several else []), *regime_cells(name, r)])
        for symbol, found in by_regime.items()
        for name, r in found.items()
    )
    return table(head, rows)


def regime_cells(name: str, r: Mapping[str, Any]) -> list[str]:
    """One regime's line."""
    return [
        escape(name.replace("_", " ").capitalize()),
        percent(r["time_share"], 1),
        coloured(percent(r["total_return"], 1, True), r["total_return"]),
        percent(r["hold_return"], 1, True),
        number(r["sharpe"]),
        f"{r['trades']:,}",
        percent(r["win_rate"], 1),
        coloured(money(r["pnl"], True), r["pnl"]),
    ]


def figures_table(pairs: Iterable[tuple[str, str]]) -> str:
    """Name and value."""
    return f"<table class=figures><tbody>{''.join(row((escape(name), value)) for name, value in pairs)}</tbody></table>"


def risk_figures(result: Mapping[str, Any], bar_ms: int) -> list[tuple[str, str]]:
    """How it went up and down."""
    r = result
    return [
        *luck_figures(r),
        ("Volatility, a year", percent(r["volatility"])),
        ("Sortino", number(r["sortino"])),
        ("Calmar", number(r["calmar"])),
        ("Longest drawdown", span(r["longest_drawdown_bars"], bar_ms)),
        ("Ulcer index", percent(r["ulcer"])),
        ("Value at risk, 5 % of bars", percent(r["value_at_risk"])),
        ("Expected shortfall, 5 % of bars", percent(r["expected_shortfall"])),
    ]


def luck_figures(r: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How sure the Sharpe is, alone and beside all trials on the same candles where these are known."""
    alone = [("Probability that the true Sharpe is above 0 (PSR)", percent(r["probabilistic_sharpe"], 1))]
    if "deflated_sharpe" not in r:
        return alone
    best = f"above {number(r['luck_sharpe'])}, what the best of {r['trials_ever']:,} trials shows by luck (DSR)"
    return [*alone, (best if r["trials_ever"] > 1 else "the same, as the only trial (DSR)", percent(r["deflated_sharpe"], 1))]


def trade_figures(result: Mapping[str, Any], bar_ms: int) -> list[tuple[str, str]]:
    """How it traded."""
    r, sides, exits = result, result["trades_by_side"], result["trades_by_exit"]
    return [
        ("Long / short", f"{sides['long']:,} / {sides['short']:,}"),
        ("Exits by signal / stop / take / liquidation", " / ".join(f"{count:,}" for count in exits.values())),
        ("Mean result of a trade", money(r["expectancy"], True)),
        ("Mean win / loss", f"{money(r['average_win'], True)} / {money(r['average_loss'], True)}"),
        ("Mean holding", span(r["average_bars_held"], bar_ms)),
        ("Mean leverage", f"{number(r['average_leverage'])} x"),
        ("Turnover, a year", f"{number(r['turnover'], 1)} x"),
        (
            "Bars that reached take and stop (the worse assumed)",
            f"{r['ambiguous']['left']:,} ({percent(r['ambiguous']['share_of_bars'], 2)})",
        ),
    ]


def trades_table(run: Run) -> str:
    """The first trades, in the order of their exits."""
    several = "symbol" in run.trades
    head = [*(["Symbol"] if several else []), "Entry", "Exit", "Side", "Quantity", "Entry price", "Exit price", "Fees", "Funding", "Result"]
    lots, shown = run.result["simulation"]["lot"], run.trades.head(MOST_TRADES)
    rows = (trade_row(trade, lots if isinstance(lots, float) else lots[trade["symbol"]]) for trade in shown.to_dict("records"))
    return table([*head, "Return", "Bars", "Exit by"], rows)


def trade_row(trade: Mapping[Any, Any], lot: float) -> str:
    """One trade."""
    side = "▲ long" if trade["side"] == "long" else "▼ short"
    cells = [
        moment(trade["entry_ts"]),
        moment(trade["exit_ts"]),
        side,
        number(trade["quantity"], digits_of(lot)),
        *(number(trade[name]) for name in ("entry_price", "exit_price", "fees", "funding")),
        coloured(money(trade["pnl"], True), trade["pnl"]),
        percent(trade["return"], 2, True),
        f"{trade['bars_held']:,}",
        escape(trade["exit_reason"]),
    ]
    return row([*([escape(trade["symbol"])] if "symbol" in trade else []), *cells])
