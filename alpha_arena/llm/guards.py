"""What keeps a model from being asked: too many failures in a row, too much spent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache


@dataclass(slots=True)
class Breaker:
    """Opens after failures in a row, for a while; then one call is let through. Seconds of a monotonic clock."""

    failures: int
    pause_s: float
    in_a_row: int = 0
    open_until: float = 0.0

    def is_open(self, now_s: float) -> bool:
        """Whether nobody is to be asked."""
        return now_s < self.open_until

    def told(self, ok: bool, now_s: float) -> None:
        """Count a call."""
        self.in_a_row = 0 if ok else self.in_a_row + 1
        if self.in_a_row >= self.failures:
            self.open_until = now_s + self.pause_s


@cache
def breaker_of(base_url: str, model: str, failures: int, pause_s: float) -> Breaker:
    """The process's own breaker of a model: cycles come and go, a provider that is down stays down."""
    return Breaker(failures, pause_s)


@dataclass(slots=True)
class Purse:
    """What may be spent, USD; None for no bound.

    Attributes:
        earlier: tells what was spent before, asked when money is needed. spent: since then.
        noted: told of each cost as it arises.
    """

    budget_usd: float | None
    earlier: Callable[[], float] = lambda: 0.0
    spent: float = 0.0
    noted: Callable[[float], None] = lambda _: None

    def is_empty(self) -> bool:
        """Whether nothing may be spent any more."""
        return self.budget_usd is not None and self.earlier() + self.spent >= self.budget_usd

    def pay(self, cost_usd: float) -> None:
        """Count a cost, or what it is at most where it is not known."""
        if cost_usd:
            self.spent += cost_usd
            self.noted(cost_usd)
