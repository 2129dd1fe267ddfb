"""OKX's v5 REST as a function from request to reply: authentication, limits, dispatch, envelope, faults; no sockets (specs: okx-wire)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

import orjson

from alpha_arena.exchange.embedded.auth import Signed, authenticated
from alpha_arena.exchange.embedded.codes import refused, status, wrong
from alpha_arena.exchange.embedded.faults import HTML, Faults, Rule
from alpha_arena.exchange.embedded.limits import ORDERS_OF_A_USER, Limits
from alpha_arena.exchange.embedded.ports import Exchange
from alpha_arena.exchange.embedded.route import Answer, Call, Route
from alpha_arena.exchange.embedded.state import Client, Rejection
from alpha_arena.exchange.embedded.table import ROUTES, SINGLE

PREFIX = "/api/v5/"
HEADERS = {"content-type": "application/json", "x-sim": "1"}
HANDLING_US = 1_500
SIGNATURE_CODES = range(50100, 50115)


@dataclass(frozen=True, slots=True)
class Request:
    """What came in: query without "?", names of headers in lower case."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def target(self) -> str:
        """Path and query, as they are signed."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def endpoint(self) -> str:
        """The path without its common prefix."""
        return self.path.removeprefix(PREFIX)


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes out."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: dict(HEADERS))


class Dropped(Exception):
    """The connection closes without an answer."""


class Hang(Exception):
    """Nothing is answered for `seconds`; then `resume` gives the reply, None closes the connection."""

    def __init__(self, seconds: float, resume: Callable[[], Reply] | None) -> None:
        super().__init__(f"no answer for {seconds} s")
        self.seconds = seconds
        self.resume = resume


class Wire:
    """The exchange behind its REST interface.

    Args:
        exchange: what it is about; its books, if it has any, are written before a reply leaves.
    """

    def __init__(self, exchange: Exchange, faults: Faults | None = None, limits: Limits | None = None) -> None:
        self.exchange = exchange
        self.faults = faults or Faults()
        self.limits = limits or Limits()
        self.overdue: list[tuple[int, Callable[[], Reply]]] = []

    @property
    def now_ms(self) -> int:
        """The exchange's clock as it tells it, skew included."""
        return self.exchange.clock.now_ms() + self.faults.skew_ms

    def handle(self, request: Request) -> Reply:
        """Answer a request.

        Raises:
            Dropped: a fault closes the connection. Hang: a fault withholds the answer.
        """
        self.tick()
        self.faults.requests[f"{request.method} {request.endpoint}"] += 1
        struck = self.faults.strike("before", request.method, request.endpoint, request.body.decode(errors="replace"))
        return self._instead(struck, request) if struck else self._answered(request)

    def tick(self) -> None:
        """Play the market up to the clock, then what was withheld until now."""
        now_ms = self.exchange.clock.now_ms()
        self.exchange.run_to(now_ms)
        self.faults.remember(list(self.exchange.clients.values()), now_ms)
        due = [resume for ts, resume in self.overdue if ts <= now_ms]
        self.overdue = [(ts, resume) for ts, resume in self.overdue if ts > now_ms]
        for resume in due:
            # nobody waits for this answer any more
            with suppress(Dropped, Hang):
                resume()

    def pass_time(self, seconds: float) -> None:
        """Let a driven clock run on; other clocks run by themselves."""
        clock = self.exchange.clock
        if clock.mode == "stepped":
            clock.step_to(clock.now_ms() + round(seconds * 1000))
            self.tick()

    def later(self, hang: Hang) -> None:
        """The client has given up; what was withheld happens all the same when its time has come."""
        if hang.resume is not None:
            self.overdue.append((self.exchange.clock.now_ms() + round(hang.seconds * 1000), hang.resume))

    def _instead(self, rule: Rule, request: Request) -> Reply:
        if rule.kind == "delay":
            raise Hang(rule.amount / 1000, lambda: self._answered(request))
        if rule.kind == "dup_request":
            self._carried_out(request)
            return self._answered(request)
        return self._spoiled(rule, Reply(200, b""))

    def _answered(self, request: Request) -> Reply:
        reply = self._carried_out(request)
        struck = self.faults.strike("after", request.method, request.endpoint, request.body.decode(errors="replace"))
        return self._spoiled(struck, reply) if struck else reply

    def _spoiled(self, rule: Rule, reply: Reply) -> Reply:
        """What becomes of a reply.

        Raises:
            Dropped, Hang: nothing, or nothing yet.
        """
        if rule.kind == "drop":
            raise Dropped
        if rule.kind in ("hang", "delay"):
            raise Hang(rule.amount / 1000, (lambda: reply) if rule.kind == "delay" else None)
        if rule.kind in ("dup_reply", "reorder"):
            return replace(reply, body=self._shuffled(rule.kind, reply.body))
        spoiled = {
            "http": Reply(rule.status, rule.text.encode()),
            "html": Reply(rule.status, HTML, HEADERS | {"content-type": "text/html"}),
            "empty": Reply(rule.status, b""),
            "truncate": replace(reply, body=reply.body[: rule.amount]),
        }
        return spoiled[rule.kind] if rule.kind in spoiled else error_reply(refused_as(rule.text))

    def _shuffled(self, kind: str, body: bytes) -> bytes:
        envelope = orjson.loads(body)
        rows = list(envelope.get("data") or [])
        rows = [*rows, *rows] if kind == "dup_reply" else rows
        if kind == "reorder":
            self.faults.draw.shuffle(rows)
        return orjson.dumps(envelope | {"data": rows})

    def _carried_out(self, request: Request) -> Reply:
        arrived_us = self.now_ms * 1000
        try:
            answer = self._dispatched(request)
        except Rejection as rejection:
            reply = error_reply(rejection)
        else:
            envelope: dict[str, Any] = {"code": answer.code, "msg": answer.message, "data": answer.rows}
            if answer.timed:
                envelope |= {"inTime": str(arrived_us), "outTime": str(arrived_us + HANDLING_US)}
            reply = Reply(200, orjson.dumps(envelope))
        self.exchange.save()
        return reply

    def _dispatched(self, request: Request) -> Answer:
        route = _route(request)
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        if not route.private:
            self._limit(route, f"ip {query.get(route.key.partition('+')[2], '')}")
        owner = self._owner(request) if route.private else None
        body = _body(request) if route.method == "POST" else None
        if owner:
            self._limit_user(route, owner, query, body)
        expires_ms = _expires(request) if route.places else 0
        if expires_ms and expires_ms < self.now_ms:
            raise refused("50036")
        return route.handler(Call(self.exchange, self.faults, self.now_ms, query, body, owner, expires_ms))

    def _owner(self, request: Request) -> Client:
        signed = Signed(request.method, request.target, request.body, request.headers)
        owner = authenticated(signed, self.exchange.clients, self.now_ms, self.exchange.clock.speed)
        if owner.api_key in self.faults.refusals:
            raise refused_as(self.faults.refusals[owner.api_key])
        return owner

    @property
    def _wall_ms(self) -> float:
        return self.exchange.clock.now_ms() / max(1.0, self.exchange.clock.speed)

    def _limit(self, route: Route, who: str) -> None:
        self.limits.take((route.method, route.path, who), route.limit, self._wall_ms, window_ms=route.window_ms)

    def _limit_user(self, route: Route, owner: Client, query: Mapping[str, str], body: Any) -> None:
        orders = body if isinstance(body, list) else [body or query]
        if route.key == "user":
            return self._limit(route, owner.uid)
        if route.key == "user+tag":
            tag = body.get("tag") if isinstance(body, dict) else ""
            return self._limit(route, f"{owner.uid} {tag or ''}")
        counted = SINGLE.get(route.path, route) if len(orders) == 1 else route
        instruments = Counter(str(order.get("instId", "")) for order in orders if isinstance(order, dict))
        for instrument, count in instruments.items():
            key = (counted.method, counted.path, f"{owner.uid} {instrument}")
            self.limits.take(key, counted.limit, self._wall_ms, count)
        if route.places:
            self.limits.take(("orders", owner.uid), ORDERS_OF_A_USER, self._wall_ms, len(orders), code="50061")
        return None


