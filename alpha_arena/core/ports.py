"""What the stages ask of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from alpha_arena.core.market import Market, View
from alpha_arena.core.records import Booking, Decision, OrderEvent
from alpha_arena.core.types import Account, Candles, Funding, Order, Position, Regimes, RiskState, Signals, Target


class Clock(Protocol):
    """Where time comes from."""

    def now_ms(self) -> int:
        """Now, ms since the epoch, UTC."""


class Strategy(Protocol):
    """A rule over arrays.

    Attributes:
        lookback: bars before the first row whose signal equals that on any longer history; 0 where all history matters.
        max_position: margin as a fraction of equity at full size. max_leverage: notional / margin.
    """

    @property
    def lookback(self) -> int: ...
    @property
    def max_position(self) -> float: ...
    @property
    def max_leverage(self) -> float: ...

    def signals(self, market: Market) -> Signals:
        """Causal: row t is unchanged by any later row."""


class RegimeModel(Protocol):
    """Classifies each bar."""

    def classify(self, market: Market) -> Regimes:
        """Causal: row t is unchanged by any later row."""


class Decider(Protocol):
    """Turns what is known at a close into targets."""

    @property
    def leverage(self) -> float:
        """Leverage of the positions: the largest max_leverage of its strategies."""

    def decide(self, view: View) -> Mapping[str, Target]:
        """A target for each symbol in view.t."""


class RiskRule(Protocol):
    """Limits a target: it only ever shrinks the exposure, never flips its sign, and says why."""

    def limit(self, target: Target, symbol: str, view: View) -> Target:
        """The target itself where nothing is wrong, else a smaller one with `why`."""


class Executor(Protocol):
    """Where orders go."""

    def account(self) -> Account:
        """As of the last poll."""

    def poll(self, ts: int) -> Booking:
        """What happened in the bars that opened at `ts`; the account after it is in the booking."""

    def submit(self, order: Order) -> OrderEvent:
        """Send an order; idempotent by its id."""

    def hold(self, symbol: str, position: Position) -> None:
        """Keep the held position with these levels and this arming from the next bar on; quantity and entry are unchanged."""


class Store(Protocol):
    """The memory of one trader; `intend` and `book` are a transaction each."""

    def risk(self, ts: int) -> RiskState:
        """What risk rules remember, for a decision at close `ts`."""

    def intend(self, decisions: Sequence[Decision], orders: Sequence[Order], positions: Mapping[str, Position]) -> None:
        """Record what was decided, what is about to be sent, and the held positions (by symbol) with their new levels and arming.

        Raises:
            AlreadyDecided: the bar has a decision of this trader.
        """

    def event(self, event: OrderEvent) -> None:
        """Append to an order's life."""

    def book(self, booking: Booking) -> None:
        """Record fills, payments and the account after a bar; a bar that is booked already changes nothing."""

    def halt(self, ts: int, reason: str) -> None:
        """Latch a halt until it is acknowledged."""


class CandleSource(Protocol):
    """An exchange, file or generator of market data."""

    @property
    def name(self) -> str: ...

    def candles(self, symbol: str, timeframe: str, start_ms: int, end_ms: int) -> Candles:
        """Closed bars with start <= ts < end, in ascending order; may be fewer than asked when a page is full: ask again from the last."""

    def funding(self, symbol: str, start_ms: int, end_ms: int) -> Funding:
        """Settlements with start <= ts < end."""
