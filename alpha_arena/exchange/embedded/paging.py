"""Query parameters and cursors: rows newest first, `after` for older ones, `before` for newer ones, both exclusive (okx-wire §1, §2.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TypeVar

from alpha_arena.exchange.embedded.codes import refused, wrong

Row = TypeVar("Row")
CAP = 100
LARGEST = 2**63


def whole(query: Mapping[str, str], name: str, default: int) -> int:
    """A whole number of a query.

    Raises:
        Rejection: 51000, it is none.
    """
    value = query.get(name, "")
    if not value:
        return default
    if not (value.isascii() and value.isdecimal() and int(value) < LARGEST):
        raise wrong(name)
    return int(value)


def required(query: Mapping[str, str], name: str) -> str:
    """A parameter that must be given.

    Raises:
        Rejection: 50014, it is missing.
    """
    value = query.get(name, "")
    if not value:
        raise refused("50014", name)
    return value


def chosen(query: Mapping[str, str], name: str, allowed: Iterable[str], default: str = "") -> str:
    """A parameter with a fixed set of values.

    Raises:
        Rejection: 51000, another one.
    """
    value = query.get(name, "") or default
    if value and value not in allowed:
        raise wrong(name)
    return value


def limit(query: Mapping[str, str], cap: int = CAP, default: int | None = None) -> int:
    """How many rows are asked for; more than `cap` is `cap`.

    Raises:
        Rejection: 51000, zero or no number.
    """
    asked = whole(query, "limit", default or cap)
    if not asked:
        raise wrong("limit")
    return min(asked, cap)


def page(
    rows: Iterable[Row], query: Mapping[str, str], cursor: Callable[[Row], int], cap: int = CAP, default: int | None = None
) -> list[Row]:
    """The newest rows of the open interval (before, after), newest first.

    Args:
        rows: newest first. cursor: what `after` and `before` are compared with.
    """
    older_than, newer_than = whole(query, "after", LARGEST), whole(query, "before", -1)
    return list(islice((row for row in rows if newer_than < cursor(row) < older_than), limit(query, cap, default)))


def spanned(rows: Iterable[Row], query: Mapping[str, str], ts: Callable[[Row], int], oldest_ms: int) -> Iterable[Row]:
    """Rows of begin <= ts <= end that are not older than the endpoint reaches back."""
    begin, end = max(whole(query, "begin", 0), oldest_ms), whole(query, "end", LARGEST)
    return (row for row in rows if begin <= ts(row) <= end)
