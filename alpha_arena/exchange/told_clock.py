"""Time as an exchange tells it, for a client of an embedded exchange whose clock nobody else keeps."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from alpha_arena.core.errors import TransientError

PATH = "/api/v5/public/time"
TIMEOUT_S = 5.0
# the exchange answers ten times in two seconds
ASK_S = 0.25


class ToldClock:
    """Keeps `core.ports.Clock`; asks at most four times a second and says what was told last in between.

    Args:
        url: of the exchange, on loopback. monotonic: seconds.
    """

    def __init__(self, url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.host = urlsplit(url).netloc
        self.monotonic = monotonic
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
        link = http.client.HTTPConnection(self.host, timeout=TIMEOUT_S)
        try:
            link.request("GET", PATH)
            return int(json.loads(link.getresponse().read())["data"][0]["ts"])
        except (OSError, http.client.HTTPException, ValueError, KeyError, IndexError, TypeError) as error:
            said = f"the exchange at {self.host} does not tell the time ({type(error).__name__}); start it with alpha-arena exchange"
            raise TransientError(said) from error
        finally:
            link.close()
