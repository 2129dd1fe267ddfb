"""Whether an account may place an order: what depends on what it has (specs: okx-wire §7, from reduceOnly on)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from alpha_arena.exchange.embedded.algos import live
from alpha_arena.exchange.embedded.algos import price as seen
from alpha_arena.exchange.embedded.codes import refused, wrong
from alpha_arena.exchange.embedded.feed import Point
from alpha_arena.exchange.embedded.margin import of_order
from alpha_arena.exchange.embedded.money import signed
from alpha_arena.exchange.embedded.ports import AlgoTicket, Ticket
from alpha_arena.exchange.embedded.state import ZERO, Client, PlacedOrder

if TYPE_CHECKING:
    from alpha_arena.exchange.embedded.exchange import EmbeddedExchange

MOST_PENDING = 500


def accept(exchange: EmbeddedExchange, client: Client, order: PlacedOrder, ticket: Ticket) -> None:
    """Refuse an order that the account may not place. In profile spec levels and margin are the matching's business, at the open.

    Raises:
        Rejection: 51169, 51170, 51046 to 51049, 51100, 51004, 51008, 51102.
    """
    held = client.holdings.get((order.inst_id, order.td_mode))
    pos, change = held.pos if held else ZERO, signed(order.side, order.sz)
    price = ZERO if exchange.profile.spec else order.px or exchange.last(order.inst_id)
    if order.reduce_only:
        reducing(pos, change)
    if not exchange.profile.spec:
        levels(order, ticket, price)
    if order.reduce_only and ticket.attached:
        raise refused("51100")
    if not order.reduce_only and abs(pos + change) > largest(exchange, order):
        raise refused("51004")
    if not order.reduce_only and not exchange.profile.spec:
        covered(exchange, client, order, pos, change, price)
    if sum(other.open and other.inst_id == order.inst_id for other in client.orders.values()) >= MOST_PENDING:
        raise refused("51102")


def amended(exchange: EmbeddedExchange, client: Client, order: PlacedOrder, sz: Decimal, px: Decimal | None) -> None:
    """Refuse a larger size or a dearer price that the account could not have placed either.

    Raises:
        Rejection: 51004, 51008.
    """
    price, filled = px or exchange.last(order.inst_id), order.acc_fill_sz
    if order.reduce_only or (sz - filled) * price <= (order.sz - filled) * (order.px or price):
        return
    held = client.holdings.get((order.inst_id, order.td_mode))
    pos, change = held.pos if held else ZERO, signed(order.side, sz - filled)
    if abs(pos + change) > largest(exchange, order):
        raise refused("51004")
    if not exchange.profile.spec:
        kept = of_order(order, exchange.contracts[order.inst_id], exchange.mark(order.inst_id), exchange.profile.taker)
        covered(exchange, client, order, pos, change, price, kept)


def reducing(pos: Decimal, change: Decimal) -> None:
    """A reduce-only order needs a position of the other side."""
    if not pos:
        raise refused("51169")
    if pos * change > 0:
        raise refused("51170")


def largest(exchange: EmbeddedExchange, order: PlacedOrder) -> Decimal:
    """The largest position that the order's leverage allows, contracts."""
    steps = [tier.max_sz for tier in exchange.contracts[order.inst_id].tiers if tier.max_lever >= order.lever]
    return steps[-1] if steps else ZERO


def levels(order: PlacedOrder, ticket: Ticket, price: Decimal) -> None:
    """Attached levels lie on their sides of the price."""
    buys = order.side == "buy"
    side = 1 if buys else -1
    for each in ticket.attached:
        if each.tp_trigger_px is not None and (each.tp_trigger_px - price) * side <= 0:
            raise refused("51046" if buys else "51048")
        if each.sl_trigger_px is not None and (price - each.sl_trigger_px) * side <= 0:
            raise refused("51047" if buys else "51049")


def only_whole(client: Client, ticket: AlgoTicket) -> None:
    """One order alone may close the whole of a position, whatever its size will be.

    Raises:
        Rejection: 51000, there is one.
    """
    waiting = live(client, ticket.inst_id) if ticket.close_fraction else []
    if any(algo.close_fraction and algo.td_mode == ticket.td_mode for algo in waiting):
        raise wrong("closeFraction")


def ahead(ticket: AlgoTicket, now: Point) -> None:
    """Levels of a TP/SL order have not been reached yet by the price that they look at.

    Raises:
        Rejection: 51279 for the take, 51280 for the stop.
    """
    side, words = (1, ("lower", "higher")) if ticket.side == "sell" else (-1, ("higher", "lower"))
    tp, sl = (Decimal(repr(seen(now, kind))) for kind in (ticket.tp_trigger_px_type, ticket.sl_trigger_px_type))
    if ticket.tp_trigger_px is not None and (ticket.tp_trigger_px - tp) * side <= 0:
        raise refused("51279", words[0])
    if ticket.sl_trigger_px is not None and (sl - ticket.sl_trigger_px) * side <= 0:
        raise refused("51280", words[1])


def covered(
    exchange: EmbeddedExchange, client: Client, order: PlacedOrder, pos: Decimal, change: Decimal, price: Decimal, kept: Decimal = ZERO
) -> None:
    """What the order opens has its margin and its fee. kept: what it holds ready already."""
    closed = min(abs(pos), abs(change)) if pos * change < 0 else ZERO
    worth = exchange.contracts[order.inst_id].base(abs(change) - closed) * price
    if worth / order.lever + worth * exchange.profile.taker > exchange.available(client) + kept:
        raise refused("51008")
