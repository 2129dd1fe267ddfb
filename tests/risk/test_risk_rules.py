"""Each rule only ever shrinks, never flips, says why; refusing new risk means holding."""

from __future__ import annotations

from math import isnan, nan
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.core.market import Market, Study, View
from alpha_arena.core.ports import PathRule
from alpha_arena.core.types import Account, Candles, Position, RiskState, Signals, Target
from alpha_arena.core.walk import Walk
from alpha_arena.risk.cooldown import Cooldown
from alpha_arena.risk.drawdown_halt import DrawdownHalt
from alpha_arena.risk.max_leverage import MaxLeverage
from alpha_arena.risk.max_notional import MaxNotional
from alpha_arena.risk.max_orders import MaxOrders
from alpha_arena.risk.min_confidence import MinConfidence
from alpha_arena.risk.protective_stop import ProtectiveStop
from alpha_arena.risk.stale_data import StaleData

HOUR = 3_600_000
CONF = Path(__file__).resolve().parents[2] / "conf" / "risk" / "default.yaml"
BAR = np.array([100.0])
MARKET = Market.of("X", HOUR, Candles(np.array([0]), BAR, BAR, BAR, BAR, BAR))
RULES = [
    MaxNotional(5_000),
    MaxLeverage(0.5),
    MinConfidence(0.6),
    StaleData(2),
    ProtectiveStop(0.1),
    DrawdownHalt(0.2, "flatten"),
    DrawdownHalt(0.2, "hold"),
    Cooldown(3),
    MaxOrders(5),
]


def view(held: float = 0.0, now_bars: float = 0.0, risk: RiskState | None = None) -> View:
    """Equity 10,000 at price 100, `held` units from 100, the clock `now_bars` after the close."""
    account = Account(10_000.0, {"X": Position(held, 100.0)} if held else {})
    study = Study({"X": MARKET}, {}, {}, {})
    return View(HOUR, HOUR + int(now_bars * HOUR), {"X": 0}, study, account, risk or RiskState(10_000.0), {"X": 100.0})


exposures = st.floats(-3, 3).map(lambda x: round(x, 6))
states = st.builds(
    RiskState,
    peak_equity=st.floats(10_000, 20_000),
    halted=st.sampled_from(["", "drawdown"]),
    orders_today=st.integers(0, 10),
    last_stop_ts=st.dictionaries(st.just("X"), st.integers(-10, 0).map(lambda bars: bars * HOUR)),
)


@given(st.sampled_from(RULES), exposures, exposures, st.floats(0, 1), st.floats(0, 5), states)
def test_a_rule_only_shrinks_never_flips_and_says_why(
    rule: object, wanted: float, held: float, confidence: float, now_bars: float, risk: RiskState
) -> None:
    """D46, D73: whatever the state, no rule ever adds risk."""
    before = Target(wanted, confidence=confidence)
    after = rule.limit(before, "X", view(held * 100, now_bars, risk))  # type: ignore[attr-defined]
    assert abs(after.exposure) <= abs(wanted) + 1e-12
    assert after.exposure * wanted >= 0
    assert after.exposure == wanted or after.why


@given(exposures, exposures)
def test_refusing_new_risk_holds_what_is_held(wanted: float, held: float) -> None:
    """No increase; a change of sign becomes flat; what was to be kept or reduced is left as it is."""
    after = MinConfidence(0.6).limit(Target(wanted, confidence=0.1), "X", view(held * 100)).exposure
    if wanted * held <= 0:
        assert after == 0
    else:
        assert after == pytest.approx(wanted if abs(wanted) <= abs(held) else held)


def test_the_default_rules_are_those_tested_here() -> None:
    """A rule added to the defaults needs its place in the laws above."""
    targets = {item["_target_"].rsplit(".", 1)[1] for item in yaml.safe_load(CONF.read_text())["rules"].values()}
    assert targets == {type(rule).__name__ for rule in RULES}


def test_a_position_grown_over_its_limit_is_reduced_whatever_the_thresholds() -> None:
    """The reduction is demanded."""
    after = MaxNotional(5_000).limit(Target(0.6), "X", view(60))
    assert (after.exposure, after.forced) == (0.5, True)
    assert not MaxNotional(5_000).limit(Target(0.6), "X", view(0)).forced
    assert MaxLeverage(0.5).limit(Target(-0.6), "X", view(-60)).forced


def test_every_position_gets_a_stop() -> None:
    """D36: 10 % from the close on the losing side; a given stop is kept."""
    rule = ProtectiveStop(0.1)
    assert rule.limit(Target(0.5), "X", view()).stop == pytest.approx(90)
    assert rule.limit(Target(-0.5), "X", view()).stop == pytest.approx(110)
    assert rule.limit(Target(0.5, 95), "X", view()).stop == 95
    assert isnan(rule.limit(Target(0.0), "X", view()).stop)


def test_a_drawdown_halts_on_total_equity_and_stays_halted() -> None:
    """D46: unrealised losses count, and recovery does not resume trading by itself."""
    rule = DrawdownHalt(0.2, "flatten")
    losing = View(
        HOUR, HOUR, {"X": 0}, Study({"X": MARKET}, {}, {}, {}), Account(10_000, {"X": Position(60, 140)}), RiskState(10_000), {"X": 100}
    )
    after = rule.limit(Target(0.6), "X", losing)
    assert (after.exposure, after.forced) == (0, True)
    assert "24.0%" in rule.halts(losing)
    latched = RiskState(10_000, halted="drawdown 24.0%")
    assert rule.limit(Target(0.6), "X", view(risk=latched)).exposure == 0
    assert rule.halts(view(risk=latched)) == ""
    assert DrawdownHalt(0.2, "hold").limit(Target(0.6), "X", view(30, risk=latched)).exposure == pytest.approx(0.3)


