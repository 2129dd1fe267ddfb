"""Contestants: an account's path and sums, and what its models did; of what was simulated, and of traders at random as a band."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Literal

import numpy as np

from alpha_arena.backtest import statistics
from alpha_arena.backtest.record import Record
from alpha_arena.backtest.result import Run, traded
from alpha_arena.core.advice import ANOTHER, FIRST, Advice, latency_ms, was_unusable
from alpha_arena.core.types import Floats, Ints

Kind = Literal["trader", "sample", "benchmark"]
BAND = (0.05, 0.5, 0.95)


@dataclass(frozen=True, slots=True)
class Consulted:
    """What a contestant's models did.

    Attributes:
        decisions: in which one was to be asked. parse_failures: those in which some answer could not be used.
        fallbacks: those that are not a model's first answer. answers: those that are a model's at all.
        cost_usd: NaN where that of any decision is not known. least_usd: what is known of it.
        latencies_ms: of each decision for which somebody was asked, all its calls together.
    """

    decisions: int
    parse_failures: int
    fallbacks: int
    answers: int
    cost_usd: float
    least_usd: float
    latencies_ms: Floats


@dataclass(frozen=True, slots=True)
class Contestant:
    """One account over the bars of a contest.

    Attributes:
        kind: benchmarks have no rank; a sample is one of several askings of the same model, and stands under its trader.
        of: the trader that a sample belongs to, else its own name.
        ts: opens of the bars, ms UTC; equity, exposure (signed notional / equity): at each close; shape [T].
        traded: notional of all fills, each way counts. fees, funding: positive when paid. trades: closed round trips.
        model: None where none is asked. contaminated: bars lie before what its model was trained on ends.
        about: what it is, in a few words.
    """

    name: str
    kind: Kind
    ts: Ints
    equity: Floats
    exposure: Floats
    initial_capital: float
    traded: float
    fees: float
    funding: float
    trades: int
    model: Consulted | None = None
    of: str = ""
    contaminated: bool = False
    about: str = ""

    @property
    def silent(self) -> bool:
        """Its models were to be asked, and not one decision is theirs."""
        return self.model is not None and self.model.decisions > 0 and not self.model.answers

    @property
    def ranked(self) -> bool:
        """Whether its place says something of it: something is known of what its models cost, and its decisions are its own."""
        return self.kind == "trader" and not self.unpriced and not self.contaminated and not self.silent

    @property
    def unpriced(self) -> bool:
        """Nothing is known of what its models cost."""
        return self.model is not None and isnan(self.model.cost_usd) and not self.model.least_usd

    @property
    def curve(self) -> Floats:
        """Equity with the initial capital before its first bar; shape [T + 1]."""
        return statistics.curve(self.initial_capital, self.equity)

    @property
    def net_curve(self) -> Floats:
        """The same less what is known of its models' cost, in equal parts a bar."""
        return self.curve - np.linspace(0.0, self.model.least_usd if self.model else 0.0, self.equity.size + 1)


@dataclass(frozen=True, slots=True)
class Band:
    """What traders that draw their weights at random made of the same bars.

    Attributes:
        finals: equity after the last bar of each. low, middle, high: 5, 50 and 95 % of their equities at each close; shape [T].
    """

    ts: Ints
    finals: Floats
    low: Floats
    middle: Floats
    high: Floats

    @classmethod
    def of(cls, ts: Ints, equities: Floats) -> Band:
        """From equities of shape [seeds, T]."""
        return cls(ts, equities[:, -1], *np.quantile(equities, BAND, axis=0))

    @property
    def lines(self) -> dict[str, Floats]:
        """Its low, middle and high by these names."""
        return {"low": self.low, "middle": self.middle, "high": self.high}

    def share_below(self, final_equity: float) -> float:
        """Share of the random traders that ended below an equity, those that ended at it counted half."""
        return float(np.mean(self.finals < final_equity) + np.mean(self.finals == final_equity) / 2)


def of_run(run: Run, kind: Kind, name: str, about: str, of: str = "") -> Contestant:
    """A backtest as a contestant; arguments as in Contestant."""
    equity = run.equity
    return Contestant(
        name=name,
        kind=kind,
        ts=equity["ts"].to_numpy(np.int64),
        equity=equity["equity"].to_numpy(np.float64),
        exposure=equity["exposure"].to_numpy(np.float64),
        initial_capital=run.result["initial_capital"],
        traded=traded(run.fills),
        fees=run.result["fees"],
        funding=run.result["funding"],
        trades=len(run.trades),
        model=consulted(run.advice),
        of=of,
        contaminated=bool(contamination(run)),
        about=about,
    )


def contamination(run: Run) -> str:
    """What its models may have seen of its bars, in a sentence; "" where that is nothing."""
    asked = run.result.get("llm")
    return str(asked["contamination"]) if asked and asked["contaminated"] else ""


def of_record(record: Record, name: str, about: str) -> Contestant:
    """A simulated history as a benchmark."""
    return Contestant(
        name=name,
        kind="benchmark",
        ts=record.ts,
        equity=record.equity,
        exposure=record.exposure,
        initial_capital=record.initial_capital,
        traded=traded(record.fills),
        fees=float(record.fills["fee"].sum()),
        funding=record.funding,
        trades=len(record.trades),
        about=about,
    )


def consulted(advice: Sequence[Advice]) -> Consulted | None:
    """What models did in a run; None where none was to be asked."""
    if not advice:
        return None
    records = [json.loads(one.record) if one.record else {} for one in advice]
    waited = [latency for record in records if not isnan(latency := latency_ms(record))]
    return Consulted(
        decisions=len(advice),
        parse_failures=sum(was_unusable(record) for record in records),
        fallbacks=sum(one.fallback_level != FIRST for one in advice),
        answers=sum(one.fallback_level <= ANOTHER for one in advice),
        cost_usd=sum(one.cost_usd for one in advice),
        least_usd=float(np.nansum([one.cost_usd for one in advice])),
        latencies_ms=np.array(waited),
    )


def middle(samples: Sequence[Contestant]) -> Contestant:
    """The sample whose final equity is the median, the lower one of an even number."""
    return sorted(samples, key=lambda one: (float(one.equity[-1]), one.name))[(len(samples) - 1) // 2]
