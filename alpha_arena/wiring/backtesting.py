"""A backtest: stored candles through the trading loop, and what it leaves."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alpha_arena.backtest.record import Record, from_bookings
from alpha_arena.backtest.reference import known_regimes
from alpha_arena.backtest.result import Run, Terms
from alpha_arena.core.errors import ConfigError, NoData
from alpha_arena.core.market import Market, Study
from alpha_arena.core.quality import check_funding
from alpha_arena.core.types import Account, Candles, Funding, Ints
from alpha_arena.data.memory import MemoryStore
from alpha_arena.engine import Trader, run, ticks
from alpha_arena.execution.simulated import SimulatedExecutor
from alpha_arena.settings import Settings, load, parameter_names
from alpha_arena.wiring.arrays import by_kernel
from alpha_arena.wiring.desk import markets_of, study_of, trader_of

if TYPE_CHECKING:
    import pandas as pd

    from alpha_arena.data.service import DataService
    from alpha_arena.wiring.estimating import Announce

Progress = Callable[[int, int], None]
STRIDE = 500
SYNTHETIC = "synthetic"
COLUMNS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Window:
    """The bars that are simulated: opens from first_ts to last_ts, both in; `rows` of them."""

    first_ts: int
    last_ts: int
    rows: int


@dataclass(frozen=True, slots=True)
class Played:
    """A simulated window. engine: kernel or loop; why: in one sentence."""

    record: Record
    engine: str
    why: str


def window(markets: Mapping[str, Market], start_ms: int | None, limit: int | None) -> Window:
    """The simulated part of the stored history, which the markets hold up to its end.

    Raises:
        NoData: no bar lies in it.
    """
    every = opens_of(markets)
    chosen = every[np.searchsorted(every, start_ms) :] if start_ms is not None else every
    chosen = chosen[-limit:] if limit is not None else chosen
    if not chosen.size:
        raise NoData(f"no stored bar of {', '.join(markets)} lies between start and end; ingest that range or widen it")
    return Window(int(chosen[0]), int(chosen[-1]), int(chosen.size))


def opens_of(markets: Mapping[str, Market]) -> Ints:
    """Opens of the bars of all markets, ms UTC, each once, ascending."""
    return np.unique(np.concatenate([market.ts for market in markets.values()]))


def part_of(markets: Mapping[str, Market], part: Window) -> dict[str, Market]:
    """The simulated bars alone."""
    cut = {symbol: np.searchsorted(market.ts, (part.first_ts, part.last_ts + 1)) for symbol, market in markets.items()}
    return {symbol: markets[symbol].rows(int(first), int(end)) for symbol, (first, end) in cut.items()}


def play(
    study: Study,
    trader: Trader,
    initial_capital: float,
    part: Window,
    progress: Progress | None = None,
    details: Mapping[str, Market] | None = None,
) -> MemoryStore:
    """Run the loop over a window from a flat account; its memory tells what happened.

    Args:
        initial_capital: quote currency.
        progress: told (bars done, bars in all) every 500 bars and at the end.
        details: by symbol, shorter bars, which decide what came first within a bar.
    """
    store = MemoryStore(trader.id)
    executor = SimulatedExecutor(
        trader.id, Account(initial_capital), (), study.markets, trader.instruments, trader.costs, trader.decider.leverage, details=details
    )
    closes = ticks(study, part.first_ts, last_ts=part.last_ts)
    with uncollected():
        for done, _ in enumerate(run(closes, study, trader, executor, store), 1):
            if progress and (done % STRIDE == 0 or done == part.rows):
                progress(done, part.rows)
    return store


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for garbage in cycles until the block ends.

    A loop's memory grows with every bar, so that it is gone through again and again, with all that was imported; no cycle is ever found.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def trade(
    study: Study,
    trader: Trader,
    initial_capital: float,
    part: Window,
    progress: Progress | None = None,
    details: Mapping[str, Market] | None = None,
) -> Played:
    """A window from a flat account: over arrays where no risk rule binds along the path, else in the loop; arguments as of `play`."""
    lower = details or {}
    record, why = by_kernel(study, trader, initial_capital, part.first_ts, next(iter(lower.values()), None))
    if record is None:
        store = play(study, trader, initial_capital, part, progress, lower)
        record = record_of(store, part_of(study.markets, part), initial_capital)
        return Played(replace(record, details=lower), "loop", why)
    if progress:
        progress(part.rows, part.rows)
    return Played(replace(record, details=lower), "kernel", why)


def run_backtest(settings: Settings, service: DataService, progress: Progress | None = None, announce: Announce | None = None) -> Run:
    """Simulate the configured trader over stored candles.

    Signals are computed over all stored rows before `end`; `start` and `limit` cut only what is simulated.

    Args:
        announce: told what a model may be asked and what that may cost, before anybody is.

    Raises:
        NoData: nothing is stored, or nothing in the window. ConfigError: a model may be asked more often than most_calls.
    """
    # a backtest of a frame needs no database, and comes with this module
    from alpha_arena.wiring.advising import connected
    from alpha_arena.wiring.estimating import announced

    generated = are_generated(settings, service)
    details = details_of(settings, service)
    markets = markets_of(settings, service, settings.end_ms)
    announced(settings, [(settings, 1)], markets, window(markets, settings.start_ms, settings.limit), announce)
    return simulate(connected(settings, service, "backtest"), markets, generated, progress, details)


def are_generated(settings: Settings, service: DataService) -> bool:
    """Whether the candles of a configured symbol are not real ones."""
    return any(SYNTHETIC in service.source(instrument.symbol, settings.source) for instrument in settings.symbols)


def details_of(settings: Settings, service: DataService) -> dict[str, Market]:
    """Shorter bars of the configured symbols, none where `detail` is not given.

    Raises:
        NoData: none are stored for a symbol.
    """
    if settings.detail is None:
        return {}
    missing = f"detail={settings.detail}: no such candles of {{symbol}} are stored; ingest them, or leave detail= away"
    found = {}
    for instrument in settings.symbols:
        source = service.source(instrument.symbol, settings.source)
        found[instrument.symbol] = service.market(instrument.symbol, settings.detail, end_ts=settings.end_ms, exchange=source)
        if not len(found[instrument.symbol]):
            raise NoData(missing.format(symbol=instrument.symbol))
    return found


def simulate(
    settings: Settings,
    markets: Mapping[str, Market],
    generated: bool = False,
    progress: Progress | None = None,
    details: Mapping[str, Market] | None = None,
) -> Run:
    """Simulate the configured trader over markets; `generated`: they are not real, and the result says so; details as of `play`.

    Raises:
        ConfigError: `detail` is configured, and no shorter bars are given.
    """
    if settings.detail and not details:
        raise ConfigError(f"detail={settings.detail} is read from the database, and these candles are not; leave detail away")
    began = time.perf_counter()
    part = window(markets, settings.start_ms, settings.limit)
    trader = trader_of(settings)
    study = study_of(settings, markets, part.first_ts)
    played = trade(study, trader, settings.initial_capital, part, progress, details)
    regimes = {symbol: known_regimes(market, study.regimes[symbol], played.record.ts) for symbol, market in markets.items()}
    terms = Terms(
        trader.costs,
        trader.instruments,
        trader.decider.leverage,
        time.perf_counter() - began,
        settings.equity,
        generated,
        played.engine,
        played.why,
    )
    return Run.of(name_of(settings), played.record, terms, settings.resolved, regimes)


def record_of(store: MemoryStore, markets: Mapping[str, Market], initial_capital: float) -> Record:
    """What the loop left, as frames."""
    outcomes = store.followed().closed if any(decision.wanted.advice for decision in store.decisions) else ()
    return from_bookings(store.bookings, store.decisions, markets, initial_capital, outcomes)


def name_of(settings: Settings) -> str:
    """What a run is called: its strategy, or its decider."""
    return next(iter(settings.strategies)) if settings.decider.name == "single" else settings.decider.name


def backtest(frame: pd.DataFrame, strategy: str = "ema_trend", funding: pd.DataFrame | None = None, **overrides: Any) -> Run:
    """Backtest a frame of candles, e.g. in a notebook.

    Args:
        frame: open, high, low, close, volume (base currency), and ts (bar opens, ms UTC) as a column or times as the index.
        strategy: a file of conf/strategy. funding: ts and rate (or funding_rate).
        overrides: the strategy's parameters, or any key of the configuration; dots are written as two underscores (costs__taker_fee=0).

    Returns:
        the run: `.result`, and the frames `.trades`, `.equity`, `.signals`.

    Raises:
        ConfigError: a key that does not exist or a value out of range. DataError: rows that cannot be trusted.
    """
    from alpha_arena.core.quality import check_candles

    candles = candles_of(frame)
    own = parameter_names(strategy) if overrides else frozenset()
    given = [f"{f'strategy.{key}' if key in own else key.replace('__', '.')}={value}" for key, value in overrides.items()]
    settings = load("backtest", [f"strategy={strategy}", *given])
    instrument = settings.symbols[0]
    bar_ms = bar_length(candles, settings)
    checked = check_candles(candles, bar_ms, int(candles.ts.max()) + bar_ms, "the frame").candles
    return simulate(settings, {instrument.symbol: Market.of(instrument.symbol, bar_ms, checked, funding_of(funding))})


def bar_length(candles: Candles, settings: Settings) -> int:
    """The commonest step between bars, ms; the configured timeframe's for a single bar."""
    from alpha_arena.core.timeframes import timeframe_ms

    steps = np.diff(np.unique(candles.ts))
    if not steps.size:
        return timeframe_ms(settings.timeframe)
    values, counts = np.unique(steps, return_counts=True)
    return int(values[counts.argmax()])


