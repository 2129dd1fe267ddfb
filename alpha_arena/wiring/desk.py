"""A trader at its desk: its account, what it may see, and the closes that it has not yet decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alpha_arena.core.errors import ConfigError, NoData
from alpha_arena.core.market import Market, Study
from alpha_arena.core.ports import Clock
from alpha_arena.core.timeframes import UNIT_MS, timeframe_ms, timeframe_name
from alpha_arena.core.types import Account, Order
from alpha_arena.engine import Tick, Trader, ticks
from alpha_arena.execution.simulated import SimulatedExecutor
from alpha_arena.settings import Settings
from alpha_arena.wiring.study import study

if TYPE_CHECKING:
    from alpha_arena.data.controls import Controls
    from alpha_arena.data.lease import Lease
    from alpha_arena.data.ledger import Ledger
    from alpha_arena.data.service import DataService

LEASE_S = 600.0
WAIT_BARS = 2


@dataclass(frozen=True, slots=True)
class Desk:
    """A trader at work: its ledger, what people told it, its executor and the closes that it has not yet seen."""

    trader: Trader
    study: Study
    ledger: Ledger
    controls: Controls
    executor: SimulatedExecutor
    ticks: list[Tick]


def trader_of(settings: Settings) -> Trader:
    """The engine's trader that a configuration describes."""
    return Trader(
        id=settings.trader,
        timeframe=settings.timeframe,
        instruments={instrument.symbol: instrument for instrument in settings.symbols},
        decider=settings.decider,
        rules=settings.rules,
        costs=settings.costs,
        decider_name=settings.decider.name,
        equity_quote=settings.equity,
        config_hash=settings.config_hash,
    )


def markets_of(settings: Settings, service: DataService, end_ms: int | None) -> dict[str, Market]:
    """Stored markets of the configured symbols, bars closed by `end_ms` (None: all).

    Raises:
        NoData: nothing is stored for a symbol.
    """
    markets = {}
    for instrument in settings.symbols:
        source = service.source(instrument.symbol, settings.source)
        market = service.market(instrument.symbol, settings.timeframe, end_ts=end_ms, exchange=source)
        if not len(market):
            raise NoData(
                f"no closed {settings.timeframe} candles of {instrument.symbol} are stored before the end asked for; ingest them first"
            )
        markets[instrument.symbol] = market
    return markets


def study_of(settings: Settings, markets: Mapping[str, Market], first_ts: int = 0) -> Study:
    """What the configured decider may see of the markets."""
    instruments = {instrument.symbol: instrument for instrument in settings.symbols}
    return study(markets, settings.strategies, settings.regime, settings.costs, instruments, settings.window, first_ts)


def newest_close(markets: Mapping[str, Market]) -> int:
    """Latest close over the markets, ms."""
    return max(int(market.ts[-1]) + market.bar_ms for market in markets.values())


def held(settings: Settings, service: DataService) -> AbstractContextManager[Lease]:
    """The lease of a trader, so that one process at a time acts for it; LeaseLost as `leased`."""
    return leased(service, f"trader:{settings.trader}")


@contextmanager
def leased(service: DataService, name: str) -> Iterator[Lease]:
    """Hold a lease until the block ends.

    Raises:
        LeaseLost: another living process holds it.
    """
    from alpha_arena.data.lease import Lease

    lease = Lease(service, name, LEASE_S)
    lease.acquire()
    try:
        yield lease
    finally:
        lease.release()


def open_desk(settings: Settings, service: DataService, clock: Clock, lease: Lease | None = None) -> Desk:
    """Load a trader's account and find the closes it has not yet seen; a new trader's account is opened.

    A new trader starts at the newest close, or `catch_up_days` before it. Every write checks the lease.

    Raises:
        ConfigError: the trader's account belongs to another timeframe, or holds what is not configured.
    """
    from alpha_arena.data.controls import Controls
    from alpha_arena.data.ledger import Ledger

    now = clock.now_ms()
    bar_ms = timeframe_ms(settings.timeframe)
    markets = markets_of(settings, service, now // bar_ms * bar_ms)
    newest = newest_close(markets) - bar_ms
    ledger = Ledger(service, settings.trader, settings.timeframe, "simulated", lease)
    check_account(settings, ledger)
    start = newest - settings.catch_up_days * UNIT_MS["d"]
    first = resume_ts(ledger, settings, max(start, min(int(market.ts[0]) for market in markets.values())))
    executor = paper(settings, markets, ledger.account(), ledger.open_orders(), or_else(ledger.last_booked_ts(), -1))
    visible = study_of(settings, markets, first)
    ready = awaited(list(ticks(visible, first, now)), len(markets), now - WAIT_BARS * bar_ms)
    return Desk(trader_of(settings), visible, ledger, Controls(service), executor, ready)


def paper(
    settings: Settings, markets: Mapping[str, Market], account: Account, working: Sequence[Order], applied_ts: int
) -> SimulatedExecutor:
    """The simulated executor of a trader."""
    instruments = {instrument.symbol: instrument for instrument in settings.symbols}
    return SimulatedExecutor(settings.trader, account, working, markets, instruments, settings.costs, settings.decider.leverage, applied_ts)


def check_account(settings: Settings, ledger: Ledger) -> None:
    """Refuse an account that this configuration cannot go on with.

    Raises:
        ConfigError: it trades another timeframe, or has a position or order in a symbol that is not configured.
    """
    who, other = f"trader {settings.trader}", "or use another trader.id="
    bar_ms = ledger.bar_ms()
    if bar_ms not in (None, timeframe_ms(settings.timeframe)):
        own = timeframe_name(bar_ms or 0)
        raise ConfigError(f"{who} trades {own} bars, not timeframe={settings.timeframe}; give timeframe={own}, {other}")
    strange = sorted(ledger.engaged() - {instrument.symbol for instrument in settings.symbols})
    if strange:
        raise ConfigError(f"{who} has a position or order in {', '.join(strange)}, which is not among the symbols given; add it, {other}")


def awaited(every: Sequence[Tick], symbols: int, patience_ms: int) -> list[Tick]:
    """The closes to go on with: a newest one for which a symbol's candle is still missing waits, until it is older than `patience_ms`.

    Without the wait a stop or settlement in that candle would never be applied.
    """
    ready = list(every)
    while ready and len(ready[-1].rows) < symbols and ready[-1].close_ts > patience_ms:
        ready.pop()
    return ready


def resume_ts(ledger: Ledger, settings: Settings, start: int) -> int:
    """Open of the first bar to step: the last booked one where it is not decided yet, else the next; `start` for a new account."""
    ledger.open_account(settings.initial_capital, start)
    booked = ledger.last_booked_ts()
    if booked is None:
        return start
    decided = or_else(ledger.decided_ts(), -1)
    return booked if decided < booked else booked + 1


def or_else(value: int | None, default: int) -> int:
    return default if value is None else value
