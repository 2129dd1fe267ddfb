"""Ask a model about the same closes in four worlds, and say whether it remembers the market."""

from __future__ import annotations

import sys
from typing import Any

from alpha_arena.commands.output import announcing, moment, print_rows, progress
from alpha_arena.commands.shared import database
from alpha_arena.settings import Settings


def run(settings: Settings) -> dict[str, Any]:
    """The verdict with what it rests on; what will be asked is said on stderr before anybody is.

    Raises:
        ConfigError: no model is asked, or more often than probe.most. NoData: nothing is stored in the window.
    """
    from alpha_arena.wiring.probing import run_probe

    with database(settings) as service, progress("probe", "closes") as told:
        return run_probe(settings, service, announcing("probe"), told)


def show(result: dict[str, Any]) -> None:
    """The verdict first, then each probe."""
    names, counter = result["names"], result["counterfactual"]
    apart = names["return_difference"]
    title = f"{result['model']}: {result['bars']:,} bars, {moment(result['start_ts'])} to {moment(result['end_ts'])} UTC"
    rows = [
        ("by name and without it", names["text"]),
        ("return by name less without", f"{apart['total']:+.2%}, from {apart['low']:+.2%} to {apart['high']:+.2%} at 90 %"),
        ("mirrored", counter["mirrored"]["text"]),
        ("shuffled", counter["shuffled"]["text"]),
        ("training", result["contamination"]),
        ("cost", "not known" if result["cost_usd"] is None else f"{result['cost_usd']:,.4f} USD"),
    ]
    print_rows([{"": name, "value": value} for name, value in rows], title)
    if result["unanswered"]:
        sys.stdout.write(f"{result['unanswered']}\n")
    sys.stdout.write(f"{result['sentence']}\n")
