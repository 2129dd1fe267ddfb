"""How a decider's own decisions have done, as a model is shown it (specs: quant L9)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isfinite
from typing import Any

from alpha_arena.core.outcomes import Outcome

LEAST = 5
# returns that differ by less are alike: the order of a sum says nothing
DIGITS = 10


@dataclass(frozen=True, slots=True)
class Group:
    """A strategy or regime. mean_return: fraction of equity for the whole position; n: decisions behind it."""

    name: str
    n: int
    mean_return: float

    def told(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"name": self.name, "n": self.n, "mean_return": self.mean_return}


@dataclass(frozen=True, slots=True)
class Feedback:
    """The newest closed decisions in figures.

    Attributes:
        last: so many were looked at. n: of them held a position, and the figures are theirs; flat: went flat, which only costs a fee.
        win_rate: share with a positive return. mean_return: fraction of equity. Both None where n is too small.
        best_strategy, worst_strategy, best_regime, worst_regime: among those with enough decisions; the worst only where it differs.
    """

    last: int
    n: int
    flat: int
    win_rate: float | None = None
    mean_return: float | None = None
    best_strategy: Group | None = None
    worst_strategy: Group | None = None
    best_regime: Group | None = None
    worst_regime: Group | None = None

    @property
    def insufficient(self) -> bool:
        """Whether too few decisions are closed to say anything."""
        return self.n < LEAST

    def told(self) -> dict[str, Any]:
        """As JSON holds it."""
        figures: dict[str, Any] = {name: getattr(self, name) for name in self.__match_args__}
        figures |= {name: value.told() for name, value in figures.items() if isinstance(value, Group)}
        return {**figures, "insufficient": self.insufficient, "least": LEAST}


def feedback(outcomes: Sequence[Outcome]) -> Feedback:
    """Figures of outcomes that are closed."""
    held = [(one, won) for one in outcomes if one.exposure and isfinite(won := one.return_)]
    flat = sum(not one.exposure for one in outcomes)
    if len(held) < LEAST:
        return Feedback(len(outcomes), len(held), flat)
    best, worst = ends(by_strategy(held))
    best_regime, worst_regime = ends(by_regime(held))
    return Feedback(
        last=len(outcomes),
        n=len(held),
        flat=flat,
        win_rate=sum(won > 0 for _, won in held) / len(held),
        mean_return=fsum(won for _, won in held) / len(held),
        best_strategy=best,
        worst_strategy=worst,
        best_regime=best_regime,
        worst_regime=worst_regime,
    )


def by_strategy(held: Iterable[tuple[Outcome, float]]) -> list[Group]:
    """Of outcomes with their returns: what a whole position of each strategy would have brought, its part over the size of its parts."""
    parts: dict[str, tuple[list[float], list[float]]] = {}
    for one, won in held:
        for name, part in one.parts:
            if part:
                sizes, gains = parts.setdefault(name, ([], []))
                sizes.append(abs(part))
                gains.append(part * won)
    return [Group(name, len(sizes), fsum(gains) / fsum(sizes)) for name, (sizes, gains) in parts.items()]


def by_regime(held: Iterable[tuple[Outcome, float]]) -> list[Group]:
    """Of outcomes with their returns: each regime with the mean return of the decisions made in it."""
    returns: dict[str, list[float]] = {}
    for one, won in held:
        returns.setdefault(one.regime, []).append(won)
    return [Group(name, len(own), fsum(own) / len(own)) for name, own in returns.items()]


def ends(groups: Iterable[Group]) -> tuple[Group | None, Group | None]:
    """The best and the worst of those with enough decisions; no worst where all are alike."""
    known = sorted((group for group in groups if group.n >= LEAST), key=lambda group: (round(group.mean_return, DIGITS), group.name))
    if not known:
        return None, None
    worst, best = known[0], known[-1]
    return best, worst if round(worst.mean_return, DIGITS) < round(best.mean_return, DIGITS) else None


def lines(found: Feedback, six: Callable[[float], str]) -> str:
    """As a prompt has it; `six` writes a number."""
    if found.insufficient:
        return f"insufficient (n={found.n}, at least {LEAST} are needed)"
    told: Mapping[str, str] = {
        "n": f"{found.n} decisions that held a position, of the last {found.last} closed; {found.flat} went flat",
        "win_rate_fraction": six(found.win_rate or 0.0),
        "mean_return_fraction": six(found.mean_return or 0.0),
        **{name: said(getattr(found, name), six) for name in ("best_strategy", "worst_strategy", "best_regime", "worst_regime")},
    }
    return "\n".join(f"{name}: {value}" for name, value in told.items())


def said(group: Group | None, six: Callable[[float], str]) -> str:
    """A strategy or regime with its figures."""
    none = f"insufficient (none that differs with n >= {LEAST})"
    return f"{group.name}, mean_return_fraction {six(group.mean_return)}, n={group.n}" if group else none
