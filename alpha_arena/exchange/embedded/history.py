"""Closed positions, put together again from fills and bills (specs: okx-wire §3.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from alpha_arena.exchange.embedded.ports import Contract
from alpha_arena.exchange.embedded.rows import CURRENCY, Row, divided, text
from alpha_arena.exchange.embedded.state import ZERO, Client, FillRow

FUNDED, FORCED = "8", "5"
CLOSED, PARTLY, LIQUIDATED, DELEVERAGED = "2", "1", "3", "5"
ADL_SUBTYPES = ("125", "126", "127", "128")


@dataclass(slots=True)
class Round:
    """A position from its first fill on; sizes unsigned, contracts."""

    inst_id: str
    sign: int
    start_ms: int
    end_ms: int = 0
    opened: Decimal = ZERO
    paid: Decimal = ZERO
    closed: Decimal = ZERO
    got: Decimal = ZERO
    largest: Decimal = ZERO
    pnl: Decimal = ZERO
    fee: Decimal = ZERO
    kind: str = PARTLY

    @property
    def left(self) -> Decimal:
        """What is still held."""
        return self.opened - self.closed

    def add(self, fill: FillRow, size: Decimal, closing: bool) -> None:
        """Count a fill, or the part of it that belongs here."""
        share = size / fill.fill_sz
        self.fee += fill.fee * share
        if closing:
            self.closed, self.got = self.closed + size, self.got + size * fill.fill_px
            self.pnl, self.end_ms = self.pnl + fill.fill_pnl, fill.fill_time
            done = LIQUIDATED if fill.trade_id.startswith("-") else CLOSED
            self.kind = PARTLY if self.left else DELEVERAGED if fill.sub_type in ADL_SUBTYPES else done
        else:
            self.opened, self.paid = self.opened + size, self.paid + size * fill.fill_px
            self.largest = max(self.largest, self.left)


def closings(client: Client, contracts: Mapping[str, Contract]) -> list[Row]:
    """A row for each position that was closed, wholly or in part."""
    return [_row(client, each, contracts[each.inst_id].ct_val) for each in _rounds(client.fills) if each.closed]


def _rounds(fills: list[FillRow]) -> list[Round]:
    done: list[Round] = []
    held: dict[str, Round] = {}
    for fill in fills:
        sign = 1 if fill.side == "buy" else -1
        current, size = held.get(fill.inst_id), fill.fill_sz
        if current and current.left and current.sign != sign:
            part = min(size, current.left)
            current.add(fill, part, closing=True)
            size -= part
        if size:
            if current is None or not current.left:
                current = held[fill.inst_id] = Round(fill.inst_id, sign, fill.fill_time)
                done.append(current)
            current.add(fill, size, closing=False)
    return done


def _row(client: Client, each: Round, ct_val: Decimal) -> Row:
    end_ms = each.end_ms if not each.left else 2**63
    told = [b for b in client.bills if b.inst_id == each.inst_id and not b.trade_id and each.start_ms <= b.ts <= end_ms]
    funding, penalty = (sum((b.change for b in told if b.type == kind), ZERO) for kind in (FUNDED, FORCED))
    order = next((o for o in client.orders.values() if o.inst_id == each.inst_id and o.c_time <= each.start_ms <= o.u_time), None)
    held = next((h for h in client.holdings.values() if h.inst_id == each.inst_id), None)
    lever = order.lever if order else held.lever if held else Decimal(1)
    result = each.pnl + each.fee + funding + penalty
    return {
        "instType": "SWAP",
        "instId": each.inst_id,
        "mgnMode": order.td_mode if order else held.mgn_mode if held else "",
        "type": each.kind,
        "cTime": str(each.start_ms),
        "uTime": str(each.end_ms),
        "openAvgPx": text(divided(each.paid, each.opened)),
        "closeAvgPx": text(divided(each.got, each.closed)),
        "posId": held.pos_id if held else "",
        "openMaxPos": text(each.largest),
        "closeTotalPos": text(each.closed),
        "pnl": text(each.pnl),
        "realizedPnl": text(result),
        "pnlRatio": text(divided(result, each.paid * ct_val / lever)),
        "fee": text(each.fee),
        "fundingFee": text(funding),
        "liqPenalty": text(penalty),
        "lever": text(lever),
        "direction": "long" if each.sign > 0 else "short",
        "posSide": "net",
        "triggerPx": "",
        "uly": each.inst_id.removesuffix("-SWAP"),
        "ccy": CURRENCY,
    }
