"""A symbol's history as strategies see it, and what is known of it at one close."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from alpha_arena.core.outcomes import Outcome
from alpha_arena.core.timeframes import aggregate, timeframe_ms
from alpha_arena.core.types import RUINED, Account, Candles, Floats, Funding, Ints, Regimes, RiskState, Signals, frozen_array

ROWS = ("ts", "open", "high", "low", "close", "volume", "funding")
# from (a time, how many at most) to the newest outcomes that were known by then, oldest first
Past = Callable[[int, int], Sequence[Outcome]]


def nothing_past(_ts: int, _most: int) -> Sequence[Outcome]:
    """Of an account without a memory."""
    return ()


@dataclass(frozen=True, slots=True)
class Market:
    """Closed bars of one symbol with its funding.

    Attributes:
        symbol: e.g. "BTC/USDT:USDT".
        bar_ms: length of a bar.
        ts, open, high, low, close, volume: as in Candles, shape [T].
        funding: last realised rate settled at or before the row's close, NaN before the first; shape [T].
        funding_ts, funding_rate: the settlements themselves, for accounting.
    """

    symbol: str
    bar_ms: int
    ts: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    funding: Floats
    funding_ts: Ints
    funding_rate: Floats

    def __post_init__(self) -> None:
        for item in fields(self)[2:]:
            object.__setattr__(self, item.name, frozen_array(getattr(self, item.name)))

    @classmethod
    def of(cls, symbol: str, bar_ms: int, candles: Candles, funding: Funding | None = None) -> Market:
        """A market from candles and settlements."""
        paid = funding or Funding.none()
        row = np.searchsorted(paid.ts, candles.ts + bar_ms, side="right") - 1
        known = np.where(row >= 0, paid.rate[row], np.nan) if paid.ts.size else np.full(len(candles), np.nan)
        c = candles
        return cls(symbol, bar_ms, c.ts, c.open, c.high, c.low, c.close, c.volume, known, paid.ts, paid.rate)

    def __len__(self) -> int:
        return int(self.ts.size)

    @property
    def candles(self) -> Candles:
        """The bars alone."""
        return Candles(self.ts, self.open, self.high, self.low, self.close, self.volume)

    def rows(self, start: int, stop: int) -> Market:
        """Bars start <= row < stop; settlements after the last bar's close are left out."""
        cut = {name: getattr(self, name)[start:stop] for name in ROWS}
        end = int(cut["ts"][-1]) + self.bar_ms if cut["ts"].size else 0
        settled = int(np.searchsorted(self.funding_ts, end, side="right"))
        return Market(self.symbol, self.bar_ms, **cut, funding_ts=self.funding_ts[:settled], funding_rate=self.funding_rate[:settled])

    def upto(self, t: int) -> Market:
        """What was known at the close of row t."""
        return self.rows(0, t + 1)

    def resample(self, timeframe: str) -> Market:
        """The complete bars of a higher timeframe: what to compute its indicators on."""
        bar_ms = timeframe_ms(timeframe)
        higher = aggregate(self.candles, self.bar_ms, bar_ms)
        return Market.of(self.symbol, bar_ms, higher, Funding(self.funding_ts, self.funding_rate))

    def align(self, higher: Market, values: Floats) -> Floats:
        """Spread values of `higher` (one a row of it) over this market's rows: each row gets those of the last bar that had closed."""
        row = np.searchsorted(higher.ts + higher.bar_ms, self.ts + self.bar_ms, side="right") - 1
        return np.where(row >= 0, values[row], np.nan) if len(higher) else np.full(len(self), np.nan)

    def at(self, timeframe: str) -> Market:
        """A higher timeframe's last closed bar on each of this market's rows (NaN before the first; ts -1), so that it stays causal."""
        higher = self.resample(timeframe)
        bars = {name: self.align(higher, getattr(higher, name)) for name in ROWS[1:]}
        ts = np.nan_to_num(self.align(higher, higher.ts.astype(np.float64)), nan=-1).astype(np.int64)
        return Market(self.symbol, higher.bar_ms, ts, **bars, funding_ts=self.funding_ts, funding_rate=self.funding_rate)


@dataclass(frozen=True, slots=True)
class Study:
    """Everything computed once over the stored history, to be revealed row by row.

    Attributes:
        markets: by symbol, all of one bar length.
        signals: by symbol, then strategy.
        regimes: by symbol.
        recent: by symbol, then strategy: equity of the strategy traded alone, costs in, starting at 1; shape [T], causal.
    """

    markets: Mapping[str, Market]
    signals: Mapping[str, Mapping[str, Signals]]
    regimes: Mapping[str, Regimes]
    recent: Mapping[str, Mapping[str, Floats]]


@dataclass(frozen=True, slots=True)
class View:
    """All that may be known at one close.

    Attributes:
        ts: time of the close (bar open + bar_ms); now_ms: the clock, equal to ts in a backtest.
        t: row of the newest closed bar by symbol; a symbol whose bar is missing is absent. Nothing beyond row t may be read.
        account, risk: the state before this decision. prices: the closes.
        catch_up: the bar was already past when it was decided.
        fixed_equity: equity (quote) that sizes positions instead of the account's own; None for that.
        past: the memory of outcomes, asked only where a decider wants them.
        equity: at the closes, quote currency.
        sizing_equity: what exposures are fractions of, quote currency: not positive once the account's own is not, and 0 after it was gone.
    """

    ts: int
    now_ms: int
    t: Mapping[str, int]
    study: Study
    account: Account
    risk: RiskState
    prices: Mapping[str, float]
    fixed_equity: float | None = None
    catch_up: bool = False
    past: Past = nothing_past
    equity: float = field(init=False)
    sizing_equity: float = field(init=False)

    def __post_init__(self) -> None:
        own = self.account.equity(self.prices)
        sizing = own if self.fixed_equity is None or own <= 0 else self.fixed_equity
        object.__setattr__(self, "equity", own)
        object.__setattr__(self, "sizing_equity", min(own, 0.0) if self.risk.halted == RUINED else sizing)

    def market(self, symbol: str) -> Market:
        """The symbol's bars up to and including this close."""
        return self.study.markets[symbol].upto(self.t[symbol])

    def outcomes(self, most: int) -> Sequence[Outcome]:
        """The newest outcomes of this account's decisions that were known at this close, over all symbols, oldest first."""
        return [outcome for outcome in self.past(self.ts, most) if outcome.closed_ts is not None and outcome.closed_ts <= self.ts]

    def signals(self, symbol: str) -> Mapping[str, Signals]:
        """The strategies' arrays for the symbol; read row t only."""
        return self.study.signals[symbol]

    def exposure(self, symbol: str) -> float:
        """Present exposure of the symbol; 0 without equity."""
        equity = self.sizing_equity
        return self.account.position(symbol).quantity * self.prices[symbol] / equity if equity > 0 else 0.0
