"""What a verdict rests on, put together from a run and from what is known of its search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import nan

from alpha_arena.backtest.evidence import Evidence, sharpes
from alpha_arena.backtest.overfitting import Blocks, effective_trials
from alpha_arena.backtest.result import Run, plain
from alpha_arena.backtest.statistics import curve, returns
from alpha_arena.core.timeframes import bars_per_year
from alpha_arena.core.types import Floats
from alpha_arena.data.trials import Tried
from alpha_arena.settings import Settings


def evidence(
    settings: Settings, run: Run, ppy: float, ever: Tried, blocks: Blocks | None, candidates: Floats, in_sample_sharpe: float = nan
) -> Evidence:
    """Of a run of one symbol.

    Args:
        ppy: bars a year. ever: all that was tried on its symbol and timeframe. blocks, candidates, in_sample_sharpe: as of Evidence.
    """
    market = next(iter(run.markets.values()))
    return Evidence(
        returns=run.returns,
        ppy=ppy,
        exposure=run.held,
        market=returns(curve(float(market.open[0]), market.close)),
        trades=run.trades["return"].to_numpy(),
        cost=settings.costs.taker_fee + settings.costs.slippage,
        trials=max(ever.count, 1),
        trial_deviation=ever.deviation,
        effective_trials=worth(max(ever.count, 1), blocks),
        blocks=blocks,
        candidates=candidates,
        seed=settings.seed,
        in_sample_sharpe=in_sample_sharpe,
    )


def deflated(run: Run, ever: Sequence[Tried]) -> Run:
    """A backtest with how likely its Sharpe is more than the luck of all trials: who tries by hand has searched too.

    Args:
        ever: all that was tried on each of its symbols, itself included; it is held against the one that was tried most.
    """
    most = max(ever, key=lambda one: one.count)
    trials, ppy = max(most.count, 1), bars_per_year(run.result["simulation"]["timeframe_ms"])
    found = sharpes(run.returns, ppy, trials, most.deviation, worth(trials, None))
    told = {"trials_ever": most.count, "luck_sharpe": found["luck_sharpe"], "deflated_sharpe": found["dsr"]}
    return replace(run, result={**run.result, **plain(told)})


def worth(trials: int, blocks: Blocks | None) -> float:
    """Independent trials that all are worth: those of this search by how they move together, each of the others as one.

    Of the others only the Sharpes are known. Were they left out, the best of a search, run once more alone or among its copies, would be
    told that there was hardly any luck.
    """
    if blocks is None:
        return float(trials)
    earlier: int = max(trials - blocks.sums.shape[1], 0)
    return effective_trials(blocks.sums) + earlier
