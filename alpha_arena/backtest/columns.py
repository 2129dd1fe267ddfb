"""What goes into and comes out of the compiled loop: tuples of arrays and numbers. Quantities are whole lots, rows count from 0."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alpha_arena.core.types import Floats, Ints


class Rules(NamedTuple):
    """Costs and limits; fractions of notional or price unless the name says otherwise. fixed_equity: sizes positions; 0: the account's."""

    taker_fee: float
    maker_fee: float
    slippage: float
    stop_slippage: float
    lot: float
    min_notional: float
    diff_threshold: float
    diff_fraction: float
    maintenance_margin: float
    leverage: float
    fixed_equity: float
    rearm_bars: int
    bar_ms: int


class Bars(NamedTuple):
    """Traded bars; mark_* are what liquidation looks at; shape [T]."""

    ts: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    mark_open: Floats
    mark_high: Floats
    mark_low: Floats


class Wishes(NamedTuple):
    """Targets decided at each close; `forced`: a risk rule demands the reduction; shape [T]."""

    exposure: Floats
    stop: Floats
    take: Floats
    forced: NDArray[np.bool_]


class Settlements(NamedTuple):
    """Funding in ascending order; `assumed`: the rate was not known."""

    ts: Ints
    rate: Floats
    assumed: NDArray[np.bool_]


class Shut(NamedTuple):
    """Rows of the protective exits that have disarmed the long and the short side; -1: armed."""

    long: int
    short: int


class State(NamedTuple):
    """An account with one position; entry is NaN while flat, stop and take where there is none."""

    cash: float
    lots: int
    entry: float
    stop: float
    take: float
    shut: Shut


class Log(NamedTuple):
    """Fills in the order in which they happened; only the first used[0] are filled in."""

    row: Ints
    lots: Ints
    price: Floats
    fee: Floats
    reason: Ints
    used: Ints


class Path(NamedTuple):
    """At each close: equity and lots held; funding paid at the bar's open and inside it (positive: paid). assumed[0] counts payments."""

    equity: Floats
    lots: Ints
    paid_open: Floats
    paid_inside: Floats
    assumed: Ints


class Exit(NamedTuple):
    """A protective exit: reason NOTHING if there is none."""

    reason: int
    price: float
    fee_rate: float


class Trips(NamedTuple):
    """Closed trades, one element each, in the order of their exits; rows of the first and the last fill; money in quote currency."""

    entry_row: Ints
    exit_row: Ints
    side: Ints
    lots: Ints
    entry_price: Floats
    exit_price: Floats
    fees: Floats
    funding: Floats
    gross: Floats
    reason: Ints
