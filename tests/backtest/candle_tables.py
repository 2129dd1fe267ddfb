"""Small candle tables with what must come of them: one case for each sentence of the rules of a simulated trade.

Prices are (open, high, low, close); FLAT is a bar on which nothing moves at 100. Costs are 0 and a held size is not adjusted unless the
case says so. Expected numbers are worked out by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any

import numpy as np

from alpha_arena.core.costs import Costs
from alpha_arena.core.market import Market
from alpha_arena.core.types import Candles, Floats, Funding, Instrument, Signals

HOUR = 3_600_000
T0 = 1_700_006_400_000
FREE = {
    "taker_fee": 0.0,
    "maker_fee": 0.0,
    "slippage": 0.0,
    "stop_slippage": 0.0,
    "min_notional": 0.0,
    "diff_threshold": 1e6,
    "diff_fraction": 0.0,
    "maintenance_margin": 0.004,
    "rearm_bars": 24,
}
Bar = tuple[float, float, float, float]
FLAT: Bar = (100, 100, 100, 100)


@dataclass(frozen=True)
class Case:
    """A table and its outcome.

    Attributes:
        bars: (open, high, low, close) of each row. hours: opens of the bars, 0, 1, 2 ... by default.
        exposure: target at each close. stop, take: rows of levels that are not NaN. forced: rows at which the reduction is demanded.
        funding: (hour, rate). mark: rows on which the mark price differs from the traded one.
        detail: the shorter bars inside rows, one after the other; a None is missing.
        costs: what differs from FREE. fixed: equity that sizes positions, None for the account's own.
        trades: expected closed trades, in order; only the keys given are compared.
        equity, quantity: expected at rows. assumed: payments at an assumed rate.
    """

    name: str
    bars: Sequence[Bar]
    exposure: Sequence[float]
    trades: Sequence[Mapping[str, Any]] = ()
    equity: Mapping[int, float] = field(default_factory=dict)
    quantity: Mapping[int, float] = field(default_factory=dict)
    stop: Mapping[int, float] = field(default_factory=dict)
    take: Mapping[int, float] = field(default_factory=dict)
    forced: Sequence[int] = ()
    funding: Sequence[tuple[float, float]] = ()
    hours: Sequence[int] = ()
    mark: Mapping[int, Bar] = field(default_factory=dict)
    detail: Mapping[int, Sequence[Bar | None]] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    leverage: float = 2.0
    capital: float = 1000.0
    lot: float = 0.01
    assumed: int = 0
    fixed: float | None = None

    @property
    def rows(self) -> int:
        """Number of bars."""
        return len(self.bars)

    @property
    def market(self) -> Market:
        """Bars and settlements."""
        settled = Funding(np.array([T0 + int(h * HOUR) for h, _ in self.funding], np.int64), np.array([r for _, r in self.funding]))
        return Market.of("BTC/USDT:USDT", HOUR, self.candles(dict(enumerate(self.bars))), settled)

    @property
    def marks(self) -> Candles | None:
        """Bars of the mark price, if it is given."""
        return self.candles({**dict(enumerate(self.bars)), **self.mark}) if self.mark else None

    @property
    def details(self) -> Market | None:
        """Shorter bars, a quarter of an hour each, if any are given."""
        given = [(T0 + row * HOUR + part * HOUR // 4, *bar) for row, bars in self.detail.items() for part, bar in enumerate(bars) if bar]
        ts, *prices = np.array(given, float).reshape(-1, 5).T
        candles = Candles(ts.astype(np.int64), *prices, np.ones(ts.size))
        return Market.of("BTC/USDT:USDT", HOUR // 4, candles) if self.detail else None

    def candles(self, bars: Mapping[int, Bar]) -> Candles:
        """Bars as columns."""
        columns = np.array([bars[row] for row in range(self.rows)], float).T
        hours = np.array(self.hours or range(self.rows), np.int64)
        return Candles(T0 + hours * HOUR, *columns, np.ones(self.rows))

    @property
    def signals(self) -> Signals:
        """Targets and levels as rows."""
        return Signals(np.array(self.exposure, float), self.level(self.stop), self.level(self.take), np.ones(self.rows))

    def level(self, given: Mapping[int, float]) -> Floats:
        """NaN but for the rows given."""
        return np.array([given.get(row, nan) for row in range(self.rows)])

    @property
    def demanded(self) -> np.ndarray:
        """Rows at which a risk rule demands the reduction."""
        return np.isin(np.arange(self.rows), self.forced)

    @property
    def terms(self) -> Costs:
        """Costs and limits."""
        return Costs(**{**FREE, **self.costs})

    @property
    def instrument(self) -> Instrument:
        """With the case's lot."""
        return Instrument("BTC/USDT:USDT", lot=self.lot, tick=0.01, contract_size=1.0, max_leverage=100, as_of="2024-01-01")


