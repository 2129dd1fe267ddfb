"""Trials in sums are the runs that they stand for, in every figure; those that cannot be made leave the others alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from histories import COSTS, INSTRUMENT, history

from alpha_arena.backtest.kernel import simulate
from alpha_arena.backtest.pool import Job, Threads
from alpha_arena.backtest.record import from_simulation
from alpha_arena.backtest.result import Terms, summarise
from alpha_arena.backtest.search import Series, best_first, blocks_of_trials, figures_of
from alpha_arena.backtest.space import Template
from alpha_arena.backtest.targets import ready
from alpha_arena.backtest.trials import Bench, Draft, bench_of, evaluate
from alpha_arena.core.errors import DataError
from alpha_arena.core.market import Market
from alpha_arena.core.timeframes import bars_per_year
from alpha_arena.core.types import Signals
from alpha_arena.risk.protective_stop import ProtectiveStop
from alpha_arena.strategies.breakout import Breakout
from alpha_arena.strategies.ema_trend import EmaTrend

CAPITAL = 10_000.0
EMA = {"ema_fast": 3, "ema_medium": 6, "ema_slow": 12, "atr_period": 5, "stop_loss_atr": 1.5, "take_profit_atr": 2.0, "max_position": 0.2}
EMA |= {"max_leverage": 3, "rsi_min": 40, "rsi_max": 90, "rsi_short_min": 10, "rsi_short_max": 60, "volume_threshold": 0.5}
BREAK = {"lookback_period": 5, "breakout_threshold": 1.0, "volume_threshold": 0.5, "atr_period": 5, "stop_loss_atr": 1.0}
BREAK |= {"take_profit_atr": 3.0, "max_position": 0.3, "max_leverage": 2}
TEMPLATES = {"ema_trend": Template(EmaTrend, EMA), "breakout": Template(Breakout, BREAK)}
MARKET = history(11, 900).market
RULES = (ProtectiveStop(0.1),)
SERIES = Series(MARKET.symbol, "1h", 700, bars_per_year(MARKET.bar_ms), CAPITAL)
DRAFTS = [Draft("ema_trend", {"ema_fast": fast, "stop_loss_atr": stop}) for fast in (2, 4, 5) for stop in (1.0, 2.5)]
DRAFTS += [Draft("breakout", {"lookback_period": bars}) for bars in (4, 8)]


def bench(parts: list[tuple[int, int]] | None = None) -> Bench:
    """The market from row 200 on, or parts of it."""
    return bench_of(MARKET, RULES, COSTS, INSTRUMENT, CAPITAL, parts or [(200, 900)])


def run_of(draft: Draft, start: int, stop: int) -> dict[str, object]:
    """The figures of result.json of one trial, by its whole path."""
    strategy = TEMPLATES[draft.strategy].make(draft.varied)
    market = MARKET.rows(0, stop)
    signals = ready(strategy.signals(market), market, RULES, INSTRUMENT)
    path = simulate(market, signals, COSTS, INSTRUMENT, strategy.max_leverage, CAPITAL, start)
    record = from_simulation(path, market, signals, CAPITAL)
    return summarise(record, Terms(COSTS, {MARKET.symbol: INSTRUMENT}, strategy.max_leverage), {})


@pytest.mark.parametrize("part", [(200, 900), (300, 500)])
def test_figures_are_those_of_the_run(part: tuple[int, int]) -> None:
    """For strategies that trade, over the whole and a part."""
    made = evaluate(bench([part]), TEMPLATES, DRAFTS)
    series = replace(SERIES, bars=part[1] - part[0])
    figures = figures_of(made.figures[:, 0], series)
    for row, draft in enumerate(DRAFTS):
        expected = run_of(draft, *part)
        assert expected["trades"], draft
        for name in ("total_return", "cagr", "sharpe", "calmar", "max_drawdown", "win_rate", "exposure_time", "trades", "fees", "funding"):
            assert figures[name][row] == pytest.approx(expected[name], rel=1e-7, abs=1e-9), (draft, name)
        assert figures["profit_factor"][row] == pytest.approx(np.inf if expected["profit_factor"] is None else expected["profit_factor"])


def test_several_parts_at_once_are_each_alone() -> None:
    """A part starts from a flat account and knows nothing of the others."""
    parts = [(200, 900), (300, 500), (500, 640)]
    together = evaluate(bench(parts), TEMPLATES, DRAFTS)
    for at, part in enumerate(parts):
        alone = evaluate(bench([part]), TEMPLATES, DRAFTS)
        assert np.array_equal(together.figures[:, at], alone.figures[:, 0])
        assert np.array_equal(together.sums[:, at], alone.sums[:, 0])


def test_what_does_not_fit_together_is_refused_alone() -> None:
    """With the reason in its own words; a value out of range too."""
    wrong = [Draft("ema_trend", {"ema_fast": 7}), Draft("ema_trend", {"ema_fast": 1}), Draft("breakout", {"lookback_period": 2.5})]
    made = evaluate(bench(), TEMPLATES, [wrong[0], DRAFTS[0], *wrong[1:]])
    assert made.refused[0] == "ema_fast (7) must be below ema_medium (6)"
    assert made.refused[1] == ""
    assert all(made.refused[2:])
    assert np.isnan(made.figures[[0, 2, 3]]).all()
    assert np.array_equal(made.figures[1], evaluate(bench(), TEMPLATES, DRAFTS[:1]).figures[0])


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_change_nothing(workers: int) -> None:
    """Jobs come back in any order, each with its own outcome."""
    jobs = [Job(0, (row,), (draft,)) for row, draft in enumerate(DRAFTS)]
    expected = evaluate(bench(), TEMPLATES, DRAFTS)
    seen = {}
    for job, outcomes in Threads([bench()], TEMPLATES, workers).run(iter(jobs)):
        seen[job.rows[0]] = outcomes
        assert np.array_equal(outcomes.figures[0], expected.figures[job.rows[0]])
    assert sorted(seen) == list(range(len(jobs)))


def test_jobs_are_taken_only_as_they_are_needed() -> None:
    """So that their size can follow the pace."""
    taken = []

    def jobs() -> object:
        for row, draft in enumerate(DRAFTS):
            taken.append(row)
            yield Job(0, (row,), (draft,))

    run = Threads([bench()], TEMPLATES, 1).run(jobs())  # type: ignore[arg-type]
    next(run)
    assert len(taken) <= 3
    run.close()  # type: ignore[attr-defined]


def test_the_best_come_first() -> None:
    """Those without a figure nowhere, the first tried of equal ones."""
    assert best_first(np.array([1.0, np.nan, 3.0, 3.0, -1.0])).tolist() == [2, 3, 0, 4]


def test_blocks_leave_out_what_was_not_made() -> None:
    """And need two trials, and a bar a block."""
    made = evaluate(bench(), TEMPLATES, [Draft("ema_trend", {"ema_fast": 7}), *DRAFTS])
    blocks = blocks_of_trials(made.sums[:, 0], made.squares[:, 0], 700)
    assert blocks is not None
    assert blocks.sums.shape == (16, len(DRAFTS))
    assert blocks.bars == 700 // 16
    assert blocks_of_trials(made.sums[:2, 0], made.squares[:2, 0], 700) is None
    assert blocks_of_trials(made.sums[:, 0], made.squares[:, 0], 15) is None


class Broken(Breakout):
    """Divides by what it should not."""

    def signals(self, market: Market) -> Signals:
        """Never any."""
        raise ZeroDivisionError("division by zero")


def test_a_strategy_that_fails_is_told_with_its_parameters() -> None:
    """Nothing is taken for its result."""
    with pytest.raises(DataError, match=r"broken with \{'lookback_period': 4\} failed: ZeroDivisionError: division by zero"):
        evaluate(bench(), {"broken": Template(Broken, BREAK)}, [Draft("broken", {"lookback_period": 4})])
