"""A private account at an exchange, as the live executor sees it: what can be asked, what can be answered, what can go wrong.

Quantities are signed (positive buys, long) and in base currency, prices in quote currency: both Decimal, exactly as the exchange said them.
Times are ms since the epoch, UTC, by the exchange's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, Protocol

from alpha_arena.core.errors import AlphaArenaError

OrderState = Literal["live", "partially_filled", "filled", "canceled"]
ProtectionState = Literal["live", "effective", "canceled", "failed"]


class VenueError(AlphaArenaError):
    """An exchange's private endpoint did not do what was asked; `code` is the exchange's own, "" where it gave none."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class OrderRejected(VenueError):
    """The order was definitely not accepted."""


class OutcomeUnknown(VenueError):
    """The request may have been carried out: only a query by client order id can tell."""


class TryAgain(VenueError):
    """Definitely not carried out; the same request may succeed later."""


class VenueRefused(VenueError):
    """Keys, permissions or the account are not as they must be: stop trading and call a person."""


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An order to send.

    Attributes:
        client_id: 1 to 32 letters and digits, derived from the decision.
        quantity: signed, whole lots. price: limit price, None for a market order.
        stop, take: trigger prices of the protection attached to it, None for none. protection_id: client id of that protection.
        kind: market, limit, post_only, ioc or fok.
    """

    client_id: str
    symbol: str
    quantity: Decimal
    kind: Literal["market", "limit", "post_only", "ioc", "fok"] = "market"
    price: Decimal | None = None
    stop: Decimal | None = None
    take: Decimal | None = None
    protection_id: str = ""
    reduce_only: bool = False


@dataclass(frozen=True, slots=True)
class ExchangeOrder:
    """An order as the exchange tells it.

    Attributes:
        client_id: "" for an order that has none. quantity, filled: signed. average: None while nothing is filled.
        fee: quote, positive when paid. protection_failed: why the attached protection was not made, "" if nothing is known against it.
        category: normal, full_liquidation, partial_liquidation, adl. protection_id: client id of the protection that made it, "" for none.
    """

    order_id: str
    client_id: str
    symbol: str
    quantity: Decimal
    filled: Decimal
    average: Decimal | None
    fee: Decimal
    state: OrderState
    kind: str
    reduce_only: bool
    created_ms: int
    updated_ms: int
    cancel_source: str = ""
    category: str = "normal"
    algo_id: str = ""
    protection_id: str = ""
    protection_failed: str = ""


@dataclass(frozen=True, slots=True)
class ExchangeFill:
    """One execution. bill_id is unique; fee in quote, positive when paid; forced for a liquidation or ADL (negative trade id)."""

    bill_id: str
    trade_id: str
    order_id: str
    client_id: str
    symbol: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    maker: bool
    ts: int
    forced: bool = False


@dataclass(frozen=True, slots=True)
class ExchangePosition:
    """A holding that is not flat. liquidation: price, None where there is none."""

    symbol: str
    quantity: Decimal
    entry: Decimal
    mark: Decimal
    leverage: Decimal
    margin: Decimal
    liquidation: Decimal | None
    updated_ms: int


@dataclass(frozen=True, slots=True)
class ExchangeBalance:
    """The settlement currency's account: cash (settled wallet), equity (with unrealised profit), available for new orders; quote."""

    cash: Decimal
    equity: Decimal
    available: Decimal
    ts: int


@dataclass(frozen=True, slots=True)
class ExchangeBill:
    """A change of cash. kind: transfer, trade, liquidation, penalty, margin, funding, adl or other; cash after it in `balance`; quote."""

    bill_id: str
    kind: str
    symbol: str
    change: Decimal
    balance: Decimal
    ts: int
    trade_id: str = ""
    order_id: str = ""
    client_id: str = ""


@dataclass(frozen=True, slots=True)
class Protection:
    """A protective order at the exchange (TP, SL or both). quantity: signed closing quantity, None for the whole position.

    `order_id` is the order it made once it is effective.
    """

    algo_id: str
    client_id: str
    symbol: str
    quantity: Decimal | None
    stop: Decimal | None
    take: Decimal | None
    state: ProtectionState
    order_id: str = ""
    side_hit: Literal["", "stop", "take"] = ""
    created_ms: int = 0


@dataclass(frozen=True, slots=True)
class AccountConfig:
    """Who the keys belong to. permissions: e.g. {"read_only", "trade"}; net: positions are netted; level: OKX's acctLv."""

    uid: str
    net: bool
    level: int
    permissions: frozenset[str]


@dataclass(frozen=True, slots=True)
class ContractRules:
    """An instrument as the exchange states it today; sizes in base currency, state "live" when tradable."""

    symbol: str
    contract_size: Decimal
    lot: Decimal
    tick: Decimal
    smallest: Decimal
    largest_market: Decimal
    max_leverage: Decimal
    state: str


class Venue(Protocol):
    """A private account. Every call may raise TryAgain or VenueRefused; only what sends raises OutcomeUnknown or OrderRejected.

    A call that failed never returns an empty answer: an empty sequence means that the exchange said so.
    """

    @property
    def name(self) -> str: ...
    def time_ms(self) -> int:
        """The exchange's clock."""

    def config(self) -> AccountConfig: ...
    def rules(self, symbol: str) -> ContractRules: ...
    def maintenance(self) -> str:
        """What is under maintenance now, "" for nothing."""

    def balance(self) -> ExchangeBalance: ...
    def positions(self) -> Sequence[ExchangePosition]: ...
    def order(self, symbol: str, client_id: str) -> ExchangeOrder | None:
        """By client order id; None where the exchange says that it does not know it (which is not yet "never existed")."""

    def order_by_id(self, symbol: str, order_id: str) -> ExchangeOrder | None: ...
    def open_orders(self, symbol: str) -> Sequence[ExchangeOrder]: ...
    def past_orders(self, symbol: str, since_ms: int) -> Sequence[ExchangeOrder]:
        """Filled and canceled ones, newest first."""

    def fills(self, symbol: str, since_ms: int) -> Sequence[ExchangeFill]:
        """All of them, oldest first, paged by bill id, each once."""

    def bills(self, since_ms: int) -> Sequence[ExchangeBill]:
        """All changes of cash, oldest first, each once."""

    def protections(self, symbol: str) -> Sequence[Protection]:
        """The live ones."""

    def protection(self, symbol: str, client_id: str) -> Protection | None: ...
    def leverage(self, symbol: str) -> Decimal: ...
    def mark_price(self, symbol: str) -> tuple[Decimal, int]:
        """Mark price and its time."""

    def send(self, request: OrderRequest, expires_ms: int) -> str:
        """Send an order that the exchange must discard after `expires_ms` by its clock.

        Returns:
            the exchange's order id: accepted by the gateway, not filled.
        """

    def cancel(self, symbol: str, client_id: str) -> None:
        """Ask for a cancel; an order that is done already is no error: read it again."""

    def protect(self, symbol: str, client_id: str, quantity: Decimal, stop: Decimal | None, take: Decimal | None) -> str:
        """Place a reduce-only TP/SL for a position; `quantity` is the signed closing quantity. Returns its algo id."""

    def unprotect(self, symbol: str, algo_ids: Sequence[str]) -> None:
        """Cancel protections; one that is gone already is no error."""

    def set_leverage(self, symbol: str, leverage: Decimal) -> None: ...
    def set_net_mode(self) -> None: ...
    def cancel_all_after(self, seconds: int) -> None:
        """Dead-man switch: cancel own pending orders unless called again in time (10 to 120 s); 0 switches it off."""