def error_reply(rejection: Rejection) -> Reply:
    """A refusal as OKX sends it: authentication errors have no data."""
    body: dict[str, Any] = {"msg": rejection.message, "code": rejection.code}
    if not (rejection.code.isdecimal() and int(rejection.code) in SIGNATURE_CODES):
        body = {"code": rejection.code, "msg": rejection.message, "data": []}
    return Reply(status(rejection.code), orjson.dumps(body))


def refused_as(code: str) -> Rejection:
    """A refusal by any code, also one that has no text here."""
    try:
        return refused(code)
    except (KeyError, IndexError):
        return Rejection(code, f"Error {code}")


def _route(request: Request) -> Route:
    known = [route for (_, path), route in ROUTES.items() if path == request.endpoint] if request.path.startswith(PREFIX) else []
    if not known:
        raise Rejection("50404", "Invalid request path")
    if (request.method, request.endpoint) not in ROUTES:
        raise refused("50115")
    return ROUTES[request.method, request.endpoint]


def _body(request: Request) -> Any:
    if not request.body:
        raise refused("50000")
    if "json" not in request.headers.get("content-type", "").lower():
        raise refused("50006")
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        raise refused("50002") from None
    if not isinstance(body, (dict, list)):
        raise refused("50002")
    if not body:
        raise refused("50000")
    return body


def _expires(request: Request) -> int:
    value = request.headers.get("exptime", "")
    if value and not (value.isascii() and value.isdecimal()):
        raise wrong("expTime")
    return int(value or 0)
