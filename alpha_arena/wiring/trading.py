"""Paper and live trading: one cycle, a sync, a decision, from stored candles and the trader's ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

from alpha_arena.core.errors import AlreadyDecided, NoData
from alpha_arena.core.market import Market, Study, View
from alpha_arena.core.ports import Clock
from alpha_arena.core.records import Decision
from alpha_arena.core.timeframes import UNIT_MS, timeframe_ms
from alpha_arena.core.types import Account, Order, RiskState
from alpha_arena.data.lease import Lease, LeaseLost
from alpha_arena.data.ledger import Ledger
from alpha_arena.data.memory import MemoryStore
from alpha_arena.data.service import DataService
from alpha_arena.engine import Tick, Trader, apply, regime_context, run, step, ticks
from alpha_arena.execution.simulated import SimulatedExecutor
from alpha_arena.settings import NotYet, Settings
from alpha_arena.wiring.study import study

BATCH = 100
LEASE_S = 600.0


@dataclass(frozen=True, slots=True)
class Desk:
    """A trader at work: its ledger, executor and the closes that it has not yet seen."""

    trader: Trader
    study: Study
    ledger: Ledger
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


def everyone_trades_on_paper(settings: Settings) -> None:
    """Orders that go to an exchange are not sent yet.

    Raises:
        NotYet: they would.
    """
    if settings.executor.kind != "simulated":
        raise NotYet("executor=okx comes with a later version; until then choose executor=simulated")


@contextmanager
def held(settings: Settings, service: DataService) -> Iterator[Lease]:
    """The lease of a trader, so that one process at a time acts for it.

    Raises:
        LeaseLost: another living process holds it.
    """
    lease = Lease(service, f"trader:{settings.trader}", LEASE_S)
    lease.acquire()
    try:
        yield lease
    finally:
        lease.release()


def open_desk(settings: Settings, service: DataService, clock: Clock, lease: Lease | None = None) -> Desk:
    """Load a trader's account and find the closes it has not yet seen; a new trader's account is opened.

    A new trader starts at the newest close, or `catch_up_days` before it. Every write checks the lease.
    """
    everyone_trades_on_paper(settings)
    now = clock.now_ms()
    bar_ms = timeframe_ms(settings.timeframe)
    markets = markets_of(settings, service, now // bar_ms * bar_ms)
    newest = newest_close(markets) - bar_ms
    ledger = Ledger(service, settings.trader, settings.timeframe, "simulated", lease)
    start = newest - settings.catch_up_days * UNIT_MS["d"]
    first = resume_ts(ledger, settings, max(start, min(int(market.ts[0]) for market in markets.values())))
    executor = SimulatedExecutor(
        settings.trader,
        ledger.account(),
        ledger.open_orders(),
        markets,
        {instrument.symbol: instrument for instrument in settings.symbols},
        settings.costs,
        settings.decider.leverage,
        applied_ts=_or(ledger.last_booked_ts(), -1),
    )
    seen = study_of(settings, markets, first)
    return Desk(trader_of(settings), seen, ledger, executor, list(ticks(seen, first, now)))


def resume_ts(ledger: Ledger, settings: Settings, start: int) -> int:
    """Open of the first bar to step: the last booked one where it is not decided yet, else the next; `start` for a new account."""
    ledger.open_account(settings.initial_capital, start)
    booked = ledger.last_booked_ts()
    if booked is None:
        return start
    decided = max((_or(ledger.decided_ts(instrument.symbol), -1) for instrument in settings.symbols), default=-1)
    return booked if decided < booked else booked + 1


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def everyone(settings: Settings) -> Iterable[Settings]:
    """The traders of an arena, or the one that is configured."""
    return settings.traders or (settings,)


def trade_cycle(settings: Settings, clock: Clock, service: DataService | None = None) -> list[dict[str, Any]]:
    """Decide the newest closed bar for each trader, after the bars missed since its last one (simulated executor only).

    Returns:
        the decisions of this cycle as JSON-able dicts; none for a trader that has decided the bar before.
    """
    store = service or DataService(settings.database_url)
    return [record for one in everyone(settings) for record in trade_one(one, clock, store)]


def trade_one(settings: Settings, clock: Clock, service: DataService) -> list[dict[str, Any]]:
    """One trader's part of a cycle; another process that acts for the trader, or has decided meanwhile, ends it without an order.

    Bars of the past are committed many at a time, so that a month is caught up with in seconds; the newest one stands alone.
    """
    made: list[dict[str, Any]] = []
    with suppress(AlreadyDecided, LeaseLost), held(settings, service) as lease:
        desk = open_desk(settings, service, clock, lease)
        look_once(desk)
        past = [tick for tick in desk.ticks if tick.catch_up]
        for start in range(0, len(past), BATCH):
            with service.batch():
                made += cycles(desk, past[start : start + BATCH])
        made += cycles(desk, [tick for tick in desk.ticks if not tick.catch_up])
    return made


def look_once(desk: Desk) -> None:
    """Compute what the decider will see before the first transaction: it may take seconds, and other writers wait for a transaction."""
    if not desk.ticks:
        return
    first = desk.ticks[0]
    prices = {symbol: float(market.close[first.rows[symbol]]) for symbol, market in desk.study.markets.items() if symbol in first.rows}
    view = View(first.close_ts, first.close_ts, first.rows, desk.study, Account(0.0), RiskState(0.0), prices)
    desk.trader.decider.decide(view)
    for symbol in first.rows:
        regime_context(view, symbol, first.rows[symbol])


def cycles(desk: Desk, every: Sequence[Tick]) -> list[dict[str, Any]]:
    """Step through closes; the decisions as JSON-able dicts."""
    done = run(every, desk.study, desk.trader, desk.executor, desk.ledger)
    return [decision_json(decision, cycle.orders) for cycle in done for decision in cycle.decisions]


def sync(settings: Settings, clock: Clock, service: DataService | None = None) -> dict[str, Any]:
    """Apply closed bars to every trader's account and mark its equity; decides nothing, idempotent by bar."""
    store = service or DataService(settings.database_url)
    return {"traders": [sync_one(one, clock, store) for one in everyone(settings)]}


