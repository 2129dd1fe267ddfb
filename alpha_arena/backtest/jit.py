"""The rules of a simulated trade for one symbol, bar by bar, as machine code (specs: simulation).

Quantities are whole lots (signed integers); money is quote currency; rows count from 0. With NUMBA_DISABLE_JIT=1 it runs as plain Python.
"""

from __future__ import annotations

from math import isnan, nan

import numpy as np

from alpha_arena.backtest.columns import (
    Bar,
    Bars,
    Detail,
    Done,
    Exit,
    Log,
    Ordered,
    Path,
    Rules,
    Settlements,
    Shut,
    State,
    Wish,
    Wishes,
)
from alpha_arena.backtest.jit_parts import append, due_at, misplaced, new_log, opposed, settle, sign, whole
from alpha_arena.features.compiled import compiled, inlined

NOTHING, SIGNAL, STOP, TAKE, LIQUIDATION = 0, 1, 2, 3, 4
USABLE_LEVERAGE = 0.98
FILLS_A_BAR = 3


@inlined
def closed(state: State, lots: int, price: float, fee: float, lot: float) -> State:
    """After a fill against the position, of at most its size: reductions keep the entry price."""
    cash = state.cash - lots * lot * (price - state.entry) - fee
    left = state.lots + lots
    if left == 0:
        return State(cash, 0, nan, nan, nan, state.shut)
    return State(cash, left, state.entry, state.stop, state.take, state.shut)


@inlined
def opened(state: State, lots: int, price: float, fee: float) -> State:
    """After a fill that opens or adds: additions average the entry price."""
    total = state.lots + lots
    entry = price if state.lots == 0 else (state.lots * state.entry + lots * price) / total
    return State(state.cash - fee, total, entry, state.stop, state.take, state.shut)


@inlined
def fill(state: State, lots: int, price: float, fee_rate: float, reason: int, rules: Rules) -> tuple[State, Done]:
    """The account after a fill that does not cross zero, and the fill."""
    fee = abs(lots) * rules.lot * price * fee_rate
    done = Done(lots, price, fee, reason)
    if opposed(state.lots, lots):
        return closed(state, lots, price, fee, rules.lot), done
    return opened(state, lots, price, fee), done


@inlined
def margin(state: State, rules: Rules) -> float:
    """Margin held, quote currency."""
    return abs(state.lots) * rules.lot * state.entry / rules.leverage if state.lots != 0 else 0.0


@inlined
def liquidation_price(state: State, rules: Rules) -> float:
    """Where the margin left is what maintenance and the closing fee ask for; not above 0 for a long without leverage."""
    side = sign(state.lots)
    size = abs(state.lots) * rules.lot
    return (size * state.entry - side * margin(state, rules)) / (size * (1 - side * (rules.maintenance_margin + rules.taker_fee)))


@inlined
def stop_exit(state: State, side: int, first: float, rules: Rules) -> Exit:
    """The stop's fill in a bar whose first price is `first`: there, if that is at or beyond the stop."""
    gapped = (first - state.stop) * side <= 0
    price = (first if gapped else state.stop) * (1 - side * rules.stop_slippage)
    return Exit(STOP, price, rules.taker_fee)


@inlined
def spared(state: State, side: int, level: float, stop_price: float, rules: Rules) -> bool:
    """Whether a stop that is hit keeps a position from liquidation at `level`."""
    nearer = (state.stop - level) * side > 0
    loss = abs(state.lots) * rules.lot * (state.entry - stop_price) * side
    return nearer and loss <= margin(state, rules)


@inlined
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


@inlined
def leave(state: State, row: int, out: Exit, rules: Rules) -> tuple[State, Done]:
    """Flat, and disarmed on the side that was held."""
    shut = Shut(row, state.shut.short) if state.lots > 0 else Shut(state.shut.long, row)
    after, done = fill(state, -state.lots, out.price, out.fee_rate, out.reason, rules)
    return State(after.cash, after.lots, after.entry, after.stop, after.take, shut), done


@inlined
def leave_at_open(state: State, bar: Bar, rules: Rules) -> tuple[State, Done]:
    """Exit where the open is at or beyond the stop, or beyond the take. A level of liquidation alone does not act before the order."""
    first, mark = bar.open, bar.mark_open
    side = sign(state.lots)
    if (first - state.stop) * side <= 0 or (first - state.take) * side > 0:
        return leave(state, bar.row, protective(state, first, first, first, mark, mark, rules), rules)
    return state, Done(0, nan, 0.0, NOTHING)


@inlined
def reached(state: State, bar: Bar, rules: Rules) -> Exit:
    """The exit inside the bar, of a position whose levels lie around the open."""
    return protective(state, bar.open, bar.low, bar.high, bar.mark_low, bar.mark_high, rules)


