"""Paper and live trading: one cycle, a sync, a decision, from stored candles and the trader's ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any, TypeVar

from alpha_arena.core.advice import Advice
from alpha_arena.core.errors import AlphaArenaError, AlreadyDecided
from alpha_arena.core.market import View
from alpha_arena.core.outcomes import Outcome
from alpha_arena.core.ports import Clock
from alpha_arena.core.records import Decision
from alpha_arena.core.timeframes import timeframe_ms
from alpha_arena.core.types import Account, Order, RiskState
from alpha_arena.data import queries
from alpha_arena.data.lease import LeaseLost
from alpha_arena.data.ledger import Ledger
from alpha_arena.data.memory import MemoryStore
from alpha_arena.data.service import DataService
from alpha_arena.decision.llm import Llm
from alpha_arena.engine import Tick, apply, regime_context, run, step, ticks
from alpha_arena.settings import Settings
from alpha_arena.wiring.advising import connected
from alpha_arena.wiring.desk import Desk, check_account, held, markets_of, newest_close, open_desk, or_else, paper, study_of, trader_of
from alpha_arena.wiring.live import live_cycle, live_sync

# so few that whoever else writes, such as a kill switch, waits for less than a second on a busy machine
BATCH = 25
TOLD = (
    *("messages", "response_raw", "parsed", "validation", "attempts", "usage", "cache", "feedback"),
    *("prompt_template_id", "template_sha256"),
)
Done = TypeVar("Done")


class SomeFailed(AlphaArenaError):
    """Traders that failed; the others did their part."""


def everyone(settings: Settings) -> Iterable[Settings]:
    """The traders of an arena, or the one that is configured."""
    return settings.traders or (settings,)


def each(settings: Settings, act: Callable[[Settings], Done]) -> list[Done]:
    """Let every trader act; one that fails does not keep the others from it.

    Raises:
        SomeFailed: of several traders one or more failed, after all have acted; of a single one its own error.
    """
    traders, done, failed = list(everyone(settings)), list[Done](), dict[str, Exception]()
    for one in traders:
        try:
            done.append(act(one))
        except Exception as error:  # noqa: BLE001 whatever is wrong with one trader, the others have stops to apply
            failed[one.trader] = error
    if not failed:
        return done
    first = next(iter(failed.values()))
    if len(traders) == 1:
        raise first
    told = "; ".join(f"{trader}: {type(error).__name__}: {error}" for trader, error in failed.items())
    raise SomeFailed(f"{len(failed)} of {len(traders)} traders failed, the others did their part: {told}") from first


def trade_cycle(settings: Settings, clock: Clock, service: DataService | None = None) -> list[dict[str, Any]]:
    """Decide the newest closed bar for each trader, after the bars missed since its last one (simulated executor only).

    Traders that ask no model decide first: one that waits for an answer keeps nobody else waiting.

    Returns:
        the decisions of this cycle as JSON-able dicts; none for a trader that has decided the bar before.

    Raises:
        SomeFailed: as `each`.
    """
    store = service or DataService(settings.database_url)
    ordered = replace(settings, traders=tuple(sorted(settings.traders, key=lambda one: isinstance(one.decider, Llm))))
    return [record for made in each(ordered, lambda one: trade_one(one, clock, store)) for record in made]


def trade_one(settings: Settings, clock: Clock, service: DataService) -> list[dict[str, Any]]:
    """One trader's part of a cycle; another process that acts for the trader, or has decided meanwhile, ends it without an order.

    Bars of the past are committed many at a time, so that a month is caught up with in seconds; the newest one stands alone.
    """
    made: list[dict[str, Any]] = []
    settings = connected(settings, service, "live" if settings.environment == "live" else "paper", clock.now_ms())
    if settings.executor.kind == "okx":
        with suppress(AlreadyDecided, LeaseLost), held(settings, service):
            cycle = live_cycle(settings, clock, service)
            made = [decision_json(decision, cycle.orders) for decision in cycle.decisions] if cycle else []
        return [followed(record, queries.orders(service, settings.trader)) for record in made]
    with suppress(AlreadyDecided, LeaseLost), held(settings, service) as lease:
        desk = open_desk(settings, service, clock, lease)
        look_once(desk)
        past = [tick for tick in desk.ticks if tick.catch_up]
        for start in range(0, len(past), BATCH):
            with service.batch():
                made += cycles(desk, past[start : start + BATCH])
        made += cycles(desk, [tick for tick in desk.ticks if not tick.catch_up])
    return made


def followed(record: dict[str, Any], known: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A decision with what became of its orders at the exchange. known: rows of the trader's newest orders."""
    fates = {row["client_order_id"]: {"state": row["state"], "cause": row["cause"]} for row in known}
    return {**record, "orders": [{**order, **fates.get(order["id"], {})} for order in record["orders"]]}


def look_once(desk: Desk) -> None:
    """Compute what the decider will see before the first transaction: it may take seconds, and other writers wait for a transaction."""
    if not desk.ticks:
        return
    first = desk.ticks[0]
    prices = {symbol: float(market.close[first.rows[symbol]]) for symbol, market in desk.study.markets.items() if symbol in first.rows}
    # as a past bar: nobody is to be asked about it
    view = View(first.close_ts, first.close_ts, first.rows, desk.study, Account(0.0), RiskState(0.0), prices, catch_up=True)
    desk.trader.decider.decide(view)
    for symbol in first.rows:
        regime_context(view, symbol, first.rows[symbol])


