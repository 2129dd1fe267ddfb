"""The trading loop: the only one, for backtest, paper and live."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import isfinite, isinf, isnan

import numpy as np

from alpha_arena.core.costs import Costs
from alpha_arena.core.errors import DataError
from alpha_arena.core.ids import order_id
from alpha_arena.core.market import Study, View
from alpha_arena.core.ports import Decider, Executor, RiskRule, Store
from alpha_arena.core.records import Booking, Decision, OrderEvent, Refusal, RegimeContext
from alpha_arena.core.sizing import Plan, cap_exposures, plan, rounded_levels
from alpha_arena.core.types import RUINED, Account, Instrument, Ints, Order, Target
from alpha_arena.risk.switches import obey

HISTORY = 5
PEOPLE = "people"
Limit = Callable[[Target, str, View], Target]
Halts = Callable[[View], str]
REGIME_FIELDS = ("adx", "bb_width", "atr_percentile", "efficiency", "volume_trend")


@dataclass(frozen=True, slots=True)
class Tick:
    """One close to decide at.

    Attributes:
        bar_ts: open of the bar that has just closed; close_ts: its close.
        now_ms: the clock, equal to close_ts for bars of the past.
        rows: row of that bar by symbol; a symbol whose bar is missing is absent.
        catch_up: the bar was already past when it was decided.
    """

    bar_ts: int
    close_ts: int
    now_ms: int
    rows: Mapping[str, int]
    catch_up: bool = False


@dataclass(frozen=True, slots=True)
class Trader:
    """Who trades what, by which costs.

    Attributes:
        id: slug. timeframe: e.g. "1h". leverage: notional / margin of its positions.
        equity_quote: fixed equity for sizing, None for the account's own.
        limits: what limits a target, by name: the rules in their order, then what people told the trader.
        halts: of the rules that latch a halt.
    """

    id: str
    timeframe: str
    instruments: Mapping[str, Instrument]
    decider: Decider
    rules: Sequence[RiskRule]
    costs: Costs
    decider_name: str
    equity_quote: float | None = None
    config_hash: str = ""
    limits: Sequence[tuple[str, Limit]] = field(init=False)
    halts: Sequence[Halts] = field(init=False)

    def __post_init__(self) -> None:
        named = ((type(rule).__name__, rule.limit) for rule in self.rules)
        object.__setattr__(self, "limits", (*named, (PEOPLE, obey)))
        object.__setattr__(self, "halts", tuple(rule.halts for rule in self.rules if hasattr(rule, "halts")))


@dataclass(frozen=True, slots=True)
class Cycle:
    """What a step did: the account after it, the decisions made and the orders sent."""

    account: Account
    decisions: Sequence[Decision]
    orders: Sequence[Order]


def ticks(study: Study, first_ts: int, now_ms: int | None = None, last_ts: int | None = None) -> Iterator[Tick]:
    """The closes of a study from the bar that opened at `first_ts` on, up to and including that of `last_ts`.

    Args:
        now_ms: the clock, seen by the newest bar, the ones before it being catch-up. None: every bar is decided at its own close.
    """
    stamps = {symbol: market.ts for symbol, market in study.markets.items()}
    every = np.unique(np.concatenate(list(stamps.values())))
    bar_ms = next(iter(study.markets.values())).bar_ms
    newest = int(every[-1]) if every.size else 0
    chosen = every[(every >= first_ts) & (every <= (newest if last_ts is None else last_ts))]
    rows = {symbol: rows_of(chosen, stamp) for symbol, stamp in stamps.items()}
    for at, ts in enumerate(chosen.tolist()):
        present = {symbol: column[at] for symbol, column in rows.items() if column[at] >= 0}
        close = ts + bar_ms
        past = now_ms is not None and ts < newest
        yield Tick(ts, close, close if now_ms is None or past else now_ms, present, past)


def rows_of(wanted: Ints, stamps: Ints) -> list[int]:
    """Row of each time among ascending stamps, -1 where it is missing."""
    rows: list[int] = np.where(np.isin(wanted, stamps), np.searchsorted(stamps, wanted), -1).tolist()
    return rows


def step(tick: Tick, study: Study, trader: Trader, executor: Executor, store: Store) -> Cycle:
    """One cycle: apply the bar that has closed, decide, record the intent, send.

    Raises:
        AlreadyDecided: the trader has decided this bar before; nothing was sent.
    """
    _, view = seen(tick, study, trader, executor, store)
    wanted = {symbol: finite(target, symbol, tick, trader) for symbol, target in trader.decider.decide(view).items()}
    if not tick.catch_up and any(target.advice for target in wanted.values()):
        # a model takes its time, and what people have said meanwhile holds
        view = replace(view, risk=replace(view.risk, told=store.risk(tick.close_ts).told))
    targets, refusals = limit(wanted, view, trader)
    plans = {symbol: plan_symbol(symbol, target, view, tick, trader) for symbol, target in targets.items()}
    decisions = [remember(symbol, wanted[symbol], target, refusals[symbol], view, tick, trader) for symbol, target in targets.items()]
    orders = [order for planned in plans.values() for order in planned.orders]
    store.intend(decisions, orders, {symbol: planned.position for symbol, planned in plans.items()})
    send(plans, orders, tick, executor, store)
    return Cycle(executor.account(), decisions, orders)


def finite(target: Target, symbol: str, tick: Tick, trader: Trader) -> Target:
    """The target, if it can be one.

    Raises:
        DataError: its exposure is not a number, or a level is infinite; nothing was decided or sent.
    """
    if isfinite(target.exposure) and not (isinf(target.stop) or isinf(target.take)):
        return target
    given = f"exposure {target.exposure}, stop {target.stop}, take {target.take}"
    raise DataError(
        f"{trader.decider_name} wants {given} of {symbol} at the bar that opened at {tick.bar_ts}; nothing was sent, "
        "let the strategy give 0 for flat and NaN for a level it does not have"
    )


def seen(tick: Tick, study: Study, trader: Trader, executor: Executor, store: Store) -> tuple[Booking, View]:
    """Apply the bar that has closed, latch what it makes a rule halt for, and look at what may be known now."""
    booking = executor.poll(tick.bar_ts)
    store.book(booking)
    if booking.equity <= 0:
        store.halt(tick.close_ts, RUINED)
    view = look(tick, study, booking, store, trader.equity_quote)
    for reason in filter(None, (halts(view) for halts in trader.halts)):
        store.halt(view.ts, reason)
    return booking, view


def apply(tick: Tick, study: Study, trader: Trader, executor: Executor, store: Store) -> Booking:
    """Apply a closed bar and decide nothing: what `sync` does between decisions."""
    return seen(tick, study, trader, executor, store)[0]


def run(every: Iterable[Tick], study: Study, trader: Trader, executor: Executor, store: Store) -> Iterator[Cycle]:
    """Step through closes, a cycle at a time."""
    for tick in every:
        yield step(tick, study, trader, executor, store)


def look(tick: Tick, study: Study, booking: Booking, store: Store, fixed_equity: float | None) -> View:
    """What may be known at a close."""
    risk = store.risk(tick.close_ts)
    return View(
        tick.close_ts, tick.now_ms, tick.rows, study, booking.account, risk, booking.prices, fixed_equity, tick.catch_up, store.outcomes
    )


def limit(wanted: Mapping[str, Target], view: View, trader: Trader) -> tuple[Mapping[str, Target], Mapping[str, tuple[Refusal, ...]]]:
    """Apply the risk rules in order, round levels, cap the sum of exposures."""
    limited: dict[str, Target] = {}
    refusals: dict[str, tuple[Refusal, ...]] = {}
    for symbol, target in wanted.items():
        limited[symbol], refusals[symbol] = limit_symbol(target, symbol, view, trader)
    return cap_exposures(limited, trader.decider.leverage), refusals


def limit_symbol(target: Target, symbol: str, view: View, trader: Trader) -> tuple[Target, tuple[Refusal, ...]]:
    """One symbol's target after all rules and what people told the trader, and what they refused."""
    refusals = []
    for name, limits in trader.limits:
        before, target = target, limits(target, symbol, view)
        if target.exposure != before.exposure:
            refusals.append(Refusal(name, target.why))
            target = replace(target, why=before.why)
    return rounded_levels(target, view.prices[symbol], trader.instruments[symbol].tick), tuple(refusals)


