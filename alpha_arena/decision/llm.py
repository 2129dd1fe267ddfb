"""A language model allocates across strategies that have been tested."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Self

from pydantic import ConfigDict, Field, SkipValidation, model_validator
from pydantic.dataclasses import dataclass

from alpha_arena.core.advice import HOLD, Advice
from alpha_arena.core.market import View
from alpha_arena.core.types import Share, Target
from alpha_arena.decision.brief import brief
from alpha_arena.decision.combine import Enabled, GlobalLeverage, combine, level
from alpha_arena.llm.adviser import Adviser, Brief
from alpha_arena.llm.answer import HOLDS, Allocation
from alpha_arena.llm.chain import Verdict
from alpha_arena.llm.provider import Provider
from alpha_arena.llm.reply import clean

LONGEST_WHY = 300
PAST = "a model is not asked about a past bar"
ALONE = "no model is connected"


@dataclass(frozen=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class Llm(Enabled):
    """Has a model choose weights and position; what it says is checked, and what cannot be used falls back, visibly.

    Attributes:
        fallback_strategy: whose own target is taken where no answer can be used; None: the position is held.
        performance_windows: bars over which a strategy's own return is told. feedback_decisions: closed ones that feedback looks back on.
        global_leverage: the target is this times the model's total_position; bound of |exposure|.
        leverages: max_leverage by strategy, notional / margin. known: all strategies that exist.
        model, fallbacks: who is asked, in this order. adviser: the way to them; None: nobody can be asked.
    """

    name: str
    strategies: Annotated[list[str], Field(min_length=1)]
    fallback_strategy: str | None
    performance_windows: Annotated[list[Annotated[int, Field(ge=1, le=1_000_000)]], Field(min_length=1, max_length=5)]
    feedback_decisions: Annotated[int, Field(ge=1, le=10_000, json_schema_extra={"unit": "decisions"})]
    global_leverage: GlobalLeverage
    leverages: dict[str, float]
    known: list[str]
    model: SkipValidation[Provider]
    fallbacks: SkipValidation[list[Provider]]
    adviser: SkipValidation[Adviser | None] = None

    @model_validator(mode="after")
    def _falls_back_on_an_enabled_strategy(self) -> Self:
        if self.fallback_strategy is not None and self.fallback_strategy not in self.strategies:
            raise ValueError(f"fallback_strategy={self.fallback_strategy} is not among the enabled strategies {self.strategies}")
        return self

    def decide(self, view: View) -> Mapping[str, Target]:
        """The model's target for each symbol, all within one deadline."""
        adviser = self.adviser
        if adviser is None or view.catch_up:
            return {symbol: held(view, symbol, Advice(HOLD), PAST if view.catch_up else ALONE) for symbol in view.t}
        # what is told may have to be computed first, which takes nothing of the model's time
        told = {symbol: self.brief(view, symbol) for symbol in view.t}
        until = adviser.until(next(iter(view.study.markets.values())).bar_ms)
        return {symbol: self._advised(adviser, view, symbol, own, until) for symbol, own in told.items()}

    def _advised(self, adviser: Adviser, view: View, symbol: str, told: Brief, until: float) -> Target:
        verdict = adviser.ask(told, until)
        target = self._target(view, symbol, verdict)
        return replace(target, advice=adviser.advice(told, verdict, target.exposure))

    def brief(self, view: View, symbol: str) -> Brief:
        """What its model is told of a symbol at a close."""
        windows, looks_back = self.performance_windows, self.feedback_decisions
        return brief(view, symbol, self.strategies, windows, self.global_leverage, looks_back, self.model.anonymise)

    def _target(self, view: View, symbol: str, verdict: Verdict) -> Target:
        said = verdict.checked.allocation or verdict.checked.selection
        reasons = [f"fallback {verdict.level}: {verdict.why}"] if verdict.why else []
        why = clean(". ".join([*reasons, *([said.reasoning] if said and said.reasoning else [])]), LONGEST_WHY)
        if isinstance(said, Allocation):
            return self._allocated(view, symbol, said, why)
        chosen = said.selected_strategy_id if said else verdict.selected
        if chosen in ("", HOLDS):
            return replace(held(view, symbol, None, why), confidence=said.confidence if said else 1.0)
        target = self._combined(view, symbol, (Share(chosen, 1.0, 0.0, why),))
        return replace(target, confidence=said.confidence if said else target.confidence, why=f"{chosen} alone. {why}")

    def _combined(self, view: View, symbol: str, shares: tuple[Share, ...]) -> Target:
        return combine(shares, view.signals(symbol), view.t[symbol], view.prices[symbol], self.global_leverage)

    def _allocated(self, view: View, symbol: str, said: Allocation, why: str) -> Target:
        if self.model.mode == "position":
            return self._position(view, symbol, said, why)
        shares = tuple(Share(one.strategy_id, one.weight, 0.0, one.reasoning) for one in said.strategy_allocations)
        target = self._combined(view, symbol, shares)
        return replace(target, confidence=said.confidence, why=why or target.why)

    def _position(self, view: View, symbol: str, said: Allocation, why: str) -> Target:
        """A target of the size that the model gives, split by its weights; levels are those of the strategies on its side."""
        exposure = self.global_leverage * said.total_position
        signals, t, close = view.signals(symbol), view.t[symbol], view.prices[symbol]
        wishes = [(one.weight, signals[one.strategy_id].at(t)) for one in said.strategy_allocations]
        stop = level(wishes, lambda wish: wish.stop, exposure, close, -1)
        take = level(wishes, lambda wish: wish.take, exposure, close, 1)
        parts = tuple(Share(one.strategy_id, one.weight, one.weight * exposure, one.reasoning) for one in said.strategy_allocations)
        return Target(exposure, stop, take, said.confidence, why or f"exposure {exposure:+.2f} as the model says", shares=parts)


def held(view: View, symbol: str, advice: Advice | None, why: str) -> Target:
    """The present position, kept with its levels; flat where there is none."""
    return Target(view.exposure(symbol), why=f"hold. {why}" if why else "hold", advice=advice)
