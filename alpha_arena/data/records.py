"""What is remembered of trading as rows, and back: NaN is NULL, structures are JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from math import isfinite, nan
from typing import Any

from alpha_arena.core.advice import Advice
from alpha_arena.core.records import Decision, Refusal, RegimeContext
from alpha_arena.core.types import Fill, Order, Payment, Position, Share, Target

LEVELS = ("exposure", "stop", "take", "confidence", "why", "forced")
SAME = ("trader", "symbol", "timeframe", "bar_ts", "ts", "decider", "equity", "price", "config_hash", "catch_up")
ORDERED = ("symbol", "kind", "quantity", "price", "stop", "take", "reduce_only")
ARMING = ("stop", "take", "disarmed", "disarmed_ts")


def number(value: float | None) -> float:
    """NULL is NaN."""
    return nan if value is None else value


def plain(value: Any) -> Any:
    """A value as JSON can hold it: NaN and infinity become null."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def decision_row(decision: Decision, held: Position) -> dict[str, Any]:
    """A decision as its table holds it; `held`: the position with the levels and arming that it leaves."""
    target, wanted = decision.target, asdict(decision.wanted)
    if decision.wanted.shares == target.shares:
        wanted.pop("shares")
    if wanted["advice"]:
        wanted["advice"].pop("record")
    else:
        wanted.pop("advice")
    return {
        **{name: getattr(decision, name) for name in SAME},
        **{name: getattr(target, name) for name in LEVELS},
        "wanted_exposure": decision.wanted.exposure,
        "wanted": json.dumps(plain(wanted)),
        "held": json.dumps(plain({name: getattr(held, name) for name in ARMING})),
        "regime": decision.regime.current,
        "regime_context": json.dumps(plain(asdict(decision.regime))),
        "refusals": json.dumps([asdict(refusal) for refusal in decision.refusals]),
    }


def decision_of(row: Any, shares: Sequence[Share]) -> Decision:
    """A decision from its row and allocations."""
    wanted, regime = json.loads(row.wanted), json.loads(row.regime_context)
    advice = _advice(wanted.get("advice"))
    target = Target(**{name: _level(getattr(row, name)) for name in LEVELS}, shares=tuple(shares), advice=advice)
    return Decision(
        **{name: getattr(row, name) for name in SAME},
        wanted=_wanted(wanted, target),
        target=target,
        refusals=tuple(Refusal(**refusal) for refusal in json.loads(row.refusals)),
        regime=replace(RegimeContext(**regime), history=tuple(regime["history"])),
    )


def _level(value: Any) -> Any:
    return nan if value is None else value


def _wanted(kept: Mapping[str, Any], target: Target) -> Target:
    shares = tuple(Share(**{k: _level(v) for k, v in one.items()}) for one in kept["shares"]) if "shares" in kept else target.shares
    return Target(**{name: _level(kept[name]) for name in LEVELS}, shares=shares, advice=target.advice)


def _advice(kept: Mapping[str, Any] | None) -> Advice | None:
    return Advice(**{**kept, "cost_usd": number(kept["cost_usd"])}) if kept else None


def share_of(row: Any) -> Share:
    """An allocation from its row."""
    scores = (number(row.regime_score), number(row.performance_score))
    return Share(row.strategy_id, row.weight, row.exposure, row.reasoning, *scores)


def position_of(row: Any) -> Position:
    """A position from its row."""
    levels = (number(row.entry), number(row.stop), number(row.take))
    return Position(row.quantity, *levels, disarmed=row.disarmed, disarmed_ts=row.disarmed_ts)


def order_of(row: Any) -> Order:
    """An order from its row."""
    levels = (number(row.price), number(row.stop), number(row.take))
    return Order(row.client_order_id, row.symbol, row.quantity, row.kind, *levels, reduce_only=row.reduce_only)


def fill_of(row: Any) -> Fill:
    """An execution from its row."""
    return Fill(row.trade_id, row.client_order_id, row.ts, row.symbol, row.quantity, row.price, row.fee, row.reason)


def fill_row(fill: Fill) -> dict[str, Any]:
    """An execution as its table holds it, without trader and exchange."""
    row = asdict(fill)
    return {"client_order_id": row.pop("order_id"), **row}


def payment_of(row: Any) -> Payment:
    """A payment from its bill."""
    return Payment(row.ts, row.symbol, row.amount, number(row.rate), row.assumed, row.kind)


def reference(event: Fill | Payment) -> str:
    """What makes a fill or payment one that is booked once: its trade or bill id, or its symbol and time."""
    return event.trade_id if isinstance(event, Fill) else event.bill_id or f"{event.symbol} {event.ts}"
