"""Results on stdout: one JSON object, or tables to read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

MARKS = {True: "✓", False: "✗", None: "–"}


def jsonable(value: Any) -> Any:
    """Plain values for JSON: NaN and infinity are null, numpy scalars and arrays their Python counterparts, paths text."""
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(item) for item in value]
    if isinstance(value, float):
        return value if isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return jsonable(value.tolist()) if hasattr(value, "tolist") else str(value)


def print_json(result: Mapping[str, Any]) -> None:
    """Exactly one JSON object, on one line."""
    sys.stdout.write(json.dumps(jsonable(result), allow_nan=False) + "\n")
    sys.stdout.flush()


def print_text(result: Mapping[str, Any]) -> None:
    """Single values as one table, each list of rows as another."""
    single = {key: value for key, value in result.items() if not _is_table(value) and value != []}
    if single:
        print_rows([{"": key, "value": value} for key, value in flat(single)])
    for key, rows in result.items():
        if _is_table(rows):
            print_rows(rows, key)


def _is_table(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and bool(value) and all(isinstance(row, Mapping) for row in value)


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as dotted keys."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def print_rows(rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """One table; columns in the order in which they first appear."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(box=SIMPLE_HEAD, show_header=columns != ["", "value"])
    for column in columns:
        numeric = all(isinstance(row.get(column), int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(column, row.get(column))) for column in columns))
    width = None if sys.stdout.isatty() else 200
    console = Console(file=sys.stdout, width=width, highlight=False)
    console.print(*([Text(title, style="bold")] if title else []), table)


def print_reasons(reasons: Sequence[Mapping[str, Any]], title: str) -> None:
    """Those of a verdict, each with whether it holds."""
    print_rows([{"": MARKS[reason["passed"]], "why": reason["text"]} for reason in reasons], title)


def cell(name: str, value: Any) -> str:
    """A value as it is shown: times as UTC, floats with six digits, nothing for null and NaN."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if name.endswith(("_ts", "_ms")) or name == "ts":
        return moment(value) if isinstance(value, int) and value > 1e11 else str(value)
    if isinstance(value, bool | str | Path):
        return str(value)
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
    return json.dumps(jsonable(value)) if isinstance(value, Mapping | list | tuple) else str(value)


def moment(ms: int) -> str:
    """A time in ms as text, UTC."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M}"


def announcing(label: str) -> Callable[[str], None]:
    """Says on stderr what will be asked, before it is."""

    def said(text: str) -> None:
        sys.stderr.write(f"{label}: {text}\n")

    return said


@contextmanager
def progress(label: str, unit: str = "bars") -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr that is told (done, total); none where stderr is not a terminal."""
    from tqdm import tqdm

    with tqdm(desc=label, unit=f" {unit}", file=sys.stderr, disable=None, leave=False) as bar:

        def told(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield told
