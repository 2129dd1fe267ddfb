"""The leaderboard: columns against numbers worked out by hand, the power of a short contest, and who can be told apart."""

from __future__ import annotations

import json
from dataclasses import replace
from math import nan, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.backtest.board import Board, Row, board, redrawn
from alpha_arena.backtest.contestants import Band, Consulted, Contestant
from alpha_arena.core.errors import DataError
from alpha_arena.core.types import Floats

DAY, HOUR = 86_400_000, 3_600_000
FIXED = {"traded": 0.0, "fees": 0.0, "funding": 0.0, "trades": 0}


def entrant(name: str, returns: Floats, **own: Any) -> Contestant:
    """A contestant that earned these returns on 10,000."""
    bars = returns.size
    whole: dict[str, Any] = {"kind": "trader", "exposure": np.zeros(bars), **FIXED, **own}
    return Contestant(name=name, ts=np.arange(bars) * DAY, equity=10_000 * np.cumprod(1 + returns), initial_capital=10_000.0, **whole)


def rows_of(made: Board) -> dict[str, Row]:
    """Rows by name."""
    return {row.name: row for row in made.rows}


def normal_like(bars: int, annual: float) -> Floats:
    """Returns whose skewness is 0, kurtosis 3 and annual Sharpe as asked: pairs around the mean, one pair further out."""
    pairs = bars // 2
    # kurtosis 3: n (2 (pairs - 1) + 2 x^2) = 3 (2 (pairs - 1) + 2 x)^2, x being the square of what lies further out
    n, inner = bars, 2 * (pairs - 1)
    roots = np.roots([2 * n - 12, -12 * inner, n * inner - 3 * inner**2])
    out = sqrt(max(float(root.real) for root in roots))
    shape = np.concatenate([np.tile([1.0, -1.0], pairs - 1), [out, -out]])
    return 0.01 * (shape / shape.std(ddof=1) + annual / sqrt(365))


def test_two_weeks_prove_nothing() -> None:
    """L10: a true Sharpe of 4 over two weeks of days has PSR 0.772, and deflated by six contestants 0.295 (V = 1/13)."""
    row = board([entrant("a", normal_like(14, 4.0))], DAY, 1, tried=6).rows[0]
    assert row.sharpe == pytest.approx(4.0)
    assert row.psr == pytest.approx(0.772, abs=5e-4)
    assert row.dsr == pytest.approx(0.295, abs=1e-3)
    assert row.sharpe_error == pytest.approx(sqrt((1 + 16 / 365 / 2) / 13 * 365))
    assert row.sharpe_low < 0 < row.sharpe_high


@pytest.mark.parametrize(("annual", "days"), [(1.0, 990), (2.0, 249), (3.0, 112)])
def test_how_long_a_track_record_must_be(annual: float, days: int) -> None:
    """L10's figures of MinTRL."""
    assert round(board([entrant("a", normal_like(14, annual))], DAY, 1).rows[0].least_days) == days


def test_the_columns_by_hand() -> None:
    """V5's returns, with what was traded, paid and asked."""
    r = np.array([0.01, -0.02, 0.03, 0.005, -0.01, 0.02, -0.015, 0.01, 0, -0.005])
    model = Consulted(
        decisions=8, parse_failures=2, fallbacks=3, answers=7, cost_usd=5.0, least_usd=5.0, latencies_ms=np.array([100.0, 300.0])
    )
    own = {"traded": 5_000.0, "fees": 2.5, "funding": -1.0, "trades": 4, "exposure": np.tile([0.5, -1.0], 5), "model": model}
    row = board([entrant("a", r, **own)], DAY, 1).rows[0]
    assert row.total_return == pytest.approx(0.0241575887)
    assert row.net_return == pytest.approx(0.0241575887 - 5 / 10_000)
    assert row.volatility == pytest.approx(0.2995482710)
    assert row.sharpe == pytest.approx(3.0462536035)
    assert row.psr == pytest.approx(0.6864830377)
    assert row.max_drawdown == pytest.approx(-0.02)
    assert row.turnover == pytest.approx(5_000 / (10_000 * np.cumprod(1 + r)).mean() / (10 / 365))
    assert row.exposure == 0.75
    assert (row.fees, row.funding, row.trades) == (2.5, -1.0, 4)
    assert (row.llm_cost_usd, row.llm_cost_bps) == (5.0, pytest.approx(5.0))
    assert (row.parse_failure_rate, row.fallback_rate, row.latency_ms) == (0.25, 0.375, 200.0)


