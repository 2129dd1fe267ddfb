"""The vectorised backtest: one symbol's history simulated at once, by the rules of specs: simulation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from alpha_arena.backtest.closes import at_closes
from alpha_arena.backtest.columns import Bars, Detail, Log, Path, Rules, Settlements, Sums, Trips, Wishes
from alpha_arena.backtest.jit import run
from alpha_arena.backtest.tally import tally
from alpha_arena.backtest.trips import round_trips
from alpha_arena.core.costs import Costs
from alpha_arena.core.detail import bars_inside
from alpha_arena.core.errors import ConfigError, DataError
from alpha_arena.core.funding import complete
from alpha_arena.core.market import Market
from alpha_arena.core.types import Candles, Floats, Funding, Instrument, Ints, Signals, frozen_array

REASONS = ("", "signal", "stop", "take", "liquidation")
SCORE_CAPITAL = 1_000_000.0


@dataclass(frozen=True, slots=True)
class Fills:
    """Executions in the order in which they happened.

    Attributes:
        row: bar, counted from the first simulated one. quantity: signed, base currency. price, fee: quote currency.
        reason: index into REASONS.
    """

    row: Ints
    quantity: Floats
    price: Floats
    fee: Floats
    reason: Ints


@dataclass(frozen=True, slots=True)
class Trades:
    """Closed round trips in the order of their exits (specs: simulation, "What a run leaves").

    Attributes:
        entry_row, exit_row: bars of the first and the last fill. side: +1 long, -1 short. quantity: the largest held, base currency.
        entry_price: average; exit_price: volume-weighted over the closing fills.
        fees, funding: quote currency, positive when paid. pnl: net of both. return_: pnl / equity at the close that decided the entry.
        reason: of the last fill, index into REASONS.
    """

    entry_row: Ints
    exit_row: Ints
    side: Ints
    quantity: Floats
    entry_price: Floats
    exit_price: Floats
    fees: Floats
    funding: Floats
    pnl: Floats
    return_: Floats
    reason: Ints

    def __len__(self) -> int:
        return int(self.side.size)


@dataclass(frozen=True, slots=True)
class Simulation:
    """What the kernel leaves, one element a simulated bar (T of them); quote currency unless said otherwise.

    Attributes:
        equity, quantity: at the bar's close; quantity signed, base currency.
        exposure: signed notional / equity at the close, 0 while flat.
        orders: those decided at the bar's close (a change of side is two).
        funding: paid at the bar's open and inside it, positive when paid.
        funding_assumed: payments whose rate was not known.
        open_trade: the round trip that is still open (pnl: realised so far, its costs in; exit_row and reason 0), no or one element.
    """

    ts: Ints
    equity: Floats
    quantity: Floats
    exposure: Floats
    orders: Ints
    funding: Floats
    fills: Fills
    trades: Trades
    open_trade: Trades
    funding_assumed: int


@dataclass(frozen=True, slots=True)
class Stage:
    """A market and its costs from row `start` on, ready to be traded. capital: quote currency."""

    bars: Bars
    settlements: Settlements
    rules: Rules
    capital: float
    start: int


def simulate(
    market: Market,
    signals: Signals,
    costs: Costs,
    instrument: Instrument,
    leverage: float,
    initial_capital: float,
    start: int = 0,
    *,
    mark: Candles | None = None,
    forced: NDArray[np.bool_] | None = None,
    fixed_equity: float | None = None,
    detail: Market | None = None,
) -> Simulation:
    """Trade the signals from a flat account on rows `start` and later.

    Args:
        signals: after the decider and the risk rules, one row for each of the market's.
        leverage: notional / margin of the positions.
        initial_capital: quote currency.
        mark: bars of the mark price, which then decide on liquidation; one row for each of the market's.
        forced: rows at which a risk rule demands the reduction, so that thresholds do not apply.
        fixed_equity: quote currency that exposures are fractions of, instead of the account's own.
        detail: shorter bars, which decide what came first in a bar that reached the take and the stop or liquidation.

    Raises:
        ConfigError: leverage, capital or start are out of range; detail does not fit the bars, or is given with mark.
        DataError: rows do not match, or an exposure is not a finite number.
    """
    stage = staged(market, costs, instrument, leverage, initial_capital, start, mark=mark, fixed_equity=fixed_equity)
    if mark is not None and detail is not None:
        raise ConfigError("detail is of traded prices and cannot be given with mark, which decides on liquidation; give one of them")
    lower = _detail(market, detail, start)
    path, log = run(stage.bars, _wishes(stage, signals, forced), stage.settlements, lower, stage.rules, stage.capital)
    return _simulation(stage.bars, path, log, stage.rules, stage.capital)


def staged(
    market: Market,
    costs: Costs,
    instrument: Instrument,
    leverage: float,
    initial_capital: float,
    start: int = 0,
    *,
    mark: Candles | None = None,
    fixed_equity: float | None = None,
) -> Stage:
    """Everything but the signals, made once for many simulations; arguments and errors as of `simulate`."""
    _check(market, leverage, initial_capital, start, mark)
    rules = _rules(costs, instrument, leverage, market.bar_ms, fixed_equity)
    return Stage(_bars(market, mark, start), _settlements(market), rules, float(initial_capital), start)


def tallied(stage: Stage, signals: Signals, leverage: float, blocks: int, forced: NDArray[np.bool_] | None = None) -> Sums:
    """What `simulate` would leave of them once their levels are on the tick grid, in sums.

    Args:
        leverage: notional / margin. blocks: equal parts of the bars that returns are summed over.

    Raises:
        DataError: rows do not match, or an exposure is not a finite number.
    """
    rules = stage.rules._replace(leverage=float(leverage))
    return tally(stage.bars, _wishes(stage, signals, forced), stage.settlements, rules, stage.capital, blocks)


def equity_curve(
    market: Market, signals: Signals, costs: Costs, instrument: Instrument, leverage: float, capital: float = SCORE_CAPITAL
) -> Floats:
    """Equity of the signals traded alone, as a multiple of the initial capital; row t depends on rows up to t only; shape [T].

    Args:
        capital: quote currency; large by default, so that whole lots and the smallest order do not weigh.
    """
    return simulate(market, signals, costs, instrument, leverage, capital).equity / capital


def _check(market: Market, leverage: float, capital: float, start: int, mark: Candles | None) -> None:
    if not (np.isfinite(leverage) and leverage > 0):
        raise ConfigError(f"leverage {leverage} must be a positive number")
    if not (np.isfinite(capital) and capital > 0):
        raise ConfigError(f"initial_capital {capital} must be a positive number of quote currency")
    if not 0 <= start <= len(market):
        raise ConfigError(f"start {start} is not a row of the {len(market)} bars")
    if mark is not None and len(mark) != len(market):
        raise DataError(f"{len(market)} bars, {len(mark)} mark bars do not match row by row")


def _floats(values: NDArray[np.generic], start: int = 0) -> Floats:
    """From row `start` on, contiguous and read-only: one type of array, so that the loop is compiled once."""
    return cast(Floats, frozen_array(np.ascontiguousarray(values[start:], np.float64)))


def _ints(values: NDArray[np.generic], start: int = 0) -> Ints:
    return cast(Ints, frozen_array(np.ascontiguousarray(values[start:], np.int64)))


def _flags(values: NDArray[np.generic], start: int = 0) -> NDArray[np.bool_]:
    return cast(NDArray[np.bool_], frozen_array(np.ascontiguousarray(values[start:], np.bool_)))


def _bars(market: Market, mark: Candles | None, start: int) -> Bars:
    marked = mark or market.candles
    open_, high, low, close = (_floats(price, start) for price in (market.open, market.high, market.low, market.close))
    mark_open, mark_high, mark_low = (_floats(price, start) for price in (marked.open, marked.high, marked.low))
    return Bars(_ints(market.ts, start), open_, high, low, close, mark_open, mark_high, mark_low)


def _detail(market: Market, detail: Market | None, start: int) -> Detail:
    first, bars = bars_inside(market, detail) if detail is not None else (np.empty(0, np.int64), Candles.empty())
    return Detail(_ints(first, start), _floats(bars.open), _floats(bars.high), _floats(bars.low))


def _wishes(stage: Stage, signals: Signals, forced: NDArray[np.bool_] | None) -> Wishes:
    rows, start = signals.exposure.size, stage.start
    if rows - start != stage.bars.ts.size:
        raise DataError(f"{stage.bars.ts.size + start} bars, {rows} signals do not match row by row")
    if not np.isfinite(signals.exposure).all():
        raise DataError(f"exposure of row {int(np.argmin(np.isfinite(signals.exposure)))} is not a finite number; 0 means flat")
    exposure, stop, take = (_floats(values, start) for values in (signals.exposure, signals.stop, signals.take))
    return Wishes(exposure, stop, take, _none(rows - start) if forced is None else _flags(forced, start))


@lru_cache(maxsize=8)
def _none(rows: int) -> NDArray[np.bool_]:
    return _flags(np.zeros(rows, np.bool_))


def _rules(costs: Costs, instrument: Instrument, leverage: float, bar_ms: int, fixed_equity: float | None) -> Rules:
    money = {name: float(getattr(costs, name)) for name in Rules._fields if name != "rearm_bars" and hasattr(costs, name)}
    own = {
        "lot": float(instrument.lot),
        "tick": float(instrument.tick),
        "leverage": float(leverage),
        "fixed_equity": float(fixed_equity or 0),
    }
    return Rules(**money, **own, rearm_bars=int(costs.rearm_bars), bar_ms=int(bar_ms))


def _settlements(market: Market) -> Settlements:
    end = int(market.ts[-1]) + market.bar_ms - 1 if len(market) else 0
    known = complete(Funding(market.funding_ts, market.funding_rate), end, market.bar_ms)
    return Settlements(_ints(known.ts), _floats(known.rate), _flags(known.assumed))


def _simulation(bars: Bars, path: Path, log: Log, rules: Rules, capital: float) -> Simulation:
    seen = at_closes(path, bars.close, rules.lot)
    total = float(seen.paid_upto[-1] + path.paid_inside[-1]) if seen.paid.size else 0.0
    trips, closed = round_trips(log, seen.paid_upto, total, rules.lot)
    ends = closed + int(path.lots[-1:].any())
    done, still = (_trades(trips, which, path.equity, capital, rules.lot) for which in (slice(0, closed), slice(closed, ends)))
    quantity, exposure, orders = _floats(seen.quantity), _floats(seen.exposure), _ints(seen.orders)
    fills = _fills(log, rules.lot)
    return Simulation(bars.ts, path.equity, quantity, exposure, orders, seen.paid, fills, done, still, int(path.assumed[0]))


def _fills(log: Log, lot: float) -> Fills:
    used = slice(0, int(log.used[0]))
    # copies: the log is as long as the most that could have happened
    return Fills(log.row[used].copy(), _floats(log.lots[used] * lot), log.price[used].copy(), log.fee[used].copy(), log.reason[used].copy())


def _trades(trips: Trips, which: slice, equity: Floats, capital: float, lot: float) -> Trades:
    entry_row, gross, fees, funding = trips.entry_row[which], trips.gross[which], trips.fees[which], trips.funding[which]
    pnl = gross - fees - funding
    before = np.where(entry_row > 0, equity[entry_row - 1], capital) if entry_row.size else pnl
    return Trades(
        entry_row=entry_row,
        exit_row=trips.exit_row[which],
        side=trips.side[which],
        quantity=_floats(trips.lots[which] * lot),
        entry_price=trips.entry_price[which],
        exit_price=trips.exit_price[which],
        fees=fees,
        funding=funding,
        pnl=pnl,
        return_=pnl / before,
        reason=trips.reason[which],
    )
