"""A backtest over whole arrays, where that is exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from alpha_arena.backtest.binding import bar_by_bar, bound, walk_of
from alpha_arena.backtest.kernel import Simulation, simulate
from alpha_arena.backtest.record import Record, from_simulation
from alpha_arena.backtest.targets import capped, ready
from alpha_arena.core.market import Market, Study
from alpha_arena.core.ports import Decider
from alpha_arena.core.sizing import LEVERAGE_USED
from alpha_arena.core.types import Signals
from alpha_arena.decision.combine import over_rows
from alpha_arena.decision.drawn import Drawn
from alpha_arena.decision.hold import Hold
from alpha_arena.decision.single import Single
from alpha_arena.decision.weighted import Weighted
from alpha_arena.engine import Trader

EXACT = "no risk rule binds along the path"


def wanted(decider: Decider, study: Study, symbol: str) -> Signals | None:
    """What a decider wants at each row, where that does not depend on the account; None where it does, or may."""
    market = study.markets[symbol]
    if isinstance(decider, Single):
        return study.signals[symbol][decider.strategies[0]]
    if not isinstance(decider, Weighted | Drawn):
        return None
    weights = decider.weights_at(market.ts, market.bar_ms)
    return over_rows(weights, [study.signals[symbol][name] for name in decider.strategies], market.close, decider.global_leverage)


def loop_alone(study: Study, trader: Trader) -> str:
    """Why a trader can only be simulated bar by bar, "" where it can be tried over arrays."""
    if len(study.markets) > 1:
        return "several symbols share one account"
    if isinstance(trader.decider, Hold) and not trader.rules and 0 <= trader.decider.exposure <= 1:
        return ""
    if not isinstance(trader.decider, Single | Weighted | Drawn):
        return f"the decider {trader.decider_name} decides bar by bar"
    rule = bar_by_bar(trader.rules)
    return f"the risk rule {rule} has no array form" if rule else ""


def by_kernel(
    study: Study, trader: Trader, initial_capital: float, first_ts: int, detail: Market | None = None
) -> tuple[Record | None, str]:
    """What the kernel leaves of the bars from `first_ts` on, and why that is what the loop would; else None, and why it is not.

    Args:
        initial_capital: quote currency. detail: shorter bars, which decide what came first within a bar.
    """
    made, signals, why = over_arrays(study, trader, initial_capital, first_ts, detail)
    if made is None or signals is None:
        return None, why
    ((_, market),) = study.markets.items()
    return from_simulation(made, market, signals, initial_capital), why


def over_arrays(
    study: Study, trader: Trader, initial_capital: float, first_ts: int, detail: Market | None = None
) -> tuple[Simulation | None, Signals | None, str]:
    """As `by_kernel`, before frames are made of it: the path and the signals that it was made of."""
    why = loop_alone(study, trader)
    if why:
        return None, None, why
    ((symbol, market),) = study.markets.items()
    start = int(np.searchsorted(market.ts, first_ts))
    if isinstance(trader.decider, Hold):
        return held(market, trader, trader.decider, initial_capital, start)
    wishes = wanted(trader.decider, study, symbol)
    if wishes is None or np.isinf(wishes.stop).any() or np.isinf(wishes.take).any():
        return None, None, "a level is infinite"
    instrument, leverage = trader.instruments[symbol], trader.decider.leverage
    signals = capped(ready(wishes, market, trader.rules, instrument), leverage)
    terms = (trader.costs, instrument, leverage, initial_capital, start)
    made = simulate(market, signals, *terms, fixed_equity=trader.equity_quote, detail=detail)
    binding = bound(trader.rules, wishes, walk_of(made, market, trader.equity_quote))
    if binding is None:
        return made, signals, EXACT
    first = str(np.datetime64(int(binding.closes[0]), "ms").astype("datetime64[m]")).replace("T", " ")
    times = f"{binding.closes.size:,} close{'s' if binding.closes.size > 1 else ''}"
    return None, None, f"{binding.rule} would bind at {times}, first {first}; run again in the loop"


def held(
    market: Market, trader: Trader, decider: Hold, initial_capital: float, start: int
) -> tuple[Simulation | None, Signals | None, str]:
    """A position that is bought once: no change of it is ever large enough to be sent."""
    instrument, leverage = trader.instruments[market.symbol], decider.leverage
    none = np.full(len(market), np.nan)
    wishes = capped(Signals(np.full(len(market), decider.exposure), none, none, np.ones(len(market))), leverage)
    still = replace(trader.costs, diff_fraction=1.0)
    made = simulate(market, wishes, still, instrument, leverage, initial_capital, start, fixed_equity=trader.equity_quote)
    # as a fraction of what sizes positions; beyond this the loop sells what the margin does not carry
    used = made.exposure if trader.equity_quote is None else made.quantity * market.close[start:] / trader.equity_quote
    if (used > LEVERAGE_USED * leverage).any():
        return None, None, "the position outgrows its margin; run again in the loop"
    exposure = wishes.exposure.copy()
    exposure[start:] = np.where(made.quantity != 0, used, exposure[start:])
    return made, replace(wishes, exposure=exposure), "a position that is kept needs no loop"
