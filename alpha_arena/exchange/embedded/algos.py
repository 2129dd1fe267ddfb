"""TP/SL and trigger orders: where they come from, when they act, and what they then send (specs: okx-wire §5)."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from alpha_arena.exchange.embedded.feed import Point
from alpha_arena.exchange.embedded.money import Cashier, Numbers, opposite
from alpha_arena.exchange.embedded.state import Algo, Attached, Client, Holding, PlacedOrder

ATTACH_FAILED = "51279"
MADE_BY_LEVEL, MADE_BY_TRIGGER = "7", "6"


class Hit(NamedTuple):
    """A level that was reached: which ("sl", "tp", "" for a trigger), its price, and the order price (None: market)."""

    side: str
    level: Decimal
    order_px: Decimal | None


def attach(cashier: Cashier, client: Client, order: PlacedOrder, ts: int, fails: bool = False) -> None:
    """Make the protection that a parent order carries, for what is filled of it; a failure is told in the parent."""
    held, order.attached = order.attached, list(order.attached)
    for each in held:
        if fails:
            each.fail_code, each.fail_reason = ATTACH_FAILED, "The take profit or stop loss could not be placed"
            continue
        algo = of_attached(each, order, cashier.numbers, ts)
        client.algos[algo.algo_id] = algo
        cashier.touch(client, "algo", algo.algo_id, algo)
    order.attached = [each for each in held if each.fail_code]
    cashier.touch(client, "order", order.ord_id, order)


def of_attached(each: Attached, order: PlacedOrder, numbers: Numbers, ts: int) -> Algo:
    """A protection becomes an order of its own; its id differs from the one it had in its parent."""
    both = each.tp_trigger_px is not None and each.sl_trigger_px is not None
    return Algo(
        algo_id=numbers.take(),
        algo_cl_ord_id=each.algo_cl_ord_id,
        inst_id=order.inst_id,
        td_mode=order.td_mode,
        side=opposite(order.side),
        ord_type="oco" if both else "conditional",
        sz=min(each.sz or order.acc_fill_sz, order.acc_fill_sz),
        reduce_only=True,
        lever=order.lever,
        c_time=ts,
        u_time=ts,
        cxl_on_close_pos=True,
        tp_trigger_px=each.tp_trigger_px,
        tp_ord_px=each.tp_ord_px,
        tp_trigger_px_type=each.tp_trigger_px_type,
        sl_trigger_px=each.sl_trigger_px,
        sl_ord_px=each.sl_ord_px,
        sl_trigger_px_type=each.sl_trigger_px_type,
    )


def hit(algo: Algo, point: Point, pessimistic: bool) -> Hit | None:
    """The level that a point reaches; of both the stop. Pessimistic: also where only its bar reaches the stop."""
    if algo.ord_type == "trigger":
        return _crossed(algo, point)
    down = algo.side == "sell"
    stop = _reached(algo.sl_trigger_px, price(point, algo.sl_trigger_px_type), below=down)
    take = _reached(algo.tp_trigger_px, price(point, algo.tp_trigger_px_type), below=not down)
    feared = take and pessimistic and _reached(algo.sl_trigger_px, point.low if down else point.high, below=down)
    if (stop or feared) and algo.sl_trigger_px is not None:
        return Hit("sl", algo.sl_trigger_px, algo.sl_ord_px)
    return Hit("tp", algo.tp_trigger_px, algo.tp_ord_px) if take and algo.tp_trigger_px is not None else None


def price(point: Point, kind: str) -> float:
    """The price of a point that a trigger looks at."""
    return point.mark if kind == "mark" else point.index if kind == "index" else point.last


def _reached(level: Decimal | None, at: float, below: bool) -> bool:
    return level is not None and (at <= level if below else at >= level)


def _crossed(algo: Algo, point: Point) -> Hit | None:
    at = price(point, algo.trigger_px_type)
    if algo.trigger_px is None or not _reached(algo.trigger_px, at, below=algo.trigger_px < algo.ref_px):
        return None
    return Hit("", algo.trigger_px, algo.order_px)


def child(algo: Algo, reached: Hit, holding: Holding | None, numbers: Numbers, ts: int) -> PlacedOrder | None:
    """The order that an algo sends; None where it may only reduce and there is nothing to reduce."""
    closes = holding is not None and holding.pos and (holding.pos > 0) == (algo.side == "sell")
    left = abs(holding.pos) if holding is not None and closes else Decimal(0)
    sz = left if algo.sz is None else min(algo.sz, left) if algo.reduce_only else algo.sz
    if not sz:
        return None
    kind = "market" if reached.order_px is None else "limit"
    order = PlacedOrder(
        numbers.take(), "", algo.inst_id, algo.td_mode, algo.side, kind, sz, reached.order_px, algo.reduce_only, algo.lever, ts, ts
    )
    order.source = MADE_BY_TRIGGER if algo.ord_type == "trigger" else MADE_BY_LEVEL
    order.algo_id, order.algo_cl_ord_id = algo.algo_id, algo.algo_cl_ord_id
    return order


def act(cashier: Cashier, client: Client, algo: Algo, reached: Hit, ts: int) -> PlacedOrder | None:
    """Make an algo effective; returns the order that it sends, None where there is nothing left to close."""
    order = child(algo, reached, client.holdings.get((algo.inst_id, algo.td_mode)), cashier.numbers, ts)
    algo.state, algo.u_time = ("effective", ts) if order else ("canceled", ts)
    if order:
        algo.ord_id, algo.trigger_time, algo.actual_side = order.ord_id, ts, reached.side
        algo.actual_sz, algo.actual_px = order.sz, reached.order_px
        client.orders[order.ord_id] = order
        cashier.touch(client, "order", order.ord_id, order)
    cashier.touch(client, "algo", algo.algo_id, algo)
    return order


def release(cashier: Cashier, client: Client, inst_id: str, mode: str, ts: int) -> None:
    """A position is flat: what was bound to it is canceled."""
    held = client.holdings.get((inst_id, mode))
    if held is None or held.pos:
        return
    for algo in live(client, inst_id):
        if algo.td_mode == mode and (algo.cxl_on_close_pos or algo.close_fraction):
            algo.state, algo.u_time = "canceled", ts
            cashier.touch(client, "algo", algo.algo_id, algo)


def live(client: Client, inst_id: str) -> list[Algo]:
    """The algos of an instrument that wait."""
    return [algo for algo in client.algos.values() if algo.state == "live" and algo.inst_id == inst_id]
