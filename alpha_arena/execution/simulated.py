"""The simulated executor: stored bars in, fills out, through the matching engine."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence

from alpha_arena.core.costs import Costs
from alpha_arena.core.detail import bars_inside
from alpha_arena.core.funding import complete
from alpha_arena.core.market import Market
from alpha_arena.core.records import Booking, OrderEvent
from alpha_arena.core.types import Account, Funding, Instrument, Order, Position
from alpha_arena.exchange.matching import Bar, Happened, MatchingEngine, Settlement


class Tape:
    """A market as the matching engine reads it: bars by row, settlements by time.

    Args:
        market: closed bars with funding; unknown settlements are completed up to the last close.
        detail: shorter bars inside them, None for none.
    """

    def __init__(self, market: Market, detail: Market | None = None) -> None:
        until = int(market.ts[-1]) + market.bar_ms if len(market) else 0
        funding = complete(Funding(market.funding_ts, market.funding_rate), until, market.bar_ms)
        self.bar_ms = market.bar_ms
        self.ts: list[int] = market.ts.tolist()
        prices = (market.open, market.high, market.low, market.close)
        self.bars = [Bar(*row) for row in zip(self.ts, *(column.tolist() for column in prices), strict=True)]
        if detail is not None:
            self.bars = detailed(self.bars, market, detail)
        self._carried: dict[int, list[Settlement]] = {}
        self._inside: dict[int, list[Settlement]] = {}
        columns = (funding.ts, funding.rate, funding.assumed)
        for settlement in map(Settlement, *(column.tolist() for column in columns)):
            self._enter(settlement)

    def _enter(self, settlement: Settlement) -> None:
        row = bisect_left(self.ts, settlement.ts)
        if row and settlement.ts < self.ts[row - 1] + self.bar_ms:
            self._inside.setdefault(row - 1, []).append(settlement)
        else:
            self._carried.setdefault(row, []).append(settlement)

    def last(self, ts: int) -> int:
        """Row of the last bar known once the one that opened at `ts` has closed; the first where none is."""
        return max(bisect_right(self.ts, ts) - 1, 0)

    def carried(self, row: int) -> Sequence[Settlement]:
        """Settlements after the last bar's own span, up to the row's open."""
        return self._carried.get(row, ())

    def inside(self, row: int) -> Sequence[Settlement]:
        """Settlements strictly within the row's bar."""
        return self._inside.get(row, ())


def detailed(bars: Sequence[Bar], market: Market, detail: Market) -> list[Bar]:
    """Bars with the shorter ones inside them."""
    offsets, lower = bars_inside(market, detail)
    columns = (lower.ts, lower.open, lower.high, lower.low, lower.close)
    parts = [Bar(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    edges = offsets.tolist()
    return [bar._replace(inside=tuple(parts[first:end])) for bar, first, end in zip(bars, edges, edges[1:], strict=False)]


class SimulatedExecutor:
    """Fills orders on stored bars; keeps `core.ports.Executor`.

    Args:
        owner: the trader's id.
        account: to start from, with levels and arming.
        working: orders that were intended and not yet filled.
        markets: by symbol; instruments, costs, leverage: as in MatchingEngine.
        applied_ts: open of the last bar that `account` already contains; polling it or an earlier one changes nothing.
        details: by symbol, shorter bars that decide what came first within a bar.
    """

    def __init__(
        self,
        owner: str,
        account: Account,
        working: Iterable[Order],
        markets: Mapping[str, Market],
        instruments: Mapping[str, Instrument],
        costs: Costs,
        leverage: float,
        applied_ts: int = -1,
        details: Mapping[str, Market] | None = None,
    ) -> None:
        self.engine = MatchingEngine(owner, account, instruments, costs, leverage)
        self.tapes = {symbol: Tape(market, (details or {}).get(symbol)) for symbol, market in sorted(markets.items())}
        self.bar_ms = next(iter(self.tapes.values())).bar_ms
        self.applied_ts = applied_ts
        for order in working:
            self.engine.submit(order)

    def account(self) -> Account:
        """As of the last poll."""
        return self.engine.account

    def poll(self, ts: int) -> Booking:
        """Apply the bars that opened at `ts`, symbols in the order of their names; a symbol whose bar is missing is left as it is."""
        out, prices = Happened.nothing(), {}
        for symbol, tape in self.tapes.items():
            row = tape.last(ts)
            bar = tape.bars[row]
            if bar.ts == ts > self.applied_ts and self.engine.engaged(symbol):
                merge(out, self.engine.advance(symbol, bar, tape.carried(row), tape.inside(row)))
            prices[symbol] = bar.close
        self.applied_ts = max(self.applied_ts, ts)
        account = self.engine.account
        return Booking(
            ts,
            ts + self.bar_ms,
            account,
            account.equity(prices),
            prices,
            tuple(out.fills),
            tuple(out.payments),
            tuple(out.exits),
            tuple(out.events),
        )

    def submit(self, order: Order) -> OrderEvent:
        """Accept an order for the next open."""
        return self.engine.submit(order)

    def hold(self, symbol: str, position: Position) -> None:
        """Keep the position with these levels and this arming."""
        self.engine.account = self.engine.account.put(symbol, position)


def merge(into: Happened, more: Happened) -> None:
    """Append what happened to one symbol to what happened in the bar."""
    into.fills += more.fills
    into.payments += more.payments
    into.exits += more.exits
    into.events += more.events
