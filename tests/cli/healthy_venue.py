"""An account in which nothing is wrong, until a test says so; it answers what `doctor` asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from alpha_arena.core.venue import (
    AccountConfig,
    ContractRules,
    ExchangeBalance,
    ExchangeBill,
    ExchangeFill,
    ExchangeOrder,
    ExchangePosition,
    OrderRequest,
    Protection,
)

NOW_MS = 1_795_414_682_000
BTC = ContractRules(
    "BTC/USDT:USDT", Decimal("0.01"), Decimal("0.0001"), Decimal("0.1"), Decimal("0.0001"), Decimal(120), Decimal(100), "live"
)
WELL = AccountConfig("7001", net=True, level=2, permissions=frozenset({"read_only", "trade"}))


def nothing() -> None:
    """No fault."""


@dataclass
class HealthyVenue:
    """Keeps `core.venue.Venue`; `fault` is called at each private question and may raise. asked: the questions, in order.

    refuses: raised where positions are asked for.
    """

    account: AccountConfig = WELL
    contract: ContractRules = BTC
    equity: Decimal = Decimal(10_000)
    held: Sequence[ExchangePosition] = ()
    protected: Sequence[Protection] = ()
    resting: Sequence[ExchangeOrder] = ()
    refuses: Exception | None = None
    shut: str = ""
    lever: Decimal = Decimal(3)
    now_ms: int = NOW_MS
    fault: Callable[[], None] = nothing
    asked: list[str] = field(default_factory=list)
    name: str = "healthy"

    def _private(self, question: str) -> None:
        self.asked.append(question)
        self.fault()

    def time_ms(self) -> int:
        return self.now_ms

    def config(self) -> AccountConfig:
        self._private("config")
        return self.account

    def rules(self, symbol: str) -> ContractRules:
        return self.contract

    def maintenance(self) -> str:
        return self.shut

    def balance(self) -> ExchangeBalance:
        self._private("balance")
        return ExchangeBalance(self.equity, self.equity, self.equity, NOW_MS)

    def positions(self) -> Sequence[ExchangePosition]:
        self._private("positions")
        if self.refuses:
            raise self.refuses
        return self.held

    def protections(self, symbol: str) -> Sequence[Protection]:
        self._private("protections")
        return self.protected

    def leverage(self, symbol: str) -> Decimal:
        self._private("leverage")
        return self.lever

    def order(self, symbol: str, client_id: str) -> ExchangeOrder | None:
        raise AssertionError("doctor has no business with orders")

    order_by_id = order

    def open_orders(self, symbol: str) -> Sequence[ExchangeOrder]:
        return self.resting

    def past_orders(self, symbol: str, since_ms: int) -> Sequence[ExchangeOrder]:
        return ()

    def fills(self, symbol: str, since_ms: int) -> Sequence[ExchangeFill]:
        return ()

    def bills(self, since_ms: int) -> Sequence[ExchangeBill]:
        return ()

    def protection(self, symbol: str, client_id: str) -> Protection | None:
        return None

    def mark_price(self, symbol: str) -> tuple[Decimal, int]:
        return Decimal(40_000), NOW_MS

    def send(self, request: OrderRequest, expires_ms: int) -> str:
        raise AssertionError("doctor sends nothing")

    def cancel(self, symbol: str, client_id: str) -> None:
        raise AssertionError("doctor sends nothing")

    def protect(self, symbol: str, client_id: str, quantity: Decimal, stop: Decimal | None, take: Decimal | None) -> str:
        raise AssertionError("doctor sends nothing")

    def unprotect(self, symbol: str, algo_ids: Sequence[str]) -> None:
        raise AssertionError("doctor sends nothing")

    def set_leverage(self, symbol: str, leverage: Decimal) -> None:
        raise AssertionError("doctor sends nothing")

    def set_net_mode(self) -> None:
        raise AssertionError("doctor sends nothing")

    def cancel_all_after(self, seconds: int) -> None:
        raise AssertionError("doctor sends nothing")
