"""What trading does to an account's money: fills, funding, liquidation, each with its bill. All of it is Decimal (specs: okx-wire §6).

Cash is the wallet: deposits, realised profit, fees and funding; margin is a part of it that an isolated position holds. The margin bears
the position's funding; opening and closing move money between it and the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from alpha_arena.exchange.embedded import margin
from alpha_arena.exchange.embedded.contracts import SwapContract
from alpha_arena.exchange.embedded.state import ZERO, Algo, Bill, Client, FillRow, Holding, PlacedOrder

FIRST_NUMBER = 10**18
SEEDS = 8 * 10**5
TRADE, LIQUIDATED, MARGIN, FUNDED, DELEVERAGED, MOVED = "2", "5", "6", "8", "9", "1"
SUB_TYPES = {TRADE: ("1", "2"), LIQUIDATED: ("106", "107"), DELEVERAGED: ("127", "128")}
CATEGORIES = {LIQUIDATED: "full_liquidation", DELEVERAGED: "adl"}
PAID, RECEIVED, DEPOSITED, ADDED, REDUCED = "173", "174", "11", "160", "161"

Touched = Client | PlacedOrder | Algo | FillRow | Bill | Holding


class Quotes(NamedTuple):
    """Mark and index price at a moment, quote currency."""

    mark: Decimal
    index: Decimal  # type: ignore[assignment]


@dataclass(slots=True)
class Numbers:
    """Ids: digits that only grow, the same for the same seed and history."""

    seed: int
    last: int = field(default=0)

    def take(self) -> str:
        """The next one."""
        self.last += 1
        return str(FIRST_NUMBER + self.seed % SEEDS * 10**12 + self.last)


def signed(side: str, sz: Decimal) -> Decimal:
    """Positive for a buy."""
    return sz if side == "buy" else -sz


def opposite(side: str) -> str:
    """The other side."""
    return "sell" if side == "buy" else "buy"


@dataclass(slots=True)
class Cashier:
    """Books what happens to accounts.

    Attributes:
        contracts: by inst_id. maker, taker: fees as fractions of notional. lag_ms: until a fill is told.
        fixed_margin: whether entry and leverage alone make a margin, as simulation.md has it: the rest of the cash bears funding.
        touched: by (account, kind, id), what has changed since it was last taken.
    """

    contracts: Mapping[str, SwapContract]
    numbers: Numbers
    maker: Decimal
    taker: Decimal
    lag_ms: int = 0
    fixed_margin: bool = False
    touched: dict[tuple[str, str, str], Touched] = field(default_factory=dict)

    def touch(self, client: Client, kind: str, name: str, what: Touched) -> None:
        """Note that something has changed."""
        self.touched[client.name, kind, name] = what

    def fill(self, client: Client, order: PlacedOrder, sz: Decimal, px: Decimal, maker: bool, ts: int, quotes: Quotes) -> FillRow:
        """An order fills with `sz` contracts at `px`."""
        fee = -self.contracts[order.inst_id].base(sz) * px * (self.maker if maker else self.taker)
        return self._filled(client, order, sz, px, fee, "M" if maker else "T", ts, quotes, TRADE)

    def forced(
        self, client: Client, holding: Holding, sz: Decimal, px: Decimal, ts: int, quotes: Quotes, kind: str, penalty: Decimal = ZERO
    ) -> None:
        """The exchange itself closes `sz` contracts at `px`, without a fee: kind LIQUIDATED or DELEVERAGED.

        Args:
            penalty: what it keeps beside the loss, quote currency; a bill of its own that names no trade.
        """
        side = "sell" if holding.pos > 0 else "buy"
        name = self.numbers.take()
        order = PlacedOrder(name, "", holding.inst_id, holding.mgn_mode, side, "market", sz, None, True, holding.lever, ts, ts)
        order.category = CATEGORIES[kind]
        client.orders[name] = order
        self._filled(client, order, sz, px, ZERO, "T", ts, quotes, kind)
        if penalty:
            holding.liq_penalty -= penalty
            self._bill(client, ts, kind, SUB_TYPES[kind][side == "sell"], -penalty, holding=holding)

    def _filled(
        self, client: Client, order: PlacedOrder, sz: Decimal, px: Decimal, fee: Decimal, liquidity: str, ts: int, quotes: Quotes, kind: str
    ) -> FillRow:
        holding = self.holding(client, order.inst_id, order.td_mode, order.lever, ts)
        trade = self.numbers.take() if kind == TRADE else f"-{self.numbers.take()}"
        before = holding.margin
        pnl = self._position(holding, signed(order.side, sz), px, trade, ts)
        self._order(order, sz, px, fee, pnl, trade, ts)
        holding.fee += fee
        sub_type = SUB_TYPES[kind][order.side == "sell"]
        figures: dict[str, Decimal | str] = {"sz": sz, "px": px, "pnl": pnl, "fee": fee, "trade_id": trade, "exec_type": liquidity}
        bill = self._bill(client, ts, kind, sub_type, pnl + fee, holding.margin - before, holding, order, **figures)
        names = bill.bill_id, trade, order.ord_id, order.cl_ord_id, order.inst_id, sub_type, order.side
        row = FillRow(*names, px, sz, pnl, quotes.mark, quotes.index, liquidity, fee, ts, ts + self.lag_ms)
        client.fills.append(row)
        for what, name, value in (("order", order.ord_id, order), ("fill", row.bill_id, row)):
            self.touch(client, what, name, value)
        self.touch(client, "holding", holding.pos_id, holding)
        return row

    def holding(self, client: Client, inst_id: str, mode: str, lever: Decimal, ts: int) -> Holding:
        """The position of an instrument and margin mode, flat where there has been none."""
        key = (inst_id, mode)
        if key not in client.holdings:
            client.holdings[key] = Holding(self.numbers.take(), inst_id, mode, lever=lever, c_time=ts, u_time=ts)
        held = client.holdings[key]
        if not held.pos:
            held.lever, held.c_time = lever, ts
            held.pnl = held.fee = held.funding_fee = held.liq_penalty = ZERO
        return held

    def _position(self, held: Holding, change: Decimal, px: Decimal, trade: str, ts: int) -> Decimal:
        """Close first, then open; returns the profit realised."""
        size = self.contracts[held.inst_id].ct_val
        closed = min(abs(change), abs(held.pos)) if held.pos * change < 0 else ZERO
        pnl = (px - held.avg_px) * closed * size * (1 if held.pos > 0 else -1)
        if closed:
            held.margin -= held.margin * closed / abs(held.pos)
            held.pos += closed if change > 0 else -closed
        opened = abs(change) - closed
        if opened:
            held.avg_px = (held.avg_px * abs(held.pos) + px * opened) / (abs(held.pos) + opened)
            held.pos += opened if change > 0 else -opened
            held.margin += opened * size * px / held.lever if held.mgn_mode == "isolated" else ZERO
        held.pnl += pnl
        held.trade_id, held.u_time = trade, ts
        if not held.pos:
            held.avg_px = held.margin = ZERO
        return pnl

    @staticmethod
    def _order(order: PlacedOrder, sz: Decimal, px: Decimal, fee: Decimal, pnl: Decimal, trade: str, ts: int) -> None:
        before = order.acc_fill_sz
        order.acc_fill_sz = before + sz
        order.avg_px = ((order.avg_px or ZERO) * before + px * sz) / order.acc_fill_sz
        order.fill_px, order.fill_sz, order.fill_time, order.trade_id = px, sz, ts, trade
        order.fee, order.pnl, order.u_time = order.fee + fee, order.pnl + pnl, ts
        order.state = "filled" if order.acc_fill_sz >= order.sz else "partially_filled"

    def fund(self, client: Client, holding: Holding, rate: Decimal, mark: Decimal, ts: int) -> None:
        """A settlement: a long pays a positive rate; an isolated position out of its margin."""
        worth = self.contracts[holding.inst_id].base(holding.pos) * mark
        amount = -worth * rate
        moved = amount if holding.mgn_mode == "isolated" and not self.fixed_margin else ZERO
        holding.funding_fee += amount
        holding.margin += moved
        self._bill(client, ts, FUNDED, RECEIVED if amount > 0 else PAID, amount, moved, holding, sz=abs(holding.pos), px=mark, pnl=amount)
        self.touch(client, "holding", holding.pos_id, holding)

    def set_margin(self, client: Client, holding: Holding, margin: Decimal, ts: int) -> None:
        """Move money between an isolated position and the rest of the cash."""
        moved, holding.margin = margin - holding.margin, margin
        if moved:
            self._bill(client, ts, MARGIN, ADDED if moved > 0 else REDUCED, ZERO, moved, holding)

    def deposit(self, client: Client, amount: Decimal, ts: int) -> None:
        """Money comes in."""
        self._bill(client, ts, MOVED, DEPOSITED, amount)

    def _bill(
        self,
        client: Client,
        ts: int,
        kind: str,
        sub_type: str,
        change: Decimal,
        moved: Decimal = ZERO,
        holding: Holding | None = None,
        order: PlacedOrder | None = None,
        **figures: Decimal | str,
    ) -> Bill:
        """change: of all cash. moved: of it and of the rest of the cash into the margin of the position."""
        client.cash += change
        if holding:
            figures |= {"inst_id": holding.inst_id, "mgn_mode": holding.mgn_mode, "pos_bal": holding.margin, "pos_bal_chg": moved}
        if order:
            figures |= {"ord_id": order.ord_id, "cl_ord_id": order.cl_ord_id}
        bill = Bill(self.numbers.take(), ts, margin.free(client), change - moved, kind, sub_type, **figures)  # type: ignore[arg-type]
        client.bills.append(bill)
        self.touch(client, "bill", bill.bill_id, bill)
        self.touch(client, "client", client.api_key, client)
        return bill
