"""Rows of a Parquet or CSV file as arrays; the names of columns that are understood."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alpha_arena.core.errors import DataError
from alpha_arena.core.quality import PRICES
from alpha_arena.core.types import Candles, Floats, Funding, Ints

if TYPE_CHECKING:
    import pyarrow as pa

STAMPS = ("ts", "timestamp", "timestampms", "unix", "opentime", "time", "datetime", "date", "fundingtime")
RATES = ("realizedrate", "fundingrate", "rate")
VOLUMES = ("volume", "basevolume", "volccy")


@dataclass(frozen=True, slots=True)
class Columns:
    """A file's columns; names are compared without case, spaces and underscores."""

    file: str
    table: pa.Table

    @property
    def names(self) -> dict[str, str]:
        """Given names by their bare form."""
        return {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in self.table.column_names}

    @property
    def has_prices(self) -> bool:
        """Whether open, high, low and close are there."""
        return set(PRICES) <= set(self.names)

    @property
    def has_rate(self) -> bool:
        """Whether there is a funding rate."""
        return any(name in self.names for name in RATES)

    def column(self, wanted: Sequence[str], what: str) -> pa.ChunkedArray[Any]:
        """The first of the wanted columns that is there.

        Raises:
            DataError: none is.
        """
        hit = next((self.names[name] for name in wanted if name in self.names), None)
        if hit is None:
            have = ", ".join(self.table.column_names) or "none"
            raise DataError(f"{self.file} has no column for {what} (columns: {have}); name it {wanted[0]!r}, nothing was stored")
        return self.table.column(hit)


def read_table(path: Path) -> Columns:
    """Read a file whole; empty cells, NULL and NaN are NaN.

    Raises:
        DataError: it cannot be read as what its suffix says, or has no rows.
    """
    import pyarrow as pa

    try:
        table = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    except (pa.ArrowException, OSError) as error:
        kind = "a Parquet" if path.suffix == ".parquet" else "a CSV"
        why = str(error).splitlines()[0]
        raise DataError(f"{path.name} cannot be read as {kind} file ({why}); export it again, nothing was stored") from error
    if not table.num_rows:
        raise DataError(f"{path.name} has no rows; give a file with candles or funding, nothing was stored")
    return Columns(path.name, table)


def read_candles(columns: Columns, base: str) -> Candles:
    """Bars as they stand in the file, unchecked; volume in base currency from `volume` or `volume<BASE>`.

    Raises:
        DataError: a column is missing, or a cell is no number.
    """
    prices = {name: _numbers(columns, [name], name) for name in PRICES}
    volume = _numbers(columns, (*VOLUMES, f"volume{base.lower()}"), "the volume in base currency")
    return Candles(ts=_stamps(columns), **prices, volume=volume)


def read_funding(columns: Columns) -> Funding:
    """Settlements as they stand in the file, unchecked.

    Raises:
        DataError: a column is missing, or a cell is no number.
    """
    return Funding(_stamps(columns), _numbers(columns, RATES, "the funding rate"))


def _read_parquet(path: Path) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(path)


def _read_csv(path: Path) -> pa.Table:
    from pyarrow import csv

    # one block: a column's type is taken from the first block alone, and later rows may be written differently
    return csv.read_csv(path, csv.ReadOptions(block_size=max(path.stat().st_size, 1 << 20)))


def _numbers(columns: Columns, wanted: Sequence[str], what: str) -> Floats:
    import pyarrow as pa

    cells = columns.column(wanted, what)
    try:
        values: Any = cells.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise DataError(_not_a_number(columns.file, cells.to_pylist(), what)) from None
    return np.asarray(values, dtype=np.float64)


def _stamps(columns: Columns) -> Ints:
    import pyarrow as pa

    cells = _moments(columns.column(STAMPS, "the bar's time"))
    if not pa.types.is_integer(cells.type):
        whole = _numbers(columns, STAMPS, "the bar's time")
        _refuse_no_times(columns.file, whole)
        return whole.astype(np.int64)
    if cells.null_count:
        raise DataError(_not_a_number(columns.file, cells.to_pylist(), "the bar's time"))
    return np.asarray(cells.to_numpy(zero_copy_only=False), dtype=np.int64)


def _moments(cells: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any]:
    """Dates as ms, where they are dates or read as such; other cells as they are."""
    import pyarrow as pa

    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        try:
            cells = cells.cast(pa.timestamp("ms"))
        except pa.ArrowInvalid:
            return cells
    if not pa.types.is_temporal(cells.type):
        return cells
    return cells.cast(pa.timestamp("ms", tz=getattr(cells.type, "tz", None)), safe=False).cast(pa.int64())


def _refuse_no_times(file: str, stamps: Floats) -> None:
    odd = ~(np.abs(stamps) < 2**53)
    if odd.any():
        row = int(np.argmax(odd))
        raise DataError(f"{file}: row {row + 1} has the time {stamps[row]}; give ms since 1970 (UTC) or an ISO date, nothing was stored")


def _not_a_number(file: str, cells: Sequence[object], what: str) -> str:
    row = next(i for i, cell in enumerate(cells) if not _is_number(cell))
    return f"{file}: row {row + 1} has {cells[row]!r} for {what}, allowed is a number; correct or remove it, nothing was stored"


def _is_number(cell: object) -> bool:
    try:
        float(str(cell))
    except ValueError:
        return False
    return True
