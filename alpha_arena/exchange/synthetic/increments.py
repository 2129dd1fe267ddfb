"""The log return of each minute as a whole number of units of 2^-40.

Whole numbers add up to the same sum in any order and from any start, so that levels do not depend on how they were reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from alpha_arena.core.types import Floats, Ints
from alpha_arena.exchange.synthetic.exact import exp, log, normal
from alpha_arena.exchange.synthetic.model import MINUTES_A_DAY, Contract, Model
from alpha_arena.exchange.synthetic.noise import Span, Words, uniform
from alpha_arena.exchange.synthetic.volatility import Volatility, minute_scale, regime_values, volatility, volatility_name

UNIT = 2.0**-40


def whole(x: Floats) -> Ints:
    """Rounded to units, half to even."""
    return np.rint(x * 2.0**40).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Increments:
    """What the minutes of a span add to the log price, before the pull towards the anchor.

    Attributes:
        units: log returns in units of 2^-40; sigma: of each minute's shock; volatility: its logarithm's parts. Shape [T] each.
    """

    units: Ints
    sigma: Floats
    volatility: Volatility


def increments(model: Model, contract: Contract, span: Span) -> Increments:
    """Shock + drift - reversal of the last hour's mean shock + following of the last move in a burst."""
    memory = max(2 * max(model.follow_minutes) + max(model.follow_minutes), model.reversal_minutes)
    state = volatility(model, contract, span.earlier(memory))
    sigma = state.factor * (minute_scale(model) * contract.volatility)
    shocks = whole(sigma * shock(model, contract, span.earlier(memory)))
    total = np.concatenate([np.zeros(1, np.int64), np.cumsum(shocks)])
    units = shocks[memory:] + drift(model, contract, span)
    units -= reversal(model, span, total, memory)
    units += followed(model, span, total, memory)
    kept = Volatility(state.fast[memory:], state.slow[memory:], state.season[memory:])
    return Increments(units, sigma[memory:], kept)


def shock(model: Model, contract: Contract, span: Span) -> Floats:
    """Correlated shocks in sigmas, one a minute."""
    market = jumpy(model, span.words("shock"))
    own = jumpy(model, span.words(f"shock/{contract.symbol}"))
    return market * contract.rho + own * sqrt(1.0 - contract.rho * contract.rho)


def jumpy(model: Model, words: Words) -> Floats:
    """Standard normals of which a few are multiplied by a number whose tail has exponent 3; shape [T]."""
    z = normal(uniform(words[:, 0]))
    jump = np.flatnonzero(uniform(words[:, 1]) < model.jump_probability)
    size = model.jump_scale * exp(log(uniform(words[jump, 2])) * (-1.0 / 3.0))
    z[jump] *= np.minimum(size, model.jump_limit)
    return z


def drift(model: Model, contract: Contract, span: Span) -> Ints:
    """The regime's drift a minute; a day's is in unconditional daily sigmas."""
    return whole(regime_values(model, span, "drift") * (model.contrast * daily_sigma(model, contract) / MINUTES_A_DAY))


def daily_sigma(model: Model, contract: Contract) -> float:
    """The unconditional standard deviation of a day's log return."""
    return model.yearly_volatility * contract.volatility / sqrt(365.0)


def reversal(model: Model, span: Span, total: Ints, memory: int) -> Ints:
    """The regime's part of the mean shock of the minutes before.

    Args:
        total: running sums of the shocks from `memory` minutes before the span, the first of them 0.
    """
    n = model.reversal_minutes
    recent = total[memory:-1] - total[memory - n : -1 - n]
    part = regime_values(model, span, "reversal") * (model.contrast / n)
    return np.rint(recent * part).astype(np.int64)


def followed(model: Model, span: Span, total: Ints, memory: int) -> Ints:
    """Bursts of volatility run with the move before them, lulls against it: mean 0, independent of all before the cell."""
    result = np.zeros(len(span), np.int64)
    variances = dict(model.volatility)
    for duration in model.follow_minutes:
        cells = span.cells(volatility_name(duration), duration)
        excess = exp(2.0 * sqrt(variances[duration]) * cells.gauss - 2.0 * variances[duration]) - 1.0
        row = cells.begin - span.start + memory
        move = total[row] - total[row - duration]
        result += cells.spread(np.rint(excess * move * (model.follow / duration)).astype(np.int64))
    return result
