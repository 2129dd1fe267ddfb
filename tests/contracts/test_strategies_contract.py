"""What every strategy in conf/strategy must keep, whoever wrote it."""

from __future__ import annotations

import importlib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from alpha_arena.backtest.bias import ENOUGH_BARS, cut_rows, examine, leak_findings, leaks, of_regime, of_strategy
from alpha_arena.core.market import Market
from alpha_arena.core.types import Candles, Funding
from alpha_arena.settings import load

CONF = Path(__file__).resolve().parents[2] / "conf" / "strategy"
FILES = sorted(CONF.glob("*.yaml"))
HOUR_MS = 3_600_000
COLUMNS = ("open", "high", "low", "close", "volume")
ARRAYS = ("exposure", "stop", "take", "confidence")
DEFAULTS = {
    "ema_trend": "9 21 55 14 2.0 4.0 0.20 3 50 70 30 50 1.2",
    "bollinger_range": "20 2.0 35 65 0.04 1.005 0.02 0.25 2",
    "funding_rate_arbitrage": "0.001 0.0005 3 10 0.50 1",
    "breakout": "20 1.002 1.5 14 2.0 4.0 0.25 3",
    "grid_trading": "5 0.04 20 2.0 0.05 0.30 2",
    "momentum": "14 0.05 1.3 14 5 14 2.5 5.0 0.20 3",
    "mean_reversion": "20 20 2.0 0.5 14 30 70 0.03 0.25 2",
}


def read(path: Path) -> tuple[Any, dict[str, Any]]:
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    module, _, name = values.pop("_target_").rpartition(".")
    return getattr(importlib.import_module(module), name), values


def build(path: Path) -> Any:
    component, values = read(path)
    return component(**values)