def held(bar: Bar, exit_row: Mapping[str, Any] | None, name: str, side: int = 1, stop: float = 95, take: float = 110, **more: Any) -> Case:
    """A position of 5 at 100 (entered in row 1) with both levels, and what a bar in row 2 does to it."""
    size = side * 0.5
    trades = (
        [{"entry_row": 1, "exit_row": 2, "side": "long" if side > 0 else "short", "quantity": 5, "entry_price": 100, **exit_row}]
        if exit_row
        else []
    )
    return Case(
        name,
        bars=[FLAT, FLAT, bar, (bar[3],) * 4],
        exposure=[size, size, size, size],
        stop={0: stop},
        take={0: take},
        trades=trades,
        quantity={1: side * 5, 2: 0 if exit_row else side * 5},
        **more,
    )


def levered(name: str, bar: Bar, trade: Mapping[str, Any] | None, **more: Any) -> Case:
    """One coin at 50,000 with an equity of 100,000 (entered in row 1), and what a bar in row 2 does to it; taker fee 5 bp."""
    side = more.pop("side", 1)
    at = (50_000,) * 4
    trades = [{"exit_row": 2, "quantity": 1, "entry_price": 50_000, **trade}] if trade else []
    more = {"costs": {"taker_fee": 0.0005}, "capital": 100_000, "leverage": 10, **more}
    return Case(name, bars=[at, at, bar, at], exposure=[0.5 * side] * 4, trades=trades, quantity={2: 0 if trade else side}, **more)


