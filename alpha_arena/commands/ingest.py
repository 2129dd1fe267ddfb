"""Store what is new of candles and funding."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from alpha_arena.commands.output import print_rows
from alpha_arena.commands.shared import chosen, clock_of, database, since_ms, wanted
from alpha_arena.settings import Settings

if TYPE_CHECKING:
    from alpha_arena.ingest import Progress, Report

COLUMNS = ("exchange", "symbol", "timeframe", "made_of", "rows", "inserted", "changed", "unchanged", "first_ts", "last_ts")


def run(settings: Settings) -> dict[str, Any]:
    """Import after the last stored bar, or from since_days ago."""
    from alpha_arena.ingest import ingest, remembered

    exchange = chosen(settings)
    began = perf_counter()
    with database(settings, create=True) as service:
        clock = clock_of(service, settings)
        now_ms = clock.now_ms()
        symbols, timeframes = wanted(settings, exchange)
        start_ms = settings.start_ms if settings.start_ms is not None else since_ms(settings, exchange, now_ms)
        source, told = exchange.source(clock), progress_of()
        reports = remembered(service, now_ms, lambda: ingest(service, source, symbols, timeframes, start_ms, now_ms, told))
    return summary(reports, perf_counter() - began)


def summary(reports: Sequence[Report], seconds: float) -> dict[str, Any]:
    """What an import did: totals and a row for each series."""
    totals = {name: sum(getattr(report, name) for report in reports) for name in ("rows", "inserted", "changed", "unchanged")}
    rate = totals["rows"] / seconds if seconds else 0.0
    return {**totals, "seconds": seconds, "rows_per_second": rate, "series": [report.as_dict() for report in reports]}


def progress_of() -> Progress:
    """A bar on stderr for each series; none where stderr is not a terminal."""
    from alpha_arena.commands.progress import SeriesBars

    return SeriesBars()


def show(result: dict[str, Any]) -> None:
    """A row for each series; below, what was repaired and what is missing."""
    rows = [{name: series.get(name) for name in COLUMNS} | {"gaps": len(series["gaps"])} for series in result["series"]]
    print_rows(rows, f"{result['rows']:,} rows in {result['seconds']:.1f} s, {result['inserted']:,} new, {result['changed']:,} changed")
    repaired = [{"symbol": s["symbol"], "timeframe": s["timeframe"], "repaired": text} for s in result["series"] for text in s["repairs"]]
    if repaired:
        print_rows(repaired)
