"""Asking one provider: what is kept first, then within budget, breaker and time, again where a failure may pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Any

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.stop import stop_base

from alpha_arena.llm.answer import schema
from alpha_arena.llm.guards import Breaker, Purse
from alpha_arena.llm.kept import Kept, asked_of, question_key
from alpha_arena.llm.provider import Provider
from alpha_arena.llm.reply import Attempt, CallFailed, Messages, Outcome, Reply, Usage, Wire

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 8.0


def wall_ms() -> int:
    """Now, ms since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Time:
    """How real time passes, seconds; tests give their own."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    wall_ms: Callable[[], int] = wall_ms
    draw: Random = field(default_factory=Random)


@dataclass
class _Calls:
    """What has been tried of one question. cost_usd: NaN once that of a call is not known."""

    attempts: list[Attempt] = field(default_factory=list)
    cost_usd: float = 0.0


@dataclass(frozen=True)
class Caller:
    """Asks one provider.

    Args:
        wire: None where the key is missing. template_sha256: under which answers are kept.
    """

    provider: Provider
    wire: Wire | None
    kept: Kept
    breaker: Breaker
    purse: Purse
    time: Time
    template_sha256: str

    @cached_property
    def params(self) -> Mapping[str, Any]:
        """What is sent beside model and messages."""
        return self.provider.params(schema())

    @cached_property
    def _asked_of(self) -> str:
        return asked_of(self.provider, self.params)

    def ask(self, messages: Messages, until: float) -> Outcome:
        """A reply or the reason why there is none, at the latest at `until` (monotonic seconds)."""
        cache, key = self.provider.cache, question_key(self._asked_of, messages)
        found = self.kept.get(key) if cache in ("replay", "replay_strict") else None
        if found and (found["reply"] or cache == "replay_strict"):
            return Outcome.of(found)
        if cache == "replay_strict":
            return self._outcome(key, None, _Calls([self._attempt(CallFailed("CacheMiss", self._missed(key), sent=False), 0.0)]))
        made = self._asked(key, messages, until)
        if cache != "off" and (made.reply or not self._has_answer(key)):
            self.kept.put(key, self.template_sha256, made.kept())
        return made

    def _has_answer(self, key: str) -> bool:
        """An answer that was paid for is worth more than the word that nobody could be asked again."""
        found = self.kept.get(key)
        return bool(found and found["reply"])

    def _missed(self, key: str) -> str:
        others = self.kept.others(self.template_sha256)
        old = f"; {others} answers are kept to questions of other templates" if others else ""
        return f"no answer is kept to question {key[:12]}{old}; llm.cache=record asks and keeps"

    def _asked(self, key: str, messages: Messages, until: float) -> Outcome:
        calls = _Calls()
        retrying = Retrying(
            stop=stop_after_attempt(self.provider.retries + 1) | _Late(self.time, until),
            wait=self._pause,
            retry=retry_if_exception(lambda error: isinstance(error, CallFailed) and error.passing),
            sleep=self.time.sleep,
            reraise=True,
        )
        try:
            return self._outcome(key, retrying(self._once, messages, until, calls), calls)
        except CallFailed:
            return self._outcome(key, None, calls)

    def _outcome(self, key: str, reply: Reply | None, calls: _Calls) -> Outcome:
        return Outcome(key, reply, tuple(calls.attempts), self.time.wall_ms(), calls.cost_usd)

    def _once(self, messages: Messages, until: float, calls: _Calls) -> Reply:
        began = self.time.monotonic()
        try:
            reply = self._wire(until - began).complete(messages, min(self.provider.call_s, until - began))
        except CallFailed as failed:
            if failed.sent:
                self.breaker.told(False, self.time.monotonic())
            calls.attempts.append(self._attempt(failed, began))
            if failed.may_cost:
                self._pay(Usage(), messages, calls)
            raise
        self.breaker.told(True, self.time.monotonic())
        calls.attempts.append(self._attempt(None, began))
        self._pay(reply.usage, messages, calls)
        return reply

    def _pay(self, usage: Usage, messages: Messages, calls: _Calls) -> None:
        """Count a call: in its cost what is known, in the budget at most what it can have been."""
        calls.cost_usd += usage.cost_usd(self.provider.card)
        self.purse.pay(usage.most_usd(self.provider, messages))

    def _wire(self, left_s: float) -> Wire:
        """The way to the provider.

        Raises:
            CallFailed: it may not be asked now; nothing was sent.
        """
        provider = self.provider
        if self.wire is None:
            raise CallFailed("NoKey", f"set {provider.credential} in the environment or in .env, see .env.example", sent=False)
        if self.purse.is_empty():
            onward = "; llm.cache=replay goes on with what has no answer yet" if provider.cache == "record" else ""
            raise CallFailed("BudgetSpent", f"llm.budget_usd={self.purse.budget_usd:g} is spent{self._guessed()}{onward}", sent=False)
        if self.breaker.is_open(self.time.monotonic()):
            failures = f"{provider.breaker_failures} calls in a row failed"
            raise CallFailed("BreakerOpen", f"{failures}; asked again {provider.breaker_s:g} s after the last", sent=False)
        if left_s <= 0:
            raise CallFailed("Deadline", "no time is left", sent=False)
        return self.wire

    def _guessed(self) -> str:
        """That the budget counts a price that nobody gave."""
        provider = self.provider
        if provider.card == provider.budget_card:
            return ""
        at = f"{provider.unknown_price_usd:g} USD for a million tokens"
        return f"; {provider.model} has no price in llm.models and counts at llm.unknown_price_usd, {at}"

    def _attempt(self, failed: CallFailed | None, began: float) -> Attempt:
        asked = failed is None or failed.sent
        latency = round((self.time.monotonic() - began) * 1000) if asked else 0
        status = 200 if failed is None else failed.status
        kind, said = (failed.kind, failed.said) if failed else ("", "")
        return Attempt(self.provider.name, self.provider.model, status, kind, latency, said)

    def _pause(self, state: RetryCallState) -> float:
        """Full jitter over a wait that doubles; what the provider asks for, where it does."""
        failed = state.outcome.exception() if state.outcome else None
        told = failed.after_s if isinstance(failed, CallFailed) else None
        longest = min(FIRST_WAIT_S * 2.0 ** (state.attempt_number - 1), LONGEST_WAIT_S)
        return self.time.draw.uniform(0, longest) if told is None else told


class _Late(stop_base):
    """Stops where the next try would begin after the deadline."""

    def __init__(self, passing: Time, until: float) -> None:
        self.passing, self.until = passing, until

    def __call__(self, retry_state: RetryCallState) -> bool:
        """Whether to stop."""
        return self.passing.monotonic() + retry_state.upcoming_sleep >= self.until
