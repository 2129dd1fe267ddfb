"""The path of an account through a simulated history, as risk rules look back on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alpha_arena.core.market import Market
from alpha_arena.core.types import Bools, Floats, Ints


@dataclass(frozen=True, slots=True)
class Walk:
    """What a rule could have seen at each of the last T closes of a market; one element a close, quote currency.

    Attributes:
        market: all bars, those before the simulated ones too.
        equity: the account's own. sizing: that which exposures are fractions of; not positive where none is left.
        quantity: held, signed, base currency. orders: decided at the close (a change of side is two).
        stopped: a stop or liquidation happened in the bar.
    """

    market: Market
    equity: Floats
    sizing: Floats
    quantity: Floats
    orders: Ints
    stopped: Bools

    @property
    def ts(self) -> Ints:
        """Opens of the simulated bars, ms."""
        return self.market.ts[len(self.market) - self.equity.size :]

    @property
    def exposure(self) -> Floats:
        """Present exposure at each close; 0 without equity."""
        held = self.quantity * self.market.close[len(self.market) - self.equity.size :]
        return np.divide(held, self.sizing, out=np.zeros(held.size), where=self.sizing > 0)

    @property
    def peak(self) -> Floats:
        """Highest equity at any close so far; not negative."""
        return np.maximum(np.maximum.accumulate(self.equity), 0.0)
