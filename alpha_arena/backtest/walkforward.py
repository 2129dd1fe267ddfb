"""Walk-forward: how history is cut, what is chosen on each training, and how the tests become one history (specs: quant §2.1)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import ceil, nan
from typing import Any

import numpy as np
import pandas as pd

from alpha_arena.backtest.search import Fold, best_first
from alpha_arena.backtest.statistics import mean, ratio
from alpha_arena.core.errors import ConfigError, DataError
from alpha_arena.core.market import Market
from alpha_arena.core.ports import Strategy
from alpha_arena.core.timeframes import UNIT_MS
from alpha_arena.core.types import Bools, Floats, Signals

ANCHORED, ROLLING = "anchored", "rolling"
SCHEMES = {ANCHORED: (ANCHORED,), ROLLING: (ROLLING,), "both": (ANCHORED, ROLLING)}


@dataclass(frozen=True, slots=True)
class Plan:
    """How history is cut, in bars. gap: between the end of a training and its test; train: of the first training, of every rolling one."""

    train: int
    test: int
    gap: int
    bar_ms: int

    @property
    def least(self) -> int:
        """Bars of one fold."""
        return self.train + self.gap + self.test

    def days(self, bars: int) -> str:
        """Bars in words."""
        return f"{bars * self.bar_ms / UNIT_MS['d']:,.1f} days"


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows of one fold, each stop the row after the last."""

    train_start: int
    train_stop: int
    test_start: int
    test_stop: int

    @property
    def train(self) -> tuple[int, int]:
        """Rows on which is chosen."""
        return self.train_start, self.train_stop

    @property
    def test(self) -> tuple[int, int]:
        """Rows on which is judged."""
        return self.test_start, self.test_stop


def plan_of(train_days: float, test_days: float, purge_bars: int, embargo: float, bar_ms: int) -> Plan:
    """A plan in bars; a day has as many as fit into it, so that missing bars make a fold reach further.

    Args:
        embargo: fraction of the bars of `train_days`, left out before each test beside `purge_bars`.

    Raises:
        ConfigError: a training or test without bars, or one that is purged away.
    """
    train, test = (round(days * UNIT_MS["d"] / bar_ms) for days in (train_days, test_days))
    for key, days, bars in (("train_days", train_days, train), ("test_days", test_days, test)):
        if not bars:
            raise ConfigError(f"walkforward.{key}={days:g} holds no bar of {bar_ms / UNIT_MS['d']:g} days; give a longer one")
    gap = purge_bars + ceil(round(embargo * train, 6))
    if gap >= train:
        raise ConfigError(
            f"walkforward.purge_bars={purge_bars} and walkforward.embargo={embargo:g} leave out {gap:,} bars before each test, "
            f"no fewer than the {train:,} of walkforward.train_days={train_days:g}; purge fewer, or train longer"
        )
    return Plan(train, test, gap, bar_ms)


def cuts(plan: Plan, scheme: str, first: int, stop: int) -> list[Cut]:
    """The folds of a scheme: tests follow each other without gap or overlap, and are the same for both schemes.

    Each training ends `plan.gap` bars before its test. A last test of less than half the bars is left out.

    Args:
        first, stop: rows that may be used.

    Raises:
        DataError: they do not hold one fold; says how long it is.
    """
    if stop - first < plan.least:
        raise DataError(
            f"walkforward needs {plan.days(plan.least)} of bars (training {plan.days(plan.train)}, left out {plan.days(plan.gap)}, test "
            f"{plan.days(plan.test)}), {plan.days(stop - first)} are stored between start and end; "
            "shorten walkforward.train_days= or walkforward.test_days=, or ingest more"
        )
    return list(_cuts(plan, scheme, first, stop))


def _cuts(plan: Plan, scheme: str, first: int, stop: int) -> Iterator[Cut]:
    for start in range(first + plan.train + plan.gap, stop, plan.test):
        end = min(start + plan.test, stop)
        trained = start - plan.gap
        if 2 * (end - start) >= plan.test:
            yield Cut(first if scheme == ANCHORED else trained - plan.train, trained, start, end)


