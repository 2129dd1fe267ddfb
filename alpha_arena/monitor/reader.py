"""Market, clock and accounts as the monitor reads them; what was computed is kept until something newer is stored."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

from alpha_arena.core.errors import AlphaArenaError, ConfigError, NoData
from alpha_arena.core.timeframes import timeframe_ms, timeframe_name
from alpha_arena.core.types import Account, Candles, Instrument
from alpha_arena.data import queries
from alpha_arena.data.clock import ClockRow, read_clock, wall_ms
from alpha_arena.data.controls import Controls
from alpha_arena.data.ledger import Ledger
from alpha_arena.data.service import DataService, Series
from alpha_arena.monitor.numbers import Curve, carried, guessed_tick, marked
from alpha_arena.monitor.scope import Scope
from alpha_arena.monitor.thinning import MAX_BARS, drawn_bar_ms, gaps, grouped

FOREVER = 2**62
SYNTHETIC = "synthetic"
PINNED: ContextVar[str] = ContextVar("pinned", default="")
BEAT_MS = 10_000
KEPT = 256
T = TypeVar("T")


class Reader:
    """Read access for pages and API.

    Args:
        service: the database. scope: what to show. wall: the computer's clock, ms.
    """

    def __init__(self, service: DataService, scope: Scope, wall: Callable[[], int] = wall_ms) -> None:
        self.service = service
        self.scope = scope
        self.wall = wall
        self._kept: dict[Hashable, tuple[str, Any]] = {}
        self._made = 0

    def cursor(self) -> str:
        """Changes whenever something that is shown does; the passing of time alone changes nothing."""
        return f"{self._made}|{self._stored()}"

    def stored_state(self) -> str:
        """The part of the cursor that is about what is stored."""
        return (PINNED.get() or self.cursor()).partition("|")[2]

    def made(self) -> None:
        """Something that took long to compute is finished, so that answers change though nothing new is stored."""
        self._made += 1

    def _stored(self) -> str:
        newest = [*sorted(queries.cursors(self.service).items()), *(halt["id"] for halt in queries.halts(self.service))]
        newest += [(row["trader"], row["kind"], row["ts"]) for row in Controls(self.service).every()]
        newest += [(row["trader"], row["state"], row["since_ms"]) for row in queries.account_states(self.service)]
        bars = [(one.exchange, one.symbol, one.timeframe, self._last(one)) for one in self.service.series()]
        clock = self.clock()
        return repr((newest, bars, clock["running"], clock["stopped"], clock["epoch"], clock["speed"]))

    @contextmanager
    def pinned(self) -> Iterator[str]:
        """The cursor, asked for once in the block: what is read within it belongs to this state or a newer one."""
        token = PINNED.set(self.cursor())
        try:
            yield PINNED.get()
        finally:
            PINNED.reset(token)

    def stored(self) -> list[Series]:
        """All stored series."""
        return self.keep("series", self.service.series)

    def keep(self, key: Hashable, build: Callable[[], T]) -> T:
        """What `build` gives, computed once for each state of the database."""
        cursor = PINNED.get() or self.cursor()
        found = self._kept.get(key)
        if found is None or found[0] != cursor:
            if len(self._kept) >= KEPT:
                self._kept.clear()
            found = self._kept[key] = (cursor, build())
        value: T = found[1]
        return value

    def clock(self) -> dict[str, Any]:
        """now_ms: the data's time; it stands still (stopped) when the keeper has given no sign of life for 10 s."""
        row = read_clock(self.service)
        if row is None:
            return {"now_ms": self.newest_close(), "speed": 1.0, "running": False, "stopped": False, "epoch": 0}
        wall = self.wall()
        alive = row.mode == "running" and wall - row.beat <= BEAT_MS
        return {"now_ms": _now(row, wall, alive), "speed": row.speed, "running": alive, "stopped": not alive, "epoch": row.epoch}

    def newest_close(self) -> int:
        """Latest close of any stored candle, 0 without one."""
        return max((self._last(one) + timeframe_ms(one.timeframe) for one in self.service.series()), default=0)

    def _last(self, series: Series) -> int:
        return self.service.last_ts(series.exchange, series.symbol, series.timeframe) or 0

    def series(self, symbol: str) -> list[Series]:
        """The symbol's stored timeframes, the shortest first.

        Raises:
            NoData: nothing is stored. ConfigError: several exchanges hold it and none is configured.
        """
        where = self.service.source(symbol, self._source(symbol))
        found = [one for one in self.stored() if one.symbol == symbol and one.exchange == where]
        return sorted(found, key=lambda one: timeframe_ms(one.timeframe))

    def _source(self, symbol: str) -> str | None:
        """The configured source where it holds the symbol."""
        holders = {one.exchange for one in self.stored() if one.symbol == symbol}
        return self.scope.source if self.scope.source in holders else None

    def symbols(self) -> list[dict[str, Any]]:
        """Symbols that are stored or configured, the configured ones first: symbol, base, quote, tick, lot, source."""
        stored = dict.fromkeys(one.symbol for one in self.stored())
        known = {one.symbol: one for one in self.scope.instruments}
        names = [name for name in known if name in stored or not stored] + [name for name in stored if name not in known]
        return [self._symbol(name, known.get(name)) for name in names]

    def _symbol(self, name: str, instrument: Instrument | None) -> dict[str, Any]:
        base, _, quote = name.partition(":")[0].partition("/")
        prices = self.prices()
        tick = instrument.tick if instrument else guessed_tick(prices.get(name, 0.0))
        return {"symbol": name, "base": base, "quote": quote or "USDT", "tick": tick, "lot": instrument.lot if instrument else 1e-4}

    def prices(self) -> dict[str, float]:
        """Newest close of each stored symbol, quote currency: what positions are marked at."""
        return {symbol: price for symbol, (price, _) in self.marks().items()}

    def marks(self) -> dict[str, tuple[float, int]]:
        """Newest close of each stored symbol and its time."""
        return self.keep("marks", lambda: dict(self._mark(symbol) for symbol in sorted({one.symbol for one in self.stored()})))

    def _mark(self, symbol: str) -> tuple[str, tuple[float, int]]:
        try:
            found = self.service.get_latest_prices(symbol, self._source(symbol))
        except ConfigError:
            found = None
        return symbol, (found["last"], found["ts"]) if found else (float("nan"), 0)

    def feeds(self) -> list[dict[str, Any]]:
        """Newest close of each configured symbol at the timeframe of decisions, or the shortest stored one."""
        return self.keep("feeds", self._feeds)

    def _feeds(self) -> list[dict[str, Any]]:
        found = []
        for one in self.symbols():
            try:
                stored = self.series(one["symbol"])
            except AlphaArenaError:
                continue
            chosen = next((s for s in stored if s.timeframe == self.scope.timeframe), stored[0])
            bar_ms = timeframe_ms(chosen.timeframe)
            found.append({"symbol": one["symbol"], "bar_ms": bar_ms, "close_ms": self._last(chosen) + bar_ms, "source": chosen.exchange})
        return found

    def synthetic(self) -> bool:
        """The market is generated, wholly or in part."""
        return self.scope.synthetic or any(feed["source"] == SYNTHETIC for feed in self.feeds())

    def candles(self, symbol: str, start_ms: int, end_ms: int, bars: int, bar_ms: int | None = None) -> dict[str, Any]:
        """Bars to draw: of `bar_ms` where it is given, else of the finest length of which `bars` cover the range.

        Returns:
            ts, open, high, low, close, volume: columns. bar_ms, bar: the length; finest_ms: the shortest possible.
            first_ms, last_ms: what is stored. source: its exchange. gaps: missing stretches of the drawn length.

        Raises:
            ConfigError: bar_ms is no multiple of a stored timeframe.
        """
        stored = self.series(symbol)
        lengths = [timeframe_ms(one.timeframe) for one in stored]
        bar = bar_ms or drawn_bar_ms(end_ms - start_ms, bars, lengths)
        usable = [one for one in stored if bar % timeframe_ms(one.timeframe) == 0]
        if not usable:
            raise ConfigError(f"bar_ms={bar} is no multiple of a stored timeframe ({', '.join(one.timeframe for one in stored)})")
        drawn = grouped(self._rows(usable, start_ms // bar * bar, end_ms), bar)
        drawn = drawn[slice(max(0, len(drawn) - MAX_BARS), None)]
        return {
            "symbol": symbol,
            "source": stored[0].exchange,
            "bar_ms": bar,
            "bar": timeframe_name(bar),
            "finest_ms": lengths[0],
            "first_ms": self._first(stored[-1]),
            "last_ms": max(self._last(one) + timeframe_ms(one.timeframe) for one in stored),
            "gaps": [{"start_ms": a, "end_ms": b, "class": "missing"} for a, b in gaps(drawn.ts, bar)],
            **{name: getattr(drawn, name) for name in ("ts", "open", "high", "low", "close", "volume")},
        }

    def _rows(self, usable: list[Series], start_ms: int, end_ms: int) -> Candles:
        """Bars of the longest usable timeframe, and of shorter ones where it has not closed yet."""
        parts, at = [], start_ms
        for one in reversed(usable):
            part = self.service.get_candles_range(one.symbol, one.timeframe, at, end_ms, one.exchange)
            if len(part):
                parts.append(part)
                at = int(part.ts[-1]) + timeframe_ms(one.timeframe)
        columns = (np.concatenate([getattr(p, name) for p in parts]) for name in ("ts", "open", "high", "low", "close", "volume"))
        return Candles(*columns) if parts else Candles.empty()

    def _first(self, series: Series) -> int:
        def read() -> int:
            ts = self.service.get_candles_range(series.symbol, series.timeframe, 0, FOREVER, series.exchange).ts
            return int(ts[0]) if ts.size else 0

        return self.keep(("first", series), read)

    def closes(self, symbol: str, start_ms: int) -> tuple[Any, Any]:
        """Times of the closes after a time, ms, and the closes, at the timeframe of decisions or the shortest stored one."""
        stored = self.series(symbol)
        chosen = next((one for one in stored if one.timeframe == self.scope.timeframe), stored[0])
        bar_ms = timeframe_ms(chosen.timeframe)
        bars = self.service.get_candles_range(symbol, chosen.timeframe, start_ms - bar_ms, FOREVER, chosen.exchange)
        return bars.ts + bar_ms, bars.close

    def traders(self) -> list[dict[str, Any]]:
        """Every account: trader, cash, equity, initial_capital, opened_ts, updated_ts."""
        return self.keep("traders", lambda: queries.traders(self.service))

    def account(self, trader: str) -> Account:
        """A trader's account as it is stored."""
        return self.keep(("account", trader), lambda: Ledger(self.service, trader, self.scope.timeframe, "").account())

    def curve(self, trader: str) -> Curve:
        """A trader's equity at its closes, ending at the present mark.

        Raises:
            NoData: there is no such trader.
        """
        return self.keep(("curve", trader), lambda: self._curve(trader))

    def curves(self) -> dict[str, Curve]:
        """Equity of every trader that has a booked close."""
        names = [row["trader"] for row in self.traders()]
        return {name: curve for name in names if (curve := self.curve(name)).ts.size}

    def _curve(self, trader: str) -> Curve:
        balance = next((row for row in self.traders() if row["trader"] == trader), None)
        if balance is None:
            raise NoData(f"there is no trader {trader!r}; known are {', '.join(row['trader'] for row in self.traders()) or 'none'}")
        stored = queries.equity(self.service, trader)
        curve = Curve(np.array(stored["ts"], np.int64), np.array(stored["equity"], np.float64), balance["initial_capital"])
        now = marked(self.account(trader), self.prices())
        return curve.with_now(max(self._marked_at(trader), int(curve.ts[-1])), now) if curve.ts.size and np.isfinite(now) else curve

    def _marked_at(self, trader: str) -> int:
        held = [symbol for symbol, position in self.account(trader).positions.items() if position.quantity]
        return max((self.marks()[symbol][1] for symbol in held), default=0)

    def hold(self, start_ms: int) -> Curve:
        """Buying equal parts of all configured symbols at the close of `start_ms` and holding them, without costs; starts at 1."""
        return self.keep(("hold", start_ms), lambda: self._hold(start_ms))

    def _hold(self, start_ms: int) -> Curve:
        pairs = [self.closes(one["symbol"], start_ms) for one in self.symbols() if one["symbol"] in self.prices()]
        pairs = [(ts[ts >= start_ms], close[ts >= start_ms]) for ts, close in pairs]
        pairs = [(ts, close) for ts, close in pairs if ts.size]
        if not pairs:
            return Curve(np.empty(0, np.int64), np.empty(0), 1.0)
        grid = np.unique(np.concatenate([ts for ts, _ in pairs]))
        parts = [np.nan_to_num(carried(ts, close / close[0], grid), nan=1.0) for ts, close in pairs]
        return Curve(grid, np.mean(parts, axis=0), 1.0)


def _now(row: ClockRow, wall: int, alive: bool) -> int:
    """Simulated time; of a keeper that died without a word, that of its last sign of life."""
    return row.now_ms(wall if alive else min(wall, int(row.beat) + 1000))
