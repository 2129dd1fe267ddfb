"""A contest and the folder that it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml  # type: ignore[import-untyped]

from alpha_arena.backtest.board import Board
from alpha_arena.backtest.contestants import Band, Contestant
from alpha_arena.backtest.folder import META, as_json, meta, written
from alpha_arena.backtest.result import plain

if TYPE_CHECKING:
    import pandas as pd

BOARD = "board.json"


@dataclass(frozen=True)
class Contest:
    """An arena's run over history.

    Attributes:
        name: of the arena. settings: its resolved configuration and each contestant's, secrets masked. result: what board.json says.
        hashes: as of folder.market_hashes. proof: what meta.json says beside them.
    """

    name: str
    settings: Mapping[str, Any] = field(repr=False)
    result: Mapping[str, Any] = field(repr=False)
    board: Board
    contestants: Sequence[Contestant] = field(repr=False)
    band: Band = field(repr=False)
    hashes: Mapping[str, Mapping[str, str]] = field(repr=False)
    proof: Mapping[str, Any] = field(repr=False)


def curves(contest: Contest) -> pd.DataFrame:
    """ts, then equity at each close: a column KIND:NAME for each contestant, and the band of random traders as random:low, middle, high."""
    import pandas as pd

    band = {f"random:{name}": values for name, values in contest.band.lines.items()}
    return pd.DataFrame({"ts": contest.band.ts, **{f"{one.kind}:{one.name}": one.equity for one in contest.contestants}, **band})


def write_contest(contest: Contest, outputs: Path, now_ms: int, overrides: Sequence[str] = ()) -> Path:
    """Write an arena's folder: configuration, board.json, curves.parquet, report.html.

    Args:
        now_ms: ms UTC, shapes the name. overrides: of the command line.

    Raises:
        StoreError: the folder cannot be written.
    """
    from alpha_arena.backtest.board_report import contest_html

    def filled(draft: Path) -> None:
        texts = {
            "config.yaml": yaml.safe_dump(plain(contest.settings), sort_keys=False, allow_unicode=True),
            "overrides.txt": "".join(f"{override}\n" for override in overrides),
            META: as_json(meta("arena", contest.name, now_ms, contest.hashes, contest.proof)),
            BOARD: as_json(contest.result),
            "report.html": contest_html(contest),
        }
        for name, text in texts.items():
            (draft / name).write_text(text, encoding="utf-8")
        curves(contest).to_parquet(draft / "curves.parquet", index=False)

    return written(outputs, "arena", contest.name, now_ms, filled)
