"""Parameters chosen on the past, judged on what follows."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from alpha_arena.commands.backtest import figure_rows, said
from alpha_arena.commands.output import moment, print_reasons, print_rows, progress
from alpha_arena.commands.shared import WallClock, database
from alpha_arena.settings import Settings

SHOWN = ("total_return", "buy_and_hold_return", "cagr", "sharpe", "max_drawdown", "trades", "fees", "funding")
# figures of the decay that are shown as a backtest's
ALIKE = {"in_sample_cagr": "cagr", "out_of_sample_cagr": "cagr", "efficiency": "win_rate"}


def run(settings: Settings) -> dict[str, Any]:
    """Search each training, trade and judge the tests, write the run folder; what result.json holds, with the folder's name.

    Raises:
        NoData: nothing is stored in the window. DataError: too few bars for one fold. ConfigError: the space or the plan does not fit.
    """
    from alpha_arena.backtest.search_folder import write_walked
    from alpha_arena.wiring.walkforward import run_walkforward
    from flows.sweeps import pool_for

    with database(settings) as service:
        now = WallClock().now_ms()
        with progress("walkforward", "trials") as told:
            walked = run_walkforward(settings, service, partial(pool_for, settings), now, told)
        folder = write_walked(walked, settings.outputs, now, settings.shown_overrides)
    return {"name": walked.name, "folder": str(folder), **walked.result}


def show(result: dict[str, Any]) -> None:
    """The verdict first, then each scheme's folds and its tests in a row, and where the rest lies."""
    for scheme in result["schemes"]:
        _show_scheme(scheme, [fold for fold in result["folds"] if fold["scheme"] == scheme["scheme"]], result["objective"])
    skipped = f", {result['skipped']:,} refused ({result['skipped_because']})" if result["skipped"] else ""
    sys.stdout.write(f"{result['made']:,} combinations{skipped}; {result['where']}, {result['search_seconds']:,.1f} s\n")
    sys.stdout.write(f"{result['folder']}\n")
    for warning in result["warnings"]:
        sys.stderr.write(f"warning: {warning}\n")


def _show_scheme(scheme: Mapping[str, Any], folds: Sequence[Mapping[str, Any]], objective: str) -> None:
    print_reasons(scheme["verdict"]["reasons"], f"{scheme['grade']}: {scheme['scheme']} walk-forward")
    print_rows([_fold(fold, objective) for fold in folds], f"{scheme['scheme']}: {objective} in each training and in the test after it")
    rows = figure_rows(scheme, SHOWN)
    rows += [{"": name.replace("_", " "), "value": said(ALIKE.get(name, name), value)} for name, value in scheme["decay"].items()]
    print_rows(rows, f"{scheme['scheme']}: the tests in a row")


def _fold(fold: Mapping[str, Any], objective: str) -> dict[str, Any]:
    varied = " ".join(f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}" for name, value in fold["parameters"].items())
    return {
        "train": f"{moment(fold['train_first_ts'])[:10]} to {moment(fold['train_last_ts'])[:10]}",
        "test": f"{moment(fold['test_first_ts'])[:10]} to {moment(fold['test_last_ts'])[:10]}",
        "in": said(objective, fold["inside"][objective]),
        "out": said(objective, fold["outside"][objective]),
        "return": said("total_return", fold["outside"]["total_return"]),
        "trades": said("trades", int(fold["outside"]["trades"])),
        "chosen": f"{fold['strategy']} {varied}".strip() or "nothing, flat",
    }
