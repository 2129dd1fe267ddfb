"""Margin of positions and orders, in quote currency (specs: okx-wire §6)."""

from __future__ import annotations

from decimal import Decimal

from alpha_arena.exchange.embedded.contracts import SwapContract
from alpha_arena.exchange.embedded.state import ZERO, Client, Holding, PlacedOrder


def upl(held: Holding, rules: SwapContract, mark: Decimal) -> Decimal:
    """Unrealised profit at the mark price."""
    return rules.base(held.pos) * (mark - held.avg_px) if held.pos else ZERO


def initial(held: Holding, rules: SwapContract, mark: Decimal) -> Decimal:
    """What the position holds of the account: its own margin, or where crossed its worth by its leverage."""
    if held.mgn_mode == "isolated":
        return held.margin
    return rules.base(abs(held.pos)) * mark / held.lever


def maintenance(held: Holding, rules: SwapContract, mark: Decimal) -> Decimal:
    """What must be left for it not to be liquidated, the closing fee aside."""
    return rules.base(abs(held.pos)) * mark * rules.tier(held.pos).mmr


def free(client: Client) -> Decimal:
    """What covers crossed positions: cash that is not the margin of isolated ones."""
    return client.cash - sum((held.margin for held in client.holdings.values()), ZERO)


def doomed(held: Holding, rules: SwapContract, mark: Decimal, taker: Decimal, free: Decimal) -> bool:
    """Whether it is to be liquidated at a mark price. free: what covers a crossed position."""
    if not held.pos:
        return False
    cover = (held.margin if held.mgn_mode == "isolated" else free) + upl(held, rules, mark)
    return cover <= maintenance(held, rules, mark) + rules.base(abs(held.pos)) * mark * taker


def liquidation_px(held: Holding, rules: SwapContract, taker: Decimal, free: Decimal) -> Decimal | None:
    """The mark price at which it is liquidated; None where no price above 0 does it."""
    if not held.pos:
        return None
    size, side = rules.base(abs(held.pos)), 1 if held.pos > 0 else -1
    cover = held.margin if held.mgn_mode == "isolated" else free
    price = (size * held.avg_px - side * cover) / (size * (1 - side * (rules.tier(held.pos).mmr + taker)))
    return price if price > 0 else None


def of_order(order: PlacedOrder, rules: SwapContract, price: Decimal, taker: Decimal) -> Decimal:
    """Margin and fee that the open part of an order keeps ready; nothing for one that only reduces."""
    if order.reduce_only:
        return ZERO
    worth = rules.base(order.sz - order.acc_fill_sz) * (order.px or price)
    return worth / order.lever + worth * taker
