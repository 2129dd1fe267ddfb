"""The control plane: what tests and drills do to the exchange. It is no part of OKX, has a token of its own and lies under /__sim.

clock    {mode, now, speed, skew_ms}             the clock; skew_ms shifts what the exchange says and checks, not the market
advance  {to} or {ms}                            a stepped clock runs on, and what was due happens
fault    {match: {method, path, body, nth}, times, probability, when: before|after, action}, or {clear: true}
         action: drop, empty, html, dup_request, dup_reply, reorder, {hang: ms}, {delay: ms}, {truncate: bytes}, {code: "50013"},
         {http: {status, body}}
lag      {fills_ms, orders_ms, positions_ms, bills_ms}  how late private endpoints know
market   {states: {inst_id: live|suspend|preopen}, edits: [{inst_id, ts, kind: gap|dup|revise|set, factor, column, value}],
          reversed_rows, stale_ms, frozen_ms, no_funding, maintenance: [rows of system/status]}
account  {name, deposit | external: {inst_id, side, sz} | liquidate: inst_id | adl: {inst_id, sz} | perm | refuse: code}
state    {dup_policy, dup_window_ms, attach_fails}  all optional; tells clock, faults that wait, and how often each endpoint was asked
dump     the whole ledger with its SHA-256
reset    nothing is wrong any more
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, field
from decimal import Decimal
from hmac import compare_digest
from typing import Annotated, Any, Literal

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from alpha_arena.core.errors import AlphaArenaError
from alpha_arena.exchange.embedded.faults import BEFORE, KINDS, Edit, Lag, Rule, When
from alpha_arena.exchange.embedded.state import Client, Rejection
from alpha_arena.exchange.embedded.wire import Reply, Request, Wire

PREFIX = "/__sim/"
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
Ms = Annotated[int, Field(ge=0)]
Pattern = Annotated[str, Field(min_length=1, max_length=100)]
Json = dict[str, Any]


@dataclass(frozen=True, config=STRICT)
class ClockCommand:
    """Sets what is given."""

    mode: Literal["real", "scaled", "stepped"] | None = None
    now: Ms | None = None
    speed: Annotated[float, Field(gt=0, le=1000)] | None = None
    skew_ms: int | None = None


@dataclass(frozen=True, config=STRICT)
class AdvanceCommand:
    """To a time, or by a span."""

    to: Ms | None = None
    ms: Ms = 0


@dataclass(frozen=True, config=STRICT)
class Match:
    """Which requests."""

    method: Pattern = "*"
    path: Pattern = "*"
    body: str = ""
    nth: Annotated[int, Field(ge=1)] = 1


@dataclass(frozen=True, config=STRICT)
class FaultCommand:
    """A rule to add."""

    action: str | Json = ""
    match: Match = field(default_factory=Match)
    when: When = "before"
    times: Ms = 1
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    clear: bool = False


@dataclass(frozen=True, config=STRICT)
class LagCommand:
    """As Lag."""

    fills_ms: Ms = 0
    orders_ms: Ms = 0
    positions_ms: Ms = 0
    bills_ms: Ms = 0


@dataclass(frozen=True, config=STRICT)
class EditCommand:
    """As Edit, and of which candle."""

    inst_id: str
    ts: Ms
    kind: Literal["gap", "dup", "revise", "set"]
    factor: float = 1.0
    column: Annotated[int, Field(ge=0, le=8)] = 4
    value: Any = ""


@dataclass(frozen=True, config=STRICT)
class MarketCommand:
    """Sets what is given."""

    states: dict[str, Literal["live", "suspend", "preopen"]] = field(default_factory=dict)
    edits: list[EditCommand] = field(default_factory=list)
    reversed_rows: bool | None = None
    stale_ms: Ms | None = None
    frozen_ms: Ms | None = None
    no_funding: bool | None = None
    maintenance: list[dict[str, str]] | None = None


@dataclass(frozen=True, config=STRICT)
class Traded:
    """What somebody else did with an account."""

    inst_id: str
    sz: Decimal
    side: Literal["buy", "sell"] = "buy"


@dataclass(frozen=True, config=STRICT)
class AccountCommand:
    """Does what is given, in this order."""

    name: str
    deposit: Decimal | None = None
    external: Traded | None = None
    liquidate: str = ""
    adl: Traded | None = None
    perm: str | None = None
    refuse: str | None = None


@dataclass(frozen=True, config=STRICT)
class StateCommand:
    """Sets what is given."""

    dup_policy: Literal["forever", "while_live", "window"] | None = None
    dup_window_ms: Ms | None = None
    attach_fails: bool | None = None


@dataclass(frozen=True, config=STRICT)
class NoCommand:
    """Takes nothing."""


class Control:
    """Commands to the exchange behind a wire, for who knows the token."""

    def __init__(self, wire: Wire, token: str) -> None:
        self.wire = wire
        self.token = token
        self.commands: dict[str, tuple[type, Callable[[Any], Json]]] = {
            "clock": (ClockCommand, self._clock),
            "advance": (AdvanceCommand, self._advance),
            "fault": (FaultCommand, self._fault),
            "lag": (LagCommand, self._lag),
            "market": (MarketCommand, self._market),
            "account": (AccountCommand, self._account),
            "state": (StateCommand, self._state),
            "dump": (NoCommand, self._dump),
            "reset": (NoCommand, self._reset),
        }

    def handle(self, request: Request) -> Reply:
        """Carry out a command; 401 without the token, 404 for an unknown one, 400 with the reason for one that cannot be done."""
        given = request.headers.get("authorization", "").encode()
        if not compare_digest(given, f"Bearer {self.token}".encode()):
            return _reply(401, {"error": "the control plane wants its token as Authorization: Bearer"})
        name = request.path.removeprefix(PREFIX)
        if name not in self.commands or request.method != "POST":
            return _reply(404, {"error": f"there is no POST {PREFIX}{name[:50]}; there are {', '.join(self.commands)}"})
        shape, work = self.commands[name]
        try:
            return _reply(200, self.do(work, TypeAdapter(shape).validate_json(request.body or b"{}")))
        except (ValidationError, ValueError, LookupError, Rejection, AlphaArenaError) as error:
            return _reply(400, {"error": str(error)[:500]})

    def do(self, work: Callable[[Any], Json], command: Any) -> Json:
        """Carry out a command on the played market, and write the books."""
        self.wire.tick()
        done = work(command)
        self.wire.exchange.save()
        return done

    def _clock(self, command: ClockCommand) -> Json:
        clock = self.wire.exchange.clock
        if command.mode is not None or command.now is not None or command.speed is not None:
            clock.set(mode=command.mode, now_ms=command.now, speed=command.speed)
        if command.skew_ms is not None:
            self.wire.faults.skew_ms = command.skew_ms
        return self._told()

    def _advance(self, command: AdvanceCommand) -> Json:
        clock = self.wire.exchange.clock
        clock.step_to(clock.now_ms() + command.ms if command.to is None else command.to)
        self.wire.tick()
        return self._told()

    def _fault(self, command: FaultCommand) -> Json:
        if command.clear:
            self.wire.faults.rules.clear()
        else:
            self.wire.faults.rules.append(rule(command))
        return {"rules": len(self.wire.faults.rules)}

    def _lag(self, command: LagCommand) -> Json:
        self.wire.faults.lag = Lag(**asdict(command))
        self.wire.faults.remembered.clear()
        self.wire.tick()
        return asdict(command)

    def _market(self, command: MarketCommand) -> Json:
        faults, known = self.wire.faults, self.wire.exchange.contracts
        for name in (*command.states, *(edit.inst_id for edit in command.edits)):
            if name not in known:
                raise LookupError(f"there is no instrument {name[:50]}; there are {', '.join(known)}")
        faults.states |= command.states
        faults.edits |= {(e.inst_id, e.ts): Edit(e.kind, e.factor, e.column, e.value) for e in command.edits}
        for name in ("reversed_rows", "stale_ms", "frozen_ms", "no_funding", "maintenance"):
            if getattr(command, name) is not None:
                setattr(faults, name, getattr(command, name))
        return {"states": faults.states, "edits": len(faults.edits)}

    def _account(self, command: AccountCommand) -> Json:
        exchange, client = self.wire.exchange, self._client(command.name)
        if command.deposit is not None:
            exchange.deposit(client, command.deposit)
        if command.external:
            exchange.external_trade(client, command.external.inst_id, command.external.side, command.external.sz)
        if command.liquidate:
            exchange.liquidate(client, command.liquidate)
        if command.adl:
            exchange.adl(client, command.adl.inst_id, command.adl.sz)
        if command.perm is not None:
            client.perm = command.perm
        if command.refuse is not None:
            self._refuse(client, command.refuse)
        return {"name": client.name, "perm": client.perm, "cash": str(client.cash)}

    def _refuse(self, client: Client, code: str) -> None:
        self.wire.faults.refusals.pop(client.api_key, None)
        if code:
            self.wire.faults.refusals[client.api_key] = code

    def _client(self, name: str) -> Client:
        named = {client.name: client for client in self.wire.exchange.clients.values()}
        if name not in named:
            raise LookupError(f"there is no account {name[:50]!r}; there are {', '.join(named)}")
        return named[name]

    def _state(self, command: StateCommand) -> Json:
        for name, value in asdict(command).items():
            if value is not None:
                setattr(self.wire.exchange, name, value)
        waiting = [asdict(each) for each in self.wire.faults.rules]
        return self._told() | {"rules": waiting, "requests": dict(self.wire.faults.requests), "overdue": len(self.wire.overdue)}

    def _dump(self, command: NoCommand) -> Json:
        content, digest = self.wire.exchange.dump()
        return {"dump": orjson.loads(content), "sha256": digest}

    def _reset(self, command: NoCommand) -> Json:
        self.wire.faults.reset()
        self.wire.overdue.clear()
        return self._told()

    def _told(self) -> Json:
        clock = self.wire.exchange.clock
        return {"mode": clock.mode, "now": clock.now_ms(), "speed": clock.speed, "skew_ms": self.wire.faults.skew_ms}


def rule(command: FaultCommand) -> Rule:
    """The rule that a command describes.

    Raises:
        ValueError: there is no such action, or not at that moment.
    """
    [(kind, value)] = command.action.items() if isinstance(command.action, dict) and len(command.action) == 1 else [(command.action, None)]
    possible = BEFORE if command.when == "before" else KINDS
    if kind not in possible:
        raise ValueError(f"action {str(command.action)[:50]} is not one of {', '.join(sorted(possible))}")
    match = command.match
    found = Rule(kind, command.when, match.method, match.path, match.body, match.nth, command.times, command.probability)
    if kind == "http":
        answer = TypeAdapter(HttpAction).validate_python(value)
        found.status, found.text = answer.status, answer.body
    elif kind == "code":
        found.text = TypeAdapter(Annotated[str, Field(pattern=r"^\d{5}$")]).validate_python(value)
    elif kind in ("hang", "delay", "truncate"):
        found.amount = TypeAdapter(Ms).validate_python(value)
    return found


@dataclass(frozen=True, config=STRICT)
class HttpAction:
    """An answer by somebody between client and exchange."""

    status: Annotated[int, Field(ge=200, le=599)] = 502
    body: str = ""


def _reply(status: int, body: Json) -> Reply:
    return Reply(status, orjson.dumps(body, default=str))
