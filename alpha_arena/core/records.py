"""What is remembered of a cycle: decisions, orders' lives, bookings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from alpha_arena.core.types import Account, Fill, Order, Payment, Target

# SENT: on its way; UNKNOWN: no clear answer; PARTIAL: some of it filled, or filled and not all of it booked yet
OPEN_STATES = ("INTENT", "SENT", "UNKNOWN", "WORKING", "PARTIAL")
FINAL_STATES = ("FILLED", "LAPSED", "REJECTED", "CANCELLED", "EXPIRED")
# changes of cash that are no execution: each is a bill of its own
PAYMENT_KINDS = ("funding", "transfer", "penalty", "rounding", "external")
# fills with these reasons close their side to new targets for a while
PROTECTIVE_REASONS = ("stop", "take", "liquidation")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A risk rule limited a target. rule: its class name; reason: value, limit and unit in one sentence."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class RegimeContext:
    """Regime at a decision: the present name, the last five (oldest first, the present one last), the indicators' values."""

    current: str
    history: tuple[str, ...] = ()
    indicators: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """One trader's decision for one symbol and bar.

    Attributes:
        bar_ts: open of the bar at whose close it was made; ts: that close.
        wanted: the decider's target; target: what risk rules left of it.
        equity, price: at the close, quote currency.
        catch_up: made over a bar that was already past.
        decider: its name, e.g. "single"; config_hash: of the trader's resolved configuration.
    """

    trader: str
    symbol: str
    timeframe: str
    bar_ts: int
    ts: int
    decider: str
    wanted: Target
    target: Target
    refusals: tuple[Refusal, ...]
    regime: RegimeContext
    equity: float
    price: float
    config_hash: str = ""
    catch_up: bool = False


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """A step in an order's life. state: one of OPEN_STATES or FINAL_STATES; cause: why, in words."""

    order_id: str
    ts: int
    state: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Booking:
    """What one bar did to an account.

    Attributes:
        ts: the bar's open; close_ts: its close, where `equity` (quote) is marked at `prices`.
        exits: protective orders that the engine itself made, in the order of their fills.
        events: steps of orders' lives, from working to final.
        account: after it.
    """

    ts: int
    close_ts: int
    account: Account
    equity: float
    prices: Mapping[str, float]
    fills: tuple[Fill, ...] = ()
    payments: tuple[Payment, ...] = ()
    exits: tuple[Order, ...] = ()
    events: tuple[OrderEvent, ...] = ()
