"""From a source of candles and funding into the database: incremental, idempotent, in batches that are a transaction each.

Files are imported whole, every time: equal rows change nothing. A live source goes on after the last stored bar. Timeframes that a source
does not have are aggregated from the highest lower one that divides them; only what was asked for is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter
from typing import Any, Protocol

from alpha_arena.core.errors import ConfigError, NoData, SourceError
from alpha_arena.core.ports import CandleSource
from alpha_arena.core.quality import Gap, Repair, check_candles, check_funding, find_gaps, utc
from alpha_arena.core.timeframes import aggregate, timeframe_ms
from alpha_arena.core.types import Candles, Funding

FUNDING = "funding"


class Written(Protocol):
    """What a write did, in rows."""

    @property
    def inserted(self) -> int: ...
    @property
    def changed(self) -> int: ...
    @property
    def unchanged(self) -> int: ...


class Warehouse(Protocol):
    """The part of DataService that an import needs; each write is a transaction."""

    def last_ts(self, exchange: str, symbol: str, timeframe: str) -> int | None: ...
    def write_candles(self, exchange: str, symbol: str, timeframe: str, candles: Candles) -> Written: ...
    def write_funding(self, exchange: str, symbol: str, funding: Funding) -> Written: ...
    def get_candles_range(self, symbol: str, timeframe: str, start_ts: int, end_ts: int, exchange: str | None = None) -> Candles: ...
    def get_latest_funding(self, symbol: str, exchange: str | None = None) -> dict[str, Any] | None: ...


class Register(Protocol):
    """The part of DataService that remembers imports."""

    def record_ingest(self, started_ms: int, report: Mapping[str, Any]) -> None: ...
    def record_gaps(self, symbol: str | None = None, timeframe: str | None = None, exchange: str | None = None) -> list[dict[str, Any]]: ...


class MarketSource(CandleSource, Protocol):
    """A source that says what it has; "funding" stands beside the timeframes."""

    @property
    def batch_bars(self) -> int:
        """Bars that are fetched and stored at a time."""

    def offers(self, symbols: Sequence[str] = ()) -> Mapping[str, tuple[str, ...]]:
        """Timeframes that it has, by symbol; of all symbols it has where none are named."""

    def span(self, symbol: str, timeframe: str) -> tuple[int, int] | None:
        """Start and end in ms of a history that is at hand whole; None where it goes on."""

    def repairs(self, symbol: str, timeframe: str) -> tuple[Repair, ...]:
        """What was put right before rows are given out."""


class Progress(Protocol):
    """Told after each batch."""

    def __call__(self, label: str, done: int, total: int) -> None:
        """`done` of `total` bars of what `label` names are stored."""


@dataclass(frozen=True, slots=True)
class Report:
    """What an import did to one series.

    Attributes:
        exchange: under which the rows are stored. timeframe: "funding" for settlements; made_of: the timeframe that was read.
        rows: closed bars or settlements that the source gave, or that were found stored; inserted + changed + unchanged = rows.
        first_ts, last_ts: of those rows, ms; None without any. gaps: bars missing between them, and since the last one stored before.
        seconds: spent on this series.
    """

    exchange: str
    symbol: str
    timeframe: str
    made_of: str
    rows: int = 0
    inserted: int = 0
    changed: int = 0
    unchanged: int = 0
    first_ts: int | None = None
    last_ts: int | None = None
    gaps: tuple[Gap, ...] = ()
    repairs: tuple[Repair, ...] = ()
    seconds: float = 0.0

    @property
    def rows_per_second(self) -> float:
        """Rows read and written a second; 0 before anything was."""
        return self.rows / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; each repair as a sentence."""
        return {**asdict(self), "repairs": [str(item) for item in self.repairs], "rows_per_second": self.rows_per_second}

    def plus(self, rows: Candles | Funding, done: Written, after_ms: int | None = None) -> Report:
        """This report after one more batch of at least one row; `after_ms`: the bar stored before the first batch."""
        before = after_ms if self.last_ts is None else self.last_ts
        return replace(
            self,
            rows=self.rows + rows.ts.size,
            inserted=self.inserted + done.inserted,
            changed=self.changed + done.changed,
            unchanged=self.unchanged + done.unchanged,
            first_ts=int(rows.ts[0]) if self.first_ts is None else self.first_ts,
            last_ts=int(rows.ts[-1]),
            gaps=self.gaps + (() if self.timeframe == FUNDING else find_gaps(rows.ts, timeframe_ms(self.timeframe), before)),
        )

    def noting(self, repairs: Sequence[Repair], seconds: float = 0.0) -> Report:
        """With more repairs, those of one kind added up, and more time spent."""
        rows: dict[tuple[str, str], int] = {}
        for item in (*self.repairs, *repairs):
            rows[item.kind, item.detail] = rows.get((item.kind, item.detail), 0) + item.rows
        added = tuple(Repair(kind, count, detail) for (kind, detail), count in rows.items())
        return replace(self, repairs=added, seconds=self.seconds + seconds)


