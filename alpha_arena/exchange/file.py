"""Candles and funding from files: Parquet or CSV, one file or a folder of them.

Symbol and timeframe are read from the name, `VENUE_INSTRUMENT_..._TIMEFRAME_...` (okx_BTC-USDT-SWAP_1h_2023-01_2025-04.parquet) or
`..._funding_...`; a file with another name needs `symbol` and `timeframe`. The venue is where the rows were recorded; they are stored under
the source's own name. Mark prices (`1h-mark`) are no candles: `FileSource` leaves them out, `MarkSource` reads them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass as plain
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ConfigDict, SkipValidation
from pydantic.dataclasses import dataclass

from alpha_arena.core.errors import ConfigError, DataError
from alpha_arena.core.ports import Clock
from alpha_arena.core.quality import Repair, check_candles, check_funding, merge_candles, merge_funding
from alpha_arena.core.timeframes import timeframe_ms
from alpha_arena.core.types import Candles, Funding, Ints
from alpha_arena.exchange.columns import read_candles, read_funding, read_table

if TYPE_CHECKING:
    from alpha_arena.exchange.columns import Columns

SUFFIXES = (".parquet", ".csv")
FUNDING = "funding"
MARK = "mark"
TIMEFRAME = re.compile(r"[1-9]\d{0,3}[mhd]")
INSTRUMENTS = (
    (re.compile(r"([A-Z0-9]+)-(USDT|USDC|USD)-SWAP"), "{0}/{1}:{1}"),
    (re.compile(r"([A-Z0-9]+?)(USDT|USDC)-PERP"), "{0}/{1}:{1}"),
    (re.compile(r"([A-Z0-9]+?)-?(USDT|USDC|USD)(?:-SPOT)?"), "{0}/{1}"),
    (re.compile(r"([A-Z0-9]+)-PERP"), "{0}/USD:USD"),
)


@plain(frozen=True, slots=True)
class Label:
    """What a file's name says of it: venue, symbol, and a timeframe, "funding" or "mark"; "" for what it does not say."""

    venue: str = ""
    symbol: str = ""
    kind: str = ""


@plain(frozen=True, slots=True)
class Part:
    """One file's cleaned rows, and what they are."""

    file: str
    label: Label
    rows: Candles | Funding
    repairs: tuple[Repair, ...]


@plain(frozen=True, slots=True)
class Series:
    """All that the files hold of one symbol and timeframe (or funding), ascending, and what was repaired."""

    rows: Candles | Funding
    repairs: tuple[Repair, ...]


def label(stem: str) -> Label:
    """What the name of a file says: okx_BTC-USDT-SWAP_1h_2023-01_2025-04 is Label("okx", "BTC/USDT:USDT", "1h")."""
    venue, *rest = stem.split("_")
    symbol = instrument_symbol(rest[0]) if rest else ""
    return Label(venue, symbol, next(filter(None, map(_kind, rest[1:])), "")) if symbol else Label()


def instrument_symbol(name: str) -> str:
    """The engine's symbol of an exchange's instrument: BTC-USDT-SWAP and BTCUSDT-PERP are BTC/USDT:USDT, BTCUSDT-SPOT BTC/USDT; or ""."""
    hits = ((pattern.fullmatch(name), symbol) for pattern, symbol in INSTRUMENTS)
    return next((symbol.format(*hit.groups()) for hit, symbol in hits if hit), "")


def _kind(word: str) -> str:
    if word == FUNDING or TIMEFRAME.fullmatch(word):
        return word
    return MARK if word.endswith("-mark") else ""