ORDERS = [
    Case(
        "an order of the close is filled at the next open",
        bars=[FLAT, (102, 104, 101, 103), (103, 105, 103, 104), (106, 107, 105, 106)],
        exposure=[0.5, 0.5, 0, 0],
        trades=[
            {
                "entry_row": 1,
                "exit_row": 3,
                "side": "long",
                "quantity": 5,
                "entry_price": 102,
                "exit_price": 106,
                "fees": 0,
                "funding": 0,
                "pnl": 20,
                "return": 0.02,
                "bars_held": 2,
                "exit_reason": "signal",
            }
        ],
        equity={0: 1000, 1: 1005, 2: 1010, 3: 1020},
        quantity={0: 0, 1: 5, 2: 5, 3: 0},
    ),
    Case("a signal on the last bar is never filled", bars=[FLAT, FLAT], exposure=[0, 0.5], equity={1: 1000}, quantity={1: 0}),
    Case(
        "a position open at the end is marked at the last close and is no trade",
        bars=[FLAT, (100, 108, 100, 108)],
        exposure=[0.5, 0.5],
        equity={1: 1040},
        quantity={1: 5},
    ),
    Case(
        "market fills pay slippage and the taker fee on each side",
        bars=[FLAT, FLAT, (110, 110, 110, 110)],
        exposure=[0.5, 0, 0],
        costs={"taker_fee": 0.001, "slippage": 0.01},
        trades=[{"entry_price": 101, "exit_price": 108.9, "fees": 0.505 + 0.5445, "pnl": 38.4505, "return": 0.0384505}],
        equity={1: 1000 - 5 - 0.505, 2: 1038.4505},
    ),
    Case(
        "a short earns when the price falls",
        bars=[FLAT, FLAT, (90, 90, 90, 90)],
        exposure=[-0.5, 0, 0],
        costs={"slippage": 0.01},
        trades=[{"side": "short", "entry_price": 99, "exit_price": 90.9, "pnl": 40.5}],
    ),
    Case(
        "a change of sign closes first, then opens",
        bars=[FLAT, FLAT, (110, 110, 110, 110), (100, 100, 100, 100)],
        exposure=[0.5, -0.5, 0, 0],
        trades=[
            {"entry_row": 1, "exit_row": 2, "side": "long", "pnl": 50, "exit_reason": "signal"},
            {"entry_row": 2, "exit_row": 3, "side": "short", "quantity": 5, "entry_price": 110, "pnl": 50, "return": 0.05},
        ],
        quantity={1: 5, 2: -5, 3: 0},
        equity={2: 1050, 3: 1100},
    ),
    Case(
        "an addition averages the entry price",
        bars=[FLAT, FLAT, (110, 110, 110, 110), (120, 120, 120, 120)],
        exposure=[0.5, 1, 0, 0],
        costs={"diff_threshold": 0},
        trades=[{"entry_row": 1, "quantity": 10, "entry_price": 105, "exit_price": 120, "pnl": 150, "return": 0.15}],
        equity={2: 1050},
    ),
    Case(
        "a reduction keeps the entry price, and the exit price is weighted by volume",
        bars=[FLAT, FLAT, (110, 110, 110, 110), (120, 120, 120, 120)],
        exposure=[1, 0.5, 0, 0],
        costs={"diff_threshold": 0},
        trades=[{"quantity": 10, "entry_price": 100, "exit_price": 115, "pnl": 150, "bars_held": 2}],
        quantity={1: 10, 2: 5, 3: 0},
    ),
    Case("quantities are floored to lots", bars=[(300,) * 4] * 2, exposure=[0.5, 0.5], quantity={1: 1.66}),
    Case(
        "a quotient a hair below an integer is that integer",
        bars=[(1,) * 4] * 2,
        exposure=[0.57, 0.57],
        capital=100,
        lot=1,
        quantity={1: 57},
    ),
    Case(
        "what is worth less than min_notional is not bought",
        bars=[FLAT] * 2,
        exposure=[0.04, 0],
        costs={"min_notional": 41},
        quantity={1: 0},
    ),
    Case("what is worth min_notional is bought", bars=[FLAT] * 2, exposure=[0.04, 0], costs={"min_notional": 40}, quantity={1: 0.4}),
    Case(
        "a target below min_notional closes what is held",
        bars=[FLAT] * 3,
        exposure=[0.5, 0.04, 0],
        costs={"min_notional": 41},
        trades=[{"exit_row": 2, "exit_reason": "signal"}],
    ),
    Case("a change below diff_threshold is not ordered", [FLAT] * 3, [0.5, 0.54, 0], quantity={2: 5}, costs={"diff_threshold": 41}),
    Case("a change of diff_threshold is ordered", [FLAT] * 3, [0.5, 0.54, 0], quantity={2: 5.4}, costs={"diff_threshold": 40}),
    Case(
        "a change below diff_fraction of equity is not ordered",
        [FLAT] * 3,
        [0.5, 0.55, 0],
        quantity={2: 5},
        costs={"diff_threshold": 0, "diff_fraction": 0.051},
    ),
    Case(
        "a change below min_notional is not ordered",
        [FLAT] * 3,
        [0.5, 0.54, 0],
        quantity={2: 5},
        costs={"diff_threshold": 0, "min_notional": 41},
    ),
    Case("thresholds do not hold up an exit", [FLAT] * 3, [0.5, 0, 0], [{"exit_row": 2}], quantity={1: 5, 2: 0}),
    Case("a reduction that a risk rule demands is ordered below the threshold", [FLAT] * 3, [0.5, 0.46, 0], quantity={2: 4.6}, forced=[1]),
    Case("a demand does not make an increase", [FLAT] * 3, [0.5, 0.54, 0], quantity={2: 5}, forced=[1]),
    Case("exposure is limited to 0.98 of the leverage", [FLAT] * 2, [5, 5], quantity={1: 19.6}),
    Case("free cash limits what is opened", [FLAT, (110,) * 4], [5, 5], quantity={1: 18.18}),
    Case(
        "free cash pays the fee as well: 1000 / (100 x (0.5 + 0.05))",
        [FLAT, FLAT],
        [5, 5],
        quantity={1: 18.18},
        costs={"taker_fee": 0.05},
    ),
    Case(
        "margin already held limits an addition: (1000 - 500) / 55",
        [FLAT, FLAT, (110,) * 4],
        [1, 5, 5],
        quantity={1: 10, 2: 19.09},
        costs={"diff_threshold": 0},
    ),
    Case("a fixed equity sizes the position", [FLAT] * 2, [0.5, 0.5], quantity={1: 2.5}, fixed=500),
    Case(
        "a fixed equity does not revive an account without any",
        bars=[FLAT, FLAT, (80,) * 4, (80,) * 4, (80,) * 4],
        exposure=[9.8, 0, 0.5, -0.5, 0.5],
        leverage=10,
        trades=[{"pnl": -1960}],
        quantity={3: 0, 4: 0},
        fixed=1000,
    ),
    Case(
        "flat for good also where the last exit brings equity back: 1000 - 1078 + 980",
        bars=[FLAT, FLAT, (110,) * 4, (110,) * 4, (110,) * 4],
        exposure=[9.8, 9.8, 0.5, -0.5, 0.5],
        leverage=10,
        funding=[(1.5, 0.11)],
        trades=[{"quantity": 98, "funding": 1078, "pnl": -98, "exit_reason": "signal"}],
        equity={1: -78, 2: 902, 4: 902},
        quantity={2: 0, 3: 0, 4: 0},
    ),
    Case(
        "without equity the account is flat for good",
        bars=[FLAT, FLAT, (80,) * 4, (80,) * 4, (80,) * 4],
        exposure=[9.8, 0, 0.5, -0.5, 0.5],
        leverage=10,
        trades=[{"quantity": 98, "pnl": -1960, "exit_reason": "signal"}],
        equity={2: -960, 4: -960},
        quantity={3: 0, 4: 0},
    ),
]

