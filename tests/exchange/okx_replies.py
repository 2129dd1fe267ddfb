"""A server on loopback that answers as OKX's public market endpoints do, with faults that are put before its replies."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

UNIT_MS = {"m": 60_000, "H": 3_600_000, "D": 86_400_000}


@dataclass
class Reply:
    """One answer; silent: none is given as long as the server stands."""

    body: str
    status: int = 200
    silent: bool = False
    headers: dict[str, str] = field(default_factory=dict)


def refusal(code: str, status: int = 200) -> Reply:
    """An error in OKX's envelope."""
    return Reply(json.dumps({"code": code, "msg": "recorded refusal", "data": []}), status)


def data(rows: list[Any]) -> Reply:
    """A success in OKX's envelope."""
    return Reply(json.dumps({"code": "0", "msg": "", "data": rows}))


@dataclass
class Market:
    """Bars and settlements by OKX's rules: newest first, `after` exclusive, 1,440 recent bars, the newest one still forming.

    Attributes:
        now_ms: its clock. first_ms: listing. absent: opens without a bar. faults: answers given before its own, in order.
        asked: path and query of each request. host: where it listens.
    """

    now_ms: int
    first_ms: int
    absent: set[int] = field(default_factory=set)
    faults: list[Reply] = field(default_factory=list)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    host: str = ""

    def answer(self, path: str, query: dict[str, str]) -> Reply:
        self.asked.append((path.removeprefix("/api/v5/"), query))
        if self.faults:
            return self.faults.pop(0)
        routes: dict[str, Callable[[dict[str, str]], Reply]] = {
            "/api/v5/market/candles": lambda q: self._candles(q, 1_440),
            "/api/v5/market/history-candles": lambda q: self._candles(q, 10**9),
            "/api/v5/public/funding-rate-history": self._funding,
        }
        known = query.get("instId") in ("BTC-USDT-SWAP", "BTC-USDT")
        return routes[path](query) if known and path in routes else refusal("51001")

    def _candles(self, query: dict[str, str], depth: int) -> Reply:
        bar = query["bar"].removesuffix("utc")
        step = int(bar[:-1]) * UNIT_MS[bar[-1]]
        newest = self.now_ms // step * step
        stamps = range(max(newest - (depth - 1) * step, -(-self.first_ms // step) * step), newest + 1, step)
        rows = [row(ts, "1" if ts + step <= self.now_ms else "0") for ts in stamps if ts not in self.absent]
        return data(self._page(rows, query, 300, lambda cells: int(cells[0])))

    def _funding(self, query: dict[str, str]) -> Reply:
        step = 8 * UNIT_MS["H"]
        stamps = range(-(-self.first_ms // step) * step, self.now_ms + 1, step)
        return data(self._page([settlement(ts) for ts in stamps], query, 400, lambda item: int(item["fundingTime"])))

    def _page(self, rows: list[Any], query: dict[str, str], most: int, ts: Callable[[Any], int]) -> list[Any]:
        after, limit = int(query.get("after", 10**15)), min(int(query.get("limit", 100)), most)
        return [item for item in reversed(rows) if ts(item) < after][:limit]


def row(ts: int, confirm: str = "1") -> list[str]:
    """A candle that tells its own time: 1.5 BTC in 150 contracts."""
    price = 20_000 + ts // 60_000 % 10_000
    return [str(ts), str(price), str(price + 10), str(price - 10), str(price + 5), "150", "1.5", "90000", confirm]


def settlement(ts: int) -> dict[str, str]:
    """A settled rate; the forecast (fundingRate) was another."""
    return {"instType": "SWAP", "instId": "BTC-USDT-SWAP", "fundingRate": "0.5", "realizedRate": "0.0001", "fundingTime": str(ts)}


@contextmanager
def serving(market: Market) -> Iterator[Market]:
    """The market behind HTTP on a free port of loopback."""

    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            reply = market.answer(url.path, dict(parse_qsl(url.query)))
            if reply.silent:
                over.wait()
                return
            body = reply.body.encode()
            self.send_response(reply.status)
            for name, value in ({"Content-Type": "application/json", "Content-Length": str(len(body))} | reply.headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that has given up is part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    market.host = f"http://127.0.0.1:{server.server_port}"
    try:
        yield market
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()
