"""What an account was at each close, out of what the compiled loop left, as machine code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from alpha_arena.backtest.columns import Path
from alpha_arena.core.types import Floats, Ints
from alpha_arena.features.compiled import compiled


class Closes(NamedTuple):
    """At each close: signed quantity; notional / equity; orders decided (a change of side is two); funding paid in the bar, and from the
    first bar up to and including the row's open. Shape [T]."""

    quantity: Floats
    exposure: Floats
    orders: Ints
    paid: Floats
    paid_upto: Floats


@compiled
def at_closes(path: Path, close: Floats, lot: float) -> Closes:
    """See Closes. close: prices; lot: base currency."""
    equity, lots, paid_open, paid_inside, ordered, _ = path
    rows, total = close.size, 0.0
    quantity, exposure, orders = np.empty(rows), np.empty(rows), np.empty(rows, np.int64)
    paid, upto = np.empty(rows), np.empty(rows)
    for row in range(rows):
        held, change = lots[row], ordered[row]
        quantity[row] = held * lot
        exposure[row] = quantity[row] * close[row] / equity[row] if held != 0 and equity[row] != 0 else 0.0
        turned = (held > 0 and held + change < 0) or (held < 0 and held + change > 0)
        orders[row] = (1 if change != 0 else 0) + (1 if turned else 0)
        paid[row], upto[row] = paid_open[row] + paid_inside[row], total + paid_open[row]
        total += paid[row]
    return Closes(quantity, exposure, orders, paid, upto)
