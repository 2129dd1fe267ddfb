"""All traders of an arena over the same stored candles, on one board with what always stands beside them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from alpha_arena.commands.output import announcing, moment, print_rows, progress
from alpha_arena.commands.shared import WallClock, database
from alpha_arena.settings import Settings

WATERMARK = "SYNTHETIC: these candles were generated; the board shows that the machinery works, and nothing about any market"


def run(settings: Settings) -> dict[str, Any]:
    """Compete, write the run folder and keep the board in the database; what board.json holds, with the folder's name.

    Raises:
        NoData: nothing is stored in the window, or too few bars. ConfigError: models may be asked more often than most_calls.
    """
    from alpha_arena.backtest.contest import write_contest
    from alpha_arena.data.notes import record_backtest
    from alpha_arena.wiring.arena import run_arena

    with database(settings) as service:
        now = WallClock().now_ms()
        with progress("arena") as told:
            made = run_arena(settings, service, now, told, announcing("arena"))
        folder = write_contest(made, settings.outputs, now, settings.shown_overrides)
        row = {
            "name": f"arena_{folder.name}",
            "trader": settings.trader,
            "created_ms": now,
            "symbol": ",".join(made.result["symbols"]),
            "timeframe": settings.timeframe,
            "strategy": "arena",
            "folder": str(folder),
            "config_hash": settings.config_hash,
            "data_hash": "+".join(made.hashes["candles"].values()),
        }
        record_backtest(service, row, made.result, ())
    return {"folder": str(folder), **made.result}


def show(result: dict[str, Any]) -> None:
    """What the order is worth, the board, what to know of it, and where the rest lies."""
    if result["synthetic"]:
        sys.stdout.write(f"{WATERMARK}\n")
    title = f"{result['arena']}: {', '.join(result['symbols'])} {result['timeframe']}, {result['bars']:,} bars, "
    title += f"{moment(result['start_ts'])} to {moment(result['end_ts'])} UTC. {result['said']}"
    print_rows([line(row) for row in result["rows"]], title)
    for note in result["notes"]:
        sys.stdout.write(f"{note}\n")
    sys.stdout.write(f"{result['folder']}\n")


def interval(low: float | None, high: float | None) -> str:
    """Both ends, a dash where there is no interval."""
    return number(None) if low is None or high is None else f"{number(low)}..{number(high)}"


def line(row: Mapping[str, Any]) -> dict[str, str]:
    """A row of the board as the table has it."""
    return {
        "": place(row),
        "name": row["name"],
        "return": percent(row["total_return"], True),
        "net of llm": percent(row["net_return"], True),
        "Sharpe": number(row["sharpe"]),
        "±": number(row["sharpe_error"]),
        "95 %": interval(row["sharpe_low"], row["sharpe_high"]),
        "PSR": number(row["psr"]),
        "DSR": number(row["dsr"]),
        "drawdown": percent(row["max_drawdown"]),
        "turnover": number(row["turnover"], 0),
        "fees": number(row["fees"]),
        "funding": number(row["funding"]),
        "llm USD": number(row["llm_cost_usd"]),
        "fallback": percent(row["fallback_rate"]),
        "above random": percent(row["random_share"]),
    }


def place(row: Mapping[str, Any]) -> str:
    """Rank with its group as a letter, or what it is instead."""
    from alpha_arena.backtest.wording import letter

    if row["rank"] is not None:
        return f"{row['rank']} {letter(row['group'])}"
    unranked = "cost unknown" if row["kind"] == "trader" else row["kind"]
    return next((word for word in ("contaminated", "silent") if row[word]), unranked)


def percent(value: float | None, signed: bool = False) -> str:
    """A fraction; a dash for what is not known."""
    return "–" if value is None else f"{value:+.1%}" if signed else f"{value:.1%}"


def number(value: float | None, digits: int = 2) -> str:
    """A number; a dash for what is not known."""
    return "–" if value is None else f"{value:,.{digits}f}"
