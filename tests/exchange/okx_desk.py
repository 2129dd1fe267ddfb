"""An OKX account whose requests end in the test: what was asked is kept, what is answered is given."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from http.client import responses
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from alpha_arena.core.types import Instrument
from alpha_arena.core.venue import OrderRequest
from alpha_arena.exchange.accounts import Keys
from alpha_arena.exchange.calls import Waiting
from alpha_arena.exchange.okx_account import OkxAccount

BTC, SWAP = "BTC/USDT:USDT", "BTC-USDT-SWAP"
RULES = Instrument(BTC, 0.0001, 0.1, 0.01, 100, "2026-01-01")
NOW = 1_795_414_682_000
CANARY = Keys("canary-key-1", "canary-secret-2", "canary-pass-3")
HOST = "http://127.0.0.1:1"


@dataclass
class Stopped:
    """A clock that stands."""

    ms: int = NOW

    def now_ms(self) -> int:
        """Where it stands."""
        return self.ms


@dataclass
class Answer:
    """What the server says; error: what the connection does instead."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    error: Exception | None = None


def said(*rows: Any, code: str = "0", status: int = 200, message: str = "") -> Answer:
    """OKX's envelope."""
    return Answer(json.dumps({"code": code, "msg": message, "data": list(rows)}).encode(), status)


class Canned(BaseAdapter):
    """Answers each request with the next answer, the last one for ever; keeps what was asked."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:  # type: ignore[override]
        """Answer from the list."""
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer.error:
            raise answer.error
        response = requests.Response()
        response.status_code, response.request, response.url = answer.status, request, request.url or ""
        response.reason = responses[answer.status]
        response.headers.update({"content-type": "application/json"} | answer.headers)
        response.raw = HTTPResponse(BytesIO(answer.body), {}, answer.status, preload_content=False)
        return response

    def close(self) -> None:
        """Nothing is open."""

    def told(self) -> list[dict[str, Any]]:
        """Method, path, query and body of each request."""
        return [shape(request) for request in self.asked]


def shape(request: requests.PreparedRequest) -> dict[str, Any]:
    """A request without what changes from call to call."""
    url = urlsplit(request.url or "")
    body = json.loads(request.body) if request.body else None
    return {"method": request.method, "path": url.path, "query": dict(parse_qsl(url.query)), "body": body}


def account(*answers: Answer, host: str = HOST, demo: bool = True, waiting: Waiting | None = None) -> tuple[OkxAccount, Canned]:
    """An account that is answered so; nothing is waited for."""
    made = OkxAccount(host, CANARY, demo, [RULES], Stopped(), waiting=waiting or Waiting(lambda seconds: None, lambda: 0.0))
    canned = Canned(*answers)
    for prefix in ("http://", "https://"):
        made.client.session.mount(prefix, canned)
    return made, canned


ENTRY = OrderRequest("aa01", BTC, Decimal("0.0123"), stop=Decimal("59000"), take=Decimal("65000.5"), protection_id="aa02")

# every call that the engine makes of an account
CALLS: dict[str, Callable[[OkxAccount], Any]] = {
    "time": lambda a: a.time_ms(),
    "config": lambda a: a.config(),
    "rules": lambda a: a.rules(BTC),
    "maintenance": lambda a: a.maintenance(),
    "balance": lambda a: a.balance(),
    "positions": lambda a: a.positions(),
    "order": lambda a: a.order(BTC, "aa01"),
    "order_by_id": lambda a: a.order_by_id(BTC, "17"),
    "open_orders": lambda a: a.open_orders(BTC),
    "past_orders": lambda a: a.past_orders(BTC, NOW - 3_600_000),
    "fills": lambda a: a.fills(BTC, NOW - 3_600_000),
    "old_fills": lambda a: a.fills(BTC, NOW - 30 * 86_400_000),
    "bills": lambda a: a.bills(NOW - 3_600_000),
    "old_bills": lambda a: a.bills(NOW - 30 * 86_400_000),
    "protections": lambda a: a.protections(BTC),
    "protection": lambda a: a.protection(BTC, "aa02"),
    "leverage": lambda a: a.leverage(BTC),
    "mark_price": lambda a: a.mark_price(BTC),
    "send": lambda a: a.send(ENTRY, NOW + 5_000),
    "send_limit": lambda a: a.send(OrderRequest("aa03", BTC, Decimal("-0.5"), "limit", Decimal("61000.1"), reduce_only=True), NOW + 5_000),
    "cancel": lambda a: a.cancel(BTC, "aa01"),
    "protect": lambda a: a.protect(BTC, "aa04", Decimal("-0.0123"), Decimal(59000), Decimal(65000)),
    "protect_stop": lambda a: a.protect(BTC, "aa05", Decimal("0.01"), Decimal(59000), None),
    "unprotect": lambda a: a.unprotect(BTC, ["18"]),
    "set_leverage": lambda a: a.set_leverage(BTC, Decimal(3)),
    "set_net_mode": lambda a: a.set_net_mode(),
    "cancel_all_after": lambda a: a.cancel_all_after(60),
}
SENDS = ("send", "send_limit", "cancel", "protect", "protect_stop", "unprotect", "set_leverage", "set_net_mode", "cancel_all_after")


def each_call() -> Iterator[tuple[str, Callable[[OkxAccount], Any]]]:
    """Names and calls."""
    yield from CALLS.items()
