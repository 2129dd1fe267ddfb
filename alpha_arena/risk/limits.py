"""How a rule limits a target: the two shapes that all rules share."""

from __future__ import annotations

from dataclasses import replace
from math import copysign
from typing import Annotated

import numpy as np
from pydantic import Field

from alpha_arena.core.types import Bools, Floats, Target

Fraction = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
QuoteLimit = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
SLACK = 1e-9


def shrink(target: Target, limit: float, present: float, why: str) -> Target:
    """The target with |exposure| at most `limit`; where that is less than the present exposure of its side, the reduction is demanded."""
    if abs(target.exposure) <= limit:
        return target
    exposure = copysign(limit, target.exposure)
    demanded = exposure * present > 0 and abs(present) > limit * (1 + SLACK)
    return replace(target, exposure=exposure, why=why, forced=target.forced or demanded)


def hold(target: Target, present: float, why: str) -> Target:
    """Refuse new risk: no increase, a change of sign becomes flat, what was to be kept or reduced is left as it is."""
    if target.exposure * present <= 0:
        return replace(target, exposure=0.0, why=why) if target.exposure else target
    return target if abs(target.exposure) <= abs(present) * (1 + SLACK) else replace(target, exposure=present, why=why)


def held_back(exposure: Floats, present: Floats) -> Bools:
    """Where `hold` would change a target, shape [T]; without its slack, since the same exposure may differ in its last digits."""
    changed: Bools = (exposure != 0) & ((exposure * present <= 0) | (np.abs(exposure) > np.abs(present)))
    return changed


def flatten(target: Target, why: str) -> Target:
    """Demand a flat position."""
    return replace(target, exposure=0.0, why=why, forced=True) if target.exposure else target
