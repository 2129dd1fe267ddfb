"""What every answer of the API has in common: JSON without NaN, an ETag from cursors, its own timing, one sentence for an error."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from hashlib import sha256
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from alpha_arena.core.errors import AlphaArenaError, ConfigError, NoData

WRITE_REFUSED = "API_WRITE_ENABLED is false"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def dumps(body: Any) -> bytes:
    """JSON in UTF-8; NaN and infinity become null."""
    return orjson.dumps(body, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer in JSON."""
    return Response(dumps(body), status, headers, "application/json")


def refusal(status: int, sentence: str) -> Response:
    """An error: `{"error": sentence}`."""
    return reply({"error": sentence}, status)


class Stateful(Protocol):
    """Something whose state has a name."""

    def pinned(self) -> AbstractContextManager[str]:
        """The name of the state, kept for the block."""


def cached(request: Request, source: Stateful, build: Callable[[], Any]) -> Response:
    """304 where the caller has this state of things already, else the answer with its ETag.

    Args:
        source: its state changes whenever anything in the answer may; the request's own path and query are added to it.
    """
    with source.pinned() as cursor:
        return _answer(request, cursor, build)


def _answer(request: Request, cursor: str, build: Callable[[], Any]) -> Response:
    seal = sha256(f"{request.url.path}?{request.url.query}|{cursor}".encode()).hexdigest()[:24]
    tag = f'W/"{seal}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    started = perf_counter()
    body = dumps(build())
    headers["Server-Timing"] = f"app;dur={(perf_counter() - started) * 1e3:.1f}"
    return Response(body, 200, headers, "application/json")


def status_of(error: AlphaArenaError) -> int:
    """400 for a wrong question, 404 for what is not stored, 503 for a store that does not answer."""
    if isinstance(error, ConfigError):
        return 400
    return 404 if isinstance(error, NoData) else 503


def _sentence(error: RequestValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'][1:])}: {first['msg']}, got {first.get('input')!r}"


def add_errors(app: FastAPI) -> None:
    """Answer every error with one sentence in JSON, never a trace."""

    @app.exception_handler(AlphaArenaError)
    async def known(request: Request, error: AlphaArenaError) -> Response:
        return refusal(status_of(error), str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return refusal(400, _sentence(error))

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> Response:
        return refusal(error.status_code, str(error.detail))


class ReadOnly:
    """Refuses everything under /api that could write.

    Args:
        app: what answers the rest.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        writes = scope["type"] == "http" and scope["method"] not in ("GET", "HEAD", "OPTIONS") and scope["path"].startswith("/api/")
        await (refusal(403, WRITE_REFUSED) if writes else self.app)(scope, receive, send)
