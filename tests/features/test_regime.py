"""The regime classifier: its gate on a market whose regimes are known, its thresholds, and that it looks at no later bar."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled import labelled_market
from numpy.typing import NDArray
from omegaconf import OmegaConf
from pydantic import ValidationError

from alpha_arena.core.market import Market
from alpha_arena.core.types import REGIMES, Candles, Floats, Regimes
from alpha_arena.features.regime import (
    BREAKOUT,
    HIGH_VOLATILITY,
    LOW_VOLATILITY,
    RANGE,
    STRONG_TREND,
    UNKNOWN,
    WEAK_TREND,
    RegimeClassifier,
)

SHIPPED = Path(__file__).resolve().parents[2] / "conf" / "regime" / "default.yaml"
SEEDS = (0, 1, 2, 3)
ARRAYS = ("code", "adx", "bb_width", "atr_percentile", "efficiency", "volume_trend")


def shipped(**changes: Any) -> RegimeClassifier:
    """The classifier of the shipped YAML."""
    values = OmegaConf.to_container(OmegaConf.load(SHIPPED), resolve=True)
    assert isinstance(values, dict)
    assert values.pop("_target_") == "alpha_arena.features.regime.RegimeClassifier"
    return RegimeClassifier(**{**values, **changes})


@pytest.fixture(scope="module")
def confusion() -> tuple[NDArray[np.float64], float]:
    """Counts by true and read regime over all seeds, and switches a bar; bars before the first reading are left out."""
    counts, switches = np.zeros((6, 6)), 0
    for seed in SEEDS:
        market, truth = labelled_market(seed)
        read = shipped().classify(market).code
        known = read != UNKNOWN
        np.add.at(counts, (truth[known], read[known]), 1)
        switches += int((np.diff(read[known]) != 0).sum())
    return counts, switches / counts.sum()


def test_the_gate_is_passed_with_the_shipped_parameters(confusion: tuple[NDArray[np.float64], float]) -> None:
    """Macro-F1 at least 0.50, accuracy with the trends merged at least 0.65, at most 0.07 switches a bar."""
    counts, switches = confusion
    f1 = 2 * np.diag(counts) / (counts.sum(axis=0) + counts.sum(axis=1))
    merged = np.trace(counts) + counts[STRONG_TREND, WEAK_TREND] + counts[WEAK_TREND, STRONG_TREND]
    assert f1.mean() >= 0.50
    assert merged / counts.sum() >= 0.65
    assert switches <= 0.07
    assert f1.min() > 0.3, dict(zip(REGIMES, f1, strict=True))


def test_the_labelled_market_is_what_it_says() -> None:
    """A pure function of the seed, six classes of about 120 bars, heavy tails."""
    (market, truth), (again, _), (other, _) = labelled_market(1), labelled_market(1), labelled_market(2)
    np.testing.assert_array_equal(market.close, again.close)
    assert not np.array_equal(market.close, other.close)
    assert set(truth) == set(range(6))
    assert 80 <= truth.size / (1 + (np.diff(truth) != 0).sum()) <= 160
    assert (market.high >= np.maximum(market.open, market.close)).all()
    assert (market.low <= np.minimum(market.open, market.close)).all()


def test_no_later_bar_changes_a_regime() -> None:
    """D13: the classification of a truncated history is the beginning of the whole one's, indicators included."""
    market, _ = labelled_market(5, bars=2600)
    whole = shipped().classify(market)
    for t in (0, 13, 27, 498, 499, 512, 1000, 1999, 2000, 2001, 2345, 2598):
        part = shipped().classify(market.upto(t))
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[: t + 1], err_msg=f"{name} at {t}")


def test_regimes_tell_trend_rules_from_reverting_ones() -> None:
    """The mean return of going with the last 20 bars' move minus that of going against it is positive in trends, negative in RANGE."""
    edge: dict[int, list[float]] = {}
    for seed in SEEDS:
        market, _ = labelled_market(seed)
        read = shipped().classify(market).code
        move = np.sign(market.close[20:-1] / market.close[:-21] - 1)
        gain = 2 * move * np.diff(np.log(market.close))[20:]
        for code in range(6):
            edge.setdefault(code, []).extend(gain[read[20:-1] == code])
    assert np.mean(edge[STRONG_TREND] + edge[WEAK_TREND]) > 0
    assert np.mean(edge[RANGE]) < 0


def readings(**values: float) -> Regimes:
    one: dict[str, Floats] = {name: np.array([value]) for name, value in values.items()}
    return Regimes(code=np.zeros(1, np.int8), volume_trend=np.zeros(1), **one)


def raw(breaks_out: bool = False, bar_ms: int = 3_600_000, **values: float) -> int:
    reading = readings(**{"adx": 10.0, "bb_width": 0.02, "atr_percentile": 0.5, "efficiency": 0.05, **values})
    return int(shipped()._raw(reading, np.array([breaks_out]), bar_ms)[0])


