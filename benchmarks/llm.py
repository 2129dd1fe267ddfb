"""What a model at a trader's side costs in time and tokens, its own time left out: python benchmarks/llm.py [BARS] (default 2,000).

Added: from a close to a target, the model being a function that answers at once, or a server on loopback that does, asked through
langchain-openai; answers are looked up and kept in a database on disk. Again: the same bars from kept answers (llm.cache=replay_strict).
Prompt: characters, and tokens where an encoding of tiktoken is on this machine (TIKTOKEN_CACHE_DIR; it is not fetched).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import perf_counter, process_time
from typing import Any

import numpy as np

from alpha_arena.core.market import Market, View
from alpha_arena.core.types import Candles, Target
from alpha_arena.data.service import DataService
from alpha_arena.decision.llm import Llm
from alpha_arena.llm.reply import Messages, Reply, Usage
from alpha_arena.settings import Settings, load
from alpha_arena.wiring.advising import connected
from alpha_arena.wiring.backtesting import play, run_backtest, window
from alpha_arena.wiring.desk import markets_of, study_of, trader_of

BTC, HOUR, START = "BTC/USDT:USDT", 3_600_000, 1_704_067_200_000
# before the bars that are decided, so that every figure of a prompt is known
BEFORE = 1_000
BARS = 2_000
TIMES = 10
ENCODINGS = ("o200k_base", "cl100k_base")
ENVIRON = {"DEEPSEEK_API_KEY": "sk-none"}


def answer(data: str, ids: str) -> str:
    """An allocation that depends on the prompt alone."""
    first, second, *_ = ids.split(", ")
    draw = int(sha256(data.encode()).hexdigest()[:8], 16)
    parts = [{"strategy_id": first, "weight": 0.75, "confidence": 0.9, "reasoning": "fits"}, {"strategy_id": second, "weight": 0.25}]
    whole = {"market_regime": "RANGE", "strategy_allocations": parts, "total_position": (draw % 201 - 100) / 100}
    return json.dumps({**whole, "confidence": 0.8, "reasoning": "a reason"})


def said(messages: Messages) -> str:
    """What the model answers."""
    rules, data = (message["content"] for message in messages[:2])
    return answer(data, rules.partition("each at most once: ")[2].partition("\n")[0])


class AtOnce:
    """A model without a wire."""

    def complete(self, messages: Messages, timeout_s: float) -> Reply:
        """Its answer."""
        return Reply(said(messages), "m", "stop", usage=Usage(1000, 0, 100))


class Server(BaseHTTPRequestHandler):
    """A model behind a wire."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """A chat completion."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {"role": "assistant", "content": said(body["messages"])}
        whole = {"id": "x", "object": "chat.completion", "created": 1, "model": "m"}
        choices = [{"index": 0, "finish_reason": "stop", "message": message}]
        sent = json.dumps({**whole, "choices": choices, "usage": {"prompt_tokens": 1000, "completion_tokens": 100}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)


@contextmanager
def serving() -> Iterator[str]:
    """The server's address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()
        thread.join()


@dataclass
class Timed:
    """A decider that is timed. seconds: of each decision."""

    decider: Llm
    seconds: list[float] = field(default_factory=list)

    @property
    def leverage(self) -> float:
        """Its own."""
        return self.decider.leverage

    def decide(self, view: View) -> Mapping[str, Target]:
        """Its own."""
        began = perf_counter()
        made = self.decider.decide(view)
        self.seconds.append(perf_counter() - began)
        return made


def candles(rows: int) -> Candles:
    """Hours of a random walk."""
    rng = np.random.default_rng(5)
    close = 40_000 * np.exp(np.cumsum(rng.normal(0, 0.006, rows)))
    open_ = np.r_[40_000.0, close[:-1]]
    high, low = np.maximum(open_, close) * 1.002, np.minimum(open_, close) * 0.998
    return Candles(START + np.arange(rows) * HOUR, open_, high, low, close, rng.lognormal(3, 0.5, rows))


def asked(service: DataService, bars: int, *more: str) -> tuple[Settings, Llm]:
    """The shipped decider, able to ask."""
    settings = connected(load("backtest", ["decision=llm", f"limit={bars}", *more]), service, "backtest", environ=ENVIRON)
    assert isinstance(settings.decider, Llm)
    return settings, settings.decider


def added(service: DataService, settings: Settings, decider: Llm) -> list[float]:
    """Milliseconds of each decision, the loop around it left out."""
    markets: Mapping[str, Market] = markets_of(settings, service, None)
    part = window(markets, None, settings.limit)
    timed = Timed(decider)
    study = study_of(settings, markets, part.first_ts)
    # signals and curves are made when they are first asked for, at whatever close that is
    for values in (study.signals[BTC], study.recent[BTC]):
        list(values.values())
    play(study, replace(trader_of(settings), decider=timed), 10_000.0, part)
    return [1000 * one for one in timed.seconds]


def at_once(decider: Llm) -> Llm:
    """The decider with a model that is a function."""
    adviser = decider.adviser
    assert adviser
    callers = [replace(caller, wire=AtOnce()) for caller in adviser.chain.callers]
    return replace(decider, adviser=replace(adviser, chain=replace(adviser.chain, callers=callers)))


def tokens(texts: list[str]) -> Iterator[tuple[str, float]]:
    """By encoding, tokens of a prompt (mean)."""
    yield "characters / 4", float(np.mean([len(text) / 4 for text in texts]))
    if "TIKTOKEN_CACHE_DIR" in os.environ:
        import tiktoken

        for name in ENCODINGS:
            try:
                encoding = tiktoken.get_encoding(name)
            except OSError:
                continue
            yield name, float(np.mean([len(encoding.encode(text)) for text in texts]))


def told(what: str, value: str, goal: str = "") -> None:
    """A line of the table."""
    print(f"| {what} | {value} | {goal} |", flush=True)


def spread(taken: list[float]) -> str:
    """Median and the slow end."""
    return f"{np.median(taken):.2f} ms ({np.quantile(taken, 0.99):.2f} ms)"


def main(bars: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, serving() as url:
        service = DataService(f"sqlite:///{Path(folder) / 'arena.db'}")
        service.upgrade()
        service.write_candles("file", BTC, "1h", candles(BEFORE + bars))
        print("| what | measured | goal |\n|---|---:|---:|")
        settings, decider = asked(service, bars)
        told(
            "added to a decision, a model in the process: median (99 %)", spread(added(service, settings, at_once(decider))), "under 50 ms"
        )
        settings, decider = asked(service, min(bars, 500), f"llm.base_url={url}", "llm.cache=off")
        taken = added(service, settings, decider)[1:]
        told("the same over langchain-openai and HTTP on loopback", spread(taken), "under 50 ms")
        settings, decider = asked(service, bars, "llm.cache=replay_strict")
        taken = added(service, settings, decider)
        told("a decision from kept answers", spread(taken))
        rates = []
        for _ in range(TIMES):
            began = process_time()
            run = run_backtest(settings, service)
            rates.append(bars / (process_time() - began))
        assert run.result["llm"]["fallback_levels"] == {"0": bars}
        told(f"decisions made again, backtest whole, by time of a core (best of {TIMES})", f"{max(rates):,.0f} /s", "1,000 /s")
        records = [json.loads(advice.record) for advice in run.advice]
        prompts = ["\n".join(message["content"] for message in record["messages"]) for record in records]
        sizes = [len(prompt) for prompt in prompts]
        told("characters of a prompt: mean (most)", f"{np.mean(sizes):,.0f} ({max(sizes):,})")
        for name, size in tokens(prompts[:200]):
            told(f"tokens of a prompt, by {name}", f"{size:,.0f}")
        service.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else BARS)
