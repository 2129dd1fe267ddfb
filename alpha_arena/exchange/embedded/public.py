"""Endpoints that need no keys: time, status, instruments, prices, book, funding, tiers (specs: okx-wire §2)."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from random import Random

from alpha_arena.exchange.embedded import paging
from alpha_arena.exchange.embedded.bars import candle_rows, day_figures
from alpha_arena.exchange.embedded.codes import refused
from alpha_arena.exchange.embedded.ports import Contract, Kind, Price
from alpha_arena.exchange.embedded.route import Answer, Call
from alpha_arena.exchange.embedded.rows import Row, blank, instrument_type, text

TYPES = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION")
CAP_LAST, CAP_DERIVED, CAP_FUNDING, CAP_BOOK = 300, 100, 400, 400
MAINTENANCE = blank("title begin end href scheDesc maintType") | {"state": "ongoing", "serviceType": "5", "system": "unified", "env": "1"}
FUNDING_BOUND = "0.00375"
QUARTER_MS = 92 * 86_400_000


def contract(call: Call, inst_id: str) -> Contract:
    """An instrument's rules.

    Raises:
        Rejection: 51001, there is none of that name.
    """
    found = call.exchange.contracts.get(inst_id)
    if found is None:
        raise refused("51001")
    return found


def asked(call: Call) -> Contract:
    """The contract that the query names."""
    return contract(call, paging.required(call.query, "instId"))


def indexed(call: Call) -> Contract:
    """The contract whose index the query names."""
    name = paging.required(call.query, "instId")
    return next((each for each in call.exchange.contracts.values() if each.uly == name), None) or contract(call, "")


def point(call: Call, inst_id: str) -> Price:
    """Prices now."""
    return call.exchange.feed.price(inst_id, call.faults.stale_ms or call.faults.frozen_ms or call.market_ms)


def time(call: Call) -> Answer:
    """GET public/time."""
    return Answer([{"ts": str(call.now_ms)}])


def status(call: Call) -> Answer:
    """GET system/status."""
    state = paging.chosen(call.query, "state", ("scheduled", "ongoing", "pre_open", "completed", "canceled"))
    rows = [MAINTENANCE | row for row in call.faults.maintenance]
    return Answer([row for row in rows if state in ("", row["state"])])


def instruments(call: Call) -> Answer:
    """GET public/instruments; swaps are all there is."""
    if paging.required(call.query, "instType") not in TYPES:
        raise refused("51000", "instType")
    rows = [_instrument(call, each) for each in call.exchange.contracts.values()]
    filters = {name: call.query[name] for name in ("instType", "instId", "uly", "instFamily") if call.query.get(name)}
    found = [row for row in rows if all(row[name] == value for name, value in filters.items())]
    if not found and "instId" in filters:
        raise refused("51001")
    return Answer(found)


def _instrument(call: Call, rules: Contract) -> Row:
    empty = blank(
        "alias auctionEndTime baseCcy contTdSwTime expTime maxMktAmt maxPlatOILmt openType optType posLmtAmt posLmtPct preMktSwTime "
        "quoteCcy stk"
    )
    largest = {"maxIcebergSz": rules.max_lmt_sz, "maxTriggerSz": rules.max_lmt_sz, "maxTwapSz": rules.max_lmt_sz}
    return (
        empty
        | {name: f"{value:.16f}" for name, value in largest.items()}
        | {
            "category": "1",
            "ctMult": "1",
            "ctType": "linear",
            "ctVal": text(rules.ct_val),
            "ctValCcy": rules.uly.split("-")[0],
            "futureSettlement": False,
            "instFamily": rules.uly,
            "instId": rules.inst_id,
            "instIdCode": rules.code,
            "instType": "SWAP",
            "lever": text(rules.max_lever),
            "listTime": str(rules.list_ms),
            "lotSz": text(rules.lot_sz),
            "maxLmtAmt": "20000000",
            "maxLmtSz": text(rules.max_lmt_sz),
            "maxMktSz": text(rules.max_mkt_sz),
            "maxStopSz": text(rules.max_mkt_sz),
            "minSz": text(rules.min_sz),
            "ruleType": "normal",
            "settleCcy": "USDT",
            "state": call.faults.states.get(rules.inst_id, "live"),
            "tickSz": text(rules.tick_sz),
            "tradeQuoteCcyList": [],
            "uly": rules.uly,
        }
    )


def candles(call: Call) -> Answer:
    """GET market/candles."""
    return _candles(call, asked(call), "last", recent=True)


def history_candles(call: Call) -> Answer:
    """GET market/history-candles."""
    return _candles(call, asked(call), "last", recent=False)


def mark_candles(call: Call) -> Answer:
    """GET market/mark-price-candles."""
    return _candles(call, asked(call), "mark", recent=True)


def history_mark_candles(call: Call) -> Answer:
    """GET market/history-mark-price-candles."""
    return _candles(call, asked(call), "mark", recent=False)


def index_candles(call: Call) -> Answer:
    """GET market/index-candles."""
    return _candles(call, indexed(call), "index", recent=True)


def history_index_candles(call: Call) -> Answer:
    """GET market/history-index-candles."""
    return _candles(call, indexed(call), "index", recent=False)


def _candles(call: Call, rules: Contract, kind: Kind, recent: bool) -> Answer:
    cap = CAP_LAST if kind == "last" else CAP_DERIVED
    return Answer(candle_rows(call, rules.inst_id, float(rules.ct_val), kind, cap, recent))


def ticker(call: Call) -> Answer:
    """GET market/ticker."""
    return Answer([_ticker(call, asked(call))])


def tickers(call: Call) -> Answer:
    """GET market/tickers."""
    kind = paging.chosen({"instType": paging.required(call.query, "instType")}, "instType", TYPES)
    return Answer([_ticker(call, each) for each in call.exchange.contracts.values() if kind == "SWAP"])


def _ticker(call: Call, rules: Contract) -> Row:
    now, (bid, ask) = point(call, rules.inst_id), touch(call, rules)
    figures, volume = day_figures(call, rules.inst_id, "last")
    sizes = _sizes(call, rules)
    return figures | {
        "instType": "SWAP",
        "instId": rules.inst_id,
        "last": text(now.last),
        "lastSz": text(rules.lot_sz),
        "askPx": text(ask),
        "askSz": text(sizes[0]),
        "bidPx": text(bid),
        "bidSz": text(sizes[1]),
        "vol24h": text(round(volume / float(rules.ct_val), 8)),
        "volCcy24h": text(round(volume, 8)),
        "ts": str(call.faults.stale_ms or call.now_ms),
    }


def touch(call: Call, rules: Contract) -> tuple[Decimal, Decimal]:
    """Best bid and ask: the last price less and plus half the spread, on ticks, at least one apart."""
    last = point(call, rules.inst_id).last
    half = last * call.exchange.profile.half_spread
    bid, ask = (Decimal(repr(price)) / rules.tick_sz for price in (last - half, last + half))
    lower, upper = bid.to_integral_value(ROUND_FLOOR), ask.to_integral_value(ROUND_CEILING)
    return lower * rules.tick_sz, max(upper, lower + 1) * rules.tick_sz


def _sizes(call: Call, rules: Contract, levels: int = 1) -> list[Decimal]:
    """Sizes that a book shows, asks and bids in turn; they change each second and belong to no order."""
    draw = Random(f"{call.exchange.seed} {rules.inst_id} {call.market_ms // 1000}")
    return [rules.lot_sz * draw.randint(1, 100_000) for _ in range(2 * levels)]


def books(call: Call) -> Answer:
    """GET market/books."""
    rules = asked(call)
    levels = max(1, min(paging.whole(call.query, "sz", 1), CAP_BOOK))
    (bid, ask), sizes = touch(call, rules), _sizes(call, rules, levels)
    asks = [[text(ask + rules.tick_sz * at), text(sizes[2 * at]), "0", "1"] for at in range(levels)]
    bids = [[text(bid - rules.tick_sz * at), text(sizes[2 * at + 1]), "0", "1"] for at in range(levels)]
    return Answer([{"asks": asks, "bids": bids, "ts": str(call.now_ms)}])


def mark_price(call: Call) -> Answer:
    """GET public/mark-price; ccxt leaves instType out."""
    named = [asked(call)] if call.query.get("instId") else list(call.exchange.contracts.values())
    ts = str(call.faults.stale_ms or call.now_ms)
    return Answer(
        [{"instType": "SWAP", "instId": each.inst_id, "markPx": text(point(call, each.inst_id).mark), "ts": ts} for each in named]
    )


def index_tickers(call: Call) -> Answer:
    """GET market/index-tickers."""
    rules = indexed(call)
    figures, _ = day_figures(call, rules.inst_id, "index")
    return Answer([figures | {"instId": rules.uly, "idxPx": text(point(call, rules.inst_id).index), "ts": str(call.now_ms)}])


def funding_rate(call: Call) -> Answer:
    """GET public/funding-rate."""
    name = paging.required(call.query, "instId")
    named = list(call.exchange.contracts.values()) if name == "ANY" else [contract(call, name)]
    return Answer([] if call.faults.no_funding else [_funding(call, each) for each in named])


def _funding(call: Call, rules: Contract) -> Row:
    rate, funding_ms, next_ms, settled = call.exchange.feed.forecast(rules.inst_id, call.market_ms)
    now = point(call, rules.inst_id)
    return {
        "instType": "SWAP",
        "instId": rules.inst_id,
        "method": "current_period",
        "formulaType": "withRate",
        "fundingRate": text(rate),
        "fundingTime": str(funding_ms),
        "nextFundingRate": "",
        "nextFundingTime": str(next_ms),
        "minFundingRate": f"-{FUNDING_BOUND}",
        "maxFundingRate": FUNDING_BOUND,
        "interestRate": "0.0001",
        "impactValue": "20000",
        "settState": "settled",
        "settFundingRate": text(settled),
        "premium": text(round(now.last / now.index - 1, 16)),
        "ts": str(call.now_ms),
    }


def funding_history(call: Call) -> Answer:
    """GET public/funding-rate-history, about three months."""
    rules = asked(call)
    now = call.market_ms
    settled = [] if call.faults.no_funding else call.exchange.feed.funding(rules.inst_id, now - QUARTER_MS, now)
    rows = paging.page(reversed(settled), call.query, lambda row: row[0], CAP_FUNDING)
    return Answer([_settlement(rules.inst_id, ts, rate) for ts, rate in rows])


def _settlement(inst_id: str, ts: int, rate: float) -> Row:
    return {
        "instType": instrument_type(inst_id),
        "instId": inst_id,
        "fundingRate": text(rate),
        "realizedRate": text(rate),
        "fundingTime": str(ts),
        "method": "current_period",
        "formulaType": "withRate",
    }


def position_tiers(call: Call) -> Answer:
    """GET public/position-tiers."""
    paging.chosen({"tdMode": paging.required(call.query, "tdMode")}, "tdMode", ("isolated", "cross"))
    families = call.query.get("instFamily") or call.query.get("uly") or paging.required(call.query, "instFamily")
    named = [each for each in call.exchange.contracts.values() if each.uly in families.split(",")]
    if not named:
        raise refused("51000", "instFamily")
    rows = [row for each in named for row in _tiers(each)]
    return Answer([row for row in rows if call.query.get("tier", "") in ("", row["tier"])])


def _tiers(rules: Contract) -> list[Row]:
    return [
        {
            "tier": str(number),
            "instFamily": rules.uly,
            "uly": rules.uly,
            "instId": "",
            "minSz": text(tier.min_sz),
            "maxSz": text(tier.max_sz),
            "imr": text(tier.imr),
            "mmr": text(tier.mmr),
            "maxLever": text(tier.max_lever),
            "baseMaxLoan": "",
            "quoteMaxLoan": "",
            "optMgnFactor": "0",
        }
        for number, tier in enumerate(rules.tiers, 1)
    ]