@pytest.mark.parametrize(
    ("expected", "values"),
    [
        (RANGE, {}),
        (RANGE, {"bb_width": 0.0399}),
        (HIGH_VOLATILITY, {"bb_width": 0.04}),
        (HIGH_VOLATILITY, {"bb_width": 0.05, "atr_percentile": 0.05}),
        (LOW_VOLATILITY, {"atr_percentile": 0.05}),
        (HIGH_VOLATILITY, {"atr_percentile": 0.95}),
        (WEAK_TREND, {"adx": 20.1, "efficiency": 0.2, "bb_width": 0.1}),
        (RANGE, {"adx": 19.9, "efficiency": 0.9}),
        (WEAK_TREND, {"adx": 29.9, "efficiency": 0.9}),
        (STRONG_TREND, {"adx": 30.1, "efficiency": 0.9}),
        (WEAK_TREND, {"adx": 60.0, "efficiency": 0.2}),
        (RANGE, {"adx": 60.0, "efficiency": 0.1}),
        (HIGH_VOLATILITY, {"adx": 60.0, "efficiency": 0.9, "atr_percentile": 0.95}),
        (BREAKOUT, {"breaks_out": True, "atr_percentile": 0.95}),
        (UNKNOWN, {"breaks_out": True, "atr_percentile": np.nan}),
        (UNKNOWN, {"adx": np.nan}),
    ],
)
def test_thresholds(expected: int, values: dict[str, float]) -> None:
    """ADX 25 lies midway between weak and strong; no trend and bands of 0.04 or wider is HIGH_VOLATILITY."""
    assert raw(**values) == expected  # type: ignore[arg-type]


def test_the_width_threshold_grows_with_the_square_root_of_the_timeframe() -> None:
    assert raw(bb_width=0.079, bar_ms=4 * 3_600_000) == RANGE
    assert raw(bb_width=0.081, bar_ms=4 * 3_600_000) == HIGH_VOLATILITY
    assert raw(bb_width=0.021, bar_ms=900_000) == HIGH_VOLATILITY


def test_the_environment_sets_the_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGIME_ADX_THRESHOLD", "40")
    monkeypatch.setenv("REGIME_BB_WIDTH_THRESHOLD", "0.01")
    assert (shipped().adx_threshold, shipped().bb_width_threshold) == (40, 0.01)
    assert raw(adx=34.9, efficiency=0.9, bb_width=0.009) == RANGE
    assert raw(adx=46.0, efficiency=0.9) == STRONG_TREND
    assert raw() == HIGH_VOLATILITY


def test_a_breakout_is_read_at_once_and_other_regimes_after_three_bars() -> None:
    """A jump on volume out of a quiet range is BREAKOUT on its own bar and for breakout_hold bars."""
    rng = np.random.default_rng(3)
    close = 20_000 * np.exp(np.cumsum(rng.normal(0, 0.002, 1200)))
    close[900:] *= 1.03
    opens, volume = np.r_[close[0], close[:-1]], np.full(1200, 100.0)
    volume[900] = 2000.0
    ts = np.arange(1200, dtype=np.int64) * 3_600_000
    candles = Candles(ts, opens, np.maximum(opens, close) * 1.0005, np.minimum(opens, close) * 0.9995, close, volume)
    regimes = shipped().classify(Market.of("BTC/USDT:USDT", 3_600_000, candles))
    assert regimes.name(899) != "BREAKOUT"
    assert regimes.name(900) == "BREAKOUT"
    held = int(np.flatnonzero(regimes.code[900:] != BREAKOUT)[0])
    assert held >= shipped().breakout_hold
    starts = np.flatnonzero(np.r_[True, np.diff(regimes.code) != 0])
    run, following = np.diff(starts), regimes.code[starts][1:]
    assert run[following != BREAKOUT].min() >= shipped().dwell


def test_a_market_without_volume_still_has_regimes() -> None:
    market, _ = labelled_market(1, bars=1500)
    silent = replace(market, volume=np.zeros(1500))
    regimes = shipped().classify(silent)
    assert np.isnan(regimes.volume_trend).all()
    assert (regimes.code[600:] != UNKNOWN).all()
    assert (regimes.code != BREAKOUT).all()


@pytest.mark.parametrize("bars", [0, 1, 27, 400])
def test_a_short_history_is_unknown(bars: int) -> None:
    market, _ = labelled_market(1, bars=600)
    regimes = shipped().classify(market.rows(0, bars))
    assert regimes.code.size == bars
    assert (regimes.code == UNKNOWN).all()
    assert not bars or regimes.name(bars - 1) == "UNKNOWN"


def test_regimes_of_real_candles_are_mixed_and_steady(shared_data: Path) -> None:
    """On two years of hours no regime is absent or rules, and a regime lasts 14 bars or more on average."""
    import pyarrow.parquet as pq

    table = pq.read_table(shared_data / "okx_BTC-USDT-SWAP_1h_2023-01_2025-04.parquet")
    candles = Candles(*(table[name].to_numpy() for name in ("ts", "open", "high", "low", "close", "volume")))
    code = shipped().classify(Market.of("BTC/USDT:USDT", 3_600_000, candles)).code
    shares = np.bincount(code[code >= 0], minlength=6) / (code >= 0).sum()
    assert shares.min() > 0.01
    assert shares.max() < 0.5
    assert (np.diff(code) != 0).mean() <= 0.07


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"low_percentile": 0.9}, "low_percentile (0.9) must not exceed high_percentile (0.84)"),
        ({"weak_efficiency": 0.5}, "weak_efficiency"),
        ({"volume_fast": 600}, "volume_fast"),
        ({"atr_minimum": 3000}, "atr_minimum"),
        ({"adx_threshold": float("nan")}, "adx_threshold"),
        ({"bb_width_threshold": 0}, "bb_width_threshold"),
        ({"adx_treshold": 25}, "adx_treshold"),
    ],
)
def test_wrong_parameters_are_refused(changes: dict[str, float], words: str) -> None:
    with pytest.raises(ValidationError) as error:
        shipped(**changes)
    assert words in str(error.value)
