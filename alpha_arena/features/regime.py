"""Which kind of market each bar belongs to."""

from __future__ import annotations

from math import sqrt
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from alpha_arena.core.market import Market
from alpha_arena.core.timeframes import UNIT_MS
from alpha_arena.core.types import REGIMES, Regimes
from alpha_arena.features.compiled import compiled
from alpha_arena.features.indicators import (
    adx,
    atr,
    bollinger,
    efficiency_ratio,
    lagged,
    log_slope,
    percentile_rank,
    rolling_max,
    rolling_mean,
    rolling_min,
)

Bools = NDArray[np.bool_]
Codes = NDArray[np.int8]

UNKNOWN = -1
STRONG_TREND, WEAK_TREND, RANGE, BREAKOUT, HIGH_VOLATILITY, LOW_VOLATILITY = range(len(REGIMES))

Bars = Annotated[int, Field(ge=2, le=100_000, json_schema_extra={"unit": "bars"})]
Dwell = Annotated[int, Field(ge=1, le=1000, json_schema_extra={"unit": "bars"})]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, json_schema_extra={"unit": "fraction, 0 to 1"})]
AdxLevel = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False, json_schema_extra={"unit": "ADX, 0 to 100"})]
Width = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False, json_schema_extra={"unit": "fraction of price at 1h"})]
Multiple = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False, json_schema_extra={"unit": "ratio"})]
Slope = Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False, json_schema_extra={"unit": "change of ln(volume) per bar"})]
Deviations = Annotated[float, Field(gt=0, le=20, allow_inf_nan=False, json_schema_extra={"unit": "standard deviations"})]


@compiled
def _settle(raw: Codes, dwell: int, breakout_hold: int) -> Codes:
    out = np.full(raw.size, UNKNOWN, np.int8)
    held, candidate, count, hold = UNKNOWN, UNKNOWN, 0, 0
    for t in range(raw.size):
        hold = breakout_hold if raw[t] == BREAKOUT else hold - 1
        reading = BREAKOUT if hold > 0 and raw[t] != UNKNOWN else raw[t]
        count = count + 1 if reading == candidate else 1
        candidate = reading
        if count >= dwell or held == UNKNOWN or candidate in (UNKNOWN, BREAKOUT):
            held = candidate
        out[t] = held
    return out


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class RegimeClassifier:
    """Six regimes from ADX, Bollinger width, ATR percentile, efficiency and volume; the first that holds names the bar:

    - BREAKOUT: the close is beyond the extreme of the channel_period bars before it, volume of late (volume_fast bars) exceeds
      breakout_volume times its longer mean (volume_slow bars) and is not falling (slope of ln volume above breakout_volume_trend), and the
      ATR percentile exceeds breakout_percentile. It lasts breakout_hold bars from its last reading, that one included.
    - HIGH_VOLATILITY: ATR percentile above high_percentile.
    - LOW_VOLATILITY: ATR percentile below low_percentile, bands narrow.
    - STRONG_TREND: ADX > adx_threshold + adx_margin and efficiency > strong_efficiency.
    - WEAK_TREND: ADX > adx_threshold - adx_margin and efficiency > weak_efficiency.
    - RANGE: bands narrow. What is left, no trend and wide bands, is HIGH_VOLATILITY too.

    Narrow is a band width below bb_width_threshold, which is given for 1h bars and grows with the square root of the bar's length. A new
    regime, BREAKOUT excepted, counts once it has been read on `dwell` bars in a row. The ATR percentile is that of ATR / close. A bar
    is unknown while an indicator other than volume's is.

    On a pure random walk ADX(14) exceeds 25 on 39 % of bars and the efficiency of 40 bars is 0.16 on average: neither alone makes a trend.

    Attributes:
        atr_window: bars of the percentile, much longer than a regime lasts; atr_minimum: from how many on it is read at all.
        dwell: bars; 1 for none.
    """

    adx_period: Bars
    adx_threshold: AdxLevel
    adx_margin: AdxLevel
    efficiency_period: Bars
    strong_efficiency: Share
    weak_efficiency: Share
    bb_period: Bars
    bb_std: Deviations
    bb_width_threshold: Width
    atr_period: Bars
    atr_window: Bars
    atr_minimum: Bars
    high_percentile: Share
    low_percentile: Share
    channel_period: Bars
    breakout_percentile: Share
    volume_fast: Bars
    volume_slow: Bars
    breakout_volume: Multiple
    volume_trend_period: Bars
    breakout_volume_trend: Slope
    breakout_hold: Dwell
    dwell: Dwell

    @model_validator(mode="after")
    def _check(self) -> Self:
        pairs = (("low_percentile", "high_percentile"), ("weak_efficiency", "strong_efficiency"), ("volume_fast", "volume_slow"))
        for lower, upper in (*pairs, ("atr_minimum", "atr_window")):
            if getattr(self, lower) > getattr(self, upper):
                raise ValueError(f"{lower} ({getattr(self, lower):g}) must not exceed {upper} ({getattr(self, upper):g})")
        return self

    def classify(self, market: Market) -> Regimes:
        """Regime and indicators of each row, from rows up to it."""
        m = market
        unit = atr(m.high, m.low, m.close, self.atr_period) / m.close
        reading = Regimes(
            code=np.full(len(m), UNKNOWN, np.int8),
            adx=adx(m.high, m.low, m.close, self.adx_period),
            bb_width=bollinger(m.close, self.bb_period, self.bb_std).width,
            atr_percentile=percentile_rank(unit, self.atr_window, self.atr_minimum),
            efficiency=efficiency_ratio(m.close, self.efficiency_period),
            volume_trend=log_slope(m.volume, self.volume_trend_period),
        )
        code = _settle(self._raw(reading, self._breaks_out(m, reading), m.bar_ms), self.dwell, self.breakout_hold)
        return Regimes(code, *(getattr(reading, name) for name in ("adx", "bb_width", "atr_percentile", "efficiency", "volume_trend")))

    def _breaks_out(self, m: Market, reading: Regimes) -> Bools:
        above = m.close > lagged(rolling_max(m.high, self.channel_period), 1)
        below = m.close < lagged(rolling_min(m.low, self.channel_period), 1)
        busy = rolling_mean(m.volume, self.volume_fast) > self.breakout_volume * rolling_mean(m.volume, self.volume_slow)
        rising = reading.volume_trend > self.breakout_volume_trend
        return (above | below) & busy & rising & (reading.atr_percentile > self.breakout_percentile)

    def _raw(self, reading: Regimes, breaks_out: Bools, bar_ms: int) -> Codes:
        narrow = reading.bb_width < self.bb_width_threshold * sqrt(bar_ms / UNIT_MS["h"])
        strong = (reading.adx > self.adx_threshold + self.adx_margin) & (reading.efficiency > self.strong_efficiency)
        weak = (reading.adx > self.adx_threshold - self.adx_margin) & (reading.efficiency > self.weak_efficiency)
        rules = {
            UNKNOWN: ~np.isfinite(reading.adx + reading.bb_width + reading.atr_percentile + reading.efficiency),
            BREAKOUT: breaks_out,
            HIGH_VOLATILITY: reading.atr_percentile > self.high_percentile,
            LOW_VOLATILITY: (reading.atr_percentile < self.low_percentile) & narrow,
            STRONG_TREND: strong,
            WEAK_TREND: weak,
            RANGE: narrow,
        }
        return np.select(list(rules.values()), list(rules), HIGH_VOLATILITY).astype(np.int8)
