"""The simulated executor: stored bars in, fills out, through the matching engine."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping

from alpha_arena.core.costs import Costs
from alpha_arena.core.funding import complete
from alpha_arena.core.market import Market
from alpha_arena.core.records import Booking, OrderEvent
from alpha_arena.core.types import Account, Funding, Instrument, Order, Position
from alpha_arena.exchange.matching import Bar, Happened, MatchingEngine, Settlement


class Tape:
    """A market as the matching engine reads it: bars by row, settlements by time.

    Args:
        market: closed bars with funding; unknown settlements are completed up to the last close.
    """

    def __init__(self, market: Market) -> None:
        until = int(market.ts[-1]) + market.bar_ms if len(market) else 0
        funding = complete(Funding(market.funding_ts, market.funding_rate), until, market.bar_ms)
        self.bar_ms = market.bar_ms
        self.ts: list[int] = market.ts.tolist()
        columns = (market.open, market.high, market.low, market.close)
        self.bars = [Bar(*row) for row in zip(self.ts, *(column.tolist() for column in columns), strict=True)]
        self.funding_ts: list[int] = funding.ts.tolist()
        self.settlements = [Settlement(*s) for s in zip(self.funding_ts, funding.rate.tolist(), funding.assumed.tolist(), strict=True)]

    def row(self, ts: int) -> int | None:
        """Row of the bar that opened at `ts`, None where it is missing."""
        row = bisect_left(self.ts, ts)
        return row if row < len(self.ts) and self.ts[row] == ts else None

    def carried(self, row: int) -> list[Settlement]:
        """Settlements after the last bar's own span, up to the row's open."""
        start = self.ts[row - 1] + self.bar_ms if row else 0
        return self.settlements[bisect_left(self.funding_ts, start) : bisect_right(self.funding_ts, self.ts[row])]

    def inside(self, row: int) -> list[Settlement]:
        """Settlements strictly within the row's bar."""
        ts = self.ts[row]
        return self.settlements[bisect_right(self.funding_ts, ts) : bisect_left(self.funding_ts, ts + self.bar_ms)]

    def close(self, ts: int) -> float:
        """Last close known once the bar that opened at `ts` has closed."""
        return self.bars[max(bisect_right(self.ts, ts) - 1, 0)].close


class SimulatedExecutor:
    """Fills orders on stored bars; keeps `core.ports.Executor`.

    Args:
        owner: the trader's id.
        account: to start from, with levels and arming.
        working: orders that were intended and not yet filled.
        markets: by symbol; instruments, costs, leverage: as in MatchingEngine.
        applied_ts: open of the last bar that `account` already contains; polling it or an earlier one changes nothing.
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
    ) -> None:
        self.engine = MatchingEngine(owner, account, instruments, costs, leverage)
        self.tapes = {symbol: Tape(market) for symbol, market in sorted(markets.items())}
        self.bar_ms = next(iter(self.tapes.values())).bar_ms
        self.applied_ts = applied_ts
        for order in working:
            self.engine.submit(order)

    def account(self) -> Account:
        """As of the last poll."""
        return self.engine.account

    def poll(self, ts: int) -> Booking:
        """Apply the bars that opened at `ts`, symbols in the order of their names; a symbol whose bar is missing is left as it is."""
        out = Happened.nothing()
        for symbol, tape in self.tapes.items():
            row = tape.row(ts)
            if row is not None and ts > self.applied_ts:
                merge(out, self.engine.advance(symbol, tape.bars[row], tape.carried(row), tape.inside(row)))
        prices = {symbol: tape.close(ts) for symbol, tape in self.tapes.items()}
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
