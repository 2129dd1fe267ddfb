"""API and pages on one port."""

from __future__ import annotations

import os
import socket
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from alpha_arena.core.errors import ConfigError
from alpha_arena.data.clock import wall_ms
from alpha_arena.data.service import DataService
from alpha_arena.monitor.scope import Scope, scope_of
from alpha_arena.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

PREFIX = "/monitor"
STOP_S = 2


def build(service: DataService, scope: Scope, wall: Callable[[], int] = wall_ms) -> FastAPI:
    """The whole application: API first, then assets, then Gradio for the rest.

    Args:
        wall: the computer's clock, ms.

    Raises:
        ConfigError: the chart library is missing or not the one that was examined.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr
    from fastapi import Response
    from fastapi.staticfiles import StaticFiles

    from alpha_arena.monitor.api import build_api
    from alpha_arena.monitor.library import chart_library
    from alpha_arena.monitor.reader import Reader
    from alpha_arena.monitor.replies import refusal
    from alpha_arena.monitor.ui import ASSETS, HEAD, page

    script = chart_library()
    app = build_api(Reader(service, scope, wall))

    @app.get(f"{PREFIX}/lightweight-charts.js")
    def charts() -> Response:
        return Response(script, media_type="text/javascript", headers={"Cache-Control": "max-age=86400"})

    @app.get("/api/{rest:path}")
    def unknown(rest: str) -> Response:
        return refusal(404, f"there is no /api/{rest[:80]}")

    app.mount(f"{PREFIX}/assets", StaticFiles(directory=ASSETS))
    with warnings.catch_warnings():
        # said of several pages, whether or not SSR was asked for
        warnings.filterwarnings("ignore", "SSR mode is not supported", UserWarning)
        gr.mount_gradio_app(app, page(), path="", head=HEAD, footer_links=[], ssr_mode=False, run_history=False, show_error=False)
    return app


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens on an address; port 0 picks a free one.

    Raises:
        ConfigError: it cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
    except OSError as error:
        found.close()
        said = f"monitor.port={port} cannot be used on {host} ({error.strerror}); choose another, or 0 for any free one"
        raise ConfigError(said) from error
    return found


def address_of(listening: socket.socket) -> str:
    """The page's address."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; the address is the first line on stdout.

    Raises:
        ConfigError: the port is taken. StoreError: the database is not migrated.
    """
    import uvicorn

    service = DataService(settings.database_url, read_only=True)
    listening = bound(settings.monitor.host, settings.monitor.port)
    try:
        service.check_schema()
        app = build(service, scope_of(settings))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=STOP_S, lifespan="on"))
        sys.stdout.write(f"{address_of(listening)}\n")
        sys.stdout.flush()
        server.run(sockets=[listening])
    finally:
        listening.close()
        service.close()
