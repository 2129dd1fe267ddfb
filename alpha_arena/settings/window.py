"""Times and names as they are given on a command line."""

from __future__ import annotations

from datetime import UTC, datetime

from alpha_arena.core.errors import ConfigError, UnknownName
from alpha_arena.core.timeframes import timeframe_ms

TIMEFRAMES = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "7d")
# 1973 in ms; smaller numbers are seconds, or a year
FIRST_MS = 100_000_000_000


def checked_timeframe(timeframe: str, key: str = "timeframe") -> str:
    """The timeframe itself.

    Raises:
        UnknownName: not a divisor or multiple of a day.
    """
    try:
        timeframe_ms(timeframe)
    except ConfigError:
        raise UnknownName(key, timeframe, TIMEFRAMES) from None
    return timeframe


def instant_ms(given: int | str | None, key: str) -> int | None:
    """An ISO date or date and time (UTC unless it says otherwise), or ms since the epoch, as ms.

    Raises:
        ConfigError: neither, or a number that can only be seconds.
    """
    if given is None:
        return None
    if isinstance(given, int):
        return _plain_ms(given, key)
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise ConfigError(
            f"{key}={given} is not a date; give {key}=2024-01-31, {key}=2024-01-31T12:00 (UTC) or ms since the epoch"
        ) from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _plain_ms(given: int, key: str) -> int:
    if given < FIRST_MS:
        raise ConfigError(
            f"{key}={given} is not ms since the epoch (seconds? a year?); give {key}=2024-01-31 or ms such as {key}=1706659200000"
        )
    return given


def checked_window(start: int | str | None, end: int | str | None) -> tuple[int | None, int | None]:
    """start and end in ms.

    Raises:
        ConfigError: not times, or start is not before end.
    """
    start_ms, end_ms = instant_ms(start, "start"), instant_ms(end, "end")
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        raise ConfigError(f"start={start} is not before end={end} (exclusive); give an earlier start or a later end")
    return start_ms, end_ms
