"""What people told a trader: kill switch, pause, close now. After all rules, so that none of them softens it."""

from __future__ import annotations

from dataclasses import replace
from math import nan

from alpha_arena.core.market import View
from alpha_arena.core.types import Switches, Target
from alpha_arena.risk.limits import flatten, hold

UNTOLD = Switches()


def obey(target: Target, symbol: str, view: View) -> Target:
    """Killed: as it is, with its protection, or flat. Close now: flat until everything is. Paused: no new risk.

    A bar of the past that is caught up with is decided as people wanted it then. Unlike a rule, a kill switch that holds keeps a position
    that the decider would close.
    """
    told = view.risk.told
    if told == UNTOLD:
        return target
    present = view.exposure(symbol)
    killed = told.killed if told.killed_ms <= view.now_ms else ""
    if killed == "hold":
        held = replace(target, exposure=present, stop=nan, take=nan, forced=False)
        return held if target.exposure == present else replace(held, why=told.no_entries)
    if killed or closing(told, view):
        return flatten(target, told.no_entries if killed else "close now")
    return hold(target, present, told.no_entries) if told.paused and told.paused_ms <= view.now_ms else target


def closing(told: Switches, view: View) -> bool:
    """Whether positions were asked to be closed, and one is still there."""
    asked = told.close_ms is not None and told.close_ms <= view.now_ms
    return asked and any(position.quantity for position in view.account.positions.values())
