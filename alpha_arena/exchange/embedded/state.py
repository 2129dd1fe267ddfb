"""What the embedded exchange knows of an account. Sizes in contracts, prices and money in quote currency, both Decimal; times ms, UTC.

Signs are OKX's: order sizes are unsigned with a side, `pos` is signed, fees are negative when paid (specs: okx-wire §3 to §6).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

ZERO = Decimal(0)


class Rejection(Exception):
    """A request that the exchange refuses, by its code of okx-wire §8."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message


@dataclass(slots=True)
class Attached:
    """TP/SL held in a parent order until it is filled; ordPx "-1" (market) is None."""

    algo_id: str
    algo_cl_ord_id: str
    tp_trigger_px: Decimal | None = None
    tp_ord_px: Decimal | None = None
    tp_trigger_px_type: str = "last"
    sl_trigger_px: Decimal | None = None
    sl_ord_px: Decimal | None = None
    sl_trigger_px_type: str = "last"
    sz: Decimal | None = None
    fail_code: str = ""
    fail_reason: str = ""


@dataclass(slots=True)
class PlacedOrder:
    """An order. state: live, partially_filled, filled, canceled. source 7: made by TP/SL, 6: by a trigger; exp_ms: discarded after it."""

    ord_id: str
    cl_ord_id: str
    inst_id: str
    td_mode: str
    side: str
    ord_type: str
    sz: Decimal
    px: Decimal | None
    reduce_only: bool
    lever: Decimal
    c_time: int
    u_time: int
    tag: str = ""
    stp_mode: str = "cancel_maker"
    state: str = "live"
    acc_fill_sz: Decimal = ZERO
    avg_px: Decimal | None = None
    fill_px: Decimal | None = None
    fill_sz: Decimal = ZERO
    fill_time: int = 0
    trade_id: str = ""
    fee: Decimal = ZERO
    pnl: Decimal = ZERO
    cancel_source: str = ""
    category: str = "normal"
    source: str = ""
    algo_id: str = ""
    algo_cl_ord_id: str = ""
    attached: list[Attached] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether it can still fill."""
        return self.state in ("live", "partially_filled")


@dataclass(slots=True)
class Algo:
    """A TP/SL or trigger order. ord_type: conditional, oco, trigger; sz None with close_fraction "1"; ordPx None is market.

    ref_px: the price when it was placed, from which a trigger is approached.
    """

    algo_id: str
    algo_cl_ord_id: str
    inst_id: str
    td_mode: str
    side: str
    ord_type: str
    sz: Decimal | None
    reduce_only: bool
    lever: Decimal
    c_time: int
    u_time: int
    close_fraction: str = ""
    cxl_on_close_pos: bool = False
    tp_trigger_px: Decimal | None = None
    tp_ord_px: Decimal | None = None
    tp_trigger_px_type: str = "last"
    sl_trigger_px: Decimal | None = None
    sl_ord_px: Decimal | None = None
    sl_trigger_px_type: str = "last"
    trigger_px: Decimal | None = None
    order_px: Decimal | None = None
    trigger_px_type: str = "last"
    ref_px: Decimal = ZERO
    state: str = "live"
    ord_id: str = ""
    actual_side: str = ""
    actual_sz: Decimal = ZERO
    actual_px: Decimal | None = None
    trigger_time: int = 0
    fail_code: str = ""
    tag: str = ""


@dataclass(frozen=True, slots=True)
class FillRow:
    """An execution (okx-wire §4.6). A forced one has a negative trade_id."""

    bill_id: str
    trade_id: str
    ord_id: str
    cl_ord_id: str
    inst_id: str
    sub_type: str
    side: str
    fill_px: Decimal
    fill_sz: Decimal
    fill_pnl: Decimal
    fill_mark_px: Decimal
    fill_idx_px: Decimal
    exec_type: str
    fee: Decimal
    fill_time: int
    visible_ms: int = 0


@dataclass(frozen=True, slots=True)
class Bill:
    """A change of cash (okx-wire §3.8): bal is what lies outside isolated positions after it, pos_bal the margin of the position."""

    bill_id: str
    ts: int
    bal: Decimal
    bal_chg: Decimal
    type: str
    sub_type: str
    inst_id: str = ""
    mgn_mode: str = ""
    sz: Decimal = ZERO
    px: Decimal = ZERO
    pnl: Decimal = ZERO
    fee: Decimal = ZERO
    ord_id: str = ""
    cl_ord_id: str = ""
    trade_id: str = ""
    exec_type: str = ""
    pos_bal: Decimal = ZERO
    pos_bal_chg: Decimal = ZERO

    @property
    def change(self) -> Decimal:
        """Of cash, wherever it lies."""
        return self.bal_chg + self.pos_bal_chg


@dataclass(slots=True)
class Holding:
    """A net position; pos 0 is flat and keeps its id. margin: of an isolated one."""

    pos_id: str
    inst_id: str
    mgn_mode: str
    pos: Decimal = ZERO
    avg_px: Decimal = ZERO
    lever: Decimal = Decimal(1)
    margin: Decimal = ZERO
    pnl: Decimal = ZERO
    fee: Decimal = ZERO
    funding_fee: Decimal = ZERO
    liq_penalty: Decimal = ZERO
    trade_id: str = ""
    c_time: int = 0
    u_time: int = 0


@dataclass(slots=True)
class Client:
    """One account with its keys. levers: by (inst_id, mgn_mode). orders, algos: all, by id; fills, bills: oldest first.

    cancel_after_ms: when the dead-man switch of a tag cancels that tag's orders, that of "" all orders.
    """

    name: str
    uid: str
    api_key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)
    perm: str = "read_only,trade"
    pos_mode: str = "net_mode"
    cash: Decimal = ZERO
    levers: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    orders: dict[str, PlacedOrder] = field(default_factory=dict)
    algos: dict[str, Algo] = field(default_factory=dict)
    fills: list[FillRow] = field(default_factory=list)
    bills: list[Bill] = field(default_factory=list)
    holdings: dict[tuple[str, str], Holding] = field(default_factory=dict)
    cancel_after_ms: dict[str, int] = field(default_factory=dict)
