"""From what a model said to an allocation, or to the reasons why it is none (specs: quant L4). Nothing is guessed from free text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alpha_arena.core.types import REGIMES, UNKNOWN_REGIME
from alpha_arena.llm.reply import Reply, clean

TOLERANCE = 0.05 + 1e-9
HOLDS = "HOLD"
LONGEST_REASON = 500
MOST_ERRORS = 8
# what is read may be anything: no pattern may take more than time in proportion to its length
THOUGHT = re.compile(r"(?:<think(?:ing)?>|\A).*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
ENDED = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
UNENDED = re.compile(r"<think", re.IGNORECASE)
FENCE, OPENING = "```", re.compile(r"```[a-zA-Z]*[ \t\r]*")
TRAILING = re.compile(r'("(?:\\.|[^"\\])*(?:"|\\?\Z))|,(?=\s*[}\]])', re.DOTALL)

Fraction = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Reason = Annotated[str, Field(strict=True)]


class StrategyAllocation(BaseModel):
    """One strategy's part, as a model gives it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    strategy_id: Annotated[str, Field(strict=True)]
    weight: Annotated[float, Field(strict=True, ge=0, le=1 + TOLERANCE, allow_inf_nan=False)]
    confidence: Fraction = 1.0
    reasoning: Reason = ""


class Allocation(BaseModel):
    """A whole answer, as a model is to give it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    market_regime: Annotated[str, Field(strict=True)] = UNKNOWN_REGIME
    strategy_allocations: Annotated[list[StrategyAllocation], Field(min_length=1, max_length=100)]
    total_position: Annotated[float, Field(strict=True, ge=-1, le=1, allow_inf_nan=False)]
    confidence: Fraction
    reasoning: Reason = ""


class Selection(BaseModel):
    """The old form: one strategy, or HOLD."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    market_regime: Annotated[str, Field(strict=True)] = UNKNOWN_REGIME
    selected_strategy_id: Annotated[str, Field(strict=True)]
    confidence: Fraction
    reasoning: Reason = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """What an answer came to.

    Attributes:
        allocation: with weights that sum to 1, None where there is none. selection: of the old form, an enabled strategy or HOLD.
        errors: why it is neither. repairs: what was put right.
        selected: an enabled strategy that a wrong answer names, "" for none.
    """

    allocation: Allocation | None = None
    selection: Selection | None = None
    errors: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()
    selected: str = ""

    @property
    def ok(self) -> bool:
        """Whether it can be acted on."""
        return not self.errors


@dataclass
class _Read:
    """An answer while it is read."""

    errors: list[str] = field(default_factory=list)
    repairs: list[str] = field(default_factory=list)


def schema() -> dict[str, Any]:
    """JSON Schema of an answer, for providers that hold to one; all fields are asked for."""
    number, text = {"type": "number"}, {"type": "string"}
    part = {"strategy_id": text, "weight": number, "confidence": number, "reasoning": text}
    parts = {"type": "array", "items": _closed(part)}
    regime = {"type": "string", "enum": list(REGIMES)}
    whole = {"market_regime": regime, "strategy_allocations": parts, "total_position": number, "confidence": number, "reasoning": text}
    return _closed(whole)


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def check(reply: Reply, enabled: Sequence[str], known: Sequence[str] = ()) -> Checked:
    """Read and check an answer.

    Args:
        enabled: strategies that may be given weight. known: those that exist, for what is said about the others.
    """
    read = _Read()
    if reply.finish == "length":
        read.errors.append("the answer was cut off at the largest length; answer more briefly")
    found = _object(reply.text, read)
    if found is None or (read.errors and reply.finish == "length"):
        return Checked(errors=tuple(read.errors))
    if "strategy_allocations" not in found and "selected_strategy_id" in found:
        return _selection(found, enabled, known, read)
    return _allocation(found, enabled, known, read)


def _object(text: str, read: _Read) -> dict[str, Any] | None:
    """The one JSON object of an answer."""
    body = _without_thoughts(text)
    if body != text:
        read.repairs.append("a block of thinking was taken away")
    if UNENDED.search(body):
        read.errors.append("the answer ends while it thinks")
        return None
    fenced = _unfenced(body)
    if fenced is not None:
        read.repairs.append("a fence was taken away")
        body = fenced
    if not body.strip():
        read.errors.append("the answer is empty")
        return None
    found = _parsed(body)
    if isinstance(found, dict):
        return found
    without = TRAILING.sub(lambda match: match[1] or "", body)
    found = _parsed(without) if without != body else None
    if found is not None:
        read.repairs.append("trailing commas were taken away")
    return found if isinstance(found, dict) else _inside(without, read)


def _without_thoughts(text: str) -> str:
    """A text without blocks of thinking; none is looked for behind the last end, where each beginning would be followed to the end."""
    end = max((found.end() for found in ENDED.finditer(text)), default=0)
    return THOUGHT.sub("", text[:end]) + text[end:]


