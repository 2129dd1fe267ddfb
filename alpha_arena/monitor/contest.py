"""Traders on paper as contestants: their ledgers over the same closes, each rebased to one capital."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import fsum, isnan, nan
from typing import Any

import numpy as np

from alpha_arena.backtest.board import Board, board
from alpha_arena.backtest.board import Row as Line
from alpha_arena.backtest.consulted import Cutoff
from alpha_arena.backtest.contestants import Consulted, Contestant
from alpha_arena.backtest.result import plain
from alpha_arena.core.advice import ANOTHER, FIRST, latency_ms, was_unusable
from alpha_arena.core.timeframes import UNIT_MS
from alpha_arena.core.types import Floats, Ints
from alpha_arena.data import queries
from alpha_arena.data.trials import tried
from alpha_arena.monitor.books import Books
from alpha_arena.monitor.numbers import Curve, carried, fraction, grid, midnight
from alpha_arena.monitor.reader import Reader
from alpha_arena.monitor.rivals import Rivalry, Rivals

Row = dict[str, Any]
ALL = 2**31 - 1
DAY_MS = UNIT_MS["d"]
HOLD = "buy_and_hold"
SPARKS = 40
MONEY = ("fees", "funding", "llm_cost_usd")


@dataclass(frozen=True, slots=True)
class Entry:
    """A trader in the contest.

    Attributes:
        contestant: rebased to the capital of the first. scale: its own capital over that one. since_ms: its first close.
        own: figures of its own that need no other trader.
    """

    contestant: Contestant
    scale: float
    since_ms: int
    own: Mapping[str, Any]

    def figures(self, row: Line) -> Row:
        """Its line of the board with its own figures, money in its own capital."""
        line = asdict(row)
        return {**line, **{name: line[name] * self.scale for name in MONEY}, **self.own}


@dataclass(frozen=True)
class Held:
    """A contest that was held: the board, everybody on it, and the board's rows as the page shows them."""

    board: Board
    entries: Sequence[Entry]
    rivalry: Rivalry
    rows: Sequence[Row]


@dataclass
class Heard:
    """What a trader's model has said so far, summed up once for each record."""

    upto_ms: int = -1
    failures: int = 0
    fallbacks: int = 0
    answers: int = 0
    costs: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    contaminated: bool = False

    def add(self, calls: Sequence[Row]) -> None:
        """Take in records, oldest first; None for a cost is not known."""
        for call in calls:
            record = call["record"]
            self.upto_ms = call["ts"]
            self.failures += was_unusable(record)
            self.fallbacks += record["fallback_level"] != FIRST
            self.answers += record["fallback_level"] <= ANOTHER
            self.costs.append(nan if record["cost_usd"] is None else record["cost_usd"])
            self.latencies.append(latency_ms(record))
            self.contaminated |= foreknown(record)

    def consulted(self, scale: float) -> Consulted | None:
        """As a contestant has it, money divided by `scale`; None where nobody was ever asked."""
        if not self.costs:
            return None
        least = fsum(cost for cost in self.costs if not isnan(cost))
        waited = np.array([latency for latency in self.latencies if not isnan(latency)])
        return Consulted(len(self.costs), self.failures, self.fallbacks, self.answers, fsum(self.costs) / scale, least / scale, waited)


def foreknown(record: Row) -> bool:
    """A model may have been trained on what came after the bar that it decided at; not so one that was asked within a day of it."""
    if record["wall_ts"] - record["bar_close_ts"] < DAY_MS:
        return False
    clean_from = Cutoff(record["knowledge_cutoff"], ()).clean_from
    return clean_from is None or record["bar_close_ts"] < clean_from


