"""Numbers and times as people read them: thousands commas, a true minus sign, zero without a sign, a dash for what is not known."""

from __future__ import annotations

from math import isfinite

import numpy as np

UNKNOWN = "–"
FRACTIONS = ("total_return", "cagr", "max_drawdown", "win_rate", "exposure_time", "volatility", "buy_and_hold_return")
COUNTS = ("trades", "orders", "stopped")
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


def figure(name: str, value: float | None, sign: bool = False) -> str:
    """A figure of result.json: fractions as percent, counts without decimals, infinity as such."""
    if value is not None and value == float("inf"):
        return "∞"
    return percent(value, 1, sign) if name in FRACTIONS else number(value, 0 if name in COUNTS else 2, sign)


def value_text(value: object, digits: int = 6) -> str:
    """A parameter's value as it is written in YAML, numbers with so many significant digits; unknown where there is none."""
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return UNKNOWN
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    return f"{value:.{digits}g}" if isinstance(value, int | float | np.number) else str(value)


def words(name: str) -> str:
    """The name of a figure or a check as it is written in a sentence."""
    return name.replace("_", " ").replace("sharpe", "Sharpe")


def points(value: float | None) -> str:
    """A fraction as basis points."""
    return UNKNOWN if value is None or not isfinite(value) else f"{number(value * 1e4)} bp"


def letter(group: int) -> str:
    """The letter of a group of the board, the first is 1; all from the 26th on share one."""
    return chr(ord("a") + min(group - 1, 25))


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
    value, unit = (hours / 24, "days") if hours >= 48 else (hours, "h")
    return f"{number(value, 1).removesuffix('.0')} {unit}"
