"""How fills and payments change an account: the one place for it, used by backtest, paper, live and training."""

from __future__ import annotations

from dataclasses import replace
from math import nan

from alpha_arena.core.types import BOTH_SIDES, Account, Fill, Payment, Position

QUANTITY_DIGITS = 10


def tidy(quantity: float) -> float:
    """The shortest float of a quantity, so that sums of lots compare equal; -0 becomes 0."""
    return round(quantity, QUANTITY_DIGITS) + 0.0


def closing(position: Position, quantity: float) -> float:
    """The part of a signed quantity that closes the position; 0 where it only opens or adds."""
    if position.quantity * quantity >= 0:
        return 0.0
    return quantity if abs(quantity) <= abs(position.quantity) else -position.quantity


def realised(position: Position, fill: Fill) -> float:
    """Profit that a fill realises before its fee, quote currency: the closed part at fill price against average entry."""
    closed = closing(position, fill.quantity)
    return -closed * (fill.price - position.entry) if closed else 0.0


def fill_position(position: Position, fill: Fill) -> Position:
    """The position after a fill. Additions average the entry price, reductions keep it; a closed position loses its levels."""
    closed = closing(position, fill.quantity)
    opened = tidy(fill.quantity - closed)
    kept = tidy(position.quantity + closed)
    if not opened:
        return replace(position, quantity=kept) if kept else replace(position, quantity=0.0, entry=nan, stop=nan, take=nan)
    if not kept:
        return replace(position, quantity=opened, entry=fill.price, stop=nan, take=nan)
    entry = (kept * position.entry + opened * fill.price) / (kept + opened)
    return replace(position, quantity=tidy(kept + opened), entry=entry)


def book(account: Account, fill: Fill) -> Account:
    """The account after a fill: cash changes by the realised profit less the fee."""
    position = account.position(fill.symbol)
    return account.put(fill.symbol, fill_position(position, fill), account.cash + realised(position, fill) - fill.fee)


def pay(account: Account, payment: Payment) -> Account:
    """The account after a funding payment."""
    return Account(account.cash + payment.amount, account.positions)


def disarmed(position: Position, side: int, ts: int) -> Position:
    """The position after a protective exit of `side` in the bar that opened at `ts` (specs: simulation, "At the close of bar t", 1)."""
    both = position.disarmed == -side and position.disarmed_ts == ts
    return replace(position, disarmed=BOTH_SIDES if both else side, disarmed_ts=ts)


def margin(position: Position, leverage: float) -> float:
    """Margin held, quote currency: |quantity| x entry / leverage (specs: simulation, "Inside bar t", 3)."""
    return abs(position.quantity) * position.entry / leverage if position.quantity else 0.0


def margins(account: Account, leverage: float) -> float:
    """Margin held over all symbols, quote currency."""
    return sum(margin(position, leverage) for position in account.positions.values())


def liquidation_price(position: Position, leverage: float, maintenance: float, taker_fee: float) -> float:
    """Price at which an isolated position is liquidated (specs: quant §5); NaN while flat, not positive for a long without leverage.

    Args:
        leverage: notional / margin at entry.
        maintenance: maintenance margin, fraction of notional.
        taker_fee: fraction of notional.
    """
    if not position.quantity:
        return nan
    size = abs(position.quantity)
    worth = size * position.entry
    held = margin(position, leverage)
    if position.quantity > 0:
        return (worth - held) / (size * (1 - maintenance - taker_fee))
    return (worth + held) / (size * (1 + maintenance + taker_fee))
