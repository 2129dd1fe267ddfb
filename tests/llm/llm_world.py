"""Models without a network: scripted wires, a clock that a test moves, a market of a few bars."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from math import nan
from random import Random
from typing import Any

import numpy as np

from alpha_arena.core.market import Market, Study, View
from alpha_arena.core.types import REGIMES, Account, Candles, Position, Regimes, RiskState, Signals
from alpha_arena.decision.llm import Llm
from alpha_arena.llm.adviser import Adviser
from alpha_arena.llm.caller import Caller, Time
from alpha_arena.llm.chain import Chain
from alpha_arena.llm.guards import Breaker, Purse
from alpha_arena.llm.kept import Kept, KeptHere
from alpha_arena.llm.prompt import template
from alpha_arena.llm.provider import Provider
from alpha_arena.llm.reply import CallFailed, Messages, Reply, Usage
from alpha_arena.settings import load

HOUR = 3_600_000
ROWS = 60
ENABLED = ("ema_trend", "breakout")
QUESTION: Messages = ({"role": "system", "content": "rules"}, {"role": "user", "content": "data"})


def good(position: float = 0.5, **changes: Any) -> str:
    """An answer that can be used."""
    parts = [
        {"strategy_id": "ema_trend", "weight": 0.6, "confidence": 0.9, "reasoning": "a trend"},
        {"strategy_id": "breakout", "weight": 0.4},
    ]
    whole = {"market_regime": "RANGE", "strategy_allocations": parts, "total_position": position, "confidence": 0.8, "reasoning": "why not"}
    return json.dumps({**whole, **changes})


def weights(*pairs: tuple[str, float], **changes: Any) -> str:
    """An answer with these weights."""
    return good(strategy_allocations=[{"strategy_id": name, "weight": weight} for name, weight in pairs], **changes)


def replied(text: str, **changes: Any) -> Reply:
    """A model's reply."""
    return replace(Reply(text, "m-1", "stop", usage=Usage(1000, 0, 100)), **changes)


@cache
def shipped(name: str) -> Provider:
    """A provider of conf/llm."""
    made = load("decide", ["decision=llm", f"llm={name}"]).decider
    assert isinstance(made, Llm)
    return made.model


def provider(name: str = "openai", **changes: Any) -> Provider:
    """A provider of conf/llm with some values changed."""
    return replace(shipped(name), **changes)


OPENAI = provider()


@dataclass
class Passing:
    """Time that passes only when somebody sleeps or a wire says that it took some."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        self.slept.append(seconds)
        self.now += seconds

    def time(self) -> Time:
        """As callers take it."""
        return Time(lambda: self.now, self.sleep, lambda: round(self.now * 1000), Random(1))


@dataclass
class Scripted:
    """A wire that says what it is told, in order, the last for ever. took_s: how long each call takes."""

    said: list[Reply | CallFailed]
    passing: Passing
    took_s: float = 0.0
    asked: list[Messages] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)

    def complete(self, messages: Messages, timeout_s: float) -> Reply:
        """The next of them."""
        self.asked.append(messages)
        self.timeouts.append(timeout_s)
        self.passing.now += min(self.took_s, timeout_s)
        says = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(says, CallFailed):
            raise says
        return says


def caller(
    wire: Scripted | None,
    passing: Passing,
    made: Provider = OPENAI,
    kept: Kept | None = None,
    purse: Purse | None = None,
    breaker: Breaker | None = None,
) -> Caller:
    """A caller of its own."""
    own = breaker or Breaker(made.breaker_failures, made.breaker_s)
    return Caller(made, wire, kept or KeptHere(), own, purse or Purse(made.budget_usd), passing.time(), "t" * 64)


def scripted(passing: Passing, *said: str | Reply | CallFailed, took_s: float = 0.0) -> Scripted:
    """A wire; texts become replies."""
    return Scripted([replied(one) if isinstance(one, str) else one for one in said], passing, took_s)


def bars(rows: int = ROWS) -> Candles:
    """A slow wave."""
    close = 100 + 5 * np.sin(np.arange(rows) / 7)
    open_ = np.r_[100.0, close[:-1]]
    return Candles(np.arange(rows) * HOUR, open_, np.maximum(open_, close) + 1, np.minimum(open_, close) - 1, close, np.full(rows, 50.0))


def wish(exposure: float, stop: float = nan, take: float = nan, rows: int = ROWS) -> Signals:
    """The same wish at every row."""
    return Signals(np.full(rows, exposure), np.full(rows, stop), np.full(rows, take), np.ones(rows))


def view(
    signals: Mapping[str, Signals] | None = None,
    t: int = ROWS - 1,
    held: float = 0.0,
    candles: Candles | None = None,
    catch_up: bool = False,
) -> View:
    """A close of one market. held: quantity."""
    market = Market.of("X", HOUR, candles or bars())
    own = signals or {"ema_trend": wish(0.6, 90, 120), "breakout": wish(-0.3, 110, 80)}
    regimes = Regimes(np.full(len(market), REGIMES.index("RANGE"), np.int8), *(np.full(len(market), 0.123456789) for _ in range(5)))
    study = Study({"X": market}, {"X": own}, {"X": regimes}, {"X": {name: np.linspace(1, 1.1, len(market)) for name in own}})
    ts, price = int(market.ts[t]) + HOUR, float(market.close[t])
    account = Account(10_000.0, {"X": Position(held, price)} if held else {})
    return View(ts, ts, {"X": t}, study, account, RiskState(10_000.0), {"X": price}, catch_up=catch_up)


def decider(chain: Chain | None, strategies: Sequence[str] = ENABLED, **changes: Any) -> Llm:
    """A decider over two strategies."""
    adviser = Adviser(chain, template("allocation_v1"), "run", "backtest") if chain else None
    values: dict[str, Any] = {
        "name": "llm",
        "strategies": list(strategies),
        "fallback_strategy": None,
        "performance_windows": [10, 20],
        "feedback_decisions": 50,
        "global_leverage": 1.0,
        "leverages": dict.fromkeys(strategies, 3.0),
        "known": [*strategies, "momentum"],
        "model": chain.callers[0].provider if chain else OPENAI,
        "fallbacks": [],
        "adviser": adviser,
    }
    return Llm(**{**values, **changes})


def advised(*said: str | Reply | CallFailed, **changes: Any) -> Llm:
    """A decider whose model says this."""
    passing = Passing()
    made = replace(OPENAI, mode=changes.pop("mode", "position"), cache="off")
    return decider(Chain([caller(scripted(passing, *said), passing, made)], [*ENABLED, "momentum"]), **changes)
