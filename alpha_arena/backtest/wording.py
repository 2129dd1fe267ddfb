"""Numbers and times as people read them: thousands commas, a true minus sign, zero without a sign, a dash for what is not known."""

from __future__ import annotations

from math import isfinite

import numpy as np

UNKNOWN = "–"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """A number with fixed digits; `sign` marks gains with a plus."""
    if value is None or not isfinite(value):
        return UNKNOWN
    text = f"{abs(value):,.{digits}f}"
    if not text.strip("0.,"):
        return text
    return ("−" if value < 0 else "+" if sign else "") + text


def percent(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """A fraction as percent."""
    return UNKNOWN if value is None or not isfinite(value) else f"{number(value * 100, digits, sign)} %"


def money(value: float | None, sign: bool = False) -> str:
    """Quote currency: two decimals, none from a million on."""
    return number(value, 0 if value is not None and abs(value) >= 1e6 else 2, sign)


def digits_of(step: float) -> int:
    """Decimals of a tick or lot: 0.0001 has four."""
    text = f"{step:.10f}".rstrip("0")
    return len(text.partition(".")[2])


def moment(ts: int) -> str:
    """A time: 30 Apr 2025 22:56, UTC."""
    year, month, day_ = str(np.datetime64(ts, "ms").astype("datetime64[D]")).split("-")
    clock = str(np.datetime64(ts, "ms").astype("datetime64[m]")).split("T")[1]
    return f"{int(day_)} {MONTHS[int(month) - 1]} {year} {clock}"


def date(ts: int) -> str:
    """A day: 30 Apr 2025, UTC."""
    return moment(ts).rsplit(" ", 1)[0]


def span(bars: float | None, bar_ms: int) -> str:
    """A number of bars as days or hours."""
    if bars is None:
        return UNKNOWN
    hours = bars * bar_ms / 3_600_000
    return f"{number(hours / 24, 1)} days" if hours >= 48 else f"{number(hours, 1)} h"
