"""An account at OKX, or at the embedded exchange that speaks its wire: keeps `core.venue.Venue`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from alpha_arena.core.errors import ConfigError
from alpha_arena.core.ports import Clock
from alpha_arena.core.types import Instrument
from alpha_arena.core.venue import (
    AccountConfig,
    ContractRules,
    ExchangeBalance,
    ExchangeBill,
    ExchangeFill,
    ExchangeOrder,
    ExchangePosition,
    OrderRejected,
    OrderRequest,
    Protection,
)
from alpha_arena.exchange import okx_rows as rows
from alpha_arena.exchange.accounts import Keys
from alpha_arena.exchange.calls import Waiting
from alpha_arena.exchange.okx_codes import UNKNOWN_ORDER
from alpha_arena.exchange.okx_private import Endpoints, PrivateClient, row_of

ISOLATED = "isolated"
CURRENCY = "USDT"
PAGE = 100
RECENT_MS = 3 * 86_400_000 - 3_600_000
# of every order that is sent, so that the dead-man switch leaves others' alone (at most 16 letters and digits)
TAG = "alphaarena"
CLIENT_ID = re.compile(r"[A-Za-z0-9]{1,32}")
PROTECTIONS = ("conditional", "oco")
GONE = ("51400", "51503", UNKNOWN_ORDER)


@dataclass(frozen=True, slots=True)
class Contract:
    """An instrument on OKX's wire: sizes in base currency."""

    inst_id: str
    size: Decimal
    lot: Decimal
    tick: Decimal


def contract(instrument: Instrument) -> Contract:
    """As conf/symbol has it; BTC/USDT:USDT is BTC-USDT-SWAP."""
    name = f"{instrument.symbol.partition(':')[0].replace('/', '-')}-SWAP"
    return Contract(name, *(Decimal(repr(value)) for value in (instrument.contract_size, instrument.lot, instrument.tick)))


