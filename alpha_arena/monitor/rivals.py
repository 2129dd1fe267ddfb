"""The benchmarks that stand beside the traders on paper: those of the arena over the same closes and capital."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from alpha_arena.backtest.contestants import Band, Contestant
from alpha_arena.core.errors import AlphaArenaError
from alpha_arena.core.types import Floats, Ints
from alpha_arena.data import queries
from alpha_arena.monitor.numbers import carried
from alpha_arena.monitor.reader import Reader

if TYPE_CHECKING:
    from alpha_arena.settings import Settings
    from alpha_arena.wiring.benchmarks import Beside

UNKNOWN = "no benchmarks: the traders' configuration is not known here; start the page by `up`, or with serve arena=NAME"


@dataclass(frozen=True, slots=True)
class Rivalry:
    """Benchmarks and the band of random traders. missing: why there are none, "" where there are. coming: they are being computed."""

    contestants: tuple[Contestant, ...] = ()
    band: Band | None = None
    missing: str = ""
    coming: bool = False


class Rivals:
    """Computes benchmarks from stored candles; seconds, so that those of the newest bars are kept.

    Args:
        reader: the database.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._kept: tuple[tuple[int, ...], Rivalry] | None = None

    @property
    def first(self) -> bool:
        """Nothing is kept yet, and what is to come has to be compiled as well, which can take minutes."""
        return self._kept is None and self.reader.scope.settings is not None

    def over(self, ts: Ints, capital: float) -> Rivalry:
        """The benchmarks over bars that opened at these times, with this capital."""
        settings = self.reader.scope.settings
        if settings is None:
            return Rivalry(missing=UNKNOWN)
        key = (int(ts[0]), int(ts[-1]), queries.cursors(self.reader.service)["ingest_runs"])
        if self._kept is None or self._kept[0] != key:
            try:
                self._kept = (key, on(ts, capital, self._computed(settings, ts)))
            except AlphaArenaError as error:
                self._kept = (key, Rivalry(missing=f"no benchmarks: {error}"))
        return self._kept[1]

    def _computed(self, settings: Settings, ts: Ints) -> Beside:
        # what simulates is loaded by whoever looks at the arena, not by every page
        from alpha_arena.wiring.backtesting import window
        from alpha_arena.wiring.benchmarks import benchmarks
        from alpha_arena.wiring.desk import markets_of

        markets = markets_of(settings, self.reader.service, int(ts[-1]) + self.reader.scope.bar_ms)
        return benchmarks(settings, markets, window(markets, int(ts[0]), None), generated=self.reader.synthetic())


def on(ts: Ints, capital: float, beside: Beside) -> Rivalry:
    """Benchmarks over other bars and with another capital: each bar has the last value known at it, the capital before the first."""
    initial = beside.contestants[0].initial_capital
    return Rivalry(tuple(moved(one, ts, capital) for one in beside.contestants), moved_band(beside.band, ts, capital, initial))


def moved(one: Contestant, ts: Ints, capital: float) -> Contestant:
    """A contestant rebased."""
    scale = capital / one.initial_capital
    money = {name: getattr(one, name) * scale for name in ("traded", "fees", "funding")}
    exposure = np.nan_to_num(carried(one.ts, one.exposure, ts))
    return replace(one, ts=ts, equity=path(one.ts, one.equity * scale, ts, capital), exposure=exposure, initial_capital=capital, **money)


def moved_band(band: Band, ts: Ints, capital: float, initial: float) -> Band:
    """A band rebased; initial: its own capital."""
    scale = capital / initial
    return Band(ts, band.finals * scale, **{name: path(band.ts, values * scale, ts, capital) for name, values in band.lines.items()})


def path(own: Ints, equity: Floats, ts: Ints, capital: float) -> Floats:
    """Equity at other bars."""
    return np.nan_to_num(carried(own, equity, ts), nan=capital)