def candles_of(frame: pd.DataFrame) -> Candles:
    """Candles from a frame's columns; times from ts or the index.

    Raises:
        NoData: the frame is empty. ConfigError: a column is missing.
    """
    missing = [name for name in COLUMNS if name not in frame]
    if missing:
        raise ConfigError(f"the frame has no column {missing[0]!r}; it needs {', '.join(COLUMNS)} and ts or a time index")
    if not len(frame):
        raise NoData("the frame is empty; give at least one bar")
    ts = frame["ts"].to_numpy(np.int64) if "ts" in frame else frame.index.to_numpy("datetime64[ms]").astype(np.int64)
    return Candles(ts, *(frame[name].to_numpy(np.float64) for name in COLUMNS))


def funding_of(frame: pd.DataFrame | None) -> Funding:
    """Settlements from a frame, checked and put in order as those of a file are.

    Raises:
        ConfigError: a column is missing. DataError: rows that cannot be trusted.
    """
    if frame is None:
        return Funding.none()
    name = next((name for name in ("rate", "funding_rate") if name in frame), None)
    if name is None or "ts" not in frame:
        raise ConfigError("the funding frame needs the columns ts (ms) and rate (fraction)")
    given = Funding(frame["ts"].to_numpy(np.int64), frame[name].to_numpy(np.float64))
    return check_funding(given, int(frame["ts"].max()) + 1, "the funding frame").funding if len(frame) else Funding.none()


