"""Stops every connection that would leave this machine, by an audit hook: nothing below Python's sockets can go around it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

# where each event says which host is meant
ADDRESS = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1, "socket.getnameinfo": 0}
NAME = {"socket.getaddrinfo": 0, "socket.gethostbyname": 0, "socket.gethostbyaddr": 0}
OWN = frozenset({"", "localhost", socket.gethostname()})

# what was tried since somebody last looked; whoever looks clears it
attempts: list[str] = []
_installed: list[bool] = []


class BeyondLoopback(RuntimeError):
    """A test would have reached another machine."""


def install() -> None:
    """Guard this process for the rest of its life; a second call changes nothing."""
    if not _installed:
        _installed.append(True)
        sys.addaudithook(_hear)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith("socket."):
        host = _host(event, arguments)
        if host is not None and not is_own(host):
            attempts.append(f"{event} {host}")
            raise BeyondLoopback(f"{event} to {host} was stopped: tests reach loopback alone")


def _host(event: str, arguments: tuple[Any, ...]) -> str | None:
    """The host that an event is about, None where it is about none (a socket of the file system, an address to bind)."""
    if event in ADDRESS:
        address = arguments[ADDRESS[event]]
        return str(address[0]) if isinstance(address, tuple) and address and isinstance(address[0], str) else None
    return _text(arguments[NAME[event]]) if event in NAME else None


def _text(name: object) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name or "")


def is_own(host: str) -> bool:
    """Whether a name or address is this machine's own."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host.lower() in OWN
    return address.is_loopback or address.is_unspecified


def environment(given: Mapping[str, str], folder: str, separator: str) -> str:
    """PYTHONPATH with which Python processes that tests start are guarded too: `sitecustomize` beside this file is found first."""
    before = given.get("PYTHONPATH", "")
    return before if folder in before.split(separator) else separator.join(filter(None, [folder, before]))
