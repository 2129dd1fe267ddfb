"""Round trips: trades from flat to flat (or to the other side), as a result lists them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from alpha_arena.core.accounting import fill_position, realised
from alpha_arena.core.types import Fill, Payment, Position


@dataclass(frozen=True, slots=True)
class Trade:
    """A closed round trip (specs: simulation, "What a run leaves").

    Attributes:
        entry_ts, exit_ts: opens of the bars of its first and last fill.
        side: "long" or "short". quantity: the largest held, base currency.
        entry_price: average; exit_price: volume-weighted over the closing fills.
        fees, funding: quote currency, positive when paid. pnl: net of both.
        return_: pnl / equity at the close that decided the entry.
        bars_held: rows between entry and exit. exit_reason: signal, stop, take or liquidation.
    """

    symbol: str
    entry_ts: int
    exit_ts: int
    side: str
    quantity: float
    entry_price: float
    exit_price: float
    fees: float
    funding: float
    pnl: float
    return_: float
    bars_held: int
    exit_reason: str


@dataclass(slots=True)
class OpenTrade:
    """A round trip while it runs; `gross` is the profit realised so far before costs, quote currency."""

    symbol: str
    entry_ts: int
    position: Position = field(default_factory=Position)
    largest: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    gross: float = 0.0
    closed: float = 0.0
    closed_worth: float = 0.0
    entry_price: float = 0.0

    def take(self, fill: Fill) -> None:
        """Book a fill that opens, adds to, reduces or closes this trade (never one that crosses zero)."""
        gross = realised(self.position, fill)
        if self.position.quantity * fill.quantity < 0:
            self.closed += abs(fill.quantity)
            self.closed_worth += abs(fill.quantity) * fill.price
        self.gross += gross
        self.fees += fill.fee
        self.position = fill_position(self.position, fill)
        self.largest = max(self.largest, abs(self.position.quantity))
        self.entry_price = self.position.entry if self.position.quantity else self.entry_price

    def close(self, fill: Fill, side: int, equity: float, bars_held: int) -> Trade:
        """The finished trade; `fill` closed it."""
        pnl = self.gross - self.fees - self.funding
        return Trade(
            symbol=self.symbol,
            entry_ts=self.entry_ts,
            exit_ts=fill.ts,
            side="long" if side > 0 else "short",
            quantity=self.largest,
            entry_price=self.entry_price,
            exit_price=self.closed_worth / self.closed,
            fees=self.fees,
            funding=self.funding,
            pnl=pnl,
            return_=pnl / equity,
            bars_held=bars_held,
            exit_reason=fill.reason,
        )


def round_trips(
    events: Iterable[Fill | Payment], rows: Mapping[int, int], equity: Sequence[float], initial: float
) -> tuple[list[Trade], dict[str, OpenTrade]]:
    """Closed trades in the order of their exits, and those still open by symbol.

    Args:
        events: fills and payments in the order in which they were booked; a fill never crosses zero.
        rows: row of each bar by its open.
        equity: at each row's close, quote currency; initial: before the first row.
    """
    open_: dict[str, OpenTrade] = {}
    return list(_closed(events, open_, rows, equity, initial)), open_


def _closed(
    events: Iterable[Fill | Payment], open_: dict[str, OpenTrade], rows: Mapping[int, int], equity: Sequence[float], initial: float
) -> Iterator[Trade]:
    for event in events:
        if isinstance(event, Payment):
            # a live position may be closed in the bar of a settlement that it still paid: its trade is over by then
            if event.symbol in open_:
                open_[event.symbol].funding -= event.amount
            continue
        trade = open_.setdefault(event.symbol, OpenTrade(event.symbol, event.ts))
        side = trade.position.side
        trade.take(event)
        if not trade.position.quantity:
            entry, exit_ = rows[trade.entry_ts], rows[event.ts]
            yield open_.pop(event.symbol).close(event, side, equity[entry - 1] if entry else initial, exit_ - entry)
