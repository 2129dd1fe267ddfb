"""Figures over traders: the tiles of one, the curves of all, the state of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import Any

import numpy as np

from alpha_arena.core.errors import NoData
from alpha_arena.core.timeframes import timeframe_ms
from alpha_arena.core.types import Account, Floats
from alpha_arena.data import queries
from alpha_arena.data.controls import Controls
from alpha_arena.monitor import talks
from alpha_arena.monitor.books import Books
from alpha_arena.monitor.numbers import Curve, carried, figures, grid
from alpha_arena.monitor.reader import Reader
from alpha_arena.monitor.replies import WRITE_REFUSED
from alpha_arena.monitor.thinning import envelope

Row = dict[str, Any]
HOLD = "benchmark:buy_and_hold"
# a halt is told with its own reason
SAID_ELSEWHERE = ("READY", "HALTED")
NOTHING = Curve(np.empty(0, np.int64), np.empty(0), nan)


class Boards:
    """What is shown of all traders.

    Args:
        reader: the database. books: decisions, orders, trades.
    """

    def __init__(self, reader: Reader, books: Books) -> None:
        self.reader = reader
        self.books = books

    def names(self) -> list[str]:
        """Traders with an account."""
        return [row["trader"] for row in self.reader.traders()]

    def status(self) -> Row:
        """What the engine is doing: mode, clock, feeds, next decision, halts, switches, accounts in trouble, alerts, who may write."""
        scope, clock = self.reader.scope, self.reader.clock()
        feeds = self.reader.feeds()
        return {
            "mode": scope.mode,
            "synthetic": self.reader.synthetic(),
            "clock": clock,
            "timeframe": scope.timeframe,
            "bar_ms": scope.bar_ms,
            "feeds": feeds,
            "next_decision_ms": (clock["now_ms"] // scope.bar_ms + 1) * scope.bar_ms if clock["running"] else None,
            "halts": queries.halts(self.reader.service),
            "switches": Controls(self.reader.service).every(),
            "accounts": [row for row in queries.account_states(self.reader.service) if row["state"] not in SAID_ELSEWHERE],
            "alerts": queries.alerts(self.reader.service, 5),
            "write": {"enabled": scope.write, "reason": "" if scope.write else WRITE_REFUSED},
            "refresh_s": scope.refresh_s,
        }

    def kpi(self, trader: str) -> Row:
        """The six tiles of a trader and what total is made of: realised + unrealised - fees - funding; unknown figures of nobody."""
        if not trader:
            return dict(figures(NOTHING, Account(0.0), {}, 0, nan), held=0)
        curve = self.reader.curve(trader)
        now = self.reader.clock()["now_ms"]
        bills = self.reader.keep(("bills", trader), lambda: queries.sums(self.reader.service, trader))
        tiles = figures(curve, self.reader.account(trader), self.reader.prices(), now, self.hold_return(curve))
        return {**tiles, "realised": bills["realised"], "fees": 0.0 - bills["fee"], "funding": 0.0 - bills["funding"]}

    def hold_return(self, curve: Curve) -> float:
        """What buying and holding has returned since a trader's first close, a fraction."""
        held = self.reader.hold(int(curve.ts[0])).equity if curve.ts.size else np.empty(0)
        return float(held[-1]) - 1 if held.size else nan

    def chosen(self, trader: str, symbol: str) -> tuple[str, str, list[tuple[str, str]]]:
        """The trader and symbol to show, the first ones where what is asked does not exist, and what did not."""
        unknown = []
        for kind, asked, known in (("trader", trader, self.names()), ("symbol", symbol, [one["symbol"] for one in self.reader.symbols()])):
            if asked and asked not in known:
                unknown.append((kind, asked[:80]))
        return self._or_first(trader, self.names()), self._or_first(symbol, [one["symbol"] for one in self.reader.symbols()]), unknown

    @staticmethod
    def _or_first(asked: str, known: list[str]) -> str:
        return asked if asked in known else next(iter(known), "")

    def dashboard(self, trader: str, symbol: str) -> Row:
        """Everything of the page but its series and lists, in one answer."""
        trader, symbol, unknown = self.chosen(trader, symbol)
        symbols = self.reader.symbols()
        quote = next((one["quote"] for one in symbols if one["symbol"] == symbol), "USDT")
        return {
            "status": self.status(),
            "trader": trader,
            "symbol": symbol,
            "unknown": unknown,
            "quote": quote,
            "traders": [{"id": name} for name in self.names()],
            "symbols": symbols,
            "kpi": self.kpi(trader),
            "positions": self.books.positions(trader) if trader else [],
            "feedback": talks.feedback(self.reader.service, trader),
            "last_decision": self.books.last_decision(trader) if trader else None,
        }

    def equity(self, start_ms: int | None, end_ms: int | None, columns: int, unit: str) -> Row:
        """Curves of all traders and of buying and holding, thinned to pixel columns.

        Args:
            unit: "quote" for amounts, "fraction" for the return since each one's own start.

        Returns:
            ts in ms, evenly spaced but for the last; series by name with null before a start; initial: each one's capital.
        """
        return self.reader.keep(("equity", start_ms, end_ms, columns, unit), lambda: self._equity(start_ms, end_ms, columns, unit))

    def _equity(self, start_ms: int | None, end_ms: int | None, columns: int, unit: str) -> Row:
        curves = self.reader.curves()
        if not curves:
            return {"ts": [], "series": {}, "initial": {}, "unit": unit}
        scaled = {**curves, HOLD: self._held_capital(curves)}
        grid = self._grid(curves, start_ms, end_ms)
        series = {name: self._in_unit(curve, carried(curve.ts, curve.equity, grid), unit) for name, curve in scaled.items()}
        ts, series = envelope(grid, series, columns)
        return {"ts": ts, "series": series, "initial": {name: curve.initial for name, curve in scaled.items()}, "unit": unit}

    def _held_capital(self, curves: Mapping[str, Curve]) -> Curve:
        """Buying and holding with the capital of the trader that started first, from then on."""
        first = min(curves.values(), key=lambda curve: int(curve.ts[0]))
        held = self.reader.hold(int(first.ts[0]))
        return Curve(held.ts, held.equity * first.initial, first.initial)

    @staticmethod
    def _in_unit(curve: Curve, values: Floats, unit: str) -> Floats:
        return values / curve.initial - 1 if unit == "fraction" else values

    def _grid(self, curves: Mapping[str, Curve], start_ms: int | None, end_ms: int | None) -> Any:
        """Every close between the first and the last, and the present mark."""
        every = grid(curves.values(), self.reader.scope.bar_ms)
        last = int(every[-1])
        return every[(every >= (start_ms or 0)) & (every <= (end_ms or last))]

    def coverage(self) -> list[Row]:
        """Each stored series: first and last open, rows, expected, missing, gaps, and the age of its newest close on the data's clock."""
        now = self.reader.clock()["now_ms"]
        found = self.reader.keep("coverage", self.reader.service.coverage)
        return [{**row, "age_ms": now - row["last_ts"] - timeframe_ms(row["timeframe"])} for row in found]

    def known(self, trader: str) -> str:
        """A trader's name.

        Raises:
            NoData: there is no such trader.
        """
        if trader and trader not in self.names():
            raise NoData(f"there is no trader {trader[:80]!r}; known are {', '.join(self.names()) or 'none'}")
        return trader
