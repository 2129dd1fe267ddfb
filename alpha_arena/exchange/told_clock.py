"""Time and its pace as an embedded exchange tells them, for a client whose clock nobody else keeps."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from alpha_arena.core.errors import TransientError
from alpha_arena.exchange.accounts import Embedded

PATH = "/api/v5/public/time"
TIMEOUT_S = 5.0
# the exchange answers ten times in two seconds
ASK_S = 0.25
TOO_MANY = "50011"
# whoever else asks from this machine may have used up the two seconds
TRIES = 10


class ToldClock:
    """Keeps `core.ports.Clock`; asks at most four times a second and says what was told last in between.

    Args:
        url: of the exchange, on loopback. monotonic: seconds. wait: suspends for so many seconds.
    """

    def __init__(self, url: str, monotonic: Callable[[], float] = time.monotonic, wait: Callable[[float], None] = time.sleep) -> None:
        self.host = urlsplit(url).netloc
        self.monotonic, self.wait = monotonic, wait
        self._asked_s = float("-inf")
        self._told_ms = 0

    def now_ms(self) -> int:
        """Now by the exchange's clock.

        Raises:
            TransientError: it does not answer.
        """
        if self.monotonic() - self._asked_s >= ASK_S:
            self._told_ms = self._ask()
            self._asked_s = self.monotonic()
        return self._told_ms

    def _ask(self) -> int:
        for n in range(TRIES):
            if n:
                self.wait(ASK_S)
            reply = said(self.host, "GET", PATH)
            if reply.get("code") != TOO_MANY:
                break
        try:
            return int(reply["data"][0]["ts"])
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise silent(self.host, error) from error


def told_speed(exchange: Embedded) -> float:
    """Simulated seconds a wall second, 1 for a clock that runs as ours does.

    Raises:
        TransientError: the exchange does not answer.
    """
    place, token = urlsplit(exchange.control_url), exchange.control_token
    reply = said(place.netloc, "POST", f"{place.path}/clock", b"{}", {"Authorization": f"Bearer {token}"})
    try:
        return float(reply["speed"])
    except (ValueError, KeyError, TypeError) as error:
        raise silent(place.netloc, error) from error


def said(host: str, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """An answer of the exchange, a JSON object.

    Raises:
        TransientError: there is none.
    """
    link = http.client.HTTPConnection(host, timeout=TIMEOUT_S)
    try:
        link.request(method, path, body, dict(headers or {}))
        reply = json.loads(link.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise silent(host, error) from error
    finally:
        link.close()
    if not isinstance(reply, dict):
        raise silent(host, TypeError())
    return reply


def silent(host: str, error: Exception) -> TransientError:
    """What is said of an exchange that does not answer."""
    return TransientError(f"the exchange at {host} does not tell the time ({type(error).__name__}); start it with alpha-arena exchange")