@dataclass(frozen=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class FileSource:
    """A market whose whole history lies in files.

    Everything is read and checked at the first question, so that a bad row is known before anything is stored.

    Attributes:
        name: the exchange under which its rows are stored.
        path: a file, or a folder whose *.parquet and *.csv (not those of its sub-folders) are read as one.
        funding_path: a file or folder of settlements beside it.
        symbol, timeframe: of files whose name does not say; timeframe may be "funding".
        clock: tells which bar has closed.
    """

    name: str
    path: str | None
    funding_path: str | None
    symbol: str | None
    timeframe: str | None
    clock: SkipValidation[Clock]

    @property
    def batch_bars(self) -> int:
        """Bars a transaction."""
        return 50_000

    def offers(self, symbols: Sequence[str] = ()) -> Mapping[str, tuple[str, ...]]:
        """Timeframes ("funding" for settlements) by symbol, for symbols whose base currency is that of one in `symbols` (all if none).

        Raises:
            ConfigError: a symbol that no file holds; a path that does not exist.
            DataError: rows that cannot be trusted.
        """
        held: dict[str, list[str]] = defaultdict(list)
        for symbol, kind in self._series:
            held[symbol].append(kind)
        for symbol in symbols:
            if not any(_base(symbol) == _base(other) for other in held):
                raise ConfigError(f"{self.path} holds no {symbol}, only {', '.join(sorted(held))}; name one of these or another path")
        bases = {_base(symbol) for symbol in symbols or held}
        return {symbol: tuple(kinds) for symbol, kinds in held.items() if _base(symbol) in bases}

    def span(self, symbol: str, timeframe: str) -> tuple[int, int] | None:
        """First bar's open and the end of the last one, ms; None if there are no rows."""
        rows = self._rows(symbol, timeframe)
        step = 1 if timeframe == FUNDING else timeframe_ms(timeframe)
        return (int(rows.ts[0]), int(rows.ts[-1]) + step) if rows is not None and rows.ts.size else None

    def repairs(self, symbol: str, timeframe: str) -> tuple[Repair, ...]:
        """What was put right in a series ("funding" for settlements), and which files were left out."""
        series = self._series.get((symbol, timeframe))
        marks = (file.name for file, known in self._labels if known.kind == MARK)
        return (*(series.repairs if series else ()), *(Repair("skipped", 1, f"file of mark prices left out: {name}") for name in marks))

    def candles(self, symbol: str, timeframe: str, start_ms: int, end_ms: int) -> Candles:
        """Closed bars with start <= ts < end; none where the files hold no such series."""
        rows = self._rows(symbol, timeframe)
        return rows[_between(rows.ts, start_ms, end_ms)] if isinstance(rows, Candles) else Candles.empty()

    def funding(self, symbol: str, start_ms: int, end_ms: int) -> Funding:
        """Settlements with start <= ts < end."""
        rows = self._rows(symbol, FUNDING)
        if not isinstance(rows, Funding):
            return Funding.none()
        cut = _between(rows.ts, start_ms, end_ms)
        return Funding(rows.ts[cut], rows.rate[cut])

    def _rows(self, symbol: str, kind: str) -> Candles | Funding | None:
        series = self._series.get((symbol, kind))
        return series.rows if series else None

    @cached_property
    def _series(self) -> Mapping[tuple[str, str], Series]:
        groups: dict[tuple[str, str], list[Part]] = defaultdict(list)
        for part in [self._part(file, known) for file, known in self._labels if known.kind != MARK]:
            groups[part.label.symbol, part.label.kind].append(part)
        if not groups:
            raise DataError(f"{self.path} holds mark prices only; give a file of candles or funding, nothing was stored")
        return {key: _joined(group) for key, group in groups.items()}

    @cached_property
    def _labels(self) -> Sequence[tuple[Path, Label]]:
        if not self.path and not self.funding_path:
            raise ConfigError("exchange.path is not set; give a Parquet or CSV file, or a folder of them: exchange.path=FILE_OR_FOLDER")
        candles = [(file, self._label(file, self.timeframe)) for file in _files(self.path, "exchange.path")]
        return candles + [(file, self._label(file, FUNDING)) for file in _files(self.funding_path, "exchange.funding_path")]

    def _label(self, file: Path, kind: str | None) -> Label:
        known = label(file.stem)
        return Label(known.venue, known.symbol or self.symbol or "", known.kind or kind or "")

    def _part(self, file: Path, known: Label) -> Part:
        table = read_table(file)
        kind = FUNDING if table.has_rate and not table.has_prices else known.kind
        if not known.symbol or not kind:
            raise ConfigError(
                f"the name of {file.name} does not say symbol and timeframe (as okx_BTC-USDT-SWAP_1h_x.parquet does); "
                f"give both: exchange.symbol=BTC/USDT:USDT exchange.timeframe=1h"
            )
        return self._checked(file.name, Label(known.venue, known.symbol, kind), table)

    def _checked(self, file: str, known: Label, table: Columns) -> Part:
        now_ms = self.clock.now_ms()
        if known.kind == FUNDING:
            paid = check_funding(read_funding(table), now_ms, file)
            return Part(file, known, paid.funding, paid.repairs)
        bars = check_candles(self._read(table, known), timeframe_ms(known.kind), now_ms, file)
        return Part(file, known, bars.candles, bars.repairs)

    def _read(self, table: Columns, known: Label) -> Candles:
        return read_candles(table, _base(known.symbol))


class MarkSource(FileSource):
    """Files of mark prices (`okx_ETH-USDT-SWAP_1h-mark_x`): bars as candles are, nothing of which is traded."""

    @cached_property
    def _labels(self) -> Sequence[tuple[Path, Label]]:
        files = [file for file in _files(self.path, "exchange.mark_path") if label(file.stem).kind == MARK]
        if not files:
            raise ConfigError(f"exchange.mark_path={self.path} holds no mark prices, whose files are named as okx_ETH-USDT-SWAP_1h-mark_x")
        # candles beside them are what is traded, which is no mark
        return [(file, label(file.stem.replace(f"-{MARK}", ""))) for file in files]

    def _read(self, table: Columns, known: Label) -> Candles:
        bars = super()._read(table, known)
        return replace(bars, volume=np.zeros(len(bars)))


def _files(given: str | None, key: str) -> list[Path]:
    if not given:
        return []
    path = Path(given).expanduser()
    if not path.exists():
        raise ConfigError(f"{key}={path} does not exist; give a Parquet or CSV file, or a folder of them")
    found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES) if path.is_dir() else [path]
    if not found:
        raise ConfigError(f"{key}={path} is a folder without *.parquet or *.csv; give one that has them (sub-folders are not searched)")
    return found


def _joined(parts: Sequence[Part]) -> Series:
    rows: Candles | Funding
    bars = [(part.file, part.rows) for part in parts if isinstance(part.rows, Candles)]
    paid = [(part.file, part.rows) for part in parts if isinstance(part.rows, Funding)]
    rows, overlap = merge_candles(bars) if bars else merge_funding(paid)
    venues = sorted({part.label.venue for part in parts})
    mixed = Repair("mixed", len(rows.ts), f"rows recorded at {' and '.join(venues)} are joined into one series")
    return Series(rows, (*(repair for part in parts for repair in part.repairs), *overlap, *([mixed] if venues[1:] else [])))


def _between(ts: Ints, start_ms: int, end_ms: int) -> slice:
    first, last = np.searchsorted(ts, [start_ms, end_ms])
    return slice(int(first), int(last))


def _base(symbol: str) -> str:
    return symbol.split("/")[0]
