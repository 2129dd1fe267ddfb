"""What a verdict rests on: the chosen result, the search behind it, and the figures that ask whether it is luck (specs: quant §2.1).

Sharpe ratios among the figures are annual, probabilities and returns are fractions. NaN: not defined. Nothing here raises or warns for a
history that is too short, never trades or never varies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isnan, nan, sqrt
from typing import Any

import numpy as np

from alpha_arena.backtest import overfitting, statistics
from alpha_arena.backtest.overfitting import Blocks
from alpha_arena.core.types import Floats

Figures = Mapping[str, Any]
# a deviation below this part of the largest return is rounding: nothing varies
ROUNDING = 1e-9
# decimals of a log return beyond which draws are the same
SAME = 12


@dataclass(frozen=True, slots=True)
class Evidence:
    """A chosen result and how it was found.

    Attributes:
        returns: simple, net, one a bar, out of sample for a walk-forward; shape [T].
        ppy: bars a year.
        exposure: held through each bar, signed notional / equity; shape [T].
        market: simple return of the market in each bar; shape [T].
        trades: net return of each closed trade, fraction of equity.
        cost: of a change of exposure, fraction of its size.
        trials: all that were ever made on this symbol and timeframe, those of this search included.
        trial_deviation: standard deviation (ddof 1) of the per-bar Sharpes of those trials, NaN where it is not known.
        effective_trials: independent ones that they are worth, NaN where it is not known.
        blocks: of the search's trials, None where there are fewer than two: then nothing was searched.
        candidates: returns of a walk-forward's schemes, out of sample; shape [T, K]. K is 0 of any other result, whose candidates are the
            trials that `blocks` has.
        seed: of all draws.
        in_sample_sharpe: annual, of a walk-forward the mean of its folds; NaN for any other result.
    """

    returns: Floats
    ppy: float
    exposure: Floats
    market: Floats
    trades: Floats
    cost: float
    trials: int
    trial_deviation: float
    effective_trials: float
    blocks: Blocks | None
    candidates: Floats
    seed: int
    in_sample_sharpe: float = nan


def measured(evidence: Evidence, draws: int = overfitting.DRAWS) -> dict[str, Any]:
    """All figures by name; those that need what is not known or not defined are NaN."""
    known = bool(np.isfinite(evidence.returns).all())
    returns = evidence.returns if known else np.zeros(0)
    return {
        "net_return": float(np.prod(np.maximum(1 + returns, 0.0)) - 1) if known else nan,
        "bars": int(evidence.returns.size),
        "years": evidence.returns.size / evidence.ppy,
        "trades": int(evidence.trades.size),
        "draws": draws,
        **sharpes(returns, evidence.ppy, evidence.trials, evidence.trial_deviation, evidence.effective_trials),
        **_decayed(evidence, returns),
        **_searched(evidence, draws),
        **_redrawn(evidence, returns, draws),
        "random_entry_p": _random_entry(evidence, draws),
    }


def sharpes(returns: Floats, ppy: float, trials: int, trial_deviation: float = nan, effective_trials: float = nan) -> dict[str, Any]:
    """The Sharpe, and how sure it is against 0 and against the luck of all trials; arguments as in Evidence."""
    sr, bars, year = _bar_sharpe(returns), returns.size, sqrt(ppy)
    skew, kurt = statistics.skewness(returns), statistics.kurtosis(returns)
    luck = _trial_deviation(trial_deviation, bars) * statistics.expected_best(trials)
    # trials that are nearly the same spread less than as many independent ones: they must not make luck look smaller
    independent = statistics.expected_best(effective_trials) / sqrt(max(bars - 1, 1))
    luck = max(luck, independent)

    def sure(benchmark: float) -> float:
        return nan if isnan(sr + benchmark) else statistics.probabilistic_sharpe(sr, bars, skew, kurt, benchmark)

    return {
        "sharpe": sr * year,
        "psr": sure(0.0),
        "trials": trials,
        "effective_trials": effective_trials,
        "trial_deviation": trial_deviation * year,
        "luck_sharpe": luck * year,
        "dsr": sure(luck),
        "dsr_effective": sure(independent),
        "least_bars": nan if isnan(sr) else statistics.least_track_record(sr, skew, kurt),
        "least_years": nan if isnan(sr) else overfitting.least_backtest_years(trials, sr * year),
    }


def _decayed(evidence: Evidence, returns: Floats) -> Figures:
    """What was left out of sample of the Sharpe in sample."""
    inside = evidence.in_sample_sharpe
    return {"in_sample_sharpe": inside, "decay": _bar_sharpe(returns) * sqrt(evidence.ppy) / inside if inside > 0 else nan}


def _bar_sharpe(returns: Floats) -> float:
    """Per bar; NaN where what varies is rounding."""
    varies = returns.size > 1 and statistics.deviation(returns) > ROUNDING * float(np.abs(returns).max())
    return statistics.bar_sharpe(returns) if varies else nan


def _trial_deviation(known: float, bars: int) -> float:
    """Of the trials' per-bar Sharpes; that of trials without skill where it is not known, so that more trials never make a result surer."""
    return 1 / sqrt(max(bars - 1, 1)) if isnan(known) else known


