"""The values that travel between the stages. All are frozen; arrays in them are read-only and share one length T.

Time is ms since the epoch, UTC. `ts` of a bar is its open; what the bar says is known from `ts + bar_ms` on. Quantities are signed and in
base currency, prices in quote currency per base unit, rates and exposures are fractions (exposure: signed notional / equity).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from math import nan
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from alpha_arena.core.advice import Advice

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

REGIMES = ("STRONG_TREND", "WEAK_TREND", "RANGE", "BREAKOUT", "HIGH_VOLATILITY", "LOW_VOLATILITY")
UNKNOWN_REGIME = "UNKNOWN"
NAMES = (*REGIMES, UNKNOWN_REGIME)


def frozen_array(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """A read-only view."""
    view = values.view()
    view.setflags(write=False)
    return view


@dataclass(frozen=True, slots=True)
class Candles:
    """Closed bars in ascending order: ts in ms, prices in quote, volume in base currency, each of shape [T]."""

    ts: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, frozen_array(getattr(self, item.name)))

    def __len__(self) -> int:
        return int(self.ts.size)

    def __getitem__(self, rows: slice | Ints | Bools) -> Candles:
        return Candles(*(getattr(self, item.name)[rows] for item in fields(self)))

    @classmethod
    def empty(cls) -> Candles:
        """No bars."""
        return cls(np.empty(0, np.int64), *(np.empty(0) for _ in range(5)))


@dataclass(frozen=True, slots=True)
class Funding:
    """Settled funding: ts in ms floored to the minute, ascending; rate as a fraction for that interval (positive: longs pay)."""

    ts: Ints
    rate: Floats

    @classmethod
    def none(cls) -> Funding:
        """No settlements are known."""
        return cls(np.empty(0, np.int64), np.empty(0))


@dataclass(frozen=True, slots=True)
class Instrument:
    """Contract rules of a perpetual swap.

    Attributes:
        lot: smallest quantity step, base currency.
        tick: smallest price step, quote currency.
        contract_size: base currency in one contract.
        max_leverage: the exchange's limit.
        as_of: date of these rules, YYYY-MM-DD.
    """

    symbol: str
    lot: float
    tick: float
    contract_size: float
    max_leverage: float
    as_of: str


@dataclass(frozen=True, slots=True)
class Share:
    """One strategy's part in a combined target.

    Attributes:
        weight: fraction of the whole; the weights of a target sum to 1 where any share has weight.
        exposure: the strategy's own exposure before weighting; where a model sizes the position, the part of it given to the strategy.
        regime_score, performance_score: parts of a portfolio decision's score, NaN elsewhere.
    """

    strategy_id: str
    weight: float
    exposure: float
    reasoning: str = ""
    regime_score: float = nan
    performance_score: float = nan


@dataclass(frozen=True, slots=True)
class Target:
    """What a decider wants for a symbol.

    Attributes:
        exposure: signed notional / equity.
        stop, take: absolute prices; NaN is "none" at entry and "keep" while held.
        confidence: 0 to 1.
        why: the reason in one sentence.
        forced: a risk rule demands the reduction, so that thresholds do not apply.
        shares: the strategies behind it.
        advice: what a model had to do with it, None where none is consulted.
    """

    exposure: float
    stop: float = nan
    take: float = nan
    confidence: float = 1.0
    why: str = ""
    forced: bool = False
    shares: tuple[Share, ...] = ()
    advice: Advice | None = None

    def with_levels(self, stop: float, take: float) -> Target:
        """The same wish with other levels."""
        return Target(self.exposure, stop, take, self.confidence, self.why, self.forced, self.shares, self.advice)


@dataclass(frozen=True, slots=True)
class Signals:
    """A strategy's wishes, one row a bar, decided at that bar's close: exposure, stop, take (NaN: none), confidence; shape [T]."""

    exposure: Floats
    stop: Floats
    take: Floats
    confidence: Floats

    def __post_init__(self) -> None:
        for item in fields(self):
            object.__setattr__(self, item.name, frozen_array(getattr(self, item.name)))

    def at(self, t: int, why: str = "", shares: tuple[Share, ...] = ()) -> Target:
        """The wish at row t."""
        return Target(self.exposure.item(t), self.stop.item(t), self.take.item(t), self.confidence.item(t), why, shares=shares)

    def rows(self, start: int = 0, stop: int | None = None) -> Signals:
        """The wishes of rows `start` up to `stop`."""
        return Signals(*(getattr(self, item.name)[start:stop] for item in fields(self)))


@dataclass(frozen=True, slots=True)
class Regimes:
    """Market regime and the indicators behind it, one row a bar, shape [T]; NaN where not yet defined.

    Attributes:
        code: index into REGIMES, -1 while unknown.
        adx: 0 to 100. bb_width: fraction of price. atr_percentile: 0 to 1. efficiency: 0 to 1. volume_trend: slope of log volume per bar.
    """

    code: NDArray[np.int8]
    adx: Floats
    bb_width: Floats
    atr_percentile: Floats
    efficiency: Floats
    volume_trend: Floats

    def name(self, t: int) -> str:
        """The regime's name at row t."""
        return NAMES[self.code[t]]

    def names(self, first: int, end: int) -> tuple[str, ...]:
        """The regimes' names on rows first <= row < end."""
        return tuple([NAMES[code] for code in self.code[first:end].tolist()])


