"""Endpoints that trade and that tell what became of it (specs: okx-wire §4, §5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from alpha_arena.exchange.embedded import checks, paging
from alpha_arena.exchange.embedded.codes import ALL_FAILED, OK, PARTLY_FAILED, TEXTS, refused, wrong
from alpha_arena.exchange.embedded.public import TYPES, contract, point
from alpha_arena.exchange.embedded.route import Answer, Call
from alpha_arena.exchange.embedded.rows import Row, algo_row, fill_row, order_row
from alpha_arena.exchange.embedded.state import Algo, FillRow, PlacedOrder, Rejection

BATCH = 20
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
PURGE_MS = 2 * HOUR_MS
# of a single request these are refused as a whole, not in a row
MALFORMED = ("50002", "50014", "51000")
SHORTEST_S, LONGEST_S = 10, 120
STATES = ("live", "partially_filled", "filled", "canceled")
ALGO_STATES = ("effective", "canceled", "order_failed")


def place(call: Call) -> Answer:
    """POST trade/order."""
    return _single(call, _place)


def place_batch(call: Call) -> Answer:
    """POST trade/batch-orders, which is what ccxt sends."""
    return _batch(call, _place)


def cancel(call: Call) -> Answer:
    """POST trade/cancel-order."""
    return _single(call, _cancel)


def cancel_batch(call: Call) -> Answer:
    """POST trade/cancel-batch-orders."""
    return _batch(call, _cancel)


def amend(call: Call) -> Answer:
    """POST trade/amend-order."""
    return _single(call, _amend)


def place_algo(call: Call) -> Answer:
    """POST trade/order-algo; OKX was recorded to say "0" outside while the row says that it refused."""
    return replace(_single(call, _place_algo, timed=False), code=OK, message="")


def cancel_algos(call: Call) -> Answer:
    """POST trade/cancel-algos."""
    return _batch(call, _cancel_algo, timed=False)


def _single(call: Call, work: Callable[[Call, Any], Row], timed: bool = True) -> Answer:
    if not isinstance(call.body, dict):
        raise refused("50002")
    try:
        row = work(call, call.body)
    except Rejection as rejection:
        if rejection.code in MALFORMED:
            raise
        row = _refusal(call, call.body, rejection, timed)
    return _concluded([row], timed)


def _batch(call: Call, work: Callable[[Call, Any], Row], timed: bool = True) -> Answer:
    if not isinstance(call.body, list):
        raise refused("50002")
    if len(call.body) > BATCH:
        raise wrong("orders")
    rows = []
    for body in call.body:
        try:
            rows.append(work(call, body))
        except Rejection as rejection:
            rows.append(_refusal(call, body, rejection, timed))
    return _concluded(rows, timed)


def _concluded(rows: Sequence[Row], timed: bool) -> Answer:
    failed = sum(row["sCode"] != OK for row in rows)
    code = OK if not failed else ALL_FAILED if failed == len(rows) else PARTLY_FAILED
    return Answer(rows, code, TEXTS[code], timed)


def _refusal(call: Call, body: Any, rejection: Rejection, timed: bool) -> Row:
    given = body if isinstance(body, dict) else {}
    names = ("clOrdId", "tag") if timed else ("algoClOrdId", "clOrdId", "tag")
    told = {"ordId": "", "ts": str(call.now_ms), "subCode": ""} if timed else {"algoId": ""}
    return {name: str(given.get(name) or "") for name in names} | told | {"sCode": rejection.code, "sMsg": rejection.message}


def _accepted(call: Call, order: PlacedOrder) -> Row:
    names = {"clOrdId": order.cl_ord_id, "ordId": order.ord_id, "tag": order.tag}
    return names | {"ts": str(call.now_ms), "sCode": OK, "sMsg": "", "subCode": ""}


def _place(call: Call, body: Any) -> Row:
    return _accepted(call, call.exchange.place(call.client, checks.ticket(call, body)))


def _cancel(call: Call, body: Any) -> Row:
    inst_id, ord_id, cl_ord_id = _named(call, body, "ordId", "clOrdId")
    return _accepted(call, call.exchange.cancel(call.client, inst_id, ord_id, cl_ord_id))


def _amend(call: Call, body: Any) -> Row:
    inst_id, ord_id, cl_ord_id = _named(call, body, "ordId", "clOrdId")
    rules = contract(call, inst_id)
    sz = checks.size(rules, body, "newSz", market=False) if body.get("newSz") else None
    px = None
    if body.get("newPx"):
        order = find_order(call, inst_id, ord_id, cl_ord_id)
        px = checks.limit_price(call, rules, body, "newPx", order.side if order else "buy")
    if sz is None and px is None:
        raise wrong("newSz")
    return _accepted(call, call.exchange.amend(call.client, inst_id, ord_id, cl_ord_id, sz, px)) | {"reqId": str(body.get("reqId") or "")}


def _place_algo(call: Call, body: Any) -> Row:
    return _algo_accepted(call.exchange.place_algo(call.client, checks.algo_ticket(call, body)))


def _cancel_algo(call: Call, body: Any) -> Row:
    inst_id, algo_id, cl_ord_id = _named(call, body, "algoId", "algoClOrdId")
    return _algo_accepted(call.exchange.cancel_algo(call.client, inst_id, algo_id, cl_ord_id))


def _algo_accepted(algo: Algo) -> Row:
    names = {"algoId": algo.algo_id, "algoClOrdId": algo.algo_cl_ord_id, "clOrdId": algo.algo_cl_ord_id, "tag": algo.tag}
    return names | {"sCode": OK, "sMsg": ""}


def _named(call: Call, body: Any, by_id: str, by_name: str) -> tuple[str, str, str]:
    if not isinstance(body, dict):
        raise refused("50002")
    contract(call, paging.required(body, "instId"))
    ids = tuple(str(body.get(key) or "") for key in (by_id, by_name))
    if not any(ids):
        raise refused("50014", by_id)
    return body["instId"], ids[0], ids[1]


def close_position(call: Call) -> Answer:
    """POST trade/close-position."""
    rules = checks.tradable(call, call.body)
    mode = paging.chosen(call.body, "mgnMode", ("isolated", "cross")) or paging.required(call.body, "mgnMode")
    name, cancel_first = checks.name(call.body, "clOrdId"), checks.flag(call.body, "autoCxl")
    call.exchange.close_position(call.client, rules.inst_id, mode, cl_ord_id=name, auto_cancel=cancel_first)
    return Answer([{"instId": rules.inst_id, "posSide": "net", "clOrdId": name, "tag": ""}])


def cancel_all_after(call: Call) -> Answer:
    """POST trade/cancel-all-after: the dead-man switch of a tag's orders, of all without one; 10 to 120 s, 0 switches it off."""
    seconds = checks.number(call.body, "timeOut") if isinstance(call.body, dict) else None
    if seconds is None or seconds % 1 or (seconds and not SHORTEST_S <= seconds <= LONGEST_S):
        raise wrong("timeOut")
    tag = checks.name(call.body, "tag", checks.TAG)
    call.exchange.cancel_all_after(call.client, int(seconds), tag)
    due = call.now_ms + int(seconds) * 1000 if seconds else 0
    return Answer([{"triggerTime": str(due), "tag": tag, "ts": str(call.now_ms)}])


