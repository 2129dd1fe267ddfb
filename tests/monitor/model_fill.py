"""A trader with a language model beside those of `fill`: answers, wrong answers, silence and thanks, each bar decided at its own close."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import numpy as np
from fill import BTC, COSTS, HOSTILE, WARM_UP, MaxExposure, regimes

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "llm"))
from llm_world import OPENAI, Passing, Scripted, caller, decider, good, replied, wish

from alpha_arena.core.market import Study
from alpha_arena.core.types import Account
from alpha_arena.data.ledger import Ledger
from alpha_arena.data.service import DataService
from alpha_arena.engine import Trader, run, ticks
from alpha_arena.execution.simulated import SimulatedExecutor
from alpha_arena.llm.chain import Chain
from alpha_arena.llm.provider import Provider
from alpha_arena.llm.reply import CallFailed, Messages, Reply, Usage

NAME = "llm_openai"
# in this order again and again: long, short, a wrong answer put right, nothing but errors, an answer whose price is not known
SAID = ("long", "short", "wrong", "long", "silent", "hostile")


@dataclass
class Moody(Scripted):
    """A wire whose mood changes with every decision; a question asked again is answered well."""

    turns: Iterator[int] = field(default_factory=count)

    def complete(self, messages: Messages, timeout_s: float) -> Reply:
        """An answer by mood."""
        self.passing.now += self.took_s
        if len(messages) > 2:
            return replied(good(0.4))
        mood = SAID[next(self.turns) % len(SAID)]
        if mood == "silent":
            raise CallFailed("ServerError", "the model is overloaded", 503)
        if mood == "wrong":
            return replied(good(0.4, total_position=7))
        if mood == "hostile":
            return replace(replied(good(-0.3, reasoning=HOSTILE)), reasoning=HOSTILE, usage=Usage())
        return replied(good(0.5 if mood == "long" else -0.5))


def provider(cutoff: str | None) -> Provider:
    """A model whose training ended on a day."""
    return replace(OPENAI, cache="off", models={OPENAI.model: replace(OPENAI.card, knowledge_cutoff=cutoff)})


def fill_model(service: DataService, bars: int = 60, name: str = NAME, cutoff: str | None = "2024-06-01", asked_s: float = 1000.0) -> None:
    """Let a model decide at the last `bars` closes of what is stored; `asked_s`: when it is asked, seconds since the epoch."""
    market = service.market(BTC.symbol, "1h")
    passing, rows = Passing(asked_s), len(market)
    own = {"ema_trend": wish(0.6, 1, 1e9, rows), "breakout": wish(-0.3, 1e9, 1, rows)}
    study = Study({BTC.symbol: market}, {BTC.symbol: own}, {BTC.symbol: regimes(market)}, {BTC.symbol: dict.fromkeys(own, np.ones(rows))})
    first = int(market.ts[max(WARM_UP, rows - bars)])
    ledger = Ledger(service, name, "1h", "simulated")
    ledger.open_account(10_000.0, first)
    chain = Chain([caller(Moody([], passing, took_s=2.1, turns=count()), passing, provider(cutoff))], ["ema_trend", "breakout"])
    made = decider(chain)
    executor = SimulatedExecutor(name, Account(10_000.0), (), {BTC.symbol: market}, {BTC.symbol: BTC}, COSTS, made.leverage)
    trader = Trader(name, "1h", {BTC.symbol: BTC}, made, (MaxExposure(1.0),), COSTS, "llm")
    with service.batch():
        for _ in run(ticks(study, first), study, trader, executor, ledger):
            pass