def cycles(desk: Desk, every: Sequence[Tick]) -> list[dict[str, Any]]:
    """Step through closes; the decisions as JSON-able dicts."""
    made = []
    for tick in every:
        cycle = step(tick, desk.study, desk.trader, desk.executor, desk.ledger)
        closed_as_asked(desk, cycle.account, tick.now_ms)
        made += [decision_json(decision, cycle.orders) for decision in cycle.decisions]
    return made


def closed_as_asked(desk: Desk, account: Account, now_ms: int) -> None:
    """Once everything that people asked to be closed is, the trader goes on."""
    asked_ms = desk.controls.state(desk.trader.id).close_ms
    if asked_ms is not None and asked_ms <= now_ms and not any(position.quantity for position in account.positions.values()):
        desk.controls.closed(desk.trader.id, asked_ms, now_ms, "all positions are closed")


def sync(settings: Settings, clock: Clock, service: DataService | None = None) -> dict[str, Any]:
    """Apply closed bars to every trader's account and mark its equity; decides nothing, idempotent by bar.

    Raises:
        SomeFailed: as `each`.
    """
    store = service or DataService(settings.database_url)
    return {"traders": each(settings, lambda one: sync_one(one, clock, store))}


def sync_one(settings: Settings, clock: Clock, service: DataService) -> dict[str, Any]:
    """One trader's sync: how many bars were applied, and the account after them; nothing while another process acts for the trader."""
    try:
        with held(settings, service) as lease:
            if settings.executor.kind == "okx":
                return live_sync(settings, clock, service)
            desk = open_desk(settings, service, clock, lease)
            return applied(desk, due(desk, settings))
    except LeaseLost as lost:
        return {"trader": settings.trader, "bars": 0, "fills": 0, "note": str(lost)}


def due(desk: Desk, settings: Settings) -> list[Tick]:
    """The closed bars that the account has not seen; where the trader trades, none beyond the first that it has yet to decide.

    What lies behind that bar depends on the decision, which a later cycle makes in catch-up.
    """
    new = [tick for tick in desk.ticks if tick.bar_ts > desk.executor.applied_ts]
    if not settings.schedule.trade:
        return new
    decided = desk.ledger.decided_ts()
    undecided = [tick.bar_ts for tick in desk.ticks if decided is not None and tick.bar_ts > decided]
    return [tick for tick in new if tick.bar_ts <= min(undecided, default=-1)]


def applied(desk: Desk, new: Sequence[Tick]) -> dict[str, Any]:
    """Apply closed bars."""
    bookings = [apply(tick, desk.study, desk.trader, desk.executor, desk.ledger) for tick in new]
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


class Overlay(MemoryStore):
    """Remembers what risk rules remember of a trader, and writes nothing.

    Args:
        ledger: of the trader; None where it has no account yet.
    """

    def __init__(self, trader: str, ledger: Ledger | None) -> None:
        super().__init__(trader, ledger.going_on() if ledger else None)
        self.ledger = ledger

    def outcomes(self, ts: int, most: int) -> Sequence[Outcome]:
        """Those of the ledger, and what has ended since."""
        kept = self.ledger.outcomes(ts, most) if self.ledger else ()
        return [*kept, *super().outcomes(ts, most)][-most:]

    def risk(self, ts: int) -> RiskState:
        """As the ledger has it, and what has happened since."""
        own = super().risk(ts)
        if self.ledger is None:
            return own
        kept = self.ledger.risk(ts)
        stops = {**kept.last_stop_ts, **own.last_stop_ts}
        peak, orders = max(kept.peak_equity, own.peak_equity), kept.orders_today + own.orders_today
        return RiskState(peak, kept.halted or own.halted, orders, stops, kept.told)


def decide(settings: Settings, clock: Clock, service: DataService | None = None) -> dict[str, Any]:
    """What the trader would decide at the newest close, halts and limits included; nothing is recorded or sent.

    Bars that its account has not seen are traded in memory first. With several symbols the first one's decision is at the top and all are
    under "decisions".
    """
    store = service or DataService(settings.database_url)
    now = clock.now_ms()
    settings = connected(settings, store, "paper", now)
    bar_ms = timeframe_ms(settings.timeframe)
    markets = markets_of(settings, store, now // bar_ms * bar_ms)
    newest = newest_close(markets) - bar_ms
    ledger = Ledger(store, settings.trader, settings.timeframe, "simulated")
    booked = ledger.last_booked_ts()
    first = newest if booked is None else min(booked + 1, newest)
    visible, trader = study_of(settings, markets, first), trader_of(settings)
    memory = Overlay(settings.trader, None if booked is None else ledger)
    if booked is not None:
        check_account(settings, ledger)
    account, working = (Account(settings.initial_capital), []) if booked is None else (ledger.account(), ledger.open_orders())
    executor = paper(settings, markets, account, working, or_else(booked, newest))
    *_, cycle = run(ticks(visible, first, now), visible, trader, executor, memory)
    records = [{**decision_json(decision, cycle.orders), **talk(decision)} for decision in cycle.decisions]
    return records[0] if len(records) == 1 else {**records[0], "decisions": records}


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
        **advice_json(decision.wanted.advice),
    }


def advice_json(advice: Advice | None) -> dict[str, Any]:
    """A model's part in a decision, in short."""
    names = ("fallback_level", "provider", "model", "tokens", "cost_usd", "prompt_sha256")
    return {name: getattr(advice, name) for name in names} if advice else {}


def talk(decision: Decision) -> dict[str, Any]:
    """What a model was told and said, word by word."""
    advice = decision.wanted.advice
    record = json.loads(advice.record) if advice and advice.record else {}
    return {("prompt" if name == "messages" else name): record[name] for name in TOLD if name in record}
