"""Rows of OKX's replies: every scalar a string, "" for what is not there, booleans only where OKX has them (okx-wire §1, §3 to §5)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from alpha_arena.exchange.embedded.state import Algo, Attached, Bill, Client, FillRow, PlacedOrder

Row = dict[str, Any]
CURRENCY = "USDT"
DIGITS = Decimal("1e-18")


def text(value: Decimal | float | int | None) -> str:
    """A number as OKX writes it: no exponent, no trailing zeros; "" for None."""
    if value is None:
        return ""
    plain = format(value, "f") if isinstance(value, Decimal) else repr(value)
    if "e" in plain:
        plain = format(Decimal(plain), "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain in ("-0", "") else plain


def stamp(ms: int) -> str:
    """A time, "" for none."""
    return str(ms) if ms else ""


def blank(names: str) -> Row:
    """Empty cells."""
    return dict.fromkeys(names.split(), "")


def instrument_type(inst_id: str) -> str:
    """SWAP or SPOT, "" for an account-level row."""
    if not inst_id:
        return ""
    return "SWAP" if inst_id.endswith("-SWAP") else "SPOT"


def _level(price: Decimal | None, trigger: Decimal | None) -> str:
    """The price that a level's order gets: -1 is the market's; "" where there is no level."""
    if trigger is None:
        return ""
    return "-1" if price is None else text(price)


def _levels(held: Attached | Algo) -> Row:
    return {
        "tpTriggerPx": text(held.tp_trigger_px),
        "tpTriggerPxType": held.tp_trigger_px_type if held.tp_trigger_px is not None else "",
        "tpOrdPx": _level(held.tp_ord_px, held.tp_trigger_px),
        "slTriggerPx": text(held.sl_trigger_px),
        "slTriggerPxType": held.sl_trigger_px_type if held.sl_trigger_px is not None else "",
        "slOrdPx": _level(held.sl_ord_px, held.sl_trigger_px),
    }


ORDER = blank(
    "cancelSourceReason stpId attachAlgoClOrdId tpTriggerPx tpTriggerPxType tpOrdPx slTriggerPx slTriggerPxType slOrdPx "
    "pxType pxUsd pxVol quickMgnType tgtCcy"
)


def order_row(order: PlacedOrder) -> Row:
    """A row of trade/order and the order lists."""
    return ORDER | {
        "instType": instrument_type(order.inst_id),
        "instId": order.inst_id,
        "ordId": order.ord_id,
        "clOrdId": order.cl_ord_id,
        "tag": order.tag,
        "ccy": CURRENCY,
        "px": text(order.px),
        "sz": text(order.sz),
        "ordType": order.ord_type,
        "side": order.side,
        "posSide": "net",
        "tdMode": order.td_mode,
        "lever": text(order.lever),
        "reduceOnly": _flag(order.reduce_only),
        "category": order.category,
        "source": order.source,
        "cancelSource": order.cancel_source,
        "stpMode": order.stp_mode,
        "isTpLimit": "false",
        "linkedAlgoOrd": {"algoId": order.algo_id},
        "attachAlgoOrds": [_attached_row(held) for held in order.attached],
        "algoId": order.algo_id,
        "algoClOrdId": order.algo_cl_ord_id,
        "tradeQuoteCcy": CURRENCY,
        "cTime": str(order.c_time),
        "uTime": str(order.u_time),
        **_filled(order),
    }


def _filled(order: PlacedOrder) -> Row:
    return {
        "state": order.state,
        "accFillSz": text(order.acc_fill_sz),
        "avgPx": text(order.avg_px),
        "fillPx": text(order.fill_px),
        "fillSz": text(order.fill_sz),
        "tradeId": order.trade_id,
        "fillTime": stamp(order.fill_time),
        "fee": text(order.fee),
        "feeCcy": CURRENCY,
        "rebate": "0",
        "rebateCcy": CURRENCY,
        "pnl": text(order.pnl),
    }


def _attached_row(held: Attached) -> Row:
    return _levels(held) | {
        "attachAlgoId": held.algo_id,
        "attachAlgoClOrdId": held.algo_cl_ord_id,
        "tpOrdKind": "condition",
        "sz": text(held.sz),
        "amendPxOnTriggerType": "0",
        "failCode": held.fail_code,
        "failReason": held.fail_reason,
    }


ALGO = blank(
    "activePx amendPxOnTriggerType callbackRatio callbackSpread ccy moveTriggerPx pxLimit pxSpread pxVar quickMgnType szLimit "
    "tgtCcy timeInterval"
)


def algo_row(algo: Algo, last: float, ct_val: Decimal) -> Row:
    """A row of trade/order-algo and the algo lists.

    Args:
        last: price of the instrument. ct_val: base currency in a contract.
    """
    return (
        ALGO
        | _levels(algo)
        | {
            "algoId": algo.algo_id,
            "algoClOrdId": algo.algo_cl_ord_id,
            "clOrdId": "",
            "ordId": algo.ord_id,
            "ordIdList": [algo.ord_id] if algo.ord_id else [],
            "linkedOrd": {"ordId": ""},
            "attachAlgoOrds": [],
            "instId": algo.inst_id,
            "instType": instrument_type(algo.inst_id),
            "ordType": algo.ord_type,
            "state": algo.state,
            "side": algo.side,
            "posSide": "net",
            "tdMode": algo.td_mode,
            "lever": text(algo.lever),
            "sz": text(algo.sz),
            "closeFraction": algo.close_fraction,
            "reduceOnly": _flag(algo.reduce_only),
            "cxlOnClosePos": _flag(algo.cxl_on_close_pos),
            "last": text(last),
            "ctVal": text(ct_val),
            "tag": algo.tag,
            "cTime": str(algo.c_time),
            "uTime": str(algo.u_time),
            **_triggered(algo),
        }
    )


def _triggered(algo: Algo) -> Row:
    return {
        "triggerPx": text(algo.trigger_px),
        "ordPx": _level(algo.order_px, algo.trigger_px),
        "triggerPxType": algo.trigger_px_type if algo.trigger_px is not None else "",
        "actualSz": text(algo.actual_sz),
        "actualPx": text(algo.actual_px),
        "actualSide": algo.actual_side,
        "triggerTime": stamp(algo.trigger_time),
        "failCode": algo.fail_code,
    }


def fill_row(fill: FillRow) -> Row:
    """A row of trade/fills and trade/fills-history."""
    return blank("tag feeRate fillPxVol fillPxUsd fillMarkVol fillFwdPx") | {
        "instType": instrument_type(fill.inst_id),
        "instId": fill.inst_id,
        "tradeId": fill.trade_id,
        "ordId": fill.ord_id,
        "clOrdId": fill.cl_ord_id,
        "billId": fill.bill_id,
        "subType": fill.sub_type,
        "side": fill.side,
        "posSide": "net",
        "fillPx": text(fill.fill_px),
        "fillSz": text(fill.fill_sz),
        "fillPnl": text(fill.fill_pnl),
        "fillIdxPx": text(fill.fill_idx_px),
        "fillMarkPx": text(fill.fill_mark_px),
        "execType": fill.exec_type,
        "fee": text(fill.fee),
        "feeCcy": CURRENCY,
        "fillTime": str(fill.fill_time),
        "ts": str(fill.fill_time),
        "tradeQuoteCcy": CURRENCY,
    }


def bill_row(bill: Bill) -> Row:
    """A row of account/bills and account/bills-archive."""
    return blank("fillFwdPx fillIdxPx fillMarkPx fillMarkVol fillPxUsd fillPxVol from to notes tag") | {
        "billId": bill.bill_id,
        "ts": str(bill.ts),
        "ccy": CURRENCY,
        "bal": text(bill.bal),
        "balChg": text(bill.bal_chg),
        "posBal": text(bill.pos_bal),
        "posBalChg": text(bill.pos_bal_chg),
        "type": bill.type,
        "subType": bill.sub_type,
        "instType": instrument_type(bill.inst_id),
        "instId": bill.inst_id,
        "mgnMode": bill.mgn_mode,
        "sz": text(bill.sz),
        "px": text(bill.px),
        "pnl": text(bill.pnl),
        "fee": text(bill.fee),
        "ordId": bill.ord_id,
        "clOrdId": bill.cl_ord_id,
        "tradeId": bill.trade_id,
        "execType": bill.exec_type,
        "fillTime": str(bill.ts) if bill.trade_id else "",
        "interest": "0",
    }


def config_row(client: Client) -> Row:
    """The row of account/config."""
    return {
        "uid": client.uid,
        "mainUid": client.uid,
        "acctLv": "2",
        "posMode": client.pos_mode,
        "autoLoan": False,
        "greeksType": "PA",
        "feeType": "0",
        "level": "Lv1",
        "levelTmp": "",
        "ctIsoMode": "automatic",
        "mgnIsoMode": "automatic",
        "acctStpMode": "cancel_maker",
        "enableSpotBorrow": False,
        "spotBorrowAutoRepay": False,
        "type": "0",
        "kycLv": "3",
        "label": client.name,
        "ip": "",
        "perm": client.perm,
        "opAuth": "0",
        "roleType": "0",
        "traderInsts": [],
        "spotRoleType": "0",
        "spotTraderInsts": [],
        "spotOffsetType": "",
        "liquidationGear": "-1",
        "settleCcy": "",
        "settleCcyList": [],
    }


def divided(part: Decimal, whole: Decimal) -> Decimal | None:
    """A ratio, None where there is nothing to divide by."""
    return (part / whole).quantize(DIGITS) if whole else None


def _flag(value: bool) -> str:
    return "true" if value else "false"
