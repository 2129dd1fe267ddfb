"""How likely a result is luck: of the search that found it, of the order of its trades, of the sample (specs: quant §2.1).

Returns are simple, net, one a bar; Sharpe ratios are per bar. Draws come from the seed given: the same question has the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise
from math import inf, isnan, nan

import numpy as np
from numpy.typing import NDArray

from alpha_arena.backtest import statistics
from alpha_arena.core.types import Floats

BLOCKS = 16
DRAWS = 1_000
SHORTEST = 20
# splits times trials held at once
CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class Overfit:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation (Bailey, Borwein, Lopez de Prado and Zhu 2017).

    Attributes:
        pbo: share of the splits in which the best trial in sample is in the lower half out of it.
        loss: share in which it loses out of sample.
        slope: of its result out of sample over that in sample; NaN where the latter never varies.
        logits: log odds of its relative rank out of sample, a value a split.
    """

    pbo: float
    loss: float
    slope: float
    logits: Floats


@dataclass(frozen=True, slots=True)
class Blocks:
    """What cross-validation needs of each trial: sums over equal blocks of bars, so that a sweep need not keep returns.

    Attributes:
        sums, squares: of returns and of their squares, shape [blocks, trials]. bars: in a block.
    """

    sums: Floats
    squares: Floats
    bars: int


def blocks_of(returns: Floats, blocks: int = BLOCKS) -> Blocks:
    """Sums of returns of shape [bars, trials]; rows beyond a multiple of `blocks` are left out at the end."""
    bars = len(returns) // blocks
    parts = returns[: bars * blocks].reshape(blocks, bars, returns.shape[1])
    return Blocks(parts.sum(axis=1), (parts**2).sum(axis=1), bars)


