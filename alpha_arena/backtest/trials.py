"""Many parameters tried on one market: indicators once for each distinct parameter, of each trial only sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import getfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alpha_arena.backtest.columns import TALLIED
from alpha_arena.backtest.kernel import Stage, staged, tallied
from alpha_arena.backtest.overfitting import BLOCKS
from alpha_arena.backtest.space import Template
from alpha_arena.backtest.targets import limited
from alpha_arena.core.blame import said as failed
from alpha_arena.core.costs import Costs
from alpha_arena.core.errors import AlphaArenaError, DataError
from alpha_arena.core.market import Market
from alpha_arena.core.ports import RiskRule, Strategy, TargetRule
from alpha_arena.core.types import Instrument
from alpha_arena.features.shared import Memo, shared


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be tried: a strategy's name, and the values of what is varied."""

    strategy: str
    varied: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """Rows `start` up to `stop` of a market, ready to be traded from a flat account; signals see all rows before."""

    stage: Stage
    stop: int


@dataclass(frozen=True, slots=True)
class Bench:
    """A market on which parameters are tried.

    Attributes:
        parts: stretches that each trial trades, each from a flat account.
        rules: those that need no path; what the others would do shows when a trial is made a run.
    """

    market: Market
    instrument: Instrument
    rules: tuple[RiskRule, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What trials left, in the order in which they were given.

    Attributes:
        figures: as TALLIED, shape [trials, parts, figures]; NaN of a trial that could not be made.
        sums, squares: of returns over equal blocks of bars, shape [trials, parts, blocks].
        refused: why a trial could not be made, "" of one that was.
    """

    figures: NDArray[np.float64]
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]
    refused: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.refused)


def bench_of(
    market: Market,
    rules: Sequence[RiskRule],
    costs: Costs,
    instrument: Instrument,
    capital: float,
    parts: Sequence[tuple[int, int]],
    fixed_equity: float | None = None,
) -> Bench:
    """A market with its parts.

    Args:
        capital: quote currency. parts: first row and the one after the last.
    """
    made = (
        Part(staged(market.rows(0, stop), costs, instrument, 1.0, capital, start, fixed_equity=fixed_equity), stop) for start, stop in parts
    )
    return Bench(market, instrument, tuple(rule for rule in rules if isinstance(rule, TargetRule)), tuple(made))


def evaluate(bench: Bench, templates: Mapping[str, Template], drafts: Sequence[Draft], memo: Memo | None = None) -> Outcomes:
    """Try drafts; one whose parameters do not fit together is refused, the others go on.

    Args:
        memo: indicators that trials share, of earlier calls too; None for those of this one.

    Raises:
        DataError: an exposure is not a finite number, or a strategy's own code failed.
    """
    out, refused = blank(len(drafts), len(bench.parts)), []
    with shared(memo or Memo()):
        for row, draft in enumerate(drafts):
            try:
                strategy = templates[draft.strategy].make(draft.varied)
            except ValueError as error:
                refused.append(said(error))
                continue
            try:
                _try(bench, strategy, out, row)
            except AlphaArenaError:
                raise
            except Exception as error:
                told = f"{draft.strategy} with {dict(draft.varied)} failed: {failed(error, [Path(getfile(type(strategy))).parent])}"
                raise DataError(f"{told}; mend its signals, or leave these values out") from error
            refused.append("")
    return Outcomes(out.figures, out.sums, out.squares, tuple(refused))


def blank(trials: int, parts: int) -> Outcomes:
    """Of trials that have not been made."""
    figures, sums, squares = (np.full((trials, parts, last), np.nan) for last in (len(TALLIED), BLOCKS, BLOCKS))
    return Outcomes(figures, sums, squares, ("",) * trials)


def _try(bench: Bench, strategy: Strategy, out: Outcomes, row: int) -> None:
    signals = limited(strategy.signals(bench.market), bench.market, bench.rules)
    for at, part in enumerate(bench.parts):
        sums = tallied(part.stage, signals.rows(0, part.stop), strategy.max_leverage, BLOCKS)
        out.figures[row, at], out.sums[row, at], out.squares[row, at] = sums.figures, sums.sums, sums.squares


def said(error: ValueError) -> str:
    """Why parameters were refused, without a validator's own wording."""
    lines = str(error).splitlines()
    return next((line.strip().removeprefix("Value error, ").partition(" [type")[0] for line in lines[1:] if line.startswith(" ")), lines[0])