def _unfenced(text: str) -> str | None:
    """What stands within a fence that holds all of a text; None without one."""
    opening, line, rest = text.strip().partition("\n")
    return rest[: -len(FENCE)] if line and OPENING.fullmatch(opening) and rest.endswith(FENCE) else None


def _parsed(text: str) -> Any:
    try:
        return DECODER.decode(text)
    except (ValueError, RecursionError):
        return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, each of whose keys is given once: of two values none is the right one."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)


def _refused(constant: str) -> Any:
    raise ValueError(constant)


DECODER = json.JSONDecoder(parse_constant=_refused, object_pairs_hook=_once)


def _inside(text: str, read: _Read) -> dict[str, Any] | None:
    """An object with prose before or after it; not one of several, not one within a list."""
    start, end = text.find("{"), text.rfind("}")
    lead = text[:start] if start >= 0 else text
    found = _parsed(text[start : end + 1]) if 0 <= start < end and "[" not in lead else None
    if not isinstance(found, dict):
        read.errors.append("the answer is not one JSON object (no NaN, no Infinity, each key once)")
        return None
    read.repairs.append("text around the object was taken away")
    return found


def _allocation(found: dict[str, Any], enabled: Sequence[str], known: Sequence[str], read: _Read) -> Checked:
    named = found.get("selected_strategy_id")
    selected = named if isinstance(named, str) and named in enabled else ""
    try:
        made = Allocation.model_validate(_with_regime(found, read))
    except ValidationError as error:
        read.errors += _said(error)
        return Checked(errors=tuple(read.errors), repairs=tuple(read.repairs), selected=selected)
    _extra(found, Allocation, read)
    ids = [one.strategy_id for one in made.strategy_allocations]
    for name in dict.fromkeys(ids):
        read.errors += _id_errors(name, ids.count(name), enabled, known)
    total = sum(one.weight for one in made.strategy_allocations)
    if abs(total - 1) > TOLERANCE:
        read.errors.append(f"strategy_allocations: the weights sum to {total:.6g}, which is not 1 within 0.05")
    if read.errors:
        return Checked(errors=tuple(read.errors[:MOST_ERRORS]), repairs=tuple(read.repairs), selected=selected)
    if abs(total - 1) > 1e-12:
        read.repairs.append(f"weights that sum to {total:.6g} were scaled to 1")
    return Checked(allocation=_scaled(made, total), repairs=tuple(read.repairs))


def _with_regime(found: dict[str, Any], read: _Read) -> dict[str, Any]:
    """What the market is called changes no position: a name that is none becomes UNKNOWN."""
    if "market_regime" in found and found["market_regime"] not in [*REGIMES, UNKNOWN_REGIME]:
        read.repairs.append(f"market_regime {clean(str(found['market_regime']), 40)!r} is none, taken as {UNKNOWN_REGIME}")
        return {**found, "market_regime": UNKNOWN_REGIME}
    return found


def _extra(found: dict[str, Any], kind: type[BaseModel], read: _Read) -> None:
    extra = sorted(name for name in found if name not in kind.model_fields)
    if extra:
        read.repairs.append(f"keys that mean nothing were left out: {', '.join(clean(name, 40) for name in extra[:5])}")


def _id_errors(name: str, times: int, enabled: Sequence[str], known: Sequence[str]) -> list[str]:
    shown, allowed = clean(name, 60), ", ".join(enabled)
    if name not in enabled:
        return [f"strategy_id {shown!r} is {'not enabled' if name in known else 'unknown'}; allowed are {allowed}"]
    return [f"strategy_id {shown!r} is given {times} times"] if times > 1 else []


def _scaled(made: Allocation, total: float) -> Allocation:
    parts = [
        StrategyAllocation.model_construct(
            strategy_id=one.strategy_id,
            weight=one.weight / total,
            confidence=one.confidence,
            reasoning=clean(one.reasoning, LONGEST_REASON),
        )
        for one in made.strategy_allocations
    ]
    return made.model_copy(update={"strategy_allocations": parts, "reasoning": clean(made.reasoning, LONGEST_REASON)})


def _selection(found: dict[str, Any], enabled: Sequence[str], known: Sequence[str], read: _Read) -> Checked:
    try:
        made = Selection.model_validate(_with_regime(found, read))
    except ValidationError as error:
        read.errors += _said(error)
        return Checked(errors=tuple(read.errors), repairs=tuple(read.repairs))
    if made.selected_strategy_id != HOLDS:
        read.errors += _id_errors(made.selected_strategy_id, 1, enabled, known)
    if read.errors:
        return Checked(errors=tuple(read.errors), repairs=tuple(read.repairs))
    read.repairs.append("the old form, selected_strategy_id")
    return Checked(selection=made.model_copy(update={"reasoning": clean(made.reasoning, LONGEST_REASON)}), repairs=tuple(read.repairs))


def _said(error: ValidationError) -> list[str]:
    """Pydantic's errors, a line each, without the input."""
    listed = error.errors(include_url=False, include_input=False, include_context=False)[:MOST_ERRORS]
    return [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in listed]
