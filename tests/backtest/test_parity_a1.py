"""Case A1 of the anchors, on prices of our own: whole shares for all cash, long or short since the last crossing.

The bundled prices stay in that library: `python -m benchmarks.peers parity` compares both engines on them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.peers.anchor import CAPITAL, crossings, traded

COMMISSION = 0.002


@dataclass
class Book:
    """The library's book-keeping in plain Python: a fill at the open costs a commission, money there is decides the size."""

    cash: float = CAPITAL
    shares: int = 0
    entry: float = 0.0
    results: list[float] = field(default_factory=list)

    def close(self, price: float) -> None:
        """Everything, its commission off the cash."""
        if self.shares:
            earned = self.shares * (price - self.entry)
            fees = COMMISSION * abs(self.shares)
            self.results.append(earned - fees * (price + self.entry))
            self.cash += earned - fees * price
            self.shares = 0

    def open(self, side: int, price: float) -> None:
        """As many shares as the cash carries, commission in."""
        self.shares, self.entry = side * int(self.cash // (price * (1 + COMMISSION))), price
        self.cash -= COMMISSION * abs(self.shares) * price


def by_hand(open_: np.ndarray, wanted: np.ndarray) -> Book:
    """A change of side at a close is made at the next open."""
    book, before = Book(), 0
    for price, side in zip(open_[1:].tolist(), np.sign(wanted[:-1]).astype(int).tolist(), strict=True):
        if side != before:
            book.close(price)
            if side:
                book.open(side, price)
        before = side
    return book


def prices(seed: int) -> dict[str, np.ndarray]:
    """Days of a walk with gaps."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0.0005, 0.02, 400)))
    open_ = np.r_[100, close[:-1]] * np.exp(rng.normal(0, 0.005, 400))
    high, low = np.maximum(open_, close) * 1.01, np.minimum(open_, close) * 0.99
    return {"open": open_, "high": high, "low": low, "close": close, "volume": np.ones(400)}


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_the_kernel_trades_as_that_library_does(seed: int) -> None:
    """Trade by trade, net of both commissions, and the money at the end."""
    days = prices(seed)
    made, book = traded(days), by_hand(days["open"], crossings(days["close"]).exposure)
    assert made.trades.pnl == pytest.approx(book.results, abs=1e-6)
    assert made.equity[-1] == pytest.approx(book.cash, abs=1e-6)
    assert len(made.trades) > 5