def _searched(evidence: Evidence, draws: int) -> Figures:
    """What the trials of the search say of it."""
    usable = _usable(evidence.blocks)
    found = overfitting.overfit(usable) if usable else overfitting.Overfit(nan, nan, nan, np.zeros(0))
    moving = _moving(evidence.candidates)
    superior, candidates = nan, moving.shape[1]
    if candidates and len(moving) >= overfitting.SHORTEST:
        superior = overfitting.superior(moving, np.zeros(len(moving)), evidence.seed, draws)
    elif usable and not evidence.candidates.shape[1]:
        superior, candidates = overfitting.superior_of_all(usable, evidence.seed, draws), usable.sums.shape[1]
    return {
        "searched": 0 if evidence.blocks is None else evidence.blocks.sums.shape[1],
        "pbo": found.pbo,
        "pbo_loss": found.loss,
        "pbo_slope": found.slope,
        "splits": int(found.logits.size),
        "candidates": candidates,
        "of_schemes": evidence.candidates.shape[1] > 0,
        "spa_p": superior,
    }


def _usable(blocks: Blocks | None) -> Blocks | None:
    """The trials that are known throughout; None where they are fewer than two or all the same: then the best of them is none."""
    if blocks is None or not blocks.bars or len(blocks.sums) % 2:
        return None
    known = np.isfinite(blocks.sums).all(axis=0) & np.isfinite(blocks.squares).all(axis=0)
    usable = Blocks(blocks.sums[:, known], blocks.squares[:, known], blocks.bars)
    return usable if usable.sums.shape[1] > 1 and np.ptp(usable.sums, axis=1).any() else None


def _moving(candidates: Floats) -> Floats:
    """Those that vary and are known throughout."""
    if not candidates.size:
        return np.zeros((len(candidates), 0))
    return candidates[:, np.isfinite(candidates).all(axis=0) & (candidates.std(axis=0) > ROUNDING * np.abs(candidates).max(axis=0))]


def _redrawn(evidence: Evidence, returns: Floats, draws: int) -> Figures:
    """Intervals from bars drawn anew and drawdowns from trades in another order."""
    trades = evidence.trades if np.isfinite(evidence.trades).all() else np.zeros(0)
    shuffled = overfitting.shuffled_drawdowns(trades, evidence.seed, draws)
    worst, median = np.quantile(shuffled, (0.05, 0.5)) if shuffled.size else (nan, nan)
    return {
        "intervals": {name: asdict(item) for name, item in overfitting.intervals(returns, evidence.ppy, evidence.seed, draws).items()},
        "max_drawdown": statistics.max_drawdown(np.cumprod(np.concatenate([[1.0], np.maximum(1 + returns, 0.0)]))) if returns.size else nan,
        "shuffled_drawdown": float(worst),
        "shuffled_drawdown_median": float(median),
    }


def _random_entry(evidence: Evidence, draws: int) -> float:
    """P-value against the same holdings at random times; NaN where nothing was held or no time differs from another."""
    exposure, market = evidence.exposure, evidence.market
    if not exposure.any() or not np.isfinite(exposure).all() or not np.isfinite(market).all():
        return nan
    drawn = overfitting.random_entries(exposure, market, evidence.cost, evidence.seed, draws)
    if np.unique(np.round(drawn, SAME)).size < 2:
        return nan
    return overfitting.p_value(drawn, overfitting.log_total(exposure, market, evidence.cost))
