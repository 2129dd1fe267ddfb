"""Several strategies, one position (specs: simulation)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isnan, nan
from typing import Annotated

import numpy as np
from pydantic import Field

from alpha_arena.core.types import Floats, Share, Signals, Target

GlobalLeverage = Annotated[float, Field(gt=0, le=20, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class Enabled:
    """Decides among enabled strategies. leverages: max_leverage by strategy, notional / margin."""

    strategies: list[str]
    leverages: dict[str, float]

    @property
    def leverage(self) -> float:
        """The largest leverage of its strategies."""
        return max(self.leverages[name] for name in self.strategies)


def normalised(weights: Mapping[str, float]) -> dict[str, float]:
    """Weights that sum to 1, in the given order; the last takes the rounding."""
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def level(targets: Sequence[tuple[float, Target]], pick: Callable[[Target], float], exposure: float, close: float, sign: int) -> float:
    """Share-weighted mean of the finite levels of the strategies on the target's side; NaN if none, or on the wrong side of the close."""
    given = [(weight, pick(target)) for weight, target in targets if target.exposure * exposure > 0 and not isnan(pick(target))]
    total = sum(weight for weight, _ in given)
    if not total:
        return nan
    mean = sum(weight * value for weight, value in given) / total
    return mean if (mean - close) * sign * exposure > 0 else nan


def combine(shares: Sequence[Share], signals: Mapping[str, Signals], t: int, close: float, global_leverage: float) -> Target:
    """One target from weighted strategies.

    Args:
        shares: weights that sum to 1; their exposures are filled in here.
        global_leverage: g, by which the weighted sum is clipped on both sides.
    """
    targets = [(share.weight, signals[share.strategy_id].at(t)) for share in shares]
    total = sum(weight * target.exposure for weight, target in targets)
    exposure = min(max(total, -global_leverage), global_leverage)
    held = tuple(replace(share, exposure=target.exposure) for share, (_, target) in zip(shares, targets, strict=True))
    return Target(
        exposure=exposure,
        stop=level(targets, lambda target: target.stop, exposure, close, -1),
        take=level(targets, lambda target: target.take, exposure, close, 1),
        confidence=round(sum(weight * target.confidence for weight, target in targets), 12),
        why=reason(held, exposure),
        shares=held,
    )


def over_rows(weights: Floats, signals: Sequence[Signals], close: Floats, global_leverage: float) -> Signals:
    """What `combine` makes of each row, over whole arrays.

    Args:
        weights: of each strategy at each row, a row's sum to 1; shape [T, strategies]. signals: of each strategy, shape [T].
    """
    total, sure = np.zeros(close.size), np.zeros(close.size)
    for weight, own in zip(weights.T, signals, strict=True):
        total, sure = total + weight * own.exposure, sure + weight * own.confidence
    exposure = np.clip(total, -global_leverage, global_leverage)
    stop, take = (level_rows(weights, signals, name, exposure, close, sign) for name, sign in (("stop", -1), ("take", 1)))
    return Signals(exposure, stop, take, np.round(sure, 12))


def level_rows(weights: Floats, signals: Sequence[Signals], name: str, exposure: Floats, close: Floats, sign: int) -> Floats:
    """As `level` at each row. name: stop or take."""
    total, summed = np.zeros(close.size), np.zeros(close.size)
    for weight, own in zip(weights.T, signals, strict=True):
        value = getattr(own, name)
        given = (own.exposure * exposure > 0) & ~np.isnan(value)
        total, summed = total + np.where(given, weight, 0.0), summed + np.where(given, weight * value, 0.0)
    mean = np.divide(summed, total, out=np.full(close.size, nan), where=total > 0)
    return np.where((mean - close) * sign * exposure > 0, mean, nan)


def reason(shares: Sequence[Share], exposure: float) -> str:
    """Which strategies stand behind a target, in one sentence."""
    active = [f"{share.strategy_id} {share.exposure:+.2f} x {share.weight:.0%}" for share in shares if share.exposure and share.weight]
    return f"exposure {exposure:+.2f} from {', '.join(active)}" if active else "no strategy is in a position"
