"""What the swap costs above its index, and the funding that follows from it."""

from __future__ import annotations

from math import sqrt

import numpy as np

from alpha_arena.core.types import Floats, Ints
from alpha_arena.exchange.synthetic.exact import interpolate
from alpha_arena.exchange.synthetic.increments import UNIT, daily_sigma, whole
from alpha_arena.exchange.synthetic.levels import Levels
from alpha_arena.exchange.synthetic.model import MINUTES_A_DAY
from alpha_arena.exchange.synthetic.noise import Span
from alpha_arena.exchange.synthetic.volatility import gauss

SETTLEMENT_MINUTES = 480
BP = 1e-4
INTEREST_BP, BAND_BP, LIMIT_BP = 1.0, 5.0, 37.5
MOMENTUM_LIMIT = 2.5


def premium(levels: Levels, span: Span) -> Floats:
    """log(last / index) at the close of each minute, shape [T]."""
    knots = np.array(levels.model.premium_map)
    return interpolate(pressure(levels, span), knots[:, 0], knots[:, 1]) * BP


def pressure(levels: Levels, span: Span) -> Floats:
    """Demand for the swap, near a standard normal: slow cells, common and own, and the momentum of the days before."""
    model = levels.model
    total = momentum(levels, span)
    for duration, weight in model.premium:
        shared, own = weight * model.premium_shared, weight * model.premium_own
        total += gauss(span, f"premium/{duration}", duration, shared * shared)
        total += gauss(span, f"premium/{levels.contract.symbol}/{duration}", duration, own * own)
    return total


def momentum(levels: Levels, span: Span) -> Floats:
    """Past returns up to the start of the minute's day, in their sigmas, weighted; one a minute."""
    first, last = span.start // MINUTES_A_DAY, -(-span.end // MINUTES_A_DAY)
    days = np.array([day_momentum(levels, day) for day in range(first, last)])
    return days[span.minutes // MINUTES_A_DAY - first]


def day_momentum(levels: Levels, day: int) -> float:
    """The weighted past returns known at 00:00 UTC of the day."""
    sigma = daily_sigma(levels.model, levels.contract)
    total = 0.0
    for days, weight in levels.model.momentum:
        move = (levels.at(day) - levels.at(day - days)) * UNIT / (sigma * sqrt(days))
        total += weight * min(max(move, -MOMENTUM_LIMIT), MOMENTUM_LIMIT)
    return total


def funding_rates(levels: Levels, settlements: Ints) -> Floats:
    """Rate of each settlement (minutes since 1970, one every eight hours without gaps): a fraction, in steps of 1e-8."""
    span = Span(levels.seed, int(settlements[0]) - SETTLEMENT_MINUTES, int(settlements[-1]))
    units = whole(premium(levels, span)).reshape(-1, SETTLEMENT_MINUTES).sum(axis=1)
    p = units * (UNIT / (SETTLEMENT_MINUTES * BP))
    rate = p + clamp(INTEREST_BP - p, BAND_BP)
    return np.rint(clamp(rate, LIMIT_BP) * 1e4) / 1e8


def clamp(x: Floats, limit: float) -> Floats:
    """Within -limit .. limit."""
    return np.minimum(np.maximum(x, -limit), limit)
