"""A search makes each trial once, whoever works on it, however often it is begun anew, and remembers all of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from laboratory import BTC, HOUR, NOW, ROWS, begun, same, search, walk

from alpha_arena.backtest.pool import Job, Threads
from alpha_arena.backtest.search import objective_of
from alpha_arena.backtest.trials import Outcomes
from alpha_arena.cli import main
from alpha_arena.core.errors import ConfigError, NoData, UnknownName
from alpha_arena.data import queries
from alpha_arena.data.service import DataService
from alpha_arena.data.trials import Trial, record_trials, times_tried, tried
from alpha_arena.wiring.identity import strategy_hash
from alpha_arena.wiring.searching import Searching

REFUSED = 2
RANDOM = ("sweep.method=random", "sweep.trials=12", "sweep.strategies.ema_trend.stop_loss_atr=1.0..4.0")
TPE = ("sweep.method=tpe", "sweep.trials=70", "sweep.strategies.ema_trend.stop_loss_atr=1.0..4.0")


class Mortal(Threads):
    """Whoever works dies after so many jobs."""

    lives = 2

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Outcomes]]:
        """As Threads, until then."""
        for done in super().run(jobs):
            if not self.lives:
                raise KeyboardInterrupt
            self.lives -= 1
            yield done


def stopped(service: DataService, *overrides: str) -> Searching:
    """A search that was interrupted in the middle."""
    made = begun(service, *overrides)
    with pytest.raises(KeyboardInterrupt):
        made.run(Mortal([ground.bench for ground in made.grounds], made.templates, 1))
    return made


def test_every_combination_is_tried_and_kept(service: DataService) -> None:
    """But those whose parameters do not fit together, which are no trials."""
    made = search(service, "sweep.strategies.ema_trend.ema_fast=[3,5,9]")
    assert made.total == 18
    assert made.book.done == 18
    assert set(made.book.refused.values()) == {"ema_fast (9) must be below ema_medium (7)"}
    assert len(made.book.refused) == REFUSED
    kept = queries.browse(service, "trials", 100)
    assert len(kept) == 16
    assert {row["strategy"] for row in kept} == {"ema_trend"}
    assert times_tried(service, BTC, "1h") == 16
    sharpes = [row["bar_sharpe"] for row in kept]
    assert tried(service, BTC, "1h", made.grounds[0].series.bars).deviation == pytest.approx(np.std(sharpes, ddof=1))


@pytest.mark.parametrize("method", [(), RANDOM, TPE])
@pytest.mark.parametrize("workers", [2, 3])
def test_the_number_of_workers_changes_nothing(service: DataService, method: tuple[str, ...], workers: int) -> None:
    """Same seed, same trials, same numbers, to the bit."""
    one, many = (search(service, *method, workers=count, remember=False) for count in (1, workers))
    assert same(one.book, many.book)
    assert (search(service, *method, "seed=8", remember=False).book.drafts == one.book.drafts) == (not method)


@pytest.mark.parametrize("method", [(), RANDOM, TPE])
def test_a_search_that_was_stopped_goes_on(service: DataService, method: tuple[str, ...]) -> None:
    """What was finished is not done again, and the end is the same as without the stop. Learning may ask for one combination twice."""
    whole = search(service, *method, remember=False)
    before = stopped(service, *method)
    kept = times_tried(service, BTC, "1h")
    assert 0 < kept < whole.total
    again = search(service, *method)
    assert again.book.reused >= kept
    assert same(again.book, whole.book)
    assert before.total == again.total
    assert search(service, *method).book.reused == again.total - len(again.book.refused)


@pytest.mark.parametrize("other", ["costs.taker_fee=0.001", "initial_capital=5000", "limit=600", "strategy.rsi_min=45", "risk=none"])
def test_other_terms_are_other_trials(service: DataService, other: str) -> None:
    """Costs, capital, window, what is not varied, risk: nothing of the earlier search is taken for theirs."""
    first = search(service)
    again = search(service, other)
    assert again.book.reused == 0
    assert times_tried(service, BTC, "1h") == 2 * (first.total - len(first.book.refused))


def test_other_candles_are_other_trials(service: DataService) -> None:
    """One more bar is enough."""
    search(service)
    service.write_candles("file", BTC, "1h", walk(ROWS + 1, HOUR)[slice(ROWS, ROWS + 1)])
    assert search(service).book.reused == 0


def test_trials_are_counted_whoever_made_them(service: DataService) -> None:
    """A backtest is one of them, on its own symbol and timeframe alone."""
    search(service)
    before = times_tried(service, BTC, "1h")
    for timeframe in ("1h", "4h"):
        trial = Trial("backtest", BTC, timeframe, "ema_trend", {}, f"hash of {timeframe}", "data", float("nan"), 100)
        record_trials(service, "default", NOW, [trial, trial])
    assert times_tried(service, BTC, "1h") == before + 1
    assert times_tried(service, BTC, "4h") == 1
    assert np.isnan(tried(service, BTC, "4h", 100).deviation)


def test_sharpes_of_weeks_and_of_years_are_laid_side_by_side(service: DataService) -> None:
    """Without skill one over 100 bars spreads ten times as wide as one over 10,000: neither sets the bar for the other."""
    draw = np.random.default_rng(1)
    for bars in (100, 10_000):
        sharpes = draw.normal(0, 1 / np.sqrt(bars), 400)
        trials = [Trial("sweep", BTC, "1h", "ema_trend", {}, f"{bars} {n}", "data", float(one), bars) for n, one in enumerate(sharpes)]
        record_trials(service, "default", NOW, trials)
    for bars in (100, 2_500, 10_000):
        assert tried(service, BTC, "1h", bars).deviation == pytest.approx(1 / np.sqrt(bars), rel=0.05)


def test_a_sharpe_of_a_handful_of_bars_says_nothing(service: DataService) -> None:
    """It is mostly one bar's; what was tried counts all the same."""
    trials = [
        Trial("sweep", BTC, "1h", "ema_trend", {}, str(n), "data", one, bars)
        for n, (one, bars) in enumerate([(0.1, 400), (0.2, 400), (50.0, 3)])
    ]
    record_trials(service, "default", NOW, trials)
    found = tried(service, BTC, "1h", 400)
    assert (found.count, found.deviation) == (3, pytest.approx(0.1 / np.sqrt(2)))


