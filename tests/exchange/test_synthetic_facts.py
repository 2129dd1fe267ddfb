"""The generated market has the facts of real ones: medians over windows of the real file's length, for fixed seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import synthetic_facts as fact

from alpha_arena.core.types import Candles, Floats, Funding
from alpha_arena.exchange.synthetic import Synthetic

DAY, MINUTE = 86_400_000, 60_000
EPOCH = Synthetic().epoch_ms
BTC, ETH, SOL, XRP = (contract.symbol for contract in Synthetic().model.contracts)
YEARS_DAYS = 3640
SEEDS = (1, 2, 3)
MINUTES = {"5m": 5, "15m": 15, "1h": 60, "4h": 240, "1d": 1440}
# Days of the real files: a month of minutes, 2.3 years of OKX, 3.3 years of days, 5.6 years of funding
WINDOW_DAYS = {"1m": 31, "15m": 840, "1h": 840, "4h": 840, "1d": 1216, "funding": 2058, "symbols": 450}


def joined(parts: Sequence[Candles]) -> Candles:
    return Candles(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("ts", "open", "high", "low", "close", "volume")))


def coarser(bars: Candles, n: int) -> Candles:
    rows = {name: getattr(bars, name).reshape(-1, n) for name in ("high", "low", "volume")}
    return Candles(bars.ts[::n], bars.open[::n], rows["high"].max(1), rows["low"].min(1), bars.close[n - 1 :: n], rows["volume"].sum(1))


@cache
def history(seed: int, symbol: str, n: int) -> Candles:
    """Ten years of bars of n minutes."""
    if n > 5:
        return coarser(history(seed, symbol, 5), n // 5)
    market = Synthetic(seed=seed)
    days = range(0, YEARS_DAYS, 280)
    return joined([coarser(market.bars(symbol, EPOCH + d * DAY, EPOCH + (d + 280) * DAY), n) for d in days])


def cuts(whole: Candles, days: int, count: int) -> Iterator[Candles]:
    """Evenly spread windows; they overlap where ten years are too short."""
    size = days * (len(whole) // YEARS_DAYS)
    for start in np.linspace(0, len(whole) - size, count).astype(int):
        yield whole[int(start) : int(start) + size]


@cache
def windows(timeframe: str) -> list[Candles]:
    """At least eight windows of BTC."""
    if timeframe == "1m":
        starts = [(seed, EPOCH + int(day) * DAY) for seed in SEEDS for day in np.linspace(0, YEARS_DAYS - 31, 6)]
        return [Synthetic(seed=seed).bars(BTC, start, start + 31 * DAY) for seed, start in starts]
    return [cut for seed in SEEDS for cut in cuts(history(seed, BTC, MINUTES[timeframe]), WINDOW_DAYS[timeframe], 4)]


def median(timeframe: str, measure: Callable[[Candles], float]) -> float:
    return float(np.median([measure(cut) for cut in windows(timeframe)]))


def of_returns(measure: Callable[[Floats], float]) -> Callable[[Candles], float]:
    return lambda bars: measure(fact.returns(bars))


def memory(lag: int) -> Callable[[Candles], float]:
    return lambda bars: fact.autocorrelation(np.abs(fact.returns(bars)), lag)


def ratio(n: int) -> Callable[[Candles], float]:
    return lambda bars: fact.variance_ratio(fact.returns(bars), n)


def daily(measure: Callable[[Floats], float]) -> Callable[[Candles], float]:
    return lambda quarters: measure(fact.daily_log_volatility(quarters))


def lag(n: int) -> Callable[[Floats], float]:
    return lambda x: fact.autocorrelation(x, n)


@dataclass(frozen=True)
class Row:
    """One line of the acceptance table."""

    name: str
    timeframe: str
    measure: Callable[[Candles], float]
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.name} {self.timeframe}"


TAIL = of_returns(fact.tail)
FAT = of_returns(fact.kurtosis)
CALM = of_returns(lambda r: float(np.median(np.abs(r)) / r.std()))
FIRST = of_returns(lag(1))
VOLUME_SD = lambda bars: float(fact.log_volume(bars).std())  # noqa: E731
VOLUME_ACF = lambda bars: fact.autocorrelation(fact.log_volume(bars), 1)  # noqa: E731

MINUTE_ROWS = [
    Row("tail", "1m", TAIL, 6, 9),
    Row("kurtosis", "1m", FAT, 10, 50),
    Row("memory 1", "1m", memory(1), 0.28, 0.42),
    Row("memory 10", "1m", memory(10), 0.18, 0.33),
    Row("memory 100", "1m", memory(100), 0.10, 0.21),
    Row("jumps", "1m", fact.jump_share, 0.003, 0.006),
    Row("reach", "1m", fact.reach, 1.85, 2.25),
    Row("volume sd", "1m", VOLUME_SD, 1.17 * 0.85, 1.17 * 1.15),
    Row("volume memory", "1m", VOLUME_ACF, 0.52, 0.76),
    Row("volume and range", "1m", fact.volume_and_range, 0.72, 0.90),
    Row("repeated opens", "1m", fact.repeated_opens, 0.35, 0.60),
]
ROWS = [
    Row("yearly volatility", "15m", of_returns(lambda r: float(r.std() * np.sqrt(35_040))), 0.50, 0.70),
    Row("calm", "15m", CALM, 0.33, 0.43),
    Row("calm", "1h", CALM, 0.33, 0.43),
    Row("tail", "15m", TAIL, 6, 9),
    Row("tail", "1h", TAIL, 6, 9),
    Row("tail", "1d", TAIL, 4, 6.5),
    Row("kurtosis", "1h", FAT, 10, 40),
    Row("kurtosis", "1d", FAT, 4, 12),
    Row("acf", "15m", FIRST, -0.03, 0.03),
    Row("acf", "1h", FIRST, -0.03, 0.03),
    Row("memory 1", "15m", memory(1), 0.28, 0.40),
    Row("memory 10", "15m", memory(10), 0.12, 0.25),
    Row("memory 100", "15m", memory(100), 0.07, 0.17),
    Row("memory 1", "1h", memory(1), 0.22, 0.35),
    Row("memory 10", "1h", memory(10), 0.06, 0.18),
    Row("memory 1", "1d", memory(1), 0.08, 0.28),
    Row("log daily volatility sd", "15m", daily(lambda v: float(v.std())), 0.42, 0.65),
    Row("log daily volatility acf 1", "15m", daily(lag(1)), 0.50, 0.72),
    Row("log daily volatility acf 2", "15m", daily(lag(2)), 0.30, 0.55),
    Row("log daily volatility acf 5", "15m", daily(lag(5)), 0.15, 0.43),
    Row("VR4", "15m", ratio(4), 0.93, 1.03),
    Row("VR16", "15m", ratio(16), 0.88, 1.03),
    Row("VR96", "15m", ratio(96), 0.82, 1.08),
    Row("VR16", "1d", ratio(16), 0.9, 1.3),
    Row("VR96", "1d", ratio(96), 0.8, 1.5),
    Row("VR64 of signs", "15m", of_returns(lambda r: fact.variance_ratio(np.sign(r), 64)), 0.80, 0.93),
    Row("jumps", "15m", fact.jump_share, 0.003, 0.007),
    Row("jumps", "1h", fact.jump_share, 0.004, 0.011),
    Row("reach", "15m", fact.reach, 1.85, 2.25),
    Row("reach", "1h", fact.reach, 1.85, 2.25),
    Row("ER20", "15m", lambda bars: float(fact.efficiency(bars).mean()), 0.20, 0.24),
    Row("ER20", "1h", lambda bars: float(fact.efficiency(bars).mean()), 0.21, 0.25),
    Row("ER20", "4h", lambda bars: float(fact.efficiency(bars).mean()), 0.22, 0.27),
    Row("ER20 > .35", "1h", lambda bars: float((fact.efficiency(bars) > 0.35).mean()), 0.18, 0.29),
    Row("ADX14", "15m", lambda bars: float(fact.adx(bars).mean()), 24, 28),
    Row("ADX14", "1h", lambda bars: float(fact.adx(bars).mean()), 24.5, 29),
    Row("ADX14", "4h", lambda bars: float(fact.adx(bars).mean()), 25, 30),
    Row("ADX > 30", "1h", lambda bars: float((fact.adx(bars) > 30).mean()), 0.24, 0.38),
    Row("band width", "1h", fact.band_width, 3.8, 5.0),
    Row("volume sd", "15m", VOLUME_SD, 0.94 * 0.85, 0.94 * 1.15),
    Row("volume sd", "1h", VOLUME_SD, 0.85 * 0.85, 0.85 * 1.15),
    Row("volume sd", "1d", VOLUME_SD, 0.55 * 0.85, 0.55 * 1.15),
    Row("volume memory", "15m", VOLUME_ACF, 0.62, 0.86),
    Row("volume memory", "1h", VOLUME_ACF, 0.58, 0.82),
    Row("volume memory", "1d", VOLUME_ACF, 0.35, 0.59),
    Row("volume and range", "15m", fact.volume_and_range, 0.72, 0.90),
    Row("volume and range", "1h", fact.volume_and_range, 0.72, 0.90),
    Row("volume and move", "15m", fact.volume_and_move, 0.42, 0.62),
    Row("midnight", "15m", fact.midnight_ratio, 0.85, 1.15),
]


@pytest.mark.parametrize("row", MINUTE_ROWS, ids=str)
@pytest.mark.slow
def test_facts_of_minutes(row: Row) -> None:
    assert row.low <= median(row.timeframe, row.measure) <= row.high


@pytest.mark.parametrize("row", ROWS, ids=str)
@pytest.mark.slow
def test_facts_of_higher_timeframes(row: Row) -> None:
    assert row.low <= median(row.timeframe, row.measure) <= row.high


def test_the_measures_give_the_real_figures(shared_data: object) -> None:
    """The same code on real candles gives the figures that the model was measured against."""
    import pandas as pd

    frame = pd.read_parquet(f"{shared_data}/okx_BTC-USDT-SWAP_15m_2023-01_2025-04.parquet")
    real = Candles(*(frame[name].to_numpy() for name in ("ts", "open", "high", "low", "close", "volume")))
    r = fact.returns(real)
    assert fact.tail(r) == pytest.approx(7.6, abs=0.1)
    assert fact.variance_ratio(np.sign(r), 64) == pytest.approx(0.71, abs=0.01)
    assert fact.efficiency(real).mean() == pytest.approx(0.205, abs=0.001)
    assert fact.adx(real).mean() == pytest.approx(26.6, abs=0.1)
    assert fact.volume_and_range(real) == pytest.approx(0.84, abs=0.01)
    assert fact.jump_share(real) == pytest.approx(0.0056, abs=0.0001)


def test_a_year_of_minutes_looks_real() -> None:
    """The quick half of the table: one market, one year, wider limits."""
    bars = Synthetic(seed=1).bars(BTC, EPOCH, EPOCH + 400 * DAY)
    quarters = coarser(bars, 15)
    assert 6 < fact.tail(fact.returns(quarters)) < 9.5
    assert 0.25 < memory(1)(quarters) < 0.42
    assert 0.85 < ratio(16)(quarters) < 1.06
    assert 0.7 < fact.volume_and_range(bars) < 0.92
    assert 1.85 < fact.reach(quarters) < 2.25
    assert 0.4 < of_returns(lambda r: float(r.std() * np.sqrt(35_040)))(quarters) < 0.9
    assert 0.8 * 0.94 < VOLUME_SD(quarters) < 1.2 * 0.94


def price_at(symbol: str, seed: int, ts: np.ndarray) -> Floats:
    """Log price at settlements: the open of that bar."""
    quarters = history(seed, symbol, 15)
    return np.log(quarters.open[(ts - EPOCH) // (15 * MINUTE)])


@cache
def funding_windows() -> list[tuple[Funding, Floats]]:
    days = WINDOW_DAYS["funding"]
    result = []
    for seed in SEEDS:
        for first in np.linspace(0, YEARS_DAYS - days - 1, 3).astype(int):
            start = EPOCH + int(first) * DAY
            paid = Synthetic(seed=seed).funding(BTC, start, start + days * DAY)
            result.append((paid, price_at(BTC, seed, paid.ts)))
    return result


def funding_median(measure: Callable[[Floats, Floats], float]) -> float:
    return float(np.median([measure(paid.rate * 1e4, price) for paid, price in funding_windows()]))


def quantile(q: float) -> Callable[[Floats, Floats], float]:
    return lambda bp, price: float(np.quantile(bp, q))


def past(n: int) -> Callable[[Floats, Floats], float]:
    return lambda bp, price: fact.correlation(bp[n:], price[n:] - price[:-n])


FUNDING_ROWS: dict[str, tuple[Callable[[Floats, Floats], float], float, float]] = {
    "mean": (lambda bp, price: float(bp.mean()), 0.8, 1.8),
    "5 %": (quantile(0.05), -1.2, -0.2),
    "50 %": (quantile(0.50), 0.999, 1.001),
    "95 %": (quantile(0.95), 4, 7),
    "99 %": (quantile(0.99), 8, 14),
    "exactly 1": (lambda bp, price: float((np.abs(bp - 1) < 1e-6).mean()), 0.35, 0.60),
    "negative": (lambda bp, price: float((bp < 0).mean()), 0.07, 0.20),
    "acf 1": (lambda bp, price: fact.autocorrelation(bp, 1), 0.75, 0.92),
    "acf 3": (lambda bp, price: fact.autocorrelation(bp, 3), 0.60, 0.80),
    "acf 9": (lambda bp, price: fact.autocorrelation(bp, 9), 0.40, 0.65),
    "acf 21": (lambda bp, price: fact.autocorrelation(bp, 21), 0.25, 0.50),
    "7 d past": (past(21), 0.25, 0.50),
    "30 d past": (past(90), 0.35, 0.60),
    "7 d future": (lambda bp, price: fact.correlation(bp[:-21], price[21:] - price[:-21]), -0.10, 0.10),
}


@pytest.mark.parametrize("name", FUNDING_ROWS)
@pytest.mark.slow
def test_facts_of_funding(name: str) -> None:
    measure, low, high = FUNDING_ROWS[name]
    assert low <= funding_median(measure) <= high


def pair_median(measure: Callable[[Candles, Candles], float], symbol: str, n: int) -> float:
    days = WINDOW_DAYS["symbols"]
    pairs = zip(cuts(history(1, BTC, n), days, 8), cuts(history(1, symbol, n), days, 8), strict=True)
    return float(np.median([measure(*pair) for pair in pairs]))


def together(a: Candles, b: Candles) -> float:
    return fact.correlation(fact.returns(a), fact.returns(b))


def shaken_together(a: Candles, b: Candles) -> float:
    return fact.correlation(np.abs(fact.returns(a)), np.abs(fact.returns(b)))


def relative(a: Candles, b: Candles) -> float:
    return float(fact.returns(b).std() / fact.returns(a).std())


def traded_together(a: Candles, b: Candles) -> float:
    return fact.correlation(fact.log_volume(a), fact.log_volume(b))


@pytest.mark.parametrize(
    ("measure", "symbol", "n", "low", "high"),
    [
        (together, ETH, 60, 0.82, 0.94),
        (together, SOL, 60, 0.65, 0.88),
        (together, XRP, 60, 0.50, 0.75),
        (shaken_together, ETH, 60, 0.75, 0.92),
        (relative, ETH, 60, 1.4 * 0.85, 1.4 * 1.15),
        (relative, SOL, 60, 1.90 * 0.85, 1.90 * 1.15),
        (relative, XRP, 60, 2.0 * 0.85, 2.0 * 1.15),
        (traded_together, ETH, 5, 0.75, 0.97),
    ],
)
@pytest.mark.slow
def test_facts_of_symbols(measure: Callable[[Candles, Candles], float], symbol: str, n: int, low: float, high: float) -> None:
    assert low <= pair_median(measure, symbol, n) <= high


def hourly_gap(made: str, day: int) -> Floats:
    """Last price over mark or index at each hour's close, ETH, bp, over 250 days."""
    market, start = Synthetic(seed=1), EPOCH + day * DAY
    last, other = (getattr(market, name)(ETH, start, start + 250 * DAY).close[59::60] for name in ("bars", made))
    return np.log(last / other) * 1e4


@pytest.mark.slow
def test_facts_of_mark_and_premium() -> None:
    days = np.linspace(0, YEARS_DAYS - 250, 8).astype(int)
    marks, premiums = ([hourly_gap(name, int(day)) for day in days] for name in ("mark", "index"))
    assert 0.5 <= np.median([gap.std() for gap in marks]) <= 1.2
    assert 2 <= np.median([np.quantile(np.abs(gap), 0.99) for gap in marks]) <= 5
    assert 4 <= np.median([gap.std() for gap in premiums]) <= 9
    assert 0.80 <= np.median([fact.autocorrelation(gap, 1) for gap in premiums]) <= 0.98
    assert 0.60 <= np.median([fact.autocorrelation(gap, 24) for gap in premiums]) <= 0.85


@pytest.mark.slow
def test_ten_years_stay_between_the_walls() -> None:
    prices = [history(seed, BTC, 1440) for seed in SEEDS]
    drawdowns = [float((days.low / np.maximum.accumulate(days.high) - 1).min()) for days in prices]
    assert min(days.low.min() for days in prices) / 45_000 > 0.08
    assert max(days.high.max() for days in prices) / 45_000 < 12
    assert -0.97 <= np.median(drawdowns) <= -0.70
