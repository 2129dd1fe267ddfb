"""What a model is told of a close: closed bars alone, oldest first, numbers with six digits; by name, or without it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isnan, nan
from typing import Any

import numpy as np

from alpha_arena.core.errors import DataError
from alpha_arena.core.market import Market, View
from alpha_arena.core.outcomes import Outcome
from alpha_arena.core.timeframes import timeframe_name
from alpha_arena.core.types import Floats
from alpha_arena.decision import feedback
from alpha_arena.llm.adviser import Brief

HISTORY = 5
INDICATORS = ("adx", "bb_width", "atr_percentile", "efficiency", "volume_trend")
PRICES = ("open", "high", "low", "close")
WISH = ("exposure", "stop", "take", "confidence")
REBASED = 100.0


@dataclass(frozen=True, slots=True)
class Units:
    """What prices and volumes are multiplied by before they are told."""

    price: float = 1.0
    volume: float = 1.0

    @classmethod
    def rebased(cls, market: Market, t: int) -> Units:
        """The first bar that is told closes at 100, and the bars that are told have a mean volume of 1."""
        told = slice(newest(t).start, t + 1)
        volume = float(market.volume[told].mean())
        return cls(REBASED / float(market.close[told][0]), 1 / volume if volume else 1.0)


def brief(
    view: View, symbol: str, strategies: Sequence[str], windows: Sequence[int], global_leverage: float, decisions: int, anonymise: bool
) -> Brief:
    """Everything that is told at the newest close of a symbol.

    Args:
        windows: bars over which a strategy's own return is told. decisions: that feedback looks back on.
        anonymise: no symbol, no date, prices and volumes in units that say nothing about when it was.
    """
    market, t = view.study.markets[symbol], view.t[symbol]
    timeframe, units = timeframe_name(market.bar_ms), Units.rebased(market, t) if anonymise else Units()
    outcomes = view.outcomes(decisions)
    found = feedback.feedback(outcomes)
    named = {"symbol": symbol, "closed_at": f"{np.datetime64(view.ts, 'ms').astype('datetime64[m]')} UTC"}
    data = {
        **({} if anonymise else named),
        "timeframe": timeframe,
        "regimes": regime_table(view, symbol),
        "bars": bar_table(market, t, units),
        "strategies": strategy_table(view, symbol, strategies, windows, units),
        "account": account_lines(view, symbol, units),
        "feedback": feedback.lines(found, six),
    }
    rules = {"strategy_ids": ", ".join(strategies), "leverage": six(global_leverage)}
    return Brief(
        symbol=symbol,
        timeframe=timeframe,
        bar_ms=market.bar_ms,
        close_ts=view.ts,
        asof_ts=asof(market, t, outcomes),
        rules=rules,
        data=data,
        enabled=tuple(strategies),
        feedback=found.told(),
    )


def asof(market: Market, t: int, outcomes: Sequence[Outcome]) -> int:
    """Newest time of anything that is told: the bars' closes, the last settlement, the ends of the outcomes."""
    settled = int(np.searchsorted(market.funding_ts, market.ts[t] + market.bar_ms, side="right"))
    paid = int(market.funding_ts[settled - 1]) if settled and not isnan(market.funding.item(t)) else 0
    return max(int(market.ts[newest(t)].max()) + market.bar_ms, paid, *(one.closed_ts or 0 for one in outcomes), 0)


def six(value: float) -> str:
    """Six significant digits; a dash for what is not known."""
    return "-" if isnan(value) else f"{value:.6g}"


def sixes(values: tuple[float, ...]) -> str:
    """Several, with blanks between them."""
    return (" ".join(["%.6g"] * len(values)) % values).replace("nan", "-")


def table(columns: Sequence[str], rows: Iterable[str]) -> str:
    """Rows below the columns' names."""
    return "\n".join((" ".join(columns), *rows))


def newest(t: int) -> range:
    """The rows that are told, oldest first."""
    return range(max(0, t - HISTORY + 1), t + 1)


