"""Whether an order may be placed at all, before the account is looked at (specs: okx-wire §4.1, §5.1, §7, in this order)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from alpha_arena.exchange.embedded.codes import refused, wrong
from alpha_arena.exchange.embedded.ports import AlgoTicket, Contract, Ticket
from alpha_arena.exchange.embedded.public import contract, point
from alpha_arena.exchange.embedded.route import Call
from alpha_arena.exchange.embedded.rows import text
from alpha_arena.exchange.embedded.state import Attached

Body = Mapping[str, Any]
ORDER_TYPES = ("market", "limit", "post_only", "fok", "ioc", "optimal_limit_ioc")
MARKET_TYPES = ("market", "optimal_limit_ioc")
ALGO_TYPES = ("conditional", "oco", "trigger")
TRIGGERS = ("last", "index", "mark")
STP_MODES = ("cancel_maker", "cancel_taker", "cancel_both")
NUMBER = re.compile(r"\d{1,20}(\.\d{1,20})?", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)
TAG = re.compile(r"[A-Za-z0-9]{1,16}", re.ASCII)
# how far a limit price may lie on the wrong side of the mark price
BAND = Decimal("0.05")


def ticket(call: Call, body: Any) -> Ticket:
    """An order's request, checked.

    Raises:
        Rejection: by the first of okx-wire §7 that is violated.
    """
    rules = tradable(call, body)
    kind = _one_of(body, "ordType", ORDER_TYPES)
    wish: dict[str, Any] = {
        "inst_id": rules.inst_id,
        "td_mode": _one_of(body, "tdMode", ("isolated", "cross")),
        "side": _one_of(body, "side", ("buy", "sell")),
        "ord_type": kind,
        "stp_mode": _one_of(body, "stpMode", STP_MODES, "cancel_maker"),
        "reduce_only": flag(body, "reduceOnly"),
    }
    _net(body)
    wish |= {"cl_ord_id": name(body, "clOrdId"), "tag": name(body, "tag", TAG)}
    call.exchange.refuse_duplicate(call.client, wish["cl_ord_id"])
    sz = size(rules, body, "sz", kind in MARKET_TYPES)
    px = None if kind in MARKET_TYPES else _price(call, rules, body, wish["side"])
    return Ticket(**wish, sz=sz, px=px, attached=_attached(body), exp_ms=call.expires_ms)


def algo_ticket(call: Call, body: Any) -> AlgoTicket:
    """A TP/SL or trigger order's request, checked; a conditional one with both levels keeps the stop alone.

    Raises:
        Rejection: as ticket.
    """
    rules = tradable(call, body)
    kind = _one_of(body, "ordType", ALGO_TYPES)
    wish: dict[str, Any] = {
        "inst_id": rules.inst_id,
        "td_mode": _one_of(body, "tdMode", ("isolated", "cross")),
        "side": _one_of(body, "side", ("buy", "sell")),
        "ord_type": kind,
        "reduce_only": flag(body, "reduceOnly"),
        "cxl_on_close_pos": flag(body, "cxlOnClosePos"),
        "close_fraction": _one_of(body, "closeFraction", ("1",), ""),
    }
    _net(body)
    wish |= {"algo_cl_ord_id": name(body, "algoClOrdId") or name(body, "clOrdId"), "tag": name(body, "tag", TAG)}
    if wish["close_fraction"] and not wish["reduce_only"]:
        raise wrong("reduceOnly")
    if body.get("attachAlgoOrds"):
        raise wrong("attachAlgoOrds")
    sz, levels = None if wish["close_fraction"] else size(rules, body, "sz", market=True), _algo_levels(kind, body)
    if wish["close_fraction"] and any(levels.get(key) is not None for key in ("tp_ord_px", "sl_ord_px", "order_px")):
        raise wrong("closeFraction")
    return AlgoTicket(**wish, sz=sz, **levels)


def _algo_levels(kind: str, body: Body) -> dict[str, Any]:
    if kind == "trigger":
        return {
            "trigger_px": positive(body, "triggerPx"),
            "order_px": _order_price(body, "orderPx"),
            "trigger_px_type": _one_of(body, "triggerPxType", TRIGGERS, "last"),
        }
    levels = _levels(body)
    given = [side for side in ("tp", "sl") if levels[f"{side}_trigger_px"] is not None]
    if not given or (kind == "oco" and len(given) < 2):
        raise wrong("tpTriggerPx" if "tp" not in given else "slTriggerPx")
    if kind == "conditional" and len(given) == 2:
        levels |= {"tp_trigger_px": None, "tp_ord_px": None}
    return levels


def tradable(call: Call, body: Any) -> Contract:
    """The live contract that a body names.

    Raises:
        Rejection: no object, no or an unknown instrument, one that is not live.
    """
    if not isinstance(body, dict):
        raise refused("50002")
    if not isinstance(body.get("instId"), str) or not body["instId"]:
        raise refused("50014", "instId")
    rules = contract(call, body["instId"])
    state = call.faults.states.get(rules.inst_id, "live")
    if state != "live":
        raise refused("51021" if state == "preopen" else "51022")
    return rules


def name(body: Body, key: str, pattern: re.Pattern[str] = NAME) -> str:
    """A client's own name for something, "" for none.

    Raises:
        Rejection: 51000, other than ASCII letters and digits, or too many.
    """
    value = body.get(key) or ""
    if value and not (isinstance(value, str) and pattern.fullmatch(value)):
        raise wrong(key)
    return str(value)


def flag(body: Body, key: str) -> bool:
    """A boolean, also as text."""
    value = body.get(key)
    if value in (None, "", False, "false"):
        return False
    if value not in (True, "true"):
        raise wrong(key)
    return True


def number(body: Body, key: str) -> Decimal | None:
    """A plain number without sign or exponent, None where it is missing.

    Raises:
        Rejection: 51000, anything else.
    """
    value = body.get(key)
    if value is None or value == "":
        return None
    plain = text(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    if not (isinstance(plain, str) and NUMBER.fullmatch(plain)):
        raise wrong(key)
    return Decimal(plain)


def positive(body: Body, key: str) -> Decimal:
    """A number above zero that must be there."""
    value = number(body, key)
    if not value:
        raise wrong(key)
    return value


def size(rules: Contract, body: Body, key: str, market: bool) -> Decimal:
    """A quantity in contracts that the instrument allows.

    Raises:
        Rejection: 51000, 51020, 51121, 51202, 51101.
    """
    sz = positive(body, key)
    if sz < rules.min_sz:
        raise refused("51020")
    if sz % rules.lot_sz:
        raise refused("51121")
    if sz > (rules.max_mkt_sz if market else rules.max_lmt_sz):
        raise refused("51202" if market else "51101")
    return sz


def limit_price(call: Call, rules: Contract, body: Body, key: str, side: str) -> Decimal:
    """A limit price on a tick and not too far on the wrong side of the mark price.

    Raises:
        Rejection: 51000, 51137, 51138.
    """
    px = positive(body, key)
    if px % rules.tick_sz:
        raise wrong(key)
    mark = Decimal(repr(point(call, rules.inst_id).mark))
    bound = mark * (1 + BAND if side == "buy" else 1 - BAND)
    if px > bound if side == "buy" else px < bound:
        raise refused("51137" if side == "buy" else "51138", text(bound // rules.tick_sz * rules.tick_sz))
    return px


def _price(call: Call, rules: Contract, body: Body, side: str) -> Decimal:
    if body.get("px") in (None, ""):
        raise refused("51204")
    return limit_price(call, rules, body, "px", side)


def _one_of(body: Body, key: str, allowed: tuple[str, ...], default: str | None = None) -> str:
    value = body.get(key) or default
    if value == default and default is not None:
        return default
    if value not in allowed:
        raise wrong(key)
    return str(value)


def _net(body: Body) -> None:
    if (body.get("posSide") or "net") != "net":
        raise wrong("posSide")


def _attached(body: Body) -> list[Attached]:
    given = body.get("attachAlgoOrds") or []
    if not isinstance(given, list) or len(given) > 1 or not all(isinstance(each, dict) for each in given):
        raise wrong("attachAlgoOrds")
    return [_one_attached(each) for each in given]


def _one_attached(body: Body) -> Attached:
    levels = _levels(body)
    if levels["tp_trigger_px"] is None and levels["sl_trigger_px"] is None:
        raise wrong("attachAlgoOrds")
    return Attached(algo_id="", algo_cl_ord_id=name(body, "attachAlgoClOrdId"), sz=number(body, "sz"), **levels)


def _levels(body: Body) -> dict[str, Any]:
    levels: dict[str, Any] = {}
    for side in ("tp", "sl"):
        trigger = positive(body, f"{side}TriggerPx") if body.get(f"{side}TriggerPx") else None
        levels |= {
            f"{side}_trigger_px": trigger,
            f"{side}_ord_px": None if trigger is None else _order_price(body, f"{side}OrdPx"),
            f"{side}_trigger_px_type": _one_of(body, f"{side}TriggerPxType", TRIGGERS, "last"),
        }
    return levels


def _order_price(body: Body, key: str) -> Decimal | None:
    """None for the market's; it must be said."""
    return None if body.get(key) in ("-1", -1) else positive(body, key)
