"""The arena page: the board of all traders with its benchmarks, and their race (specs: quant L10, monitor §4.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from alpha_arena.core.types import Floats, Ints
from alpha_arena.monitor.books import Books
from alpha_arena.monitor.later import Later
from alpha_arena.monitor.reader import Reader
from alpha_arena.monitor.thinning import envelope

if TYPE_CHECKING:
    from alpha_arena.monitor.contest import Contest, Entry, Held

Row = dict[str, Any]
PATIENCE_S = 0.3
# where bars close every few seconds the board need not follow each
REST_S = 20.0


class Arena:
    """Boards of the present state; one that takes longer than a moment to compute comes with a later question.

    Args:
        reader: the database. books: closed trades.
    """

    def __init__(self, reader: Reader, books: Books) -> None:
        self.reader = reader
        self.books = books
        self.contest: Contest | None = None
        self.later: Later[Held | None] = Later(PATIENCE_S, reader.made, REST_S)

    def found(self) -> tuple[Held | None, bool]:
        """The newest finished contest, None before the first or without traders, and whether a newer one is being made."""
        made = self.later.get(self.reader.stored_state(), self._held)
        return made.value, made.newer

    def _held(self, early: Callable[[Held | None], None]) -> Held | None:
        # what simulates brings numba and pandas along: only who looks at the arena pays for them, and in the thread
        from alpha_arena.monitor.contest import Contest

        if self.contest is None:
            self.contest = Contest(self.reader, self.books)
        with self.reader.pinned():
            return self.contest.held(early)

    def leaderboard(self) -> Row:
        """The board with everything that stands around it.

        Returns:
            rows: as of backtest.board.Row, with equity, today, vs_hold (less what buying and holding returned since the same close, costs
            in), win_rate, average_held_ms, since_ms, late (it started after the first), spark. said: what the order is worth.
            computing: a newer board is on its way. missing: why there are no benchmarks. coming: because they are being computed.
        """
        held, computing = self.found()
        scope = self.reader.scope
        same = {"computing": computing, "synthetic": self.reader.synthetic(), "timeframe": scope.timeframe, "bar_ms": scope.bar_ms}
        if held is None:
            return {**same, "rows": [], "said": "", "established": False, "missing": "", "coming": False}
        told = held.board.as_dict()
        rest = {name: told[name] for name in ("bars", "start_ts", "end_ts", "initial_capital", "tried", "established", "said", "random")}
        return {**same, **rest, "rows": held.rows, "missing": held.rivalry.missing, "coming": held.rivalry.coming}

    def race(self, columns: int, unit: str) -> Row:
        """Curves of everybody on the board and the band of random traders, thinned to pixel columns.

        Args:
            unit: "quote" for amounts, "fraction" for the return since each one's own start.

        Returns:
            ts of the closes in ms; series by name, benchmarks as "benchmark:NAME"; band: low, middle and high, None without; initial: each
            one's capital.
        """
        held, computing = self.found()
        return {**self.reader.keep(("race", columns, unit, id(held)), lambda: self._race(held, columns, unit)), "computing": computing}

    def _race(self, held: Held | None, columns: int, unit: str) -> Row:
        if held is None:
            return {"ts": [], "series": {}, "initial": {}, "unit": unit, "band": None}
        ts = held.entries[0].contestant.ts + self.reader.scope.bar_ms
        traders = {entry.contestant.name: self._late(entry, ts) for entry in held.entries}
        others = {f"benchmark:{one.name}": one.equity for one in held.rivalry.contestants}
        band = {f"band:{name}": values for name, values in held.rivalry.band.lines.items()} if held.rivalry.band else {}
        capital, every = held.board.initial_capital, {**traders, **others, **band}
        scaled = {name: values / capital - 1 if unit == "fraction" else values for name, values in every.items()}
        at, thin = envelope(ts, scaled, columns)
        return {
            "ts": at,
            "series": {name: thin[name] for name in (*traders, *others)},
            "band": {name.removeprefix("band:"): thin[name] for name in band} or None,
            "initial": dict.fromkeys((*traders, *others), capital),
            "unit": unit,
        }

    @staticmethod
    def _late(entry: Entry, ts: Ints) -> Floats:
        """A trader's curve from its own start on."""
        return np.where(ts >= entry.since_ms, entry.contestant.equity, np.nan)
