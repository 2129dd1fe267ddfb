"""A decision on the newest stored bar, printed."""

from __future__ import annotations

import sys
from typing import Any

from alpha_arena.commands.output import print_text
from alpha_arena.commands.shared import clock_of, database
from alpha_arena.settings import Settings

WORDS = ("prompt", "response_raw", "decisions")


def run(settings: Settings) -> dict[str, Any]:
    """Decide; nothing is executed and no decision is recorded. What a model said is kept as `llm.cache` has it."""
    from alpha_arena.wiring import decide

    with database(settings) as service:
        return decide(settings, clock_of(service, settings), service)


def show(result: dict[str, Any]) -> None:
    """Each symbol's decision; of a model first what it was told and said, word by word."""
    for made in result.get("decisions", [result]):
        for message in made.get("prompt", ()):
            sys.stdout.write(f"--- {message['role']} ---\n{message['content']}\n\n")
        if "response_raw" in made:
            sys.stdout.write(f"--- answer ---\n{made['response_raw'] or '(none)'}\n\n")
        print_text({name: value for name, value in made.items() if name not in WORDS})
