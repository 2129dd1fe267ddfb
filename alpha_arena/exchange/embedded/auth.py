"""Who signs a request (specs: okx-wire §1.1)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from alpha_arena.exchange.embedded.codes import refused
from alpha_arena.exchange.embedded.state import Client

TOLERANCE_MS = 30_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature covers, and by whom it claims to be made; names of headers in lower case."""

    method: str
    target: str
    body: bytes
    headers: Mapping[str, str]

    def header(self, name: str) -> str:
        """A header, "" where it is missing."""
        return self.headers.get(name, "")


def signature(secret: str, timestamp: str, method: str, target: str, body: bytes) -> str:
    """Base64 of HMAC-SHA256 over timestamp, method, path with query, and body."""
    message = f"{timestamp}{method}{target}".encode() + body
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()


def authenticated(signed: Signed, clients: Mapping[str, Client], now_ms: int, speed: float) -> Client:
    """The account behind a request.

    Args:
        clients: by API key. speed: of the clock; what guards against real delays stretches with it.

    Raises:
        Rejection: 50101 to 50120, by the first thing that is wrong.
    """
    _present(signed, clients)
    _timely(signed, now_ms, speed)
    client = clients.get(signed.header("ok-access-key"))
    if client is None:
        raise refused("50111")
    # all keys are demo keys
    if signed.header("x-simulated-trading") != "1":
        raise refused("50101")
    made = signature(client.secret, signed.header("ok-access-timestamp"), signed.method, signed.target, signed.body)
    if not hmac.compare_digest(made.encode(), signed.header("ok-access-sign").encode()):
        raise refused("50113")
    if ("trade" if signed.method == "POST" else "read_only") not in client.perm.split(","):
        raise refused("50120")
    return client


def _present(signed: Signed, clients: Mapping[str, Client]) -> None:
    key, passphrase = signed.header("ok-access-key"), signed.header("ok-access-passphrase")
    for value, code in ((key, "50103"), (passphrase, "50104")):
        if not value:
            raise refused(code)
    if key in clients and not hmac.compare_digest(clients[key].passphrase.encode(), passphrase.encode()):
        raise refused("50105")
    for name, code in (("ok-access-sign", "50106"), ("ok-access-timestamp", "50107")):
        if not signed.header(name):
            raise refused(code)


def _timely(signed: Signed, now_ms: int, speed: float) -> None:
    if abs(now_ms - _ms(signed.header("ok-access-timestamp"))) > TOLERANCE_MS * max(1.0, speed):
        raise refused("50102")


def _ms(timestamp: str) -> int:
    try:
        return (datetime.fromisoformat(timestamp) - EPOCH) // timedelta(milliseconds=1)
    except (ValueError, TypeError):
        # TypeError: it names no zone
        raise refused("50112") from None
