"""What the stages ask of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from alpha_arena.core.market import Market, View
from alpha_arena.core.outcomes import Outcome
from alpha_arena.core.records import Booking, Decision, OrderEvent
from alpha_arena.core.types import Account, Bools, Candles, Floats, Funding, Order, Position, Regimes, RiskState, Signals, Target
from alpha_arena.core.walk import Walk


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
    """Limits a target: it only ever shrinks the exposure, never flips its sign, and says why.

    A rule that is a TargetRule or a PathRule as well lets a backtest be simulated over whole arrays; any other is run bar by bar.
    """

    def limit(self, target: Target, symbol: str, view: View) -> Target:
        """The target itself where nothing is wrong, else a smaller one with `why`."""


@runtime_checkable
class TargetRule(Protocol):
    """A risk rule that looks at target and close alone, so that whole arrays can be limited before they are traded."""

    def over(self, signals: Signals, close: Floats) -> Signals:
        """`limit` on every row, to the bit; arrays of shape [T]."""


@runtime_checkable
class PathRule(Protocol):
    """A risk rule that looks at the account, and can say afterwards where it would have interfered."""

    def binds(self, signals: Signals, walk: Walk) -> Bools:
        """Closes at which `limit` would have changed the target on this path; too many are no harm, one too few is. Shape [T].

        Args:
            signals: at the walk's closes, after the rules before this one.
        """


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

    def outcomes(self, ts: int, most: int) -> Sequence[Outcome]:
        """The newest `most` outcomes that had ended by a time, oldest first."""

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
