"""An OpenAI-compatible server on loopback that answers as it is told: well, late, never, with errors, with rubbish."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

Body = Mapping[str, Any]
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100, "prompt_tokens_details": {"cached_tokens": 600}}


@dataclass(frozen=True)
class Says:
    """One answer.

    Attributes:
        content: of the message, or a function of the request's body. raw: sent instead of an envelope.
        drip: bytes sent one at a time until the server closes. silent: nothing is ever sent.
    """

    content: str | Callable[[Body], str] = "{}"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    finish: str = "stop"
    raw: bytes | None = None
    message: Mapping[str, Any] = field(default_factory=dict)
    usage: Mapping[str, Any] | None = field(default_factory=lambda: USAGE)
    silent: bool = False
    drip: bool = False


@dataclass
class FakeLlm:
    """What the server was asked and will say; the last answer is said for ever."""

    answers: list[Says]
    url: str = ""
    requests: list[Body] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    encodings: list[str] = field(default_factory=list)
    over: Event = field(default_factory=Event)

    def next(self) -> Says:
        """The next answer."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def ids_of(body: Body) -> list[str]:
    """The strategies that a prompt allows."""
    found = re.search(r"each at most once: (.+)", body["messages"][0]["content"])
    assert found
    return found[1].split(", ")


def allocation(body: Body) -> str:
    """A good answer that depends on the prompt and on nothing else."""
    first, second, *_ = ids_of(body)
    draw = int(sha256(body["messages"][1]["content"].encode()).hexdigest()[:8], 16)
    parts = [{"strategy_id": first, "weight": 0.75, "confidence": 0.9, "reasoning": "fits"}, {"strategy_id": second, "weight": 0.25}]
    position = (draw % 201 - 100) / 100
    whole = {"market_regime": "RANGE", "strategy_allocations": parts, "total_position": position}
    return json.dumps({**whole, "confidence": 0.8, "reasoning": "a reason"})


def envelope(says: Says, body: Body) -> bytes:
    """A chat completion."""
    content = says.content(body) if callable(says.content) else says.content
    message = {"role": "assistant", "content": content, **says.message}
    choice = {"index": 0, "finish_reason": says.finish, "message": message}
    whole = {"id": "x", "object": "chat.completion", "created": 1, "model": f"{body['model']}-0001", "system_fingerprint": "fp_1"}
    return json.dumps({**whole, "choices": [choice], **({"usage": dict(says.usage)} if says.usage else {})}).encode()


class _Handler(BaseHTTPRequestHandler):
    fake: FakeLlm

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.fake.requests.append(body)
        self.fake.paths.append(self.path)
        self.fake.encodings.append(self.headers.get("Accept-Encoding", ""))
        self.fake.keys.append(self.headers.get("Authorization", ""))
        says = self.fake.next()
        if says.silent:
            self.fake.over.wait()
            return
        sent = envelope(says, body) if says.raw is None else says.raw
        self.send_response(says.status)
        for name, value in {"Content-Type": "application/json", **says.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        try:
            if says.drip:
                self._drip(sent)
            else:
                self.wfile.write(sent)
        except OSError:
            # whoever asked has had enough
            return

    def _drip(self, sent: bytes) -> None:
        for n in range(len(sent)):
            self.wfile.write(sent[n : n + 1])
            self.wfile.flush()
            if self.fake.over.wait(0.02):
                return


@contextmanager
def serving(*answers: Says) -> Iterator[FakeLlm]:
    """The server, answering in this order."""
    fake = FakeLlm(list(answers) or [Says(allocation)])
    handler = type("Handler", (_Handler,), {"fake": fake})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        fake.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield fake
        finally:
            fake.over.set()
            server.shutdown()
            thread.join()