def find_order(call: Call, inst_id: str, ord_id: str, cl_ord_id: str) -> PlacedOrder | None:
    """The order of an id, else the latest of a client's name; None for one that is unknown, purged or not yet told of."""
    if ord_id:
        found = [call.client.orders[ord_id]] if ord_id in call.client.orders else []
    else:
        found = [order for order in reversed(call.client.orders.values()) if cl_ord_id and order.cl_ord_id == cl_ord_id][:1]
    return next((order for order in found if order.inst_id == inst_id and _told(call, order)), None)


def _told(call: Call, order: PlacedOrder) -> bool:
    now = call.market_ms
    purged = order.state == "canceled" and not order.acc_fill_sz and order.u_time + PURGE_MS < now
    return not purged and order.c_time + call.faults.lag.orders_ms <= now


def order(call: Call) -> Answer:
    """GET trade/order."""
    inst_id = contract(call, paging.required(call.query, "instId")).inst_id
    ids = call.query.get("ordId", ""), call.query.get("clOrdId", "")
    if not any(ids):
        raise refused("50014", "ordId")
    found = find_order(call, inst_id, *ids)
    if found is None:
        raise refused("51603")
    return Answer([order_row(found)])


def pending(call: Call) -> Answer:
    """GET trade/orders-pending."""
    paging.chosen(call.query, "instType", TYPES)
    kept = (order for order in _orders(call) if order.open)
    return Answer([order_row(each) for each in paging.page(kept, call.query, lambda order: int(order.ord_id))])


