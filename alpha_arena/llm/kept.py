"""Answers that are kept, by the hash of their question."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Protocol, runtime_checkable

from pydantic import TypeAdapter, ValidationError

from alpha_arena.core.advice import canonical
from alpha_arena.llm.provider import Provider
from alpha_arena.llm.reply import Messages, Outcome, clean, messages_json

LINE_VERSION = 1
FIELDS = {"schema_version", "key", "template_sha256", "outcome"}
HASH = re.compile(r"[0-9a-f]{64}")
OUTCOME = TypeAdapter(Outcome)
# what a database counts to
LAST_MS = 2**63


@runtime_checkable
class Kept(Protocol):
    """Where answers are kept."""

    def get(self, key: str) -> Mapping[str, Any] | None:
        """What is kept of a question."""

    def put(self, key: str, template_sha256: str, outcome: Mapping[str, Any]) -> None:
        """Keep an outcome in the place of an earlier one; `outcome` is JSON's."""

    def others(self, template_sha256: str) -> int:
        """How many answers are kept to questions of other templates."""


class KeptHere:
    """Keeps answers while the process lives."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, Mapping[str, Any]]] = {}

    def get(self, key: str) -> Mapping[str, Any] | None:
        """As Kept."""
        return self.rows[key][1] if key in self.rows else None

    def put(self, key: str, template_sha256: str, outcome: Mapping[str, Any]) -> None:
        """As Kept."""
        self.rows[key] = (template_sha256, outcome)

    def others(self, template_sha256: str) -> int:
        """As Kept."""
        return sum(sha != template_sha256 for sha, _ in self.rows.values())


def asked_of(provider: Provider, params: Mapping[str, Any]) -> str:
    """What shapes an answer beside the messages, as canonical JSON, the same in every process; where the provider lies is no part of it."""
    told = {
        "provider": provider.name,
        "model": provider.model,
        "params": {name: value for name, value in params.items() if name != "response_format"},
        "response_format": params.get("response_format"),
        "sample_index": provider.sample,
    }
    return canonical(told)


def question_key(asked: str, messages: Messages) -> str:
    """SHA-256 of all that shapes an answer: of the canonical JSON of both, in which `messages` is the first of the sorted keys."""
    return sha256(f'{{"messages":{messages_json(messages)},{asked[1:]}'.encode()).hexdigest()


def line_of(key: str, template_sha256: str, outcome: Mapping[str, Any]) -> str:
    """A kept answer as a line of JSON, which holds all that a replay needs."""
    return canonical({"schema_version": LINE_VERSION, "key": key, "template_sha256": template_sha256, "outcome": tidied(outcome)})


def answer_of(line: str) -> tuple[str, str, dict[str, Any]]:
    """Key, template and outcome of such a line.

    Raises:
        ValueError: it is none, in a phrase.
    """
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(told, dict) or set(told) != FIELDS or told["schema_version"] != LINE_VERSION:
        raise ValueError(f"is not an answer of schema_version {LINE_VERSION} with {', '.join(sorted(FIELDS))}")
    key, template, outcome = told["key"], told["template_sha256"], told["outcome"]
    if not all(isinstance(one, str) and HASH.fullmatch(one) for one in (key, template)):
        raise ValueError("has a key or template_sha256 that is no SHA-256")
    if not is_outcome(outcome, key):
        raise ValueError("has an outcome that is none of this question")
    return key, template, outcome


def is_outcome(outcome: Any, key: str) -> bool:
    """Whether it is what would be kept of this question: no field or kind of value more, no character that moves a cursor."""
    try:
        cost = outcome["cost_usd"]
        made = OUTCOME.validate_python({**outcome, "cost_usd": float("nan") if cost is None else cost})
    except (ValidationError, TypeError, KeyError):
        return False
    same = canonical(made.kept()) == canonical(tidied(outcome))
    # a gift would make its trader richer than it is
    sound = not made.cost_usd < 0 and 0 <= made.wall_ms < LAST_MS
    return same and sound and made.key == key and bool(made.reply or made.attempts)


def tidied(value: Any) -> Any:
    """JSON whose texts hold no character that moves a cursor: older versions kept some."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {name: tidied(one) for name, one in value.items()}
    return [tidied(one) for one in value] if isinstance(value, list) else value