@inlined
def doubtful(state: State, bar: Bar, out: Exit) -> bool:
    """Whether the bar that ended a position at a loss reached the take too."""
    best, side = (bar.high, 1) if state.lots > 0 else (bar.low, -1)
    return (out.reason == STOP or out.reason == LIQUIDATION) and (best - state.take) * side > 0


@compiled
def finer(state: State, row: int, out: Exit, detail: Detail, rules: Rules) -> Exit:
    """What the lower bars inside a doubtful bar say came first; `out` where there are none, or none of them reached a level."""
    side = sign(state.lots)
    for i in range(detail.first[row], detail.first[row + 1]):
        first = detail.open[i]
        gapped = (first - state.stop) * side <= 0 or (first - state.take) * side > 0
        low, high = (first, first) if gapped else (detail.low[i], detail.high[i])
        found = protective(state, first, low, high, low, high, rules)
        if found.reason != NOTHING:
            return found
    return out


@inlined
def affordable(state: State, lots: int, price: float, rules: Rules) -> int:
    """The part of an opening that free cash carries as margin and fee."""
    free = (state.cash - margin(state, rules)) / (price * (1 / rules.leverage + rules.taker_fee))
    return sign(lots) * min(abs(lots), max(0, whole(free / rules.lot)))


@inlined
def open_part(state: State, lots: int, price: float, order: Ordered, bar: Bar, rules: Rules) -> tuple[State, Done]:
    """After the opening part of an order, whose levels are those of the close that decided it."""
    fresh = state.lots == 0
    bought = affordable(state, lots, price, rules)
    if bought == 0 or (fresh and misplaced(sign(lots), bar.open, order.stop, order.take)):
        return state, Done(0, nan, 0.0, NOTHING)
    after, done = fill(state, bought, price, rules.taker_fee, SIGNAL, rules)
    return (State(after.cash, after.lots, after.entry, order.stop, order.take, after.shut) if fresh else after), done


@inlined
def fill_order(state: State, before: Done, change: int, order: Ordered, bar: Bar, rules: Rules) -> tuple[State, Done, Done]:
    """After a market order for `change` lots at the open, its closing part first. before: the exit at the open, which leaves nothing to
    close."""
    price, first, second = bar.open * (1 + rules.slippage * sign(change)), before, Done(0, nan, 0.0, NOTHING)
    closing = sign(change) * min(abs(change), abs(state.lots)) if opposed(state.lots, change) else 0
    if closing != 0:
        state, first = fill(state, closing, price, rules.taker_fee, SIGNAL, rules)
    if change != closing:
        state, second = open_part(state, change - closing, price, order, bar, rules)
    return state, first, second


@inlined
def trade_open(state: State, order: Ordered, bar: Bar, rules: Rules) -> tuple[State, Done, Done]:
    """After a bar's open, with at most two fills: a gap over a level or the closing part of the last close's order, then what opens."""
    held, change, first = state.lots, order.lots, Done(0, nan, 0.0, NOTHING)
    if held != 0:
        state, first = leave_at_open(state, bar, rules)
        if state.lots == 0:
            change = change + held if opposed(change + held, held) else 0
    if change != 0:
        return fill_order(state, first, change, order, bar, rules)
    return state, first, Done(0, nan, 0.0, NOTHING)


@inlined
def rearmed(shut: Shut, row: int, exposure: float, rearm_bars: int) -> Shut:
    """Arms a side at a target of another sign, or after rearm_bars."""
    long = -1 if exposure <= 0 or row - shut.long >= rearm_bars else shut.long
    short = -1 if exposure >= 0 or row - shut.short >= rearm_bars else shut.short
    return Shut(long, short)


@inlined
def tightened(state: State, shut: Shut, stop: float, take: float) -> State:
    """New levels of a held position whose target has its sign: a stop never loosens, NaN keeps."""
    keep_stop = isnan(stop) or (stop - state.stop) * sign(state.lots) <= 0
    return State(state.cash, state.lots, state.entry, state.stop if keep_stop else stop, state.take if isnan(take) else take, shut)


@inlined
def desired(exposure: float, equity: float, price: float, rules: Rules) -> int:
    """Signed lots that a target asks for; 0 below min_notional."""
    lots = whole(abs(exposure) * equity / price / rules.lot)
    return sign(exposure) * lots if lots * rules.lot * price >= rules.min_notional else 0


@inlined
def ordered(goal: int, held: int, price: float, equity: float, forced: bool, rules: Rules) -> int:
    """Signed lots to order: 0 where the change of a kept position is too small, unless a risk rule demands the reduction."""
    least = max(rules.min_notional, rules.diff_threshold, rules.diff_fraction * equity)
    demanded = forced and abs(goal) < abs(held)
    if sign(goal) == sign(held) and held != 0 and abs(goal - held) * rules.lot * price < least and not demanded:
        return 0
    return goal - held


