"""Look for bias in the enabled strategies."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from alpha_arena.commands.output import print_rows, progress
from alpha_arena.commands.shared import database
from alpha_arena.settings import Settings

COLUMNS = ("strategy", "symbol", "kind", "said", "column", "detail")


def run(settings: Settings) -> dict[str, Any]:
    """All findings; `ok` is false where one of them is a bias.

    Raises:
        NoData: too few bars are stored.
    """
    from alpha_arena.wiring.bias import look_for_bias

    with database(settings) as service, progress("check", "cuts") as told:
        found = look_for_bias(settings, service, told)
    return {"ok": all(one.ok for one in found), "findings": [asdict(one) for one in found]}


def show(result: dict[str, Any]) -> None:
    """A table."""
    rows = [{**one, "said": "ok" if one["ok"] else "WRONG"} for one in result["findings"]]
    print_rows([{name: row[name] for name in COLUMNS} for row in rows], "no bias was found" if result["ok"] else "there is bias")
