"""Contestants of what was simulated: an account's path and sums, and what its models did."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isnan

import numpy as np

from alpha_arena.backtest.board import Consulted, Contestant, Kind
from alpha_arena.backtest.record import Record
from alpha_arena.backtest.result import Run, traded
from alpha_arena.core.advice import FIRST, Advice, latency_ms, was_unusable


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
    """A simulated history as a baseline."""
    return Contestant(
        name=name,
        kind="baseline",
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
        cost_usd=sum(one.cost_usd for one in advice),
        latencies_ms=np.array(waited),
    )


def middle(samples: Sequence[Contestant]) -> Contestant:
    """The sample whose final equity is the median, the lower one of an even number."""
    return sorted(samples, key=lambda one: (float(one.equity[-1]), one.name))[(len(samples) - 1) // 2]
