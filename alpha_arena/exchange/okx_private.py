"""Calls to OKX's private endpoints: signed by an injected clock, paced, and with every refusal told by its code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import ccxt

from alpha_arena.core.errors import SafetyError, TransientError
from alpha_arena.core.ports import Clock
from alpha_arena.core.venue import OrderRejected, OutcomeUnknown, TryAgain, VenueError, VenueRefused
from alpha_arena.exchange.accounts import Keys
from alpha_arena.exchange.calls import Limiter, Waiting
from alpha_arena.exchange.okx_client import OkxClient
from alpha_arena.exchange.okx_codes import STALE_TIMESTAMP, outcome

OK = "0"
LOCAL = ("127.0.0.1", "localhost", "::1")
SIMULATED = "x-sim"
ORDERS = ("trade/order", "trade/batch-orders")
# requests in two seconds by endpoint, a little below what OKX allows (specs: okx-wire §1.2); others share the last one
LIMITS = {
    "public/time": 9,
    "public/instruments": 18,
    "public/mark-price": 9,
    "account/balance": 9,
    "account/positions": 9,
    "account/bills": 9,
    "account/config": 4,
    "account/leverage-info": 18,
    "account/set-leverage": 18,
    "trade/order": 50,
    "trade/cancel-order": 55,
    "trade/orders-pending": 50,
    "trade/orders-history": 36,
    "trade/fills": 50,
    "trade/fills-history": 9,
    "trade/order-algo": 18,
    "trade/cancel-algos": 18,
    "trade/orders-algo-pending": 18,
    "trade/orders-algo-history": 18,
}
OTHER = 4


class Answered(ccxt.ExchangeError):  # type: ignore[misc]
    """OKX's own refusal: its code and the status of HTTP."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.status = status


class PrivateClient(OkxClient):
    """OkxClient with keys, an injected clock, expiry of orders, and refusals by code.

    Args:
        clock: signs requests. real: orders go to a real account.
    """

    def __init__(self, host: str, timeout_ms: int, keys: Keys, demo: bool, clock: Clock) -> None:
        self.clock = clock
        self.offset_ms = 0
        self.expires_ms = 0
        self.local = (urlsplit(host).hostname or "") in LOCAL
        super().__init__(host, timeout_ms, keys, demo)

    def __repr__(self) -> str:
        """The host alone."""
        return f"PrivateClient({self.host!r})"

    def milliseconds(self) -> int:
        """The injected clock, corrected by what the exchange's was found to differ."""
        return self.clock.now_ms() + self.offset_ms

    def sign(self, path: str, api: Any = "public", method: str = "GET", params: Any = None, *rest: Any) -> Any:
        """As OkxClient's; an order carries the time after which it is to be discarded."""
        request = super().sign(path, api, method, params, *rest)
        if method == "POST" and path in ORDERS and self.expires_ms:
            request["headers"]["expTime"] = str(self.expires_ms)
        return request

    def handle_errors(self, code: int, reason: str, url: str, method: str, headers: Any, body: str, response: Any, *sent: Any) -> Any:
        """Raise what OKX refused with its code.

        Raises:
            Answered: a code other than 0, of the envelope or of a row. SafetyError: a simulator answers where a real account is meant.
        """
        if not self.local and any(name.lower() == SIMULATED for name in headers or {}):
            raise SafetyError(f"{self.host} is a simulated exchange, not OKX; correct exchange.hosts")
        if isinstance(response, dict) and "code" in response:
            refused = refusal(response)
            if refused:
                raise Answered(refused[0], code, refused[1])
        return super().handle_errors(code, reason, url, method, headers, body, response, *sent)


def refusal(envelope: Mapping[str, Any]) -> tuple[str, str] | None:
    """Code and text of what was refused, None for nothing: a row's own code counts more than the envelope's (specs: okx-wire §1)."""
    rows = envelope.get("data")
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and str(row.get("sCode") or OK) != OK:
            return str(row["sCode"]), str(row.get("sMsg") or "")
    code = str(envelope["code"])
    return None if code == OK else (code, str(envelope.get("msg") or ""))


