"""Simulate stored candles."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from alpha_arena.commands.output import announcing, moment, print_rows, progress
from alpha_arena.commands.shared import WallClock, database
from alpha_arena.settings import Settings

SHOWN = (
    "initial_capital",
    "final_equity",
    "total_return",
    "buy_and_hold_return",
    "cagr",
    "sharpe",
    "probabilistic_sharpe",
    "deflated_sharpe",
    "trials_ever",
    "sortino",
    "calmar",
    "max_drawdown",
    "trades",
    "win_rate",
    "profit_factor",
    "exposure_time",
    "fees",
    "funding",
)
SIGNED = ("total_return", "buy_and_hold_return", "cagr")
PERCENT = (*SIGNED, "max_drawdown", "win_rate", "exposure_time", "probabilistic_sharpe", "deflated_sharpe")


def run(settings: Settings) -> dict[str, Any]:
    """Simulate, write the run folder and keep the run in the database; the figures of result.json with the folder's name.

    Raises:
        NoData: nothing is stored in the window. ConfigError: a model may be asked more often than most_calls.
    """
    from alpha_arena.wiring import run_backtest, save

    with database(settings) as service:
        with progress("backtest") as told:
            made = run_backtest(settings, service, told, announcing("backtest"))
        made, folder = save(made, settings, service, WallClock().now_ms())
    return {"name": made.name, "folder": str(folder), **made.result}


def show(result: dict[str, Any]) -> None:
    """The figures that matter most, and where the rest lies."""
    print_rows(
        figure_rows(result, SHOWN),
        f"{result['name']}: {result['bars']:,} bars, {moment(result['start_ts'])} to {moment(result['end_ts'])} UTC",
    )
    asked = result.get("llm")
    if asked and not asked["contaminated"]:
        sys.stdout.write(f"{asked['contamination']}\n")
    sys.stdout.write(f"{how(result)}\n{result['folder']}\n")
    for warning in result["warnings"]:
        sys.stderr.write(f"warning: {warning}\n")


def how(result: Mapping[str, Any]) -> str:
    """Which code has simulated it and why, and how much of it rests on what came first within a bar."""
    doubt = result["ambiguous"]
    bars = f"{doubt['left']:,} bars ({doubt['share_of_bars']:.2%}; {doubt['share_of_trades']:.1%} of the trades)"
    return f"{result['engine']}: {result['engine_reason']}; {bars} reached take and stop, the worse assumed"


def figure_rows(figures: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, str]]:
    """Figures with their names, as a table has them."""
    return [{"": name.replace("_", " "), "value": said(name, figures.get(name))} for name in names]


def said(name: str, value: Any) -> str:
    """A figure with its unit: fractions as percentages, quote currency with two digits."""
    if value is None or not isinstance(value, int | float):
        return "–"
    if name in PERCENT:
        return f"{value:+.2%}" if name in SIGNED else f"{value:.2%}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