LEVELS = [
    held((100, 112, 94, 100), {"exit_price": 95, "exit_reason": "stop", "pnl": -25}, "of a stop and a take in one bar the stop is taken"),
    held((93, 96, 92, 95), {"exit_price": 93, "exit_reason": "stop"}, "an open beyond the stop is the stop's price"),
    held((95, 96, 95, 95), {"exit_price": 95, "exit_reason": "stop"}, "an open at the stop is enough"),
    held((113, 115, 112, 113), {"exit_price": 110, "exit_reason": "take"}, "a take is never better than its price"),
    held((100, 109, 96, 100), None, "between the levels nothing happens"),
    held((100, 112, 96, 100), {"exit_price": 110, "exit_reason": "take", "pnl": 50}, "a take that is traded through"),
    held((100, 110, 96, 100), None, "a take that is only touched is not filled"),
    held((110, 110, 96, 100), None, "an open at the take is not beyond it"),
    held((100, 105, 95, 100), {"exit_price": 95, "exit_reason": "stop"}, "a stop that is only touched is hit"),
    held((113, 115, 90, 91), {"exit_price": 110, "exit_reason": "take"}, "an open beyond the take goes before a stop later in the bar"),
    held((100, 106, 89, 100), {"exit_price": 105, "exit_reason": "stop"}, "short: of both the stop", -1, 105, 90),
    held((107, 108, 106, 107), {"exit_price": 107, "exit_reason": "stop"}, "short: an open beyond the stop", -1, 105, 90),
    held((100, 104, 89, 100), {"exit_price": 90, "exit_reason": "take", "pnl": 50}, "short: a take that is traded through", -1, 105, 90),
    held((100, 104, 90, 100), None, "short: a take that is only touched", -1, 105, 90),
    held((85, 86, 84, 85), {"exit_price": 90, "exit_reason": "take"}, "short: a take is never better than its price", -1, 105, 90),
    Case(
        "a stop pays stop_slippage and the taker fee",
        bars=[FLAT, FLAT, (100, 100, 94, 94)],
        exposure=[0.5, 0.5, 0.5],
        stop={0: 95},
        costs={"stop_slippage": 0.01, "taker_fee": 0.001},
        trades=[{"exit_price": 94.05, "fees": 0.5 + 0.47025, "pnl": -29.75 - 0.97025}],
    ),
    Case(
        "a stop at a gap pays stop_slippage from the open",
        bars=[FLAT, FLAT, (90, 90, 90, 90)],
        exposure=[0.5, 0.5, 0.5],
        stop={0: 95},
        costs={"stop_slippage": 0.01, "slippage": 0.05},
        trades=[{"entry_price": 105, "exit_price": 89.1}],
    ),
    Case(
        "a take pays the maker fee and no slippage",
        bars=[FLAT, FLAT, (100, 111, 100, 100)],
        exposure=[0.5, 0.5, 0.5],
        take={0: 110},
        costs={"slippage": 0.01, "stop_slippage": 0.01, "maker_fee": 0.001},
        trades=[{"entry_price": 101, "exit_price": 110, "fees": 0.55, "pnl": 44.45}],
    ),
    Case(
        "of both levels in the bar of the entry the stop is taken",
        bars=[FLAT, (100, 112, 94, 100), FLAT],
        exposure=[0.5, 0.5, 0.5],
        stop={0: 95},
        take={0: 110},
        trades=[{"entry_row": 1, "exit_row": 1, "exit_price": 95, "exit_reason": "stop"}],
    ),
    Case(
        "levels act in the bar of the entry",
        bars=[FLAT, (100, 101, 94, 97), FLAT],
        exposure=[0.5, 0.5, 0.5],
        stop={0: 95},
        trades=[{"entry_row": 1, "exit_row": 1, "bars_held": 0, "exit_price": 95, "exit_reason": "stop", "return": -0.025}],
        quantity={1: 0},
    ),
    Case("a position is not opened with its stop at the open", [FLAT, (95,) * 4], [0.5, 0.5], stop={0: 95}, quantity={1: 0}),
    Case("a position is not opened with its take at the open", [FLAT, (105,) * 4], [0.5, 0.5], take={0: 105}, quantity={1: 0}),
    Case("a short is not opened with its stop below the open", [FLAT, (106,) * 4], [-0.5, -0.5], stop={0: 105}, quantity={1: 0}),
    Case(
        "a change of sign that may not open still closes",
        bars=[FLAT, FLAT, (106,) * 4],
        exposure=[0.5, -0.5, -0.5],
        stop={1: 105},
        trades=[{"side": "long", "exit_price": 106, "pnl": 30}],
        quantity={2: 0},
    ),
    Case(
        "a stop tightens, never loosens, and acts from the next bar on",
        bars=[FLAT, (100, 100, 93, 100), (100, 100, 96, 100), (100, 100, 94, 100)],
        exposure=[0.5] * 4,
        stop={0: 90, 1: 95, 2: 85},
        trades=[{"exit_row": 3, "exit_price": 95, "exit_reason": "stop"}],
        quantity={2: 5},
    ),
    Case(
        "a short's stop tightens downwards",
        bars=[FLAT, (100, 107, 100, 100), (100, 104, 100, 100), (100, 106, 100, 100)],
        exposure=[-0.5] * 4,
        stop={0: 110, 1: 105, 2: 115},
        trades=[{"exit_row": 3, "exit_price": 105}],
    ),
    Case(
        "a stop may come later",
        bars=[FLAT, FLAT, (100, 100, 94, 100)],
        exposure=[0.5] * 3,
        stop={1: 95},
        trades=[{"exit_row": 2, "exit_price": 95}],
    ),
    Case(
        "a stop tightened beyond the next open exits there",
        bars=[FLAT, FLAT, (98, 99, 98, 98)],
        exposure=[0.5] * 3,
        stop={0: 90, 1: 99},
        trades=[{"exit_row": 2, "exit_price": 98, "exit_reason": "stop"}],
    ),
    Case(
        "levels of a target without the position's sign are not taken",
        bars=[FLAT] * 3,
        exposure=[0.5, 0, 0],
        stop={1: 101},
        take={1: 99},
        trades=[{"exit_row": 2, "exit_reason": "signal"}],
    ),
    Case(
        "a take is replaced, in either direction",
        bars=[FLAT, FLAT, (100, 115, 100, 100), (100, 106, 100, 100)],
        exposure=[0.5] * 4,
        take={0: 110, 1: 120, 2: 105},
        trades=[{"exit_row": 3, "exit_price": 105, "exit_reason": "take"}],
    ),
    Case(
        "NaN keeps both levels",
        bars=[FLAT, FLAT, FLAT, FLAT, (100, 100, 94, 100)],
        exposure=[0.5] * 5,
        stop={0: 95},
        take={0: 110},
        trades=[{"exit_row": 4, "exit_price": 95}],
    ),
    Case(
        "a change of sign does not inherit levels",
        bars=[FLAT, FLAT, FLAT, (100, 120, 80, 100)],
        exposure=[0.5, -0.5, -0.5, -0.5],
        stop={0: 95},
        take={0: 110},
        trades=[{"side": "long", "exit_row": 2, "exit_reason": "signal"}],
        quantity={3: -5},
    ),
    Case(
        "an open at the stop exits before the order",
        bars=[FLAT, FLAT, (95,) * 4],
        exposure=[0.5, 0, 0],
        stop={0: 95},
        trades=[{"exit_price": 95, "exit_reason": "stop"}],
    ),
    Case(
        "of an order to close nothing is left where the open is beyond the stop",
        bars=[FLAT, FLAT, (90,) * 4, (90,) * 4],
        exposure=[0.5, 0, 0, 0],
        stop={0: 95},
        trades=[{"exit_price": 90, "exit_reason": "stop"}],
        quantity={2: 0, 3: 0},
    ),
    Case(
        "of an order to add nothing is left where the open is beyond the stop",
        bars=[FLAT, FLAT, (90,) * 4, (90,) * 4],
        exposure=[0.5, 1, 1, 1],
        stop={0: 95},
        costs={"diff_threshold": 0},
        trades=[{"quantity": 5, "exit_price": 90, "exit_reason": "stop"}],
        quantity={2: 0, 3: 0},
    ),
    Case(
        "of an order to turn the opening part is left where the open is beyond the stop",
        bars=[FLAT, FLAT, (90,) * 4, (90,) * 4],
        exposure=[0.5, -0.5, -0.5, -0.5],
        stop={0: 95, 1: 105},
        costs={"slippage": 0.01},
        trades=[{"side": "long", "exit_price": 90, "exit_reason": "stop"}],
        quantity={2: -4.97, 3: -4.97},
    ),
]

