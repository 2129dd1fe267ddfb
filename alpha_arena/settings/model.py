"""What a command is to do: typed, bounded, built."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass as checked

from alpha_arena.backtest.space import Template
from alpha_arena.core.costs import Costs
from alpha_arena.core.ports import Clock, Decider, RegimeModel, RiskRule, Strategy
from alpha_arena.core.types import Instrument
from alpha_arena.settings.environment import masked_text
from alpha_arena.settings.gates import Environment, without_confirmation
from alpha_arena.settings.laboratory import Check, Cluster, Probe, Sweep, Verify, WalkForward

if TYPE_CHECKING:
    from alpha_arena.ingest import MarketSource

FORBID = ConfigDict(extra="forbid")
DATABASE = re.compile(r"(sqlite|postgresql)(\+\w+)?://")
SQLITE = "sqlite:///"
FOLDER = Path("data")
FEWEST_SEEDS = 2
SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")

Positive = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False, json_schema_extra={"unit": "seconds"})]
Days = Annotated[int, Field(ge=0, le=20_000, json_schema_extra={"unit": "days"})]
Quote = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False, json_schema_extra={"unit": "quote currency"})]
Rows = Annotated[int, Field(ge=1, le=100_000_000, json_schema_extra={"unit": "bars"})]


def slug(name: str) -> str:
    """A trader's id as it may stand in file names, variables and orders.

    Raises:
        ValueError: it may not.
    """
    if not SLUG.fullmatch(name):
        raise ValueError(f"{name!r} must be 1 to 40 letters, digits, - or _, the first a letter or digit")
    return name


def folder_beside(url: str) -> Path:
    """The folder of a SQLite file; `data` for a database elsewhere."""
    name = url.removeprefix(SQLITE).partition("?")[0]
    return Path(name).parent if url.startswith(SQLITE) and name and name != ":memory:" else FOLDER


def address(url: str) -> str:
    """A database's address in SQLAlchemy's form.

    Raises:
        ValueError: it has none.
    """
    if not DATABASE.match(url):
        raise ValueError(f"{url!r} is not an address such as sqlite:///data/alpha_arena.db or postgresql+psycopg://USER:PASSWORD@HOST/NAME")
    return url


@checked(frozen=True, config=FORBID)
class Values:
    """The values at the top level of a root file. start, end: as given; the others as in conf/base/values.yaml."""

    timeframe: str
    symbols: list[str] | None
    start: int | str | None
    end: int | str | None
    limit: Rows | None
    window: Annotated[int, Field(ge=0, le=1_000_000, json_schema_extra={"unit": "bars"})]
    initial_capital: Quote
    equity: Quote | None
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)]
    outputs: str
    report: Literal["text", "json"]
    plugins: str | list[str] | None = None
    timeframes: list[str] | None = None
    since_days: Annotated[int, Field(ge=1, le=20_000, json_schema_extra={"unit": "days"})] | None = None
    on: Literal["conf", "stored"] = "conf"
    confirm_live: bool = False
    order_sync: Literal["open", "full"] = "open"
    policy: Literal["hold", "flatten"] = "hold"
    reason: str = ""
    confirm: bool = False
    most_calls: Annotated[int, Field(ge=1, le=100_000_000)] = 1000
    detail: str | None = None


@checked(frozen=True, config=FORBID)
class Contract:
    """conf/symbol: see core.types.Instrument."""

    symbol: str
    lot: Positive
    tick: Positive
    contract_size: Positive
    max_leverage: Annotated[float, Field(ge=1, le=125, allow_inf_nan=False)]
    as_of: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]

    def instrument(self) -> Instrument:
        """As the engine takes it."""
        return Instrument(self.symbol, self.lot, self.tick, self.contract_size, self.max_leverage, self.as_of)


@checked(frozen=True, config=FORBID)
class TraderChoice:
    """conf/trader. id: a slug."""

    id: Annotated[str, AfterValidator(slug)]


@checked(frozen=True, config=FORBID)
class SimulatedChoice:
    """conf/executor/simulated."""

    kind: Literal["simulated"]


@checked(frozen=True, config=FORBID)
class OkxChoice:
    """conf/executor/okx: orders go to an account.

    Positions have isolated margin, in net mode.

    Attributes:
        expires_s: wall seconds after which the exchange discards an order that comes late.
        protect_within_s: wall seconds within which a position has its stop at the exchange, or is closed.
        settle_s: wall seconds for which a difference to the exchange may last before it is taken for somebody else's doing.
        dead_man_s: seconds after which the exchange cancels resting orders that nobody looks after.
        sends: how often an order is sent, each time only once the last attempt cannot arrive any more.
        rejections: refused orders in a row that halt.
    """

    kind: Literal["okx"]
    expires_s: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False, json_schema_extra={"unit": "seconds"})]
    protect_within_s: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False, json_schema_extra={"unit": "seconds"})]
    settle_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False, json_schema_extra={"unit": "seconds"})]
    dead_man_s: Annotated[int, Field(ge=10, le=120, json_schema_extra={"unit": "seconds"})]
    sends: Annotated[int, Field(ge=1, le=10)]
    rejections: Annotated[int, Field(ge=1, le=100)]


ExecutorChoice = SimulatedChoice | OkxChoice


@checked(frozen=True, config=FORBID)
class Database:
    """conf/database. url: SQLAlchemy's form."""

    url: Annotated[str, AfterValidator(address)] = field(repr=False)


@checked(frozen=True, config=FORBID)
class Schedule:
    """conf/schedule: when the jobs of a bar are done; offsets are wall seconds after a bar's close."""

    catch_up_days: Days
    interval_s: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False, json_schema_extra={"unit": "seconds"})]
    trade: bool
    sync: bool
    ingest_offset_s: Seconds
    trade_offset_s: Seconds
    sync_offset_s: Seconds