@inlined
def kept(exposure: float, equity: float, held: int, price: float, rules: Rules) -> bool:
    """Whether a position that a target of its side wants is surely left as it is, found without a division: what is desired lies within a
    lot of the exact quantity, so that no order is due where even one lot more would be too small a change."""
    wanted, notional, lot = abs(exposure) * equity, abs(held) * rules.lot * price, rules.lot * price * (1 + 1e-6)
    least = max(rules.min_notional, rules.diff_threshold, rules.diff_fraction * equity)
    return exposure * held > 0 and wanted - lot >= rules.min_notional and abs(wanted - notional) + lot < least


@inlined
def decide(state: State, row: int, price: float, equity: float, wish: Wish, rules: Rules) -> tuple[State, Ordered]:
    """At a close: the account with its new levels and arming, and the order for the next open; without equity everything is sold."""
    limit = USABLE_LEVERAGE * rules.leverage
    x = min(max(wish.exposure, -limit), limit)
    shut = rearmed(state.shut, row, x, rules.rearm_bars)
    if (x > 0 and shut.long >= 0) or (x < 0 and shut.short >= 0):
        x = 0.0
    same = x * state.lots > 0
    state = tightened(state, shut, wish.stop if same else nan, wish.take if same else nan)
    if not wish.forced and kept(x, equity, state.lots, price, rules):
        return state, Ordered(0, nan, nan)
    lots = ordered(desired(x, equity, price, rules), state.lots, price, equity, wish.forced, rules)
    return state, Ordered(lots, wish.stop, wish.take)


@inlined
def charged(state: State, paid: float) -> State:
    """After funding."""
    return State(state.cash - paid, state.lots, state.entry, state.stop, state.take, state.shut)


@inlined
def marked(state: State, price: float, lot: float) -> float:
    """Equity at a price."""
    return state.cash + (state.lots * lot * (price - state.entry) if state.lots != 0 else 0.0)


@inlined
def sizing(equity: float, ruined: bool, rules: Rules) -> float:
    """Equity that targets are fractions of: 0 for good once the account's own was gone."""
    return 0.0 if ruined else (rules.fixed_equity if rules.fixed_equity > 0 else equity)


@compiled
def run(bars: Bars, wishes: Wishes, events: Settlements, detail: Detail, rules: Rules, capital: float) -> tuple[Path, Log]:
    """The whole history from a flat account: what the account was at each close, and its fills."""
    # a column that is taken out of its tuple within the loop has its references counted at each bar
    ts, open_, high, low, close, mark_open, mark_high, mark_low = bars
    exposure, stop, take, forced = wishes
    due_ts, rate, guessed = events
    rows, due, detailed = ts.size, due_at(due_ts, 0), detail.first.size > 0
    # pages of the log that nothing is written to cost no memory
    log, assumed = new_log(FILLS_A_BAR * rows), 0
    worth, lots, orders, paid_open, paid_inside = (
        np.zeros(rows),
        np.zeros(rows, np.int64),
        np.zeros(rows, np.int64),
        np.zeros(rows),
        np.zeros(rows),
    )
    state, order, event, ruined = State(capital, 0, nan, nan, nan, Shut(-1, -1)), Ordered(0, nan, nan), 0, False
    for row in range(rows):
        if state.lots == 0 and order.lots == 0 and exposure[row] == 0:
            state, worth[row] = State(state.cash, 0, nan, nan, nan, Shut(-1, -1)), state.cash
            continue
        bar = Bar(row, open_[row], high[row], low[row], close[row], mark_open[row], mark_high[row], mark_low[row])
        if due <= ts[row]:
            event, paid_open[row], unknown = settle(due_ts, rate, guessed, event, ts[row] + 1, state.lots * rules.lot * bar.open)
            state, due, assumed = charged(state, paid_open[row]), due_at(due_ts, event), assumed + unknown
        state, first, second = trade_open(state, order, bar, rules)
        if first.lots != 0 or second.lots != 0:
            append(log, row, first)
            append(log, row, second)
        if state.lots != 0:
            out = reached(state, bar, rules)
            if detailed and doubtful(state, bar, out):
                out = finer(state, row, out, detail, rules)
            if out.reason != NOTHING:
                state, last = leave(state, row, out, rules)
                append(log, row, last)
        if due < ts[row] + rules.bar_ms:
            notional = state.lots * rules.lot * bar.close
            event, paid_inside[row], unknown = settle(due_ts, rate, guessed, event, ts[row] + rules.bar_ms, notional)
            state, due, assumed = charged(state, paid_inside[row]), due_at(due_ts, event), assumed + unknown
        worth[row], lots[row] = marked(state, bar.close, rules.lot), state.lots
        ruined = ruined or worth[row] <= 0
        wish = Wish(exposure[row], stop[row], take[row], forced[row])
        state, order = decide(state, row, bar.close, sizing(worth[row], ruined, rules), wish, rules)
        orders[row] = order.lots
    return Path(worth, lots, paid_open, paid_inside, orders, np.full(1, assumed)), log
