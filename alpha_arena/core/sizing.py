"""From a target to an order: what happens at the close of a bar (specs: simulation, "At the close of bar t")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil, copysign, floor, isnan

from alpha_arena.core.accounting import closing, tidy
from alpha_arena.core.costs import Costs
from alpha_arena.core.types import BOTH_SIDES, Instrument, Order, Position, Target

LEVERAGE_USED = 0.98
LOT_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do for a symbol after a close.

    Attributes:
        orders: market orders for the next open: first what closes (reduce-only), then what opens. None does both, so that an exit in
            between cannot turn a close into a position.
        position: the held position with new levels and arming.
    """

    orders: tuple[Order, ...]
    position: Position


def floor_lots(quantity: float, lot: float) -> float:
    """Round an unsigned quantity (base currency) down to whole lots; a quotient within 1e-9 below an integer counts as that integer."""
    return tidy(floor(quantity / lot + LOT_TOLERANCE) * lot)


def towards_entry(level: float, entry: float, tick: float) -> float:
    """A level rounded to the tick, towards the entry price, so that rounding never adds risk; NaN stays NaN."""
    if isnan(level):
        return level
    ticks = level / tick
    nearest = round(ticks)
    if abs(ticks - nearest) < 1e-6:
        return round(nearest * tick, 10)
    return round((ceil(ticks) if level < entry else floor(ticks)) * tick, 10)


def rounded_levels(target: Target, price: float, tick: float) -> Target:
    """The target with its levels on the tick grid, seen from the close."""
    if isnan(target.stop) and isnan(target.take):
        return target
    return target.with_levels(towards_entry(target.stop, price, tick), towards_entry(target.take, price, tick))


def cap_exposures(targets: Mapping[str, Target], leverage: float) -> Mapping[str, Target]:
    """Limit the sum of |exposure| / leverage over all symbols to 0.98, scaling all equally."""
    used = sum([abs(target.exposure) for target in targets.values()]) / leverage
    if used <= LEVERAGE_USED:
        return targets
    return {symbol: replace(target, exposure=target.exposure * LEVERAGE_USED / used) for symbol, target in targets.items()}


def rearm(position: Position, exposure: float, bars_since_exit: int, rearm_bars: int) -> tuple[Position, float]:
    """Apply disarming after a protective exit.

    Returns:
        the position (armed again when its time has come or a target of another sign is seen) and the exposure as it may be read.
    """
    if not position.disarmed:
        return position, exposure
    side = int(exposure > 0) - int(exposure < 0)
    if side and bars_since_exit < rearm_bars and position.disarmed in (side, BOTH_SIDES):
        return replace(position, disarmed=side), 0.0
    return replace(position, disarmed=0, disarmed_ts=0), exposure


def desired_quantity(exposure: float, equity: float, price: float, lot: float, min_notional: float) -> float:
    """Signed quantity for a target, whole lots rounded down; 0 below the smallest notional or without equity."""
    if equity <= 0 or not exposure:
        return 0.0
    size = floor_lots(abs(exposure) * equity / price, lot)
    return copysign(size, exposure) if size and size * price >= min_notional else 0.0


def too_small(change_quote: float, equity: float, costs: Costs) -> bool:
    """Whether a change of a held position, in quote currency, is not worth an order."""
    return change_quote < max(costs.min_notional, costs.diff_threshold, costs.diff_fraction * equity)


def tighter(held: float, offered: float, side: int) -> float:
    """The stop to hold: the offered one where it is nearer or none is held. A stop never loosens."""
    if isnan(offered):
        return held
    return offered if isnan(held) or (offered - held) * side > 0 else held


def hold_levels(position: Position, target: Target, exposure: float) -> Position:
    """The held position with the target's levels, where the target has its side."""
    if position.quantity * exposure <= 0:
        return position
    take = position.take if isnan(target.take) else target.take
    return position.with_levels(tighter(position.stop, target.stop, position.side), take)


def order_quantity(desired: float, held: float, price: float, equity: float, costs: Costs, forced: bool) -> float:
    """Signed quantity to trade, 0 for none."""
    if desired == held:
        return 0.0
    change = tidy(desired - held)
    adjusts = desired * held > 0 and not (forced and abs(desired) < abs(held))
    return 0.0 if adjusts and too_small(abs(change) * price, equity, costs) else change


def legs(change: float, position: Position, target: Target, symbol: str, name: Callable[[str], str]) -> tuple[Order, ...]:
    """The orders for a signed change: the part that closes, then the part that opens, with the levels of the target; none for 0."""
    if not change:
        return ()
    closed = closing(position, change)
    opened = tidy(change - closed)
    out = (Order(name("exit"), symbol, closed, reduce_only=True),) if closed else ()
    return (*out, Order(name("entry"), symbol, opened, stop=target.stop, take=target.take)) if opened else out


def plan(
    target: Target,
    position: Position,
    equity: float,
    price: float,
    instrument: Instrument,
    costs: Costs,
    bars_since_exit: int,
    name: Callable[[str], str],
) -> Plan:
    """The orders that bring a position to its target, and the levels it is held with meanwhile.

    Args:
        target: after decider and risk rules, its exposure capped by cap_exposures.
        equity, price: at the close, quote currency.
        bars_since_exit: rows since the last protective exit of the position.
        name: client order id of a leg, "exit" or "entry".
    """
    position, exposure = rearm(position, target.exposure, bars_since_exit, costs.rearm_bars)
    desired = desired_quantity(exposure, equity, price, instrument.lot, costs.min_notional)
    change = order_quantity(desired, position.quantity, price, equity, costs, target.forced)
    return Plan(legs(change, position, target, instrument.symbol, name), hold_levels(position, target, exposure))