ARMING = [
    Case(
        "after a stop the side waits for another target",
        bars=[FLAT, FLAT, (100, 100, 94, 100), *[FLAT] * 5],
        exposure=[0.5, 0.5, 0.5, 0.5, 0, 0.5, 0.5, 0.5],
        stop={0: 95},
        trades=[{"exit_row": 2, "exit_reason": "stop"}],
        quantity={3: 0, 4: 0, 5: 0, 6: 4.87, 7: 4.87},
    ),
    Case(
        "after a stop a short waits too",
        bars=[FLAT, FLAT, (100, 106, 100, 100), *[FLAT] * 5],
        exposure=[-0.5, -0.5, -0.5, -0.5, 0, -0.5, -0.5, -0.5],
        stop={0: 105},
        trades=[{"exit_row": 2, "side": "short", "exit_reason": "stop"}],
        quantity={3: 0, 4: 0, 5: 0, 6: -4.87, 7: -4.87},
    ),
    Case(
        "a target of another sign at the exit's own close arms at once",
        bars=[FLAT, FLAT, (100, 100, 94, 100), *[FLAT] * 3],
        exposure=[0.5, 0.5, 0, 0.5, 0.5, 0.5],
        stop={0: 95},
        trades=[{"exit_row": 2}],
        quantity={3: 0, 4: 4.87},
    ),
    Case(
        "after rearm_bars the side is armed again",
        bars=[FLAT, FLAT, (100, 100, 94, 100), *[FLAT] * 4],
        exposure=[0.5] * 7,
        stop={0: 95},
        costs={"rearm_bars": 2},
        trades=[{"exit_row": 2}],
        quantity={3: 0, 4: 0, 5: 4.87},
    ),
    Case(
        "a take disarms too",
        bars=[FLAT, FLAT, (100, 111, 100, 100), *[FLAT] * 2],
        exposure=[0.5] * 5,
        take={0: 110},
        trades=[{"exit_row": 2, "exit_reason": "take"}],
        quantity={3: 0, 4: 0},
    ),
    Case(
        "the other side may be entered at once",
        bars=[FLAT, FLAT, (100, 100, 94, 100), FLAT, FLAT],
        exposure=[0.5, 0.5, -0.5, 0.5, 0.5],
        stop={0: 95},
        trades=[{"exit_row": 2, "side": "long"}, {"entry_row": 3, "exit_row": 4, "side": "short"}],
        quantity={3: -4.87, 4: 4.87},
    ),
    Case(
        "an exit by signal does not disarm",
        bars=[FLAT] * 4,
        exposure=[0.5, 0, 0.5, 0.5],
        trades=[{"exit_row": 2}],
        quantity={2: 0, 3: 5},
    ),
    Case(
        "both sides are disarmed where a bar stops both",
        bars=[FLAT, FLAT, (90, 106, 90, 100), FLAT, FLAT],
        exposure=[0.5, -0.5, 0.5, -0.5, -0.5],
        stop={0: 95, 1: 105},
        trades=[{"side": "long", "exit_price": 90}, {"side": "short", "entry_price": 90, "exit_price": 105, "exit_reason": "stop"}],
        quantity={3: 0, 4: -4.37},
    ),
]

