"""Bars of the mark price and of the index: what the last price is held against. Both are rounded to the tick and have no volume."""

from __future__ import annotations

import numpy as np

from alpha_arena.core.types import Candles, Floats
from alpha_arena.exchange.synthetic.bars import Path, candles, ticks
from alpha_arena.exchange.synthetic.increments import UNIT, increments
from alpha_arena.exchange.synthetic.levels import Levels
from alpha_arena.exchange.synthetic.model import MINUTES_A_DAY
from alpha_arena.exchange.synthetic.noise import Span
from alpha_arena.exchange.synthetic.premium import premium

# The mark gives back this part of a minute's return, and its extremes reach this part of the excursion
MARK_LAG, MARK_REACH = 0.065, 0.93


def mark_bars(levels: Levels, path: Path) -> Candles:
    """The mark lags the last price a little, so that spikes of the last price overstate a liquidation, as on an exchange."""
    edge = path.edge - MARK_LAG * np.concatenate([move_before(levels, path.span), path.move])
    start = path.edge[:-1]
    return reference_bars(levels, path, edge, start + MARK_REACH * (path.high - start), start + MARK_REACH * (path.low - start))


def move_before(levels: Levels, span: Span) -> Floats:
    """Log return of the minute before a span that begins with a day, shape [1]."""
    units = increments(levels.model, levels.contract, Span(span.seed, span.start - 1, span.start)).units
    return np.multiply(units - levels.pull(span.start // MINUTES_A_DAY - 1), UNIT, dtype=np.float64)


def index_bars(levels: Levels, path: Path) -> Candles:
    """The index: the last price less the premium."""
    over = premium(levels, path.span.earlier(1))
    return reference_bars(levels, path, path.edge - over, path.high - over[1:], path.low - over[1:])


def reference_bars(levels: Levels, path: Path, edge: Floats, high: Floats, low: Floats) -> Candles:
    """Bars whose extremes include open and close, from log prices."""
    opened, closed = edge[:-1], edge[1:]
    logs = opened, np.maximum(high, np.maximum(opened, closed)), np.minimum(low, np.minimum(opened, closed)), closed
    rounded = tuple(np.rint(ticks(levels.contract, log)).astype(np.int64) for log in logs)
    return candles(levels.contract, path.span, rounded, np.zeros(len(path.span)))
