"""Stylised facts of candles and funding, as the model of the synthetic market was measured by them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alpha_arena.core.types import Candles, Floats


def returns(candles: Candles) -> Floats:
    return np.diff(np.log(candles.close))


def autocorrelation(x: Floats, lag: int) -> float:
    x = x - x.mean()
    return float((x[lag:] * x[:-lag]).mean() / (x * x).mean())


def correlation(x: Floats, y: Floats) -> float:
    return float(np.corrcoef(x, y)[0, 1])


def variance_ratio(r: Floats, n: int) -> float:
    total = np.cumsum(np.concatenate([[0.0], r - r.mean()]))
    return float(np.mean((total[n:] - total[:-n]) ** 2) / (n * r.var()))


def kurtosis(r: Floats) -> float:
    r = r - r.mean()
    return float((r**4).mean() / (r * r).mean() ** 2)


def tail(r: Floats) -> float:
    """The 99.9 % quantile of |r| in standard deviations."""
    return float(np.quantile(np.abs(r), 0.999) / r.std())


def moving_mean(x: Floats, n: int) -> Floats:
    total = np.cumsum(np.concatenate([[0.0], x]))
    return (total[n:] - total[:-n]) / n


def jump_share(candles: Candles) -> float:
    """Share of bars beyond five local sigmas: the root of the bipower variation of the day before, which a jump alone does not raise."""
    r = returns(candles)
    day = int(86_400_000 // (candles.ts[1] - candles.ts[0]))
    local = np.sqrt(moving_mean(np.abs(r[1:] * r[:-1]), day) * np.pi / 2)[:-1]
    return float((np.abs(r[day + 1 :]) > 5 * local).mean())


def reach(candles: Candles) -> float:
    """Mean range over mean |close - open|."""
    return float((candles.high - candles.low).mean() / np.abs(candles.close - candles.open).mean())


def efficiency(candles: Candles, n: int = 20) -> Floats:
    close = np.log(candles.close)
    way = moving_mean(np.abs(np.diff(close)), n) * n
    return np.abs(close[n:] - close[:-n]) / np.maximum(way, 1e-300)


def adx(candles: Candles) -> Floats:
    import talib

    values: Floats = talib.ADX(candles.high, candles.low, candles.close, 14)
    return values[200:]


def band_width(candles: Candles, n: int = 20) -> float:
    """Median width of the 2 sd bands in standard deviations of a bar's return."""
    close = np.log(candles.close)
    centred = close - close.mean()
    sd = np.sqrt(np.maximum(moving_mean(centred**2, n) - moving_mean(centred, n) ** 2, 0.0))
    return float(np.median(4 * sd) / returns(candles).std())


def daily_log_volatility(quarters: Candles) -> Floats:
    """Log of the root of summed squared 15m returns of each UTC day."""
    squares = returns(quarters) ** 2
    day = quarters.ts[1:] // 86_400_000
    sums = np.bincount(day - day[0], squares)
    return 0.5 * np.log(sums[1:-1])


def bars(candles: Candles) -> Candles:
    """Those in which something was traded and moved."""
    return candles[(candles.volume > 0) & (candles.high > candles.low)]


def log_volume(candles: Candles) -> Floats:
    return np.log(candles.volume[candles.volume > 0])


def volume_and_range(candles: Candles) -> float:
    c = bars(candles)
    return correlation(np.log(c.volume), np.log(np.log(c.high / c.low)))


def volume_and_move(candles: Candles) -> float:
    """Correlation of log volume with |close - open|."""
    c = bars(candles)
    return correlation(np.log(c.volume), np.abs(np.log(c.close / c.open)))


def repeated_opens(candles: Candles) -> float:
    return float((candles.open[1:] == candles.close[:-1]).mean())


def midnight_ratio(quarters: Candles) -> float:
    """Variance of the 00:00 bar over that of 23:45 and 00:15."""
    r, of_day = returns(quarters), quarters.ts[1:] // 900_000 % 96
    at = {i: float(np.mean(r[of_day == i] ** 2)) for i in (95, 0, 1)}
    return at[0] / (0.5 * (at[95] + at[1]))


def ridge(x: NDArray[np.float64], y: Floats, penalty: float = 1.0) -> float:
    """Out-of-sample correlation of a ridge forecast fitted on the first half."""
    half = len(y) // 2
    scale = x[:half].std(axis=0) + 1e-12
    x = (x - x[:half].mean(axis=0)) / scale
    fitted = x[:half]
    weights = np.linalg.solve(fitted.T @ fitted + penalty * half * 1e-3 * np.eye(x.shape[1]), fitted.T @ (y[:half] - y[:half].mean()))
    return correlation(x[half:] @ weights, y[half:])
