"""A history in sums, for searches that keep no path: the rules of jit.py, with bars passed over in which nothing can happen."""

from __future__ import annotations

from math import inf, isnan, nan

import numpy as np

from alpha_arena.backtest.columns import (
    Bar,
    Bars,
    Counts,
    Done,
    Holding,
    Moments,
    Ordered,
    Placed,
    Rules,
    Settlements,
    Shut,
    State,
    Sums,
    Wish,
    Wishes,
)
from alpha_arena.backtest.jit import (
    LIQUIDATION,
    NOTHING,
    STOP,
    USABLE_LEVERAGE,
    charged,
    decide,
    kept,
    leave,
    liquidation_price,
    marked,
    reached,
    sizing,
    trade_open,
)
from alpha_arena.backtest.jit_parts import due_at, opposed, settle, sign
from alpha_arena.backtest.targets import UNPLACED, placed, still_placed
from alpha_arena.features.compiled import compiled, inlined

FINAL, PEAK, DRAWDOWN, SUM, SQUARES, CUBES, FOURTHS, HELD, TRADES, WINS, WON, LOST, STOPPED, FEES, PAID, TRADED, ORDERS, KINDS = range(18)


@inlined
def counted(m: Moments, r: float, equity: float) -> Moments:
    """A bar's return and equity, counted: moments about 0, the deepest fall from the peak as two prices, since a division would cost."""
    square, peak = r * r, max(m.peak, equity)
    deeper = equity * m.summit < m.trough * peak
    trough, summit = (equity, peak) if deeper else (m.trough, m.summit)
    moments = (m.sum + r, m.squares + square, m.cubes + square * r, m.fourths + square * square)
    return Moments(*moments, peak, trough, summit, m.blocked + r, m.block_squares + square)


@inlined
def next_block(m: Moments) -> Moments:
    """The sums of a block start anew."""
    return Moments(m.sum, m.squares, m.cubes, m.fourths, m.peak, m.trough, m.summit, 0.0, 0.0)


@inlined
def filled(c: Counts, before: Holding, done: Done, rules: Rules) -> tuple[Counts, Holding]:
    """After a fill, if there was one: fees, notional, and a trade that it ended, net of fees and funding."""
    if done.lots == 0:
        return c, before
    lots, pnl, entry = before.lots + done.lots, before.pnl - done.fee, before.entry
    fees, traded = c.fees + done.fee, c.traded + abs(done.lots) * rules.lot * done.price
    if opposed(before.lots, done.lots):
        pnl -= done.lots * rules.lot * (done.price - before.entry)
    else:
        entry = done.price if before.lots == 0 else (before.lots * before.entry + done.lots * done.price) / lots
    if lots != 0:
        return Counts(fees, traded, c.trades, c.wins, c.won, c.lost, c.stopped, c.paid, c.assumed), Holding(lots, entry, pnl)
    stopped = c.stopped + (1 if done.reason == STOP or done.reason == LIQUIDATION else 0)
    wins, won, lost = c.wins + (1 if pnl > 0 else 0), c.won + max(pnl, 0.0), c.lost + max(-pnl, 0.0)
    return Counts(fees, traded, c.trades + 1, wins, won, lost, stopped, c.paid, c.assumed), Holding(0, nan, 0.0)


@inlined
def settled(c: Counts, before: Holding, paid: float, assumed: int) -> tuple[Counts, Holding]:
    """After funding was paid."""
    after = Counts(c.fees, c.traded, c.trades, c.wins, c.won, c.lost, c.stopped, c.paid + paid, c.assumed + assumed)
    return after, Holding(before.lots, before.entry, before.pnl - paid)


@inlined
def untouched(state: State, level: float, low: float, high: float, mark_low: float, mark_high: float) -> bool:
    """Whether a bar reaches neither stop nor take nor liquidation: its open, which lies between low and high, does not either."""
    if state.lots > 0:
        return not (low <= state.stop or high > state.take or mark_low <= level)
    return not (high >= state.stop or low < state.take or mark_high >= level)


@inlined
def coasts(exposure: float, forced: bool, equity: float, lots: int, price: float, rules: Rules) -> bool:
    """Whether a close with equity surely sends no order for a held position that nothing disarms."""
    small = abs(exposure) <= USABLE_LEVERAGE * rules.leverage
    return small and not forced and kept(exposure, equity, lots, price, rules)


@inlined
def aimed(last: Placed, wishes: Wishes, row: int, close: float, rules: Rules) -> Placed:
    """The levels of a row's target on the tick grid; of one that wants no position nobody looks at them."""
    return last if wishes.exposure[row] == 0 else placed(last, wishes.stop[row], wishes.take[row], close, rules.tick)


@inlined
def with_levels(state: State) -> State:
    """The position with infinite levels where it has none: a stop that is never reached, a take that is never traded through."""
    side = sign(state.lots)
    stop, take = -side * inf if isnan(state.stop) else state.stop, side * inf if isnan(state.take) else state.take
    return State(state.cash, state.lots, state.entry, stop, take, state.shut)