def test_what_is_not_known_is_null() -> None:
    """A price that is not known, columns of models without one, a Sharpe of nothing; never 0."""
    unknown = Consulted(3, 0, 0, 3, nan, 0.0, np.zeros(0))
    flat, asked = entrant("flat", np.zeros(5), kind="benchmark"), entrant("m", np.full(5, 0.01), model=unknown)
    told = {row["name"]: row for row in json.loads(json.dumps(board([flat, asked], DAY, 1).as_dict(), allow_nan=False))["rows"]}
    for name in ("llm_cost_usd", "llm_cost_bps", "net_return", "latency_ms"):
        assert told["m"][name] is None
    assert told["m"]["fallback_rate"] == 0
    for name in ("sharpe", "sharpe_low", "psr", "dsr", "least_days", "llm_cost_usd", "fallback_rate"):
        assert told["flat"][name] is None
    assert told["flat"]["total_return"] == told["flat"]["net_return"] == 0
    assert told["flat"]["rank"] is None


def test_two_that_did_the_same_cannot_be_told_apart() -> None:
    """Nor two whose difference is noise; one that is always ahead can."""
    rng = np.random.default_rng(3)
    r = rng.normal(0.001, 0.01, 300)
    made = board([entrant("twin", r), entrant("one", r)], DAY, 1)
    assert [(row.name, row.rank, row.group) for row in made.rows] == [("one", 1, 1), ("twin", 2, 1)]
    assert not made.established
    assert made.said == "The order is not established: all 2 of 2 cannot be told apart with 95 % confidence."
    made = board([entrant("one", r), entrant("worse", r - 0.002), entrant("noisy", rng.normal(0.0005, 0.01, 300))], DAY, 1)
    groups = {name: row.group for name, row in rows_of(made).items()}
    assert groups["one"] == groups["noisy"] == 1
    assert groups["worse"] == 2
    assert "the first 2 of 3" in made.said
    made = board([entrant("one", r), entrant("worse", r - 0.002)], DAY, 1)
    assert made.established
    assert made.said.startswith("one is told apart from all others")


def test_a_steady_second_does_not_establish_the_first() -> None:
    """The third's own luck is large enough to have been first, though the second's is not."""
    rng = np.random.default_rng(3)
    r, luck = rng.normal(0.001, 0.002, 300), rng.normal(0, 0.03, 300)
    wild = luck - luck.mean() + 0.0006
    made = board([entrant("first", r), entrant("second", r - 0.0005), entrant("wild", wild), entrant("last", r - 0.02)], DAY, 1)
    assert [(row.name, row.group) for row in made.rows] == [("first", 1), ("second", 1), ("wild", 1), ("last", 2)]
    assert not made.established
    assert made.said == "The order is not established: the first 3 of 4 cannot be told apart with 95 % confidence."


@given(st.lists(st.floats(-0.02, 0.02), min_size=6, max_size=6), st.floats(0.001, 0.01))
def test_one_that_is_ahead_at_every_bar_is_told_apart(returns: list[float], edge: float) -> None:
    """Whatever both of them do."""
    r = np.array(returns)
    better, worse = entrant("better", r + edge), entrant("worse", r)
    again = redrawn([better, worse], DAY, 1, 200)
    gap = again.difference(0, 1)
    assert 0 < gap.low <= gap.high
    assert again.difference(1, 0).high == pytest.approx(-gap.low)
    assert [row.name for row in board([worse, better], DAY, 1, draws=50).rows] == ["better", "worse"]


def test_what_models_cost_counts_in_the_order() -> None:
    """One that earns more and pays it for its model stands behind."""
    r = np.full(10, 0.001)
    dear = Consulted(10, 0, 0, 10, 50.0, 50.0, np.ones(10))
    made = board([entrant("cheap", r), entrant("dear", r + 0.0001, model=dear)], DAY, 1)
    assert [row.name for row in made.rows] == ["cheap", "dear"]
    assert made.rows[1].total_return > made.rows[0].total_return


