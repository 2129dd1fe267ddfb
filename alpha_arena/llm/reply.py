"""What comes of one call to a model: a reply, or a failure that says whether it may pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from math import nan
from typing import Any, Protocol, runtime_checkable

from alpha_arena.core.advice import canonical
from alpha_arena.llm.provider import MILLION, Card, Provider

Messages = Sequence[Mapping[str, str]]
PASSING_STATUS = frozenset({408, 409, 429})
# of an error behind which a model may have answered all the same
WORKED_STATUS = 408
# numbers come to no more tokens than that
CHARACTERS_A_TOKEN = 2
# what moves a terminal's cursor, or shows a text in another order than it has
CONTROLS = (range(0x20), range(0x7F, 0xA0), (0x61C,), range(0x200E, 0x2010), range(0x2028, 0x202F), range(0x2066, 0x206A))
REPLACED = {**dict.fromkeys(code for codes in CONTROLS for code in codes), 9: "\t", 10: "\n"}


def clean(text: str, longest: int | None = None) -> str:
    """Text that every database and terminal takes as it reads: no control characters, none that turn the order of others, no halves of
    surrogate pairs; cut to `longest` characters."""
    sound = text.encode("utf-8", "replace").decode("utf-8").translate(REPLACED)
    return sound if longest is None or len(sound) <= longest else f"{sound[: longest - 1]}…"


def messages_json(messages: Messages) -> str:
    """Messages in canonical JSON."""
    return f"[{','.join(_message_json(tuple(one.items())) for one in messages)}]"


@lru_cache(maxsize=16)
def _message_json(message: tuple[tuple[str, str], ...]) -> str:
    """The rules are the same at every bar, and a question is hashed twice."""
    return canonical(dict(message))


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a call: of the prompt, of its cached part, of the answer, of its thinking; None where not told."""

    prompt: int | None = None
    cached_prompt: int | None = None
    completion: int | None = None
    reasoning: int | None = None

    def cost_usd(self, card: Card) -> float:
        """The price by the model's card; NaN where a price or the tokens are not known."""
        if card.free:
            return 0.0
        if self.prompt is None or self.completion is None or card.input_usd is None or card.output_usd is None:
            return nan
        cached = min(self.cached_prompt or 0, self.prompt)
        cached_usd = card.input_usd if card.cached_usd is None else card.cached_usd
        return ((self.prompt - cached) * card.input_usd + cached * cached_usd + self.completion * card.output_usd) / MILLION

    def most_usd(self, provider: Provider, messages: Messages) -> float:
        """What the call counts in a budget: its price, or what that is at most where tokens or prices are not known."""
        prompt = most_tokens(messages) if self.prompt is None else self.prompt
        completion = provider.longest if self.completion is None else self.completion
        return Usage(prompt, self.cached_prompt, completion).cost_usd(provider.budget_card)


def most_tokens(messages: Messages) -> int:
    """Tokens that a prompt has at most."""
    return sum(len(one["content"]) for one in messages) // CHARACTERS_A_TOKEN


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model said. model: as the provider calls it; finish: why it stopped, e.g. stop or length."""

    text: str
    model: str = ""
    finish: str = ""
    fingerprint: str = ""
    reasoning: str = ""
    usage: Usage = Usage()

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Reply:
        """From its dict."""
        return cls(**{**kept, "usage": Usage(**kept["usage"])})


class CallFailed(Exception):
    """A call without a reply.

    Args:
        kind: one word for it. said: what the provider said, without secrets.
        status: of HTTP, None without an answer. passing: the same call may succeed later. after_s: when the provider says so.
        sent: somebody was asked. reached: there was somebody at the address.
    """

    def __init__(
        self,
        kind: str,
        said: str = "",
        status: int | None = None,
        passing: bool = False,
        after_s: float | None = None,
        sent: bool = True,
        reached: bool = True,
    ) -> None:
        super().__init__(f"{kind}: {said}" if said else kind)
        self.kind, self.said, self.status = kind, clean(said, 300), status
        self.passing, self.after_s, self.sent, self.reached = passing, after_s, sent, reached

    @property
    def may_cost(self) -> bool:
        """Whether the provider may charge for it: not where nobody was reached, nor where the question was turned away."""
        worked = self.status is None or self.status == WORKED_STATUS or self.status >= 500
        return self.sent and self.reached and worked


@runtime_checkable
class Wire(Protocol):
    """Asks a model once."""

    def complete(self, messages: Messages, timeout_s: float) -> Reply:
        """Its reply within `timeout_s`.

        Raises:
            CallFailed: no reply that can be read.
        """


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call as it is recorded; error_class "" where there was a reply."""

    provider: str
    model: str
    http_status: int | None
    error_class: str
    latency_ms: int
    said: str = ""


def flat(one: Usage | Attempt) -> dict[str, Any]:
    """Its fields, which hold plain values."""
    return {name: getattr(one, name) for name in one.__match_args__}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of asking one provider once, repetitions included.

    Attributes:
        key: of the question. reply: None where there was none; attempts: the last says why.
        wall_ms: when it was asked. cost_usd: of all calls, NaN where not known. hit: it was kept from earlier.
    """

    key: str
    reply: Reply | None
    attempts: tuple[Attempt, ...]
    wall_ms: int
    cost_usd: float
    hit: bool = field(default=False, compare=False)

    @property
    def why(self) -> str:
        """The word for its failure, "" where there is a reply."""
        return "" if self.reply else self.attempts[-1].error_class

    def kept(self) -> dict[str, Any]:
        """As it is kept; NaN is null."""
        made = asdict(self)
        made.pop("hit")
        return {**made, "cost_usd": None if self.cost_usd != self.cost_usd else self.cost_usd}

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Outcome:
        """From what was kept."""
        attempts = tuple(Attempt(**one) for one in kept["attempts"])
        reply = Reply.of(kept["reply"]) if kept["reply"] else None
        cost = nan if kept["cost_usd"] is None else kept["cost_usd"]
        return cls(kept["key"], reply, attempts, kept["wall_ms"], cost, True)
