"""How likely a result is luck: of the search that found it, of the order of its trades, of the sample (specs: quant §2.1).

Returns are simple, net, one a bar; Sharpe ratios are per bar. Draws come from the seed given: the same question has the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import inf, isnan, nan

import numpy as np
from numpy.typing import NDArray

from alpha_arena.backtest import statistics
from alpha_arena.backtest.splits import ranked
from alpha_arena.core.types import Floats, Ints

BLOCKS = 16
DRAWS = 1_000
CONFIDENCE = 0.90
SHORTEST = 20
# values held at once (draws times bars): they fit the cache
CELLS = 16_000
# bars from which on neighbours are summed before a test of superior ability
LONG = 2_500


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
    inside = np.array([sum(1 << block for block in chosen) for chosen in combinations(range(blocks), blocks // 2)])
    return _judged(ranked(trials.sums, trials.squares, trials.bars, inside, sharpe), count)


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


def resampled(returns: Floats, seed: int, draws: int = DRAWS, block: float | None = None) -> Iterator[Floats]:
    """Stationary bootstrap of bars (Politis and Romano 1994), some draws at a time, so that memory is bounded; each of shape [some, bars].

    Args:
        returns: shape [bars], or [bars, columns] that are drawn together: then each is of shape [some, bars, columns].
        block: mean length in bars, None for what suits.
    """
    length = block_length(returns) if block is None else block
    draw, step = np.random.default_rng(seed), max(CELLS // max(returns.size, 1), 1)
    for done in range(0, draws, step):
        yield returns[_rows(draw, min(step, draws - done), len(returns), length)]


def _rows(draw: np.random.Generator, draws: int, bars: int, length: float) -> Ints:
    """Bars in the order of their draw: a block starts anywhere, goes on with probability 1 - 1 / length, and round the end."""
    bar = np.arange(bars)
    fresh = draw.random((draws, bars)) < 1 / length
    fresh[:, 0] = True
    since = np.maximum.accumulate(np.where(fresh, bar, 0), axis=1)
    rows: Ints = np.take_along_axis(draw.integers(bars, size=(draws, bars)), since, axis=1) + bar - since
    return np.where(rows < bars, rows, rows - bars)


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure lies, with the confidence that was asked for: quantiles over resampled histories."""

    low: float
    high: float


def interval(values: Floats, confidence: float = CONFIDENCE) -> Interval:
    """Of resampled figures, each end one of them; NaN where none is defined."""
    known, rest = values[~np.isnan(values)], (1 - confidence) / 2
    return Interval(*(float(q) for q in np.quantile(known, (rest, 1 - rest), method="nearest"))) if known.size else Interval(nan, nan)


def intervals(returns: Floats, ppy: float, seed: int, draws: int = DRAWS, confidence: float = CONFIDENCE) -> dict[str, Interval]:
    """Of Sharpe (annual), CAGR and deepest drawdown, by resampled bars; NaN for fewer than two bars."""
    drawn = [_figures(rows, ppy) for rows in resampled(returns, seed, draws)] if returns.size > 1 else [np.zeros((3, 0))]
    every = np.concatenate(drawn, axis=1)
    return {name: interval(row, confidence) for name, row in zip(("sharpe", "cagr", "max_drawdown"), every, strict=True)}


def _figures(rows: Floats, ppy: float) -> Floats:
    """Sharpe, CAGR and deepest drawdown of each row, as statistics has them of one; shape [3, rows]."""
    spread = np.where(np.ptp(rows, axis=1) > 0, rows.std(axis=1, ddof=1), 0.0)
    sharpe = np.divide(rows.mean(axis=1) * np.sqrt(ppy), spread, out=np.full(len(rows), nan), where=spread > 0)
    curves = _curves(rows)
    with np.errstate(over="ignore"):
        return np.stack([sharpe, curves[:, -1] ** (ppy / rows.shape[1]) - 1, _deepest(curves)])


def _curves(rows: Floats) -> Floats:
    """Growth of 1 along each row, 0 from a loss of everything on."""
    curves: Floats = np.multiply.accumulate(np.maximum(1 + rows, 0.0), axis=1)
    return curves


def _deepest(curves: Floats) -> Floats:
    """Deepest drawdown of each row, its start at 1 counted."""
    peaks = np.maximum(np.maximum.accumulate(curves, axis=1), 1.0)
    deepest: Floats = np.minimum((curves / peaks).min(axis=1) - 1, 0.0)
    return deepest


def superior(returns: Floats, benchmark: Floats, seed: int, draws: int = DRAWS, block: float | None = None) -> float:
    """P-value of the best trial being no better than a benchmark, searching accounted for (Hansen 2005, consistent).

    Of more than LONG bars equal groups of neighbours are summed first: the means are the same, the dependence within a group is in its sum.

    Args:
        returns: shape [bars, trials]. benchmark: shape [bars].
        block: mean length of the bootstrap in bars (or groups), None for what suits.
    """
    from arch.bootstrap import SPA

    excess = pooled(returns - benchmark[:, None])
    length = block_length(excess[:, int(np.argmax(excess.mean(axis=0)))]) if block is None else block
    test = SPA(np.zeros(len(excess)), -excess, block_size=round(length), reps=draws, seed=np.random.default_rng(seed))
    test.compute()
    return float(test.pvalues["consistent"])