def plan_symbol(symbol: str, target: Target, view: View, tick: Tick, trader: Trader) -> Plan:
    """The order and levels for one symbol."""
    position = view.account.position(symbol)
    market = view.study.markets[symbol]
    since = tick.rows[symbol] - int(market.ts.searchsorted(position.disarmed_ts)) if position.disarmed else 0
    name = partial(order_id, trader.id, symbol, trader.timeframe, tick.bar_ts)
    return plan(target, position, view.sizing_equity, view.prices[symbol], trader.instruments[symbol], trader.costs, since, name)


def send(plans: Mapping[str, Plan], orders: Sequence[Order], tick: Tick, executor: Executor, store: Store) -> None:
    """Hand levels and orders to the executor."""
    for symbol, planned in plans.items():
        executor.hold(symbol, planned.position)
    for order in orders:
        event = executor.submit(order)
        store.event(OrderEvent(event.order_id, event.ts or tick.close_ts, event.state, event.cause))


def remember(
    symbol: str, wanted: Target, target: Target, refusals: tuple[Refusal, ...], view: View, tick: Tick, trader: Trader
) -> Decision:
    """The record of a decision."""
    return Decision(
        trader=trader.id,
        symbol=symbol,
        timeframe=trader.timeframe,
        bar_ts=tick.bar_ts,
        ts=tick.close_ts,
        decider=trader.decider_name,
        wanted=wanted,
        target=target,
        refusals=refusals,
        regime=regime_context(view, symbol, tick.rows[symbol]),
        equity=view.equity,
        price=view.prices[symbol],
        config_hash=trader.config_hash,
        catch_up=tick.catch_up,
    )


def regime_context(view: View, symbol: str, t: int) -> RegimeContext:
    """Regime at row t with the last five and the indicators' values; what is not defined yet is left out."""
    regimes = view.study.regimes[symbol]
    history = regimes.names(max(0, t - HISTORY + 1), t + 1)
    values = {name: getattr(regimes, name).item(t) for name in REGIME_FIELDS}
    return RegimeContext(history[-1], history, {name: value for name, value in values.items() if not isnan(value)})
