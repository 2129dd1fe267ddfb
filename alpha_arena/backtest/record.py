"""What a simulation leaves, whichever engine made it: frames in the columns of specs: simulation, "What a run leaves"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alpha_arena.backtest.kernel import REASONS, Simulation, Trades
from alpha_arena.core.advice import Advice
from alpha_arena.core.market import Market
from alpha_arena.core.outcomes import Outcome
from alpha_arena.core.records import Booking, Decision
from alpha_arena.core.timeline import timeline
from alpha_arena.core.trades import OpenTrade, Trade, round_trips
from alpha_arena.core.types import Floats, Ints, Signals

TRADE_COLUMNS = {
    "entry_ts": "int64",
    "exit_ts": "int64",
    "side": "str",
    "quantity": "float64",
    "entry_price": "float64",
    "exit_price": "float64",
    "fees": "float64",
    "funding": "float64",
    "pnl": "float64",
    "return": "float64",
    "bars_held": "int64",
    "exit_reason": "str",
}
FILL_COLUMNS = {"ts": "int64", "symbol": "str", "quantity": "float64", "price": "float64", "fee": "float64", "reason": "str"}
SIGNAL_COLUMNS = {"ts": "int64", "exposure": "float64", "stop": "float64", "take": "float64"}


@dataclass(frozen=True, slots=True)
class OpenPosition:
    """A round trip that has not ended: realised is net of its fees and funding so far; quote currency, quantity signed."""

    symbol: str
    side: str
    quantity: float
    entry_ts: int
    entry_price: float
    price: float
    unrealised: float
    realised: float


@dataclass(frozen=True, slots=True)
class Record:
    """A simulated history, one element of each array a bar; quote currency unless said otherwise.

    Attributes:
        markets: the simulated bars by symbol. ts: their opens, ms UTC, over all symbols.
        equity: at each close. exposure: signed notional / equity, summed over symbols. notional: of all positions, unsigned.
        trades, signals: frames of TRADE_COLUMNS and SIGNAL_COLUMNS, with the column symbol where there are several.
        advice: of the models that were consulted, in order. outcomes: of their decisions that have ended, in the order of their ends.
        details: shorter bars by symbol, which decided what came first within a bar; empty where none were given.
        fills: frame of FILL_COLUMNS. funding: paid in all; funding_assumed: payments whose rate was not known.
    """

    initial_capital: float
    markets: Mapping[str, Market]
    ts: Ints
    equity: Floats
    exposure: Floats
    notional: Floats
    trades: pd.DataFrame
    signals: pd.DataFrame
    fills: pd.DataFrame
    open_positions: tuple[OpenPosition, ...]
    funding: float
    funding_assumed: int
    details: Mapping[str, Market] = field(default_factory=dict)
    advice: tuple[Advice, ...] = ()
    outcomes: tuple[Outcome, ...] = ()


def frame(rows: Iterable[Mapping[str, Any]] | Mapping[str, object], columns: Mapping[str, str], several: bool = False) -> pd.DataFrame:
    """A frame of exactly these columns and types, with the column symbol first where there are several."""
    kinds = {"symbol": "str", **columns} if several else dict(columns)
    data = rows if isinstance(rows, Mapping) else list(rows)
    return pd.DataFrame(data, columns=list(kinds)).astype(kinds)


def of_symbol(table: pd.DataFrame, symbol: str) -> pd.DataFrame:
    """The rows of a symbol; a frame without that column is of one symbol."""
    return table[table["symbol"] == symbol] if "symbol" in table else table


def share(notional: Floats, equity: Floats) -> Floats:
    """Notional / equity, 0 where nothing is held or equity is 0."""
    return np.divide(notional, equity, out=np.zeros(equity.size), where=(notional != 0) & (equity != 0))


def from_simulation(simulation: Simulation, market: Market, signals: Signals, initial_capital: float) -> Record:
    """Of the kernel.

    Args:
        market, signals: as given to `simulate`, the rows before its start included.
    """
    s, first = simulation, len(market) - simulation.ts.size
    part = market.rows(first, len(market))
    wishes = {"ts": s.ts, "exposure": signals.exposure[first:], "stop": signals.stop[first:], "take": signals.take[first:]}
    fills = {"ts": s.ts[s.fills.row], "symbol": market.symbol, "quantity": np.round(s.fills.quantity, 10), "price": s.fills.price}
    fills |= {"fee": s.fills.fee, "reason": reasons(s.fills.reason)}
    return Record(
        initial_capital=initial_capital,
        markets={market.symbol: part},
        ts=s.ts,
        equity=s.equity,
        exposure=s.exposure,
        notional=np.abs(s.quantity * part.close),
        trades=frame(_trade_columns(s.trades, s.ts), TRADE_COLUMNS),
        signals=frame(wishes, SIGNAL_COLUMNS),
        fills=frame(fills, FILL_COLUMNS),
        open_positions=_still_open(s, part),
        funding=float(s.funding.sum()),
        funding_assumed=s.funding_assumed,
    )


def reasons(codes: Ints) -> NDArray[np.str_]:
    """Names of exit reasons."""
    return np.array(REASONS)[codes]


def _trade_columns(t: Trades, ts: Ints) -> dict[str, object]:
    return {
        "entry_ts": ts[t.entry_row],
        "exit_ts": ts[t.exit_row],
        "side": np.where(t.side > 0, "long", "short"),
        "quantity": np.round(t.quantity, 10),
        "entry_price": t.entry_price,
        "exit_price": t.exit_price,
        "fees": t.fees,
        "funding": t.funding,
        "pnl": t.pnl,
        "return": t.return_,
        "bars_held": t.exit_row - t.entry_row,
        "exit_reason": reasons(t.reason),
    }


def _still_open(s: Simulation, part: Market) -> tuple[OpenPosition, ...]:
    return tuple(
        _open_position(part.symbol, float(s.quantity[-1]), int(s.ts[row]), entry, float(part.close[-1]), realised)
        for row, entry, realised in zip(s.open_trade.entry_row, s.open_trade.entry_price.tolist(), s.open_trade.pnl.tolist(), strict=True)
    )


def _open_position(symbol: str, quantity: float, entry_ts: int, entry: float, price: float, realised: float) -> OpenPosition:
    side = "long" if quantity > 0 else "short"
    return OpenPosition(symbol, side, round(quantity, 10), entry_ts, entry, price, quantity * (price - entry), realised)


def from_bookings(
    bookings: Sequence[Booking],
    decisions: Sequence[Decision],
    markets: Mapping[str, Market],
    initial_capital: float,
    outcomes: Sequence[Outcome] = (),
) -> Record:
    """Of the trading loop.

    Args:
        bookings: one for each simulated bar, in order. decisions: made at their closes. outcomes: where a model made them.
        markets: the simulated bars by symbol.
    """
    several = len(markets) > 1
    ts, equity = np.array([b.ts for b in bookings], np.int64), np.array([b.equity for b in bookings], np.float64)
    held = np.array([_notionals(b) for b in bookings], np.float64).reshape(-1, 2)
    rows = {stamp: row for row, stamp in enumerate(ts.tolist())}
    trips, still = round_trips(timeline(bookings), rows, equity.tolist(), initial_capital)
    payments = [payment for b in bookings for payment in b.payments]
    return Record(
        initial_capital=initial_capital,
        markets=markets,
        ts=ts,
        equity=equity,
        exposure=share(held[:, 0], equity),
        notional=held[:, 1],
        trades=frame(map(_trip, trips), TRADE_COLUMNS, several),
        signals=frame((_wish(d) for d in decisions), SIGNAL_COLUMNS, several),
        fills=frame(({name: getattr(fill, name) for name in FILL_COLUMNS} for b in bookings for fill in b.fills), FILL_COLUMNS),
        open_positions=tuple(_open_of_loop(trade, bookings[-1].prices[symbol]) for symbol, trade in still.items()),
        funding=-sum(payment.amount for payment in payments),
        funding_assumed=sum(payment.assumed for payment in payments),
        advice=tuple(d.wanted.advice for d in decisions if d.wanted.advice),
        outcomes=tuple(outcomes),
    )


def _notionals(booking: Booking) -> tuple[float, float]:
    held = [p.quantity * booking.prices[symbol] for symbol, p in booking.account.positions.items() if p.quantity]
    return sum(held), sum(abs(value) for value in held)


def _trip(trip: Trade) -> dict[str, Any]:
    own = {name: getattr(trip, name) for name in TRADE_COLUMNS if name != "return"}
    return {"symbol": trip.symbol, **own, "return": trip.return_}


def _wish(decision: Decision) -> dict[str, Any]:
    target = decision.target
    return {"symbol": decision.symbol, "ts": decision.bar_ts, "exposure": target.exposure, "stop": target.stop, "take": target.take}


def _open_of_loop(trade: OpenTrade, price: float) -> OpenPosition:
    realised = trade.gross - trade.fees - trade.funding
    return _open_position(trade.symbol, trade.position.quantity, trade.entry_ts, trade.position.entry, price, realised)