BOTH, LOW_FIRST, HIGH_FIRST = (100, 112, 94, 100), (100, 101, 94, 96), (100, 112, 99, 110)
STOPPED, TAKEN = {"exit_price": 95, "exit_reason": "stop"}, {"exit_price": 110, "exit_reason": "take"}
DETAIL = [
    held(BOTH, STOPPED, "detail: the stop came first", detail={2: [FLAT, LOW_FIRST, HIGH_FIRST, FLAT]}),
    held(BOTH, TAKEN, "detail: the take came first", detail={2: [FLAT, HIGH_FIRST, LOW_FIRST, FLAT]}),
    held(BOTH, STOPPED, "detail: where a shorter bar reached both the stop is assumed", detail={2: [FLAT, BOTH, HIGH_FIRST, FLAT]}),
    held(BOTH, STOPPED, "detail: with a shorter bar missing the stop is assumed", detail={2: [FLAT, HIGH_FIRST, None, LOW_FIRST]}),
    held(BOTH, STOPPED, "detail: of other bars it says nothing", detail={1: [FLAT, HIGH_FIRST, FLAT, FLAT], 3: [HIGH_FIRST] * 4}),
    held(BOTH, STOPPED, "detail: where none of it reached a level the stop is assumed", detail={2: [FLAT] * 4}),
    held(
        BOTH,
        {"exit_price": 94, "exit_reason": "stop"},
        "detail: a shorter bar that opens beyond the stop is filled there",
        detail={2: [FLAT, (94, 112, 94, 100), FLAT, FLAT]},
    ),
    held(BOTH, TAKEN, "detail: a shorter bar that opens beyond the take", detail={2: [FLAT, (112, 112, 94, 100), FLAT, FLAT]}),
    held((93, 112, 92, 95), {"exit_price": 93, "exit_reason": "stop"}, "detail: a gap over the stop is none", detail={2: [HIGH_FIRST] * 4}),
    held((113, 115, 90, 91), TAKEN, "detail: a gap over the take is none", detail={2: [LOW_FIRST] * 4}),
    held((100, 109, 94, 100), STOPPED, "detail: a bar that reached one level is not looked into", detail={2: [HIGH_FIRST] * 4}),
    held(
        (100, 106, 89, 100),
        {"exit_price": 90, "exit_reason": "take"},
        "detail, short: the take came first",
        -1,
        105,
        90,
        detail={2: [FLAT, (100, 101, 89, 90), (90, 106, 90, 100), FLAT]},
    ),
    *(
        levered(
            f"detail: {reason} came first of liquidation and take",
            (50_000, 56_000, 45_000, 50_000),
            {"exit_price": price, "exit_reason": reason},
            take={0: 55_000},
            detail={2: parts},
        )
        for reason, price, parts in [
            ("liquidation", 45_000, [(50_000, 50_000, 45_000, 50_000), (50_000, 56_000, 50_000, 50_000), *[(50_000,) * 4] * 2]),
            ("take", 55_000, [(50_000, 56_000, 50_000, 50_000), (50_000, 50_000, 45_000, 50_000), *[(50_000,) * 4] * 2]),
        ]
    ),
    Case(
        "detail: in the bar of the entry too",
        bars=[FLAT, BOTH, FLAT],
        exposure=[0.5, 0.5, 0.5],
        stop={0: 95},
        take={0: 110},
        detail={1: [HIGH_FIRST, LOW_FIRST, FLAT, FLAT]},
        trades=[{"entry_row": 1, "exit_row": 1, **TAKEN}],
    ),
]

