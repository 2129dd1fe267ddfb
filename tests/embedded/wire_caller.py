"""A client that signs by hand, for tests of the wire."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from alpha_arena.exchange.embedded.auth import signature
from alpha_arena.exchange.embedded.state import Client
from alpha_arena.exchange.embedded.wire import Reply, Request, Wire

SWAP = "BTC-USDT-SWAP"


def stamp(ms: int) -> str:
    """A time as OKX's headers have it."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Caller:
    """Asks a wire with an account's keys; `headers` are added to each request."""

    wire: Wire
    client: Client
    headers: dict[str, str] = field(default_factory=dict)

    def request(self, method: str, endpoint: str, query: dict[str, Any] | None = None, body: bytes = b"") -> Request:
        """A signed request."""
        path, text = f"/api/v5/{endpoint}", urlencode(query or {})
        at = stamp(self.wire.now_ms)
        made = signature(self.client.secret, at, method, f"{path}?{text}" if text else path, body)
        keys = {"ok-access-key": self.client.api_key, "ok-access-passphrase": self.client.passphrase, "ok-access-sign": made}
        sent = {"ok-access-timestamp": at, "x-simulated-trading": "1", "content-type": "application/json"}
        return Request(method, path, text, keys | sent | self.headers, body)

    def ask(self, method: str, endpoint: str, query: dict[str, Any] | None = None, body: bytes = b"") -> Reply:
        """The reply to a signed request."""
        return self.wire.handle(self.request(method, endpoint, query, body))

    def get(self, endpoint: str, **query: Any) -> dict[str, Any]:
        """The envelope of a GET."""
        return read(self.ask("GET", endpoint, query))

    def post(self, endpoint: str, body: Any) -> dict[str, Any]:
        """The envelope of a POST."""
        return read(self.ask("POST", endpoint, None, body if isinstance(body, bytes) else json.dumps(body).encode()))

    def order(self, **fields: Any) -> dict[str, Any]:
        """The envelope of an order, by default a market order for one contract."""
        return self.post("trade/order", market(**fields))


def market(**fields: Any) -> dict[str, Any]:
    """An order's body; None takes a field away."""
    body = {"instId": SWAP, "tdMode": "isolated", "side": "buy", "ordType": "market", "sz": "1"} | fields
    return {name: value for name, value in body.items() if value is not None}


def read(reply: Reply) -> dict[str, Any]:
    """An envelope, with the HTTP status beside it."""
    envelope: dict[str, Any] = json.loads(reply.body)
    assert reply.headers["x-sim"] == "1"
    return envelope | {"status": reply.status}


def code(envelope: dict[str, Any]) -> str:
    """The code that counts: that of the first row, if it has one."""
    rows = envelope.get("data") or [{}]
    inner = rows[0].get("sCode") if isinstance(rows[0], dict) else None
    return str(inner or envelope["code"])
