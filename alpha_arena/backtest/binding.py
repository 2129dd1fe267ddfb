"""Whether risk rules that look at the account would have interfered with a simulated path: where none would, the path is exact."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alpha_arena.backtest.kernel import REASONS, Simulation
from alpha_arena.core.market import Market
from alpha_arena.core.ports import PathRule, RiskRule, TargetRule
from alpha_arena.core.types import Ints, Signals
from alpha_arena.core.walk import Walk

STOPS = (REASONS.index("stop"), REASONS.index("liquidation"))


@dataclass(frozen=True, slots=True)
class Bound:
    """A rule that binds. rule: its name. closes: at which it would have changed the target, ms UTC."""

    rule: str
    closes: Ints


def rule_name(rule: RiskRule) -> str:
    """As conf/risk names it: MaxNotional is max_notional."""
    return re.sub("(?<!^)(?=[A-Z])", "_", type(rule).__name__).lower()


def bar_by_bar(rules: Sequence[RiskRule]) -> str:
    """Name of the first rule that has no array form, "" for none."""
    return next((rule_name(rule) for rule in rules if not isinstance(rule, TargetRule | PathRule)), "")


def walk_of(simulation: Simulation, market: Market, fixed_equity: float | None) -> Walk:
    """A simulated path as rules look back on it.

    Args:
        market: as given to `simulate`. fixed_equity: quote currency that sized positions, None for the account's own.
    """
    s = simulation
    alive = np.logical_and.accumulate(s.equity > 0)
    sizing = np.where(alive, s.equity if fixed_equity is None else fixed_equity, 0.0)
    stopped = np.zeros(s.ts.size, np.bool_)
    stopped[s.fills.row[np.isin(s.fills.reason, STOPS)]] = True
    return Walk(market, s.equity, sizing, s.quantity, s.orders, stopped)


def bound(rules: Sequence[RiskRule], signals: Signals, walk: Walk) -> Bound | None:
    """The first rule that binds on a path on which none did.

    Args:
        signals: the decider's own, a row for each bar of the walk's market.
    """
    first = len(walk.market) - walk.equity.size
    for rule in rules:
        if isinstance(rule, PathRule):
            rows = np.flatnonzero(rule.binds(signals.rows(first), walk))
            if rows.size:
                return Bound(rule_name(rule), walk.ts[rows] + walk.market.bar_ms)
        if isinstance(rule, TargetRule):
            signals = rule.over(signals, walk.market.close)
    return None