def save(run_: Run, settings: Settings, service: DataService, now_ms: int) -> tuple[Run, Path]:
    """Write the run's folder and keep it in the database; the run as it stands there, held against all trials, and the folder."""
    from alpha_arena.backtest.folder import market_hashes, write_run
    from alpha_arena.data.notes import record_backtest
    from alpha_arena.wiring.judging import deflated
    from alpha_arena.wiring.proof import counted, origin

    end_ms = max(int(market.ts[-1]) + market.bar_ms for market in run_.markets.values())
    read, shorter = markets_of(settings, service, end_ms), details_of(replace(settings, end_ms=end_ms), service)
    data_hash = service.data_hash([*read.values(), *shorter.values()])
    ever = counted(run_, settings, service, now_ms, read, data_hash)
    run_ = deflated(run_, ever)
    proof = {**origin(run_, settings, service, read, ever), "detail": market_hashes(shorter)["candles"]}
    folder = write_run(run_, settings.outputs, "backtest", now_ms, settings.shown_overrides, market_hashes(read), proof)
    row = {
        "name": folder.name,
        "trader": settings.trader,
        "created_ms": now_ms,
        "symbol": ",".join(run_.markets),
        "timeframe": settings.timeframe,
        "strategy": run_.name,
        "folder": str(folder),
        "config_hash": settings.config_hash,
        "data_hash": data_hash,
    }
    own = {"symbol": row["symbol"]}
    trades: list[dict[str, Any]] = run_.trades.to_dict("records")  # type: ignore[assignment]
    record_backtest(service, row, run_.result, [{**own, **trade} for trade in trades])
    return run_, folder
