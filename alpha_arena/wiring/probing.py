"""The probes at work: four runs of one model, of which each close is asked for once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import isnan
from typing import Any

import numpy as np

from alpha_arena.backtest.consulted import reason
from alpha_arena.backtest.probes import TOO_FEW, Limits, judged, mirrored, shuffled
from alpha_arena.backtest.result import Run
from alpha_arena.core.advice import ANOTHER
from alpha_arena.core.errors import ConfigError
from alpha_arena.core.market import Market, View
from alpha_arena.core.types import Target
from alpha_arena.data.service import DataService
from alpha_arena.decision.llm import Llm
from alpha_arena.llm.guards import Purse
from alpha_arena.llm.provider import Provider
from alpha_arena.settings import Settings
from alpha_arena.settings.laboratory import Probe
from alpha_arena.wiring.advising import connected
from alpha_arena.wiring.backtesting import Progress, Window, are_generated, simulate, window
from alpha_arena.wiring.desk import markets_of
from alpha_arena.wiring.estimating import Announce, Estimate, estimate, refuse_dear

WORLDS = ("named", "anonymous", "mirrored", "shuffled")


@dataclass(frozen=True)
class Counted:
    """A decider that tells when it has decided. done: closes so far, of all worlds."""

    inner: Llm
    told: Callable[[int], None]
    done: list[int] = field(default_factory=lambda: [0])

    @property
    def name(self) -> str:
        """As the decider's own."""
        return self.inner.name

    @property
    def leverage(self) -> float:
        """As the decider's own."""
        return self.inner.leverage

    def decide(self, view: View) -> Mapping[str, Target]:
        """As the decider's own."""
        made = self.inner.decide(view)
        self.done[0] += 1
        self.told(self.done[0])
        return made


def asked_of(settings: Settings) -> tuple[Llm, Probe]:
    """The decider that is probed, without those that would be asked in its place, and how.

    Raises:
        ConfigError: it asks no model.
    """
    decider, probe = settings.decider, settings.action
    if not isinstance(decider, Llm) or not isinstance(probe, Probe):
        raise ConfigError(f"probe asks a model, and decision={settings.decider.name} asks none; give decision=llm")
    return replace(decider, fallbacks=[], fallback_strategy=None), probe


def run_probe(settings: Settings, service: DataService, announce: Announce, progress: Progress) -> dict[str, Any]:
    """Ask the model about the same closes in four worlds, and say whether it remembers.

    Answers are kept, so that a probe that was stopped goes on where it was.
    `ok` is false where some are missing and too few are left to tell.

    Args:
        announce: told what will be asked and what it may cost, before anybody is.

    Raises:
        ConfigError: the decider asks no model, or the probe is too large. NoData: nothing is stored in the window.
    """
    decider, probe = asked_of(settings)
    markets = markets_of(settings, service, settings.end_ms)
    part = window(markets, settings.start_ms, settings.limit)
    told = estimate(settings, decider, markets, part, len(WORLDS))
    refuse_dear(told, "probe.most", probe.most, settings.confirm)
    announce(told.text)
    generated = are_generated(settings, service)
    count, total = [0], part.rows * len(WORLDS)
    purse, runs = Purse(decider.model.budget_usd), dict[str, Run]()
    for name, world in worlds(markets, part, probe, settings.seed).items():
        asked = replace(decider, model=replace(decider.model, anonymise=name == "anonymous"))
        ready = connected(replace(settings, decider=asked), service, "backtest", purse=purse)
        counted = Counted(ready.decider, lambda done: progress(done, total), count)  # type: ignore[arg-type]
        runs[name] = simulate(replace(ready, decider=counted, detail=None), world, generated)
    found = {**judged(runs, Limits(probe.least, probe.differ, probe.flip), settings.seed), **report(runs, told, decider.model, part)}
    return {"ok": found["verdict"] != TOO_FEW or not found["unanswered"], **found}


def worlds(markets: Mapping[str, Market], part: Window, probe: Probe, seed: int) -> dict[str, Mapping[str, Market]]:
    """The markets of each world."""
    first = {symbol: int(np.searchsorted(market.ts, part.first_ts)) for symbol, market in markets.items()}
    mixed = {
        symbol: shuffled(market, first[symbol], probe.block_bars, np.random.default_rng([seed, n]))
        for n, (symbol, market) in enumerate(markets.items())
    }
    turned = {symbol: mirrored(market) for symbol, market in markets.items()}
    return dict(zip(WORLDS, (markets, markets, turned, mixed), strict=True))


def unanswered(runs: Mapping[str, Run]) -> str | None:
    """How many questions had no answer, and why the first of them had none; None where all were answered."""
    lost = [one for run in runs.values() for one in run.advice if one.fallback_level > ANOTHER]
    if not lost:
        return None
    first = json.loads(lost[0].record)["attempts"][-1]
    return f"{len(lost):,} questions have no answer that can be used, the first because of {reason(first)}"


def report(runs: Mapping[str, Run], told: Estimate, model: Provider, part: Window) -> dict[str, Any]:
    """What was run, and what it cost."""
    asked = {name: run.result["llm"] for name, run in runs.items()}
    costs = [one["cost_usd"] for one in asked.values()]
    first = next(iter(runs.values()))
    return {
        "model": f"{model.name}/{model.model}",
        "unanswered": unanswered(runs),
        "contamination": asked["named"]["contamination"],
        "bars": part.rows,
        "start_ts": first.result["start_ts"],
        "end_ts": first.result["end_ts"],
        "questions": told.questions,
        "most_calls": told.calls,
        "most_cost_usd": None if isnan(told.cost_usd) else told.cost_usd,
        "cost_usd": None if None in costs else sum(costs),
        "synthetic": first.result["synthetic"],
        "worlds": {
            name: {"total_return": run.result["total_return"], "sharpe": run.result["sharpe"], "fallback_levels": one["fallback_levels"]}
            for (name, run), one in zip(runs.items(), asked.values(), strict=True)
        },
    }
