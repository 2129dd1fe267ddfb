"""Answers that are kept, by the hash of their question."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Protocol, runtime_checkable

from alpha_arena.core.advice import canonical
from alpha_arena.llm.provider import Provider
from alpha_arena.llm.reply import Messages, messages_json


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
