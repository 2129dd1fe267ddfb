"""How much prices move in each minute: shared and own cells, regimes and the season of the week."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import fsum, sqrt

import numpy as np
from numpy.typing import NDArray

from alpha_arena.core.types import Floats
from alpha_arena.exchange.synthetic.exact import exp, interpolate, log
from alpha_arena.exchange.synthetic.model import MINUTES_A_DAY, MINUTES_A_YEAR, Contract, Model
from alpha_arena.exchange.synthetic.noise import Cells, Span

WEEK = 7 * MINUTES_A_DAY
# 1970-01-01 was a Thursday
MONDAY = 4 * MINUTES_A_DAY


@dataclass(frozen=True, slots=True)
class Volatility:
    """Log of a minute's sigma in units of the symbol's scale, in three parts; shape [T] each.

    Attributes:
        fast: cells shorter than the model's slow_minutes. slow: longer cells and the regime. season: hour and weekday.
    """

    fast: Floats
    slow: Floats
    season: Floats

    @property
    def factor(self) -> Floats:
        """exp of the sum."""
        return exp(self.fast + self.slow + self.season)


def volatility(model: Model, contract: Contract, span: Span) -> Volatility:
    """The log volatility of the span."""
    fast, slow = np.zeros(len(span)), regime_values(model, span, "log_volatility")
    for duration, variance in model.volatility:
        part = slow if duration >= model.slow_minutes else fast
        part += gauss(span, volatility_name(duration), duration, variance)
    for duration in model.own_volatility:
        part = slow if duration >= model.slow_minutes else fast
        part += gauss(span, f"volatility/{contract.symbol}/{duration}", duration, contract.own_variance)
    return Volatility(fast, slow, season(model)[(span.minutes - MONDAY) % WEEK])


def volatility_name(duration: int) -> str:
    """The stream of the shared cells of that duration."""
    return f"volatility/{duration}"


def gauss(span: Span, name: str, duration: int, variance: float) -> Floats:
    """Normal cells of that variance, one value a minute."""
    cells = span.cells(name, duration)
    return cells.spread(cells.gauss * sqrt(variance))


def regime_cells(model: Model, span: Span) -> tuple[Cells, NDArray[np.int64]]:
    """The regimes' cells and each one's number."""
    cells = span.cells("regime", model.regime_minutes)
    limits = np.cumsum([regime.probability for regime in model.regimes])[:-1]
    return cells, np.searchsorted(limits, cells.value, side="right")


def regime_values(model: Model, span: Span, field: str) -> Floats:
    """A number of the regime in force, one a minute."""
    cells, number = regime_cells(model, span)
    return cells.spread(np.array([float(getattr(regime, field)) for regime in model.regimes])[number])


@lru_cache(maxsize=8)
def season(model: Model) -> Floats:
    """Log factor of each minute of the week from Monday 00:00 UTC, interpolated between the middles of hours and of days."""
    minute = np.arange(WEEK, dtype=np.float64)
    hour = around(np.asarray(model.hours), 60.0, minute % MINUTES_A_DAY)
    return hour + around(np.asarray(model.weekdays), float(MINUTES_A_DAY), minute)


def around(factors: Floats, width: float, minute: Floats) -> Floats:
    """Linear between the logs of factors that stand at the middles of a circle's equal parts."""
    middles = (np.arange(-1, factors.size + 1, dtype=np.float64) + 0.5) * width
    return interpolate(minute, middles, log(np.concatenate([factors[-1:], factors, factors[:1]])))


@lru_cache(maxsize=8)
def minute_scale(model: Model) -> float:
    """The sigma of a minute at log volatility 0 that makes the year's volatility the model's, in closed form."""
    cells = fsum(variance for _, variance in model.volatility)
    shifts = exp(2.0 * np.array([regime.log_volatility for regime in model.regimes]))
    regimes = fsum(r.probability * s for r, s in zip(model.regimes, shifts.tolist(), strict=True))
    seasons = fsum(exp(2.0 * season(model)).tolist()) / WEEK
    jumps = 1.0 + model.jump_probability * (2.6 * model.jump_scale * model.jump_scale - 1.0)
    mean = float(exp(np.array([2.0 * cells]))[0]) * regimes * seasons * jumps
    return model.yearly_volatility / sqrt(MINUTES_A_YEAR * mean)
