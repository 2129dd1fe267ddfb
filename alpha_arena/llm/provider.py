"""A model that can be asked: conf/llm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

ANY = "any"
# what a template that names no market is called, after the name of the one that does
ANONYMOUS = "_anonymous"
MILLION = 1e6
MOST_TOKENS = 200_000

Price = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False, json_schema_extra={"unit": "USD for a million tokens"})]
Wait = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False, json_schema_extra={"unit": "seconds"})]
Date = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Card:
    """What is known of one model.

    Attributes:
        input_usd, cached_usd, output_usd: of a million tokens of prompt, of prompt that the provider had cached, of answer; None: unknown.
        as_of: date of the prices. knowledge_cutoff: last day that the model's training may have seen; None: the vendor does not say.
        reasoning: it thinks first, and takes no temperature.
    """

    input_usd: Price | None = None
    cached_usd: Price | None = None
    output_usd: Price | None = None
    as_of: Date | None = None
    knowledge_cutoff: Date | None = None
    reasoning: bool = False

    @property
    def free(self) -> bool:
        """Whether it costs nothing, however much is said."""
        return self.input_usd == 0 == self.output_usd


UNKNOWN = Card()


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Provider:
    """Which model is asked, how, and within which limits.

    Attributes:
        credential: environment variable of the key, None where none is needed.
        answers: how an answer is held to JSON: by our schema, as any object, or only by being told.
        seeded: it takes a seed. output_limit: its name for the largest answer. reasoning_field: where a message holds the thinking.
        cached_field: where usage counts prompt tokens that were cached, dots between levels.
        models: what is known of each model; the entry `any` holds for all others.
        extra: fields of the request that only this provider knows, e.g. those that switch its thinking off.
        mode: position: the model sizes the position; allocation: its weights are those of the strategies' own exposures.
        cache: off; record: ask and keep; replay: ask only for what is not kept; replay_strict: ask nobody.
        template: the prompt's, one of alpha_arena/llm/templates. anonymise: the one beside it that tells no symbol, date or price level.
        temperature, top_p, max_tokens, seed, reasoning_effort: as sent; None leaves one out. sample: tells repeated questions apart.
        deadline_s, deadline_bars: for everything that a decision asks, seconds and fraction of a bar; the smaller holds.
        call_s, connect_s: of one call. retries: after a failure that may pass.
        breaker_failures, breaker_s: calls that failed in a row, after which nobody is asked for that long.
        budget_usd: of a trader's day, or of a backtest; None for none.
        unknown_price_usd: at which a model without a price counts in the budget; its cost stays unknown.
        fallbacks: providers that are asked next, those without a key are left out.
    """

    name: str
    base_url: Annotated[str, Field(pattern=r"^https?://")]
    credential: str | None
    model: Annotated[str, Field(min_length=1)]
    answers: Literal["json_schema", "json_object", "none"]
    seeded: bool
    output_limit: Literal["max_tokens", "max_completion_tokens"]
    reasoning_field: str
    cached_field: str
    models: dict[str, Card]
    extra: dict[str, Any]
    mode: Literal["position", "allocation"]
    cache: Literal["off", "record", "replay", "replay_strict"]
    template: str
    anonymise: bool
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None
    max_tokens: Annotated[int, Field(ge=16, le=MOST_TOKENS, json_schema_extra={"unit": "tokens"})] | None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] | None
    reasoning_effort: str | None
    sample: Annotated[int, Field(ge=0, le=1_000_000)]
    deadline_s: Wait
    deadline_bars: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False, json_schema_extra={"unit": "bars"})]
    call_s: Wait
    connect_s: Wait
    retries: Annotated[int, Field(ge=0, le=10)]
    breaker_failures: Annotated[int, Field(ge=1, le=1000)]
    breaker_s: Wait
    budget_usd: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False, json_schema_extra={"unit": "USD"})] | None
    unknown_price_usd: Price
    fallbacks: list[str]

    @property
    def prompt(self) -> str:
        """Name of the template that is filled."""
        return f"{self.template}{ANONYMOUS}" if self.anonymise else self.template

    @property
    def card(self) -> Card:
        """What is known of the model."""
        return self.models.get(self.model) or self.models.get(ANY) or UNKNOWN

    @property
    def budget_card(self) -> Card:
        """The card by which calls count in the budget: no price in it is unknown."""
        own, most = self.card, self.unknown_price_usd
        input_usd, output_usd = (most if price is None else price for price in (own.input_usd, own.output_usd))
        return replace(own, input_usd=input_usd, output_usd=output_usd)

    @property
    def longest(self) -> int:
        """Tokens that an answer may have at most."""
        return MOST_TOKENS if self.max_tokens is None else self.max_tokens

    def params(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """What is sent beside model and messages; only what the model takes.

        Args:
            schema: JSON Schema of the answer.
        """
        formats: dict[str, Any] = {
            "json_schema": {"type": "json_schema", "json_schema": {"name": "allocation", "schema": dict(schema)}},
            "json_object": {"type": "json_object"},
            "none": None,
        }
        reasons = self.card.reasoning
        given = {
            "temperature": None if reasons else self.temperature,
            "top_p": None if reasons else self.top_p,
            self.output_limit: self.max_tokens,
            "seed": self.seed if self.seeded else None,
            "reasoning_effort": self.reasoning_effort if reasons else None,
            "response_format": formats[self.answers],
        }
        return {**self.extra, **{name: value for name, value in given.items() if value is not None}}
