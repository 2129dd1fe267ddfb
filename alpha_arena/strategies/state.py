"""What the rules have in common: how a position is opened, kept and left from bar to bar, and the types of their parameters."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from alpha_arena.core.market import Market
from alpha_arena.core.types import Floats, Signals
from alpha_arena.features.compiled import compiled
from alpha_arena.features.indicators import atr

Bools = NDArray[np.bool_]
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


class Exits(NamedTuple):
    """Rows in which the rule itself would leave a position of either side."""

    long: Bools
    short: Bools


@compiled
def _walk(
    entry: Sides, stop: Floats, take: Floats, leave_long: Bools, leave_short: Bools, high: Floats, low: Floats
) -> tuple[Floats, Floats, Floats]:
    sides, stops, takes = np.zeros(entry.size), np.full(entry.size, np.nan), np.full(entry.size, np.nan)
    side, held_stop, held_take = 0, np.nan, np.nan
    for t in range(entry.size):
        if side > 0:
            out = leave_long[t] or low[t] <= held_stop or high[t] > held_take
        elif side < 0:
            out = leave_short[t] or high[t] >= held_stop or low[t] < held_take
        else:
            out = False
        if out:
            side = 0
        elif entry[t] != 0 and entry[t] != side:
            side, held_stop, held_take = entry[t], stop[t], take[t]
        if side != 0:
            sides[t], stops[t], takes[t] = side, held_stop, held_take
    return sides, stops, takes


def follow(market: Market, entries: Entries, exits: Exits, size: float) -> Signals:
    """Signals of a rule that holds one position at a time, decided at each close.

    An entry freezes its levels. From the next bar on the position is left at the close of a bar that reached the stop, traded through the
    take, or fulfils the rule's own exit; the next entry is at the following close at the earliest. An entry of the other side flips the
    position and freezes new levels, one of the same side changes nothing. What has happened is remembered from the signals, never from
    fills.

    Args:
        size: |exposure| of a position, notional / equity.
    """
    side, stop, take = _walk(*entries, exits.long, exits.short, market.high, market.low)
    return Signals(side * size, stop, take, np.ones(len(market)))


def one_side(long: Bools, short: Bools) -> Sides:
    """+1 where only `long` holds, -1 where only `short` does, else 0."""
    return long.astype(np.int8) - short.astype(np.int8)


def atr_levels(market: Market, side: Sides, period: int, stop_loss_atr: float, take_profit_atr: float) -> Entries:
    """Entries with stop and take a multiple of the ATR from the close; none where the ATR is not yet defined."""
    unit = side * atr(market.high, market.low, market.close, period)
    known = np.where(np.isnan(unit), 0, side).astype(np.int8)
    return Entries(known, market.close - stop_loss_atr * unit, market.close + take_profit_atr * unit)


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
