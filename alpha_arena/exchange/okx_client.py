"""ccxt's OKX client, made safe: one host, no redirects, no body that only looks like an answer. Importing it takes seconds (ccxt)."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import ccxt

from alpha_arena.core.errors import SafetyError, SourceError, TransientError
from alpha_arena.exchange.accounts import Keys

# specs: okx-wire §8, outcomes that may pass; those that ccxt does not know arrive as plain ExchangeError
PASSING_CODES = frozenset({"50001", "50004", "50011", "50013", "50026", "50040", "50061", "50102", "51054", "51149"})


class OkxClient(ccxt.okx):  # type: ignore[misc]
    """A client bound to one host.

    Args:
        host: e.g. "https://www.okx.com".
        timeout_ms: of a request.
        keys: of an account, None for public endpoints alone. demo: send the header of demo trading.
    """

    def __init__(self, host: str, timeout_ms: int, keys: Keys | None = None, demo: bool = False) -> None:
        self.host = urlsplit(host).netloc
        # both, since demo mode copies the second over the first
        urls = {"api": {"rest": host}, "test": {"rest": host}}
        options = {"maxRetriesOnFailure": 0, "defaultType": "swap", "fetchMarkets": {"types": ["swap"]}}
        super().__init__({"timeout": timeout_ms, "enableRateLimit": False, "urls": urls, "options": options})
        if keys:
            self.apiKey, self.secret, self.password = keys.api_key, keys.secret, keys.passphrase
        if demo:
            self.set_sandbox_mode(True)
        self.session.max_redirects = 0
        # at DEBUG this logger writes every request's headers
        self.logger.setLevel(logging.WARNING)

    def sign(self, path: str, api: Any = "public", method: str = "GET", params: Any = None, *rest: Any) -> Any:
        """As ccxt's; refuses another host than the configured one.

        Raises:
            SafetyError: the request would leave for another host.
        """
        request = super().sign(path, api, method, params or {}, *rest)
        if urlsplit(request["url"]).netloc != self.host:
            raise SafetyError(f"a request for {request['url']} was stopped, allowed is {self.host} alone; check exchange.hosts")
        return request

    def handle_errors(self, code: int, reason: str, url: str, method: str, headers: Any, body: str, response: Any, *sent: Any) -> Any:
        """As ccxt's; a success without an envelope is an error: ccxt would read it as an empty answer."""
        if 200 <= code < 300 and not _is_envelope(response):
            raise ccxt.ExchangeNotAvailable(f"{self.id} answered {code} without a reply of its own: {body[:80]!r}")
        return super().handle_errors(code, reason, url, method, headers, body, response, *sent)


def ask(client: OkxClient, endpoint: str, params: Mapping[str, Any]) -> list[Any]:
    """The `data` of a public GET, by ccxt's name of the endpoint.

    Raises:
        TransientError: time-out, lost connection, rate limit, an unusable or 5xx answer.
        SourceError: anything else that the exchange refused.
    """
    try:
        reply = getattr(client, endpoint)(dict(params))
    except ccxt.BaseError as error:
        raise _translated(error) from error
    data: list[Any] = reply["data"]
    return data


def _is_envelope(response: Any) -> bool:
    return isinstance(response, dict) and "code" in response and (response["code"] != "0" or isinstance(response.get("data"), list))


def _translated(error: Exception) -> SourceError:
    text = str(error)
    found = re.search(r'"code"\s*:\s*"(\d+)"', text)
    passing = isinstance(error, ccxt.NetworkError) or (found is not None and found[1] in PASSING_CODES)
    return (TransientError if passing else SourceError)(f"{type(error).__name__}: {text[:300]}")