@dataclass(frozen=True, slots=True)
class Stored:
    """Rows that were found complete, so that the source was not asked."""

    unchanged: int
    inserted: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """Bars of one timeframe to be read, and what is to be made of them.

    Attributes:
        starts: first open wanted, ms, by timeframe to be stored; end_ms: where to stop, exclusive.
        after: the last bar stored before, by timeframe, where one is.
    """

    symbol: str
    native: str
    starts: Mapping[str, int]
    end_ms: int
    after: Mapping[str, int] = field(default_factory=dict)

    @property
    def first_ms(self) -> int:
        """Where reading starts: the open of a bar of the highest timeframe."""
        return min(self.starts.values()) // self.highest_ms * self.highest_ms

    @property
    def highest_ms(self) -> int:
        """Length of the highest bar to be stored."""
        return max(map(timeframe_ms, self.starts))

    def windows(self, batch_bars: int) -> Iterator[tuple[int, int]]:
        """Ranges to read, ascending, each of whole bars of the highest timeframe (the last may be cut)."""
        step = max(batch_bars * timeframe_ms(self.native) // self.highest_ms, 1) * self.highest_ms
        return ((left, min(left + step, self.end_ms)) for left in range(self.first_ms, self.end_ms, step))


def ingest(
    service: Warehouse,
    source: MarketSource,
    symbols: Sequence[str],
    timeframes: Sequence[str],
    since_ms: int,
    now_ms: int,
    progress: Progress | None = None,
) -> list[Report]:
    """Import what is new, candles and funding: after the last stored bar, or from `since_ms` on where nothing is stored.

    A source whose whole history is at hand (files) is imported whole, whatever `since_ms` says.

    Args:
        symbols: none means all that the source has. timeframes: none means those that it has.
        now_ms: only bars closed by then are stored.

    Raises:
        ConfigError: a symbol or timeframe that the source does not have and that cannot be made of what it has.
        DataError: rows that cannot be trusted; nothing of their batch (of files: nothing at all) is stored.
        SourceError: the source failed; what was stored before stays, and the next call goes on after it. Of several series all are tried.
    """
    run = Import(service, source, progress)
    jobs = [run.fresh(symbol, native, made, since_ms, now_ms) for symbol, native, made in _plan(source, symbols, timeframes)]
    return run.all(jobs)


def backfill(
    service: Warehouse,
    source: MarketSource,
    symbols: Sequence[str],
    timeframes: Sequence[str],
    start_ms: int,
    end_ms: int,
    progress: Progress | None = None,
) -> list[Report]:
    """Import the closed bars and settlements of start <= ts < end.

    Batches of a live source that are stored without a gap are not asked for again: an interrupted call is resumed by repeating it.

    Raises:
        ConfigError: as ingest; or start is not before end.
        NoData: the source has nothing in the range.
        DataError, SourceError: as ingest.
    """
    if start_ms >= end_ms:
        raise ConfigError(f"start={utc(start_ms)} is not before end={utc(end_ms)}; give an earlier start or a later end")
    run = Import(service, source, progress, resume=True)
    plan = _plan(source, symbols, timeframes)
    reports = run.all([Job(symbol, native, dict.fromkeys(made, start_ms), end_ms) for symbol, native, made in plan])
    if not any(report.rows for report in reports):
        raise NoData(f"{source.name} has nothing from {utc(start_ms)} to {utc(end_ms)}{_history(source, plan)}; give another start or end")
    return reports


class SomeFailed(SourceError):
    """Series that could not be imported; `reports` are those of the others, which were."""

    def __init__(self, failed: Mapping[str, Exception], of: int, reports: Sequence[Report]) -> None:
        told = "; ".join(f"{series}: {error}" for series, error in failed.items())
        super().__init__(f"{len(failed)} of {of} series failed, the others are stored: {told}")
        self.reports = reports


def remembered(service: Register, started_ms: int, work: Callable[[], list[Report]]) -> list[Report]:
    """Import and record what was done, also where some of it failed.

    Raises:
        as the import.
    """
    try:
        reports = work()
    except SomeFailed as failure:
        remember(service, failure.reports, started_ms)
        raise
    remember(service, reports, started_ms)
    return reports


def remember(service: Register, reports: Sequence[Report], started_ms: int) -> None:
    """Record what an import did, and the gaps of the series that it touched."""
    for report in reports:
        service.record_ingest(started_ms, report.as_dict())
    touched = {(report.exchange, report.symbol, report.timeframe) for report in reports if report.inserted or report.changed}
    for exchange, symbol, timeframe in sorted(touched):
        service.record_gaps(symbol, timeframe, exchange)


@dataclass(frozen=True, slots=True)
class Import:
    """One call: where rows come from and go to. resume: ask only for batches that are not stored complete."""

    service: Warehouse
    source: MarketSource
    progress: Progress | None = None
    resume: bool = False

    def fresh(self, symbol: str, native: str, made: Sequence[str], since_ms: int, now_ms: int) -> Job:
        """What is not yet stored of a live source, or all of one whose history is at hand."""
        whole = self.source.span(symbol, native)
        if whole:
            return Job(symbol, native, dict.fromkeys(made, whole[0]), whole[1])
        last = {name: self._last_ts(symbol, name) for name in made}
        starts = {name: since_ms if ts is None else ts + _bar_ms(name) for name, ts in last.items()}
        return Job(symbol, native, starts, now_ms, {name: ts for name, ts in last.items() if ts is not None})

    def all(self, jobs: Sequence[Job]) -> list[Report]:
        """Do the jobs one after the other; one whose source fails does not keep the others from being done.

        Raises:
            SomeFailed: of several jobs one or more failed, after all were tried; of a single one its own error.
        """
        reports, failed = list[Report](), dict[str, SourceError]()
        for job in jobs:
            try:
                reports += self._settlements(job) if job.native == FUNDING else self._bars(job)
            except SourceError as error:
                failed[f"{job.symbol} {job.native}"] = error
        if failed and len(jobs) == 1:
            raise next(iter(failed.values()))
        if failed:
            raise SomeFailed(failed, len(jobs), reports) from next(iter(failed.values()))
        return reports

    def _last_ts(self, symbol: str, timeframe: str) -> int | None:
        if timeframe != FUNDING:
            return self.service.last_ts(self.source.name, symbol, timeframe)
        try:
            newest = self.service.get_latest_funding(symbol, self.source.name)
        except NoData:
            return None
        return int(newest["ts"]) if newest else None

    def _report(self, job: Job, timeframe: str) -> Report:
        repairs = self.source.repairs(job.symbol, job.native)
        return Report(self.source.name, job.symbol, timeframe, job.native, repairs=repairs)

    def _settlements(self, job: Job) -> list[Report]:
        began = perf_counter()
        checked = check_funding(self.source.funding(job.symbol, job.starts[FUNDING], job.end_ms), job.end_ms, f"funding of {job.symbol}")
        report = self._report(job, FUNDING)
        if checked.funding.ts.size:
            report = report.plus(checked.funding, self.service.write_funding(self.source.name, job.symbol, checked.funding))
        return [report.noting(checked.repairs, perf_counter() - began)]

    def _bars(self, job: Job) -> list[Report]:
        reports = {name: self._report(job, name) for name in job.starts}
        for left, right in job.windows(self.source.batch_bars):
            self._batch(job, left, right, reports)
            self._tell(job, right)
        return list(reports.values())

    def _batch(self, job: Job, left: int, right: int, reports: dict[str, Report]) -> None:
        began = perf_counter()
        if self.resume and not self.source.span(job.symbol, job.native) and self._found(job, left, right, reports):
            return
        bar_ms = timeframe_ms(job.native)
        rows = self.source.candles(job.symbol, job.native, left, right)
        checked = check_candles(rows, bar_ms, right, f"{job.native} candles of {job.symbol} from {self.source.name}")
        seconds = (perf_counter() - began) / len(reports)
        for name in reports:
            began = perf_counter()
            reports[name] = self._write(job, name, aggregate(checked.candles, bar_ms, timeframe_ms(name)), reports[name])
            reports[name] = reports[name].noting(self._noticed(job, checked.repairs), seconds + perf_counter() - began)

    def _write(self, job: Job, timeframe: str, bars: Candles, report: Report) -> Report:
        wanted = bars[bars.ts >= job.starts[timeframe]]
        if not len(wanted):
            return report
        written = self.service.write_candles(self.source.name, job.symbol, timeframe, wanted)
        return report.plus(wanted, written, job.after.get(timeframe))

    def _noticed(self, job: Job, repairs: Sequence[Repair]) -> Sequence[Repair]:
        """A source with a whole history has reported its repairs already."""
        return () if self.source.span(job.symbol, job.native) else repairs

    def _found(self, job: Job, left: int, right: int, reports: dict[str, Report]) -> bool:
        stored = {name: self._stored(job, name, left, right) for name in reports}
        if not all(stored.values()):
            return False
        for name, rows in stored.items():
            reports[name] = reports[name].plus(rows, Stored(len(rows))) if rows else reports[name]
        return True

    def _stored(self, job: Job, timeframe: str, left: int, right: int) -> Candles | None:
        """The stored bars of a window if none is missing; bars that the store would make of lower ones do not count."""
        if self.service.last_ts(self.source.name, job.symbol, timeframe) is None:
            return None
        bar_ms = timeframe_ms(timeframe)
        first = -(-max(left, job.starts[timeframe]) // bar_ms) * bar_ms
        rows = self.service.get_candles_range(job.symbol, timeframe, first, right - bar_ms + 1, self.source.name)
        return rows if len(rows) == max((right - first) // bar_ms, 0) else None

    def _tell(self, job: Job, right: int) -> None:
        if self.progress:
            bar_ms = timeframe_ms(job.native)
            self.progress(f"{job.symbol} {job.native}", (right - job.first_ms) // bar_ms, (job.end_ms - job.first_ms) // bar_ms)


def _plan(source: MarketSource, symbols: Sequence[str], timeframes: Sequence[str]) -> list[tuple[str, str, list[str]]]:
    """What to read: symbol, timeframe of the source, timeframes to store of it."""
    plan: list[tuple[str, str, list[str]]] = []
    for symbol, offered in source.offers(symbols).items():
        natives = [name for name in offered if name != FUNDING]
        made: dict[str, list[str]] = {}
        for wanted in dict.fromkeys(timeframes or natives) if natives else ():
            made.setdefault(_native(symbol, wanted, natives), []).append(wanted)
        plan += [(symbol, native, names) for native, names in made.items()]
        plan += [(symbol, FUNDING, [FUNDING])] if FUNDING in offered else []
    return plan


def _native(symbol: str, wanted: str, natives: Sequence[str]) -> str:
    usable = [name for name in natives if timeframe_ms(wanted) % timeframe_ms(name) == 0]
    if not usable:
        raise ConfigError(
            f"{wanted} candles of {symbol} cannot be made of what the source has ({', '.join(natives)}); leave {wanted} out of timeframes"
        )
    return max(usable, key=timeframe_ms)


def _bar_ms(timeframe: str) -> int:
    return 1 if timeframe == FUNDING else timeframe_ms(timeframe)


def _history(source: MarketSource, plan: Sequence[tuple[str, str, list[str]]]) -> str:
    spans = ((symbol, native, source.span(symbol, native)) for symbol, native, _ in plan)
    told = [f"{symbol} {native} from {utc(span[0])} to {utc(span[1])}" for symbol, native, span in spans if span]
    return f" (it has {', '.join(told)})" if told else ""