@compiled
def coast(
    bars: Bars,
    wishes: Wishes,
    row: int,
    until: int,
    state: State,
    aim: Placed,
    level: float,
    due: int,
    before: float,
    m: Moments,
    rules: Rules,
) -> tuple[int, float, Moments]:
    """Mark a held position bar by bar up to row `until`, or to the first in which something may happen: that row, equity and sums. aim:
    of the close before, whose levels the position has taken over."""
    ts, _, high, low, close, _, mark_high, mark_low = bars
    exposure, stop, take, forced = wishes
    state = with_levels(state)
    for at in range(row, until):
        equity = marked(state, close[at], rules.lot)
        calm = ts[at] + rules.bar_ms <= due and untouched(state, level, low[at], high[at], mark_low[at], mark_high[at])
        calm = calm and equity > 0 and still_placed(aim, stop[at], take[at], close[at])
        if not (calm and coasts(exposure[at], forced[at], sizing(equity, False, rules), state.lots, close[at], rules)):
            return at, before, m
        m, before = counted(m, equity / before - 1, equity), equity
    return until, before, m


@inlined
def summed_up(seen: Sums, m: Moments, c: Counts, before: float, held: int, sent: int) -> None:
    """Write down what was summed up over all bars."""
    figures = seen.figures
    figures[FINAL], figures[HELD], figures[ORDERS] = before, held, sent
    figures[PEAK], figures[DRAWDOWN] = m.peak, m.trough / m.summit - 1
    figures[SUM], figures[SQUARES], figures[CUBES], figures[FOURTHS] = m.sum, m.squares, m.cubes, m.fourths
    figures[FEES], figures[TRADED], figures[PAID], seen.assumed[0] = c.fees, c.traded, c.paid, c.assumed
    figures[TRADES], figures[WINS], figures[WON], figures[LOST], figures[STOPPED] = c.trades, c.wins, c.won, c.lost, c.stopped


@inlined
def close_block(seen: Sums, m: Moments, block: int) -> None:
    """Write down a block's sums; bars beyond the last block are in none."""
    if block < seen.sums.size:
        seen.sums[block], seen.squares[block] = m.blocked, m.block_squares


@compiled
def tally(bars: Bars, wishes: Wishes, events: Settlements, rules: Rules, capital: float, blocks: int) -> Sums:
    """The same history as `run`, of which only sums are kept. Passed over are bars in which nothing is held, wanted or ordered; those in
    which a position is merely held are only marked."""
    ts, open_, high, low, close, mark_open, mark_high, mark_low = bars
    exposure, forced = wishes.exposure, wishes.forced
    due_ts, rate, guessed = events
    seen = Sums(np.zeros(KINDS), np.zeros(blocks), np.zeros(blocks), np.zeros(1, np.int64))
    rows, due, event, size = ts.size, due_at(due_ts, 0), 0, max(ts.size // blocks, 1)
    row, block, edge, held, sent, level = 0, 0, size, 0, 0, nan
    state, order, ruined = State(capital, 0, nan, nan, nan, Shut(-1, -1)), Ordered(0, nan, nan), False
    aim = UNPLACED
    c, holding, before = Counts(0.0, 0.0, 0, 0, 0.0, 0.0, 0, 0.0, 0), Holding(0, nan, 0.0), capital
    m = Moments(0.0, 0.0, 0.0, 0.0, capital, capital, capital, 0.0, 0.0)
    while row < rows:
        if state.lots == 0 and order.lots == 0:
            first = row
            while row < rows and exposure[np.uintp(row)] == 0:
                row += 1
            state = State(state.cash, 0, nan, nan, nan, Shut(-1, -1) if row > first else state.shut)
            if row == rows:
                break
        if row >= edge:
            close_block(seen, m, block)
            block = row // size
            edge, m = (block + 1) * size, next_block(m)
        if state.lots != 0 and order.lots == 0 and state.shut.long < 0 and state.shut.short < 0 and not ruined:
            until, first = min(edge, rows), row
            row, before, m = coast(bars, wishes, row, until, state, aim, level, due, before, m, rules)
            held += row - first
            if row == until:
                continue
        bar = Bar(row, open_[row], high[row], low[row], close[row], mark_open[row], mark_high[row], mark_low[row])
        if due <= ts[row]:
            event, paid, unknown = settle(due_ts, rate, guessed, event, ts[row] + 1, state.lots * rules.lot * bar.open)
            state, due, (c, holding) = charged(state, paid), due_at(due_ts, event), settled(c, holding, paid, unknown)
        if order.lots != 0 or not (state.lots == 0 or untouched(with_levels(state), level, bar.low, bar.high, bar.mark_low, bar.mark_high)):
            state, one, other = trade_open(state, order, bar, rules)
            c, holding = filled(c, holding, one, rules)
            c, holding = filled(c, holding, other, rules)
            if state.lots != 0:
                out = reached(state, bar, rules)
                if out.reason != NOTHING:
                    state, last = leave(state, row, out, rules)
                    c, holding = filled(c, holding, last, rules)
                level = liquidation_price(state, rules) if state.lots != 0 else nan
        if due < ts[row] + rules.bar_ms:
            event, paid, unknown = settle(due_ts, rate, guessed, event, ts[row] + rules.bar_ms, state.lots * rules.lot * bar.close)
            state, due, (c, holding) = charged(state, paid), due_at(due_ts, event), settled(c, holding, paid, unknown)
        equity = marked(state, bar.close, rules.lot)
        m = counted(m, equity / before - 1 if before != 0 else 0.0, equity)
        held += 1 if state.lots != 0 else 0
        before, ruined = equity, ruined or equity <= 0
        aim = aimed(aim, wishes, row, bar.close, rules)
        wish = Wish(exposure[row], aim.stop, aim.take, forced[row])
        state, order = decide(state, row, bar.close, sizing(equity, ruined, rules), wish, rules)
        sent += 1 if order.lots != 0 else 0
        row += 1
    close_block(seen, m, block)
    summed_up(seen, m, c, before, held, sent)
    return seen
