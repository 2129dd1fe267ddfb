"""The embedded exchange as a process: its first line, its connections, its end, and a client that knows nothing of this project."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from alpha_arena.core.errors import ConfigError
from alpha_arena.exchange.embedded.auth import signature
from alpha_arena.exchange.embedded.server import LARGEST_BODY, listening

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parents[1] / "docs" / "examples" / "embedded_ccxt.py"
SWAP = "BTC-USDT-SWAP"
# for what takes a moment on a machine that does nothing else
PATIENCE_S = 60


class Process:
    """A server of its own, and how to talk to it."""

    def __init__(self) -> None:
        # a pipe that nobody reads would stop it; it says nothing after its first line
        self.child = subprocess.Popen([sys.executable, str(HERE / "wire_world.py")], stdout=subprocess.PIPE, text=True)
        assert self.child.stdout is not None
        self.told: dict[str, Any] = json.loads(self.child.stdout.readline())
        self.url: str = self.told["url"]

    def sim(self, command: str, token: str = "", **body: Any) -> requests.Response:
        """A control command."""
        headers = {"authorization": f"Bearer {token or self.told['control_token']}"}
        return requests.post(f"{self.told['control_url']}/{command}", json=body, headers=headers, timeout=PATIENCE_S)

    def send(self, method: str, target: str, body: str = "", timeout: float = PATIENCE_S) -> requests.Response:
        """A signed request."""
        account, at = self.told["accounts"][0], time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        headers = {"ok-access-key": account["api_key"], "ok-access-passphrase": account["passphrase"], "ok-access-timestamp": at}
        headers |= {"ok-access-sign": signature(account["secret"], at, method, target, body.encode())}
        headers |= {"content-type": "application/json", "x-simulated-trading": "1"}
        return requests.request(method, self.url + target, data=body, headers=headers, timeout=timeout)

    def order(self, name: str, timeout: float = PATIENCE_S) -> requests.Response:
        """A market order for the smallest size."""
        body = {"instId": SWAP, "tdMode": "isolated", "side": "buy", "ordType": "market", "sz": "0.01", "clOrdId": name}
        return self.send("POST", "/api/v5/trade/order", json.dumps(body), timeout)

    def known(self, name: str) -> bool:
        """Whether the exchange has an order of that name."""
        return bool(self.send("GET", f"/api/v5/trade/order?instId={SWAP}&clOrdId={name}").json()["code"] == "0")

    def end(self) -> int:
        """Its exit code after SIGTERM."""
        self.child.send_signal(signal.SIGTERM)
        code = self.child.wait(PATIENCE_S)
        assert self.child.stdout is not None
        self.child.stdout.close()
        return code


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    """A running server, ended in the end."""
    running = Process()
    yield running
    assert running.end() == 0


def test_a_client_that_knows_nothing_of_this_project_can_trade(process: Process, tmp_path: Path) -> None:
    """D36: what is attached to an order is there when it is read back."""
    told = tmp_path / "exchange.json"
    told.write_text(json.dumps(process.told) + "\n")
    done = subprocess.run([sys.executable, str(EXAMPLE), str(told)], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    seen = json.loads(done.stdout)
    assert (seen["contract"], seen["candles"], seen["settled"]) == (0.01, 100, 10)
    assert (seen["status"], seen["filled"], seen["pending"]) == ("closed", 1.0, ["example2"])
    assert (seen["orders"], seen["canceled"], seen["contracts"]) == (["example1"], ["example2"], [1.0])
    assert sum(seen["trades"]) == 1.0


def test_a_dropped_connection_closes_without_an_answer(process: Process) -> None:
    process.sim("fault", match={"path": "trade/order", "method": "POST"}, action="drop", when="after")
    with pytest.raises(requests.ConnectionError):
        process.order("dropped")
    assert process.known("dropped")
    process.sim("fault", match={"path": "trade/order", "method": "POST"}, action="drop", when="before")
    with pytest.raises(requests.ConnectionError):
        process.order("lost")
    assert not process.known("lost")


def test_a_late_request_is_carried_out_though_its_sender_has_gone(process: Process) -> None:
    process.sim("fault", match={"path": "trade/order", "method": "POST"}, action={"delay": 3_000})
    with pytest.raises(requests.ReadTimeout):
        process.order("late", timeout=0.1)
    assert not process.known("late")
    deadline = time.monotonic() + PATIENCE_S
    while not process.known("late"):
        assert time.monotonic() < deadline


def test_a_hanging_reply_holds_up_nobody_else(process: Process) -> None:
    process.sim("fault", match={"path": "public/time"}, action={"hang": 4_000}, when="after")
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(requests.get, f"{process.url}/api/v5/public/time", timeout=PATIENCE_S)
        while process.sim("state").json()["requests"].get("GET public/time", 0) < 1:
            pass
        assert not hanging.done()
        with pytest.raises(requests.ConnectionError):
            hanging.result()


def test_a_truncated_body_is_cut(process: Process) -> None:
    process.sim("fault", match={"path": "public/time"}, action={"truncate": 9}, when="after")
    assert requests.get(f"{process.url}/api/v5/public/time", timeout=PATIENCE_S).text == '{"code":"'


def test_the_control_plane_is_closed_without_its_token(process: Process) -> None:
    assert process.sim("dump", token="guess").status_code == 401
    assert requests.post(f"{process.told['control_url']}/dump", timeout=PATIENCE_S).status_code == 401
    assert requests.get(f"{process.told['control_url']}/dump?token={process.told['control_token']}", timeout=PATIENCE_S).status_code == 401
    assert process.sim("dump").json()["sha256"]


def test_only_its_own_host_name_is_served(process: Process) -> None:
    """A page in a browser cannot reach it by a name that it points at loopback (faults: E4)."""
    told = requests.get(f"{process.url}/api/v5/public/time", headers={"host": "evil.example"}, timeout=PATIENCE_S)
    assert told.status_code == 400


def test_a_body_that_is_too_large_is_refused(process: Process) -> None:
    """Faults: E6."""
    before = process.sim("dump").json()["sha256"]
    answer = process.send("POST", "/api/v5/trade/order", "x" * (LARGEST_BODY + 1))
    assert answer.status_code == 413
    assert process.sim("dump").json()["sha256"] == before


def test_it_listens_on_loopback_alone(process: Process) -> None:
    port = int(process.url.rsplit(":", 1)[1])
    with socket.socket() as other, pytest.raises(OSError, match="refused"):
        other.connect(("127.0.0.2", port))


def test_a_port_that_is_taken_is_told_with_the_next_step(process: Process) -> None:
    port = int(process.url.rsplit(":", 1)[1])
    with pytest.raises(ConfigError, match="choose another, or 0"):
        listening(port)


def test_an_interrupt_ends_it_as_well() -> None:
    running = Process()
    os.kill(running.child.pid, signal.SIGINT)
    assert running.end() == 0
