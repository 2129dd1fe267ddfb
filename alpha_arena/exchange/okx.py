"""OKX's public market data through ccxt: closed candles and realised funding of any age, without keys.

Raw endpoints are used, for ccxt's unified calls drop the flag that says whether a bar has closed, and their paging skips and repeats bars
(specs: okx-wire §2.4, §2.10; faults T7 to T10, T20).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Self, TypeVar
from urllib.parse import urlsplit

import numpy as np
from pydantic import ConfigDict, Field, SkipValidation, model_validator
from pydantic.dataclasses import dataclass

from alpha_arena.core.errors import ConfigError, SourceError
from alpha_arena.core.ports import Clock
from alpha_arena.core.quality import Repair
from alpha_arena.core.timeframes import timeframe_ms
from alpha_arena.core.types import Candles, Funding
from alpha_arena.exchange.calls import Limiter, Patience, Waiting

if TYPE_CHECKING:
    from alpha_arena.exchange.okx_client import OkxClient

# OKX's own 6H and longer bars open at UTC+8
BARS = {"1m": "1m", "3m": "3m", "5m": "5m", "15m": "15m", "30m": "30m", "1h": "1H", "2h": "2H", "4h": "4H"} | {
    name: f"{name.upper()}utc" for name in ("6h", "12h", "1d")
}
ENDPOINTS = {
    "market/candles": "publicGetMarketCandles",
    "market/history-candles": "publicGetMarketHistoryCandles",
    "public/funding-rate-history": "publicGetPublicFundingRateHistory",
}
RECENT_BARS = 1_430  # market/candles reaches 1,440 back; a margin for bars that close meanwhile
LOOPBACK = ("127.0.0.1", "localhost", "::1")

Values = TypeVar("Values")
Rate = Annotated[int, Field(ge=1, le=1000)]


def instrument_id(symbol: str) -> str:
    """OKX's name of a symbol: BTC/USDT:USDT is BTC-USDT-SWAP, BTC/USDT is BTC-USDT.

    Raises:
        ConfigError: not of that form.
    """
    pair, _, settle = symbol.partition(":")
    base, _, quote = pair.partition("/")
    if not base or not quote or settle not in ("", quote, base):
        raise ConfigError(f"symbol {symbol!r} is not of the form BTC/USDT:USDT (swap) or BTC/USDT (spot); correct it in conf/symbol")
    return f"{base}-{quote}-SWAP" if settle else f"{base}-{quote}"


@dataclass(frozen=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class OkxSource:
    """OKX as a source of candles and funding.

    Attributes:
        name: the exchange under which its rows are stored.
        region: which of `hosts` is asked; accounts of the EEA and of the USA have hosts of their own.
        timeout_s: of a request. attempts: calls at most where errors may pass. backoff_s, backoff_max_s: waits between them.
        page_bars, page_funding: rows a request (the exchange gives at most 300 and 400).
        batch_bars: bars that are fetched and stored at a time.
        candles_2s, history_2s, funding_2s: requests in two seconds, by endpoint (the exchange allows 40, 20 and 10).
        clock: now; it tells which endpoint still has a bar.
    """

    name: str
    region: str
    hosts: Mapping[str, str]
    timeout_s: Annotated[float, Field(gt=0, le=120)]
    attempts: Annotated[int, Field(ge=1, le=20)]
    backoff_s: Annotated[float, Field(ge=0, le=60)]
    backoff_max_s: Annotated[float, Field(ge=0, le=600)]
    page_bars: Annotated[int, Field(ge=1, le=300)]
    page_funding: Annotated[int, Field(ge=1, le=400)]
    batch_bars: Annotated[int, Field(ge=1, le=1_000_000)]
    candles_2s: Rate
    history_2s: Rate
    funding_2s: Rate
    clock: SkipValidation[Clock]
    waiting: SkipValidation[Waiting] = field(default_factory=Waiting)

    @model_validator(mode="after")
    def _host_is_safe(self) -> Self:
        url = urlsplit(self.hosts.get(self.region, ""))
        if not url.hostname:
            raise ValueError(f"exchange.region={self.region} has no host; known are {', '.join(sorted(self.hosts))}")
        if url.scheme != "https" and url.hostname not in LOOPBACK:
            raise ValueError(f"exchange.hosts.{self.region}={url.geturl()} must be an https address")
        return self

    def offers(self, symbols: Sequence[str] = ()) -> Mapping[str, tuple[str, ...]]:
        """All its timeframes for each symbol, and funding for swaps."""
        return {symbol: (*BARS, *(["funding"] if ":" in symbol else [])) for symbol in symbols}

    def span(self, symbol: str, timeframe: str) -> tuple[int, int] | None:
        """It goes on."""
        return None

    def repairs(self, symbol: str, timeframe: str) -> tuple[Repair, ...]:
        """Nothing is repaired."""
        return ()

    def close(self) -> None:
        """Drop the connections."""
        self._client.session.close()

    def candles(self, symbol: str, timeframe: str, start_ms: int, end_ms: int) -> Candles:
        """Bars that OKX calls closed, start <= ts < end; volume in base currency.

        Raises:
            ConfigError: a timeframe or symbol that OKX does not have.
            SourceError: it refused, kept failing (TransientError), or sent rows that cannot be read.
        """
        if timeframe not in BARS:
            raise ConfigError(f"timeframe {timeframe!r} is not one of OKX's: {' '.join(BARS)}; aggregate it from one of these")
        instrument, bar_ms = instrument_id(symbol), timeframe_ms(timeframe)
        first_ms, last_ms = (-(-ts // bar_ms) * bar_ms for ts in (start_ms, end_ms))

        def page(cursor: int) -> list[tuple[int, tuple[bool, list[float]]]]:
            limit = min(self.page_bars, (cursor - first_ms) // bar_ms)
            recent = cursor - limit * bar_ms >= self.clock.now_ms() - RECENT_BARS * bar_ms
            query = {"instId": instrument, "bar": BARS[timeframe], "after": cursor, "limit": limit}
            rows = self._ask("market/candles" if recent else "market/history-candles", query)
            return [_bar(row, instrument) for row in rows]

        closed = [(ts, *values) for ts, (done, values) in _pages(page, first_ms, last_ms, instrument) if done]
        table = np.array(sorted(closed), dtype=np.float64).reshape(-1, 6)
        return Candles(table[:, 0].astype(np.int64), *table[:, 1:].T)

    def funding(self, symbol: str, start_ms: int, end_ms: int) -> Funding:
        """Realised rates, start <= ts < end; OKX keeps about three months.

        Raises:
            SourceError: as candles.
        """
        instrument = instrument_id(symbol)

        def page(cursor: int) -> list[tuple[int, float]]:
            query = {"instId": instrument, "after": cursor, "limit": self.page_funding}
            return [_settlement(row, instrument) for row in self._ask("public/funding-rate-history", query)]

        rows = sorted(_pages(page, start_ms, end_ms, instrument))
        return Funding(np.array([ts for ts, _ in rows], dtype=np.int64), np.array([rate for _, rate in rows], dtype=np.float64))

    @cached_property
    def _client(self) -> OkxClient:
        from alpha_arena.exchange.okx_client import OkxClient

        return OkxClient(self.hosts[self.region], int(self.timeout_s * 1000))

    @cached_property
    def _limits(self) -> Mapping[str, Limiter]:
        return {
            "market/candles": Limiter(self.candles_2s, self.waiting),
            "market/history-candles": Limiter(self.history_2s, self.waiting),
            "public/funding-rate-history": Limiter(self.funding_2s, self.waiting),
        }

    def _ask(self, endpoint: str, query: Mapping[str, Any]) -> list[Any]:
        from alpha_arena.exchange.okx_client import ask

        def once() -> list[Any]:
            self._limits[endpoint].wait()
            return ask(self._client, ENDPOINTS[endpoint], query)

        patience = Patience(self.attempts, self.backoff_s, self.backoff_max_s, self.waiting)
        return patience.call(f"{endpoint} of {self.hosts[self.region]} for {query['instId']}", once)


def _pages(page: Callable[[int], list[tuple[int, Values]]], start_ms: int, end_ms: int, instrument: str) -> list[tuple[int, Values]]:
    """All rows of start <= ts < end, from the newest page back: OKX's `after` gives what is older than the cursor, exclusive.

    Raises:
        SourceError: rows repeat or are not older than was asked, so that paging would not end or bars would be doubled.
    """
    found: dict[int, Values] = {}
    cursor = end_ms
    while cursor > start_ms and (rows := page(cursor)):
        if len(dict(rows)) < len(rows) or max(dict(rows)) >= cursor:
            raise SourceError(f"OKX sent rows of {instrument} that repeat or are not older than {cursor}, as was asked; nothing was stored")
        found |= rows
        cursor = min(found)
    return [(ts, values) for ts, values in found.items() if ts >= start_ms]


def _bar(row: Any, instrument: str) -> tuple[int, tuple[bool, list[float]]]:
    """ts, whether closed, and open, high, low, close, base volume, of [ts,o,h,l,c,vol,volCcy,volCcyQuote,confirm], all strings."""
    if not (isinstance(row, list) and len(row) == 9 and all(isinstance(cell, str) for cell in row) and row[8] in ("0", "1")):
        raise _unreadable(row, instrument, "nine strings, the last 0 or 1")
    return _whole(row[0], row, instrument), (row[8] == "1", [_finite(row[i], row, instrument) for i in (1, 2, 3, 4, 6)])


def _settlement(row: Any, instrument: str) -> tuple[int, float]:
    fields = (row.get("fundingTime"), row.get("realizedRate")) if isinstance(row, dict) and row.get("instId") == instrument else ()
    if len(fields) != 2 or not all(isinstance(cell, str) for cell in fields):
        raise _unreadable(row, instrument, f"fundingTime and realizedRate of {instrument}")
    return _whole(str(fields[0]), row, instrument), _finite(str(fields[1]), row, instrument)


def _whole(cell: str, row: Any, instrument: str) -> int:
    if not cell.isdecimal():
        raise _unreadable(row, instrument, "a time in ms")
    return int(cell)


def _finite(cell: str, row: Any, instrument: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        raise _unreadable(row, instrument, "numbers") from None
    if not np.isfinite(value):
        raise _unreadable(row, instrument, "finite numbers")
    return value


def _unreadable(row: Any, instrument: str, allowed: str) -> SourceError:
    return SourceError(
        f"OKX sent a row of {instrument} that cannot be trusted: {str(row)[:200]}, allowed is {allowed}; nothing of its batch was stored"
    )
