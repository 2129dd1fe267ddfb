"""The embedded exchange as a source of market data, and what `alpha-arena exchange` serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, SkipValidation, model_validator
from pydantic.dataclasses import dataclass

from alpha_arena.core.ports import Clock
from alpha_arena.core.quality import Repair
from alpha_arena.core.types import Candles, Funding
from alpha_arena.exchange.accounts import read_embedded
from alpha_arena.exchange.okx import OkxSource, Rate

Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Milliseconds = Annotated[int, Field(ge=0, le=600_000)]
CLIENT = (
    "timeout_s",
    "attempts",
    "backoff_s",
    "backoff_max_s",
    "page_bars",
    "page_funding",
    "batch_bars",
    "candles_2s",
    "history_2s",
    "funding_2s",
)


@dataclass(frozen=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class EmbeddedSource:
    """An OKX of our own on loopback: how it is served, and how a client asks it.

    Attributes:
        name: the exchange under which its rows are stored.
        port: of the server; 0 picks a free one. accounts: names of its accounts, None for one of each trader.
        accounts_file: where the server leaves its address and keys. ledger: its own SQLite file.
        market: synthetic, or the replay of candles in `path` with funding in `funding_path` and mark prices in `mark_path`.
        model, seed: of the synthetic market. history_days: how far back a first import goes.
        speed: simulated seconds a real second. driven: time stands until the control plane moves it.
        profile: spec fills as a backtest does; market has latency, spread, impact and partial fills.
        half_spread, impact: fractions of the price. participation: most of a bar's volume that an order takes, a fraction.
        latency_ms: until an order arrives. fills_lag_ms: until a fill is listed. queue_probability: that a limit price that is only
            touched fills. price_path: which extreme of a bar comes first.
        timeout_s and what follows: of the client, as of exchange=okx.
        clock: the market's time.
    """

    name: str
    port: Annotated[int, Field(ge=0, le=65_535)]
    accounts: list[str] | None
    accounts_file: Path | None
    ledger: Path | None
    market: Literal["synthetic", "replay"]
    path: Path | None
    funding_path: Path | None
    mark_path: Path | None
    model: Literal["realistic", "vivid"]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    history_days: Annotated[int, Field(ge=1, le=3650)]
    speed: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
    driven: bool
    profile: Literal["market", "spec"]
    half_spread: Fraction
    impact: Fraction
    participation: Fraction
    latency_ms: Milliseconds
    fills_lag_ms: Milliseconds
    queue_probability: Fraction
    price_path: Literal["nearest", "pessimistic"]
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

    @model_validator(mode="after")
    def _market_is_whole(self) -> Self:
        if self.market == "replay" and self.path is None:
            raise ValueError("market=replay needs exchange.path=FILE_OR_FOLDER of candles")
        if self.market != "replay" and self.mark_path is not None:
            raise ValueError("mark_path is of a replay: exchange.market=replay, or leave it out")
        if self.accounts is not None and (not self.accounts or len(set(self.accounts)) < len(self.accounts)):
            raise ValueError(f"accounts={self.accounts} must be names, each once, such as exchange.accounts=[default]")
        return self

    def offers(self, symbols: Sequence[str] = ()) -> Mapping[str, tuple[str, ...]]:
        """All OKX's timeframes for each symbol, and funding for swaps."""
        return self._source.offers(symbols)

    def span(self, symbol: str, timeframe: str) -> tuple[int, int] | None:
        """It goes on."""
        return None

    def repairs(self, symbol: str, timeframe: str) -> tuple[Repair, ...]:
        """Nothing is repaired."""
        return ()

    def candles(self, symbol: str, timeframe: str, start_ms: int, end_ms: int) -> Candles:
        """Closed bars with start <= ts < end.

        Raises:
            ConfigError: no embedded exchange has been started. SourceError: it does not answer.
        """
        return self._source.candles(symbol, timeframe, start_ms, end_ms)

    def funding(self, symbol: str, start_ms: int, end_ms: int) -> Funding:
        """Settlements with start <= ts < end; errors as of `candles`."""
        return self._source.funding(symbol, start_ms, end_ms)

    def close(self) -> None:
        """Drop the connections."""
        if "_source" in vars(self):
            self._source.close()

    @cached_property
    def _source(self) -> OkxSource:
        assert self.accounts_file
        url = read_embedded(self.accounts_file).url
        asked = {name: getattr(self, name) for name in CLIENT}
        return OkxSource(name=self.name, region="embedded", hosts={"embedded": url}, clock=self.clock, **asked)
