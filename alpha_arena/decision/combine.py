"""Several strategies, one position (specs: simulation)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isnan, nan
from typing import Annotated

from pydantic import Field

from alpha_arena.core.types import Share, Signals, Target

GlobalLeverage = Annotated[float, Field(gt=0, le=20, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


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


def reason(shares: Sequence[Share], exposure: float) -> str:
    """Which strategies stand behind a target, in one sentence."""
    active = [f"{share.strategy_id} {share.exposure:+.2f} x {share.weight:.0%}" for share in shares if share.exposure and share.weight]
    return f"exposure {exposure:+.2f} from {', '.join(active)}" if active else "no strategy is in a position"