class OkxAccount:
    """One account, isolated margin, net positions.

    Args:
        host: where it is. keys: of it. demo: it is a demo account, or the embedded exchange's.
        clock: signs; also that of the embedded exchange. waiting: how real time passes between paced requests.
    """

    def __init__(
        self,
        host: str,
        keys: Keys,
        demo: bool,
        instruments: Iterable[Instrument],
        clock: Clock,
        timeout_s: float = 10.0,
        waiting: Waiting | None = None,
    ) -> None:
        self.client = PrivateClient(host, round(timeout_s * 1000), keys, demo, clock)
        self.ask = Endpoints(self.client, waiting)
        self.contracts = {instrument.symbol: contract(instrument) for instrument in instruments}
        self._symbols = {each.inst_id: symbol for symbol, each in self.contracts.items()}

    def __repr__(self) -> str:
        """The host alone; keys are never shown."""
        return f"OkxAccount({self.client.host!r})"

    @property
    def name(self) -> str:
        """The exchange's name in the ledger."""
        return "okx"

    def close(self) -> None:
        """Drop the connections."""
        self.client.session.close()

    def _contract(self, symbol: str) -> Contract:
        if symbol not in self.contracts:
            raise ConfigError(f"{symbol} is not among the account's symbols ({', '.join(self.contracts)}); add it to symbols=")
        return self.contracts[symbol]

    def time_ms(self) -> int:
        """The exchange's clock."""
        return int(row_of(self.ask.get("public/time"), "public/time")["ts"])

    def config(self) -> AccountConfig:
        """Whose keys these are, and what they may do."""
        row = row_of(self.ask.get("account/config"), "account/config")
        permissions = frozenset(str(row["perm"]).split(","))
        return AccountConfig(str(row["uid"]), row["posMode"] == "net_mode", int(row["acctLv"]), permissions)

    def rules(self, symbol: str) -> ContractRules:
        """The contract as the exchange states it today."""
        row = row_of(self.ask.get("public/instruments", instType="SWAP", instId=self._contract(symbol).inst_id), "public/instruments")
        size = rows.number(row, "ctVal")
        lot, smallest, largest = (rows.base(row, key, size) for key in ("lotSz", "minSz", "maxMktSz"))
        tick, leverage = rows.number(row, "tickSz"), rows.number(row, "lever")
        return ContractRules(symbol, size, lot, tick, smallest, largest, leverage, str(row["state"]))

    def maintenance(self) -> str:
        """What is under maintenance now; a later scheduled one does not hide it."""
        ongoing = [row for row in self.ask.get("system/status") if row.get("state") == "ongoing"]
        return "; ".join(str(row.get("title") or "maintenance") for row in ongoing)

    def balance(self) -> ExchangeBalance:
        """The settlement currency's account."""
        return rows.balance_of(row_of(self.ask.get("account/balance", ccy=CURRENCY), "account/balance"), CURRENCY)

    def positions(self) -> Sequence[ExchangePosition]:
        """What is held; a row of 0 is flat."""
        told = self.ask.get("account/positions", instType="SWAP")
        held = [row for row in told if row["instId"] in self._symbols and rows.number(row, "pos")]
        return [self._read(rows.position_of, row) for row in held]

    def _read(self, make: Callable[[Any, str, Decimal], Any], row: Any) -> Any:
        symbol = self._symbols[row["instId"]]
        return make(row, symbol, self.contracts[symbol].size)

    def order(self, symbol: str, client_id: str) -> ExchangeOrder | None:
        """By client order id; None where the exchange does not know it."""
        return self._order(symbol, clOrdId=client_id)

    def order_by_id(self, symbol: str, order_id: str) -> ExchangeOrder | None:
        """By the exchange's id; None where it does not know it."""
        return self._order(symbol, ordId=order_id)

    def _order(self, symbol: str, **name: str) -> ExchangeOrder | None:
        row = self.ask.find("trade/order", (UNKNOWN_ORDER,), instId=self._contract(symbol).inst_id, **name)
        return None if row is None else self._read(rows.order_of, row)

    def open_orders(self, symbol: str) -> Sequence[ExchangeOrder]:
        """Those that can still fill, newest first."""
        told = self._pages("trade/orders-pending", "ordId", instType="SWAP", instId=self._contract(symbol).inst_id)
        return [self._read(rows.order_of, row) for row in told]

    def past_orders(self, symbol: str, since_ms: int) -> Sequence[ExchangeOrder]:
        """Filled and canceled ones of the last seven days, newest first."""
        asked = {"instType": "SWAP", "instId": self._contract(symbol).inst_id, "begin": str(since_ms)}
        return [self._read(rows.order_of, row) for row in self._pages("trade/orders-history", "ordId", **asked)]

    def fills(self, symbol: str, since_ms: int) -> Sequence[ExchangeFill]:
        """Oldest first, each once."""
        recent = since_ms >= self.client.milliseconds() - RECENT_MS
        path = "trade/fills" if recent else "trade/fills-history"
        told = self._pages(path, "billId", instType="SWAP", instId=self._contract(symbol).inst_id, begin=str(since_ms))
        return [self._read(rows.fill_of, row) for row in oldest_first(told, "billId")]

    def bills(self, since_ms: int) -> Sequence[ExchangeBill]:
        """All changes of cash, oldest first, each once."""
        recent = since_ms >= self.client.milliseconds() - 2 * RECENT_MS
        path = "account/bills" if recent else "account/bills-archive"
        told = self._pages(path, "billId", ccy=CURRENCY, begin=str(since_ms))
        return [rows.bill_of(row, self._symbols.get(row.get("instId", ""), "")) for row in oldest_first(told, "billId")]

    def _pages(self, path: str, cursor: str, **params: str) -> list[Any]:
        """All rows, a page at a time from the newest on; what is told twice counts once."""
        found: dict[str, Any] = {}
        after: dict[str, str] = {}
        while True:
            page = self.ask.get(path, limit=str(PAGE), **params, **after)
            fresh = [row for row in page if row[cursor] not in found]
            found |= {row[cursor]: row for row in fresh}
            if len(page) < PAGE or not fresh:
                return list(found.values())
            after = {"after": min((row[cursor] for row in page), key=int)}

    def protections(self, symbol: str) -> Sequence[Protection]:
        """The live ones: TP, SL and both."""
        told: list[Any] = []
        for kind in PROTECTIONS:
            told += self._pages("trade/orders-algo-pending", "algoId", ordType=kind, instId=self._contract(symbol).inst_id)
        return [self._read(rows.protection_of, row) for row in told]

    def protection(self, symbol: str, client_id: str) -> Protection | None:
        """By its client id, whatever its state; None where the exchange does not know it."""
        row = self.ask.find("trade/order-algo", (UNKNOWN_ORDER, "51400"), algoClOrdId=client_id)
        return None if row is None or row["instId"] not in self._symbols else self._read(rows.protection_of, row)

    def leverage(self, symbol: str) -> Decimal:
        """Of new orders."""
        asked = self.ask.get("account/leverage-info", instId=self._contract(symbol).inst_id, mgnMode=ISOLATED)
        return rows.number(row_of(asked, "account/leverage-info"), "lever")

    def mark_price(self, symbol: str) -> tuple[Decimal, int]:
        """Mark price and its time."""
        row = row_of(self.ask.get("public/mark-price", instType="SWAP", instId=self._contract(symbol).inst_id), "public/mark-price")
        return rows.number(row, "markPx"), int(row["ts"])

    def send(self, request: OrderRequest, expires_ms: int) -> str:
        """Send an order; its id at the exchange.

        Raises:
            OrderRejected: also for what is wrong with the request itself, which is then not sent.
        """
        body = self._body(request)
        self.client.expires_ms = expires_ms
        try:
            row = row_of(self.ask.post("trade/order", body), "trade/order")
        finally:
            self.client.expires_ms = 0
        return str(row["ordId"])

    def _body(self, request: OrderRequest) -> dict[str, Any]:
        rules = self._contract(request.symbol)
        self._check(request, rules)
        body: dict[str, Any] = {
            "instId": rules.inst_id,
            "tdMode": ISOLATED,
            "side": "buy" if request.quantity > 0 else "sell",
            "ordType": request.kind,
            "sz": rows.contracts(request.quantity, rules.size),
            "clOrdId": request.client_id,
            "tag": TAG,
        }
        if request.price is not None:
            body["px"] = plain(request.price)
        if request.reduce_only:
            body["reduceOnly"] = True
        if request.stop is not None or request.take is not None:
            body["attachAlgoOrds"] = [{"attachAlgoClOrdId": request.protection_id, **levels(request.stop, request.take)}]
        return body

    @staticmethod
    def _check(request: OrderRequest, rules: Contract) -> None:
        wrong = ""
        if not CLIENT_ID.fullmatch(request.client_id):
            wrong = f"client id {request.client_id!r} is not 1 to 32 letters and digits"
        elif not request.quantity.is_finite() or not request.quantity or request.quantity % rules.lot:
            wrong = f"quantity {request.quantity} is not a multiple of the lot {rules.lot}"
        elif (request.kind == "market") != (request.price is None):
            wrong = f"price {request.price} does not go with kind {request.kind}"
        else:
            given = [price for price in (request.price, request.stop, request.take) if price is not None]
            bad = [price for price in given if not price.is_finite() or price <= 0 or price % rules.tick]
            wrong = f"price {bad[0]} is not a positive multiple of the tick {rules.tick}" if bad else ""
        if wrong:
            raise OrderRejected(f"order for {request.symbol} was not sent: {wrong}")

    def cancel(self, symbol: str, client_id: str) -> None:
        """Ask for a cancel; an order that is done already is no error: read it again."""
        try:
            self.ask.post("trade/cancel-order", {"instId": self._contract(symbol).inst_id, "clOrdId": client_id})
        except Exception as error:
            if getattr(error, "code", "") not in GONE:
                raise

    def protect(self, symbol: str, client_id: str, quantity: Decimal, stop: Decimal | None, take: Decimal | None) -> str:
        """Place a reduce-only TP/SL; its algo id."""
        rules = self._contract(symbol)
        self._check(OrderRequest(client_id, symbol, quantity, stop=stop, take=take), rules)
        body = {
            "instId": rules.inst_id,
            "tdMode": ISOLATED,
            "side": "buy" if quantity > 0 else "sell",
            "ordType": "conditional" if stop is None or take is None else "oco",
            "sz": rows.contracts(quantity, rules.size),
            "reduceOnly": True,
            "cxlOnClosePos": True,
            "algoClOrdId": client_id,
            # without it ccxt makes up a name of its own
            "clOrdId": client_id,
            "tag": TAG,
            **levels(stop, take),
        }
        return str(row_of(self.ask.post("trade/order-algo", body), "trade/order-algo")["algoId"])

    def unprotect(self, symbol: str, algo_ids: Sequence[str]) -> None:
        """Cancel protections, each by itself, so that one that is gone does not keep the others."""
        for algo_id in algo_ids:
            try:
                self.ask.post("trade/cancel-algos", [{"instId": self._contract(symbol).inst_id, "algoId": algo_id}])
            except Exception as error:
                if getattr(error, "code", "") not in GONE:
                    raise

    def set_leverage(self, symbol: str, leverage: Decimal) -> None:
        """Of new orders and of the position that is held."""
        body = {"instId": self._contract(symbol).inst_id, "lever": plain(leverage), "mgnMode": ISOLATED, "posSide": "net"}
        self.ask.post("account/set-leverage", body)

    def set_net_mode(self) -> None:
        """Positions are netted."""
        self.ask.post("account/set-position-mode", {"posMode": "net_mode"})

    def cancel_all_after(self, seconds: int) -> None:
        """The dead-man switch of own orders; 0 switches it off."""
        self.ask.post("trade/cancel-all-after", {"timeOut": str(seconds), "tag": TAG})


def levels(stop: Decimal | None, take: Decimal | None) -> dict[str, str]:
    """Trigger prices on the last price, executed at the market."""
    made: dict[str, str] = {}
    for side, price in (("sl", stop), ("tp", take)):
        if price is not None:
            made |= {f"{side}TriggerPx": plain(price), f"{side}OrdPx": "-1", f"{side}TriggerPxType": "last"}
    return made


def plain(value: Decimal) -> str:
    """A number as OKX writes it."""
    return format(value.normalize(), "f")


def oldest_first(told: list[Any], key: str) -> list[Any]:
    """Rows in the order of their ids, which grow."""
    return sorted(told, key=lambda row: int(row[key]))