MARGIN = [
    *(
        levered(
            f"{'long' if side > 0 else 'short'} at {leverage} x is {'' if hit else 'not '}liquidated at {price}",
            (50_000, max(50_000, price), min(50_000, price), 50_000),
            {"exit_price": 50_000 * (1 - side / leverage), "fees": 25, "pnl": -50_000 / leverage - 25, "exit_reason": "liquidation"}
            if hit
            else None,
            leverage=leverage,
            side=side,
        )
        for leverage, side, price, hit in [
            (3, 1, 33484.0113, True),
            (3, 1, 33484.0115, False),
            (3, -1, 66368.0107, True),
            (3, -1, 66368.0105, False),
            (10, 1, 45203.4153, True),
            (10, 1, 45203.4154, False),
            (10, -1, 54753.6089, True),
            (10, -1, 54753.6087, False),
            (50, 1, 49221.4967, True),
            (50, 1, 49221.4968, False),
            (50, -1, 50771.5282, True),
            (50, -1, 50771.5281, False),
        ]
    ),
    levered("a long without leverage is never liquidated", (50_000, 50_000, 0.01, 0.01), None, leverage=1),
    levered(
        "a stop nearer than liquidation goes first",
        (50_000, 50_000, 45_000, 45_000),
        {"exit_price": 46_000, "exit_reason": "stop"},
        stop={0: 46_000},
    ),
    levered(
        "a stop beyond liquidation never goes",
        (50_000, 50_000, 44_900, 45_000),
        {"exit_price": 45_000, "exit_reason": "liquidation"},
        stop={0: 45_100},
    ),
    levered(
        "a stop whose fill would lose more than the margin is liquidation",
        (44_000, 44_000, 44_000, 44_000),
        {"exit_price": 45_000, "exit_reason": "liquidation", "fees": 25},
        stop={0: 46_000},
    ),
    levered(
        "a stop filled beyond liquidation but within the margin stays a stop",
        (45_100, 45_100, 45_000, 45_000),
        {"exit_price": 45_100, "exit_reason": "stop"},
        stop={0: 46_000},
    ),
    levered(
        "liquidation goes before a take",
        (50_000, 56_000, 45_000, 50_000),
        {"exit_price": 45_000, "exit_reason": "liquidation"},
        take={0: 55_000},
    ),
    levered("a mark price above it spares", (50_000, 50_000, 40_000, 50_000), None, mark={2: (50_000, 50_000, 46_000, 50_000)}),
    levered(
        "a gap over the stop is no liquidation while the mark price has not reached it",
        (44_000,) * 4,
        {"exit_price": 44_000, "exit_reason": "stop"},
        stop={0: 46_000},
        mark={2: (50_000, 50_000, 46_000, 46_000)},
    ),
    levered(
        "a mark price below it liquidates",
        (50_000,) * 4,
        {"exit_price": 45_000, "exit_reason": "liquidation"},
        mark={2: (50_000, 50_000, 45_000, 50_000)},
    ),
    Case(
        "a price at the level of liquidation is enough",
        bars=[FLAT, FLAT, (100, 100, 50, 100)],
        exposure=[0.5] * 3,
        costs={"maintenance_margin": 0},
        trades=[{"exit_row": 2, "exit_price": 50, "exit_reason": "liquidation"}],
    ),
    Case(
        "liquidation disarms",
        bars=[FLAT, FLAT, (100, 100, 40, 100), FLAT, FLAT],
        exposure=[0.5] * 5,
        trades=[{"exit_row": 2, "exit_price": 50, "exit_reason": "liquidation", "pnl": -250}],
        quantity={3: 0, 4: 0},
    ),
]

