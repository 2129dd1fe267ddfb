"""What models did in a run: levels of fallback, tokens, money, and which part of the result they cannot have known beforehand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from alpha_arena.backtest import statistics as figures_of
from alpha_arena.backtest.record import Record
from alpha_arena.core.advice import FIRST, Advice, canonical
from alpha_arena.core.outcomes import Outcome
from alpha_arena.core.timeframes import UNIT_MS
from alpha_arena.core.types import Floats, Ints

SCHEMA_VERSION = 1
# what happened shortly before a model's training ended is told of after it
GRACE_DAYS = 30
UNPRICED = "llm.models has no price of one, or a call failed that may have been charged"


def clean_after(day: str) -> int:
    """From when on bars cannot have been part of a training whose last day this is: GRACE_DAYS after its end, ms UTC."""
    return int(np.datetime64(day, "ms").astype(np.int64)) + (1 + GRACE_DAYS) * UNIT_MS["d"]


@dataclass(frozen=True, slots=True)
class Cutoff:
    """What the models of a run may have known.

    Attributes:
        day: the latest last day of their training, YYYY-MM-DD; None where one does not say. models: that were asked.
    """

    day: str | None
    models: tuple[str, ...]

    @classmethod
    def of(cls, advice: Sequence[Advice]) -> Cutoff:
        """Of everybody who was asked."""
        told = [json.loads(one.record) for one in advice if one.record]
        days = {one["knowledge_cutoff"] for one in told}
        models = tuple(sorted({f"{one['provider']}/{one['model_requested']}" for one in told}))
        return cls(max(days) if days and None not in days else None, models)

    @property
    def clean_from(self) -> int | None:
        """From when on bars cannot have been part of any training, ms UTC; None: never."""
        return None if self.day is None else clean_after(self.day)

    def clean(self, ts: Ints) -> Any:
        """Which bars are."""
        return np.zeros(ts.size, bool) if self.clean_from is None else ts >= self.clean_from

    def said(self, ts: Ints) -> str:
        """In one sentence, what that means for a result."""
        who, after = ", ".join(self.models) or "the model", int(self.clean(ts).sum())
        if self.day is None:
            return f"CONTAMINATED: where the training of {who} ends is not known, so that it may have seen every bar of this run"
        stretch = f"{GRACE_DAYS} days after the end of the training of {who} ({self.day})"
        if not after:
            return f"CONTAMINATED: no bar lies more than {stretch}, so that the model may have seen them all"
        if after < ts.size:
            return f"CONTAMINATED in part: {ts.size - after:,} of {ts.size:,} bars lie before {stretch}; only the others count"
        return f"all {ts.size:,} bars lie more than {stretch}"


def figures(record: Record, cutoff: Cutoff, ppy: float) -> dict[str, Any]:
    """The part `llm` of result.json.

    Returns:
        decisions, fallback_levels (how many by level), fallback_rate, tokens, cost_usd (null where that of a call is not known),
        cost_bps (of the initial capital), total_return_net of that cost; knowledge_cutoff and clean_from_ts (null: not known),
        before_cutoff and after_cutoff: bars, total_return, sharpe and max_drawdown of the bars before and after that time, null without
        any; contaminated and contamination, a sentence.
    """
    advice, initial, final = record.advice, record.initial_capital, float(record.equity[-1])
    levels = Counter(one.fallback_level for one in advice)
    cost = sum(one.cost_usd for one in advice)
    known = not isnan(cost)
    counted = [one.tokens for one in advice if one.tokens is not None]
    return {
        "decisions": len(advice),
        "fallback_levels": {str(level): levels[level] for level in sorted(levels)},
        "fallback_rate": 1 - levels[FIRST] / len(advice),
        "tokens": sum(counted) if counted else None,
        "cost_usd": cost if known else None,
        "cost_bps": cost / initial * 1e4 if known else None,
        "total_return_net": (final - cost) / initial - 1 if known else None,
        "models": sorted({f"{one.provider}/{one.model}" for one in advice if one.provider}),
        **split(record, cutoff, ppy),
    }


def split(record: Record, cutoff: Cutoff, ppy: float) -> dict[str, Any]:
    """What can have been remembered, and what cannot."""
    clean = cutoff.clean(record.ts)
    returns = figures_of.returns(figures_of.curve(record.initial_capital, record.equity))
    return {
        "knowledge_cutoff": cutoff.day,
        "clean_from_ts": cutoff.clean_from,
        "before_cutoff": part(returns[~clean], ppy),
        "after_cutoff": part(returns[clean], ppy),
        "contaminated": not clean.all(),
        "contamination": cutoff.said(record.ts),
    }


def part(returns: Floats, ppy: float) -> dict[str, Any] | None:
    """Figures of a part of a run's bars, None without any."""
    if not returns.size:
        return None
    curve = np.concatenate([[1.0], np.cumprod(1 + returns)])
    return {
        "bars": int(returns.size),
        "total_return": float(curve[-1] - 1),
        "sharpe": figures_of.sharpe(returns, ppy),
        "max_drawdown": figures_of.max_drawdown(curve),
    }


def doubts(advice: Sequence[Advice], cutoff: Cutoff, ts: Ints) -> list[str]:
    """What a reader of the figures must hear."""
    if not advice:
        return []
    said = [] if cutoff.clean(ts).all() else [cutoff.said(ts)]
    said += fallen(advice)
    dear = any(isnan(one.cost_usd) for one in advice)
    return said + ([f"what the models cost is not known, so that it is not in the figures: {UNPRICED}"] if dear else [])


def fallen(advice: Sequence[Advice]) -> list[str]:
    """How many decisions are not a model's first answer, and why the first of them is none; nothing where all are."""
    held = [one for one in advice if one.fallback_level != FIRST]
    if not held:
        return []
    tried = json.loads(held[0].record).get("attempts") if held[0].record else None
    why = f"; the first because of {reason(tried[0])}" if tried else ""
    return [f"{len(held):,} of {len(advice):,} decisions are not a model's first answer; llm.jsonl has the reasons{why}"]


def reason(attempt: Mapping[str, Any]) -> str:
    """Why an attempt of a record was not taken."""
    return (
        f"{attempt['error_class']}: {attempt['said']}"
        if attempt["error_class"]
        else str([*attempt.get("errors", ()), "it was not taken"][0])
    )


def records(advice: Sequence[Advice], outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The lines of llm.jsonl: a record for each decision that was asked for (specs: quant L1), then what came of those that have ended."""
    names: dict[tuple[str, int], str] = {}
    for one in advice:
        if one.record:
            told = json.loads(one.record)
            names[told["symbol"], told["bar_close_ts"]] = told["decision_id"]
            yield one.record
    for ended in outcomes:
        if (ended.symbol, ended.ts) in names:
            told = {"schema_version": SCHEMA_VERSION, "decision_id": names[ended.symbol, ended.ts], "outcome": outcome_record(ended)}
            yield canonical(told)


def outcome_record(one: Outcome) -> dict[str, Any]:
    """What came of a decision, as JSON holds it: money in quote currency, fees and funding positive when paid."""
    return {
        "filled_ts": one.opened_ts,
        "closed_ts": one.closed_ts,
        "ended_by": one.ended_by,
        "horizon_bars": one.horizon_bars,
        "return": None if isnan(one.return_) else one.return_,
        "pnl": one.pnl,
        "funding": one.funding,
        "fees": one.fees,
        "regime": one.regime,
        "parts": dict(one.parts),
    }
