"""A server to visit, and what a visit saw."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from fill import BTC
from playwright.sync_api import Page

from alpha_arena.data.service import DataService
from alpha_arena.monitor.app import address_of, bound, build
from alpha_arena.monitor.scope import Scope

REFRESH_S = 0.5


async def serve(service: DataService, listening: socket.socket, stop: threading.Event) -> None:
    """Serve until told to stop; all in one loop, since Gradio leaves loops open where none runs."""
    app = build(service, Scope((BTC,), refresh_s=REFRESH_S))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    running = asyncio.create_task(server.serve(sockets=[listening]))
    await asyncio.to_thread(stop.wait)
    server.should_exit = True
    await running


@contextmanager
def serving(file: Path, port: int = 0) -> Iterator[str]:
    """The whole application on a port; its address. It lives in a thread, for the browser's calls occupy this one's loop."""
    service = DataService(f"sqlite:///{file}", read_only=True)
    stop = threading.Event()
    with bound("127.0.0.1", port) as listening:
        listening.listen()
        thread = threading.Thread(target=lambda: asyncio.run(serve(service, listening, stop)), daemon=True)
        thread.start()
        try:
            yield address_of(listening)
        finally:
            stop.set()
            thread.join(60)
            service.close()


@dataclass
class Visit:
    """A page and what it said and asked for."""

    page: Page
    address: str
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        """What an element says."""
        return self.page.inner_text(selector)


Visitor = Callable[..., Visit]
