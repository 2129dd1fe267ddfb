"""The seven rules once more, bar by bar in plain Python over TA-Lib's indicators: slow, and written from the rules' description alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor, fsum, inf, nan, sqrt
from types import SimpleNamespace
from typing import Any

import talib

from alpha_arena.core.market import Market

Row = tuple[float, float, float]
FLAT: Row = (0.0, nan, nan)


@dataclass
class Bar:
    """One bar and what lies before it."""

    m: Market
    p: Any
    t: int
    ind: dict[str, Any]

    def last(self, name: str, count: int, skip: int = 0) -> list[float]:
        end = self.t + 1 - skip
        return list(getattr(self.m, name)[end - count : end]) if end >= count else []

    def mean(self, name: str, count: int, skip: int = 0) -> float:
        values = self.last(name, count, skip)
        return fsum(values) / count if values else nan

    def std(self, count: int) -> float:
        values, mean = self.last("close", count), self.mean("close", count)
        return sqrt(fsum((x - mean) ** 2 for x in values) / count) if values else nan

    def ago(self, name: str, bars: int) -> float:
        return float(self.ind[name][self.t - bars]) if self.t >= bars else nan

    @property
    def close(self) -> float:
        return float(self.m.close[self.t])


@dataclass
class Rule:
    prepare: Callable[[Market, Any], dict[str, Any]]
    enter: Callable[[Bar], int]
    leave: Callable[[Bar, int], bool]
    levels: Callable[[Bar, int], tuple[float, float]]


def rsi_of(m: Market, period: int = 14) -> dict[str, Any]:
    return {"rsi": talib.RSI(m.close, period)}


def atr_of(m: Market, p: Any) -> dict[str, Any]:
    return {"atr": talib.ATR(m.high, m.low, m.close, p.atr_period)}


def atr_levels(b: Bar, side: int) -> tuple[float, float]:
    unit = b.ago("atr", 0)
    return b.close - side * b.p.stop_loss_atr * unit, b.close + side * b.p.take_profit_atr * unit


def when(long: bool, short: bool) -> int:
    return 1 if long else -1 if short else 0


def ema_enter(b: Bar) -> int:
    fast, medium, slow, rsi = (b.ago(name, 0) for name in ("fast", "medium", "slow", "rsi"))
    if not (b.m.volume[b.t] > b.p.volume_threshold * b.mean("volume", 20)) or not b.ago("atr", 0) > 0:
        return 0
    return when(
        fast > medium > slow and b.p.rsi_min <= rsi <= b.p.rsi_max, fast < medium < slow and b.p.rsi_short_min <= rsi <= b.p.rsi_short_max
    )


def ema_leave(b: Bar, side: int) -> bool:
    return (b.ago("fast", 0) - b.ago("medium", 0)) * side < 0


def emas(m: Market, p: Any) -> dict[str, Any]:
    lines = {name: talib.EMA(m.close, getattr(p, f"ema_{name}")) for name in ("fast", "medium", "slow")}
    return {**lines, **rsi_of(m), **atr_of(m, p)}


def bollinger_enter(b: Bar) -> int:
    middle, reach, rsi = b.mean("close", b.p.bb_period), b.p.bb_std * b.std(b.p.bb_period), b.ago("rsi", 0)
    if not 2 * reach / middle < b.p.bandwidth_max:
        return 0
    touches_low = b.m.low[b.t] <= (middle - reach) * b.p.touch_threshold
    touches_high = b.m.high[b.t] >= (middle + reach) / b.p.touch_threshold
    return when(touches_low and rsi < b.p.rsi_oversold, touches_high and rsi > b.p.rsi_overbought)


def bollinger_levels(b: Bar, side: int) -> tuple[float, float]:
    middle = b.mean("close", b.p.bb_period)
    return b.close * (1 - side * b.p.stop_loss_pct), middle if (middle - b.close) * side > 0 else nan


def bollinger_leave(b: Bar, side: int) -> bool:
    return (b.close - b.mean("close", b.p.bb_period)) * side >= 0


def breakout_enter(b: Bar) -> int:
    n = b.p.lookback_period
    if not b.m.volume[b.t] > b.p.volume_threshold * b.mean("volume", n, skip=1) or not b.ago("atr", 0) > 0:
        return 0
    highest, lowest = max(b.last("high", n, 1), default=inf), min(b.last("low", n, 1), default=-inf)
    return when(b.close > highest * b.p.breakout_threshold, b.close < lowest / b.p.breakout_threshold)


def roc(b: Bar) -> float:
    return b.close / float(b.m.close[b.t - b.p.momentum_period]) - 1 if b.t >= b.p.momentum_period else nan


def momentum_enter(b: Bar) -> int:
    p = b.p
    if not b.m.volume[b.t] > p.volume_momentum_threshold * b.mean("volume", p.momentum_period) or not b.ago("atr", 0) > 0:
        return 0
    change = b.ago("rsi", 0) - b.ago("rsi", p.momentum_period)
    up = roc(b) > p.price_momentum_threshold and change > p.rsi_momentum_threshold
    return when(up, roc(b) < -p.price_momentum_threshold and change < -p.rsi_momentum_threshold)


def momentum_leave(b: Bar, side: int) -> bool:
    return not roc(b) * side > 0


def z(b: Bar) -> float:
    return (b.close - b.mean("close", b.p.ma_period)) / b.std(b.p.std_period)


def reversion_enter(b: Bar) -> int:
    rsi = b.ago("rsi", 0)
    return when(z(b) <= -b.p.entry_std and rsi < b.p.rsi_oversold, z(b) >= b.p.entry_std and rsi > b.p.rsi_overbought)


def reversion_leave(b: Bar, side: int) -> bool:
    return z(b) * side >= -b.p.exit_std


def reversion_levels(b: Bar, side: int) -> tuple[float, float]:
    return b.close * (1 - side * b.p.stop_loss_pct), nan


def rates(b: Bar) -> list[float]:
    settled = b.m.funding_ts <= b.m.ts[b.t] + b.m.bar_ms
    return [float(rate) for rate in b.m.funding_rate[settled]]


def funding_enter(b: Bar) -> int:
    known = rates(b)
    if len(known) < b.p.history_window:
        return 0
    last, mean = known[-b.p.min_duration :], fsum(known[-b.p.history_window :]) / b.p.history_window
    short = all(rate >= b.p.min_funding_rate for rate in last) and mean >= b.p.exit_funding_rate
    return when(all(rate <= -b.p.min_funding_rate for rate in last) and mean <= -b.p.exit_funding_rate, short)


def funding_leave(b: Bar, side: int) -> bool:
    return not -side * rates(b)[-1] >= b.p.exit_funding_rate


RULES = {
    "ema_trend": Rule(emas, ema_enter, ema_leave, atr_levels),
    "bollinger_range": Rule(lambda m, p: rsi_of(m), bollinger_enter, bollinger_leave, bollinger_levels),
    "breakout": Rule(atr_of, breakout_enter, lambda b, side: False, atr_levels),
    "momentum": Rule(lambda m, p: {**rsi_of(m, p.rsi_period), **atr_of(m, p)}, momentum_enter, momentum_leave, atr_levels),
    "mean_reversion": Rule(lambda m, p: rsi_of(m, p.rsi_period), reversion_enter, reversion_leave, reversion_levels),
    "funding_rate_arbitrage": Rule(lambda m, p: {}, funding_enter, funding_leave, lambda b, side: (nan, nan)),
}


def one_position(rule: Rule, m: Market, p: Any) -> list[Row]:
    """The common frame: levels frozen at entry, stop touched or take traded through or the rule's exit makes it flat at that close."""
    out: list[Row] = []
    side, stop, take = 0, nan, nan
    indicators = rule.prepare(m, p)
    for t in range(len(m)):
        b = Bar(m, p, t, indicators)
        worst, best = (m.low[t], m.high[t]) if side > 0 else (m.high[t], m.low[t])
        if side and ((stop - worst) * side >= 0 or (best - take) * side > 0 or rule.leave(b, side)):
            side = 0
        else:
            wanted = rule.enter(b)
            if wanted and wanted != side:
                side, (stop, take) = wanted, rule.levels(b, wanted)
        out.append((side * p.max_position * p.max_leverage, stop, take) if side else FLAT)
    return out


