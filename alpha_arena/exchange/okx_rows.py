"""OKX's rows in the engine's terms: contracts as base currency, strings as Decimal, signs as the engine has them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from alpha_arena.core.venue import (
    ExchangeBalance,
    ExchangeBill,
    ExchangeFill,
    ExchangeOrder,
    ExchangePosition,
    OrderState,
    Protection,
    ProtectionState,
    TryAgain,
    VenueRefused,
)

BILLS = {"1": "transfer", "2": "trade", "5": "liquidation", "6": "margin", "8": "funding", "9": "adl"}
FROM_TRADES = ("trade", "liquidation", "adl")
OF_POSITIONS = ("funding", "penalty")
ORDER_STATES = {
    "live": "live",
    "partially_filled": "partially_filled",
    "filled": "filled",
    "canceled": "canceled",
    "mmp_canceled": "canceled",
}
ALGO_STATES = {"live": "live", "pause": "live", "effective": "effective", "partially_effective": "effective", "canceled": "canceled"}
SIDES = {"tp": "take", "sl": "stop"}


def number(row: Mapping[str, Any], key: str) -> Decimal:
    """A number that must be there.

    Raises:
        TryAgain: it is missing or is none.
    """
    found = maybe(row, key)
    if found is None:
        raise TryAgain(f"OKX's answer has {key}={row.get(key)!r}, which is no number")
    return found


def maybe(row: Mapping[str, Any], key: str) -> Decimal | None:
    """A number, None for "".

    Raises:
        TryAgain: it is something else.
    """
    value = row.get(key)
    if value in (None, ""):
        return None
    try:
        made = Decimal(str(value))
    except InvalidOperation:
        raise TryAgain(f"OKX's answer has {key}={value!r}, which is no number") from None
    if not made.is_finite():
        raise TryAgain(f"OKX's answer has {key}={value!r}, which is no number")
    return made


def base(row: Mapping[str, Any], key: str, contract_size: Decimal) -> Decimal:
    """Contracts in base currency."""
    return (number(row, key) * contract_size).normalize()


def signed(row: Mapping[str, Any], key: str, contract_size: Decimal) -> Decimal:
    """As base, negative for a sale."""
    return base(row, key, contract_size) * (-1 if row["side"] == "sell" else 1)


def contracts(quantity: Decimal, contract_size: Decimal) -> str:
    """Base currency in contracts, without sign, as OKX takes it."""
    return format((abs(quantity) / contract_size).normalize(), "f")


def order_of(row: Mapping[str, Any], symbol: str, contract_size: Decimal) -> ExchangeOrder:
    """A row of trade/order and the order lists."""
    attached = [each for each in row.get("attachAlgoOrds") or [] if each.get("failCode") or each.get("failReason")]
    return ExchangeOrder(
        order_id=str(row["ordId"]),
        client_id=str(row.get("clOrdId") or ""),
        symbol=symbol,
        quantity=signed(row, "sz", contract_size),
        filled=signed(row, "accFillSz", contract_size) if row.get("accFillSz") else Decimal(0),
        average=maybe(row, "avgPx") or None,
        fee=-(maybe(row, "fee") or Decimal(0)),
        state=cast(OrderState, _known(ORDER_STATES, row["state"], "state of an order")),
        kind=str(row["ordType"]),
        reduce_only=str(row.get("reduceOnly")).lower() == "true",
        created_ms=int(row["cTime"]),
        updated_ms=int(row["uTime"]),
        cancel_source=str(row.get("cancelSource") or ""),
        category=str(row.get("category") or "normal"),
        algo_id=str(row.get("algoId") or ""),
        protection_id=str(row.get("algoClOrdId") or ""),
        protection_failed=" ".join(f"{each.get('failCode')} {each.get('failReason')}".strip() for each in attached),
    )


def fill_of(row: Mapping[str, Any], symbol: str, contract_size: Decimal) -> ExchangeFill:
    """A row of trade/fills."""
    return ExchangeFill(
        bill_id=str(row["billId"]),
        trade_id=str(row["tradeId"]),
        order_id=str(row["ordId"]),
        client_id=str(row.get("clOrdId") or ""),
        symbol=symbol,
        quantity=signed(row, "fillSz", contract_size),
        price=number(row, "fillPx"),
        fee=-number(row, "fee"),
        maker=row.get("execType") == "M",
        ts=int(row.get("fillTime") or row["ts"]),
        forced=str(row["tradeId"]).startswith("-"),
    )


def position_of(row: Mapping[str, Any], symbol: str, contract_size: Decimal) -> ExchangePosition:
    """A row of account/positions that is not flat.

    Raises:
        VenueRefused: it is of cross margin, or one side of an account that holds both: the engine keeps isolated, net positions alone.
    """
    if row["mgnMode"] != "isolated" or row["posSide"] != "net":
        held = f"{row['instId']} is held in {row['mgnMode']} margin, side {row['posSide']}"
        raise VenueRefused(f"{held}; only isolated, net positions are traded: close it by hand, then acknowledge")
    return ExchangePosition(
        symbol=symbol,
        quantity=base(row, "pos", contract_size),
        entry=number(row, "avgPx"),
        mark=number(row, "markPx"),
        leverage=number(row, "lever"),
        margin=maybe(row, "margin") or maybe(row, "imr") or Decimal(0),
        liquidation=maybe(row, "liqPx") or None,
        updated_ms=int(row["uTime"]),
    )


def balance_of(row: Mapping[str, Any], currency: str) -> ExchangeBalance:
    """The row of account/balance; cash is equity without unrealised profit, margin included."""
    details = [each for each in row.get("details") or [] if each.get("ccy") == currency]
    if not details:
        return ExchangeBalance(Decimal(0), Decimal(0), Decimal(0), int(row["uTime"]))
    found = details[0]
    equity = number(found, "eq")
    cash = equity - (maybe(found, "upl") or Decimal(0))
    free = maybe(found, "availEq")
    return ExchangeBalance(cash, equity, number(found, "availBal") if free is None else free, int(row["uTime"]))


def bill_of(row: Mapping[str, Any], symbol: str) -> ExchangeBill:
    """A row of account/bills: what changed the wallet, wherever OKX keeps it (specs: okx-wire §3.8).

    Of a liquidation's bills the one without a trade is the penalty.
    """
    kind = BILLS.get(str(row["type"]), "other")
    kind = "penalty" if kind == "liquidation" and not row.get("tradeId") else kind
    if kind in FROM_TRADES:
        change = (maybe(row, "pnl") or Decimal(0)) + (maybe(row, "fee") or Decimal(0))
    elif kind == "margin":
        change = Decimal(0)
    else:
        change = (maybe(row, "balChg") or Decimal(0)) + ((maybe(row, "posBalChg") or Decimal(0)) if kind in OF_POSITIONS else Decimal(0))
    names = (str(row.get(key) or "") for key in ("tradeId", "ordId", "clOrdId"))
    return ExchangeBill(str(row["billId"]), kind, symbol, change, number(row, "bal"), int(row["ts"]), *names)


def protection_of(row: Mapping[str, Any], symbol: str, contract_size: Decimal) -> Protection:
    """A row of the algo lists."""
    return Protection(
        algo_id=str(row["algoId"]),
        client_id=str(row.get("algoClOrdId") or ""),
        symbol=symbol,
        quantity=signed(row, "sz", contract_size) if row.get("sz") else None,
        stop=maybe(row, "slTriggerPx") or None,
        take=maybe(row, "tpTriggerPx") or None,
        state=cast(ProtectionState, ALGO_STATES.get(str(row["state"]), "failed")),
        order_id=str(row.get("ordId") or next(iter(row.get("ordIdList") or []), "")),
        side_hit=cast(Any, SIDES.get(str(row.get("actualSide") or ""), "")),
        created_ms=int(row.get("cTime") or 0),
    )


def _known(names: Mapping[str, str], value: Any, what: str) -> str:
    if str(value) not in names:
        raise TryAgain(f"OKX's answer has {value!r} as {what}, which is not known")
    return names[str(value)]
