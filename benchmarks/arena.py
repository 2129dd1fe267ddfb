"""The example arena over real candles, replayed without a key: recorded once from a server on loopback, then made twice, byte for byte.

    .venv/bin/python -m benchmarks.arena FOLDER [BARS]

FOLDER holds the candles and the funding as parquet files; BARS is how many of the newest bars are competed on, 300 if absent.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any

from alpha_arena.cli import main

CANDLES, FUNDING = "okx_BTC-USDT-SWAP_1h_2023-01_2025-04.parquet", "binance_BTCUSDT-PERP_funding_2019-09_2025-04.parquet"
FAVOURITES = {
    "STRONG_TREND": ("ema_trend", "momentum"),
    "WEAK_TREND": ("momentum", "ema_trend"),
    "BREAKOUT": ("breakout", "ema_trend"),
    "HIGH_VOLATILITY": ("mean_reversion", "bollinger_range"),
}
OTHERWISE = ("bollinger_range", "grid_trading")
USAGE = {"prompt_tokens": 1800, "completion_tokens": 120, "total_tokens": 1920, "prompt_tokens_details": {"cached_tokens": 900}}
SOCKETS: list[str] = []


def watch(event: str, _: object) -> None:
    """Note every socket that is made."""
    if event == "socket.__new__":
        SOCKETS.append(event)


class Model(BaseHTTPRequestHandler):
    """Answers by the newest regime of the prompt: its favourites, in the direction that they want; each sample a little bolder."""

    asked = 0

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """One chat completion."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Model.asked += 1
        content = answer(body["messages"][1]["content"], Model.asked)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
        whole = {"id": "x", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice], "usage": USAGE}
        sent = json.dumps(whole).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)


def answer(prompt: str, number: int) -> str:
    """What it says to a prompt."""
    regime = re.findall(r"^0 ([A-Z_]+) ", prompt, re.MULTILINE)[0]
    wants = {name: float(value) for name, value in re.findall(r"^([a-z_]+) (-?[\d.e-]+) \S+ \S+ \S+ ", prompt, re.MULTILINE)}
    first, second = FAVOURITES.get(regime, OTHERWISE)
    parts = [{"strategy_id": first, "weight": 0.7}, {"strategy_id": second, "weight": 0.3}]
    wanted = 0.7 * wants.get(first, 0.0) + 0.3 * wants.get(second, 0.0)
    position = max(min(wanted * (1 + number % 7 / 8), 1.0), -1.0)
    whole = {"market_regime": regime, "strategy_allocations": parts, "total_position": round(position, 4)}
    return json.dumps({**whole, "confidence": 0.8, "reasoning": f"{regime}: {first} before {second}"})


@contextmanager
def serving() -> Iterator[str]:
    """The model's server; its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            thread.join()


def command(*arguments: str) -> str:
    """Run the command line; what it printed."""
    out = StringIO()
    with redirect_stdout(out):
        code = main(list(arguments))
    if code:
        raise SystemExit(f"alpha-arena {' '.join(arguments)} ended with {code}")
    return out.getvalue()


def contest(bars: int, *overrides: str) -> tuple[Mapping[str, Any], float]:
    """The example arena over the newest bars, and the seconds that it took."""
    began = time.perf_counter()
    made = json.loads(command("arena", "arena=example", f"limit={bars}", "report=json", *overrides))
    return made, time.perf_counter() - began


def run(data: Path, bars: int) -> None:
    """Import, record, replay twice, compare."""
    command("db", "upgrade")
    command("ingest", "exchange=file", f"exchange.path={data / CANDLES}", f"exchange.funding_path={data / FUNDING}")
    os.environ["OPENAI_API_KEY"] = "sk-of-nobody"
    with serving() as url:
        _, seconds = contest(bars, "llm.cache=record", f"llm.base_url={url}")
    del os.environ["OPENAI_API_KEY"]
    print(f"recorded {Model.asked:,} answers in {seconds:.1f} s")
    sys.addaudithook(watch)
    folders = []
    for _ in range(2):
        made, seconds = contest(bars)
        folders.append(Path(made["folder"]))
        print(f"replayed in {seconds:.1f} s, sockets opened: {len(SOCKETS)}")
    same = all((folders[0] / name).read_bytes() == (folders[1] / name).read_bytes() for name in ("board.json", "curves.parquet"))
    print(command("arena", "arena=example", f"limit={bars}"))
    print(f"byte for byte the same: {same}; without a socket: {not SOCKETS}")
    if not same or SOCKETS:
        raise SystemExit(1)


def started(arguments: Sequence[str]) -> None:
    """From the command line, in a folder that goes away."""
    data, bars = Path(arguments[0]).resolve(), int(arguments[1]) if len(arguments) > 1 else 300
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["DATABASE_URL"] = f"sqlite:///{folder}/arena.db"
        run(data, bars)


if __name__ == "__main__":
    started(sys.argv[1:])