HELD: dict[str, Any] = {"bars": [FLAT, FLAT, (110, 110, 110, 120), (120,) * 4], "exposure": [0.5, 0.5, 0, 0]}
FUNDING = [
    Case(
        "funding at a bar's open is paid at the open by what is carried in",
        **HELD,
        funding=[(2, 0.001)],
        trades=[{"funding": 0.55, "pnl": 99.45}],
    ),
    Case("funding at the open is paid by what the open sells", **HELD, funding=[(3, 0.001)], trades=[{"funding": 0.6, "exit_row": 3}]),
    Case("funding at the open is not paid by what the open buys", **HELD, funding=[(1, 0.001)], trades=[{"funding": 0, "pnl": 100}]),
    Case("funding inside a bar is paid at the close", **HELD, funding=[(2.5, 0.001)], trades=[{"funding": 0.6}], equity={2: 1099.4}),
    Case(
        "funding inside a bar is paid by what that bar bought", **HELD, funding=[(1.5, 0.001)], trades=[{"funding": 0.5}], equity={1: 999.5}
    ),
    Case(
        "funding inside a bar is not paid by what that bar sold",
        bars=[FLAT, FLAT, (100, 100, 94, 94)],
        exposure=[0.5] * 3,
        stop={0: 95},
        funding=[(2.5, 0.001)],
        trades=[{"funding": 0, "pnl": -25}],
    ),
    Case(
        "a short receives",
        bars=[FLAT] * 4,
        exposure=[-0.5, -0.5, 0, 0],
        funding=[(2, 0.001)],
        trades=[{"funding": -0.5, "pnl": 0.5}],
    ),
    Case(
        "funding in a gap is paid at the next open, each",
        **HELD,
        hours=[0, 1, 5, 6],
        funding=[(1, 0.001), (2, 0.002), (3, 0.003), (4, 0.004), (5, 0.005)],
        equity={1: 1000, 2: 1100 - 5 * 110 * 0.014, 3: 1100 - 5 * 110 * 0.014 - 5 * 120 * 0.0001},
        trades=[{"funding": 7.7 + 0.06}],
        assumed=1,
    ),
    Case(
        "a settlement that is not known is charged at 1 bp and counted",
        bars=[FLAT] * 12,
        exposure=[0.5] * 12,
        funding=[(2, 0.001)],
        equity={9: 999.5, 10: 999.45, 11: 999.45},
        assumed=1,
    ),
    *(
        Case(
            f"{quantity} BTC at 60,000 pay {paid} at 1 bp",
            bars=[(60_000,) * 4] * 4,
            exposure=[quantity * 0.1] * 2 + [0] * 2,
            capital=600_000,
            funding=[(2, 0.0001)],
            trades=[{"quantity": abs(quantity), "funding": paid, "pnl": -paid}],
        )
        for quantity, paid in [(2, 12.0), (-2, -12.0), (0.1, 0.6)]
    ),
    Case("what is not known costs nothing while flat", bars=[FLAT] * 12, exposure=[0] * 12, funding=[(2, 0.001)], equity={11: 1000}),
]

CASES = [*ORDERS, *LEVELS, *ARMING, *DETAIL, *MARGIN, *FUNDING]
