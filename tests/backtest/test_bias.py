"""Leaks are caught and named, warm-up and the first bar are measured, and what is honest is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from leaking import HONEST, LEAKING, Rule, alternating, up, walk

from alpha_arena.backtest.bias import ENOUGH_BARS, Finding, Kind, differs, examine, of_regime, of_strategy
from alpha_arena.backtest.scramble import COLUMNS, Scrambler
from alpha_arena.core.errors import DataError, NoData
from alpha_arena.core.market import Market
from alpha_arena.features.indicators import rolling_mean
from alpha_arena.settings import load

MARKET = walk(2_000)
LONG = walk(ENOUGH_BARS)


def found(rule: Rule, *kinds: Kind, market: Market = MARKET, cuts: int = 40, seed: int = 7) -> list[Finding]:
    """What is found in a rule."""
    return list(examine(of_strategy("rule", rule), market, kinds, cuts, seed))


@pytest.mark.parametrize("name", LEAKING)
def test_a_leak_is_caught_and_its_column_named(name: str) -> None:
    """No other column is accused; the row is one that moved; how far ahead it looks is told."""
    rule, column, output, ahead = LEAKING[name]
    (leak,) = found(rule, "lookahead")
    assert (leak.ok, leak.column, leak.outputs) == (False, column, (output,))
    assert leak.row is not None
    assert leak.ts == MARKET.ts[leak.row]
    assert f"{column} after row" in leak.detail
    assert f"moves {output} of row {leak.row:,}" in leak.detail
    assert not ahead or f"reaching back 1 bar to {ahead} bar" in leak.detail


@pytest.mark.parametrize("seed", range(5))
def test_a_leak_does_not_depend_on_luck(seed: int) -> None:
    """Other rows, the same column."""
    assert {one.column for one in found(LEAKING["the next close"][0], "lookahead", seed=seed)} == {"close"}


def test_the_row_is_one_that_is_decided_too_early() -> None:
    """Taken again without the bars after it, that row's exposure differs."""
    rule = LEAKING["a centred mean"][0]
    (leak,) = found(rule, "lookahead")
    assert leak.row is not None
    again = [rule.exposure(Scrambler.of(MARKET, np.random.default_rng(s)).noise(leak.row))[leak.row] for s in range(50)]
    assert len(set(again)) == 2


def test_two_columns_are_both_named() -> None:
    """One finding each."""
    both = Rule(lambda m: LEAKING["the next close"][0].exposure(m) + LEAKING["volume over the mean of all of it"][0].exposure(m))
    assert [one.column for one in found(both, "lookahead")] == ["close", "volume"]


def test_knowing_where_history_ends_is_a_leak_without_a_column() -> None:
    """No value is read, only how many there are."""
    (leak,) = found(Rule(lambda m: np.arange(len(m)) / len(m)), "lookahead")
    assert (leak.ok, leak.column) == (False, "")
    assert "where the history ends" in leak.detail


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_strategy_passes(name: str) -> None:
    """All three kinds, one finding each."""
    made = found(HONEST[name], "lookahead", "warmup", "start", market=LONG)
    assert [(one.kind, one.ok, one.column, one.row) for one in made] == [
        (kind, True, "", None) for kind in ("lookahead", "warmup", "start")
    ]


@pytest.mark.parametrize(("declared", "ok"), [(18, False), (19, True), (400, True), (0, True)])
def test_a_lookback_that_is_declared_too_short_is_caught(declared: int, ok: bool) -> None:
    """A mean over 20 bars needs 19 before its own; 0 promises nothing."""
    rule = Rule(lambda m: np.nan_to_num(rolling_mean(m.close, 20)), lookback=declared)
    (warmup,) = found(rule, "warmup")
    assert (warmup.ok, "19 bars needed" in warmup.detail) == (ok, True)
    assert warmup.detail.endswith("after 20: 0")


def test_a_history_too_short_for_a_lookback_says_so() -> None:
    """Nothing was compared, nothing is claimed."""
    (warmup,) = found(Rule(lambda m: up(m.close > 0), lookback=5_000), "warmup")
    assert warmup.ok
    assert "too few to show" in warmup.detail


@pytest.mark.parametrize(
    "rule",
    [Rule(alternating), Rule(lambda m: m.close / m.close[0]), Rule(lambda m: m.close * np.arange(1, len(m) + 1) / np.cumsum(m.close))],
)
def test_a_first_bar_that_is_never_forgotten_is_caught(rule: Rule) -> None:
    """By its phase, its price or its part in a mean; a row that differs is named."""
    (start,) = found(rule, "start", market=LONG)
    assert not start.ok
    assert "never forgotten" in start.detail
    assert start.row is not None
    assert start.row >= 3 * len(LONG) // 4


def test_few_bars_do_not_accuse() -> None:
    """Of a first bar; a slow indicator looks the same there."""
    (start,) = found(Rule(alternating), "start")
    assert start.ok
    assert "too few to say" in start.detail


def test_the_regime_model_is_honest() -> None:
    """Look-ahead and warm-up, in all of its outputs."""
    made = list(examine(of_regime(load("backtest").regime), walk(3_000), ["lookahead", "warmup"], 10, 7))
    assert [(one.strategy, one.ok) for one in made] == [("regime", True)] * 2


def test_the_same_seed_finds_the_same() -> None:
    """To the last word."""
    rule = LEAKING["a centred mean"][0]
    assert found(rule, "lookahead", "start") == found(rule, "lookahead", "start")


def test_bad_input_is_refused_in_a_sentence() -> None:
    """Too few bars, and signals of another length than the market."""
    with pytest.raises(NoData, match="99 bars of BTC/USDT:USDT are too few"):
        found(HONEST["funding"], "lookahead", market=MARKET.rows(0, 99))
    with pytest.raises(DataError, match=r"rule gives exposure of shape \(1999,\) for 2000 bars"):
        found(Rule(lambda m: m.close[1:]), "lookahead")


def test_each_cut_is_told() -> None:
    """For a bar of progress."""
    told: list[int] = []
    list(examine(of_strategy("rule", HONEST["funding"]), MARKET, ["lookahead", "warmup", "start"], 5, 7, lambda: told.append(1)))
    assert 8 <= len(told) <= 10


@given(st.integers(0, 299), st.integers(0, 1000))
def test_a_scrambled_market_agrees_up_to_its_row_and_not_after(t: int, seed: int) -> None:
    """Each column alone, all of them, and noise that is made of well-formed bars."""
    market = walk(300)
    other = Scrambler.of(market, np.random.default_rng(seed))
    for name in COLUMNS:
        made = other.column(name, t)
        for column in COLUMNS:
            ours, theirs = getattr(made, column), getattr(market, column)
            assert not differs(ours[: t + 1], theirs[: t + 1]).any()
            if column != "funding":
                assert differs(ours[t + 1 :], theirs[t + 1 :]).all() == (column == name or t == 299)
    noise, every = other.noise(t), other.every(t)
    for column in COLUMNS:
        assert not differs(getattr(noise, column)[: t + 1], getattr(market, column)[: t + 1]).any()
        assert not differs(getattr(every, column)[: t + 1], getattr(market, column)[: t + 1]).any()
    assert (noise.high >= np.maximum(noise.open, noise.close)).all()
    assert (noise.low <= np.minimum(noise.open, noise.close)).all()
    known = np.searchsorted(market.funding_ts, market.ts[t] + market.bar_ms, side="right")
    assert np.array_equal(other.column("funding", t).funding_rate[:known], market.funding_rate[:known])
