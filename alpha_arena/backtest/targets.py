"""Targets as the kernel trades them: what the trading loop makes of a strategy's signals before it sizes an order, over whole arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isnan, nan

import numpy as np

from alpha_arena.backtest.columns import Placed
from alpha_arena.core.errors import DataError
from alpha_arena.core.market import Market
from alpha_arena.core.ports import RiskRule
from alpha_arena.core.sizing import LEVERAGE_USED
from alpha_arena.core.types import Floats, Instrument, Signals
from alpha_arena.features.compiled import compiled, inlined

DECIMALS = 1e10
# From here on doubles are further apart than the tenth decimal, so that rounding to it changes nothing.
COARSE = 2.0**19
SPLIT = 2.0**27 + 1
UNPLACED = Placed(nan, nan, False, False, nan, nan)


@inlined
def ten_decimals(value: float) -> float:
    """Python's round(value, 10), to the bit: the product with 1e10 is taken exactly, as the sum of two doubles (Dekker 1971)."""
    if abs(value) >= COARSE:
        return value
    upper = value * SPLIT - (value * SPLIT - value)
    larger, smaller = upper * DECIMALS, (value - upper) * DECIMALS
    product = larger + smaller
    rest = smaller - (product - larger)
    whole = float(np.rint(product))
    left = product - whole
    above, below = (left - 0.5) + rest, (left + 0.5) + rest
    odd = whole * 0.5 != np.rint(whole * 0.5)
    # a tie goes to the even neighbour
    if above > 0 or (above == 0 and odd):
        whole += 1
    elif below < 0 or (below == 0 and odd):
        whole -= 1
    return whole / DECIMALS


@inlined
def towards(level: float, close: float, tick: float) -> float:
    """As core.sizing.towards_entry."""
    if isnan(level):
        return level
    ticks = level / tick
    nearest = np.rint(ticks)
    if abs(ticks - nearest) >= 1e-6:
        nearest = np.ceil(ticks) if level < close else np.floor(ticks)
    # integers know no negative zero
    return ten_decimals((nearest + 0.0) * tick)


@inlined
def same_level(one: float, other: float) -> bool:
    """Whether two levels are equal, or neither exists."""
    return one == other or (isnan(one) and isnan(other))


@inlined
def still_placed(last: Placed, stop: float, take: float, close: float) -> bool:
    """Whether levels are the last ones, on the same sides of the close: levels mostly stay for many bars."""
    levels = same_level(stop, last.raw_stop) and same_level(take, last.raw_take)
    return levels and (stop < close) == last.stop_below and (take < close) == last.take_below


@inlined
def placed(last: Placed, stop: float, take: float, close: float, tick: float) -> Placed:
    """Levels rounded to the tick, towards the close; NaN and infinite ones are kept."""
    if still_placed(last, stop, take, close):
        return last
    return Placed(stop, take, stop < close, take < close, towards(stop, close, tick), towards(take, close, tick))


@compiled
def on_grid(stops: Floats, takes: Floats, close: Floats, tick: float) -> tuple[Floats, Floats]:
    """`placed` on every row."""
    stop_out, take_out = np.empty(close.size), np.empty(close.size)
    last = UNPLACED
    for row in range(close.size):
        last = placed(last, stops[row], takes[row], close[row], tick)
        stop_out[row], take_out[row] = last.stop, last.take
    return stop_out, take_out


def capped(signals: Signals, leverage: float) -> Signals:
    """As core.sizing.cap_exposures does for one symbol. leverage: notional / margin."""
    used = np.abs(signals.exposure) / leverage
    over = used > LEVERAGE_USED
    if not over.any():
        return signals
    scaled = np.divide(signals.exposure * LEVERAGE_USED, used, out=signals.exposure.copy(), where=over)
    return replace(signals, exposure=scaled)


def limited(signals: Signals, market: Market, rules: Sequence[RiskRule]) -> Signals:
    """The signals after the rules that need only target and close, in their order.

    What the other rules would change is told by their `binds`.

    Args:
        signals: a row for each of the market's.

    Raises:
        DataError: rows do not match.
    """
    if signals.exposure.size != len(market):
        raise DataError(f"{len(market)} bars, {signals.exposure.size} signals do not match row by row")
    for rule in rules:
        # asking for the protocol takes longer than the rule
        over = getattr(rule, "over", None)
        if over is not None:
            signals = over(signals, market.close)
    return signals


def ready(signals: Signals, market: Market, rules: Sequence[RiskRule], instrument: Instrument) -> Signals:
    """`limited`, with levels on the tick grid as the loop has them; infinite levels, which the loop refuses, are kept.

    Raises:
        DataError: rows do not match.
    """
    signals = limited(signals, market, rules)
    stop, take = on_grid(signals.stop, signals.take, market.close, instrument.tick)
    return replace(signals, stop=stop, take=take)
