"""Trades from flat to flat, or to the other side, out of a log of fills, as machine code."""

from __future__ import annotations

import numpy as np

from alpha_arena.backtest.columns import Log, Trips
from alpha_arena.core.types import Floats, Ints
from alpha_arena.features.compiled import compiled


@compiled
def whole_numbers(room: int) -> Ints:
    """Zeros."""
    return np.zeros(room, np.int64)


@compiled
def new_trips(room: int) -> Trips:
    """Room for as many trades."""
    entry, exit_, side, lots, reason = (
        whole_numbers(room),
        whole_numbers(room),
        whole_numbers(room),
        whole_numbers(room),
        whole_numbers(room),
    )
    return Trips(entry, exit_, side, lots, np.zeros(room), np.zeros(room), np.zeros(room), np.zeros(room), np.zeros(room), reason)


@compiled
def count_in(trips: Trips, k: int, log: Log, i: int, held: int, lot: float) -> int:
    """Book fill i into trade k, which holds `held` lots before it; lots held after it. exit_price sums up price x lots until `finish`."""
    lots, price = int(log.lots[i]), log.price[i]
    trips.fees[k] += log.fee[i]
    if held == 0:
        trips.entry_row[k], trips.side[k], trips.entry_price[k] = log.row[i], (1 if lots > 0 else -1), price
    elif (held > 0) == (lots > 0):
        trips.entry_price[k] = (held * trips.entry_price[k] + lots * price) / (held + lots)
    else:
        trips.gross[k] -= lots * lot * (price - trips.entry_price[k])
        trips.exit_price[k] += abs(lots) * price
    trips.lots[k] = max(trips.lots[k], abs(held + lots))
    return held + lots


@compiled
def finish(trips: Trips, k: int, log: Log, i: int, closed: int, paid: Floats) -> None:
    """Trade k ended with fill i, having closed so many lots in all."""
    trips.exit_row[k], trips.reason[k] = log.row[i], log.reason[i]
    trips.exit_price[k] /= closed
    trips.funding[k] = paid[log.row[i]] - paid[trips.entry_row[k]]


@compiled
def round_trips(log: Log, paid: Floats, total: float, lot: float) -> tuple[Trips, int]:
    """All trades of a log and the number of closed ones; the one after them is still open where fills remain.

    Args:
        paid: funding paid from the first row up to and including each row's open, quote currency, shape [T]; total: to the last close.
    """
    trips = new_trips(log.used[0] + 1)
    k, held, closed = 0, 0, 0
    for i in range(log.used[0]):
        closed += abs(log.lots[i]) if held != 0 and (held > 0) != (log.lots[i] > 0) else 0
        held = count_in(trips, k, log, i, held, lot)
        if held == 0:
            finish(trips, k, log, i, closed, paid)
            k, closed = k + 1, 0
    if held != 0:
        trips.funding[k] = total - paid[trips.entry_row[k]]
        trips.exit_price[k] = trips.exit_price[k] / closed if closed > 0 else np.nan
    return trips, k