def test_benchmarks_contaminated_ones_and_samples_have_no_rank() -> None:
    """The order of the board: ranked, benchmarks, contaminated, samples; what beats which benchmark."""
    rng = np.random.default_rng(4)
    r = rng.normal(0, 0.01, 200)
    hold, flat = entrant("hold", r, kind="benchmark"), entrant("flat", np.zeros(200), kind="benchmark")
    seen = entrant("seen", r + 0.01, contaminated=True)
    asked = [entrant(f"m#{k}", r + 0.001 * k, kind="sample", of="m") for k in range(3)]
    made = board([*asked, seen, hold, flat, entrant("m", r + 0.001), entrant("rule", r - 0.003)], DAY, 1)
    assert [row.name for row in made.rows] == ["m", "rule", "hold", "flat", "seen", "m#0", "m#1", "m#2"]
    assert [row.rank for row in made.rows] == [1, 2, *[None] * 6]
    rows = rows_of(made)
    assert (rows["m"].samples, rows["m"].return_low, rows["m"].return_high) == (3, rows["m#0"].total_return, rows["m#2"].total_return)
    assert "hold" in rows["m"].beats
    assert "hold" in rows["rule"].loses_to
    # m and its samples are three askings, seen and rule one thing each
    assert made.tried == 5


def test_one_of_unknown_cost_has_no_rank() -> None:
    """It would stand there as if it were free; where a part is known, its place is by that."""
    r, asked = np.full(5, 0.01), Consulted(5, 0, 0, 5, nan, 0.0, np.ones(5))
    rows = rows_of(board([entrant("rule", r - 0.001), entrant("m", r, model=asked)], DAY, 1))
    assert (rows["rule"].rank, rows["m"].rank) == (1, None)
    rows = rows_of(board([entrant("rule", r - 0.001), entrant("m", r, model=replace(asked, least_usd=100.0))], DAY, 1))
    assert (rows["rule"].rank, rows["m"].rank) == (1, 2)


def test_one_whose_model_never_answered_has_no_rank() -> None:
    """It kept what it had, which is nobody's decision; a single answer makes it a contestant."""
    r, dumb = np.full(5, 0.01), Consulted(5, 0, 5, 0, 0.0, 0.0, np.zeros(0))
    made = board([entrant("rule", r - 0.02), entrant("dumb", r, model=dumb)], DAY, 1)
    assert [(row.name, row.rank, row.silent) for row in made.rows] == [("rule", 1, False), ("dumb", None, True)]
    made = board([entrant("rule", r - 0.02), entrant("dumb", r, model=replace(dumb, fallbacks=4, answers=1))], DAY, 1)
    assert [(row.name, row.rank) for row in made.rows] == [("dumb", 1), ("rule", 2)]


def test_the_band_of_random_traders() -> None:
    """Its edges bar by bar, and the share of them that a contestant leaves behind."""
    equities = 10_000 + np.arange(101.0)[:, None] * np.array([0.0, 1.0, 10.0])
    band = Band.of(np.arange(3), equities)
    assert band.low.tolist() == [10_000, 10_005, 10_050]
    assert band.high.tolist() == [10_000, 10_095, 10_950]
    assert band.share_below(10_500.0) == pytest.approx(50.5 / 101)
    made = board([entrant("a", np.array([0.0, 0.0, 0.05]))], HOUR, 1, band=band)
    assert made.random == {"seeds": 101, "low": pytest.approx(0.005), "middle": pytest.approx(0.05), "high": pytest.approx(0.095)}
    assert made.rows[0].random_share == pytest.approx(0.5)
    dear = Consulted(3, 0, 0, 3, 100.0, 100.0, np.ones(3))
    paid = board([entrant("a", np.array([0.0, 0.0, 0.05]), model=dear)], HOUR, 1, band=band)
    assert paid.rows[0].random_share == pytest.approx(40.5 / 101)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ([], "at least one"),
        ([entrant("a", np.zeros(3)), entrant("a", np.ones(3))], "two contestants are called a"),
        ([entrant("a", np.zeros(3)), entrant("b", np.zeros(4))], "b and a had other bars"),
    ],
)
def test_what_cannot_be_compared(wrong: list[Contestant], words: str) -> None:
    with pytest.raises(DataError, match=words):
        board(wrong, DAY, 1)


def test_nobody_to_rank() -> None:
    """Only benchmarks, or one trader: said so."""
    assert board([entrant("hold", np.zeros(3), kind="benchmark")], DAY, 1).said.startswith("Nobody is ranked")
    assert board([entrant("a", np.zeros(3))], DAY, 1).said.startswith("One contestant has no order")
