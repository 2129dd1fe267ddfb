"""Many backtests at once, and what to think of the best."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from alpha_arena.commands.backtest import figure_rows, how
from alpha_arena.commands.output import print_reasons, print_rows, progress
from alpha_arena.commands.shared import WallClock, database
from alpha_arena.settings import Settings

SHOWN = ("total_return", "sharpe", "calmar", "max_drawdown", "trades", "win_rate", "profit_factor", "exposure_time", "fees", "funding")


def run(settings: Settings) -> dict[str, Any]:
    """Search, judge, write the run folder; what result.json holds, with the folder's name.

    Raises:
        NoData: nothing is stored in the window. ConfigError: the space is empty, too large, or names what does not exist.
    """
    from alpha_arena.backtest.search_folder import write_found
    from alpha_arena.wiring.sweeping import run_sweep
    from flows.sweeps import pool_for

    with database(settings) as service:
        now = WallClock().now_ms()
        with progress("sweep", "trials") as told:
            found = run_sweep(settings, service, partial(pool_for, settings), now, told)
        folder = write_found(found, settings.outputs, now, settings.shown_overrides)
    return {"name": found.name, "folder": str(folder), **found.result}


def show(result: dict[str, Any]) -> None:
    """The verdict first, then the best parameters and their figures with all rules, and where the rest lies."""
    verdict, best, run_ = result["verdict"], result["best"], result["run"]
    title = f"{verdict['grade']}: the best of {result['combinations']:,} combinations by {result['objective']}"
    print_reasons(verdict["reasons"], title)
    rows = [{"": name, "value": value} for name, value in best["parameters"].items()]
    print_rows([*rows, *figure_rows(run_, SHOWN)], f"{best['strategy']} on {best['symbol']} {best['timeframe']}")
    reused = f", {result['reused']:,} of them known from before" if result["reused"] else ""
    refused = f", {result['refused']:,} refused ({result['refused_because']})" if result["refused"] else ""
    sys.stdout.write(f"{result['made']:,} trials{reused}{refused}; {result['where']}, {result['trials_per_second']:,.0f} trials/s\n")
    sys.stdout.write(f"{how(run_)}\n{result['folder']}\n")
    for warning in run_["warnings"]:
        sys.stderr.write(f"warning: {warning}\n")
