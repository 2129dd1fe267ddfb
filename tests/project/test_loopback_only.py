"""No test reaches another machine: the guard of tests/conftest.py does what it says (fault E8, item 7 of money safety)."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import ccxt
import loopback_only
import pytest
from loopback_only import BeyondLoopback, attempts, environment, is_own

# reserved for documentation: nobody has it
ELSEWHERE = "192.0.2.1"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST", "0.0.0.0", "::", "", socket.gethostname(), "fe80::1%lo"]
)
def test_what_is_ours(host: str) -> None:
    assert is_own(host) == (not host.startswith("fe80"))


@pytest.mark.parametrize("host", [ELSEWHERE, "8.8.8.8", "10.0.0.7", "www.okx.com", "localhost.evil.example", "2001:db8::1"])
def test_what_is_not(host: str) -> None:
    assert not is_own(host)


@pytest.mark.parametrize(
    "reach",
    [
        lambda: socket.create_connection((ELSEWHERE, 443), timeout=1),
        lambda: socket.getaddrinfo("www.okx.com", 443),
        lambda: socket.gethostbyname("www.okx.com"),
        lambda: urllib.request.build_opener(urllib.request.ProxyHandler({})).open("https://www.okx.com/api/v5/public/time", timeout=1),
        lambda: ccxt.okx({"enableRateLimit": False}).fetch_time(),
    ],
    ids=["connect", "getaddrinfo", "gethostbyname", "urllib", "ccxt"],
)
def test_nothing_gets_out(reach: object) -> None:
    """And it is remembered, so that a test in which the failure is swallowed fails all the same."""
    with pytest.raises(BeyondLoopback, match="loopback alone"):
        reach()  # type: ignore[operator]
    assert attempts
    attempts.clear()


def test_a_datagram_does_not_get_out_either() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, pytest.raises(BeyondLoopback):
        one.sendto(b"x", (ELSEWHERE, 53))
    attempts.clear()


def test_an_attempt_that_was_swallowed_is_seen() -> None:
    with suppress(RuntimeError):
        socket.gethostbyname("www.okx.com")
    assert [text for text in attempts if "www.okx.com" in text] == attempts != []
    attempts.clear()


def test_loopback_is_open() -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        with socket.create_connection(server.server_address[:2], timeout=5):
            pass
        thread.join()
    assert attempts == []


def test_processes_that_tests_start_are_guarded_too() -> None:
    script = f"import socket; socket.create_connection(({ELSEWHERE!r}, 443), timeout=1)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "BeyondLoopback" in done.stderr


def test_the_guard_is_installed_once() -> None:
    assert loopback_only._installed == [True]
    loopback_only.install()
    assert loopback_only._installed == [True]
    assert environment({"PYTHONPATH": "/a"}, "/b", ":") == "/b:/a"
    assert environment({"PYTHONPATH": "/b:/a"}, "/b", ":") == "/b:/a"
    assert environment({}, "/b", ":") == "/b"
