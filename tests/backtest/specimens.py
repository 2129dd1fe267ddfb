"""Searches and walk-forwards as they are found, small and made up around a real simulated run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from histories import COSTS, INSTRUMENT, history

from alpha_arena.backtest.board import board
from alpha_arena.backtest.contest import Contest
from alpha_arena.backtest.contestants import Band, Consulted, Contestant
from alpha_arena.backtest.kernel import simulate
from alpha_arena.backtest.record import from_simulation
from alpha_arena.backtest.reference import Codes
from alpha_arena.backtest.result import Run, Terms
from alpha_arena.backtest.search import Fold, Found, Walk, Walked
from alpha_arena.backtest.verdict import Reason, Verdict
from alpha_arena.core.types import Signals

BTC = "BTC/USDT:USDT"
HOSTILE = '<img src=x onerror="alert(1)"></script><script>alert(2)</script>'
FIGURES = ("total_return", "cagr", "calmar", "max_drawdown", "win_rate", "profit_factor", "exposure_time", "fees", "trades")
VERDICT = Verdict(
    "REJECT",
    (
        Reason("net_return", True, 0.1, 0.0, "It earned 10.00 %."),
        Reason("deflated_sharpe", False, 0.5, 0.95, "It is more than luck with 50.0 % probability."),
        Reason("decay", None, nan, 0.5, "Not defined: no bars were kept apart from the choice."),
    ),
    {"luck_sharpe": 1.75},
)


def run_made(rows: int = 80, still: bool = False, name: str = "random") -> Run:
    """A random history as a run with its regimes; `still`: nothing is wanted, so that nothing is traded."""
    h = history(5, rows, 10.0)
    wishes = Signals(*(np.zeros(rows) for _ in range(4))) if still else h.signals
    s = simulate(h.market, wishes, COSTS, INSTRUMENT, h.leverage, 10_000.0)
    record = from_simulation(s, h.market, wishes, 10_000.0)
    codes: Codes = (np.arange(rows) // 20 % 3 - 1).astype(np.int8)
    return Run.of(name, record, Terms(COSTS, {BTC: INSTRUMENT}, h.leverage), {"costs": {"taker_fee": 0.0005}}, {BTC: codes})


def table_made(strategies: Mapping[str, Mapping[str, Sequence[Any]]], symbols: Sequence[str] = (BTC,), seed: int = 0) -> pd.DataFrame:
    """A grid of each strategy on each symbol, with figures at random; each has traded."""
    rows = [
        {"symbol": symbol, "timeframe": "1h", "strategy": strategy, "refused": "", **named(strategy, axes, values)}
        for symbol in symbols
        for strategy, axes in strategies.items()
        for values in product(*axes.values())
    ]
    rng = np.random.default_rng(seed)
    figures = {name: rng.normal(size=len(rows)) for name in ("sharpe", *FIGURES)}
    return pd.DataFrame(rows).assign(**{**figures, **{name: np.abs(figures[name]) for name in ("trades", "exposure_time")}})


def named(strategy: str, axes: Mapping[str, Sequence[Any]], values: Sequence[Any]) -> dict[str, Any]:
    """Parameters as columns are called."""
    return {f"{strategy}.{name}": value for name, value in zip(axes, values, strict=True)}


def found_made(table: pd.DataFrame, axes: Mapping[str, Sequence[str]], **changed: Any) -> Found:
    """A search with this table; its best is the best Sharpe ratio."""
    known = table["sharpe"].notna().to_numpy()
    best = int(table["sharpe"].to_numpy()[known].argmax()) if known.any() else -1
    place = int(np.flatnonzero(known)[best]) if known.any() else -1
    settings = {"strategies": {"ema": {"fast": 9, "slow": 21, "atr": 2.0}}}
    return replace(Found("search", settings, "sharpe", 0, table, axes, place, run_made(), VERDICT, {"trials_ever": 1234}), **changed)


GRID = {"ema": {"fast": (5, 9, 12), "slow": (21, 34), "atr": (1.0, 2.0)}}


def grid_found(**changed: Any) -> Found:
    """Twelve trials of three parameters, the first refused."""
    table = table_made(GRID)
    table.loc[0, "refused"] = "ema.fast must be below ema.slow"
    table.loc[0, ["sharpe", *FIGURES]] = nan
    return found_made(table, {name: list(axes) for name, axes in GRID.items()}, **changed)


def fold_made(number: int, inside: float, outside: float, **parameters: Any) -> Fold:
    """A fold with these Sharpe ratios."""
    ts = [1_700_006_400_000 + (number * 10 + hour) * 3_600_000 for hour in (0, 8, 10, 18)]
    figures = [{"sharpe": sharpe, "total_return": sharpe / 10, "trades": 4.0} for sharpe in (inside, outside)]
    return Fold(number, *ts, "ema", parameters, figures[0], figures[1])


def walked_made(folds: Sequence[Fold] | None = None, name: str = "walk") -> Walked:
    """A walk-forward of two schemes."""
    made = [fold_made(n, 1.0 + n / 10, 0.5 - n / 5, fast=5 + n % 2, slow=21) for n in range(1, 6)] if folds is None else folds
    walks = [Walk(scheme, made, run_made(name=name), VERDICT) for scheme in ("anchored", "rolling")]
    return Walked(name, {"walk": 1}, "sharpe", walks, {})


def contest_made(name: str = "arena") -> Contest:
    """Two traders that did much the same, one of them named so, a model that may have seen the bars, two benchmarks; generated candles."""
    rng = np.random.default_rng(2)
    steps = rng.normal(0, 0.01, (6, 90))

    def entrant(row: int, called: str, **own: Any) -> Contestant:
        sums = {"traded": 1e4, "fees": 5.0, "funding": 1.0, "trades": 3, "about": called}
        path = {"ts": 1_700_006_400_000 + np.arange(90) * 3_600_000, "equity": 10_000 * np.cumprod(1 + steps[row])}
        return Contestant(called, own.pop("kind", "trader"), **path, exposure=np.ones(90), initial_capital=10_000.0, **sums, **own)

    asked = Consulted(90, 1, 2, 89, 0.5, 0.5, np.array([300.0]))
    steps[0] = np.abs(steps[1]) * 0.1
    every = [entrant(0, name), entrant(1, "the other"), entrant(2, "model", model=asked, contaminated=True)]
    every += [entrant(3, "flat", kind="benchmark"), entrant(4, "random", kind="benchmark")]
    band = Band.of(every[0].ts, 10_000 * np.cumprod(1 + rng.normal(0, 0.01, (20, 90)), axis=1))
    steps[1] = steps[0]
    every[1] = entrant(1, "the other")
    made = board(every, 3_600_000, 1, band=band)
    training = {"first_ts": 0, "last_ts": 3_600_000, "bars": 2, "sharpes": {"breakout": 1.5, "momentum": None}, "chosen": "breakout"}
    result = {"symbols": [BTC], "timeframe": "1h", "synthetic": True, **made.as_dict(), "training": training, "notes": [f"{name} is noted"]}
    return Contest(name, {"arena": {"traders": [name]}}, result, made, every, band, {}, {})
