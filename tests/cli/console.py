"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Run = Callable[..., tuple[int, str, str]]


def one_line(text: str, parts: Sequence[str]) -> None:
    """The text is one line that holds all parts."""
    assert text.count("\n") == 1, text
    assert [part for part in parts if part not in text] == [], text
