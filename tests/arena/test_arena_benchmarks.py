"""What always stands beside an arena's traders: each by its own law."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from contests import arena, beside_of, market, torn
from laboratory import BTC, HOUR, ROWS, T0, walk

from alpha_arena.backtest.contestants import Contestant
from alpha_arena.backtest.record import Record
from alpha_arena.backtest.reference import funding_paid
from alpha_arena.core.errors import ConfigError, NoData
from alpha_arena.core.types import Funding
from alpha_arena.settings import Settings, load, random_seeds
from alpha_arena.wiring.arrays import by_kernel
from alpha_arena.wiring.backtesting import part_of, play, record_of, window
from alpha_arena.wiring.benchmarks import Beside, benchmarks, random_equity, seeded, stages
from alpha_arena.wiring.desk import study_of, trader_of

NAMES = ["flat", "buy_and_hold", "equal_weight", "best_rule", "random", "portfolio"]


def named(beside: Beside, name: str) -> Contestant:
    """One of them."""
    return next(one for one in beside.contestants if one.name == name)


def test_all_see_the_same_bars_with_the_same_capital() -> None:
    """And the names are always the same."""
    beside, _, contest = beside_of(arena("initial_capital=5000"), market())
    assert [one.name for one in beside.contestants] == NAMES
    for one in beside.contestants:
        assert (int(one.ts[0]), int(one.ts[-1]), one.ts.size) == (contest.first_ts, contest.last_ts, contest.rows)
        assert (one.initial_capital, one.kind) == (5000, "benchmark")
    assert beside.band.ts.size == beside.band.low.size == contest.rows


def test_doing_nothing_earns_nothing_and_holding_earns_the_market() -> None:
    """Less the entry's fee and slippage, and funding while it is held; by hand."""
    hours = np.arange(0, ROWS, 8)
    markets = market(funding=Funding(T0 + hours * HOUR, np.full(hours.size, 0.0003)))
    settings = arena()
    beside, _, contest = beside_of(settings, markets)
    flat, hold = named(beside, "flat"), named(beside, "buy_and_hold")
    assert set(flat.equity.tolist()) == {10_000.0}
    m, first, costs = markets[BTC], int(np.searchsorted(markets[BTC].ts, contest.first_ts)), settings.costs
    lot = settings.symbols[0].lot
    quantity = np.floor(10_000 / m.close[first] / lot) * lot
    price = m.open[first + 1] * (1 + costs.slippage)
    paid = sum(quantity * m.open[row] * 0.0003 for row in range(first + 2, ROWS) if row % 8 == 0)
    expected = 10_000 + quantity * (m.close[-1] - price) - quantity * price * costs.taker_fee - paid
    assert hold.equity[-1] == pytest.approx(expected, abs=0.02)
    assert hold.funding == pytest.approx(paid, abs=0.02)
    assert hold.traded == pytest.approx(quantity * price)
    assert hold.equity[0] == 10_000
    alone = m.rows(first, ROWS)
    assert quantity * funding_paid(alone)[-1] == pytest.approx(hold.funding), "what a backtest holds its run against pays the same"


def test_the_best_rule_is_chosen_on_the_training_alone() -> None:
    """Whatever comes after it changes neither figures nor choice; another training does."""
    settings = arena()
    train = stages(market(), window(market(), None, 300), 0.3)[0]
    assert train.rows == 400
    chosen = beside_of(settings, market())[0].training
    assert chosen is not None
    assert chosen.chosen == max(chosen.sharpes, key=lambda name: np.nan_to_num(chosen.sharpes[name], nan=-np.inf))
    assert beside_of(settings, market(torn(400)))[0].training == chosen
    assert beside_of(settings, market(torn(100)))[0].training != chosen


def test_it_is_the_rule_that_was_chosen() -> None:
    """On the contest's bars it does what that strategy alone does there."""
    settings = arena()
    beside, _, contest = beside_of(settings, market())
    assert beside.training
    alone = load("backtest", [f"strategy={beside.training.chosen}", "limit=300"])
    markets = market()
    record = by_kernel(study_of(alone, markets), replace(trader_of(alone), rules=alone.rules[-1:]), 10_000, contest.first_ts)[0]
    assert record
    np.testing.assert_allclose(named(beside, "best_rule").equity, record.equity, rtol=1e-12)


def test_the_first_bars_choose_where_none_lie_before() -> None:
    """Then all are compared on the rest; so do those before the start where they are enough."""
    markets = market()
    train, contest = stages(markets, window(markets, None, None), 0.3)
    assert (train.rows, contest.rows) == (210, 490)
    assert train.last_ts + HOUR == contest.first_ts
    train, contest = stages(markets, window(markets, int(T0 + 100 * HOUR), None), 0.3)
    assert (train.first_ts, train.rows, contest.rows) == (T0 + 100 * HOUR, 180, 420)
    train, contest = stages(markets, window(markets, None, 500), 0.3)
    assert (train.first_ts, train.rows, contest.rows) == (T0, 200, 500)
    with pytest.raises(NoData, match="too few"):
        stages(markets, window(markets, int(T0), None), 0.999)


