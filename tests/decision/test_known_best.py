"""The shipped portfolio decider where it is known which strategies must win; what it does is written down in docs/numbers.md."""

from __future__ import annotations

import pytest
from known_best import FAMILIES, judged

pytestmark = pytest.mark.slow
SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("world", ["trend", "range"])
def test_the_best_family_gets_the_largest_weight(world: str, seed: int) -> None:
    """In seven decisions of ten at least, and it beats equal weights; a decider that drew lots would be right in five."""
    made = judged(world, seed)
    assert made.family == world
    assert max(made.gains[name] for name in FAMILIES[world]) > 0.05
    assert made.family_first >= 0.7
    assert made.family_weight >= 0.7
    assert made.best_weight > 1 / len(made.gains)
    assert made.portfolio > made.equal


@pytest.mark.parametrize("seed", SEEDS)
def test_where_both_take_turns_the_trend_s_family_weighs_more_in_trends(seed: int) -> None:
    """By the hidden regime, which it has to guess from bars."""
    told = judged("both", seed).trend_weight
    assert min(told["up"], told["down"]) > told["range"]
