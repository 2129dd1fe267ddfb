"""The market that the exchange plays and tells: whatever is asked for, it is the same market, and nothing of it before its time."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_arena.core.types import Candles, Funding
from alpha_arena.exchange.embedded.feed import Feed, Kind, between, grouped

BTC, SWAP = "BTC/USDT:USDT", "BTC-USDT-SWAP"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = 1_704_067_200_000
DAYS = 9


class Counted:
    """A market of minutes with a hole of half a day, whose mark is a little above; it counts what it is asked for."""

    def __init__(self) -> None:
        close = 40_000 + np.cumsum(np.random.default_rng(3).normal(0, 10, DAYS * 1440))
        opened = np.concatenate([close[:1], close[:-1]])
        ts = START + MINUTE * np.arange(close.size, dtype=np.int64)
        every = Candles(ts, opened, np.maximum(opened, close) + 3, np.minimum(opened, close) - 3, close, np.full(close.size, 2.0))
        there = (ts < START + 4 * DAY + 5 * HOUR) | (ts >= START + 4 * DAY + 17 * HOUR)
        self.every = every[there]
        self.asked: Counter[str] = Counter()

    def bars(self, symbol: str, start_ms: int, end_ms: int) -> Candles:
        """Traded prices."""
        self.asked["bars"] += 1
        return between(self.every, start_ms, end_ms)

    def mark(self, symbol: str, start_ms: int, end_ms: int) -> Candles:
        """Half a unit above."""
        self.asked["mark"] += 1
        rows = between(self.every, start_ms, end_ms)
        return Candles(rows.ts, rows.open + 0.5, rows.high + 0.5, rows.low + 0.5, rows.close + 0.5, rows.volume)

    def index(self, symbol: str, start_ms: int, end_ms: int) -> Candles:
        """As traded."""
        self.asked["index"] += 1
        return between(self.every, start_ms, end_ms)

    def funding(self, symbol: str, start_ms: int, end_ms: int) -> Funding:
        """None."""
        return Funding.none()


def feed() -> tuple[Feed, Counted]:
    """Minutes."""
    market = Counted()
    return Feed(market, {SWAP: BTC}, MINUTE), market


SHARED = feed()[0]


@given(
    st.sampled_from([MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR, DAY]),
    st.integers(0, DAYS * 1440),
    st.integers(1, 4000),
    st.sampled_from(["last", "mark"]),
)
@settings(max_examples=60, deadline=None)
def test_longer_bars_are_made_of_the_minutes_that_have_closed(bar_ms: int, first: int, count: int, kind: Kind) -> None:
    """Whether they come from kept hours or from minutes; what is asked for in whole bars is told in whole bars."""
    now = START + DAYS * DAY
    start = START + first * MINUTE // bar_ms * bar_ms
    end = min(start + count * MINUTE // bar_ms * bar_ms + bar_ms, now)
    made, closed = SHARED.candles(SWAP, bar_ms, start, end, now, kind)
    market = Counted()
    expected = grouped(between(market.every if kind == "last" else market.mark(BTC, 0, now), -(-start // bar_ms) * bar_ms, end), bar_ms)
    for name in ("ts", "open", "high", "low", "close"):
        np.testing.assert_array_equal(getattr(made, name), getattr(expected, name))
    assert made.volume.sum() == pytest.approx(expected.volume.sum())
    assert closed.all()


def test_where_nothing_was_traded_there_is_no_bar() -> None:
    """A hole of a replayed file stays one: the exchange does not make up prices that nobody has seen."""
    made, _ = feed()[0].candles(SWAP, HOUR, START + 4 * DAY, START + 5 * DAY, START + 6 * DAY)
    assert (made.ts - START - 4 * DAY).tolist() == [n * HOUR for n in (*range(5), *range(17, 24))]


def test_the_running_bar_shows_what_has_happened_and_no_more() -> None:
    """B1: three minutes and a quarter into an hour."""
    made, closed = feed()[0].candles(SWAP, HOUR, START + DAY, START + DAY + HOUR, START + DAY + 3 * MINUTE + 16_000)
    past = between(Counted().every, START + DAY, START + DAY + 3 * MINUTE)
    assert (closed.tolist(), made.open[0]) == ([False], past.open[0])
    assert made.high[0] >= past.high.max()
    assert made.volume[0] < between(Counted().every, START + DAY, START + DAY + 4 * MINUTE).volume.sum()


def test_traded_prices_cost_no_other_and_are_made_once() -> None:
    """Days are asked for again and again; points are made where something is played."""
    one, market = feed()
    for _ in range(3):
        one.candles(SWAP, DAY, START, START + 9 * DAY, START + 9 * DAY)
    assert market.asked == {"bars": 4}
    assert len(list(one.points(START, START + HOUR))) == 4 * 60
    assert market.asked["mark"] == market.asked["index"] == 1
