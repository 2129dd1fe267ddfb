"""Timeframes ("15m", "1h") and the aggregation of bars; all times are ms since the epoch, UTC."""

from __future__ import annotations

import re

import numpy as np

from alpha_arena.core.errors import ConfigError
from alpha_arena.core.types import Candles, Ints

UNIT_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
YEAR_MS = 365 * UNIT_MS["d"]
FUNDING_INTERVAL_MS = 8 * UNIT_MS["h"]


def timeframe_ms(timeframe: str) -> int:
    """Length of a bar in ms.

    Raises:
        ConfigError: not a whole number of minutes, hours or days that divides a day, or is a multiple of one.
    """
    match = re.fullmatch(r"([1-9]\d{0,3})([mhd])", timeframe)
    length = int(match[1]) * UNIT_MS[match[2]] if match else 0
    if not length or (length < UNIT_MS["d"] and UNIT_MS["d"] % length) or (length >= UNIT_MS["d"] and length % UNIT_MS["d"]):
        raise ConfigError(f"timeframe {timeframe!r} is not one of 1m 5m 15m 30m 1h 2h 4h 12h 1d (or another divisor or multiple of a day)")
    return length


def timeframe_name(bar_ms: int) -> str:
    """The shortest name of a bar length: 3,600,000 is "1h"."""
    for unit in ("d", "h", "m"):
        if bar_ms % UNIT_MS[unit] == 0:
            return f"{bar_ms // UNIT_MS[unit]}{unit}"
    raise ConfigError(f"a bar of {bar_ms} ms is not a whole number of minutes")


def bars_per_year(bar_ms: int) -> float:
    """Periods per year of 365 days, as all annualised figures use it (specs: quant §2.1)."""
    return YEAR_MS / bar_ms


def complete_groups(ts: Ints, from_ms: int, to_ms: int) -> tuple[Ints, Ints]:
    """First and last row of each higher bar all of whose lower bars are present.

    Args:
        ts: bar opens in ms, ascending, shape [T].
        from_ms: length of the lower bar.
        to_ms: length of the higher bar, a multiple of from_ms.

    Raises:
        ConfigError: to_ms is not a multiple of from_ms.
    """
    if to_ms % from_ms:
        raise ConfigError(f"{timeframe_name(to_ms)} bars cannot be made of {timeframe_name(from_ms)} bars")
    group = ts // to_ms
    first = np.flatnonzero(np.r_[True, group[1:] != group[:-1]]) if ts.size else np.empty(0, np.int64)
    last = np.r_[first[1:], ts.size] - 1
    whole = (last - first + 1) == to_ms // from_ms
    return first[whole], last[whole]


def aggregate(candles: Candles, from_ms: int, to_ms: int) -> Candles:
    """Higher bars from lower ones: first open, highest high, lowest low, last close, summed volume; incomplete bars are left out."""
    if from_ms == to_ms:
        return candles
    first, last = complete_groups(candles.ts, from_ms, to_ms)
    if not first.size:
        return Candles.empty()
    rows = first[:, None] + np.arange(to_ms // from_ms)
    return Candles(
        ts=candles.ts[first] // to_ms * to_ms,
        open=candles.open[first],
        high=candles.high[rows].max(axis=1),
        low=candles.low[rows].min(axis=1),
        close=candles.close[last],
        volume=candles.volume[rows].sum(axis=1),
    )
