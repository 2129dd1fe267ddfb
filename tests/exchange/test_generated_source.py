"""The synthetic market behind a clock: it has a past, goes on, and never tells what has not happened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from alpha_arena.core.errors import UnknownName
from alpha_arena.core.timeframes import timeframe_ms
from alpha_arena.core.types import Candles
from alpha_arena.exchange.generated import GeneratedSource

BTC, SOL = "BTC/USDT:USDT", "SOL/USDT:USDT"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
EPOCH = 17_167 * DAY
NOW = EPOCH + 40 * DAY + 11 * HOUR + 23 * MINUTE + 4_567
SHIPPED = Path(__file__).resolve().parents[2] / "conf" / "exchange" / "synthetic.yaml"


class Clock:
    """A clock that is set by hand."""

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def now_ms(self) -> int:
        return self.ms


def generated(now_ms: int = NOW, **given_: Any) -> GeneratedSource:
    """The shipped market without a cache folder, its clock at `now_ms`."""
    shipped = {key: value for key, value in yaml.safe_load(SHIPPED.read_text()).items() if key != "kind"} | {"seed": 7}
    return GeneratedSource(**{**shipped, "cache": None, **given_}, clock=Clock(now_ms))


def same(a: Candles, b: Candles) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("ts", "open", "high", "low", "close", "volume"))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 3 * DAY), st.sampled_from(["1m", "15m", "1h", "4h", "1d"]))
def test_no_bar_is_given_before_it_has_closed(later_ms: int, timeframe: str) -> None:
    """D15, D16: whatever range is asked for, every bar has closed and the newest closed one is there."""
    now, bar_ms = NOW - later_ms, timeframe_ms(timeframe)
    rows = generated(now).candles(BTC, timeframe, now - 5 * DAY, now + 10 * DAY)
    assert rows.ts[-1] + bar_ms <= now < rows.ts[-1] + 2 * bar_ms
    assert (np.diff(rows.ts) == bar_ms).all()
    paid = generated(now).funding(BTC, now - 5 * DAY, now + 10 * DAY).ts
    assert paid[-1] <= now < paid[-1] + 8 * HOUR


def test_the_past_does_not_change_as_time_goes_on() -> None:
    """A bar that was given once is given again, whenever and in whatever pieces it is asked for."""
    clock = Clock(NOW)
    source = GeneratedSource("x", "realistic", 7, 90, 60.0, None, clock)
    before = source.candles(BTC, "15m", NOW - 3 * DAY, NOW)
    clock.ms += 2 * DAY
    whole = source.candles(BTC, "15m", NOW - 3 * DAY, clock.ms)
    assert same(whole[: len(before)], before)
    assert len(whole) == len(before) + 2 * 96
    pieces = [source.candles(BTC, "15m", NOW - 3 * DAY + i * 7 * HOUR, NOW - 3 * DAY + (i + 1) * 7 * HOUR) for i in range(17)]
    assert same(
        Candles(*(np.concatenate([getattr(p, n) for p in pieces]) for n in ("ts", "open", "high", "low", "close", "volume"))),
        whole[: 17 * 28],
    )


def test_there_is_nothing_before_the_epoch_and_after_now() -> None:
    source = generated()
    assert source.candles(BTC, "1h", 0, EPOCH + 2 * HOUR).ts.tolist() == [EPOCH, EPOCH + HOUR]
    assert len(source.candles(BTC, "1h", NOW, NOW + DAY)) == 0
    assert source.funding(BTC, NOW, NOW + DAY).ts.size == 0
    assert source.candles(BTC, "1h", NOW - 2 * HOUR, NOW - 2 * HOUR).ts.size == 0


def test_it_offers_its_symbols_and_refuses_others() -> None:
    source = generated()
    assert list(source.offers()) == [BTC, "ETH/USDT:USDT", SOL, "XRP/USDT:USDT"]
    assert source.offers([SOL]) == {SOL: ("1m", "funding")}
    assert (source.span(BTC, "1m"), source.repairs(BTC, "1m")) == (None, ())
    with pytest.raises(UnknownName, match=r"unknown symbol of the synthetic market 'BTC/USD:USD', did you mean"):
        source.offers(["BTC/USD:USD"])


def test_seed_and_model_make_other_markets() -> None:
    rows = [generated(**given_).candles(BTC, "1h", NOW - DAY, NOW) for given_ in ({}, {"seed": 8}, {"model": "vivid"})]
    assert not same(rows[0], rows[1])
    assert not same(rows[0], rows[2])


@pytest.mark.parametrize(
    "wrong", [{"model": "wild"}, {"seed": -1}, {"history_days": 0}, {"speed": 0.0}, {"speed": float("inf")}, {"sped": 1.0}]
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((ValidationError, TypeError), match=next(iter(wrong))):
        generated(**wrong)
