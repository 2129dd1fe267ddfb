"""The rules of a simulated trade for one symbol, bar by bar, as machine code (specs: simulation).

All of it stands in one file, because a compiled function's cache on disk is renewed only where its own file has changed. Quantities are
whole lots (signed integers); money is quote currency; rows count from 0. With NUMBA_DISABLE_JIT=1 it runs as plain Python.
"""

from __future__ import annotations

from math import floor, isnan, nan

import numpy as np

from alpha_arena.backtest.columns import Bars, Exit, Log, Path, Rules, Settlements, Shut, State, Wishes
from alpha_arena.core.types import Ints
from alpha_arena.features.compiled import compiled

NOTHING, SIGNAL, STOP, TAKE, LIQUIDATION = 0, 1, 2, 3, 4
TOLERANCE = 1e-9
USABLE_LEVERAGE = 0.98
FILLS_A_BAR = 3
ROOM = 1024


@compiled
def whole(quotient: float) -> int:
    """Whole lots in a quotient; one that is within 1e-9 below an integer counts as that integer."""
    return floor(quotient + TOLERANCE)


@compiled
def sign(value: float) -> int:
    """+1, 0 or -1."""
    return (1 if value > 0 else 0) - (1 if value < 0 else 0)


@compiled
def opposed(one: int, other: int) -> bool:
    """Whether two quantities have different signs; no product, which could overflow."""
    return sign(one) * sign(other) < 0


@compiled
def new_log(room: int) -> Log:
    """An empty log."""
    row, lots, reason = np.zeros(room, np.int64), np.zeros(room, np.int64), np.zeros(room, np.int64)
    return Log(row, lots, np.zeros(room), np.zeros(room), reason, np.zeros(1, np.int64))


@compiled
def append(log: Log, row: int, lots: int, price: float, fee: float, reason: int) -> None:
    """Write a fill down."""
    i = log.used[0]
    log.row[i], log.lots[i], log.price[i], log.fee[i], log.reason[i] = row, lots, price, fee, reason
    log.used[0] = i + 1


@compiled
def with_room(log: Log) -> Log:
    """The log itself, or a copy twice as long where a bar's fills might not find place."""
    if log.used[0] + FILLS_A_BAR <= log.row.size:
        return log
    larger = new_log(2 * log.row.size)
    # element by element: slices take seconds to compile
    for i in range(log.used[0]):
        append(larger, log.row[i], log.lots[i], log.price[i], log.fee[i], log.reason[i])
    return larger


@compiled
def closed(state: State, lots: int, price: float, fee: float, lot: float) -> State:
    """After a fill against the position, of at most its size: reductions keep the entry price."""
    cash = state.cash - lots * lot * (price - state.entry) - fee
    left = state.lots + lots
    if left == 0:
        return State(cash, 0, nan, nan, nan, state.shut)
    return State(cash, left, state.entry, state.stop, state.take, state.shut)


@compiled
def opened(state: State, lots: int, price: float, fee: float) -> State:
    """After a fill that opens or adds: additions average the entry price."""
    total = state.lots + lots
    entry = price if state.lots == 0 else (state.lots * state.entry + lots * price) / total
    return State(state.cash - fee, total, entry, state.stop, state.take, state.shut)


@compiled
def fill(state: State, log: Log, row: int, lots: int, price: float, fee_rate: float, reason: int, rules: Rules) -> State:
    """The account after a fill that does not cross zero, written to the log."""
    fee = abs(lots) * rules.lot * price * fee_rate
    append(log, row, lots, price, fee, reason)
    if opposed(state.lots, lots):
        return closed(state, lots, price, fee, rules.lot)
    return opened(state, lots, price, fee)


@compiled
def margin(state: State, rules: Rules) -> float:
    """Margin held, quote currency."""
    return abs(state.lots) * rules.lot * state.entry / rules.leverage if state.lots != 0 else 0.0


@compiled
def liquidation_price(state: State, rules: Rules) -> float:
    """Where the margin left is what maintenance and the closing fee ask for; not above 0 for a long without leverage."""
    side = sign(state.lots)
    size = abs(state.lots) * rules.lot
    return (size * state.entry - side * margin(state, rules)) / (size * (1 - side * (rules.maintenance_margin + rules.taker_fee)))


@compiled
def stop_exit(state: State, side: int, first: float, rules: Rules) -> Exit:
    """The stop's fill in a bar whose first price is `first`: there, if that is at or beyond the stop."""
    gapped = (first - state.stop) * side <= 0
    price = (first if gapped else state.stop) * (1 - side * rules.stop_slippage)
    return Exit(STOP, price, rules.taker_fee)


