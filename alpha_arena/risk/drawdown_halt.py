"""Stop trading after a loss that should not have happened."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import View
from alpha_arena.core.types import Bools, Signals, Target
from alpha_arena.core.walk import Walk
from alpha_arena.risk.limits import SLACK, Fraction, flatten, hold

CAUSE = "drawdown "


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class DrawdownHalt:
    """Halts at a drawdown of total equity (realised and unrealised) from its peak; latched until acknowledged, across restarts.

    Attributes:
        max_drawdown: fraction of the peak equity.
        policy: "flatten" closes everything, "hold" only refuses new risk. A halt for any other cause (somebody else's trade, refused keys)
            only ever refuses new risk: what is held keeps its protection, and nothing is closed that somebody else has opened.
    """

    latches: ClassVar[bool] = True
    max_drawdown: Fraction
    policy: Literal["flatten", "hold"]

    def limit(self, target: Target, symbol: str, view: View) -> Target:
        """Apply the policy while halted or once the drawdown is reached."""
        why = view.risk.halted or self._reached(view)
        if not why:
            return target
        lost = why.startswith(CAUSE)
        return flatten(target, why) if lost and self.policy == "flatten" else hold(target, view.exposure(symbol), why)

    def halts(self, view: View) -> str:
        """The reason to latch a halt at this close, "" for none."""
        return "" if view.risk.halted else self._reached(view)

    def binds(self, signals: Signals, walk: Walk) -> Bools:
        """Everything that is wanted once the drawdown was reached or equity gone."""
        peak = walk.peak
        left = np.divide(walk.equity, peak, out=np.ones(peak.size), where=peak > 0)
        halted: Bools = np.logical_or.accumulate((1 - left >= self.max_drawdown - SLACK) | (walk.equity <= 0))
        halted &= signals.exposure != 0
        return halted

    def _reached(self, view: View) -> str:
        peak = view.risk.peak_equity
        drawdown = 1 - view.equity / peak if peak > 0 else 0.0
        return f"{CAUSE}{drawdown:.1%} >= {self.max_drawdown:.1%} of peak equity {peak:,.2f}" if drawdown >= self.max_drawdown else ""
