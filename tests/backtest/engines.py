"""Engines that trade the candle tables: each gets a case and gives back what it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from candle_tables import Case
from loop import looped

from alpha_arena.backtest.kernel import REASONS, Simulation, simulate


@dataclass(frozen=True)
class Outcome:
    """Closed trades as dicts (rows instead of times), equity and signed quantity at each close, payments at an assumed rate."""

    trades: list[Mapping[str, Any]]
    equity: list[float]
    quantity: list[float]
    assumed: int


def run_kernel(case: Case) -> Simulation:
    """A case through the vectorised backtest."""
    given = {"mark": case.marks, "forced": case.demanded, "fixed_equity": case.fixed, "detail": case.details}
    return simulate(case.market, case.signals, case.terms, case.instrument, case.leverage, case.capital, **given)


def trades_of(simulation: Simulation) -> list[Mapping[str, Any]]:
    """Trades with the names that a run folder gives them."""
    t = simulation.trades
    names = ("entry_row", "exit_row", "quantity", "entry_price", "exit_price", "fees", "funding", "pnl")
    rows = [{name: getattr(t, name)[i] for name in names} for i in range(len(t))]
    for i, row in enumerate(rows):
        row |= {"side": "long" if t.side[i] > 0 else "short", "return": t.return_[i], "exit_reason": REASONS[t.reason[i]]}
        row |= {"bars_held": row["exit_row"] - row["entry_row"]}
    return rows


def kernel(case: Case) -> Outcome:
    """The vectorised backtest."""
    s = run_kernel(case)
    return Outcome(trades_of(s), s.equity.tolist(), np.round(s.quantity, 10).tolist(), s.funding_assumed)


def loop(case: Case) -> Outcome:
    """The trading loop with the simulated executor."""
    if case.mark:
        pytest.skip("the stored bars that the loop reads have no mark price")
    given = (case.market, case.signals, case.terms, case.instrument, case.leverage, case.capital, case.demanded, case.fixed)
    r = looped(*given, case.details)
    row = {ts: i for i, ts in enumerate(r.ts.tolist())}
    trades = [{**t, "entry_row": row[t["entry_ts"]], "exit_row": row[t["exit_ts"]]} for t in r.trades.to_dict("records")]
    bought = r.fills.groupby("ts")["quantity"].sum().reindex(r.ts, fill_value=0.0).cumsum()
    return Outcome(trades, r.equity.tolist(), np.round(bought, 10).tolist(), r.funding_assumed)


ENGINES: dict[str, Callable[[Case], Outcome]] = {"kernel": kernel, "loop": loop}
