"""From a question to an answer, or to the next best thing: first answer, asked again, another provider, a strategy, hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import fsum

from alpha_arena.core.advice import ANOTHER, ASKED_AGAIN, FIRST, HOLD, STRATEGY
from alpha_arena.llm.answer import Checked, check
from alpha_arena.llm.caller import Caller
from alpha_arena.llm.reply import Messages, Outcome, Reply, clean

LONGEST_QUOTE = 4000


@dataclass(frozen=True, slots=True)
class Asked:
    """One question with what came of it. level: where in the chain it stood."""

    level: int
    caller: Caller
    messages: Messages
    outcome: Outcome
    checked: Checked


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a chain came to.

    Attributes:
        level: as of core.advice. checked: the answer that counts, with neither allocation nor selection at STRATEGY and HOLD.
        selected: at STRATEGY, which one. asked: every question in its order.
    """

    level: int
    checked: Checked
    asked: tuple[Asked, ...]
    selected: str = ""

    @property
    def last(self) -> Asked:
        """The question whose answer counts, or the last one."""
        return self.asked[-1]

    @property
    def why(self) -> str:
        """What went wrong on the way, a phrase a question; "" where the first answer counts."""
        return "; ".join(f"{one.caller.provider.name} {_wrong(one)}" for one in self.asked if not one.checked.ok)

    @property
    def cost_usd(self) -> float:
        """Of all calls; NaN where that of one is not known."""
        return fsum(one.outcome.cost_usd for one in self.asked)

    @property
    def tokens(self) -> int | None:
        """Of all calls, None where one did not tell."""
        used = [one.outcome.reply.usage for one in self.asked if one.outcome.reply]
        counted = [usage.prompt + usage.completion for usage in used if usage.prompt is not None and usage.completion is not None]
        return sum(counted) if len(counted) == len(used) and used else None


def _wrong(one: Asked) -> str:
    return one.outcome.why or f"answered wrongly ({one.checked.errors[0]})"


@dataclass(frozen=True)
class Chain:
    """Asks providers in their order.

    Args:
        callers: the first, then those that are asked where it fails. known: all strategies that exist.
        fallback_strategy: whose turn it is where no answer is right and none names a strategy, "" for none.
    """

    callers: Sequence[Caller]
    known: Sequence[str] = ()
    fallback_strategy: str = ""
    made: list[int] = field(default_factory=lambda: [0])

    def ask(self, messages: Messages, enabled: Sequence[str], until: float) -> Verdict:
        """The best answer to be had until `until` (monotonic seconds)."""
        self.made[0] += 1
        asked: list[Asked] = []
        for n, caller in enumerate(self.callers):
            share = self._share(caller, until, n)
            self._put(asked, ANOTHER if n else FIRST, caller, messages, enabled, share)
            if not asked[-1].checked.ok and n == 0 and asked[-1].outcome.reply:
                again = repair(messages, asked[-1])
                self._put(asked, ASKED_AGAIN, caller, again, enabled, share)
            if asked[-1].checked.ok:
                return Verdict(asked[-1].level, asked[-1].checked, tuple(asked))
        named = next((one.checked.selected for one in asked if one.checked.selected), self.fallback_strategy)
        return Verdict(STRATEGY if named else HOLD, asked[-1].checked, tuple(asked), named)

    def _share(self, caller: Caller, until: float, n: int) -> float:
        """The first may use up half the time where others could be asked after it."""
        now = caller.time.monotonic()
        return now + (until - now) / 2 if n + 1 < len(self.callers) else until

    def _put(self, asked: list[Asked], level: int, caller: Caller, messages: Messages, enabled: Sequence[str], until: float) -> None:
        outcome = caller.ask(messages, until)
        checked = (
            check(outcome.reply, enabled, self.known) if outcome.reply else Checked(errors=(outcome.attempts[-1].said or outcome.why,))
        )
        asked.append(Asked(level, caller, messages, outcome, checked))


def repair(messages: Messages, wrong: Asked) -> Messages:
    """The question once more, with the answer and what is wrong with it."""
    reply: Reply | None = wrong.outcome.reply
    errors = "\n".join(f"- {error}" for error in wrong.checked.errors)
    said = {"role": "assistant", "content": clean(reply.text if reply else "", LONGEST_QUOTE) or "(empty)"}
    return (*messages, said, {"role": "user", "content": f"That answer cannot be used:\n{errors}\nGive the corrected JSON object alone."})