def superior_of_all(trials: Blocks, seed: int, draws: int = DRAWS) -> float:
    """As `superior` against holding nothing, of every trial of a search: the best few alone would have been chosen by what is tested.

    Blocks are drawn whole, so that the dependence of bars stays in their sums; each trial is taken at the same volatility. NaN where none
    varies.
    """
    scale = np.sqrt(trials.squares.sum(axis=0))
    sums = trials.sums[:, scale > 0] / scale[scale > 0]
    blocks, count = sums.shape
    if not count:
        return nan
    weights = np.random.default_rng(seed).multinomial(blocks, np.full(blocks, 1 / blocks), draws) / blocks
    means = sums.mean(axis=0)
    # trials that are clearly worse than nothing are no contenders: they are not drawn as if they had no edge
    hopeless = means < -sums.std(axis=0) * np.sqrt(2 * max(np.log(np.log(blocks)), 0.0) / blocks)
    centre, best = np.where(hopeless, 0.0, means), np.full(draws, -inf)
    step = max(CELLS // blocks, 1)
    for at in range(0, count, step):
        part = slice(at, at + step)
        best = np.maximum(best, (weights @ sums[:, part] - centre[part]).max(axis=1))
    return float(np.mean(best > means.max()))


def pooled(returns: Floats, most: int = LONG) -> Floats:
    """Sums over equal groups of bars, as small as leave at most so many; bars beyond a multiple of a group are left out at the end."""
    group = max(-(-len(returns) // most), 1)
    bars = len(returns) // group
    summed: Floats = returns[: bars * group].reshape(bars, group, -1).sum(axis=1)
    return summed


def shuffled(trades: Floats, seed: int, draws: int = DRAWS) -> Iterator[Floats]:
    """The same trades in another order, some draws at a time; each of shape [some, trades]."""
    draw, step = np.random.default_rng(seed), max(CELLS // max(trades.size, 1), 1)
    for done in range(0, draws, step):
        yield draw.permuted(np.tile(trades, (min(step, draws - done), 1)), axis=1)


def shuffled_drawdowns(trades: Floats, seed: int, draws: int = DRAWS) -> Floats:
    """Deepest drawdowns of the same trades in another order; their total return is the same in each.

    Args:
        trades: net return of each closed trade on equity, a fraction.
    """
    return np.concatenate([_deepest(_curves(rows)) for rows in shuffled(trades, seed, draws)]) if trades.size else np.zeros(0)


@dataclass(frozen=True, slots=True)
class Holdings:
    """Runs of bars in which one side was held.

    Attributes:
        exposure: of all bars. first, bars: first bar and length of each holding. flat: bars without one.
    """

    exposure: Floats
    first: Ints
    bars: Ints
    flat: int


def holdings(exposure: Floats) -> Holdings:
    """Of an exposure through each bar, signed fraction of equity."""
    side = np.sign(exposure)
    edges = np.flatnonzero(np.diff(np.concatenate([[nan], side, [nan]])) != 0)
    first = edges[:-1][side[edges[:-1]] != 0]
    return Holdings(exposure, first, np.diff(edges)[side[edges[:-1]] != 0], int(np.sum(side == 0)))


def random_entries(exposure: Floats, market: Floats, cost: float, seed: int, draws: int = DRAWS) -> Floats:
    """Total log returns of the same holdings, each as long and as large as it was, begun at random times and in random order.

    Args:
        exposure: held through each bar, signed fraction of equity; shape [bars]. market: simple return of each bar; shape [bars].
        cost: of a change of exposure, fraction of its size.
    """
    held, draw = holdings(exposure), np.random.default_rng(seed)
    return np.array([log_total(_placed(held, draw), market, cost) for _ in range(draws)])


def _placed(held: Holdings, draw: np.random.Generator) -> Floats:
    """Holdings among flat bars, each arrangement as likely as any other."""
    count = held.first.size
    order, slots = draw.permutation(count), np.sort(draw.choice(held.flat + count, count, replace=False, shuffle=False))
    bars = held.bars[order]
    before = np.cumsum(bars) - bars
    placed, step = np.zeros(held.exposure.size), np.arange(bars.sum())
    # a holding begins after the flat bars and the holdings before it
    there = np.repeat(slots - np.arange(count), bars) + step
    placed[there] = held.exposure[np.repeat(held.first[order] - before, bars) + step]
    return placed


def log_total(exposure: Floats, market: Floats, cost: float) -> float:
    """Log of the growth of an exposure held through a market, its changes paid for; -inf once nothing is left."""
    growth = 1 + exposure * market - cost * np.abs(np.diff(exposure, prepend=0.0))
    return float(np.sum(np.log(growth))) if np.all(growth > 0) else -inf


def p_value(drawn: NDArray[np.float64], seen: float) -> float:
    """Share of drawn figures that are at least what was seen, the seen one counted: (1 + #) / (draws + 1)."""
    return (1 + int(np.sum(drawn >= seen))) / (drawn.size + 1)
