"""What can be earned on the generated market: next to nothing, unless it is the vivid one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import synthetic_facts as fact
from scipy.signal import lfilter
from test_synthetic_facts import BTC, DAY, EPOCH, MINUTES, SEEDS, coarser, history

from alpha_arena.core.types import Candles, Floats
from alpha_arena.exchange.synthetic import VIVID, Synthetic

SIDE_COST = 6e-4
BARS_A_YEAR = {timeframe: 365 * 1440 / n for timeframe, n in MINUTES.items()}
Rule = Callable[[Candles], Floats]


def average(x: Floats, n: int) -> Floats:
    """Exponential moving average of span n."""
    alpha = 2 / (n + 1)
    result: Floats = lfilter([alpha], [1, alpha - 1], x, zi=[x[0] * (1 - alpha)])[0]
    return result


def held(signal: Floats) -> Floats:
    """The last value that is not NaN, 0 before the first."""
    last = np.maximum.accumulate(np.where(np.isnan(signal), 0, np.arange(signal.size)))
    return np.nan_to_num(signal[last])


def crossing(fast: int, slow: int) -> Rule:
    return lambda bars: np.sign(average(bars.close, fast) - average(bars.close, slow))


def past_extreme(x: Floats, n: int, reduce: Callable[..., Floats]) -> Floats:
    rolled = np.full(x.size, np.nan)
    rolled[n:] = reduce(np.lib.stride_tricks.sliding_window_view(x, n)[:-1], axis=1)
    return rolled


def breakout(n: int) -> Rule:
    def rule(bars: Candles) -> Floats:
        up, down = bars.close > past_extreme(bars.high, n, np.max), bars.close < past_extreme(bars.low, n, np.min)
        return held(np.where(up, 1.0, np.where(down, -1.0, np.nan)))

    return rule


def reversion(bars: Candles, n: int = 20) -> Floats:
    """Against moves beyond 2 sd until the mean is reached."""
    close = np.log(bars.close)
    centre = np.full(close.size, np.nan)
    sd = centre.copy()
    view = np.lib.stride_tricks.sliding_window_view(close, n)
    centre[n - 1 :], sd[n - 1 :] = view.mean(axis=1), view.std(axis=1)
    z = (close - centre) / sd
    crossed = np.append(False, np.sign(z[1:]) != np.sign(z[:-1]))
    return held(np.where(z > 2, -1.0, np.where(z < -2, 1.0, np.where(crossed, 0.0, np.nan))))


def momentum(bars: Candles, n: int = 10) -> Floats:
    return np.append(np.zeros(n), np.sign(bars.close[n:] - bars.close[:-n]))


RULES: dict[str, Rule] = {
    "EMA 12/26": crossing(12, 26),
    "EMA 50/200": crossing(50, 200),
    "breakout 20": breakout(20),
    "breakout 100": breakout(100),
    "reversion 20": reversion,
    "momentum 10": momentum,
}


def earned(bars: Candles, position: Floats, cost: float) -> Floats:
    """Return of each bar but the first, for the position decided at the close before it."""
    return position[:-1] * fact.returns(bars) - cost * np.abs(np.diff(np.append(0.0, position[:-1])))


def sharpe(returns: Floats, timeframe: str) -> float:
    return float(returns.mean() / returns.std() * np.sqrt(BARS_A_YEAR[timeframe]))


@pytest.mark.parametrize("timeframe", ["15m", "1h", "4h"])
@pytest.mark.parametrize("name", RULES)
@pytest.mark.slow
def test_no_simple_rule_earns_its_costs(name: str, timeframe: str) -> None:
    """A net Sharpe ratio of .8 over ten years does not appear in each of three markets."""
    markets = [history(seed, BTC, MINUTES[timeframe]) for seed in SEEDS]
    assert min(sharpe(earned(bars, RULES[name](bars), SIDE_COST), timeframe) for bars in markets) < 0.8


def lagged(r: Floats, n: int) -> Floats:
    return np.stack([r[n - i - 1 : r.size - i - 1] for i in range(n)], axis=1)


@pytest.mark.parametrize("timeframe", ["15m", "1h"])
@pytest.mark.slow
def test_the_next_bar_is_not_a_linear_function_of_the_last_twenty(timeframe: str) -> None:
    found = []
    for seed in SEEDS:
        r = fact.returns(history(seed, BTC, MINUTES[timeframe]))
        found.append(fact.ridge(lagged(r, 20), r[20:], penalty=0.0))
    assert abs(np.median(found)) <= 0.03


def state(bars: Candles) -> tuple[Floats, Floats]:
    """Trends over three spans, alone and times the state of volatility and of volume; and the return after."""
    r = fact.returns(bars)
    sigma = np.sqrt(average(r * r, 100))
    trends = [average(r, n) / sigma for n in (5, 20, 80)]
    calm = np.log(np.sqrt(average(r * r, 10)) / sigma)
    volume = np.log(bars.volume[1:])
    busy = volume - average(volume, 100)
    columns = [t * s for t in trends for s in (1.0, calm, busy)]
    return np.stack(columns, axis=1)[200:-1], (r[1:] / sigma[:-1])[200:]


@pytest.mark.parametrize("timeframe", ["15m", "1h", "4h"])
@pytest.mark.slow
def test_trends_volatility_and_volume_foretell_next_to_nothing(timeframe: str) -> None:
    assert abs(np.median([fact.ridge(*state(history(seed, BTC, MINUTES[timeframe]))) for seed in SEEDS])) <= 0.06


@pytest.mark.slow
def test_no_time_of_day_has_a_drift() -> None:
    """Largest |t| of the mean return over the 96 quarters of a day; about 2.7 is expected of pure noise, more with fat tails."""
    for seed in SEEDS:
        r = np.append(0.0, fact.returns(history(seed, BTC, 15))).reshape(-1, 96)
        assert np.abs(r.mean(axis=0) / r.std(axis=0) * np.sqrt(len(r))).max() < 4.5


@cache
def vivid(timeframe: str) -> tuple[Candles, np.ndarray]:
    """Four years of the vivid market, and each bar's hidden regime."""
    market, end = Synthetic(VIVID, seed=7), EPOCH + 1440 * DAY
    return coarser(market.bars(BTC, EPOCH, end), MINUTES[timeframe]), market.regime(EPOCH, end)[:: MINUTES[timeframe]]


def in_regime(rule: str, timeframe: str, regime: str) -> float:
    """Gross yearly Sharpe ratio over the bars of a regime."""
    bars, labels = vivid(timeframe)
    return sharpe(earned(bars, RULES[rule](bars), 0.0)[labels[1:] == regime], timeframe)


@pytest.mark.slow
def test_in_the_vivid_market_the_right_rule_wins() -> None:
    assert in_regime("EMA 12/26", "4h", "trend_up") > 4
    assert in_regime("EMA 12/26", "4h", "trend_down") > 4
    assert in_regime("EMA 12/26", "4h", "range") < 2
    assert in_regime("reversion 20", "1h", "range") > 2
    assert in_regime("reversion 20", "1h", "range") > in_regime("reversion 20", "1h", "trend_up")