def test_without_bars_before_it_no_rule_is_chosen() -> None:
    """As in an arena that has just begun on paper: the others stand there all the same."""
    markets = market()
    beside = benchmarks(arena(), markets, window(markets, None, None))
    assert beside.training is None
    assert [one.name for one in beside.contestants] == [name for name in NAMES if name != "best_rule"]


def test_the_band_comes_from_the_seed() -> None:
    """The same seed has the same band to the bit, another another one; the median is one of them."""
    one, again, other = (beside_of(arena(f"seed={seed}"), market())[0] for seed in (7, 7, 8))
    np.testing.assert_array_equal(one.band.middle, again.band.middle)
    np.testing.assert_array_equal(one.band.finals, again.band.finals)
    assert not np.array_equal(one.band.finals, other.band.finals)
    assert one.band.finals.size == 7
    assert (one.band.low <= one.band.high).all()
    assert sorted(one.band.finals)[3] == named(one, "random").equity[-1]


def test_without_an_arena_the_band_is_as_wide_as_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single trader on paper has as many random ones beside it as conf says that arenas have; a number that is none is refused."""
    assert random_seeds(load("up", ["trader=ema_solo", "arena=null"])) == random_seeds(load("up")) == 100
    assert random_seeds(load("arena", ["arena.random_seeds=7"])) == 7
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "base").mkdir(parents=True)
    own = tmp_path / "conf" / "base" / "arena.yaml"
    own.write_text("random_seeds: 3")
    markets = market()
    assert benchmarks(load("backtest"), markets, window(markets, None, 100)).band.finals.size == 3
    own.write_text("random_seeds: 1")
    with pytest.raises(ConfigError, match=r"random_seeds=1 of conf/base/arena\.yaml"):
        random_seeds(load("backtest"))


def same(one: Record, other: Record) -> None:
    """Fills, trades, equity, wishes."""
    for name in ("fills", "trades", "signals"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(one.equity, other.equity, rtol=1e-9)
    np.testing.assert_allclose(one.exposure, other.exposure, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "overrides",
    [
        ("decision=weighted", "risk=none"),
        ("decision=weighted", "risk=none", "decision.global_leverage=0.2", "equity=20000"),
        ("decision=random", "risk=none"),
        ("decision=random", "risk=none", "decision.every_bars=3", "decision.strategies=[ema_trend,grid_trading]"),
        ("decision=hold", "risk=none"),
        ("decision=hold", "risk=none", "equity=7000", "decision.exposure=0.5"),
        ("decision=flat", "risk=none"),
    ],
)
def test_arrays_do_what_the_loop_does(overrides: tuple[str, ...]) -> None:
    """Deciders that need no account, bar by bar and at once."""
    settings = load("backtest", list(overrides))
    markets = market(funding=Funding(T0 + np.arange(0, ROWS, 8) * HOUR, np.full(88, 0.0001)))
    study, trader, part = study_of(settings, markets), trader_of(settings), window(markets, None, 400)
    record, why = by_kernel(study, trader, 10_000, part.first_ts)
    assert record, why
    loop = record_of(play(study, trader, 10_000, part), part_of(markets, part), 10_000)
    same(record, loop)
    assert len(loop.fills) or settings.decider.name == "flat"


def test_a_position_that_outgrows_its_margin_is_the_loops() -> None:
    """It sells what its margin does not carry."""
    settings = load("backtest", ["decision=hold", "risk=none", "decision.leverage=1.0"])
    record, why = by_kernel(study_of(settings, market()), trader_of(settings), 10_000, T0)
    assert record is None or (np.abs(record.exposure) <= 0.98 + 1e-9).all(), why


def test_random_traders_of_several_symbols_go_through_the_loop() -> None:
    """Over arrays there is one symbol only."""
    settings: Settings = load("backtest", ["decision=random", "risk=none", "symbols=[btc,eth]"])
    eth = settings.symbols[1].symbol
    markets = {**market(), eth: replace(market(walk(ROWS, HOUR, 8))[BTC], symbol=eth)}
    part = window(markets, None, 60)
    study, trader = study_of(settings, markets), trader_of(settings)
    made = random_equity(study, seeded(trader, 3), 10_000, part)
    np.testing.assert_array_equal(made, record_of(play(study, seeded(trader, 3), 10_000, part), part_of(markets, part), 10_000).equity)
