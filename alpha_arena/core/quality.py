"""What may be stored: rows are repaired where nothing has to be invented, and refused where it would.

Repaired and reported: order, exact duplicates, stamps in seconds, micro- or nanoseconds, an unfinished last bar, funding stamps floored to
the minute. Refused: NaN, infinite or non-positive prices, a high or low that does not enclose open and close, negative volume, stamps off
the grid, before 2009 or after now, steps of another timeframe, rows of one time with different values. Gaps and bars without a trade are
kept and reported: a bar that never was is not made up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from alpha_arena.core.errors import DataError
from alpha_arena.core.timeframes import UNIT_MS, timeframe_name
from alpha_arena.core.types import Candles, Floats, Funding, Ints

EARLIEST_MS = 1_230_768_000_000  # 2009-01-01: no market of this kind is older
LATEST_MS = 4_102_444_800_000  # 2100-01-01
UNITS = (("seconds", 1_000, 1), ("milliseconds", 1, 1), ("microseconds", 1, 1_000), ("nanoseconds", 1, 1_000_000))
PRICES = ("open", "high", "low", "close")
MAX_FUNDING = 0.5
NOTHING_STORED = "nothing was stored"


@dataclass(frozen=True, slots=True)
class Gap:
    """Missing bars: from the first missing open to the next present one (exclusive), ms; `bars` of them."""

    start_ms: int
    end_ms: int
    bars: int


@dataclass(frozen=True, slots=True)
class Repair:
    """What was put right, or noticed and left, in how many rows: `str()` reads as "115 bars without a trade were kept".

    Attributes:
        kind: units, order, duplicates, unfinished, minute or overlap where rows were changed or left out; zero_volume, mixed, skipped where
            something was only noticed.
    """

    kind: str
    rows: int
    detail: str

    def __str__(self) -> str:
        return f"{self.rows} {self.detail}"


@dataclass(frozen=True, slots=True)
class CheckedCandles:
    """Bars that may be stored, what was repaired, and the gaps that remain."""

    candles: Candles
    repairs: tuple[Repair, ...]
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, slots=True)
class CheckedFunding:
    """Settlements that may be stored, and what was repaired."""

    funding: Funding
    repairs: tuple[Repair, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one series while they are checked: stamps, shape [T], and named columns of the same length."""

    ts: Ints
    columns: Mapping[str, Floats]

    @classmethod
    def of(cls, rows: Candles | Funding) -> Table:
        """The columns of bars or settlements."""
        names = ("rate",) if isinstance(rows, Funding) else (*PRICES, "volume")
        return cls(np.asarray(rows.ts, dtype=np.int64), {name: np.asarray(getattr(rows, name), dtype=np.float64) for name in names})

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Table:
        """Chosen rows."""
        return Table(self.ts[rows], {name: values[rows] for name, values in self.columns.items()})

    def candles(self) -> Candles:
        """The table as bars."""
        return Candles(self.ts, **self.columns)

    def funding(self) -> Funding:
        """The table as settlements."""
        return Funding(self.ts, self.columns["rate"])

    def distance(self) -> Floats:
        """How far each row is from the next one of the same time: the largest relative difference of a column, 0 where they are equal."""
        apart = np.zeros(max(self.ts.size - 1, 0))
        for name, values in self.columns.items():
            a, b = values[:-1], values[1:]
            differ = np.abs(a - b) / np.maximum(np.maximum(np.abs(a), np.abs(b)), 1e-300)
            apart = np.maximum(apart, differ * (1e-9 if name == "volume" else 1.0))  # a price says more than a rounded volume
        return np.where(np.diff(self.ts) == 0, apart, 0.0)


def utc(ts: int) -> str:
    """A time in ms as people read it: "2024-01-31 07:15 UTC", with seconds where there are any."""
    moment = datetime.fromtimestamp(ts / 1000, UTC)
    return moment.strftime("%Y-%m-%d %H:%M" + (":%S.%f" if ts % UNIT_MS["m"] else "")) + " UTC"


