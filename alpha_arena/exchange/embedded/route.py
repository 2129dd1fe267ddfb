"""What an endpoint is: a line of the route table, the call it gets, the answer it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from alpha_arena.exchange.embedded.faults import Faults
from alpha_arena.exchange.embedded.limits import WINDOW_MS
from alpha_arena.exchange.embedded.ports import Exchange
from alpha_arena.exchange.embedded.rows import Row
from alpha_arena.exchange.embedded.state import Client, Rejection

Key = Literal["ip", "ip+instType", "ip+instId", "user", "user+instId", "user+tag"]


@dataclass(frozen=True, slots=True)
class Call:
    """A request that got as far as its endpoint.

    Attributes:
        client: None for a public endpoint. body: of a POST, parsed.
        now_ms: the exchange's time, skew included; market data and matching go by the clock without it.
        expires_ms: header expTime, 0 for none.
    """

    exchange: Exchange
    faults: Faults
    now_ms: int
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    owner: Client | None = None
    expires_ms: int = 0

    @property
    def client(self) -> Client:
        """The account; only private endpoints ask."""
        if self.owner is None:
            raise Rejection("50103", "a private endpoint needs keys")
        return self.owner

    @property
    def market_ms(self) -> int:
        """The time up to which the market has been played."""
        return self.exchange.clock.now_ms()


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows, the outer code, and whether inTime and outTime go with it."""

    rows: Sequence[Row] | Sequence[list[str]]
    code: str = "0"
    message: str = ""
    timed: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """An endpoint.

    Attributes:
        limit: requests in window_ms, counted by `key`. orders: how many orders a body places or amends, for the account's own limit.
    """

    method: Literal["GET", "POST"]
    path: str
    handler: Callable[[Call], Answer]
    private: bool
    limit: int
    key: Key
    window_ms: int = WINDOW_MS
    places: bool = False
