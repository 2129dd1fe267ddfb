"""The embedded exchange as a process on loopback: the wire under /api, the control plane under /__sim, time that runs by itself."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from alpha_arena.core.errors import ConfigError
from alpha_arena.exchange.embedded.codes import refused
from alpha_arena.exchange.embedded.control import PREFIX, Control
from alpha_arena.exchange.embedded.faults import Faults
from alpha_arena.exchange.embedded.limits import Limits
from alpha_arena.exchange.embedded.ports import Exchange
from alpha_arena.exchange.embedded.wire import HEADERS, Dropped, Hang, Reply, Request, Wire, error_reply

HOST = "127.0.0.1"
TICK_S = 0.25
LIMITS: Final[dict[str, Any]] = {"timeout_graceful_shutdown": 2, "timeout_keep_alive": 75, "limit_concurrency": 1_000}
LARGEST_BODY = 1 << 20
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
CLOSED = Response(status_code=503)

# connections by the client's address, so that one can be cut without an answer
LINES: dict[Any, asyncio.Transport] = {}


class Line(H11Protocol):
    """A connection that is known to LINES while it lives."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As uvicorn's."""
        super().connection_made(transport)
        LINES[transport.get_extra_info("peername")] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn's."""
        LINES.pop(self.transport.get_extra_info("peername"), None)
        super().connection_lost(exc)


class Server(uvicorn.Server):
    """A server that ends by SIGTERM and SIGINT as a normal end, with exit code 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on a signal, and do not raise it again."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: setattr(self, "should_exit", True))
        yield


def application(wire: Wire, control: Control, ready: Callable[[], None]) -> Starlette:
    """The ASGI application: one request at a time touches the exchange; `ready` is called when signals are heeded."""

    async def answer(incoming: HttpRequest) -> Response:
        try:
            request = await _read(incoming)
        except ClientDisconnect:
            return CLOSED
        if request is None:
            return Response(error_reply(refused("50002")).body, 413, dict(HEADERS))
        if request.path.startswith(PREFIX):
            return _response(control.handle(request))
        return await _answered(incoming, lambda: wire.handle(request))

    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    return Starlette(routes=[Route("/{path:path}", answer, methods=METHODS)], middleware=[hosts], lifespan=lambda app: _time(wire, ready))


@contextlib.asynccontextmanager
async def _time(wire: Wire, ready: Callable[[], None]) -> AsyncIterator[None]:
    """While the server lives, the market is played as the clock runs; nobody needs to ask for it."""
    ready()
    playing = asyncio.create_task(_play(wire))
    try:
        yield
    finally:
        playing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await playing


async def _play(wire: Wire) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        if wire.exchange.clock.mode != "stepped":
            wire.tick()
            wire.exchange.save()


async def _answered(incoming: HttpRequest, ask: Callable[[], Reply]) -> Response:
    """Answer now, later or never, as the faults want it; a client that has gone does not stop what it asked for."""
    while True:
        try:
            return _response(ask())
        except Dropped:
            return await _cut(incoming)
        except Hang as hang:
            await asyncio.sleep(hang.seconds)
            if hang.resume is None:
                return await _cut(incoming)
            ask = hang.resume


async def _cut(incoming: HttpRequest) -> Response:
    line = LINES.get(tuple(incoming.client or ()))
    if line is not None:
        line.abort()
        # the server learns of it in the loop's next rounds, and then sends nothing
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    return CLOSED


async def _read(incoming: HttpRequest) -> Request | None:
    """The request; None where its body is too large to be one."""
    body = b""
    async for chunk in incoming.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            return None
    headers = {name.lower(): value for name, value in incoming.headers.items()}
    raw = incoming.scope.get("raw_path", b"").decode("latin-1") or incoming.url.path
    return Request(incoming.method, raw, incoming.scope["query_string"].decode("latin-1"), headers, body)


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, dict(reply.headers))


def listening(port: int) -> socket.socket:
    """A socket on loopback; port 0 picks a free one.

    Raises:
        ConfigError: the port is taken.
    """
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
    except OSError as error:
        found.close()
        raise ConfigError(f"exchange.port={port} cannot be used ({error.strerror}); choose another, or 0 for any free one") from error
    return found


def announcement(exchange: Exchange, url: str, token: str) -> dict[str, Any]:
    """What a client needs to know; keys and token are secrets of this machine's loopback alone."""
    names = ("name", "api_key", "secret", "passphrase")
    accounts = [{name: getattr(client, name) for name in names} for client in exchange.clients.values()]
    return {"url": url, "control_url": f"{url}{PREFIX.rstrip('/')}", "control_token": token, "accounts": accounts}


def _announce(exchange: Exchange, url: str, token: str) -> None:
    sys.stdout.write(f"{orjson.dumps(announcement(exchange, url, token)).decode()}\n")
    sys.stdout.flush()


def serve(exchange: Exchange, faults: Faults | None = None, port: int = 0, token: str = "", limits: Limits | None = None) -> None:
    """Serve until SIGINT or SIGTERM; the first line on stdout is one JSON object: url, control_url, control_token, accounts.

    Args:
        port: 0 for any free one. token: of the control plane, "" for a fresh one.

    Raises:
        ConfigError: the port is taken.
    """
    wire = Wire(exchange, faults, limits)
    control = Control(wire, token or secrets.token_urlsafe(24))
    found = listening(port)
    try:
        url = f"http://{HOST}:{found.getsockname()[1]}"
        found.listen()
        app = application(wire, control, lambda: _announce(exchange, url, control.token))
        Server(uvicorn.Config(app, http=Line, log_level="warning", **LIMITS)).run(sockets=[found])
    finally:
        found.close()
        exchange.close()