@compiled
def spared(state: State, side: int, level: float, stop_price: float, rules: Rules) -> bool:
    """Whether a stop that is hit keeps a position from liquidation at `level`."""
    nearer = (state.stop - level) * side > 0
    loss = abs(state.lots) * rules.lot * (state.entry - stop_price) * side
    return nearer and loss <= margin(state, rules)


@compiled
def protective(state: State, first: float, low: float, high: float, mark_low: float, mark_high: float, rules: Rules) -> Exit:
    """The exit of a held position over a stretch of prices that starts at `first`: a stop goes before a take, liquidation before both
    unless the stop spares it."""
    side = sign(state.lots)
    worst, best, marked = (low, high, mark_low) if side > 0 else (high, low, mark_high)
    stopped = (worst - state.stop) * side <= 0
    stop = stop_exit(state, side, first, rules)
    level = liquidation_price(state, rules)
    if (marked - level) * side <= 0 and not (stopped and spared(state, side, level, stop.price, rules)):
        return Exit(LIQUIDATION, state.entry * (1 - side / rules.leverage), 0.0)
    if stopped:
        return stop
    if (best - state.take) * side > 0:
        return Exit(TAKE, state.take, rules.maker_fee)
    return Exit(NOTHING, nan, 0.0)


@compiled
def leave(state: State, log: Log, row: int, out: Exit, rules: Rules) -> State:
    """Flat, and disarmed on the side that was held."""
    shut = Shut(row, state.shut.short) if state.lots > 0 else Shut(state.shut.long, row)
    after = fill(state, log, row, -state.lots, out.price, out.fee_rate, out.reason, rules)
    return State(after.cash, after.lots, after.entry, after.stop, after.take, shut)


@compiled
def leave_at_open(state: State, log: Log, row: int, bars: Bars, rules: Rules) -> State:
    """Exit where the open is at or beyond the stop, or beyond the take. A level of liquidation alone does not act before the order."""
    first, mark = bars.open[row], bars.mark_open[row]
    side = sign(state.lots)
    if (first - state.stop) * side <= 0 or (first - state.take) * side > 0:
        return leave(state, log, row, protective(state, first, first, first, mark, mark, rules), rules)
    return state


@compiled
def leave_inside(state: State, log: Log, row: int, bars: Bars, rules: Rules) -> State:
    """Exit where the bar reached a level."""
    out = protective(state, bars.open[row], bars.low[row], bars.high[row], bars.mark_low[row], bars.mark_high[row], rules)
    return state if out.reason == NOTHING else leave(state, log, row, out, rules)


@compiled
def affordable(state: State, lots: int, price: float, rules: Rules) -> int:
    """The part of an opening that free cash carries as margin and fee."""
    free = (state.cash - margin(state, rules)) / (price * (1 / rules.leverage + rules.taker_fee))
    return sign(lots) * min(abs(lots), max(0, whole(free / rules.lot)))


@compiled
def misplaced(side: int, first: float, stop: float, take: float) -> bool:
    """Whether a new position's stop is not strictly on its losing side of the open, or its take not strictly on the winning side."""
    return (first - stop) * side <= 0 or (take - first) * side <= 0


@compiled
def open_part(state: State, log: Log, row: int, lots: int, price: float, bars: Bars, wishes: Wishes, rules: Rules) -> State:
    """After the opening part of an order, whose levels are those of the close that decided it."""
    stop, take = wishes.stop[row - 1], wishes.take[row - 1]
    fresh = state.lots == 0
    bought = affordable(state, lots, price, rules)
    if bought == 0 or (fresh and misplaced(sign(lots), bars.open[row], stop, take)):
        return state
    after = fill(state, log, row, bought, price, rules.taker_fee, SIGNAL, rules)
    return State(after.cash, after.lots, after.entry, stop, take, after.shut) if fresh else after


@compiled
def fill_order(state: State, log: Log, row: int, change: int, bars: Bars, wishes: Wishes, rules: Rules) -> State:
    """After a market order for `change` lots at the open, its closing part first."""
    price = bars.open[row] * (1 + rules.slippage * sign(change))
    closing = sign(change) * min(abs(change), abs(state.lots)) if opposed(state.lots, change) else 0
    if closing != 0:
        state = fill(state, log, row, closing, price, rules.taker_fee, SIGNAL, rules)
    if change != closing:
        state = open_part(state, log, row, change - closing, price, bars, wishes, rules)
    return state


@compiled
def trade_bar(state: State, log: Log, row: int, change: int, bars: Bars, wishes: Wishes, rules: Rules) -> State:
    """After a bar's exits and fills: a gap over a level, the order of the last close, levels inside the bar."""
    before = state.lots
    if before != 0:
        state = leave_at_open(state, log, row, bars, rules)
        if state.lots == 0:
            change = change + before if opposed(change + before, before) else 0
    if change != 0:
        state = fill_order(state, log, row, change, bars, wishes, rules)
    return leave_inside(state, log, row, bars, rules) if state.lots != 0 else state


