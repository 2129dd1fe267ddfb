"""What a language model had to do with decisions: in short for a card, as a whole record for one that is opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from alpha_arena.core.advice import FIRST, latency_ms
from alpha_arena.data import queries
from alpha_arena.data.service import DataService

Row = dict[str, Any]
Key = tuple[str, str, int]


def fell_back(decision: Row) -> bool:
    """A model was to decide, and its first answer is not what was taken; over a past bar none is to."""
    advice = decision["advice"]
    return advice is not None and advice["fallback_level"] != FIRST and not decision["catch_up"]


def records(service: DataService, decisions: Sequence[Row]) -> dict[Key, Row]:
    """The DecisionRecords of decisions, by trader, symbol and time of the close; those for which nobody was asked have none."""
    found: dict[Key, Row] = {}
    asked = [row for row in decisions if row["advice"]]
    for trader in dict.fromkeys(row["trader"] for row in asked):
        stamps = [row["ts"] for row in asked if row["trader"] == trader]
        for call in queries.model_calls(service, trader, min(stamps), max(stamps)):
            found[trader, call["record"]["symbol"], call["ts"]] = call["record"]
    return found


def told(decision: Row, found: Mapping[Key, Row]) -> Row:
    """A decision with the model's part under `model`, None where no model was to decide."""
    shown = {name: value for name, value in decision.items() if name != "advice"}
    advice = decision["advice"]
    if advice is None:
        return {**shown, "model": None}
    record = found.get((decision["trader"], decision["symbol"], decision["ts"]))
    return {**shown, "model": part(advice, record, decision["why"])}


def part(advice: Mapping[str, Any], record: Row | None, why: str) -> Row:
    """A model's part in one decision.

    Args:
        advice: as it is kept with the decision. record: None where nobody was asked. why: of the decision.

    Returns:
        level: of the fallback, as of core.advice. asked: somebody was. provider, model: who answered, "" for nobody; requested: who was
        to. latency_ms: of all calls, waiting aside. tokens, cost_usd: of all calls, None where not known. replayed: the answer was kept
        from earlier. cause: what went wrong; reason: the model's own; selected: a strategy that was taken instead; "" for none.
    """
    names = ("provider", "model", "tokens", "cost_usd")
    same = {"level": advice["fallback_level"], "asked": record is not None, **{name: advice[name] for name in names}}
    if record is None:
        return {**same, "requested": "", "latency_ms": None, "replayed": False, "cause": why, "reason": "", "selected": ""}
    return {
        **same,
        "requested": record["model_requested"],
        "latency_ms": latency_ms(record),
        "replayed": bool(record["cache"]["hit"]),
        "cause": "; ".join(causes(record["attempts"])),
        "reason": (record["parsed"] or {}).get("reasoning") or "",
        "selected": record["selected_strategy_id"] or "",
    }


def causes(attempts: Iterable[Row]) -> list[str]:
    """What was wrong with each call, in the order in which they were made."""
    return [f"{one['provider']} {wrong}" for one in attempts if (wrong := _wrong(one))]


def _wrong(attempt: Row) -> str:
    if attempt["error_class"]:
        status = f" (HTTP {attempt['http_status']})" if attempt["http_status"] else ""
        return f"{attempt['error_class']}{status}{': ' if attempt['said'] else ''}{attempt['said']}"
    return f"answered wrongly: {attempt['errors'][0]}" if attempt.get("errors") else ""


def feedback(service: DataService, trader: str) -> Row | None:
    """What a trader's model was told of its own closed decisions when it was asked last, and `ts` of that close; None without a model."""
    call = queries.last_model_call(service, trader)
    told = call["record"].get("feedback") if call else None
    return {"ts": call["ts"], **told} if call and told else None
