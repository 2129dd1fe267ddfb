"""The folders that searches leave: a backtest's files of what was found, beside what is a search's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alpha_arena.backtest.folder import fill, market_hashes, meta, written
from alpha_arena.backtest.search import Found, Walked
from alpha_arena.backtest.walkforward import folds_frame


def write_found(found: Found, outputs: Path, now_ms: int, overrides: Sequence[str] = ()) -> Path:
    """Write a sweep's folder: its best run, and every trial in trials.parquet.

    Args:
        now_ms: ms UTC, shapes the name. overrides: of the command line.

    Raises:
        StoreError: the folder cannot be written.
    """
    from alpha_arena.backtest.search_report import search_html

    def filled(draft: Path) -> None:
        about = meta("sweep", found.name, now_ms, market_hashes(found.read), found.proof)
        fill(draft, found.run, about, overrides, search_html(found), found.result)
        found.table.to_parquet(draft / "trials.parquet", index=False)

    return written(outputs, "sweep", found.name, now_ms, filled)


def write_walked(walked: Walked, outputs: Path, now_ms: int, overrides: Sequence[str] = ()) -> Path:
    """Write a walk-forward's folder: its first scheme's tests in a row, and the folds of all in folds.parquet.

    Args:
        now_ms: ms UTC, shapes the name. overrides: of the command line.

    Raises:
        StoreError: the folder cannot be written.
    """
    from alpha_arena.backtest.walk_report import walk_html

    def filled(draft: Path) -> None:
        about = meta("walkforward", walked.name, now_ms, market_hashes(walked.read), walked.proof)
        fill(draft, walked.walks[0].run, about, overrides, walk_html(walked), walked.result)
        folds_frame({walk.scheme: walk.folds for walk in walked.walks}).to_parquet(draft / "folds.parquet", index=False)

    return written(outputs, "walkforward", walked.name, now_ms, filled)
