"""What the rules have in common: how a position is opened, kept and left from bar to bar, and the types of their parameters."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from alpha_arena.core.market import Market
from alpha_arena.core.types import Bools, Floats, Signals
from alpha_arena.features.compiled import compiled, inlined
from alpha_arena.features.indicators import atr
from alpha_arena.features.shared import remembered

Sides = NDArray[np.int8]

RSI_PERIOD = 14
VOLUME_PERIOD = 20

Bars = Annotated[int, Field(ge=2, le=1000, json_schema_extra={"unit": "bars"})]
Settlements = Annotated[int, Field(ge=1, le=1000, json_schema_extra={"unit": "settlements"})]
Count = Annotated[int, Field(ge=1, le=100, json_schema_extra={"unit": "rungs"})]
RsiLevel = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False, json_schema_extra={"unit": "RSI, 0 to 100"})]
Ratio = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False, json_schema_extra={"unit": "ratio"})]
Beyond = Annotated[float, Field(ge=1, le=2, allow_inf_nan=False, json_schema_extra={"unit": "ratio of prices"})]
Deviations = Annotated[float, Field(gt=0, le=20, allow_inf_nan=False, json_schema_extra={"unit": "standard deviations"})]
AtrMultiple = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False, json_schema_extra={"unit": "ATR"})]
PriceFraction = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False, json_schema_extra={"unit": "fraction of price"})]
FundingRate = Annotated[float, Field(gt=0, le=0.1, allow_inf_nan=False, json_schema_extra={"unit": "fraction per settlement"})]
Margin = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False, json_schema_extra={"unit": "margin, fraction of equity"})]
Leverage = Annotated[float, Field(ge=1, le=100, allow_inf_nan=False, json_schema_extra={"unit": "notional / margin"})]


class Entries(NamedTuple):
    """Where a rule would enter, one row a bar: side (+1 long, -1 short, 0 none) and the levels it would freeze there (NaN: none)."""

    side: Sides
    stop: Floats
    take: Floats


class AtrEntries(NamedTuple):
    """Where a rule would enter with levels a multiple of the ATR from the close, one row a bar; nowhere while the ATR is NaN."""

    side: Sides
    unit: Floats
    stop_units: float
    take_units: float


class Exits(NamedTuple):
    """Rows in which the rule itself would leave a position of either side."""

    long: Bools
    short: Bools


@inlined
def _left(side: int, leave_long: bool, leave_short: bool, high: float, low: float, stop: float, take: float) -> bool:
    """Whether a bar ends a position: by the rule's own exit, at the stop, or through the take."""
    if side > 0:
        return leave_long or low <= stop or high > take
    return side < 0 and (leave_short or high >= stop or low < take)


@compiled
def _walk(
    entry: Sides,
    stop: Floats,
    take: Floats,
    unit: Floats,
    stop_units: float,
    take_units: float,
    leave_long: Bools,
    leave_short: Bools,
    high: Floats,
    low: Floats,
    close: Floats,
    size: float,
) -> tuple[Floats, Floats, Floats]:
    held, stops, takes = np.empty(entry.size), np.empty(entry.size), np.empty(entry.size)
    side, held_stop, held_take, scaled = 0, np.nan, np.nan, unit.size > 0
    for t in range(entry.size):
        if _left(side, leave_long[t], leave_short[t], high[t], low[t], held_stop, held_take):
            side = 0
        elif entry[t] != 0 and entry[t] != side and not (scaled and np.isnan(unit[t])):
            side = entry[t]
            if scaled:
                held_stop, held_take = close[t] - stop_units * (side * unit[t]), close[t] + take_units * (side * unit[t])
            else:
                held_stop, held_take = stop[t], take[t]
        if side == 0:
            held[t], stops[t], takes[t] = 0.0, np.nan, np.nan
        else:
            held[t], stops[t], takes[t] = side * size, held_stop, held_take
    return held, stops, takes


@remembered
def sure(rows: int) -> Floats:
    """A confidence of 1 in each row."""
    return np.ones(rows)


def follow(market: Market, entries: Entries | AtrEntries, exits: Exits, size: float) -> Signals:
    """Signals of a rule that holds one position at a time, decided at each close.

    An entry freezes its levels. From the next bar on the position is left at the close of a bar that reached the stop, traded through the
    take, or fulfils the rule's own exit; the next entry is at the following close at the earliest. An entry of the other side flips the
    position and freezes new levels, one of the same side changes nothing. What has happened is remembered from the signals, never from
    fills.

    Args:
        size: |exposure| of a position, notional / equity.
    """
    if isinstance(entries, AtrEntries):
        levels = (entries.unit, entries.unit, entries.unit, entries.stop_units, entries.take_units)
    else:
        levels = (entries.stop, entries.take, np.empty(0), 0.0, 0.0)
    made = _walk(entries.side, *levels, exits.long, exits.short, market.high, market.low, market.close, float(size))
    return Signals(*made, sure(len(market)))


def one_side(long: Bools, short: Bools) -> Sides:
    """+1 where only `long` holds, -1 where only `short` does, else 0."""
    return long.view(np.int8) - short.view(np.int8)


def atr_levels(market: Market, side: Sides, period: int, stop_loss_atr: float, take_profit_atr: float) -> AtrEntries:
    """Entries with stop and take a multiple of the ATR from the close."""
    return AtrEntries(side, atr(market.high, market.low, market.close, period), float(stop_loss_atr), float(take_profit_atr))


def percent_stop(market: Market, side: Sides, fraction: float, take: Floats | None = None) -> Entries:
    """Entries with a stop at a fraction of the close; `take` counts where it lies on the winning side of the close."""
    wins = np.full(len(market), np.nan) if take is None else np.where((take - market.close) * side > 0, take, np.nan)
    return Entries(side, market.close * (1 - side * fraction), wins)


def no_levels(side: Sides) -> Entries:
    """Entries without stop and take."""
    none = np.full(side.size, np.nan)
    return Entries(side, none, none)


def ascending(**values: float) -> None:
    """Check that parameters grow in the order given.

    Raises:
        ValueError: two neighbours do not.
    """
    for lower, upper in pairwise(values):
        if not values[lower] < values[upper]:
            raise ValueError(f"{lower} ({values[lower]:g}) must be below {upper} ({values[upper]:g})")
