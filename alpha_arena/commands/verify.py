"""Make a run again and say what differs."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from alpha_arena.commands.output import print_rows, progress
from alpha_arena.commands.shared import database
from alpha_arena.settings import Settings


def run(settings: Settings) -> dict[str, Any]:
    """Every part of the run beside what it is now; `ok` is false where it is not reproduced.

    Raises:
        DataError: the folder is not that of a whole run. NoData: its rows are not stored any more.
    """
    from alpha_arena.wiring.verification import again, kept_run, verified

    kept = kept_run(settings)
    made = again(kept, settings)
    with database(made.settings) as service, progress("verify") as told:
        compared = verified(made, service, told)
    reproduced = all(one.same for one in compared if one.binding)
    return {"ok": reproduced, "run": str(kept.path), "compared": [asdict(one) for one in compared]}


def show(result: dict[str, Any]) -> None:
    """A table, and the outcome in a line."""
    rows = [{"part": one["part"], "": word(one), "said": one["said"]} for one in result["compared"]]
    print_rows(rows, result["run"])
    wrong = [one["part"] for one in result["compared"] if one["binding"] and not one["same"]]
    sys.stdout.write("reproduced to the last digit\n" if result["ok"] else f"not reproduced: {', '.join(dict.fromkeys(wrong))}\n")


def word(compared: dict[str, Any]) -> str:
    """Same, other (which is for information) or DIFFERS."""
    if compared["same"]:
        return "same"
    return "DIFFERS" if compared["binding"] else "other"
