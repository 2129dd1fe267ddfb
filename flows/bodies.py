"""What the flows do, as plain functions of overrides: no scheduler and no server is needed to call them."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from alpha_arena.core.errors import AlphaArenaError, StoreError
from alpha_arena.core.ports import Clock
from alpha_arena.core.timeframes import UNIT_MS, timeframe_ms
from alpha_arena.data.clock import DatabaseClock, read_clock
from alpha_arena.data.controls import Controls
from alpha_arena.data.ledger import Ledger
from alpha_arena.data.notes import record_alert
from alpha_arena.data.service import DataService
from alpha_arena.settings import Settings, load
from alpha_arena.settings.gates import refuse_stored
from flows.timekeeper import timetable_of
from flows.timetable import Timetable
from flows.work import Job

log = logging.getLogger("alpha_arena.flows")

SINCE_DAYS = 90
SHOWN_LINES = 5
# done on request
LABORATORY = ("backtest", "sweep", "walkforward")


class Bodies(Protocol):
    """The work itself, given what it needs; returns rows that can be shown."""

    def ingest(self, settings: Settings, clock: Clock, service: DataService) -> list[dict[str, Any]]: ...
    def trade(self, settings: Settings, clock: Clock, service: DataService) -> list[dict[str, Any]]: ...
    def sync(self, settings: Settings, clock: Clock, service: DataService) -> list[dict[str, Any]]: ...
    def laboratory(self, command: str, overrides: Sequence[str]) -> list[dict[str, Any]]: ...


class LaboratoryFailed(AlphaArenaError):
    """A backtest, sweep or walk-forward in a process of its own ended with an error."""


class Real:
    """The engine's own work."""

    def ingest(self, settings: Settings, clock: Clock, service: DataService) -> list[dict[str, Any]]:
        """Store what is new of every symbol and timeframe that is traded, or of `timeframes`."""
        from alpha_arena.ingest import ingest, remembered

        assert settings.exchange
        everyone = settings.traders or (settings,)
        symbols = list(dict.fromkeys(instrument.symbol for one in everyone for instrument in one.symbols))
        timeframes = list(settings.timeframes or dict.fromkeys(one.timeframe for one in everyone))
        source, now = settings.exchange.source(clock), clock.now_ms()
        days = settings.since_days or int(settings.exchange.params.get("history_days") or SINCE_DAYS)
        since = now - days * UNIT_MS["d"]
        reports = remembered(service, now, lambda: ingest(service, source, symbols, timeframes, since, now))
        return [report.as_dict() for report in reports]

    def trade(self, settings: Settings, clock: Clock, service: DataService) -> list[dict[str, Any]]:
        """One cycle of every trader, the bars that it missed first."""
        from alpha_arena.wiring import trade_cycle

        return trade_cycle(settings, clock, service)

    def sync(self, settings: Settings, clock: Clock, service: DataService) -> list[dict[str, Any]]:
        """Every trader's account brought up to the newest closed bar."""
        from alpha_arena.wiring import sync

        return list(sync(settings, clock, service)["traders"])

    def laboratory(self, command: str, overrides: Sequence[str]) -> list[dict[str, Any]]:
        """A backtest, sweep or walk-forward in a process of its own, so that neither its memory nor its crash is ours.

        Raises:
            LaboratoryFailed: it did; the message is the last of what it said.
        """
        asked = [sys.executable, "-m", "flows.child", str(os.getpid()), "alpha_arena.cli", command, *overrides, "report=json"]
        done = subprocess.run(asked, stdin=subprocess.PIPE, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LaboratoryFailed("\n".join(done.stderr.strip().splitlines()[-SHOWN_LINES:]) or f"exit code {done.returncode}")
        return [json.loads(done.stdout)]


@dataclass(slots=True)
class Bench:
    """What a process works with: one configuration, its database and clock.

    Attributes:
        overrides: of the command, in the order given; another list of overrides is loaded when a job is asked for with it.
        service: for the bodies, which run one at a time; side: for what is asked beside them, from other threads.
    """

    command: str
    overrides: list[str]
    settings: Settings
    service: DataService
    side: DataService
    bodies: Bodies

    @classmethod
    def of(cls, command: str, overrides: Sequence[str], bodies: Bodies | None = None) -> Bench:
        """Load a configuration and open its database.

        Raises:
            ConfigError: the overrides do not fit. StoreError: the database is not migrated.
        """
        settings = load(command, list(overrides))
        service = DataService(settings.database_url)
        service.check_schema()
        return cls(command, list(overrides), settings, service, DataService(settings.database_url), bodies or Real())

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.service.close()
        self.side.close()

    @property
    def folder(self) -> Path:
        """Where the runner keeps what it must remember."""
        return self.settings.data_folder

    @property
    def clock(self) -> Clock:
        """The market's clock; wall time where nobody has started one."""
        return DatabaseClock(self.service)

    def jobs(self) -> list[Job]:
        """The jobs of a bar in their order, and those that are done on request."""
        schedule = self.settings.schedule
        jobs = [Job("ingest", self.ingest, schedule.ingest_offset_s)]
        jobs += [Job("trade", self.trade, schedule.trade_offset_s)] if schedule.trade else []
        jobs += [Job("sync", self.sync, schedule.sync_offset_s)] if schedule.sync else []
        return [*jobs, *(Job(command, partial(self.laboratory, command)) for command in LABORATORY)]

    def timetable(self) -> Timetable:
        """The clock as it is now."""
        row = read_clock(self.side)
        bar_ms = timeframe_ms(self.settings.timeframe)
        return timetable_of(row, bar_ms) if row else Timetable(bar_ms, 0.0, 0.0, 1.0)

    def ingest(self, overrides: list[str]) -> list[dict[str, Any]]:
        """The body of the flow `ingest`."""
        return self.bodies.ingest(self.settings_for(overrides), self.clock, self.service)

    def trade(self, overrides: list[str]) -> list[dict[str, Any]]:
        """The body of the flow `trade`."""
        made = self.bodies.trade(self.settings_for(overrides), self.clock, self.service)
        for row in {(row["trader"], row["symbol"]): row for row in made}.values():
            log.info("%s", said(row))
        return made

    def sync(self, overrides: list[str]) -> list[dict[str, Any]]:
        """The body of the flow `sync`."""
        return self.bodies.sync(self.settings_for(overrides), self.clock, self.service)

    def laboratory(self, command: str, overrides: list[str]) -> list[dict[str, Any]]:
        """The body of the flows of the laboratory."""
        return self.bodies.laboratory(command, overrides)

    def settings_for(self, overrides: list[str]) -> Settings:
        """Those at hand, or what other overrides ask for; the database stays ours, and so does a confirmation of live trading.

        Raises:
            SafetyError: the overrides would confirm it themselves.
        """
        if overrides == list(self.settings.stored_overrides):
            return self.settings
        refuse_stored(overrides)
        return load(self.command, overrides)

    def undecided(self, close_ms: int) -> bool:
        """Whether a trader has not decided the bar that closed then."""
        bar_ts = close_ms - timeframe_ms(self.settings.timeframe)
        everyone = self.settings.traders or (self.settings,)
        return any((self._decided(one) or -1) < bar_ts for one in everyone)

    def asked(self) -> bool:
        """Whether positions at an exchange are to be closed and still are there; simulated ones close at the next open anyway."""
        return any(self._to_close(one) for one in self.settings.traders or (self.settings,) if one.executor.kind == "okx")

    def _to_close(self, settings: Settings) -> bool:
        told = Controls(self.side).state(settings.trader)
        flatten = told.killed == "flatten" and Ledger(self.side, settings.trader, settings.timeframe, settings.executor.kind).engaged()
        return bool(flatten) or told.close_ms is not None

    def _decided(self, settings: Settings) -> int | None:
        ledger = Ledger(self.side, settings.trader, settings.timeframe, settings.executor.kind)
        return min((ledger.decided_ts(instrument.symbol) or -1 for instrument in settings.symbols), default=None)

    def alert(self, kind: str, message: str) -> None:
        """Record a warning where the page shows it."""
        log.warning("%s", message)
        with suppress(StoreError):
            record_alert(self.side, DatabaseClock(self.side).now_ms(), "warning", kind, message)

    def run_name(self, job: str) -> str:
        """What a run is called in Prefect's lists: job, symbols and the bar's close by the market's clock, e.g. trade-BTC-1114T23."""
        symbols = "-".join(instrument.symbol.partition("/")[0] for instrument in self.settings.symbols)
        return f"{job}-{symbols}-{datetime.fromtimestamp(DatabaseClock(self.side).now_ms() / 1000, UTC):%m%dT%H}"


def said(row: dict[str, Any]) -> str:
    """A decision in a line."""
    bar = datetime.fromtimestamp(row["bar_ts"] / 1000, UTC)
    orders = "".join(f", order {order['quantity']:+g}" for order in row.get("orders", ()))
    return f"{row['trader']} {row['symbol']} {bar:%Y-%m-%d %H:%M}: exposure {row['exposure']:+.3f} at {row['price']:g}{orders}"


def once(command: str, overrides: Sequence[str]) -> list[dict[str, Any]]:
    """Do the job that is called as the command, in this process, and close what it opened.

    Raises:
        SafetyError: the overrides, which a scheduler has stored, confirm live trading.
    """
    refuse_stored(overrides)
    with Bench.of(command, overrides) as bench:
        job: Any = getattr(bench, command)
        return list(job(list(overrides)))