def overfit(trials: Blocks, sharpe: bool = True) -> Overfit:
    """Compare the best trial of each half of the blocks with its rank in the other half.

    Args:
        sharpe: judge by Sharpe ratio (ddof 1; 0 where nothing varies), else by mean return.

    Raises:
        ValueError: fewer than two trials, an odd number of blocks, or empty ones.
    """
    blocks, count = trials.sums.shape
    if count < 2 or blocks % 2 or not trials.bars:
        asked = f"{count} trials in {blocks} blocks of {trials.bars} bars"
        raise ValueError(f"overfitting of {asked} is not defined: at least 2 trials, an even number of blocks, a bar a block")
    inside = np.array(list(combinations(range(blocks), blocks // 2)))
    chosen = np.zeros((len(inside), blocks))
    np.put_along_axis(chosen, inside, 1.0, axis=1)
    step = max(CELLS // count, 1)
    return _judged(np.concatenate([_split(trials, chosen[n : n + step], sharpe) for n in range(0, len(chosen), step)]), count)


def _split(trials: Blocks, chosen: Floats, sharpe: bool) -> Floats:
    """Of each split the best trial's result in sample, out of it, and its rank there (1 the lowest, ties averaged); shape [splits, 3]."""
    inside, outside = (_score(half @ trials.sums, half @ trials.squares, trials, sharpe) for half in (chosen, 1 - chosen))
    rows, best = np.arange(len(chosen)), inside.argmax(axis=1)
    there = outside[rows, best]
    below, equal = (outside < there[:, None]).sum(axis=1), (outside == there[:, None]).sum(axis=1)
    return np.stack([inside[rows, best], there, below + (equal + 1) / 2], axis=1)


def _score(total: Floats, square: Floats, trials: Blocks, sharpe: bool) -> Floats:
    size = trials.bars * len(trials.sums) // 2
    mean = total / size
    if not sharpe:
        return mean
    variance = np.maximum(square - size * mean**2, 0.0) / max(size - 1, 1)
    return np.divide(mean, np.sqrt(variance), out=np.zeros_like(mean), where=variance > 0)


def _judged(splits: Floats, trials: int) -> Overfit:
    here, there, rank = splits.T
    share = rank / (trials + 1)
    logits = np.log(share / (1 - share))
    slope = float(np.polyfit(here, there, 1)[0]) if np.ptp(here) > 0 else nan
    return Overfit(float(np.mean(logits <= 0)), float(np.mean(there < 0)), slope, logits)


def effective_trials(returns: Floats) -> float:
    """Independent trials that correlated ones are worth: 1 + (N - 1)(1 - mean correlation), those that never trade aside."""
    moving = returns[:, np.ptp(returns, axis=0) > 0]
    trials: int = moving.shape[1]
    if trials < 2:
        return float(trials)
    scaled = (moving - moving.mean(axis=0)) / moving.std(axis=0)
    # mean of all pairs without the matrix of pairs: variance of the sum of standardised columns
    together = float(np.mean(scaled.sum(axis=1) ** 2))
    correlation = (together - trials) / (trials * (trials - 1))
    return 1 + (trials - 1) * (1 - min(max(correlation, 0.0), 1.0))


def least_backtest_years(trials: int, annual_sharpe: float) -> float:
    """Years below which the best of so many trials is expected to show this annual Sharpe by luck alone (MinBTL, the same authors 2014)."""
    return (statistics.expected_best(trials) / annual_sharpe) ** 2 if annual_sharpe > 0 else inf


def block_length(returns: Floats) -> float:
    """Mean block of the stationary bootstrap that suits the returns' dependence (Politis and White 2004), at least one bar."""
    from arch.bootstrap import optimal_block_length

    if returns.size < SHORTEST or np.ptp(returns) == 0:
        return 1.0
    length = float(optimal_block_length(returns)["stationary"].iloc[0])
    return 1.0 if isnan(length) else max(length, 1.0)


def resampled(returns: Floats, seed: int, draws: int = DRAWS, block: float | None = None) -> Floats:
    """Stationary bootstrap of bars (Politis and Romano 1994); shape [draws, bars]. block: mean length in bars, None for what suits."""
    from arch.bootstrap import StationaryBootstrap

    length = block_length(returns) if block is None else block
    boot = StationaryBootstrap(length, returns, seed=np.random.default_rng(seed))
    return np.stack([data[0][0] for data in boot.bootstrap(draws)])


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies with 90 % confidence: its 5 % and 95 % quantiles over resampled histories."""

    low: float
    high: float


def interval(values: Floats) -> Interval:
    """Of resampled figures; NaN where none is defined."""
    known = values[~np.isnan(values)]
    return Interval(*(float(q) for q in np.quantile(known, (0.05, 0.95)))) if known.size else Interval(nan, nan)


def intervals(returns: Floats, ppy: float, seed: int, draws: int = DRAWS) -> dict[str, Interval]:
    """Of Sharpe (annual), CAGR and deepest drawdown, by resampled bars."""
    drawn = resampled(returns, seed, draws)
    curves = np.concatenate([np.ones((len(drawn), 1)), np.cumprod(1 + drawn, axis=1)], axis=1)
    figures = {
        "sharpe": np.array([statistics.sharpe(row, ppy) for row in drawn]),
        "cagr": np.array([statistics.cagr(row, ppy) for row in curves]),
        "max_drawdown": np.array([statistics.max_drawdown(row) for row in curves]),
    }
    return {name: interval(values) for name, values in figures.items()}


def superior(returns: Floats, benchmark: Floats, seed: int, draws: int = DRAWS) -> float:
    """P-value of the best trial being no better than a benchmark, searching accounted for (Hansen 2005, consistent).

    Args:
        returns: shape [bars, trials]. benchmark: shape [bars].
    """
    from arch.bootstrap import SPA

    best = returns[:, int(np.argmax(returns.mean(axis=0)))]
    test = SPA(-benchmark, -returns, block_size=round(block_length(best - benchmark)), reps=draws, seed=np.random.default_rng(seed))
    test.compute()
    return float(test.pvalues["consistent"])


def shuffled_drawdowns(trades: Floats, seed: int, draws: int = DRAWS) -> Floats:
    """Deepest drawdowns of the same trades in another order; their total return is the same in each.

    Args:
        trades: net return of each closed trade on equity, a fraction.
    """
    if not trades.size:
        return np.zeros(0)
    orders = np.random.default_rng(seed).permuted(np.tile(trades, (draws, 1)), axis=1)
    curves = np.concatenate([np.ones((draws, 1)), np.cumprod(1 + orders, axis=1)], axis=1)
    deepest: Floats = (curves / np.maximum.accumulate(curves, axis=1) - 1).min(axis=1)
    return deepest


def random_entries(exposure: Floats, market: Floats, cost: float, seed: int, draws: int = DRAWS) -> Floats:
    """Total log returns of the same holdings, each as long and as large as it was, begun at random times and in random order.

    Args:
        exposure: held through each bar, signed fraction of equity; shape [bars]. market: simple return of each bar; shape [bars].
        cost: of a change of exposure, fraction of its size.
    """
    side = np.sign(exposure)
    edges = np.flatnonzero(np.diff(np.concatenate([[nan], side, [nan]])) != 0)
    held = [exposure[a:b] for a, b in pairwise(edges) if side[a]]
    draw, flat = np.random.default_rng(seed), int(np.sum(side == 0))
    return np.array([log_total(_placed(held, flat, draw), market, cost) for _ in range(draws)])


def _placed(held: list[Floats], flat: int, draw: np.random.Generator) -> Floats:
    """Holdings among flat bars, each arrangement as likely as any other."""
    pieces = [np.zeros(1)] * (flat + len(held))
    slots = draw.choice(len(pieces), len(held), replace=False)
    for slot, n in zip(slots, draw.permutation(len(held)), strict=True):
        pieces[slot] = held[n]
    return np.concatenate(pieces)


def log_total(exposure: Floats, market: Floats, cost: float) -> float:
    """Log of the growth of an exposure held through a market, its changes paid for; -inf once nothing is left."""
    growth = 1 + exposure * market - cost * np.abs(np.diff(exposure, prepend=0.0))
    return float(np.sum(np.log(growth))) if np.all(growth > 0) else -inf


def p_value(drawn: NDArray[np.float64], seen: float) -> float:
    """Share of drawn figures that are at least what was seen, the seen one counted: (1 + #) / (draws + 1)."""
    return (1 + int(np.sum(drawn >= seen))) / (drawn.size + 1)