class Contest:
    """Reads the ledgers.

    Args:
        reader: the database. books: closed trades.
    """

    def __init__(self, reader: Reader, books: Books) -> None:
        self.reader = reader
        self.books = books
        self.rivals = Rivals(reader)
        self.heard: dict[str, Heard] = {}

    def held(self, early: Callable[[Held], None]) -> Held | None:
        """Everybody on one board; None without a trader that has a booked close.

        Args:
            early: told the traders' board alone, where the benchmarks are yet to be computed for the first time.
        """
        entries = self.entries()
        if not entries:
            return None
        if self.rivals.first:
            early(self._among(entries, Rivalry(coming=True)))
        first = entries[0].contestant
        return self._among(entries, self.rivals.over(first.ts, first.initial_capital))

    def _among(self, entries: Sequence[Entry], rivalry: Rivalry) -> Held:
        everyone = [*(entry.contestant for entry in entries), *rivalry.contestants]
        made = self._board(everyone, len(entries), rivalry)
        return Held(made, entries, rivalry, self._rows(made, entries, rivalry))

    def _board(self, everyone: Sequence[Contestant], traders: int, rivalry: Rivalry) -> Board:
        scope = self.reader.scope
        symbol = scope.instruments[0].symbol if scope.instruments else ""
        known = tried(self.reader.service, symbol, scope.timeframe, everyone[0].ts.size)
        seed = scope.settings.seed if scope.settings else 0
        return board(everyone, scope.bar_ms, seed, known.count + traders, known.deviation, rivalry.band)

    def _rows(self, made: Board, entries: Sequence[Entry], rivalry: Rivalry) -> list[Row]:
        """The board's rows with each one's own figures, times and a thinned curve, in the order of the board."""
        bar_ms = self.reader.scope.bar_ms
        own = {entry.contestant.name: entry for entry in entries}
        others = {one.name: one for one in rivalry.contestants}
        first, hold = min(entry.since_ms for entry in entries), others.get(HOLD)
        rows = []
        for row in made.rows:
            entry = own[row.name] if row.kind == "trader" else None
            one = entry.contestant if entry else others[row.name]
            since = entry.since_ms if entry else first
            held = growth(hold.equity, hold.ts + bar_ms, since) if hold else nan
            times = {"since_ms": since, "late": since > first}
            figures = entry.figures(row) if entry else benchmark_figures(row, one, bar_ms)
            curve = spark(one.equity / one.initial_capital - 1)
            rows.append(plain({**figures, **times, "vs_hold": row.total_return - held, "spark": curve}))
        return rows

    def entries(self) -> list[Entry]:
        """Every trader over all closes since the first one's start; before its own start a later one has its capital."""
        curves = self.reader.curves()
        if not curves:
            return []
        closes = grid(curves.values(), self.reader.scope.bar_ms)
        capital = next(iter(curves.values())).initial
        return [self._entry(name, curve, closes, capital) for name, curve in curves.items()]

    def _entry(self, name: str, curve: Curve, closes: Ints, capital: float) -> Entry:
        scale = curve.initial / capital
        booked = queries.equity(self.reader.service, name)
        exposure = carried(np.array(booked["ts"], np.int64), np.array(booked["exposure"], np.float64), closes)
        bills = queries.sums(self.reader.service, name)
        trades = [row for row in self.books.trades(name) if row["exit_ms"] is not None]
        fills = queries.fills(self.reader.service, name, ALL)
        heard = self._heard(name)
        contestant = Contestant(
            name=name,
            kind="trader",
            ts=closes - self.reader.scope.bar_ms,
            equity=np.nan_to_num(carried(curve.ts, curve.equity, closes), nan=curve.initial) / scale,
            exposure=np.nan_to_num(exposure),
            initial_capital=capital,
            traded=fsum(abs(row["quantity"]) * row["price"] for row in fills) / scale,
            fees=-bills["fee"] / scale,
            funding=-bills["funding"] / scale,
            trades=len(trades),
            model=heard.consulted(scale),
            contaminated=heard.contaminated and not self.reader.synthetic(),
        )
        return Entry(contestant, scale, int(curve.ts[0]), own_figures(curve, trades, int(closes[-1])))

    def _heard(self, name: str) -> Heard:
        heard = self.heard.setdefault(name, Heard())
        heard.add(queries.model_calls(self.reader.service, name, heard.upto_ms + 1))
        return heard


def own_figures(curve: Curve, trades: Sequence[Row], now_ms: int) -> Row:
    """equity (quote); today: return since 00:00 UTC; win_rate; average_held_ms: of closed trades."""
    equity = float(curve.equity[-1])
    opening = curve.at(midnight(now_ms))
    return {
        "equity": equity,
        "today": fraction(equity - opening, opening),
        "win_rate": fraction(sum(row["pnl"] > 0 for row in trades), len(trades)),
        "average_held_ms": fraction(sum(row["exit_ms"] - row["entry_ms"] for row in trades), len(trades)),
    }


def benchmark_figures(row: Line, one: Contestant, bar_ms: int) -> Row:
    """The line of what is no trader with the same figures."""
    curve = Curve(one.ts + bar_ms, one.equity, one.initial_capital)
    return {**asdict(row), **own_figures(curve, (), int(curve.ts[-1]))}


def growth(equity: Floats, ts: Ints, since: int) -> float:
    """Return from the last close before a time to the end."""
    row = max(int(np.searchsorted(ts, since)) - 1, 0)
    return fraction(float(equity[-1] - equity[row]), float(equity[row]))


def spark(values: Floats) -> list[float]:
    """A curve in a few points, the last its end."""
    rows = np.unique(np.linspace(0, values.size - 1, SPARKS).round().astype(np.int64))
    return [round(float(values[row]), 6) for row in rows]
