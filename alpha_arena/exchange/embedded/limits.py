"""How often an endpoint may be asked (specs: okx-wire §1.2): sliding windows, measured in simulated time divided by the clock's speed."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field

from alpha_arena.exchange.embedded.codes import refused

WINDOW_MS = 2_000
ORDERS_OF_A_USER = 1_000


@dataclass(slots=True)
class Limits:
    """Counts what was let through; a refused request does not count.

    Attributes:
        on: whether anything is refused at all.
    """

    on: bool = True
    past: dict[Hashable, deque[float]] = field(default_factory=dict)

    def take(self, key: Hashable, limit: int, now_ms: float, count: int = 1, window_ms: int = WINDOW_MS, code: str = "50011") -> None:
        """Count `count` more under a key.

        Raises:
            Rejection: there would be more than `limit` within the window.
        """
        if not self.on:
            return
        seen = self.past.setdefault(key, deque())
        # a clock that was set back empties the windows that lie in its future
        while seen and not now_ms - window_ms < seen[0] <= now_ms:
            seen.popleft()
        if len(seen) + count > limit:
            raise refused(code)
        seen.extend([now_ms] * count)
