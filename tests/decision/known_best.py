"""Synthetic markets in which one family of strategies must win, and what the portfolio decider makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from alpha_arena.core.market import Market
from alpha_arena.core.timeframes import aggregate
from alpha_arena.core.types import Floats
from alpha_arena.exchange.synthetic.model import VIVID, Model, Regime
from alpha_arena.exchange.synthetic.synthetic import DAY_MS, Synthetic
from alpha_arena.settings import Settings, load
from alpha_arena.wiring.backtesting import Window, play, window
from alpha_arena.wiring.desk import study_of, trader_of

BTC, HOUR, MINUTE = "BTC/USDT:USDT", 3_600_000, 60_000
EPOCH_DAY = 19_700
# bars of the decider's performance_window, of which it knows nothing before
WARM = 720
DAYS = 150
FAMILIES = {"trend": ("ema_trend", "breakout", "momentum"), "range": ("bollinger_range", "mean_reversion", "grid_trading")}
UP, DOWN = Regime("up", 0.5, 0.17, 0.02, 0.0), Regime("down", 0.5, -0.17, 0.02, 0.0)
# twice the shipped market's, by which the rules of a range earn more than their costs
RANGE = Regime("range", 1.0, 0.0, 0.22, -0.1)
REGIMES: Mapping[str, tuple[Regime, ...]] = {
    "trend": (UP, DOWN),
    "range": (RANGE,),
    "both": (replace(UP, probability=0.25), replace(DOWN, probability=0.25), replace(RANGE, probability=0.5)),
}


@dataclass(frozen=True)
class Judged:
    """What came of one market after the warm-up.

    Attributes:
        gains: return of each strategy traded alone. best: the one that gained most, family: its like.
        best_first, family_first: share of decisions in which the largest weight was its, or one of its family's.
        best_weight, family_weight: mean weight. trend_weight: mean weight of the trend's family by hidden regime.
        portfolio, equal: return of the decider, and of equal weights at every bar.
    """

    gains: Mapping[str, float]
    best: str
    family: str
    best_first: float
    family_first: float
    best_weight: float
    family_weight: float
    trend_weight: Mapping[str, float]
    portfolio: float
    equal: float


def model_of(world: str) -> Model:
    """The vivid market with other regimes, each of ten days on average."""
    return replace(VIVID, name=world, regimes=REGIMES[world], epoch_day=EPOCH_DAY)


def market_of(world: str, seed: int) -> Market:
    """Its hours."""
    made, start = Synthetic(model_of(world), seed), (EPOCH_DAY + 20) * DAY_MS
    end = start + DAYS * DAY_MS
    return Market.of(BTC, HOUR, aggregate(made.bars(BTC, start, end), MINUTE, HOUR), made.funding(BTC, start, end))


def played(settings: Settings, market: Market, part: Window) -> tuple[list[tuple[dict[str, float], str]], Floats]:
    """Weights at each close, and the equity there."""
    store = play(study_of(settings, {BTC: market}), trader_of(settings), settings.initial_capital, part)
    weights = [{share.strategy_id: share.weight for share in decision.wanted.shares} for decision in store.decisions]
    return [(one, max(one, key=lambda name: one[name])) for one in weights], np.array([booking.equity for booking in store.bookings])


def judged(world: str, seed: int) -> Judged:
    """The shipped portfolio decider on a market of this kind."""
    market = market_of(world, seed)
    part = window({BTC: market}, None, None)
    settings = load("backtest", ["decision=portfolio"])
    names = list(settings.strategies)
    alone = study_of(settings, {BTC: market}).recent[BTC]
    gains = {name: grown(alone[name]) for name in names}
    best = max(gains, key=lambda name: gains[name])
    family = next(kind for kind, members in FAMILIES.items() if best in members)
    decisions, equity = played(settings, market, part)
    _, other = played(load("backtest", ["decision=weighted", f"decision.strategies=[{','.join(names)}]"]), market, part)
    late, like = decisions[WARM:], FAMILIES[family]
    return Judged(
        gains,
        best,
        family,
        best_first=float(np.mean([first == best for _, first in late])),
        family_first=float(np.mean([first in like for _, first in late])),
        best_weight=float(np.mean([weights.get(best, 0.0) for weights, _ in late])),
        family_weight=float(np.mean([together(weights, like) for weights, _ in late])),
        trend_weight=by_regime([together(weights, FAMILIES["trend"]) for weights, _ in late], hidden(world, seed, market)[WARM:]),
        portfolio=grown(equity),
        equal=grown(other),
    )


def together(weights: Mapping[str, float], names: Sequence[str]) -> float:
    """Weight of several."""
    return sum(weights.get(name, 0.0) for name in names)


def hidden(world: str, seed: int, market: Market) -> NDArray[np.str_]:
    """The regime that the market was in at each close; the decider never sees it."""
    every = Synthetic(model_of(world), seed).regime(int(market.ts[0]), int(market.ts[-1]) + HOUR)
    return every[HOUR // MINUTE - 1 :: HOUR // MINUTE]


def by_regime(values: Sequence[float], regimes: NDArray[np.str_]) -> dict[str, float]:
    """Mean of the values in each regime."""
    return {str(name): float(np.mean(np.array(values)[regimes == name])) for name in np.unique(regimes)}


def grown(equity: Floats) -> float:
    """Return after the warm-up, a fraction."""
    return float(equity[-1] / equity[WARM] - 1)
