"""Bars of a lower timeframe inside the bars of a market: which of two levels was reached first."""

from __future__ import annotations

import numpy as np

from alpha_arena.core.errors import ConfigError
from alpha_arena.core.market import Market
from alpha_arena.core.timeframes import timeframe_name
from alpha_arena.core.types import Candles, Ints


def bars_inside(market: Market, detail: Market) -> tuple[Ints, Candles]:
    """The lower bars of each bar; of one in which any is missing, none.

    Returns:
        offsets of shape [T + 1] and candles: those of row t are offsets[t] <= i < offsets[t + 1].

    Raises:
        ConfigError: the lower bars are not shorter, or do not divide a bar.
    """
    if detail.bar_ms >= market.bar_ms or market.bar_ms % detail.bar_ms:
        own, lower = timeframe_name(market.bar_ms), timeframe_name(detail.bar_ms)
        raise ConfigError(f"detail={lower} tells nothing of what happens inside {own} bars; give a shorter timeframe that divides them")
    parts = market.bar_ms // detail.bar_ms
    first, end = (np.searchsorted(detail.ts, ts) for ts in (market.ts, market.ts + market.bar_ms))
    whole = end - first == parts
    rows = (first[whole][:, None] + np.arange(parts)).ravel()
    return np.concatenate([[0], np.cumsum(whole * parts)]).astype(np.int64), detail.candles[rows]
