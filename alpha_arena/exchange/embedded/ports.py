"""What the wire asks of the exchange behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from alpha_arena.core.types import Candles
from alpha_arena.exchange.embedded.state import Algo, Attached, Client, Holding, PlacedOrder

Kind = Literal["last", "mark", "index"]


@dataclass(frozen=True, slots=True)
class Ticket:
    """An order that is to be placed; sz in contracts, px None for the market's, exp_ms 0 for no expiry."""

    inst_id: str
    td_mode: str
    side: str
    ord_type: str
    sz: Decimal
    px: Decimal | None = None
    cl_ord_id: str = ""
    tag: str = ""
    reduce_only: bool = False
    stp_mode: str = "cancel_maker"
    attached: Sequence[Attached] = field(default_factory=tuple)
    exp_ms: int = 0


@dataclass(frozen=True, slots=True)
class AlgoTicket:
    """A TP/SL or trigger order that is to be placed; sz None with close_fraction "1", order prices None for the market's."""

    inst_id: str
    td_mode: str
    side: str
    ord_type: str
    sz: Decimal | None
    algo_cl_ord_id: str = ""
    tag: str = ""
    reduce_only: bool = False
    cxl_on_close_pos: bool = False
    close_fraction: str = ""
    tp_trigger_px: Decimal | None = None
    tp_ord_px: Decimal | None = None
    tp_trigger_px_type: str = "last"
    sl_trigger_px: Decimal | None = None
    sl_ord_px: Decimal | None = None
    sl_trigger_px_type: str = "last"
    trigger_px: Decimal | None = None
    order_px: Decimal | None = None
    trigger_px_type: str = "last"


class Clock(Protocol):
    """The exchange's clock; speed: simulated by real time."""

    @property
    def mode(self) -> str: ...
    @property
    def speed(self) -> float: ...
    def now_ms(self) -> int: ...
    def step_to(self, ms: int) -> None: ...
    def set(self, mode: str | None = None, now_ms: int | None = None, speed: float | None = None) -> None: ...


class Price(Protocol):
    """Prices at a moment, quote currency."""

    @property
    def last(self) -> float: ...
    @property
    def mark(self) -> float: ...
    @property
    def index(self) -> float: ...


class Feed(Protocol):
    """The market; bar_ms: its finest bars."""

    @property
    def bar_ms(self) -> int: ...
    def price(self, inst_id: str, now_ms: int) -> Price: ...
    def candles(
        self, inst_id: str, bar_ms: int, start_ms: int, end_ms: int, now_ms: int, kind: Kind = "last"
    ) -> tuple[Candles, NDArray[np.bool_]]:
        """Bars with start <= ts < end that have begun by now, the forming one included; and which have closed. Volume in base currency."""

    def funding(self, inst_id: str, after_ms: int, until_ms: int) -> Sequence[tuple[int, float]]:
        """Settlements, oldest first, after < ts <= until."""

    def forecast(self, inst_id: str, now_ms: int) -> tuple[float, int, int, float]:
        """Expected rate, its settlement, the one after it, and the last settled rate."""


class Tier(Protocol):
    """A step of the margin table; sizes in contracts, fractions of notional."""

    @property
    def min_sz(self) -> Decimal: ...
    @property
    def max_sz(self) -> Decimal: ...
    @property
    def imr(self) -> Decimal: ...
    @property
    def mmr(self) -> Decimal: ...
    @property
    def max_lever(self) -> Decimal: ...


class Contract(Protocol):
    """An instrument's rules; sizes in contracts, ct_val in base currency."""

    @property
    def inst_id(self) -> str: ...
    @property
    def uly(self) -> str: ...
    @property
    def code(self) -> int: ...
    @property
    def ct_val(self) -> Decimal: ...
    @property
    def lot_sz(self) -> Decimal: ...
    @property
    def min_sz(self) -> Decimal: ...
    @property
    def tick_sz(self) -> Decimal: ...
    @property
    def max_mkt_sz(self) -> Decimal: ...
    @property
    def max_lmt_sz(self) -> Decimal: ...
    @property
    def max_lever(self) -> Decimal: ...
    @property
    def list_ms(self) -> int: ...
    @property
    def tiers(self) -> Sequence[Tier]: ...


class Profile(Protocol):
    """Costs as fractions of notional; half_spread as a fraction of price."""

    @property
    def maker(self) -> Decimal | float: ...
    @property
    def taker(self) -> Decimal | float: ...
    @property
    def half_spread(self) -> float: ...


class Exchange(Protocol):
    """Accounts and a market; what refuses raises Rejection with OKX's code. Sizes in contracts, money in quote currency."""

    @property
    def clients(self) -> Mapping[str, Client]: ...
    @property
    def contracts(self) -> Mapping[str, Contract]: ...
    @property
    def feed(self) -> Feed: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def profile(self) -> Profile: ...
    @property
    def seed(self) -> int: ...
    def run_to(self, now_ms: int) -> None:
        """Play the market up to a time."""

    def save(self) -> None:
        """Write what has changed to the books, if there are any."""

    def dump(self) -> tuple[bytes, str]:
        """The ledger as canonical JSON, and its SHA-256."""

    def close(self) -> None:
        """Close the books."""

    def refuse_duplicate(self, client: Client, cl_ord_id: str) -> None: ...
    def place(self, client: Client, ticket: Ticket) -> PlacedOrder: ...
    def cancel(self, client: Client, inst_id: str, ord_id: str = "", cl_ord_id: str = "") -> PlacedOrder: ...
    def amend(
        self, client: Client, inst_id: str, ord_id: str, cl_ord_id: str, new_sz: Decimal | None, new_px: Decimal | None
    ) -> PlacedOrder: ...
    def place_algo(self, client: Client, ticket: AlgoTicket) -> Algo: ...
    def cancel_algo(self, client: Client, inst_id: str, algo_id: str = "", algo_cl_ord_id: str = "") -> Algo: ...
    def set_leverage(self, client: Client, inst_id: str, mgn_mode: str, lever: Decimal) -> None: ...
    def leverage(self, client: Client, inst_id: str, mgn_mode: str) -> Decimal: ...
    def set_position_mode(self, client: Client, pos_mode: str) -> None: ...
    def close_position(self, client: Client, inst_id: str, mgn_mode: str, cl_ord_id: str, auto_cancel: bool) -> None: ...
    def cancel_all_after(self, client: Client, seconds: int, tag: str = "") -> None: ...
    def equity(self, client: Client) -> Decimal: ...
    def available(self, client: Client) -> Decimal: ...
    def frozen(self, client: Client) -> Decimal:
        """Margin of pending orders."""

    def upl(self, holding: Holding) -> Decimal: ...
    def initial_margin(self, holding: Holding) -> Decimal: ...
    def maintenance(self, holding: Holding) -> Decimal: ...
    def liquidation_px(self, holding: Holding) -> Decimal | None: ...
    def deposit(self, client: Client, amount: Decimal) -> None: ...
    def external_trade(self, client: Client, inst_id: str, side: str, sz: Decimal) -> None: ...
    def liquidate(self, client: Client, inst_id: str) -> None: ...
    def adl(self, client: Client, inst_id: str, sz: Decimal) -> None: ...