class Pacer:
    """One limiter for each endpoint and whom OKX counts there: the keys, or the address where it is public."""

    def __init__(self, waiting: Waiting) -> None:
        self.waiting = waiting
        self._limiters: dict[tuple[str, str], Limiter] = {}

    def wait(self, owner: str, path: str) -> None:
        """Return when the owner may ask once more."""
        counted = path if path in LIMITS else ""
        self._limiters.setdefault((owner, counted), Limiter(LIMITS.get(path, OTHER), self.waiting)).wait()


# traders of one process share an address, and each cycle of a trader begins with a client of its own
OF_THIS_PROCESS = Pacer(Waiting())


class Endpoints:
    """OKX's endpoints by path. waiting: how real time passes; None for the process's own pace."""

    def __init__(self, client: PrivateClient, waiting: Waiting | None = None) -> None:
        self.client = client
        self.pacer = Pacer(waiting) if waiting else OF_THIS_PROCESS

    def get(self, path: str, **params: Any) -> list[Any]:
        """The rows of a question.

        Raises:
            TryAgain: no usable answer. VenueRefused: keys or account are not as they must be.
        """
        try:
            return self._asked("GET", path, params)
        except Answered as error:
            raise read_error(error) from None
        except (ccxt.BaseError, TransientError) as error:
            raise TryAgain(self._silent(path, error)) from None

    def find(self, path: str, unknown: tuple[str, ...], **params: Any) -> Any | None:
        """The row of a question about one thing; None where OKX says that it does not know it. Errors as `get`."""
        try:
            rows = self._asked("GET", path, params)
        except Answered as error:
            if error.code in unknown:
                return None
            raise read_error(error) from None
        except (ccxt.BaseError, TransientError) as error:
            raise TryAgain(self._silent(path, error)) from None
        return row_of(rows, path)

    def post(self, path: str, body: Any) -> list[Any]:
        """The rows of a request that changes something.

        Raises:
            OrderRejected, OutcomeUnknown, TryAgain, VenueRefused: by what the answer means.
        """
        try:
            return self._asked("POST", path, body)
        except Answered as error:
            raise sent_error(error, path) from None
        except (ccxt.BaseError, TransientError) as error:
            raise OutcomeUnknown(self._silent(path, error)) from None

    def _silent(self, path: str, error: Exception) -> str:
        """That there was no usable answer, without a word of what was sent."""
        return f"{self.client.host} gave no usable answer to {path} ({type(error).__name__}); is it there? alpha-arena doctor looks"

    def _asked(self, method: str, path: str, params: Any) -> list[Any]:
        try:
            return self._once(method, path, params)
        except Answered as error:
            if error.code != STALE_TIMESTAMP:
                raise
        self.resync()
        return self._once(method, path, params)

    def _once(self, method: str, path: str, params: Any) -> list[Any]:
        api = "public" if path.startswith(("public/", "market/", "system/")) else "private"
        self.pacer.wait(self.client.host if api == "public" else self.client.apiKey, path)
        reply = self.client.request(path, [api], method, params)
        rows = reply.get("data") if isinstance(reply, dict) else None
        if not isinstance(rows, list):
            raise ccxt.ExchangeNotAvailable(f"{path} answered without rows")
        return rows

    def resync(self) -> None:
        """Take the exchange's clock for signatures."""
        told = row_of(self._once("GET", "public/time", {}), "public/time")
        self.client.offset_ms = int(told["ts"]) - self.client.clock.now_ms()


def row_of(rows: list[Any], path: str) -> Any:
    """The row that there must be.

    Raises:
        TryAgain: there is none, which no valid answer is.
    """
    if not rows or not isinstance(rows[0], dict):
        raise TryAgain(f"{path} answered without a row")
    return rows[0]


def read_error(error: Answered) -> VenueError:
    """A refused question."""
    fatal = outcome(error.code, error.status) == "fatal"
    return (VenueRefused if fatal else TryAgain)(f"OKX refused with {error}", error.code)


def sent_error(error: Answered, path: str) -> VenueError:
    """A refused request."""
    kinds = {"rejected": OrderRejected, "retry": TryAgain, "fatal": VenueRefused, "unknown": OutcomeUnknown}
    return kinds[outcome(error.code, error.status)](f"OKX answered {path} with {error}", error.code)