def chosen(objective: Floats) -> int:
    """The trial with the best figure, of equal ones the first tried; -1 where there is none.

    Args:
        objective: of each trial in the training alone, NaN where not defined or where it traded too rarely.
    """
    order = best_first(objective)
    return int(order[0]) if order.size else -1


@dataclass(frozen=True, slots=True)
class Leg:
    """A test and who trades it, nobody where no parameters could be chosen; opens of its first and last bar, ms UTC."""

    first_ts: int
    last_ts: int
    strategy: Strategy | None


@dataclass(frozen=True)
class Relay:
    """A strategy that hands over: in each leg the one chosen for it, flat before and between.

    A position does not outlive its leg unless the same strategy trades the next: the target at a leg's last close is flat.
    """

    legs: Sequence[Leg]

    @property
    def lookback(self) -> int:
        """All history, where one of them needs it."""
        every = [one.lookback for one in self.runners]
        return max(every) if all(every) else 0

    @property
    def max_position(self) -> float:
        """The largest of theirs."""
        return max(one.max_position for one in self.runners)

    @property
    def max_leverage(self) -> float:
        """The largest of theirs: one account has one margin."""
        return max(one.max_leverage for one in self.runners)

    @property
    def runners(self) -> list[Strategy]:
        """Each strategy once."""
        every = {id(leg.strategy): leg.strategy for leg in self.legs}
        return [one for one in every.values() if one is not None]

    def signals(self, market: Market) -> Signals:
        """Causal, as each of them is."""
        made = {id(one): one.signals(market) for one in self.runners}
        rows = len(market)
        out = Signals(np.zeros(rows), np.full(rows, nan), np.full(rows, nan), np.ones(rows))
        for leg, following in pairwise([*self.legs, None]):
            if leg and leg.strategy is not None:
                held = (market.ts >= leg.first_ts) & (market.ts <= leg.last_ts)
                if following and following.strategy is not leg.strategy:
                    held &= market.ts != leg.last_ts
                out = _over(out, made[id(leg.strategy)], held)
        return out


def _over(under: Signals, over: Signals, where: Bools) -> Signals:
    names = ("exposure", "stop", "take", "confidence")
    return Signals(*(np.where(where, getattr(over, name), getattr(under, name)) for name in names))


def decay_of(folds: Sequence[Fold], result: Mapping[str, Any]) -> dict[str, float]:
    """From in to out of sample: means over trainings of what was chosen, beside the tests in a row.

    Args:
        result: of the tests in a row, as result.json.

    Returns:
        efficiency: return a year out of sample over that in sample, NaN where the latter is not above 0; change: Sharpe out less Sharpe in.
    """
    inside = {name: mean(np.array([fold.inside[name] for fold in folds if fold.strategy])) for name in ("sharpe", "cagr")}
    outside = {name: nan if result[name] is None else float(result[name]) for name in ("sharpe", "cagr")}
    return {
        "in_sample_sharpe": inside["sharpe"],
        "out_of_sample_sharpe": outside["sharpe"],
        "change": outside["sharpe"] - inside["sharpe"],
        "in_sample_cagr": inside["cagr"],
        "out_of_sample_cagr": outside["cagr"],
        "efficiency": ratio(outside["cagr"], inside["cagr"]) if inside["cagr"] > 0 else nan,
    }


def changes(folds: Sequence[Fold]) -> int:
    """How often another choice was made than the one before."""
    return sum((one.strategy, one.parameters) != (other.strategy, other.parameters) for one, other in pairwise(folds))


def folds_frame(folds: Mapping[str, Sequence[Fold]]) -> pd.DataFrame:
    """A row a fold: scheme, times, strategy, `strategy.parameter`, and figures as inside.NAME and outside.NAME."""
    return pd.DataFrame([{"scheme": scheme, **_row(fold)} for scheme, every in folds.items() for fold in every])


def _row(fold: Fold) -> dict[str, Any]:
    told = {name: value for name, value in asdict(fold).items() if not isinstance(value, dict)}
    varied = {f"{fold.strategy}.{name}": value for name, value in fold.parameters.items()}
    figures = {f"{part}.{name}": value for part in ("inside", "outside") for name, value in getattr(fold, part).items()}
    return {**told, **varied, **figures}
