"""A backtest over whole arrays, or in the loop where a risk rule binds: the result is the loop's, and says which it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from histories import COSTS, INSTRUMENT, History, histories, history
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st
from test_real_candles import TRADES, market

from alpha_arena.backtest.binding import STOPS
from alpha_arena.backtest.kernel import REASONS
from alpha_arena.backtest.record import Record
from alpha_arena.backtest.result import equity_frame
from alpha_arena.core.market import Market, Study, View
from alpha_arena.core.ports import RiskRule
from alpha_arena.core.types import Regimes, Target
from alpha_arena.decision.single import Single
from alpha_arena.engine import Trader
from alpha_arena.risk.cooldown import Cooldown
from alpha_arena.risk.drawdown_halt import DrawdownHalt
from alpha_arena.risk.max_leverage import MaxLeverage
from alpha_arena.risk.max_notional import MaxNotional
from alpha_arena.risk.max_orders import MaxOrders
from alpha_arena.risk.min_confidence import MinConfidence
from alpha_arena.risk.protective_stop import ProtectiveStop
from alpha_arena.risk.stale_data import StaleData
from alpha_arena.settings import load
from alpha_arena.wiring.arrays import EXACT, by_kernel
from alpha_arena.wiring.backtesting import play, record_of, simulate, trade, window
from alpha_arena.wiring.desk import study_of, trader_of

CAPITAL = 10_000.0
RULES: Mapping[str, Sequence[RiskRule]] = {
    "stop": [ProtectiveStop(max_loss=0.05)],
    "leverage": [MaxLeverage(limit_exposure=0.5), ProtectiveStop(max_loss=0.3)],
    "notional": [MaxNotional(limit_quote=9_000.0)],
    "notional of no size": [MaxNotional(limit_quote=200_000.0)],
    "orders": [MaxOrders(per_day=2)],
    "confidence": [ProtectiveStop(max_loss=0.1), MinConfidence(minimum=0.3)],
    "cooldown": [Cooldown(bars=3)],
    "flatten": [DrawdownHalt(max_drawdown=0.3, policy="flatten"), ProtectiveStop(max_loss=0.2)],
    "hold": [DrawdownHalt(max_drawdown=0.1, policy="hold")],
    "stale": [StaleData(max_age_bars=1.5)],
    "none": [],
}

__all__ = ["market"]


def same(one: Record, other: Record) -> None:
    """Every frame, to 1e-9."""
    for name in ("fills", "trades", "signals"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name), rtol=1e-9, atol=1e-9)
    pd.testing.assert_frame_equal(equity_frame(one), equity_frame(other), rtol=1e-9, atol=1e-9)
    assert one.notional == pytest.approx(other.notional, rel=1e-9, abs=1e-9)
    assert (one.funding, one.funding_assumed) == (pytest.approx(other.funding, rel=1e-9, abs=1e-9), other.funding_assumed)
    assert [vars_of(p) for p in one.open_positions] == [vars_of(p) for p in other.open_positions]


def vars_of(position: object) -> dict[str, Any]:
    """Its fields, numbers to 1e-9."""
    values = {name: getattr(position, name) for name in position.__slots__}  # type: ignore[attr-defined]
    return {name: pytest.approx(value, rel=1e-9, abs=1e-6) if isinstance(value, float) else value for name, value in values.items()}


def staged(h: History, rules: Sequence[RiskRule], fixed: float | None, quiet: float = 0.0) -> tuple[Study, Trader]:
    """A history's signals as those of a strategy that decides alone; a share of the bars stands still."""
    rng = np.random.default_rng(len(h.market))
    candles, signals, still = h.market.candles, h.signals, rng.random(len(h.market)) < quiet
    columns = {name: np.where(still, 100.0, getattr(candles, name)) for name in ("open", "high", "low", "close")}
    made = Market(h.market.symbol, h.market.bar_ms, candles.ts, **columns, volume=np.where(still, 0.0, 1.0), **funding_of(h.market))
    nothing = np.full(len(made), np.nan)
    regimes = Regimes(np.full(len(made), -1, np.int8), nothing, nothing, nothing, nothing, nothing)
    signals = type(signals)(signals.exposure, signals.stop, signals.take, np.round(rng.random(len(made)), 2))
    study = Study({made.symbol: made}, {made.symbol: {"own": signals}}, {made.symbol: regimes}, {made.symbol: {}})
    decider = Single(name="single", strategies=["own"], leverages={"own": h.leverage})
    return study, Trader("t", "1h", {made.symbol: INSTRUMENT}, decider, rules, COSTS, "single", fixed)