@compiled
def rearmed(shut: Shut, row: int, exposure: float, rearm_bars: int) -> Shut:
    """Arms a side at a target of another sign, or after rearm_bars."""
    long = -1 if exposure <= 0 or row - shut.long >= rearm_bars else shut.long
    short = -1 if exposure >= 0 or row - shut.short >= rearm_bars else shut.short
    return Shut(long, short)


@compiled
def tightened(state: State, shut: Shut, stop: float, take: float) -> State:
    """New levels of a held position whose target has its sign: a stop never loosens, NaN keeps."""
    keep_stop = isnan(stop) or (stop - state.stop) * sign(state.lots) <= 0
    return State(state.cash, state.lots, state.entry, state.stop if keep_stop else stop, state.take if isnan(take) else take, shut)


@compiled
def desired(exposure: float, equity: float, price: float, rules: Rules) -> int:
    """Signed lots that a target asks for; 0 below min_notional."""
    lots = whole(abs(exposure) * equity / price / rules.lot)
    return sign(exposure) * lots if lots * rules.lot * price >= rules.min_notional else 0


@compiled
def ordered(goal: int, held: int, price: float, equity: float, forced: bool, rules: Rules) -> int:
    """Signed lots to order: 0 where the change of a kept position is too small, unless a risk rule demands the reduction."""
    least = max(rules.min_notional, rules.diff_threshold, rules.diff_fraction * equity)
    demanded = forced and abs(goal) < abs(held)
    if sign(goal) == sign(held) and held != 0 and abs(goal - held) * rules.lot * price < least and not demanded:
        return 0
    return goal - held


@compiled
def decide(state: State, row: int, price: float, equity: float, wishes: Wishes, rules: Rules) -> tuple[State, int]:
    """At a close: the account with its new levels and arming, and the order (lots) for the next open; without equity everything is sold."""
    limit = USABLE_LEVERAGE * rules.leverage
    x = min(max(wishes.exposure[row], -limit), limit)
    shut = rearmed(state.shut, row, x, rules.rearm_bars)
    if (x > 0 and shut.long >= 0) or (x < 0 and shut.short >= 0):
        x = 0.0
    same = x * state.lots > 0
    state = tightened(state, shut, wishes.stop[row] if same else nan, wishes.take[row] if same else nan)
    return state, ordered(desired(x, equity, price, rules), state.lots, price, equity, wishes.forced[row], rules)


@compiled
def settle(events: Settlements, first: int, until: int, notional: float, assumed: Ints) -> tuple[int, float]:
    """Funding at ts < until from event `first` on: the next event, and what the position's notional pays."""
    paid = 0.0
    while first < events.ts.size and events.ts[first] < until:
        paid += notional * events.rate[first]
        assumed[0] += 1 if events.assumed[first] and notional != 0 else 0
        first += 1
    return first, paid


@compiled
def charged(state: State, paid: float) -> State:
    """After funding."""
    return State(state.cash - paid, state.lots, state.entry, state.stop, state.take, state.shut)


@compiled
def marked(state: State, price: float, lot: float) -> float:
    """Equity at a price."""
    return state.cash + (state.lots * lot * (price - state.entry) if state.lots != 0 else 0.0)


@compiled
def new_path(rows: int) -> Path:
    """Empty columns."""
    return Path(np.zeros(rows), np.zeros(rows, np.int64), np.zeros(rows), np.zeros(rows), np.zeros(1, np.int64))


@compiled
def run(bars: Bars, wishes: Wishes, events: Settlements, rules: Rules, capital: float) -> tuple[Path, Log]:
    """The whole history from a flat account: what the account was at each close, and its fills."""
    path, log = new_path(bars.ts.size), new_log(ROOM)
    state, change, event, ruined = State(capital, 0, nan, nan, nan, Shut(-1, -1)), 0, 0, False
    for row in range(bars.ts.size):
        log = with_room(log)
        event, paid = settle(events, event, bars.ts[row] + 1, state.lots * rules.lot * bars.open[row], path.assumed)
        state, path.paid_open[row] = charged(state, paid), paid
        state = trade_bar(state, log, row, change, bars, wishes, rules)
        event, paid = settle(events, event, bars.ts[row] + rules.bar_ms, state.lots * rules.lot * bars.close[row], path.assumed)
        state, path.paid_inside[row] = charged(state, paid), paid
        equity = marked(state, bars.close[row], rules.lot)
        path.equity[row], path.lots[row] = equity, state.lots
        ruined = ruined or equity <= 0
        sizing = 0.0 if ruined else (rules.fixed_equity if rules.fixed_equity > 0 else equity)
        state, change = decide(state, row, bars.close[row], sizing, wishes, rules)
    return path, log
