"""What can be traded, and what each strategy says now."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from alpha_arena.commands.output import print_rows
from alpha_arena.commands.shared import database
from alpha_arena.core.errors import NoData
from alpha_arena.settings import Settings
from alpha_arena.settings.catalogue import Entry, strategies

if TYPE_CHECKING:
    from alpha_arena.core.market import Market


def run(settings: Settings) -> dict[str, Any]:
    """List the strategies, or with on=stored compute each one's latest signal, disabled ones included.

    Raises:
        NoData: no candles are stored for the symbol and timeframe.
    """
    entries = strategies(settings)
    return {"strategies": [described(entry) for entry in entries]} if settings.on == "conf" else latest(settings, entries)


def described(entry: Entry) -> dict[str, Any]:
    """One strategy with its parameters."""
    rows = [
        {"parameter": one.name, "default": entry.defaults.get(one.name), "type": one.kind, "bounds": one.bounds, "unit": one.unit}
        for one in entry.parameters
    ]
    return {"name": entry.name, "summary": entry.summary, "target": entry.target, "enabled": list(entry.enabled), "parameters": rows}


def latest(settings: Settings, entries: list[Entry]) -> dict[str, Any]:
    """Every strategy's wish at the newest stored bar of each symbol."""
    with database(settings) as service:
        markets = [service.market(one.symbol, settings.timeframe, settings.end_ms, settings.source) for one in settings.symbols]
    for market in markets:
        if not len(market):
            raise NoData(f"no {settings.timeframe} candles of {market.symbol} are stored before end; ingest them first")
    return {"signals": [signal(entry, market) for market in markets for entry in entries]}


def signal(entry: Entry, market: Market) -> dict[str, Any]:
    """One strategy's wish at the last bar of a market."""
    began = perf_counter()
    signals = entry.strategy.signals(market)
    target = signals.at(-1)
    return {
        "strategy": entry.name,
        "enabled": ", ".join(entry.enabled) or "no",
        "symbol": market.symbol,
        "bar_ts": int(market.ts[-1]),
        "bars": len(market),
        "exposure": target.exposure,
        "stop": target.stop,
        "take": target.take,
        "bars_in_position": int((signals.exposure != 0).sum()),
        "seconds": perf_counter() - began,
    }


def show(result: dict[str, Any]) -> None:
    """A table for each strategy, or one of all signals."""
    if "signals" in result:
        print_rows(result["signals"])
    for one in result.get("strategies", ()):
        enabled = f"enabled in {', '.join(one['enabled'])}" if one["enabled"] else "enabled in no list of conf/decision"
        print_rows(one["parameters"], f"{one['name']}: {one['summary']}  ({enabled})")