def history(call: Call) -> Answer:
    """GET trade/orders-history, 7 days."""
    return _history(call, 7)


def history_archive(call: Call) -> Answer:
    """GET trade/orders-history-archive, 3 months."""
    return _history(call, 92)


def _history(call: Call, days: int) -> Answer:
    paging.chosen({"instType": paging.required(call.query, "instType")}, "instType", TYPES)
    done = (order for order in _orders(call) if not order.open)
    kept = paging.spanned(done, call.query, lambda order: order.c_time, call.market_ms - days * DAY_MS)
    return Answer([order_row(each) for each in paging.page(kept, call.query, lambda order: int(order.ord_id))])


def _orders(call: Call) -> Iterable[PlacedOrder]:
    kind = paging.chosen(call.query, "ordType", checks.ORDER_TYPES)
    state = paging.chosen(call.query, "state", STATES)
    wanted = call.query.get("instId", ""), kind, state

    def fits(order: PlacedOrder) -> bool:
        facts = order.inst_id, order.ord_type, order.state
        return _told(call, order) and all(ask in ("", fact) for ask, fact in zip(wanted, facts, strict=True))

    return filter(fits, reversed(call.client.orders.values()))


def fills(call: Call) -> Answer:
    """GET trade/fills, 3 days."""
    return _fills(call, 3)


def fills_history(call: Call) -> Answer:
    """GET trade/fills-history, 3 months."""
    paging.required(call.query, "instType")
    return _fills(call, 92)


def _fills(call: Call, days: int) -> Answer:
    paging.chosen(call.query, "instType", TYPES)
    now, lag = call.market_ms, call.faults.lag.fills_ms
    asked = {"instId": "inst_id", "ordId": "ord_id", "subType": "sub_type"}
    filters = [(attribute, call.query[name]) for name, attribute in asked.items() if call.query.get(name)]

    def fits(fill: FillRow) -> bool:
        return max(fill.visible_ms, fill.fill_time + lag) <= now and all(getattr(fill, attribute) == value for attribute, value in filters)

    told = (fill for fill in reversed(call.client.fills) if fits(fill))
    kept = paging.spanned(told, call.query, lambda fill: fill.fill_time, now - days * DAY_MS)
    return Answer([fill_row(each) for each in paging.page(kept, call.query, lambda fill: int(fill.bill_id))])


def algo(call: Call) -> Answer:
    """GET trade/order-algo."""
    ids = call.query.get("algoId", ""), call.query.get("algoClOrdId", "")
    if not any(ids):
        raise refused("50014", "algoId")
    asked = zip(ids, ("algo_id", "algo_cl_ord_id"), strict=True)
    value, attribute = next((value, attribute) for value, attribute in asked if value)
    found = [each for each in reversed(call.client.algos.values()) if getattr(each, attribute) == value][:1]
    if not found:
        raise refused("51603")
    return Answer(_algo_rows(call, found))


def algos_pending(call: Call) -> Answer:
    """GET trade/orders-algo-pending."""
    live = (each for each in _algos(call) if each.state == "live")
    return Answer(_algo_rows(call, paging.page(live, call.query, lambda each: int(each.algo_id))))


def algos_history(call: Call) -> Answer:
    """GET trade/orders-algo-history."""
    state = paging.chosen(call.query, "state", ALGO_STATES)
    if not state and not call.query.get("algoId"):
        raise refused("50014", "state")
    done = (each for each in _algos(call) if each.state != "live" and state in ("", each.state))
    return Answer(_algo_rows(call, paging.page(done, call.query, lambda each: int(each.algo_id))))


def _algos(call: Call) -> Iterable[Algo]:
    kinds = paging.required(call.query, "ordType").split(",")
    if not set(kinds) <= {*checks.ALGO_TYPES, "move_order_stop", "iceberg", "twap", "chase"}:
        raise wrong("ordType")
    inst_id, algo_id = call.query.get("instId", ""), call.query.get("algoId", "")
    return (
        each
        for each in reversed(call.client.algos.values())
        if each.ord_type in kinds and inst_id in ("", each.inst_id) and algo_id in ("", each.algo_id)
    )


def _algo_rows(call: Call, algos: Iterable[Algo]) -> list[Row]:
    return [algo_row(each, point(call, each.inst_id).last, contract(call, each.inst_id).ct_val) for each in algos]