def check_candles(candles: Candles, bar_ms: int, now_ms: int, where: str = "candles") -> CheckedCandles:
    """Clean the bars of one series.

    Args:
        candles: rows as they came, in any order, stamps in any unit of UNITS.
        bar_ms: length of a bar.
        now_ms: the clock; the bar that is still open at that time is dropped.
        where: what the rows are called in errors, e.g. the file's name.

    Raises:
        DataError: rows that cannot be repaired without inventing something.
    """
    table, units = _in_ms(Table.of(candles), where)
    _refuse_values(table, where)
    _refuse_stamps(table, bar_ms, now_ms, where)
    table, repairs = _ordered(table, where)
    _refuse_other_step(table.ts, bar_ms, where)
    rows, unfinished = _closed(table.candles(), bar_ms, now_ms)
    return CheckedCandles(rows, (*units, *repairs, *unfinished, *_idle(rows)), find_gaps(rows.ts, bar_ms))


def check_funding(funding: Funding, now_ms: int, where: str = "funding") -> CheckedFunding:
    """Clean settlements: as check_candles, stamps floored to the minute.

    Raises:
        DataError: rows that cannot be repaired without inventing something.
    """
    table, units = _in_ms(Table.of(funding), where)
    _refuse(~(np.abs(table.columns["rate"]) <= MAX_FUNDING), table, "rate", f"a fraction from -{MAX_FUNDING} to {MAX_FUNDING}", where)
    _refuse(table.ts > now_ms, table, "ts", f"a time not after now, {utc(now_ms)}", where)
    minute = table.ts // UNIT_MS["m"] * UNIT_MS["m"]
    late = int((minute != table.ts).sum())
    floored = _note("minute", late, "settlement stamps floored to the minute")
    table, repairs = _ordered(Table(minute, table.columns), where)
    return CheckedFunding(table.funding(), (*units, *floored, *repairs))


