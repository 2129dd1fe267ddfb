"""What was ever tried on stored candles: each combination of a search and each backtest, counted once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

import numpy as np
from sqlalchemy import func, select

from alpha_arena.core.types import Floats
from alpha_arena.data import tables
from alpha_arena.data.service import DataService

KEYS = ("config_hash", "data_hash")
LITTLE = "<f8"
# bars below which a Sharpe is mostly that of one bar
SHORTEST = 20


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing tried.

    Attributes:
        search: what it was part of. parameters: of the strategy, all of them.
        config_hash: of what shaped it, the code that simulated it included; data_hash: of the rows that it saw. Together they identify it.
        bar_sharpe: per bar, NaN where nothing varied. bars: simulated ones, over which it was measured.
        figures, sums, squares: as in backtest.columns.Sums; None of a run that kept its path.
    """

    search: str
    symbol: str
    timeframe: str
    strategy: str
    parameters: Mapping[str, Any]
    config_hash: str
    data_hash: str
    bar_sharpe: float
    bars: int
    figures: Floats | None = None
    sums: Floats | None = None
    squares: Floats | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """How many things were tried on a series.

    Attributes:
        deviation: of their per-bar Sharpes as they would spread over the bars of the result that is judged, ddof 1, NaN for fewer than two.
    """

    count: int
    deviation: float


def record_trials(service: DataService, trader: str, now_ms: int, trials: Sequence[Trial]) -> None:
    """Keep trials; one that is there already is left as it is."""
    rows = [_row(trial, trader, now_ms) for trial in trials]
    with service.database.write(durable=False) as connection:
        service.database.upsert(connection, tables.trials, rows, KEYS, update=False)


def _row(trial: Trial, trader: str, now_ms: int) -> dict[str, Any]:
    own = {name: getattr(trial, name) for name in ("search", "symbol", "timeframe", "strategy", "config_hash", "data_hash")}
    packed = {name: _packed(getattr(trial, name)) for name in ("figures", "sums", "squares")}
    sharpe = trial.bar_sharpe if isfinite(trial.bar_sharpe) else None
    parameters = json.dumps(dict(trial.parameters), sort_keys=True)
    measured = {"bar_sharpe": sharpe, "bars": trial.bars}
    return {"trader": trader, "created_ms": now_ms, **own, "parameters": parameters, **measured, **packed}


def _packed(values: Floats | None) -> bytes | None:
    return None if values is None else np.ascontiguousarray(values, LITTLE).tobytes()


def finished(service: DataService, data_hash: str) -> dict[str, tuple[Floats, Floats, Floats]]:
    """Figures, sums and squares by config_hash of the trials that were made on exactly these rows."""
    t = tables.trials.c
    query = select(t.config_hash, t.figures, t.sums, t.squares).where(t.data_hash == data_hash, t.figures.is_not(None))
    with service.database.read() as connection:
        return {row[0]: (_unpacked(row[1]), _unpacked(row[2]), _unpacked(row[3])) for row in connection.execute(query)}


def _unpacked(packed: bytes) -> Floats:
    return np.frombuffer(packed, LITTLE)


def times_tried(service: DataService, symbol: str, timeframe: str) -> int:
    """All trials on a symbol and timeframe, whatever their window, strategy or command."""
    t = tables.trials.c
    query = select(func.count()).select_from(tables.trials).where(t.symbol == symbol, t.timeframe == timeframe)
    with service.database.read() as connection:
        return int(connection.execute(query).scalar() or 0)


def tried(service: DataService, symbol: str, timeframe: str, bars: int) -> Tried:
    """All trials on a symbol and timeframe, to judge a result of so many bars by.

    A Sharpe without skill spreads as 1 / root of the bars that it is measured over, so that those of a week would drown those of years:
    each is taken as wide as it would be over `bars`. Trials of fewer than SHORTEST bars, or of a length that was not kept, count all the
    same, but their Sharpe is left out.
    """
    t = tables.trials.c
    query = select(t.bar_sharpe, t.bars).where(t.symbol == symbol, t.timeframe == timeframe, t.bar_sharpe.is_not(None), t.bars >= SHORTEST)
    with service.database.read() as connection:
        sharpe, measured = service.database.matrix(connection, query).T
    known = sharpe * np.sqrt(measured / bars)
    return Tried(times_tried(service, symbol, timeframe), float(known.std(ddof=1)) if known.size > 1 else nan)
