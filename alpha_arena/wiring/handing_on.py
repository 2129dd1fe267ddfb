"""What models answered, as a file: a recording that was paid for once can be replayed by somebody else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from alpha_arena.core.errors import ConfigError
from alpha_arena.data.models import KeptAnswers, every_answer
from alpha_arena.data.service import DataService
from alpha_arena.llm.kept import answer_of, line_of


def export_answers(service: DataService, file: Path) -> dict[str, Any]:
    """Write all answers that are kept, a line each; how many. The file appears whole or not at all.

    Raises:
        ConfigError: it cannot be written.
    """
    half, count = file.with_name(f"{file.name}.part"), 0
    try:
        with half.open("w", encoding="utf-8", newline="\n") as lines:
            for one in every_answer(service):
                lines.write(f"{line_of(*one)}\n")
                count += 1
        os.replace(half, file)
    except OSError as error:
        with suppress(OSError):
            half.unlink()
        raise ConfigError(f"db.file={file} cannot be written: {error.strerror}") from None
    return {"answers": count}


def import_answers(service: DataService, file: Path) -> dict[str, Any]:
    """Take in a file's answers, all or none; how many were new, took the place of an older or failed one, or were left as they are.

    Raises:
        ConfigError: it cannot be read, or a line is no answer.
    """
    kept, counts = KeptAnswers(service), {"added": 0, "replaced": 0, "left": 0}
    with service.batch():
        for key, template, outcome in answers_in(file):
            held = kept.get(key)
            done = "added" if held is None else "replaced" if is_better(outcome, held) else "left"
            if done != "left":
                kept.put(key, template, outcome)
            counts[done] += 1
    return counts


def is_better(outcome: Any, held: Any) -> bool:
    """Whether it may take the place of what is kept: a newer answer, or one where there is none; never a failure."""
    return bool(outcome["reply"]) and (not held["reply"] or outcome["wall_ms"] > held["wall_ms"])


def answers_in(file: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Key, template and outcome of each line.

    Raises:
        ConfigError: it cannot be read, or a line is no answer.
    """
    try:
        with file.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    yield answer_of(line.decode("utf-8"))
                except ValueError as error:
                    why = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else error
                    raise ConfigError(f"db.file={file}: line {number} {why}; nothing was taken in") from None
    except OSError as error:
        raise ConfigError(f"db.file={file} cannot be read: {error.strerror}") from None