def grid(m: Market, p: Any) -> list[Row]:
    """The grid's own frame."""
    out: list[Row] = []
    g = p.grid_range / p.grid_count
    open_, armed, side, rungs, anchor = False, True, 0, 0, nan
    for t in range(len(m)):
        b = Bar(m, p, t, {})
        stop = anchor * (1 - side * (p.grid_range + g))
        if open_:
            e = (anchor - b.close) / (anchor * g) * side
            if (m.low[t] <= stop) if side == 1 else (m.high[t] >= stop):
                open_, armed = False, False
            elif e >= rungs + 1:
                rungs = min(p.grid_count, floor(e))
            elif e <= rungs - 1:
                rungs = max(0, ceil(e))
                open_ = rungs > 0
        else:
            mean = b.mean("close", p.bb_period)
            d = (mean - b.close) / (mean * g)
            if abs(d) < 1:
                armed = True
            elif armed and abs(d) >= 1 and p.bb_std * b.std(p.bb_period) <= p.grid_range * mean:
                open_, side, rungs, anchor = True, 1 if d > 0 else -1, min(p.grid_count, floor(abs(d))), mean
        size = min(rungs * p.position_per_grid, p.max_position) * p.max_leverage
        out.append((side * size, anchor * (1 - side * (p.grid_range + g)), nan) if open_ else FLAT)
    return out


def reference(name: str, m: Market, parameters: dict[str, float]) -> list[Row]:
    """Exposure, stop and take of each row."""
    p = SimpleNamespace(**parameters)
    return grid(m, p) if name == "grid_trading" else one_position(RULES[name], m, p)
