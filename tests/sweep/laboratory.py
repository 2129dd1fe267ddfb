"""What the tests of searches work with: a market with some pattern in it, a small space, and a search over it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np

from alpha_arena.backtest.pool import Pool, Threads
from alpha_arena.backtest.space import Template
from alpha_arena.backtest.trials import Bench
from alpha_arena.core.types import Candles
from alpha_arena.data.service import DataService
from alpha_arena.data.trials import finished
from alpha_arena.settings import load
from alpha_arena.wiring.searching import Book, Searching, grounds_of
from alpha_arena.wiring.sweeping import keep_trials

BTC = "BTC/USDT:USDT"
HOUR = 3_600_000
T0 = 1_699_977_600_000
ROWS = 700
SPACE = ("sweep.strategies.ema_trend.ema_fast=[3,5,8]", "sweep.strategies.ema_trend.ema_medium=[7,13,21]")
SPACE += ("sweep.strategies.ema_trend.ema_slow=[34]", "sweep.strategies.ema_trend.stop_loss_atr=[1.5,3.0]")
SPACE += ("sweep.strategies.ema_trend.take_profit_atr=[4.0]",)
NOW = 1_800_000_000_000


def walk(rows: int, bar_ms: int, seed: int = 5) -> Candles:
    """A walk that trends for a while, then the other way, on uneven volume."""
    rng = np.random.default_rng(seed)
    drift = 0.002 * np.sign(np.sin(np.arange(rows) / 40))
    close = 40_000 * np.exp(np.cumsum(rng.normal(0, 0.006, rows) + drift))
    open_ = np.concatenate([[40_000.0], close[:-1]])
    high, low = np.maximum(open_, close) * 1.002, np.minimum(open_, close) * 0.998
    prices = (np.round(values, 1) for values in (open_, high, low, close))
    return Candles(T0 + np.arange(rows) * bar_ms, *prices, rng.lognormal(3, 0.5, rows))


def search(service: DataService, *overrides: str, workers: int = 1, remember: bool = True) -> Searching:
    """A search that has been made, in threads."""
    made = begun(service, *overrides, remember=remember)
    made.run(Threads([ground.bench for ground in made.grounds], made.templates, workers))
    return made


def begun(service: DataService, *overrides: str, remember: bool = True) -> Searching:
    """A search that knows what was tried before."""
    settings = load("sweep", [*SPACE, *overrides])
    grounds = grounds_of(settings, service)
    known = [finished(service, ground.data_hash) for ground in grounds]
    made = Searching(settings, grounds, known)
    if remember:
        made.keep = partial(keep_trials, service, settings.trader, NOW, "sweep-1", made)
    return made


def same(one: Book, other: Book) -> bool:
    """Whether two searches have found the same, to the bit."""
    arrays = ("figures", "sums", "squares")
    equal = all(np.array_equal(getattr(one.outcomes, a), getattr(other.outcomes, a), equal_nan=True) for a in arrays)
    return equal and one.drafts == other.drafts and one.refused == other.refused


@contextmanager
def threads(benches: Sequence[Bench], templates: Mapping[str, Template], estimate_s: float) -> Iterator[Pool]:
    """Two threads, whatever the estimate."""
    yield Threads(benches, templates, 2)
