"""What goes wrong on purpose, and when. All chance comes from one seed (specs: okx-wire §11, faults "Fault table")."""

from __future__ import annotations

from collections import Counter, deque
from copy import deepcopy
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from random import Random
from typing import Any, Literal

from alpha_arena.exchange.embedded.rows import Row
from alpha_arena.exchange.embedded.state import Client, Holding

When = Literal["before", "after"]
KINDS = {"http", "code", "drop", "hang", "delay", "truncate", "empty", "html", "dup_request", "dup_reply", "reorder"}
BEFORE = {"http", "code", "drop", "hang", "delay", "empty", "html", "dup_request"}
HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(slots=True)
class Rule:
    """A fault that waits for its request.

    Attributes:
        method, path: patterns of the request, path without /api/v5/. body: text that its body must hold.
        nth: the first match that it strikes, counted from 1. times: how many it strikes in a row, 0 for all.
        probability: of striking, drawn for each match.
        when: before the request is carried out, so that it never is (delay: so that it is later), or after.
        kind: what happens. amount: ms of hang and delay, bytes kept by truncate. status, text: of http; text: of code.
    """

    kind: str
    when: When = "before"
    method: str = "*"
    path: str = "*"
    body: str = ""
    nth: int = 1
    times: int = 1
    probability: float = 1.0
    amount: int = 0
    status: int = 200
    text: str = ""
    seen: int = 0
    struck: int = 0

    def fits(self, method: str, path: str, body: str) -> bool:
        """Whether it is about such a request."""
        return fnmatchcase(method, self.method) and fnmatchcase(path, self.path) and self.body in body

    def strikes(self, draw: Random) -> bool:
        """Whether it strikes this match, which is counted."""
        self.seen += 1
        due = self.seen >= self.nth and not (self.times and self.struck >= self.times)
        if not due or (self.probability < 1 and draw.random() >= self.probability):
            return False
        self.struck += 1
        return True


@dataclass(frozen=True, slots=True)
class Edit:
    """A defect of one candle. kind: gap, dup, revise (prices times factor), set (cell `column` is `value`)."""

    kind: str
    factor: float = 1.0
    column: int = 4
    value: Any = ""


@dataclass(slots=True)
class Lag:
    """How late the private endpoints know of what happened, ms."""

    fills_ms: int = 0
    orders_ms: int = 0
    positions_ms: int = 0
    bills_ms: int = 0


@dataclass(slots=True)
class Faults:
    """All that is wrong with the exchange just now.

    Attributes:
        skew_ms: added to the exchange's clock. maintenance: rows of system/status. states: instruments that are not live.
        refusals: code that a private request of an API key gets. edits: of candles, by (inst_id, ts).
        reversed_rows: candles oldest first. stale_ms: market data end there, 0 for not; frozen_ms: prices stand still from there on, while
            their times go on. no_funding: no funding rates are told.
        requests: how many came, by "METHOD path".
    """

    seed: int = 0
    rules: list[Rule] = field(default_factory=list)
    lag: Lag = field(default_factory=Lag)
    skew_ms: int = 0
    maintenance: list[Row] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    edits: dict[tuple[str, int], Edit] = field(default_factory=dict)
    reversed_rows: bool = False
    stale_ms: int = 0
    frozen_ms: int = 0
    no_funding: bool = False
    requests: Counter[str] = field(default_factory=Counter)
    remembered: dict[str, deque[tuple[int, list[Holding]]]] = field(default_factory=dict)
    draw: Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.draw = Random(self.seed)

    def strike(self, when: When, method: str, path: str, body: str) -> Rule | None:
        """The first rule that strikes a request now; every rule about it counts it."""
        struck = [rule for rule in self.rules if rule.when == when and rule.fits(method, path, body) and rule.strikes(self.draw)]
        return struck[0] if struck else None

    def reset(self) -> None:
        """Nothing is wrong any more; the counters start again and chance from its seed."""
        fresh = Faults(self.seed)
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))

    def remember(self, clients: list[Client], now_ms: int) -> None:
        """Keep what is held now, for an account that is told late."""
        if not self.lag.positions_ms:
            return
        for client in clients:
            kept = self.remembered.setdefault(client.name, deque())
            kept.append((now_ms, deepcopy(list(client.holdings.values()))))
            while len(kept) > 1 and kept[1][0] <= now_ms - self.lag.positions_ms:
                kept.popleft()

    def holdings(self, client: Client, now_ms: int) -> list[Holding]:
        """What the account is told that it holds."""
        past = [held for ts, held in self.remembered.get(client.name, ()) if ts <= now_ms - self.lag.positions_ms]
        if not self.lag.positions_ms or not self.remembered.get(client.name):
            return list(client.holdings.values())
        return past[-1] if past else self.remembered[client.name][0][1]