@checked(frozen=True, config=FORBID)
class Monitor:
    """conf/monitor: API and page. port 0 picks a free one; write: the API may change things."""

    host: str
    port: Annotated[int, Field(ge=0, le=65_535)]
    refresh_s: Annotated[float, Field(ge=0.2, le=3600, allow_inf_nan=False, json_schema_extra={"unit": "seconds"})]
    write: bool


@checked(frozen=True, config=FORBID)
class Arena:
    """conf/arena: who competes, and what always stands beside them.

    Attributes:
        name: of its file. traders: names of files in conf/trader.
        samples: how often each model is asked everything over history, each time as a contestant of its own.
        train_fraction: of the bars: on so many the best rule is chosen, those before the start where they are enough, else the first ones.
        random_seeds: traders whose weights are drawn at random.
    """

    name: str
    traders: Annotated[list[str], Field(min_length=1)]
    samples: Annotated[int, Field(ge=1, le=100)]
    train_fraction: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
    random_seeds: Annotated[int, Field(ge=FEWEST_SEEDS, le=10_000)]


@checked(frozen=True, config=FORBID)
class DataAction:
    """What `data` does."""

    action: Literal["stats", "gaps", "repair", "check"]


@checked(frozen=True, config=FORBID)
class DatabaseAction:
    """What `db` does. table: of browse. file: that models' answers are written to or read from."""

    action: Literal["upgrade", "browse", "export_answers", "import_answers"]
    table: str | None
    file: str | None


@checked(frozen=True, config=FORBID)
class Loop:
    """How long `loop` goes on. cycles: None until interrupted."""

    cycles: Annotated[int, Field(ge=1, le=1_000_000_000)] | None


Action = DataAction | DatabaseAction | Loop | WalkForward | Verify | Check | Probe


class NamedDecider(Decider, Protocol):
    """A decider that says what it is called."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class ExchangeChoice:
    """A source of market data that was chosen.

    Attributes:
        name: under which its rows are stored. kind: file, okx, synthetic, embedded. params: its other settings.
        component: the class that `source` makes.
    """

    name: str
    kind: str
    params: Mapping[str, Any]
    component: type = field(repr=False)

    def source(self, clock: Clock) -> MarketSource:
        """The source itself; nothing is read or connected before it is asked."""
        made: MarketSource = self.component(name=self.name, **self.params, clock=clock)
        return made


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """Everything a command is told; built whole before the first I/O.

    Attributes:
        symbols: at least one. exchange: None where none was chosen (a reader then takes the only source that holds the symbol).
        strategies: the enabled ones by name. arena: None without one. traders: of the arena, each a whole Settings; empty without one.
        equity: quote currency that sizes positions, None for the account's own. initial_capital: quote currency.
        start_ms, end_ms: ms UTC, end exclusive; None for open. limit: bars. window: bars, 0 for all history.
        detail: timeframe of the bars that decide what came first within a backtest's bar, None for none.
        since_days: how far back a first import goes. timeframes: of candles to store, empty for none named.
        action: what data, db, loop, walkforward, verify, check or probe are to do. on: where `strategies` looks.
        search: the space of a sweep or walk-forward; templates: the strategies in it; cluster: where it runs. confirm: however large it is.
        most_calls: of models in a run over history, above which confirm=true is asked for.
        environment: where orders go: paper, embedded, demo or live. order_sync: which orders a sync reads from the exchange.
        policy, reason: of a kill switch, a pause or a close.
        resolved: the whole configuration as a plain dict, secrets masked. config_hash: SHA-256 of what shapes the trader's decisions.
    """

    command: str
    symbols: tuple[Instrument, ...]
    timeframe: str
    exchange: ExchangeChoice | None
    strategies: Mapping[str, Strategy]
    decider: NamedDecider
    rules: tuple[RiskRule, ...]
    regime: RegimeModel
    costs: Costs
    executor: ExecutorChoice
    environment: Environment
    order_sync: Literal["open", "full"]
    policy: Literal["hold", "flatten"]
    reason: str
    trader: str
    arena: Arena | None
    traders: tuple[Settings, ...]
    initial_capital: float
    equity: float | None
    database_url: str
    outputs: Path
    start_ms: int | None
    end_ms: int | None
    limit: int | None
    window: int
    detail: str | None
    seed: int
    report: str
    schedule: Schedule
    monitor: Monitor
    timeframes: tuple[str, ...]
    since_days: int | None
    on: str
    plugins: tuple[Path, ...]
    action: Action | None
    search: Sweep | None
    templates: Mapping[str, Template]
    cluster: Cluster | None
    confirm: bool
    most_calls: int
    resolved: Mapping[str, Any]
    overrides: tuple[str, ...]
    config_hash: str

    def __repr__(self) -> str:
        """What makes these settings again, secrets masked."""
        return f"load({self.command!r}, {list(self.shown_overrides)})"

    @property
    def shown_overrides(self) -> tuple[str, ...]:
        """The overrides as they may be stored and shown: passwords and values of secret variables masked."""
        return tuple(masked_text(text) for text in self.overrides)

    @property
    def source(self) -> str | None:
        """Name of the source to read; None for the only one that holds the symbol."""
        return self.exchange.name if self.exchange else None

    @property
    def stored_overrides(self) -> tuple[str, ...]:
        """The overrides as they may be kept with a schedule: a confirmation of live trading is given by hand each time."""
        return without_confirmation(self.overrides)

    @property
    def data_folder(self) -> Path:
        """Where what belongs to the database lies beside it."""
        return folder_beside(self.database_url)

    @property
    def catch_up_days(self) -> int:
        """Days before now at which a new paper trader starts."""
        return self.schedule.catch_up_days
