"""What goes into and comes out of the compiled loop: tuples of arrays and numbers. Quantities are whole lots, rows count from 0."""

from __future__ import annotations

from typing import NamedTuple

from alpha_arena.core.types import Bools, Floats, Ints


class Rules(NamedTuple):
    """Costs and limits; fractions of notional or price unless the name says otherwise. fixed_equity: sizes positions; 0: the account's."""

    taker_fee: float
    maker_fee: float
    slippage: float
    stop_slippage: float
    lot: float
    min_notional: float
    diff_threshold: float
    diff_fraction: float
    maintenance_margin: float
    leverage: float
    fixed_equity: float
    tick: float
    rearm_bars: int
    bar_ms: int


class Bars(NamedTuple):
    """Traded bars; mark_* are what liquidation looks at; shape [T]."""

    ts: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    mark_open: Floats
    mark_high: Floats
    mark_low: Floats


class Detail(NamedTuple):
    """Bars of a lower timeframe: those inside row t are first[t] <= i < first[t + 1]; all empty where there are none."""

    first: Ints
    open: Floats
    high: Floats
    low: Floats


class Wishes(NamedTuple):
    """Targets decided at each close; `forced`: a risk rule demands the reduction; shape [T]."""

    exposure: Floats
    stop: Floats
    take: Floats
    forced: Bools


class Bar(NamedTuple):
    """One row of Bars."""

    row: int
    open: float
    high: float
    low: float
    close: float
    mark_open: float
    mark_high: float
    mark_low: float


class Wish(NamedTuple):
    """One row of Wishes."""

    exposure: float
    stop: float
    take: float
    forced: bool


class Placed(NamedTuple):
    """The last levels that were put on the tick grid: as the strategy gave them, whether they lay below the close, and on the grid."""

    raw_stop: float
    raw_take: float
    stop_below: bool
    take_below: bool
    stop: float
    take: float


class Ordered(NamedTuple):
    """An order decided at a close, with the levels that a position opened by it gets."""

    lots: int
    stop: float
    take: float


class Settlements(NamedTuple):
    """Funding in ascending order; `assumed`: the rate was not known."""

    ts: Ints
    rate: Floats
    assumed: Bools


class Shut(NamedTuple):
    """Rows of the protective exits that have disarmed the long and the short side; -1: armed."""

    long: int
    short: int


class State(NamedTuple):
    """An account with one position; entry is NaN while flat, stop and take where there is none."""

    cash: float
    lots: int
    entry: float
    stop: float
    take: float
    shut: Shut


class Done(NamedTuple):
    """A fill: signed lots (0: there was none), what it cost, why."""

    lots: int
    price: float
    fee: float
    reason: int


class Log(NamedTuple):
    """Fills in the order in which they happened; only the first used[0] are filled in."""

    row: Ints
    lots: Ints
    price: Floats
    fee: Floats
    reason: Ints
    used: Ints


class Path(NamedTuple):
    """At each close: equity, lots held and lots ordered; funding paid at the bar's open and inside it (positive: paid). assumed[0] counts
    payments whose rate was not known."""

    equity: Floats
    lots: Ints
    paid_open: Floats
    paid_inside: Floats
    orders: Ints
    assumed: Ints


class Exit(NamedTuple):
    """A protective exit: reason NOTHING if there is none."""

    reason: int
    price: float
    fee_rate: float


class Trips(NamedTuple):
    """Closed trades, one element each, in the order of their exits; rows of the first and the last fill; money in quote currency."""

    entry_row: Ints
    exit_row: Ints
    side: Ints
    lots: Ints
    entry_price: Floats
    exit_price: Floats
    fees: Floats
    funding: Floats
    gross: Floats
    reason: Ints


TALLIED = (
    "final_equity",
    "peak_equity",
    "max_drawdown",
    "sum",
    "squares",
    "cubes",
    "fourths",
    "bars_held",
    "trades",
    "wins",
    "won",
    "lost",
    "stopped",
    "fees",
    "funding",
    "traded",
    "orders",
)


class Sums(NamedTuple):
    """A history in sums, for searches that keep no path.

    Attributes:
        figures: in the order of TALLIED. sum, squares, cubes, fourths: of the bars' returns; won, lost: of closed trades, net, quote
            currency; stopped: trades ended by a stop or liquidation; traded: notional, each way; money in quote currency.
        sums, squares: of returns and their squares over equal blocks of bars, rows beyond them left out at the end.
        assumed: one element, payments whose rate was not known.
    """

    figures: Floats
    sums: Floats
    squares: Floats
    assumed: Ints


class Holding(NamedTuple):
    """The round trip that is open: lots held, their entry price, what it has earned so far net of costs."""

    lots: int
    entry: float
    pnl: float


class Moments(NamedTuple):
    """What is summed up bar by bar: the returns' moments about 0, the peak of equity, its deepest fall (trough below summit), and the sums
    of returns and their squares in the present block."""

    sum: float
    squares: float
    cubes: float
    fourths: float
    peak: float
    trough: float
    summit: float
    blocked: float
    block_squares: float


class Counts(NamedTuple):
    """What fills and settlements add up to; money in quote currency. won, lost: of closed trades, net."""

    fees: float
    traded: float
    trades: int
    wins: int
    won: float
    lost: float
    stopped: int
    paid: float
    assumed: int
