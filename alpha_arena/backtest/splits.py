"""Every way to split blocks of history in two halves: which trial is best in one, and where it ranks in the other."""

from __future__ import annotations

import numpy as np

from alpha_arena.core.types import Floats, Ints
from alpha_arena.features.compiled import compiled, inlined

# trials looked at together: the sums of every part of their blocks fit a core's own cache
TILE = 64


def ranked(sums: Floats, squares: Floats, bars: int, inside: Ints, sharpe: bool) -> Floats:
    """Of each split the best trial's result in sample, out of it, and its rank there (1 the lowest, ties averaged).

    Args:
        sums, squares: of returns and of their squares in blocks of so many bars, shape [blocks, trials].
        inside: the blocks in sample, a bit a block; a half of them in each.
        sharpe: judge by Sharpe ratio (ddof 1; 0 where nothing varies), else by mean return.

    Returns:
        Shape [splits, 3]. Of equal results in sample the first trial's counts as the best.
    """
    outside = 2 ** len(sums) - 1 - inside
    size = float(bars * len(sums) // 2)
    best, here = _best(sums, squares, inside, size, sharpe)
    there = _of(sums[:, best], squares[:, best], outside, size, sharpe)
    below, equal = _compared(sums, squares, outside, there, size, sharpe)
    return np.stack([here, there, below + (equal + 1) / 2], axis=1)


@inlined
def _result(total: float, square: float, size: float, sharpe: bool) -> float:
    mean = total / size
    if not sharpe:
        return mean
    variance = max(square - size * mean * mean, 0.0) / max(size - 1, 1.0)
    return mean / np.sqrt(variance) if variance > 0 else 0.0


@compiled
def _parts(blocks: Floats) -> Floats:
    """Sum over every set of blocks, a bit a block; shape [sets, trials]. What is 0 in each stays 0: nothing is taken off again."""
    found = np.zeros((2 ** len(blocks), blocks.shape[1]))
    for chosen in range(1, len(found)):
        last = 0
        while chosen >> (last + 1):
            last += 1
        found[chosen] = found[chosen - (1 << last)] + blocks[last]
    return found


@inlined
def _tables(blocks: Floats, first: int) -> tuple[Floats, Floats]:
    """Sums over every set of the earlier and of the later half of the blocks, for a tile of trials."""
    middle, tile = len(blocks) // 2, blocks[:, first : first + TILE]
    return _parts(np.ascontiguousarray(tile[:middle])), _parts(np.ascontiguousarray(tile[middle:]))


@compiled
def _best(sums: Floats, squares: Floats, inside: Ints, size: float, sharpe: bool) -> tuple[Ints, Floats]:
    """The best trial in each set of blocks, and its result."""
    blocks, trials = sums.shape
    best, found, results = np.zeros(inside.size, np.int64), np.full(inside.size, -np.inf), np.zeros(TILE)
    half = blocks // 2
    for first in range(0, trials, TILE):
        (early, late), (early_squares, late_squares) = _tables(sums, first), _tables(squares, first)
        for split in range(inside.size):
            low, high = inside[split] & ((1 << half) - 1), inside[split] >> half
            a, b, c, d = early[low], late[high], early_squares[low], late_squares[high]
            for k in range(a.size):
                results[k] = _result(a[k] + b[k], c[k] + d[k], size, sharpe)
            for k in range(a.size):
                if results[k] > found[split]:
                    found[split], best[split] = results[k], first + k
    return best, found


@compiled
def _of(sums: Floats, squares: Floats, outside: Ints, size: float, sharpe: bool) -> Floats:
    """Result of one trial a split, added up in the order of _compared, so that it is equal to itself there."""
    half, found = len(sums) // 2, np.zeros(outside.size)
    for split in range(outside.size):
        parts = np.zeros((2, 2))
        for block in range(len(sums)):
            if outside[split] >> block & 1:
                parts[block // half, 0] += sums[block, split]
                parts[block // half, 1] += squares[block, split]
        found[split] = _result(parts[0, 0] + parts[1, 0], parts[0, 1] + parts[1, 1], size, sharpe)
    return found


@compiled
def _compared(sums: Floats, squares: Floats, outside: Ints, there: Floats, size: float, sharpe: bool) -> tuple[Ints, Ints]:
    """How many trials are below a result, and how many equal it, in each set of blocks."""
    blocks, trials = sums.shape
    below, equal = np.zeros(outside.size, np.int64), np.zeros(outside.size, np.int64)
    half = blocks // 2
    for first in range(0, trials, TILE):
        (early, late), (early_squares, late_squares) = _tables(sums, first), _tables(squares, first)
        for split in range(outside.size):
            low, high, mark, under, same = outside[split] & ((1 << half) - 1), outside[split] >> half, there[split], 0, 0
            a, b, c, d = early[low], late[high], early_squares[low], late_squares[high]
            for k in range(a.size):
                result = _result(a[k] + b[k], c[k] + d[k], size, sharpe)
                under += result < mark
                same += result == mark
            below[split] += under
            equal[split] += same
    return below, equal
