"""One trading cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alpha_arena.commands.output import print_rows
from alpha_arena.commands.shared import clock_of, database
from alpha_arena.settings import Settings

COLUMNS = ("trader", "symbol", "timeframe", "bar_ts", "exposure", "stop", "take", "confidence", "why")


def run(settings: Settings) -> dict[str, Any]:
    """Decide the newest closed bar for each trader and send the orders; none where it was decided before."""
    from alpha_arena.wiring import trade_cycle

    with database(settings) as service:
        decisions = trade_cycle(settings, clock_of(service, settings), service)
    return {"decisions": decisions}


def show(result: dict[str, Any]) -> None:
    """A row for each decision; of orders that went to an exchange what became of them, of others how many there are."""
    rows = [{name: made.get(name) for name in COLUMNS} | {"orders": fates(made.get("orders", ()))} for made in result["decisions"]]
    print_rows(rows or [{"": "nothing to do: the newest closed bar has been decided before, or another process is at it"}])


def fates(orders: Sequence[Mapping[str, Any]]) -> int | str:
    """Where orders stand, and why where they did not fill."""
    told = [order["state"] if order["state"] == "FILLED" else f"{order['state']}: {order['cause']}" for order in orders if "state" in order]
    return "; ".join(told) or len(orders)
