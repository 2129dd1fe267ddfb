"""A model at a trader's side: fills the prompt, asks the chain, and writes down what was said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from math import isfinite, isnan
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from alpha_arena.core.advice import Advice, canonical
from alpha_arena.core.errors import DataError
from alpha_arena.llm.chain import Asked, Chain, Verdict
from alpha_arena.llm.prompt import PromptTemplate, sha
from alpha_arena.llm.reply import flat, messages_json

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Brief:
    """What a model is told at one close of one symbol.

    Attributes:
        close_ts: of the newest bar; asof_ts: newest time of anything told; ms UTC.
        rules, data: the fields of the template. enabled: strategies that may be given weight.
        feedback: how earlier decisions did, in the form in which a record holds it.
    """

    symbol: str
    timeframe: str
    bar_ms: int
    close_ts: int
    asof_ts: int
    rules: Mapping[str, str]
    data: Mapping[str, str]
    enabled: Sequence[str]
    feedback: Mapping[str, Any]


@dataclass(frozen=True)
class Adviser:
    """Asks and records.

    Args:
        run_id: what its records belong to. mode: backtest, paper or live.
    """

    chain: Chain
    template: PromptTemplate
    run_id: str
    mode: str

    def until(self, bar_ms: int) -> float:
        """When everything that is asked at one close must have been answered, monotonic seconds."""
        first = self.chain.callers[0]
        return first.time.monotonic() + min(first.provider.deadline_s, first.provider.deadline_bars * bar_ms / 1000)

    def ask(self, brief: Brief, until: float) -> Verdict:
        """What the chain comes to.

        Raises:
            DataError: something in the brief is of after the close.
        """
        if brief.asof_ts > brief.close_ts:
            raise DataError(f"the prompt at the close {brief.close_ts} would hold something of {brief.asof_ts}; nothing was asked")
        return self.chain.ask(self.template.messages(brief.rules, brief.data), brief.enabled, until)

    def advice(self, brief: Brief, verdict: Verdict, exposure: float) -> Advice:
        """The record of a verdict. exposure: of the target that was made of it."""
        last, reply = verdict.last, verdict.last.outcome.reply
        told = self._record(brief, verdict, exposure)
        return Advice(
            fallback_level=verdict.level,
            provider=last.caller.provider.name if reply else "",
            model=reply.model or last.caller.provider.model if reply else "",
            tokens=verdict.tokens,
            cost_usd=verdict.cost_usd,
            prompt_sha256=told["prompt_sha256"],
            record=canonical(told),
        )

    def _record(self, brief: Brief, verdict: Verdict, exposure: float) -> dict[str, Any]:
        first, last = verdict.asked[0], verdict.last
        reply, checked, seq = last.outcome.reply, verdict.checked, self.chain.made[0]
        answer = checked.allocation or checked.selection
        return {
            "schema_version": SCHEMA_VERSION,
            "decision_id": record_id(last.outcome.wall_ms, self.run_id, brief.symbol, brief.close_ts, seq),
            "run_id": self.run_id,
            "seq": seq,
            "mode": self.mode,
            "symbol": brief.symbol,
            "timeframe": brief.timeframe,
            "bar_close_ts": brief.close_ts,
            "asof_ts": brief.asof_ts,
            "wall_ts": last.outcome.wall_ms,
            **told_of(last),
            "prompt_template_id": self.template.id,
            "template_sha256": self.template.sha256,
            "prompt_sha256": sha(messages_json(first.messages)),
            "data_sha256": sha(canonical(dict(brief.data))),
            "messages": [dict(one) for one in first.messages],
            "enabled_strategies": list(brief.enabled),
            "feedback": dict(brief.feedback),
            "response_raw": reply.text if reply else None,
            "response_sha256": sha(reply.text) if reply else None,
            "reasoning_trace": reply.reasoning or None if reply else None,
            "parsed": answer.model_dump() if answer else None,
            "validation": {"ok": checked.ok, "errors": list(checked.errors), "repairs": list(checked.repairs)},
            "fallback_level": verdict.level,
            "selected_strategy_id": verdict.selected or None,
            "attempts": [attempt for one in verdict.asked for attempt in attempts_of(one)],
            "cost_usd": None if isnan(verdict.cost_usd) else verdict.cost_usd,
            "cache": {"hit": all(one.outcome.hit for one in verdict.asked), "key": last.outcome.key},
            "ensemble_position": exposure if isfinite(exposure) else None,
            "rl_adjustment": None,
            "risk_clips": [],
            "final_position": None,
            "order_ids": [],
        }


def told_of(asked: Asked) -> dict[str, Any]:
    """Who was asked last, with what, and what it used."""
    provider, reply = asked.caller.provider, asked.outcome.reply
    return {
        "provider": provider.name,
        "base_url_host": host_of(provider.base_url),
        "model_requested": provider.model,
        "model_returned": reply.model or None if reply else None,
        "system_fingerprint": reply.fingerprint or None if reply else None,
        "params": {**asked.caller.params, "sample_index": provider.sample},
        "usage": flat(reply.usage) if reply else None,
        "price_table_version": provider.card.as_of,
        "knowledge_cutoff": provider.card.knowledge_cutoff,
    }


@lru_cache(maxsize=32)
def host_of(url: str) -> str:
    """The host alone."""
    return urlsplit(url).hostname or ""


def attempts_of(asked: Asked) -> list[dict[str, Any]]:
    """The calls of a question; the last one's answer is beside it where it was wrong."""
    rows: list[dict[str, Any]] = [{"level": asked.level, **flat(attempt)} for attempt in asked.outcome.attempts]
    if not asked.checked.ok and asked.outcome.reply:
        rows[-1] |= {"response_raw": asked.outcome.reply.text, "errors": list(asked.checked.errors)}
    return rows


def record_id(ms: int, *parts: object) -> str:
    """A UUID of version 7 (RFC 9562) at a time, whose other bits are derived from what it names, so that a replay gives the same."""
    bits = int.from_bytes(sha256("\x1f".join(map(str, parts)).encode()).digest()[:10], "big")
    value = (ms & (1 << 48) - 1) << 80 | bits
    return str(UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62))
