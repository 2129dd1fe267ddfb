"""The page's figures, each defined once. Amounts in quote currency, fractions of 1, NaN where a figure is not known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import log10, nan

import numpy as np

from alpha_arena.core.timeframes import UNIT_MS
from alpha_arena.core.types import Account, Floats, Ints


@dataclass(frozen=True, slots=True)
class Curve:
    """Equity at closes: ts of the close in ms, ascending, and equity in quote currency, shape [T]; `initial` before the first."""

    ts: Ints
    equity: Floats
    initial: float

    def at(self, ts: int) -> float:
        """Equity at the last close at or before a time; the initial capital before the first."""
        row = int(np.searchsorted(self.ts, ts, side="right")) - 1
        return float(self.equity[row]) if row >= 0 else self.initial

    def with_now(self, ts: int, equity: float) -> Curve:
        """The curve up to the present mark; a mark no later than the last close replaces that."""
        kept = self.ts < ts
        return Curve(np.r_[self.ts[kept], ts], np.r_[self.equity[kept], equity], self.initial)

    def drawdowns(self) -> Floats:
        """Equity against its highest so far (the initial capital included), 0 or negative fractions."""
        peak = np.maximum(np.maximum.accumulate(self.equity), self.initial)
        return self.equity / peak - 1


def marked(account: Account, prices: Mapping[str, float]) -> float:
    """Equity: cash and unrealised profit at the newest closes; NaN where a held symbol has no price."""
    held = [symbol for symbol, position in account.positions.items() if position.quantity]
    return account.equity(prices) if all(symbol in prices for symbol in held) else nan


def notional(account: Account, prices: Mapping[str, float]) -> float:
    """Sum of the positions' absolute worth at the newest closes."""
    return sum(abs(p.quantity) * prices.get(symbol, nan) for symbol, p in account.positions.items() if p.quantity)


def unrealised(account: Account, prices: Mapping[str, float]) -> float:
    """Profit of the open positions at the newest closes, before the costs of closing."""
    return sum(p.quantity * (prices.get(symbol, nan) - p.entry) for symbol, p in account.positions.items() if p.quantity)


def midnight(ts: int) -> int:
    """00:00 UTC of a time's day."""
    return ts // UNIT_MS["d"] * UNIT_MS["d"]


def fraction(part: float, whole: float) -> float:
    """part / whole, NaN where the whole is not positive."""
    return part / whole if whole > 0 else nan


def figures(curve: Curve, account: Account, prices: Mapping[str, float], now_ms: int, hold: float) -> dict[str, object]:
    """The six tiles of a trader whose `curve` ends at the present mark.

    Args:
        now_ms: the data's time; today counts from 00:00 UTC of it.
        hold: return of buying and holding since the trader's start, a fraction.
    """
    equity = float(curve.equity[-1]) if curve.equity.size else nan
    opening = curve.at(midnight(now_ms))
    falls = curve.drawdowns()
    held = {symbol: p for symbol, p in account.positions.items() if p.quantity}
    largest = max(held, key=lambda symbol: abs(held[symbol].quantity) * prices.get(symbol, 0.0), default="")
    return {
        "equity": equity,
        "today": equity - opening,
        "today_fraction": fraction(equity - opening, opening),
        "total": equity - curve.initial,
        "total_fraction": fraction(equity, curve.initial) - 1,
        "hold_fraction": hold,
        "drawdown": float(falls[-1]) if falls.size else nan,
        "max_drawdown": float(falls.min()) if falls.size else nan,
        "exposure": fraction(notional(account, prices), equity),
        "notional": notional(account, prices),
        "unrealised": unrealised(account, prices),
        "held": len(held),
        "largest": largest,
        "largest_quantity": held[largest].quantity if held else 0.0,
    }


def guessed_tick(price: float) -> float:
    """A price step for a symbol whose contract is not configured: five significant digits."""
    return 10.0 ** (int(log10(price)) - 4) if price > 0 else 0.01


def carried(ts: Ints, values: Floats, grid: Ints) -> Floats:
    """The last value at or before each time of a grid; NaN before the first."""
    row = np.searchsorted(ts, grid, side="right") - 1
    return np.where(row >= 0, values[np.maximum(row, 0)], np.nan) if ts.size else np.full(grid.size, np.nan)


def runs(names: Sequence[str]) -> list[tuple[int, int]]:
    """First and last row of each run of equal names."""
    if not names:
        return []
    cut = [row for row in range(1, len(names)) if names[row] != names[row - 1]]
    return list(zip([0, *cut], [*(row - 1 for row in cut), len(names) - 1], strict=True))


def grid(curves: Collection[Curve], bar_ms: int) -> Ints:
    """Every close between the first and the last of curves, and the present mark."""
    first = min(int(curve.ts[0]) for curve in curves)
    last = max(int(curve.ts[-1]) for curve in curves)
    closes = np.arange(first // bar_ms * bar_ms, last + 1, bar_ms, dtype=np.int64)
    return np.union1d(closes, np.array([last], np.int64))
