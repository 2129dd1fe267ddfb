"""What a scenario file may say."""

from __future__ import annotations

from dataclasses import field
from functools import cache
from math import nan
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml  # type: ignore[import-untyped]
from pydantic import Field, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass

from alpha_arena.core.types import Target
from alpha_arena.exchange.embedded.control import STRICT, AccountCommand, FaultCommand, LagCommand, StateCommand

FOLDER = Path(__file__).parent / "scenarios"
Row = Annotated[str, Field(pattern=r"^[A-E]\d{1,2}$")]
Seconds = Annotated[float, Field(ge=0, lt=3600)]
Price = Annotated[float, Field(gt=0)]
Number = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, config=STRICT)
class Wanted:
    """What the trader wants at a close: exposure (notional / equity, signed), prices of stop and take."""

    exposure: float
    stop: Price | None = None
    take: Price | None = None

    def target(self) -> Target:
        """For the engine."""
        return Target(self.exposure, self.stop or nan, self.take or nan)


@dataclass(frozen=True, config=STRICT)
class Prices:
    """The market.

    Attributes:
        closes: prices at the closes that are decided, and then an hour later; between them it moves on a line, by quarters of an hour.
        funding: rates by number of the close at which they are settled. volume: base currency in a quarter.
        latency_ms, fills_lag_ms, participation, half_spread: of the exchange, as its Profile.
    """

    closes: list[Price]
    funding: dict[int, float] = field(default_factory=dict)
    volume: Annotated[float, Field(gt=0)] = 1000.0
    latency_ms: Number = 20
    fills_lag_ms: Number = 0
    participation: Annotated[float, Field(gt=0, le=1)] = 1.0
    half_spread: Annotated[float, Field(ge=0, le=0.01)] = 0.00001


@dataclass(frozen=True, config=STRICT)
class EditOfBar:
    """A defect of the candle that closes at a number of close."""

    bar: int
    kind: Literal["gap", "dup", "revise", "set"]
    factor: float = 1.0
    column: Annotated[int, Field(ge=0, le=8)] = 4
    value: str | int | float | None = ""


@dataclass(frozen=True, config=STRICT)
class MarketChange:
    """Sets what is given; stale, frozen: from now on."""

    state: Literal["live", "suspend", "preopen"] | None = None
    edits: list[EditOfBar] = field(default_factory=list)
    reversed_rows: bool | None = None
    no_funding: bool | None = None
    maintenance: bool | None = None
    stale: bool | None = None
    frozen: bool | None = None


People = Literal["kill hold", "kill flatten", "kill file", "pause", "resume", "acknowledge", "close"]


@dataclass(frozen=True, config=STRICT)
class Event:
    """Something that happens; exactly one thing.

    Attributes:
        bar: number of the close after which, after_s: seconds after it.
        step: instead, the first time after them that the process comes to a step, such as "before POST trade/order".
        people: what somebody tells the trader.
        stranger: what somebody does at the exchange: leaves a limit order, or cancels the trader's open orders.
        process: it stops, is started, or is started again. skew_ms: by which its clock is off. calm: faults end.
    """

    bar: Number
    after_s: Seconds = 0.0
    step: str = ""
    fault: FaultCommand | None = None
    lag: LagCommand | None = None
    state: StateCommand | None = None
    account: AccountCommand | None = None
    market: MarketChange | None = None
    skew_ms: int | None = None
    people: People | None = None
    stranger: Literal["limit order", "cancel"] | None = None
    process: Literal["stop", "start", "restart"] | None = None
    calm: bool | None = None

    @property
    def what(self) -> str:
        """Name of the one thing that is given."""
        return next(name for name in THINGS if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        given = [name for name in THINGS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"an event says exactly one of {', '.join(THINGS)}, not {given}")
        return self


THINGS = ("fault", "lag", "state", "account", "market", "skew_ms", "people", "stranger", "process", "calm")


@dataclass(frozen=True, config=STRICT)
class Expect:
    """How it ends.

    Attributes:
        state, reason: of the account, reason being a part of what is said. holds: sign of the position.
        orders: "KIND STATE" of all orders oldest first, KIND being entry, exit, stop, take, external or liquidation. Where the process
            dies or fails at some point, one of `otherwise` may be found in their place, and with `otherwise: any` whatever the
            invariants allow.
        decided: closes that were decided. refusals: names of risk rules that refused something. audits: what was done, at least.
        failed: a part of what a look failed of. posts: most requests that send an order.
        external: money or positions appear that no fill or bill explains, and must be booked as external.
    """

    state: Literal["READY", "HALTED"] = "READY"
    reason: str = ""
    holds: Literal[-1, 0, 1] = 0
    orders: list[str] | None = None
    otherwise: list[list[str]] | Literal["any"] = field(default_factory=list)
    decided: Number | None = None
    refusals: list[str] = field(default_factory=list)
    audits: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    posts: Number | None = None
    external: bool = False


@dataclass(frozen=True, config=STRICT)
class Scenario:
    """A market, a script, what goes wrong and how it must end; or the tests that show it.

    Attributes:
        rows: of the fault table. why: in one sentence. seed: of market and exchange where nothing else is said.
        looks: seconds after each close at which the process looks at its account, and decides where it has not; again where that fails.
        crash: where the process dies and where a request or a transaction fails, one life each. changes: at each that changes something;
            each: each question fails as well; everywhere: it also dies before and after each question.
        shown_by: tests, each PATH::NAME. overrides: of the settings, as on a command line.
    """

    rows: list[Row]
    why: str
    seed: Number = 1
    market: Prices | None = None
    wants: list[Wanted | None] = field(default_factory=list)
    faults: list[Event] = field(default_factory=list)
    looks: list[Seconds] = field(default_factory=lambda: [2.0])
    crash: Literal["everywhere", "each", "changes", "none"] = "changes"
    expect: Expect = field(default_factory=Expect)
    overrides: list[str] = field(default_factory=list)
    shown_by: list[str] = field(default_factory=list)

    @model_validator(mode="after")
    def _played_or_shown(self) -> Self:
        if bool(self.market) == bool(self.shown_by) or (self.market and len(self.market.closes) <= len(self.wants)):
            raise ValueError("a scenario has a market with a close more than it has wants, or tests that show it")
        return self


@cache
def scenarios() -> dict[str, Scenario]:
    """All by the name of their file."""
    read: dict[str, Any] = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}
    return {name: TypeAdapter(Scenario).validate_python(content) for name, content in read.items()}