def moment(ts: int) -> str:
    """As reasons show it."""
    return str(np.datetime64(ts, "ms").astype("datetime64[m]")).replace("T", " ")


def funding_of(market: Market) -> dict[str, Any]:
    """What a market was paid."""
    return {name: getattr(market, name) for name in ("funding", "funding_ts", "funding_rate")}


@pytest.mark.parametrize("rules", RULES)
@given(h=histories, fixed=st.sampled_from([None, 5_000.0]), quiet=st.sampled_from([0.0, 0.7]), first=st.integers(0, 40))
@tries(max_examples=30, deadline=None)
def test_the_result_is_the_loops(rules: str, h: History, fixed: float | None, quiet: float, first: int) -> None:
    """Whatever the rules, the equity that sizes and the first bar; what binds first is what the loop refuses first."""
    study, trader = staged(h, RULES[rules], fixed, quiet)
    part = window(study.markets, int(h.market.ts[min(first, len(h.market) - 1)]), None)
    played = trade(study, trader, CAPITAL, part)
    store = play(study, trader, CAPITAL, part)
    same(played.record, record_of(store, played.record.markets, CAPITAL))
    assert played.engine == ("kernel" if played.why == EXACT else "loop")
    refused = next((decision.ts for decision in store.decisions if decision.refusals), None)
    assert played.engine == ("kernel" if refused is None else "loop")
    assert refused is None or f"first {moment(refused)};" in played.why


@pytest.mark.parametrize("rules", [name for name in RULES if name not in ("stop", "none", "notional of no size")])
def test_each_rule_is_seen_to_bind(rules: str) -> None:
    """By some history, and not by all."""
    found = [by_kernel(*staged(history(seed, rows), RULES[rules], None, 0.7), CAPITAL, 0)[1] for seed in range(10) for rows in (2, 60)]
    assert any("would bind at" in why for why in found)
    assert EXACT in found


def test_it_says_what_binds_and_when() -> None:
    """The rule by its name in conf/risk, how often, and the first close."""
    study, trader = staged(history(5, 60), [Cooldown(bars=0), MaxLeverage(limit_exposure=0.5)], None)
    exposure = np.abs(study.signals[INSTRUMENT.symbol]["own"].exposure)
    first = int(study.markets[INSTRUMENT.symbol].ts[np.argmax(exposure > 0.5)]) + 3_600_000
    record, why = by_kernel(study, trader, CAPITAL, 0)
    assert record is None
    assert why == f"max_leverage would bind at {(exposure > 0.5).sum()} closes, first {moment(first)}; run again in the loop"


class Own:
    """A user's rule without an array form."""

    def limit(self, target: Target, symbol: str, view: View) -> Target:
        """Nothing is wrong."""
        return target


def test_what_only_the_loop_can_say() -> None:
    """A rule without an array form, several symbols, another decider."""
    study, trader = staged(history(5, 60), [Own()], None)
    assert trade(study, trader, CAPITAL, window(study.markets, None, None)).why == "the risk rule own has no array form"


def test_stops_are_told_apart() -> None:
    """From other exits."""
    assert [REASONS[code] for code in STOPS] == ["stop", "liquidation"]


@pytest.mark.parametrize("risk", ["default", "careful"])
@pytest.mark.parametrize("name", TRADES)
def test_strategies_on_real_candles(name: str, risk: str, market: Market) -> None:
    """Through the configuration, as the command runs it; progress is told to the end."""
    settings = load("backtest", [f"strategy={name}", f"risk={risk}", "symbol=btc", "limit=3000"])
    told: list[tuple[int, int]] = []
    run = simulate(settings, {market.symbol: market}, progress=lambda done, rows: told.append((done, rows)))
    trader, part = trader_of(settings), window({market.symbol: market}, None, 3000)
    study = study_of(settings, {market.symbol: market})
    loop = record_of(play(study, trader, settings.initial_capital, part), run.markets, settings.initial_capital)
    for frame in ("fills", "trades", "signals"):
        pd.testing.assert_frame_equal(getattr(run, frame), getattr(loop, frame), rtol=1e-9, atol=1e-9)
    pd.testing.assert_frame_equal(run.equity, equity_frame(loop), rtol=1e-9, atol=1e-9)
    assert run.result["engine"] == ("kernel" if run.result["engine_reason"] == EXACT else "loop")
    assert told[-1] == (3000, 3000)