def wild_market(bars: int = 3000, seed: int = 11) -> Market:
    """Hours with trends, calm and jumps in which each shipped strategy trades, with funding that is extreme for days."""
    rng = np.random.default_rng(seed)
    calm = np.repeat(rng.choice([0.3, 1.0, 2.5], bars // 50 + 1), 50)[:bars]
    drift = np.repeat(rng.choice([-0.3, 0.0, 0.3], bars // 100 + 1), 100)[:bars]
    step = 0.005 * calm * (rng.standard_t(4, bars) + drift)
    close = 20_000 * np.exp(np.cumsum(step - step.mean()))
    opens = np.r_[close[0], close[:-1]]
    spread = 0.002 * calm * rng.random((2, bars))
    candles = Candles(
        ts=np.arange(bars, dtype=np.int64) * HOUR_MS,
        open=opens,
        high=np.maximum(opens, close) * (1 + spread[0]),
        low=np.minimum(opens, close) * (1 - spread[1]),
        close=close,
        volume=100 * rng.lognormal(0, 0.7, bars),
    )
    stamps = np.arange(bars // 8, dtype=np.int64) * 8 * HOUR_MS
    rate = np.repeat(rng.choice([-0.002, 0.0001, 0.002], bars // 96 + 1), 12)[: bars // 8]
    return Market.of("BTC/USDT:USDT", HOUR_MS, candles, Funding(stamps, rate))


MARKET = wild_market()


# a gap can start a grid beyond its stop; what then happens is tested with its rule
MAY_START_BEYOND_ITS_STOP = {"grid_trading"}

every = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_the_seven_are_there() -> None:
    assert set(DEFAULTS) <= {path.stem for path in FILES}


@every
def test_the_file_and_the_class_have_the_same_parameters(path: Path) -> None:
    """All values stand in the YAML, types, bounds and units on the class, and no default in Python."""
    component, values = read(path)
    assert {item.name for item in fields(component)} == set(values)
    for item in fields(component):
        described = component.__pydantic_fields__[item.name]
        assert described.is_required(), f"{item.name} has a default in Python"
        bounds = {type(bound).__name__ for bound in described.metadata}
        assert bounds & {"Ge", "Gt"}, f"{item.name} has no lower bound"
        assert bounds & {"Le", "Lt"}, f"{item.name} has no upper bound"
        assert (described.json_schema_extra or {}).get("unit"), f"{item.name} has no unit"


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_shipped_defaults(name: str) -> None:
    """In the order of the class, which is that of the description; nothing is tuned to look good."""
    values = read(CONF / f"{name}.yaml")[1]
    listed = DEFAULTS[name].split()
    assert sorted(float(text) for text in listed) == sorted(float(value) for value in values.values())


@every
def test_it_says_what_it_does(path: Path) -> None:
    """Rule, source, and when it earns and loses, in the docstring."""
    text = read(path)[0].__doc__ or ""
    assert all(word in text for word in ("Rule", "Source", "Earns", "loses"))


@every
def test_no_later_row_moves_an_earlier_one(path: Path) -> None:
    """D13: history that ends, goes on as noise or is scrambled after a row leaves every signal up to that row as it was, bit by bit."""
    subject = of_strategy(path.stem, build(path))
    whole = subject.compute(MARKET)
    assert np.any(whole["exposure"]), "the market tells nothing about this strategy"
    rng = np.random.default_rng(12)
    rows = np.union1d([0, 1, 13, 14, 20, 54, 55, 56, 99, 300, 301, 777, 1500, 2998], cut_rows(whole, 20, rng))
    found = list(leaks(subject.compute, MARKET, rows, rng, tolerance=0.0))
    assert [one.detail for one in leak_findings(path.stem, MARKET, rows, found) if not one.ok] == []


@every
def test_a_declared_lookback_is_enough(path: Path) -> None:
    """Past its lookback a strategy gives the same signals whatever came before; 0 declares that all history matters."""
    strategy = build(path)
    assert strategy.lookback >= 0
    assert [one.detail for one in examine(of_strategy(path.stem, strategy), MARKET, ["warmup"], 10, 12) if not one.ok] == []


@every
def test_the_first_bar_is_forgotten(path: Path) -> None:
    """What a rule remembers of its own signals wears off: histories that begin at other bars agree in the end."""
    found = examine(of_strategy(path.stem, build(path)), wild_market(ENOUGH_BARS), ["start"], 10, 12)
    assert [one.detail for one in found if not one.ok] == []


def test_the_regime_model_is_held_to_the_same() -> None:
    """Its codes and the indicators behind them."""
    subject = of_regime(load("backtest").regime)
    assert [one.detail for one in examine(subject, wild_market(ENOUGH_BARS), ["lookahead", "warmup", "start"], 6, 12) if not one.ok] == []


@every
def test_signals_are_well_formed(path: Path) -> None:
    """One row a bar; exposure finite and within the full size; levels only in a position, on their sides of the entry's close."""
    strategy = build(path)
    signals = strategy.signals(MARKET)
    side, size = np.sign(signals.exposure), strategy.max_position * strategy.max_leverage
    assert [getattr(signals, name).shape for name in ARRAYS] == [(len(MARKET),)] * 4
    assert [getattr(signals, name).dtype for name in ARRAYS] == [np.dtype(np.float64)] * 4
    assert np.isfinite(signals.exposure).all()
    assert np.abs(signals.exposure).max() <= size * (1 + 1e-12)
    assert ((signals.confidence >= 0) & (signals.confidence <= 1)).all()
    assert np.isnan(signals.stop[side == 0]).all()
    assert np.isnan(signals.take[side == 0]).all()
    entries = np.flatnonzero((side != 0) & (side != np.r_[0, side[:-1]]))
    if path.stem not in MAY_START_BEYOND_ITS_STOP:
        assert not ((signals.stop - MARKET.close) * side >= 0)[entries].any()
    assert not ((signals.take - MARKET.close) * side <= 0)[entries].any()


@every
def test_its_inputs_stay_as_they_are(path: Path) -> None:
    arrays = {name: getattr(MARKET, name).copy() for name in (*COLUMNS, "funding", "funding_rate")}
    signals = build(path).signals(Market("BTC/USDT:USDT", HOUR_MS, MARKET.ts.copy(), **arrays, funding_ts=MARKET.funding_ts.copy()))
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, getattr(MARKET, name))
    assert not any(getattr(signals, name).flags.writeable for name in ARRAYS)


@every
@pytest.mark.parametrize("bars", [0, 1, 2, 5, 9])
def test_a_short_history_is_flat(path: Path, bars: int) -> None:
    signals = build(path).signals(replace(MARKET.rows(0, bars), funding_ts=MARKET.funding_ts[:2], funding_rate=MARKET.funding_rate[:2]))
    assert signals.exposure.tolist() == [0.0] * bars
    assert np.isnan(signals.stop).all()


@every
def test_a_market_at_one_price_is_left_alone(path: Path) -> None:
    still = np.full(600, 30_000.1)
    ts = np.arange(600, dtype=np.int64) * HOUR_MS
    market = Market.of("BTC/USDT:USDT", HOUR_MS, Candles(ts, still, still, still, still, np.ones(600)))
    assert not build(path).signals(market).exposure.any()


@every
def test_rows_without_numbers_enter_nothing(path: Path) -> None:
    """Missing rows, as a higher timeframe has them before its first bar; and nothing at all."""
    strategy, holes = build(path), [40, 41, 42, 900, 1700]
    whole = strategy.signals(MARKET)
    entered = np.flatnonzero((whole.exposure != 0) & (np.r_[0, whole.exposure[:-1]] == 0))[[0, -1]].tolist()
    blank = {name: getattr(MARKET, name).copy() for name in COLUMNS}
    for array in blank.values():
        array[holes + entered] = np.nan
    without = Funding(MARKET.funding_ts, np.full(MARKET.funding_ts.size, np.nan))
    if strategy.signals(Market.of("BTC/USDT:USDT", HOUR_MS, MARKET.candles, without)).exposure.any():
        signals = strategy.signals(Market.of("BTC/USDT:USDT", HOUR_MS, Candles(MARKET.ts, **blank), without))
        side = np.sign(signals.exposure)
        assert not ((side != 0) & (side != np.r_[0, side[:-1]]))[holes + entered].any()
    nothing = {name: np.full(len(MARKET), np.nan) for name in blank}
    assert not strategy.signals(Market.of("BTC/USDT:USDT", HOUR_MS, Candles(MARKET.ts, **nothing), without)).exposure.any()


@every
def test_wrong_parameters_are_refused_by_name(path: Path) -> None:
    """Unknown keys, missing ones, inf, NaN, text and absurd values, for each parameter."""
    component, values = read(path)
    with pytest.raises(ValidationError, match="foo"):
        component(**values, foo=1)
    for name in values:
        for wrong in (float("inf"), float("nan"), "many", -1, 1e9, None):
            with pytest.raises(ValidationError) as error:
                component(**{**values, name: wrong})
            assert name in str(error.value)
        with pytest.raises(ValidationError, match=name):
            component(**{key: value for key, value in values.items() if key != name})


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("ema_trend", {"ema_fast": 21}, r"ema_fast \(21\) must be below ema_medium \(21\)"),
        ("ema_trend", {"ema_medium": 55}, r"ema_medium \(55\) must be below ema_slow \(55\)"),
        ("ema_trend", {"rsi_min": 80}, r"rsi_min \(80\) must be below rsi_max \(70\)"),
        ("ema_trend", {"rsi_short_min": 60}, "rsi_short_min"),
        ("bollinger_range", {"rsi_oversold": 70}, "rsi_oversold"),
        ("mean_reversion", {"exit_std": 2.5}, r"exit_std \(2.5\) must be below entry_std \(2\)"),
        ("mean_reversion", {"rsi_overbought": 20}, "rsi_overbought"),
        ("funding_rate_arbitrage", {"exit_funding_rate": 0.01}, "exit_funding_rate"),
        ("funding_rate_arbitrage", {"min_duration": 11}, "min_duration"),
    ],
)
def test_parameters_that_bound_each_other(name: str, changes: dict[str, float], words: str) -> None:
    component, values = read(CONF / f"{name}.yaml")
    with pytest.raises(ValidationError, match=words):
        component(**{**values, **changes})