def sync_one(settings: Settings, clock: Clock, service: DataService) -> dict[str, Any]:
    """One trader's sync: how many bars were applied, and the account after them; nothing while another process acts for the trader."""
    try:
        with held(settings, service) as lease:
            return applied(open_desk(settings, service, clock, lease))
    except LeaseLost as lost:
        return {"trader": settings.trader, "bars": 0, "fills": 0, "note": str(lost)}


def applied(desk: Desk) -> dict[str, Any]:
    """Apply the closed bars that the account has not seen."""
    new = [tick for tick in desk.ticks if tick.bar_ts > desk.executor.applied_ts]
    bookings = [apply(tick, desk.executor, desk.ledger) for tick in new]
    account = desk.executor.account()
    held = {symbol: asdict(position) for symbol, position in account.positions.items() if position.quantity}
    equity = bookings[-1].equity if bookings else desk.executor.poll(desk.executor.applied_ts).equity
    return {
        "trader": desk.trader.id,
        "bars": len(bookings),
        "fills": sum(len(booking.fills) for booking in bookings),
        "cash": account.cash,
        "equity": equity,
        "positions": held,
    }


def decide(settings: Settings, clock: Clock, service: DataService | None = None) -> dict[str, Any]:
    """What the trader would decide at the newest close; nothing is recorded or sent.

    With several symbols the first one's decision is at the top and all are under "decisions".
    """
    store = service or DataService(settings.database_url)
    now = clock.now_ms()
    bar_ms = timeframe_ms(settings.timeframe)
    markets = markets_of(settings, store, now // bar_ms * bar_ms)
    seen = study_of(settings, markets, newest_close(markets) - bar_ms)
    tick = next(ticks(seen, newest_close(markets) - bar_ms, now))
    memory = MemoryStore(settings.trader)
    executor = SimulatedExecutor(
        settings.trader, present_account(settings, store), (), markets, trader_of(settings).instruments, settings.costs, 1.0, tick.bar_ts
    )
    cycle = step(tick, seen, trader_of(settings), executor, memory)
    records = [decision_json(decision, cycle.orders) for decision in cycle.decisions]
    return records[0] if len(records) == 1 else {**records[0], "decisions": records}


def present_account(settings: Settings, service: DataService) -> Account:
    """The trader's stored account, or the one it would open."""
    ledger = Ledger(service, settings.trader, settings.timeframe, "simulated")
    return ledger.account() if ledger.last_booked_ts() is not None else Account(settings.initial_capital)


def decision_json(decision: Decision, orders: Sequence[Order]) -> dict[str, Any]:
    """A decision as `decide report=json` prints it."""
    target = decision.target
    return {
        "trader": decision.trader,
        "symbol": decision.symbol,
        "timeframe": decision.timeframe,
        "bar_ts": decision.bar_ts,
        "decider": decision.decider,
        "market_regime_context": asdict(decision.regime),
        "exposure": target.exposure,
        "stop": target.stop,
        "take": target.take,
        "confidence": target.confidence,
        "why": target.why,
        "allocations": [asdict(share) for share in target.shares],
        "refusals": [asdict(refusal) for refusal in decision.refusals],
        "orders": [asdict(order) for order in orders if order.symbol == decision.symbol],
        "equity": decision.equity,
        "price": decision.price,
        "catch_up": decision.catch_up,
    }
