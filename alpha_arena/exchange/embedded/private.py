"""Endpoints about the account: configuration, leverage, balance, positions, bills, fees (specs: okx-wire §3)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from alpha_arena.exchange.embedded import checks, paging
from alpha_arena.exchange.embedded.codes import refused, wrong
from alpha_arena.exchange.embedded.history import closings
from alpha_arena.exchange.embedded.margin import free
from alpha_arena.exchange.embedded.public import TYPES, contract, point
from alpha_arena.exchange.embedded.route import Answer, Call
from alpha_arena.exchange.embedded.rows import CURRENCY, Row, bill_row, blank, config_row, divided, text
from alpha_arena.exchange.embedded.state import ZERO, Bill, Holding

DAY_MS = 86_400_000
MODES = ("isolated", "cross")
POSITION_MODES = ("net_mode", "long_short_mode")


def config(call: Call) -> Answer:
    """GET account/config."""
    return Answer([config_row(call.client)])


def set_position_mode(call: Call) -> Answer:
    """POST account/set-position-mode; net_mode alone is offered."""
    if not isinstance(call.body, dict) or call.body.get("posMode") not in POSITION_MODES:
        raise wrong("posMode")
    call.exchange.set_position_mode(call.client, call.body["posMode"])
    return Answer([{"posMode": call.client.pos_mode}])


def set_leverage(call: Call) -> Answer:
    """POST account/set-leverage; ccxt sends the leverage as a number."""
    rules = checks.tradable(call, call.body)
    mode = str(call.body.get("mgnMode") or "")
    if mode not in MODES:
        raise wrong("mgnMode")
    if (call.body.get("posSide") or "net") != "net":
        raise wrong("posSide")
    lever = checks.positive(call.body, "lever")
    call.exchange.set_leverage(call.client, rules.inst_id, mode, lever)
    return Answer([{"instId": rules.inst_id, "lever": text(lever), "mgnMode": mode, "posSide": "net"}])


def leverage_info(call: Call) -> Answer:
    """GET account/leverage-info."""
    modes = paging.required(call.query, "mgnMode").split(",")
    if not set(modes) <= set(MODES):
        raise wrong("mgnMode")
    named = [contract(call, name) for name in paging.required(call.query, "instId").split(",")]
    return Answer(
        [
            {"instId": rules.inst_id, "ccy": "", "mgnMode": mode, "posSide": "net", "lever": text(_lever(call, rules.inst_id, mode))}
            for rules in named
            for mode in modes
        ]
    )


def _lever(call: Call, inst_id: str, mode: str) -> Decimal:
    return call.exchange.leverage(call.client, inst_id, mode)


BALANCE = blank(
    "adjEq availEq borrowFroz imr mgnRatio mmr notionalUsd notionalUsdForBorrow notionalUsdForFutures notionalUsdForOption "
    "notionalUsdForSwap ordFroz upl"
)
DETAIL = blank(
    "accAvgPx borrowFroz clSpotInUseAmt crossLiab interest isoLiab liab maxLoan maxSpotInUseAmt openAvgPx spotBal spotInUseAmt spotUpl "
    "spotUplRatio totalPnl totalPnlRatio uplLiab"
) | dict.fromkeys(["fixedBal", "rewardBal", "smtSyncEq", "spotCopyTradingEq", "spotIsoBal", "stgyEq", "twap"], "0")


def balance(call: Call) -> Answer:
    """GET account/balance; an account without money has no details."""
    currencies = call.query.get("ccy", "")
    figures = _money(call)
    listed = any(figures.values()) and (not currencies or CURRENCY in currencies.split(","))
    touched = str(max([bill.ts for bill in call.client.bills[-1:]], default=call.market_ms))
    total = {"totalEq": text(figures["eq"]), "isoEq": text(figures["iso_eq"]), "uTime": str(call.now_ms)}
    return Answer([BALANCE | total | {"details": [_detail(figures) | {"uTime": touched}] if listed else []}])


def _money(call: Call) -> dict[str, Decimal]:
    held = [holding for holding in call.client.holdings.values() if holding.pos]
    isolated = [holding for holding in held if holding.mgn_mode == "isolated"]
    crossed = [holding for holding in held if holding.mgn_mode == "cross"]
    upl = {holding.pos_id: call.exchange.upl(holding) for holding in held}
    return {
        "cash": free(call.client),
        "eq": call.exchange.equity(call.client),
        "available": call.exchange.available(call.client),
        "upl": sum(upl.values(), ZERO),
        "iso_upl": sum((upl[holding.pos_id] for holding in isolated), ZERO),
        "iso_eq": sum((holding.margin + upl[holding.pos_id] for holding in isolated), ZERO),
        "imr": sum((call.exchange.initial_margin(holding) for holding in crossed), ZERO),
        "mmr": sum((call.exchange.maintenance(holding) for holding in crossed), ZERO),
        "ord_frozen": call.exchange.frozen(call.client),
    }


def _detail(figures: dict[str, Decimal]) -> Row:
    crossed = bool(figures["mmr"])
    ratio = divided(figures["eq"] - figures["iso_eq"], figures["mmr"]) if crossed else None
    return DETAIL | {
        "ccy": CURRENCY,
        "collateralEnabled": False,
        "eq": text(figures["eq"]),
        "cashBal": text(figures["cash"]),
        "availBal": text(figures["available"]),
        "availEq": text(figures["available"]),
        "frozenBal": text(figures["iso_eq"] + figures["ord_frozen"] + figures["imr"]),
        "ordFrozen": text(figures["ord_frozen"]),
        "upl": text(figures["upl"]),
        "isoEq": text(figures["iso_eq"]),
        "isoUpl": text(figures["iso_upl"]),
        "imr": text(figures["imr"]),
        "mmr": text(figures["mmr"]),
        "mgnRatio": text(ratio),
        "notionalLever": "0",
        "disEq": text(figures["eq"]),
        "eqUsd": text(figures["eq"]),
    }


POSITION = blank(
    "availPos baseBal baseBorrowed baseInterest bizRefId bizRefType clSpotInUseAmt deltaBS deltaPA gammaBS gammaPA liab liabCcy "
    "maxSpotInUseAmt optVal pendingCloseOrdLiabVal posCcy quoteBal quoteBorrowed quoteInterest spotInUseAmt spotInUseCcy thetaBS thetaPA "
    "usdPx vegaBS vegaPA"
)


def positions(call: Call) -> Answer:
    """GET account/positions; a flat one is told only to who asks for its instrument or id."""
    kind = paging.chosen(call.query, "instType", TYPES)
    names = set(filter(None, call.query.get("instId", "").split(",")))
    ids = set(filter(None, call.query.get("posId", "").split(",")))
    for name in names:
        contract(call, name)
    held = [each for each in call.faults.holdings(call.client, call.market_ms) if kind in ("", "SWAP")]
    told = [each for each in held if (each.inst_id in names or each.pos_id in ids) or (each.pos and not names and not ids)]
    return Answer([_position(call, each) for each in told])


def _position(call: Call, held: Holding) -> Row:
    prices, rules = point(call, held.inst_id), contract(call, held.inst_id)
    base = held.pos * rules.ct_val
    upl = call.exchange.upl(held) if held.pos else ZERO
    at_last = base * (Decimal(repr(prices.last)) - held.avg_px) if held.pos else ZERO
    used = held.margin if held.mgn_mode == "isolated" else call.exchange.initial_margin(held) if held.pos else ZERO
    maintenance = call.exchange.maintenance(held) if held.pos else ZERO
    return (
        POSITION
        | _identity(held)
        | _result(held)
        | {
            "markPx": text(prices.mark),
            "last": text(prices.last),
            "idxPx": text(prices.index),
            "upl": text(upl),
            "uplRatio": text(divided(upl, used) if held.pos else ZERO),
            "uplLastPx": text(at_last),
            "uplRatioLastPx": text(divided(at_last, used) if held.pos else ZERO),
            "liqPx": text(call.exchange.liquidation_px(held) if held.pos else None),
            "bePx": text(_break_even(call, held) if held.pos else None),
            "margin": text(held.margin) if held.mgn_mode == "isolated" else "",
            "imr": text(used) if held.mgn_mode == "cross" else "",
            "mmr": text(maintenance),
            "mgnRatio": text(divided(held.margin + upl, maintenance) if held.mgn_mode == "isolated" and held.pos else None),
            "notionalUsd": text(abs(base) * Decimal(repr(prices.mark))),
            "closeOrderAlgo": _protections(call, held),
            "pTime": str(call.market_ms),
        }
    )


def _identity(held: Holding) -> Row:
    return {
        "instType": "SWAP",
        "instId": held.inst_id,
        "mgnMode": held.mgn_mode,
        "posId": held.pos_id,
        "posSide": "net",
        "pos": text(held.pos),
        "avgPx": text(held.avg_px) if held.pos else "",
        "lever": text(held.lever),
        "ccy": CURRENCY,
        "adl": "1",
        "tradeId": held.trade_id,
        "cTime": str(held.c_time),
        "uTime": str(held.u_time),
    }


def _result(held: Holding) -> Row:
    return {
        "pnl": text(held.pnl),
        "realizedPnl": text(held.pnl + held.fee + held.funding_fee + held.liq_penalty),
        "fee": text(held.fee),
        "fundingFee": text(held.funding_fee),
        "liqPenalty": text(held.liq_penalty),
        "interest": "0",
    }


def _break_even(call: Call, held: Holding) -> Decimal:
    """Where closing as taker returns what was paid."""
    base = held.pos * contract(call, held.inst_id).ct_val
    taker = Decimal(repr(float(call.exchange.profile.taker)))
    paid = held.fee + held.funding_fee
    return (held.avg_px * base - paid) / (base - abs(base) * taker)


def _protections(call: Call, held: Holding) -> list[Row]:
    live = [each for each in call.client.algos.values() if each.state == "live" and each.inst_id == held.inst_id and each.close_fraction]
    return [
        {
            "algoId": each.algo_id,
            "slTriggerPx": text(each.sl_trigger_px),
            "slTriggerPxType": each.sl_trigger_px_type,
            "tpTriggerPx": text(each.tp_trigger_px),
            "tpTriggerPxType": each.tp_trigger_px_type,
            "closeFraction": each.close_fraction,
        }
        for each in live
    ]


def positions_history(call: Call) -> Answer:
    """GET account/positions-history: what was closed, by the time of its last change."""
    paging.chosen(call.query, "instType", TYPES)
    filters = {name: call.query[name] for name in ("instId", "mgnMode", "type", "posId") if call.query.get(name)}
    rows = [row for row in closings(call.client, call.exchange.contracts) if all(row[name] == value for name, value in filters.items())]
    rows.sort(key=_touched, reverse=True)
    return Answer(paging.page(rows, call.query, _touched))


def _touched(row: Row) -> int:
    return int(row["uTime"])


def bills(call: Call) -> Answer:
    """GET account/bills, 7 days."""
    return _bills(call, 7)


def bills_archive(call: Call) -> Answer:
    """GET account/bills-archive, 3 months."""
    return _bills(call, 92)


def _bills(call: Call, days: int) -> Answer:
    paging.chosen(call.query, "instType", TYPES)
    paging.chosen(call.query, "ctType", ("linear", "inverse"))
    if call.query.get("ccy", CURRENCY) != CURRENCY or call.query.get("ctType") == "inverse":
        return Answer([])
    filters = {name: call.query[name] for name in ("instType", "mgnMode", "type", "subType", "instId") if call.query.get(name)}
    known = (bill for bill in reversed(call.client.bills) if bill.ts + call.faults.lag.bills_ms <= call.market_ms)
    kept: Iterable[Bill] = paging.spanned(known, call.query, lambda bill: bill.ts, call.market_ms - days * DAY_MS)
    shown = (bill for bill in kept if not filters or _fits(bill_row(bill), filters))
    return Answer([bill_row(bill) for bill in paging.page(shown, call.query, lambda bill: int(bill.bill_id))])


def _fits(row: Row, filters: dict[str, str]) -> bool:
    return all(row[name] == value for name, value in filters.items())


def trade_fee(call: Call) -> Answer:
    """GET account/trade-fee; negative when paid."""
    kind = paging.chosen({"instType": paging.required(call.query, "instType")}, "instType", TYPES)
    profile = call.exchange.profile
    maker, taker = (text(-Decimal(repr(float(rate)))) for rate in (profile.maker, profile.taker))
    rates = {"maker": maker, "taker": taker, "makerU": maker, "takerU": taker, "makerUSDC": "", "takerUSDC": ""}
    told = {"instType": kind, "level": "Lv1", "category": "1", "ts": str(call.now_ms), "uly": call.query.get("uly", ""), "fiat": []}
    return Answer([blank("delivery exercise") | rates | told])


def currencies(call: Call) -> Answer:
    """GET asset/currencies: nothing can be deposited or withdrawn here."""
    if not call.client:
        raise refused("50103")
    return Answer([])