def find_gaps(ts: Ints, bar_ms: int, after_ms: int | None = None) -> tuple[Gap, ...]:
    """Missing bars between ascending opens; `after_ms`: the bar stored before the first one, so that a hole between them counts."""
    opens = ts if after_ms is None else np.r_[np.int64(after_ms), ts]
    holes = np.flatnonzero(np.diff(opens) > bar_ms)
    return tuple(Gap(int(opens[i]) + bar_ms, int(opens[i + 1]), int(opens[i + 1] - opens[i]) // bar_ms - 1) for i in holes)


def merge_candles(parts: Sequence[tuple[str, Candles]]) -> tuple[Candles, tuple[Repair, ...]]:
    """Join cleaned bars of one series, each part with the name of where it is from; equal rows of one time become one.

    Raises:
        DataError: two parts hold different values for one time; both are named.
    """
    table, repairs = _merge([(name, Table.of(rows)) for name, rows in parts])
    return table.candles(), repairs


def merge_funding(parts: Sequence[tuple[str, Funding]]) -> tuple[Funding, tuple[Repair, ...]]:
    """As merge_candles, for settlements."""
    table, repairs = _merge([(name, Table.of(rows)) for name, rows in parts])
    return table.funding(), repairs


def _merge(parts: Sequence[tuple[str, Table]]) -> tuple[Table, tuple[Repair, ...]]:
    names = list(parts[0][1].columns)
    ts = np.concatenate([table.ts for _, table in parts])
    origin = np.repeat(np.arange(len(parts)), [table.ts.size for _, table in parts])
    order = np.argsort(ts, kind="stable")
    joined = Table(ts, {name: np.concatenate([table.columns[name] for _, table in parts]) for name in names}).take(order)
    first = _widest(joined.distance())
    if first is not None:
        who = " and ".join(parts[origin[order[row]]][0] for row in (first, first + 1))
        raise DataError(f"{who} have {_conflict(joined, first)}; import one of them, or a folder without the other, {NOTHING_STORED}")
    keep = _firsts(joined.ts)
    return joined.take(keep), _note("overlap", int((~keep).sum()), "rows stand in more than one file, with equal values")


def _refuse(bad: NDArray[np.bool_], table: Table, field: str, allowed: str, where: str) -> None:
    if not bad.any():
        return
    row = int(np.argmax(bad))
    moment = utc(int(table.ts[row]))
    value = moment if field == "ts" else table.columns[field][row]
    more = f" ({int(bad.sum())} such rows)" if bad.sum() > 1 else ""
    at = "" if field == "ts" else f" ({moment})"
    raise DataError(f"{where}: row {row + 1}{at} has {field} {value}{more}, allowed is {allowed}; correct or remove it, {NOTHING_STORED}")


def _in_ms(table: Table, where: str) -> tuple[Table, tuple[Repair, ...]]:
    ts = table.ts
    out, known = ts.copy(), np.zeros(ts.size, dtype=np.bool_)
    repairs: tuple[Repair, ...] = ()
    for unit, times, per in UNITS:
        mask = (ts >= EARLIEST_MS // times * per) & (ts < LATEST_MS // times * per)
        out[mask], known = ts[mask] * times // per, known | mask
        repairs += _note("units", 0 if times == per else int(mask.sum()), f"stamps in {unit} were read as such")
    if not known.all():
        row = int(np.argmin(known))
        raise DataError(
            f"{where}: row {row + 1} has the stamp {ts[row]}, which is no time from 2009 to 2100 in seconds, ms, us or ns; "
            f"give the bar's open in ms since 1970 (UTC), {NOTHING_STORED}"
        )
    return Table(out, table.columns), repairs


def _refuse_values(table: Table, where: str) -> None:
    column = table.columns
    for name in PRICES:
        _refuse(~(np.isfinite(column[name]) & (column[name] > 0)), table, name, "a finite number above 0", where)
    _refuse(~(np.isfinite(column["volume"]) & (column["volume"] >= 0)), table, "volume", "a finite number not below 0", where)
    _refuse(column["high"] < np.maximum.reduce([column[n] for n in PRICES]), table, "high", "at least open, low and close", where)
    _refuse(column["low"] > np.minimum.reduce([column[n] for n in PRICES]), table, "low", "at most open, high and close", where)


def _refuse_stamps(table: Table, bar_ms: int, now_ms: int, where: str) -> None:
    name = timeframe_name(bar_ms)
    grid = f"the open of a {name} bar, a whole multiple of {name} since 1970 (UTC): is the timeframe right, or are these closing times"
    _refuse(table.ts % bar_ms != 0, table, "ts", grid, where)
    _refuse(table.ts > now_ms, table, "ts", f"a time not after now, {utc(now_ms)} (are unit and time zone right)", where)


def _refuse_other_step(ts: Ints, bar_ms: int, where: str) -> None:
    smallest = int(np.diff(ts).min()) if ts.size > 2 else bar_ms
    if smallest > bar_ms:
        raise DataError(
            f"{where}: no two rows are closer than {smallest // UNIT_MS['m']} minutes, so these are no {timeframe_name(bar_ms)} bars; "
            f"give the right timeframe, {NOTHING_STORED}"
        )


def _ordered(table: Table, where: str) -> tuple[Table, tuple[Repair, ...]]:
    displaced = int((table.ts < np.maximum.accumulate(table.ts)).sum())
    order = np.argsort(table.ts, kind="stable")
    table = table.take(order)
    first = _widest(table.distance())
    if first is not None:
        rows = f"rows {order[first] + 1} and {order[first + 1] + 1}"
        raise DataError(f"{where}: {rows} have {_conflict(table, first)}; keep the right one of each, {NOTHING_STORED}")
    keep = _firsts(table.ts)
    sorting = _note("order", displaced, "rows stood after a younger one: sorted by time")
    return table.take(keep), sorting + _note("duplicates", int((~keep).sum()), "exact repetitions of a row were dropped")


def _firsts(ts: Ints) -> NDArray[np.bool_]:
    first: NDArray[np.bool_] = np.r_[True, np.diff(ts) > 0][: ts.size]
    return first


def _widest(distance: Floats) -> int | None:
    row = int(np.argmax(distance)) if distance.size else 0
    return row if distance.size and distance[row] > 0 else None


def _conflict(table: Table, row: int) -> str:
    count = int((table.distance() > 0).sum())
    differing = [name for name, values in table.columns.items() if values[row] != values[row + 1]]
    name = next((name for name in ("close", "rate", *PRICES) if name in differing), differing[0])
    pair = table.columns[name][row : row + 2]
    others = f" (the widest of {count} such pairs)" if count > 1 else ""
    return f"different values for {utc(int(table.ts[row]))}: {name} {pair[0]} and {pair[1]}{others}"


def _closed(rows: Candles, bar_ms: int, now_ms: int) -> tuple[Candles, tuple[Repair, ...]]:
    if not len(rows) or rows.ts[-1] + bar_ms <= now_ms:
        return rows, ()
    return rows[:-1], (Repair("unfinished", 1, f"bar that has not closed yet was dropped: {utc(int(rows.ts[-1]))}"),)


def _idle(rows: Candles) -> tuple[Repair, ...]:
    return _note("zero_volume", int((rows.volume == 0).sum()), "bars without a trade were kept")


def _note(kind: str, rows: int, text: str) -> tuple[Repair, ...]:
    return (Repair(kind, rows, text),) if rows else ()
