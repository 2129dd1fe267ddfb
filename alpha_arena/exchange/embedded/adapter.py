"""The wire without a socket: an adapter for the requests library, mounted into a client's session."""

from __future__ import annotations

from collections.abc import Callable
from http.client import responses
from io import BytesIO
from math import inf
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from alpha_arena.exchange.embedded.wire import Dropped, Hang, Reply, Request, Wire


class LoopbackAdapter(BaseAdapter):
    """Carries a session's requests to a wire: `session.mount("http://", LoopbackAdapter(wire))`.

    An answer that is withheld for longer than the request's time-out ends in ReadTimeout; what it stood for happens when the clock gets
    there. A shorter wait passes on the exchange's clock, where that clock can be driven.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self.wire = wire

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Answer a prepared request.

        Raises:
            requests.ConnectionError: the connection was closed. requests.ReadTimeout: no answer in time.
        """
        read, patience = _read(request), timeout[-1] if isinstance(timeout, tuple) else timeout
        reply = self._answer(lambda: self.wire.handle(read), inf if patience is None else float(patience))
        raw = HTTPResponse(BytesIO(reply.body), dict(reply.headers), reply.status, preload_content=False)
        response = requests.Response()
        response.status_code, response.raw, response.request = reply.status, raw, request
        response.reason = responses.get(reply.status, "")
        response.headers.update(reply.headers)
        response.url = request.url or ""
        return response

    def close(self) -> None:
        """Nothing is open."""

    def _answer(self, ask: Callable[[], Reply], timeout_s: float) -> Reply:
        try:
            return ask()
        except Dropped as error:
            raise requests.ConnectionError("Connection aborted.") from error
        except Hang as hang:
            if hang.seconds >= timeout_s:
                self.wire.later(hang)
                raise requests.ReadTimeout("Read timed out.") from hang
            if hang.resume is None:
                raise requests.ConnectionError("Connection aborted.") from hang
            self.wire.pass_time(hang.seconds)
            return self._answer(hang.resume, timeout_s - hang.seconds)


def _read(request: requests.PreparedRequest) -> Request:
    url = urlsplit(request.url or "")
    body: Any = request.body or b""
    headers = {name.lower(): str(value) for name, value in request.headers.items()}
    return Request(request.method or "GET", url.path, url.query, headers, body.encode() if isinstance(body, str) else body)
