"""The log price of a symbol at each day's start.

A level is the whole-number sum of all minutes since the epoch, less a pull towards the anchor that is set once a day. No end point is
drawn before its path, so nothing leaks backwards. Summing costs about a second for ten years, once a process and symbol; the daily sums
may be kept in a folder and are never needed for correctness.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from threading import Lock
from zlib import crc32

import numpy as np

from alpha_arena.core.types import Ints
from alpha_arena.exchange.synthetic.increments import UNIT, increments, whole
from alpha_arena.exchange.synthetic.model import MINUTES_A_DAY, Contract, Model
from alpha_arena.exchange.synthetic.noise import Span

BATCH_DAYS = 24
# Fewer new days are not worth a write
STORED_DAYS = 30


def day_sums(model: Model, contract: Contract, seed: int, first: int, last: int) -> Ints:
    """Sum of the increments of each day first <= day < last (days since 1970), in units."""
    span = Span(seed, first * MINUTES_A_DAY, last * MINUTES_A_DAY)
    units = increments(model, contract, span).units
    sums: Ints = units.reshape(-1, MINUTES_A_DAY).sum(axis=1)
    return sums


def pull(model: Model, level: int) -> int:
    """What each minute of a day that starts at this level loses to the anchor, units: nothing near it, a soft wall at a factor of 5."""
    x = level * UNIT
    return int(whole(np.array([model.pull * x * x * x / MINUTES_A_DAY]))[0])


class Levels:
    """Levels of one symbol, extended as far as they are asked for. Safe to share between threads.

    Args:
        folder: keeps the daily sums; None keeps them in memory only.
    """

    def __init__(self, model: Model, contract: Contract, seed: int, folder: Path | None) -> None:
        self.model, self.contract, self.seed = model, contract, seed
        self._file = folder / f"{file_name(model, contract, seed)}.sums" if folder else None
        self._lock = Lock()
        self._sums = load(self._file) if self._file else np.empty(0, np.int64)
        self._starts = [0]
        self._walk()

    def at(self, day: int) -> int:
        """Log of price / anchor at 00:00 UTC of a day since 1970, in units; 0 up to the epoch."""
        row = day - self.model.epoch_day
        if row >= len(self._starts):
            with self._lock:
                self._extend(row)
        return self._starts[row] if row > 0 else 0

    def pull(self, day: int) -> int:
        """The pull of each of that day's minutes, units."""
        return pull(self.model, self.at(day))

    def _extend(self, days: int) -> None:
        known = self._sums.size
        if days <= known:
            return
        first, last = self.model.epoch_day + known, self.model.epoch_day + days
        batches = [(day, min(day + BATCH_DAYS, last)) for day in range(first, last, BATCH_DAYS)]
        parts = [day_sums(self.model, self.contract, self.seed, *batch) for batch in batches]
        self._sums = np.concatenate([self._sums, *parts])
        self._walk()
        if self._file and days - known >= STORED_DAYS:
            save(self._file, self._sums)

    def _walk(self) -> None:
        self._starts.extend(walk(self.model, self._starts[-1], self._sums[len(self._starts) - 1 :]))


def walk(model: Model, level: int, sums: Ints) -> Iterator[int]:
    """The level after each day."""
    for total in sums.tolist():
        level += total - MINUTES_A_DAY * pull(model, level)
        yield level


@lru_cache(maxsize=256)
def levels(model: Model, symbol: str, seed: int, folder: Path | None) -> Levels:
    """The process's only levels of that symbol."""
    return Levels(model, model.contract(symbol), seed, folder)


def file_name(model: Model, contract: Contract, seed: int) -> str:
    """Names everything that the sums depend on."""
    return sha256(f"{model!r} {contract!r} {seed}".encode()).hexdigest()[:24]


def load(path: Path) -> Ints:
    """Stored sums; none if the file is missing or damaged."""
    content = path.read_bytes() if path.is_file() else b""
    sums = content[4:]
    if len(sums) % 8 or content[:4] != crc32(sums).to_bytes(4, "little"):
        return np.empty(0, np.int64)
    return np.frombuffer(sums, "<i8").astype(np.int64)


def save(path: Path, sums: Ints) -> None:
    """Replace the file in one step, so that no reader ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = sums.astype("<i8").tobytes()
    handle, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(crc32(content).to_bytes(4, "little") + content)
    os.replace(name, path)
