"""The synthetic market as a source: a past of any length, and bars that appear as the clock reaches their close."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, SkipValidation
from pydantic.dataclasses import dataclass

from alpha_arena.core.ports import Clock
from alpha_arena.core.quality import Repair
from alpha_arena.core.timeframes import UNIT_MS, aggregate, timeframe_ms
from alpha_arena.core.types import Candles, Funding
from alpha_arena.exchange.synthetic.model import REALISTIC, VIVID, Model
from alpha_arena.exchange.synthetic.synthetic import Synthetic

MODELS = {"realistic": REALISTIC, "vivid": VIVID}
NATIVE_MS = UNIT_MS["m"]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class GeneratedSource:
    """A seeded market (specs: synthetic-market) read through a clock.

    Attributes:
        name: the exchange under which its rows are stored.
        model: realistic, or vivid, in which the right rule wins and results mean nothing.
        seed: which of the markets of that model.
        history_days: how far back a first import goes.
        speed: simulated seconds a real second, for who starts the clock.
        cache: folder of daily sums that spare later processes a second a symbol; None for none.
        clock: no bar that closes after its time is given out.
    """

    name: str
    model: Literal["realistic", "vivid"]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    history_days: Annotated[int, Field(ge=1, le=3650)]
    speed: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
    cache: Path | None
    clock: SkipValidation[Clock]

    @property
    def batch_bars(self) -> int:
        """Bars a transaction: sixteen days, in which the generator is quickest."""
        return 16 * UNIT_MS["d"] // NATIVE_MS

    def offers(self, symbols: Sequence[str] = ()) -> Mapping[str, tuple[str, ...]]:
        """Minutes and funding of each symbol (of all four where none are named).

        Raises:
            UnknownName: the market has no such symbol.
        """
        known = [self._numbers.contract(symbol).symbol for symbol in symbols]
        return dict.fromkeys(known or [contract.symbol for contract in self._numbers.contracts], ("1m", "funding"))

    def span(self, symbol: str, timeframe: str) -> tuple[int, int] | None:
        """It goes on."""
        return None

    def repairs(self, symbol: str, timeframe: str) -> tuple[Repair, ...]:
        """Nothing is repaired."""
        return ()

    def candles(self, symbol: str, timeframe: str, start_ms: int, end_ms: int) -> Candles:
        """Bars of start <= ts < end that have closed by the clock; higher timeframes are made of minutes.

        Raises:
            UnknownName: the market has no such symbol.
            ConfigError: not a timeframe of whole minutes.
        """
        bar_ms = timeframe_ms(timeframe)
        first = -(-start_ms // bar_ms) * bar_ms
        last = min(-(-end_ms // bar_ms), self.clock.now_ms() // bar_ms) * bar_ms
        return aggregate(self._market.bars(symbol, first, last), NATIVE_MS, bar_ms) if first < last else Candles.empty()

    def funding(self, symbol: str, start_ms: int, end_ms: int) -> Funding:
        """Settlements of start <= ts < end that are past by the clock."""
        last = min(end_ms, self.clock.now_ms() + 1)
        return self._market.funding(symbol, start_ms, last) if start_ms < last else Funding.none()

    @property
    def _numbers(self) -> Model:
        return MODELS[self.model]

    @cached_property
    def _market(self) -> Synthetic:
        return Synthetic(self._numbers, self.seed, self.cache)
