"""Trading an account at an exchange: from settings to a live executor, one cycle, a sync."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

from alpha_arena.core.errors import ConfigError
from alpha_arena.core.market import Study
from alpha_arena.core.ports import Clock
from alpha_arena.core.records import Booking
from alpha_arena.core.timeframes import timeframe_ms
from alpha_arena.core.venue import Venue
from alpha_arena.data.controls import Controls
from alpha_arena.data.lease import Lease
from alpha_arena.data.live_ledger import LiveLedger
from alpha_arena.data.service import DataService
from alpha_arena.engine import Cycle, Tick, Trader, step, ticks
from alpha_arena.exchange.accounts import Keys
from alpha_arena.execution.live import LiveExecutor, open_account, prepare
from alpha_arena.execution.tracker import Pace
from alpha_arena.settings import Settings
from alpha_arena.settings.model import OkxChoice
from alpha_arena.wiring.desk import check_account, leased, markets_of, newest_close, study_of, trader_of
from alpha_arena.wiring.venue import checked_keys, exchange_of, speed_of

Opener = Callable[[Settings, Clock], Venue]


@dataclass(frozen=True, slots=True)
class LiveDesk:
    """A live trader at work. newest: the newest close, None where it is decided already; missed: how many before it never will be."""

    trader: Trader
    study: Study
    ledger: LiveLedger
    executor: LiveExecutor
    newest: Tick | None
    missed: int


def account_of(settings: Settings, clock: Clock, host: str, keys: Keys | None) -> Venue:
    """The account at a host; without keys only what is public can be asked."""
    from alpha_arena.exchange.okx_account import OkxAccount

    demo = settings.environment != "live"
    timeout_s = float(exchange_of(settings).params["timeout_s"])
    return OkxAccount(host, keys or Keys("", "", ""), demo, settings.symbols, clock, timeout_s)


def opened(settings: Settings, clock: Clock) -> Venue:
    """The trader's own account.

    Raises:
        ConfigError: there are no keys. SafetyError: keys and host do not belong together.
    """
    host, keys = checked_keys(settings, settings.environment, os.environ)
    if keys is None:
        raise ConfigError(f"there are no keys for {host}; set OKX_API_KEY, OKX_API_SECRET and OKX_PASSPHRASE, see .env.example")
    return account_of(settings, clock, host, keys)


def pace_of(settings: Settings) -> Pace:
    """How long to wait for what: tolerances are wall time, so that a scaled clock multiplies them."""
    chosen, speed = settings.executor, max(1.0, speed_of(settings))
    assert isinstance(chosen, OkxChoice)
    return Pace(
        expires_ms=round(chosen.expires_s * 1000 * speed),
        margin_ms=round(Pace().margin_ms * speed),
        settle_ms=round(chosen.settle_s * 1000 * speed),
        stale_ms=round(Pace().stale_ms * speed),
        protect_s=chosen.protect_within_s,
        sends=chosen.sends,
        rejections=chosen.rejections,
        dead_man_s=chosen.dead_man_s,
    )


def held_account(service: DataService, venue: Venue) -> AbstractContextManager[Lease]:
    """The lease of an account at the exchange: one living process trades it, whatever the trader is called; LeaseLost as `leased`."""
    return leased(service, f"account:{venue.name}:{venue.config().uid}")


def live_desk(settings: Settings, service: DataService, clock: Clock, venue: Venue, lease: Lease) -> LiveDesk:
    """Prepare account and ledger, and find the close to decide. Bars that were missed are past: the market has moved on.

    Raises:
        SafetyError, VenueError: the account is not as it must be, or does not answer.
    """
    now, bar_ms = clock.now_ms(), timeframe_ms(settings.timeframe)
    markets = markets_of(settings, service, now // bar_ms * bar_ms)
    ledger = LiveLedger(service, settings.trader, settings.timeframe, venue.name, lease)
    check_account(settings, ledger)
    prepare(venue, {instrument.symbol: settings.decider.leverage for instrument in settings.symbols})
    open_account(ledger, venue)
    executor = LiveExecutor(venue, ledger, markets, clock, Controls(service), pace_of(settings))
    newest, decided = newest_close(markets) - bar_ms, ledger.decided_ts()
    visible = study_of(settings, markets, newest)
    if decided is not None and decided >= newest:
        return LiveDesk(trader_of(settings), visible, ledger, executor, None, 0)
    missed = 0 if decided is None else (newest - decided) // bar_ms - 1
    return LiveDesk(trader_of(settings), visible, ledger, executor, next(ticks(visible, newest, now)), missed)


def live_cycle(settings: Settings, clock: Clock, service: DataService, opener: Opener = opened) -> Cycle | None:
    """Bring to its end what an earlier process began, then decide the newest close once.

    Raises:
        LeaseLost: another process trades the account. Unreconciled, VenueError: nothing was decided, protection stays.
    """
    venue = opener(settings, clock)
    with held_account(service, venue) as lease:
        desk = live_desk(settings, service, clock, venue, lease)
        desk.executor.recover()
        if desk.newest is None:
            return None
        if desk.missed:
            desk.ledger.audit(clock.now_ms(), "missed", f"{desk.missed} bars before {desk.newest.bar_ts} were never decided")
        done = step(desk.newest, desk.study, desk.trader, desk.executor, desk.ledger)
        # what fills at once is booked and protected at once
        desk.executor.recover()
        return done


def live_sync(settings: Settings, clock: Clock, service: DataService, opener: Opener = opened) -> dict[str, Any]:
    """Book what the exchange has done; `order_sync=full` compares everything since the account was opened.

    Raises:
        as live_cycle.
    """
    venue = opener(settings, clock)
    with held_account(service, venue) as lease:
        desk = live_desk(settings, service, clock, venue, lease)
        booking = desk.executor.recover(settings.order_sync == "full")
        state, reason = desk.ledger.stands()
    return {**told(settings, booking), "state": state, "reason": reason}


def told(settings: Settings, booking: Booking) -> dict[str, Any]:
    """A booking as `sync` prints it."""
    held = {symbol: asdict(position) for symbol, position in booking.account.positions.items() if position.quantity}
    figures = {"cash": booking.account.cash, "equity": booking.equity, "positions": held}
    return {"trader": settings.trader, "bars": 0, "fills": len(booking.fills), **figures}