@dataclass(frozen=True, slots=True)
class Position:
    """A symbol's holding and what protects it.

    Attributes:
        quantity: signed, base currency, whole lots.
        entry: average entry price, NaN while flat.
        stop, take: held levels, NaN for none.
        disarmed: sign of the side that a protective exit has closed to new targets, BOTH_SIDES where one bar closed both, 0 for none.
        disarmed_ts: ts of the bar of that exit.
    """

    quantity: float = 0.0
    entry: float = nan
    stop: float = nan
    take: float = nan
    disarmed: int = 0
    disarmed_ts: int = 0

    @property
    def side(self) -> int:
        """+1 long, -1 short, 0 flat."""
        return (self.quantity > 0) - (self.quantity < 0)

    def with_levels(self, stop: float, take: float) -> Position:
        """The same holding with other levels; itself where they are its own."""
        if stop == self.stop and take == self.take:
            return self
        return Position(self.quantity, self.entry, stop, take, self.disarmed, self.disarmed_ts)


FLAT = Position()
BOTH_SIDES = 2


@dataclass(frozen=True, slots=True)
class Account:
    """Cash (realised equity, quote currency) and positions by symbol."""

    cash: float
    positions: Mapping[str, Position] = field(default_factory=dict)

    def position(self, symbol: str) -> Position:
        """The symbol's position, flat if there is none."""
        return self.positions.get(symbol, FLAT)

    def equity(self, prices: Mapping[str, float]) -> float:
        """Cash and unrealised profit at the given prices, quote currency."""
        unrealised = 0.0
        for symbol, held in self.positions.items():
            if held.quantity:
                unrealised += held.quantity * (prices[symbol] - held.entry)
        return self.cash + unrealised

    def put(self, symbol: str, position: Position, cash: float | None = None) -> Account:
        """An account with this position (and cash); itself where it is so already."""
        if cash is None and self.positions.get(symbol) is position:
            return self
        return Account(self.cash if cash is None else cash, {**self.positions, symbol: position})


@dataclass(frozen=True, slots=True)
class Order:
    """An order, signed quantity in base currency.

    Attributes:
        id: client order id, at most 32 letters and digits, derived from the decision.
        kind: "market", or "stop", "take" for the protective exits that the engine itself makes.
        price: limit or trigger price, NaN for market.
        stop, take: levels that a position opened by it gets.
        reduce_only: it may only close.
    """

    id: str
    symbol: str
    quantity: float
    kind: str = "market"
    price: float = nan
    stop: float = nan
    take: float = nan
    reduce_only: bool = False


@dataclass(frozen=True, slots=True)
class Fill:
    """An execution. ts: open of the bar in which it happened; quantity signed, base; fee in quote, positive when paid.

    `reason` is signal, stop, take, liquidation or external (not this trader's order). `trade_id` is unique on its exchange.
    """

    trade_id: str
    order_id: str
    ts: int
    symbol: str
    quantity: float
    price: float
    fee: float
    reason: str = "signal"


@dataclass(frozen=True, slots=True)
class Payment:
    """A change of cash that is no execution. amount in quote, positive when received.

    Attributes:
        rate: of funding, NaN where the exchange does not say it; `assumed` where it was not known.
        kind: funding; transfer, penalty (liquidation), rounding or external (not made by this trader).
        bill_id: the exchange's, "" where the payment was computed.
    """

    ts: int
    symbol: str
    amount: float
    rate: float
    assumed: bool = False
    kind: str = "funding"
    bill_id: str = ""


RUINED = "the account's equity was gone at a close"


@dataclass(frozen=True, slots=True)
class Switches:
    """What people have told a trader; times in ms UTC by the market's clock, 0 for always.

    Attributes:
        killed: policy of the kill switch, "" where it is off: hold keeps positions with their protection, flatten closes them.
        reason: of the kill switch. paused: why entries are paused, "" where they are not.
        close_ms: when its positions were asked to be closed, None where they were not.
        killed_ms, paused_ms: since when.
    """

    killed: Literal["hold", "flatten", ""] = ""
    reason: str = ""
    paused: str = ""
    close_ms: int | None = None
    killed_ms: int = 0
    paused_ms: int = 0

    @property
    def no_entries(self) -> str:
        """Why nothing may be opened, "" where it may."""
        if self.killed:
            return f"the kill switch is on ({self.reason})" if self.reason else "the kill switch is on"
        return f"entries are paused ({self.paused})" if self.paused else ""


@dataclass(frozen=True, slots=True)
class RiskState:
    """What risk rules remember of the account's past, and what people have told it.

    Attributes:
        peak_equity: highest equity at any close, quote currency.
        halted: reason of a latched halt, "" for none; RUINED once equity was gone at a close.
        orders_today: orders since 00:00 UTC of the decision's day.
        last_stop_ts: ts of the last stop or liquidation by symbol.
        told: the switches as they stand.
    """

    peak_equity: float
    halted: str = ""
    orders_today: int = 0
    last_stop_ts: Mapping[str, int] = field(default_factory=dict)
    told: Switches = Switches()


__all__ = [
    "BOTH_SIDES",
    "FLAT",
    "REGIMES",
    "RUINED",
    "UNKNOWN_REGIME",
    "Account",
    "Candles",
    "Fill",
    "Floats",
    "Funding",
    "Instrument",
    "Ints",
    "Order",
    "Payment",
    "Position",
    "Regimes",
    "RiskState",
    "Share",
    "Signals",
    "Switches",
    "Target",
    "frozen_array",
    "replace",
]