def test_a_halt_for_another_cause_holds_what_is_held() -> None:
    """D46: what somebody else has bought is not sold by a rule about losses; protection and exits go on."""
    rule, halted = DrawdownHalt(0.2, "flatten"), RiskState(10_000, halted="X: 0.1 at 100 was not made by this trader")
    assert rule.limit(Target(0.6), "X", view(30, risk=halted)).exposure == pytest.approx(0.3)
    assert rule.limit(Target(0.2), "X", view(30, risk=halted)).exposure == 0.2
    assert rule.limit(Target(-0.6), "X", view(30, risk=halted)).exposure == 0


def test_old_data_is_refused_and_fresh_data_is_not() -> None:
    """D72: 2 bars after the close is the limit."""
    assert StaleData(2).limit(Target(0.5), "X", view(now_bars=2)).exposure == 0.5
    assert StaleData(2).limit(Target(0.5), "X", view(now_bars=2.5)).exposure == 0


def test_a_feed_that_repeats_its_last_price_is_as_old_as_its_last_trade() -> None:
    """D72: three bars at one price without volume; one trade in them, and it is fresh."""

    def limited(volume: list[float], closes: list[float]) -> float:
        close = np.array(closes)
        market = Market.of("X", HOUR, Candles(HOUR * np.arange(4), close, close, close, close, np.array(volume)))
        account, study = Account(10_000.0), Study({"X": market}, {}, {}, {})
        seen = View(4 * HOUR, 4 * HOUR, {"X": 3}, study, account, RiskState(10_000.0), {"X": closes[-1]})
        return StaleData(2).limit(Target(0.5), "X", seen).exposure

    assert limited([5, 0, 0, 0], [99, 100, 100, 100]) == 0
    assert limited([5, 5, 0, 0], [99, 100, 100, 100]) == 0.5
    assert limited([5, 0, 0, 1], [99, 100, 100, 100]) == 0.5
    assert limited([5, 0, 0, 0], [99, 100, 101, 100]) == 0.5


def test_the_pause_after_a_stop_counts_bars_from_its_own() -> None:
    """With 1 bar, only the close of the stop's own bar is refused."""
    stopped = RiskState(10_000, last_stop_ts={"X": 0})
    assert Cooldown(1).limit(Target(0.5), "X", view(risk=stopped)).exposure == 0
    earlier = RiskState(10_000, last_stop_ts={"X": -HOUR})
    assert Cooldown(1).limit(Target(0.5), "X", view(risk=earlier)).exposure == 0.5


def test_a_day_has_so_many_orders() -> None:
    """D75: over-trading ends at the limit; closing is still allowed."""
    spent = RiskState(10_000, orders_today=5)
    assert MaxOrders(5).limit(Target(0.5), "X", view(risk=spent)).exposure == 0
    assert MaxOrders(5).limit(Target(0.1), "X", view(30, risk=spent)).exposure == 0.1
    assert MaxOrders(6).limit(Target(0.5), "X", view(risk=spent)).exposure == 0.5


def test_a_confidence_that_is_no_number_is_no_confidence() -> None:
    """NaN never passes a threshold."""
    assert MinConfidence(0.6).limit(Target(0.5, confidence=nan), "X", view()).exposure == 0


def walk(**columns: list[float]) -> Walk:
    """Four closes at 100 with an equity of 10,000, flat and without orders but for the columns given."""
    close, ts = np.full(4, 100.0), np.arange(4) * HOUR
    values = {"equity": np.full(4, 1e4), "sizing": np.full(4, 1e4), "quantity": np.zeros(4), "orders": np.zeros(4, np.int64)}
    values |= {"stopped": np.zeros(4, np.bool_)} | {name: np.array(value) for name, value in columns.items()}
    return Walk(Market.of("X", HOUR, Candles(ts, close, close, close, close, close)), **values)


@pytest.mark.parametrize(
    ("rule", "path", "rows"),
    [
        (Cooldown(2), {"stopped": [False, True, False, False]}, [1, 2]),
        (Cooldown(0), {"stopped": [True] * 4}, []),
        (DrawdownHalt(0.2, "hold"), {"equity": [1e4, 7e3, 1e4, 1e4]}, [1, 2, 3]),
        (DrawdownHalt(0.5, "hold"), {"equity": [1e4, 7e3, 1e4, 1e4]}, []),
        (MaxOrders(1), {"orders": [0, 1, 0, 0]}, [2, 3]),
        (MaxOrders(1), {"orders": [0, 1, 0, 0], "quantity": [60.0] * 4}, []),
        (MaxNotional(4_000), {"sizing": [1e4, 1e4, 5e3, 0.0]}, [0, 1]),
    ],
)
def test_where_a_rule_binds(rule: PathRule, path: dict[str, list[float]], rows: list[int]) -> None:
    """Along a path, for a target of half the equity: as long as the rule would hold, shrink or halt, and no longer."""
    half, none = np.full(4, 0.5), np.full(4, nan)
    assert np.flatnonzero(rule.binds(Signals(half, none, none, np.ones(4)), walk(**path))).tolist() == rows
