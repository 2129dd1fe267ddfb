"""What a language model had to do with a target."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
FIRST, ASKED_AGAIN, ANOTHER, STRATEGY, HOLD = range(5)


@dataclass(frozen=True, slots=True)
class Advice:
    """A model's part in one target.

    Attributes:
        fallback_level: FIRST answer, ASKED_AGAIN with its errors, ANOTHER provider, a single STRATEGY instead, HOLD.
        provider, model: whose answer it is, the model as the provider calls it; "" where there is none.
        tokens: of all calls, prompt and answer; None where not told.
        cost_usd: of all calls, NaN where that of one is not known.
        record: the DecisionRecord (specs: quant L1) as one line of JSON; "" where nobody was to be asked.
    """

    fallback_level: int
    provider: str = ""
    model: str = ""
    tokens: int | None = None
    cost_usd: float = 0.0
    prompt_sha256: str = ""
    record: str = ""


def canonical(value: Any) -> str:
    """JSON in one form: keys sorted, no blanks, NaN and infinity refused."""
    return ENCODER.encode(value)


def completed(advice: Advice, exposure: float, refusals: Sequence[Mapping[str, str]], order_ids: Sequence[str]) -> str:
    """The record with what came after the model: what risk rules did to it, the final exposure, the orders.

    Args:
        exposure: after risk rules, NaN is null.
    """
    final = exposure if isfinite(exposure) else None
    told = {"risk_clips": list(refusals), "final_position": final, "order_ids": list(order_ids)}
    return canonical({**json.loads(advice.record), **told})


def latency_ms(record: Mapping[str, Any]) -> float:
    """How long all calls of a decision took together; NaN where nothing was sent."""
    sent = [attempt["latency_ms"] for attempt in record.get("attempts", ()) if attempt["http_status"] is not None or attempt["latency_ms"]]
    return float(sum(sent)) if sent else nan


def was_unusable(record: Mapping[str, Any]) -> bool:
    """Whether some answer to this question could not be used: each such call has the validator's errors beside it."""
    return any("errors" in attempt for attempt in record.get("attempts", ()))