def age(row: int, t: int) -> str:
    """A row by its distance from the newest: -4 is the oldest of five."""
    return str(row - t)


def columns_of(arrays: Any, names: Sequence[str], rows: range) -> Iterator[tuple[float, ...]]:
    """Values of these rows, a tuple a row."""
    return zip(*(getattr(arrays, name)[rows.start : rows.stop].tolist() for name in names), strict=True)


def regime_table(view: View, symbol: str) -> str:
    """Regime and indicators, a line a bar."""
    regimes, t = view.study.regimes[symbol], view.t[symbol]
    told = newest(t)
    named = zip(told, regimes.names(told.start, told.stop), columns_of(regimes, INDICATORS, told), strict=True)
    return table(("bar", "regime", *INDICATORS), (f"{age(row, t)} {name} {sixes(values)}" for row, name, values in named))


def bar_table(market: Market, t: int, units: Units) -> str:
    """Prices and volume, a line a bar.

    Raises:
        DataError: the bars do not ascend in time.
    """
    told = newest(t)
    if any(one >= other for one, other in pairwise(market.ts[told.start : told.stop].tolist())):
        raise DataError(f"bars of {market.symbol} do not ascend in time up to row {t}; a model would read them backwards")
    bars = zip(told, columns_of(market, (*PRICES, "volume", "funding"), told), strict=True)
    rows = (f"{age(row, t)} {bar_row(values, units)}" for row, values in bars)
    return table(("bar", *PRICES, "volume", "funding_rate"), rows)


def bar_row(values: Sequence[float], units: Units) -> str:
    """One bar: its prices, volume and funding rate."""
    *prices, volume, funding = values
    return sixes((*(price * units.price for price in prices), volume * units.volume, funding))


def strategy_table(view: View, symbol: str, strategies: Sequence[str], windows: Sequence[int], units: Units) -> str:
    """What each strategy wants now, and how it has done, a line a strategy."""
    signals, recent, t = view.signals(symbol), view.study.recent[symbol], view.t[symbol]
    longest = max(windows)
    rows = []
    for name in strategies:
        wish, equity = signals[name], recent[name]
        wants = (wish.exposure.item(t), wish.stop.item(t) * units.price, wish.take.item(t) * units.price, wish.confidence.item(t))
        done = [earned(equity, t, window) for window in windows]
        rows.append(f"{name} {sixes((*wants, *done, fallen(equity, t, longest)))}")
    returns = [f"return_{window}_bars" for window in windows]
    return table(("strategy_id", *WISH, *returns, f"drawdown_{longest}_bars"), rows)


def earned(equity: Floats, t: int, window: int) -> float:
    """Return over the last `window` bars up to row t, a fraction."""
    first = equity.item(max(0, t - window))
    return equity.item(t) / first - 1 if first > 0 else nan


def fallen(equity: Floats, t: int, window: int) -> float:
    """How far row t lies below the highest of the last `window` bars, a fraction, never positive."""
    peak = float(equity[max(0, t - window) : t + 1].max())
    return equity.item(t) / peak - 1 if peak > 0 else nan


def account_lines(view: View, symbol: str, units: Units) -> str:
    """Account, position and what risk rules remember."""
    held, price, risk = view.account.position(symbol), view.prices[symbol], view.risk
    gain = held.side * (price / held.entry - 1) if held.quantity else nan
    fall = view.equity / risk.peak_equity - 1 if risk.peak_equity > 0 else nan
    told: Mapping[str, str] = {
        "equity_quote": six(view.equity),
        "drawdown_fraction": six(min(fall, 0.0)),
        "exposure_now": six(view.exposure(symbol)),
        "entry_price": six(held.entry * units.price),
        "unrealised_return_fraction": six(gain),
        "stop_price": six(held.stop * units.price),
        "take_price": six(held.take * units.price),
        "orders_today": str(risk.orders_today),
        "new_risk_allowed": "no" if risk.halted or risk.told.no_entries else "yes",
    }
    return "\n".join(f"{name}: {value}" for name, value in told.items())