def test_several_strategies_and_timeframes(service: DataService) -> None:
    """Each on each series, each trial under its own name."""
    service.write_candles("file", BTC, "4h", walk(ROWS // 4, 4 * HOUR))
    made = search(service, "sweep.timeframes=[1h,4h]", "+sweep.strategies.breakout={lookback_period: [5, 10]}")
    assert [(task.space.strategy, task.trials) for task in made.tasks] == [("ema_trend", 18), ("breakout", 2)] * 2
    assert [made.task_of(row).ground for row in (0, 19, 20, 39)] == [0, 0, 1, 1]
    assert (times_tried(service, BTC, "1h"), times_tried(service, BTC, "4h")) == (18, 18)


def test_learning_finds_more_than_drawing(service: DataService) -> None:
    """The best of as many trials, over a space in which one direction is better; the first round is drawn alike."""
    space = ("sweep.strategies.ema_trend.ema_slow=20..200", "sweep.trials=96", "sweep.strategies.ema_trend.take_profit_atr=0.5..8.0")
    learned = search(service, "sweep.method=tpe", *space, remember=False)
    means = [np.nanmean(learned.objective(range(first, first + 32), learned.tasks[0])) for first in (0, 64)]
    assert means[1] > means[0]


@pytest.mark.parametrize(
    ("overrides", "error", "words"),
    [
        (["sweep.strategies.ema_trend.ema_fast=[]"], ConfigError, r"sweep\.strategies\.ema_trend\.ema_fast=\[\] is empty"),
        (["+sweep.strategies.ema_trend.ema_fsat=[1]"], UnknownName, "did you mean 'ema_fast'"),
        (["sweep.strategies.ema_trend.ema_fast=5..9"], ConfigError, "no step"),
        (["++sweep.strategies={}"], None, ""),
        (["start=2030-01-01"], NoData, "between start and end"),
        (["symbol=eth"], NoData, "ETH"),
        (["sweep.timeframes=[5m]"], NoData, "5m"),
    ],
)
def test_what_cannot_be_searched(service: DataService, overrides: list[str], error: type[Exception] | None, words: str) -> None:
    """Is said before anything is tried."""
    if error is None:
        assert begun(service, *overrides).total == 18
        return
    with pytest.raises(error, match=words):
        begun(service, *overrides)
    assert queries.browse(service, "trials") == []


@pytest.mark.parametrize(
    "own",
    [
        (),
        ("risk=none", "costs.taker_fee=0.001"),
        ("limit=500", "initial_capital=5000", "equity=2000"),
        ("strategy.rsi_min=45",),
    ],
)
def test_a_backtest_of_a_combination_is_no_further_trial(service: DataService, own: tuple[str, ...]) -> None:
    """Whichever came first, and whether numbers are written as 3 or 3.0."""
    chosen = ("strategy.ema_fast=5", "strategy.ema_medium=13", "strategy.ema_slow=34", "strategy.take_profit_atr=4")
    for stop in (3, 1.5):
        backtested(*chosen, f"strategy.stop_loss_atr={stop}", *own)
        made = search(service, *own)
        assert times_tried(service, BTC, "1h") == made.total - len(made.book.refused) == 16


@pytest.mark.parametrize("own", [("window=300",), ("decision=weighted",), ("strategy.rsi_min=45",), ("limit=600",), ("risk=none",)])
def test_another_backtest_is_a_further_trial(service: DataService, own: tuple[str, ...]) -> None:
    """What a search would have made otherwise, or not at all."""
    search(service)
    chosen = ("strategy.ema_fast=5", "strategy.ema_medium=13", "strategy.ema_slow=34", "strategy.stop_loss_atr=3.0")
    backtested(*(chosen if "decision=weighted" not in own else ()), *own)
    assert times_tried(service, BTC, "1h") == 17


def test_a_plugin_s_strategy_is_known_by_its_code(tmp_path: Path) -> None:
    """Changed, it is another, though it is called as before."""
    file = tmp_path / "own.py"
    known = set()
    for text in ("class Own:\n    max_leverage = 1.0\n", "class Own:\n    max_leverage = 2.0\n"):
        file.write_text(text)
        spec = spec_from_file_location("own", file)
        assert spec
        assert spec.loader
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules["own"] = module
        known |= {strategy_hash("terms", "own", module.Own) for _ in range(2)}
    del sys.modules["own"]
    assert len(known) == 2


def backtested(*overrides: str) -> None:
    """A backtest, from the command line."""
    assert main(["backtest", *overrides]) == 0


@pytest.mark.parametrize(
    ("least", "known"), [(0, [True, True, True, False]), (1, [True, False, True, False]), (5, [True, False, False, False])]
)
def test_what_trades_too_rarely_cannot_be_the_best(least: int, known: list[bool]) -> None:
    """Nor what never held anything; a position that was never closed counts where no closed trade is asked for."""
    figures = {"trades": np.array([5.0, 0, 4, 0]), "exposure_time": np.array([0.5, 1.0, 0.1, 0]), "sharpe": np.array([0.1, 2, 9, 0])}
    assert (~np.isnan(objective_of(figures, "sharpe", least))).tolist() == known
