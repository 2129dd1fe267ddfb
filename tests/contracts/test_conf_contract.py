"""Everything found in conf/ is composed, built and held to the law of its shape."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.backtest.space import Candidates, Template
from alpha_arena.core.market import Market, Study, View
from alpha_arena.core.records import Decision
from alpha_arena.core.types import Account, Candles, Position, RiskState, Target
from alpha_arena.data.memory import MemoryStore
from alpha_arena.settings import Settings, load
from alpha_arena.wiring.backtesting import play, window
from alpha_arena.wiring.desk import study_of, trader_of
from alpha_arena.wiring.searching import spaces_of

CONF = Path(__file__).resolve().parents[2] / "conf"
NOT_CHOSEN = {"base", "hydra"}
HOUR = 3_600_000
ROOTS = sorted(path.stem for path in CONF.glob("*.yaml"))
OPTIONS = sorted((path.parent.name, path.stem) for path in CONF.glob("*/*.yaml") if path.parent.name not in NOT_CHOSEN)
DECIDERS = [name for group, name in OPTIONS if group == "decision"]
RISKS = [name for group, name in OPTIONS if group == "risk"]


def bars(rows: int, seed: int = 4) -> Candles:
    """Hourly bars that trend, range and jump."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.006, rows) + 0.004 * np.sin(np.arange(rows) / 40) * (np.arange(rows) % 300 > 150)
    close = 40_000 * np.exp(np.cumsum(steps))
    open_ = np.r_[40_000.0, close[:-1]]
    wick = 1 + np.abs(rng.normal(0, 0.003, rows))
    high, low = np.maximum(open_, close) * wick, np.minimum(open_, close) / wick
    return Candles(np.arange(rows) * HOUR, open_, high, low, close, rng.lognormal(3, 0.7, rows))


def decided(settings: Settings, candles: Candles) -> MemoryStore:
    """The last 100 closes of a market, decided."""
    symbol = settings.symbols[0].symbol
    markets = {symbol: Market.of(symbol, HOUR, candles)}
    part = window(markets, None, 100)
    return play(study_of(settings, markets), trader_of(settings), 10_000.0, part)


@pytest.mark.parametrize("command", ROOTS)
def test_every_command_s_root_is_built(command: str) -> None:
    """A root file with its defaults is a whole configuration."""
    assert load(command, []).command == command


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_is_built(group: str, option: str) -> None:
    """Each file of each group, chosen alone, builds."""
    extra = ["exchange.path=somewhere"] if (group, option) == ("exchange", "file") else []
    made = load("sweep" if group == "sweep" else "backtest", [f"{group}={option}", *extra])
    assert made.strategies
    assert made.config_hash


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "sweep"])
def test_every_space_can_be_searched(option: str) -> None:
    """Each strategy has its parameters, most combinations fit together, and a file named after a strategy is that strategy's."""
    settings = load("sweep", [f"sweep={option}"])
    assert settings.search
    for space in spaces_of(settings.search, settings.templates):
        assert option in ("all", space.strategy)
        made = [fits(settings.templates[space.strategy], values) for values in Candidates(space, 200, 1)]
        assert sum(made) > len(made) / 2


def fits(template: Template, values: Mapping[str, Any]) -> bool:
    """Whether parameters fit together."""
    try:
        template.make(values)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", DECIDERS)
def test_a_decider_is_causal_and_its_targets_are_sound(name: str) -> None:
    """D13, D15: later rows change no decision; weights sum to 1; levels lie on their sides of the close."""
    settings = load("backtest", [f"decision={name}"])
    rows = bars(900)
    whole = decided(settings, rows).decisions
    torn = bars(900, seed=9)
    cut = Candles(*(np.r_[getattr(rows, n)[:860], getattr(torn, n)[860:]] for n in ("ts", "open", "high", "low", "close", "volume")))
    mixed = decided(settings, cut).decisions
    assert early(whole) == early(mixed)
    for decision in whole:
        target = decision.wanted
        assert isfinite(target.exposure)
        assert 0 <= target.confidence <= 1
        assert not target.shares or sum(share.weight for share in target.shares) == pytest.approx(1)
        side = np.sign(target.exposure)
        assert not (target.stop - decision.price) * side > 0 or not side
        assert target.why


def early(made: list[Decision]) -> list[tuple[object, ...]]:
    """Targets of the closes before the histories part, written so that NaN equals NaN."""
    targets = [decision.target for decision in made if decision.bar_ts < 860 * HOUR]
    return [(target.exposure, repr(target.stop), repr(target.take), target.confidence, target.why) for target in targets]


@given(
    st.sampled_from(RISKS),
    st.floats(-5, 5),
    st.floats(-3, 3),
    st.floats(0, 1),
    st.floats(0, 4),
    st.floats(10_000, 40_000),
    st.sampled_from(["", "halted"]),
)
def test_every_shipped_rule_only_shrinks(
    name: str, wanted: float, held: float, confidence: float, late_bars: float, peak: float, halted: str
) -> None:
    """Whatever the rule and the state: never more exposure, never the other side, always a reason."""
    candles = bars(2)
    price = float(candles.close[-1])
    account = Account(10_000.0, {"X": Position(round(held * 10_000 / price, 4), price)})
    study = Study({"X": Market.of("X", HOUR, candles)}, {}, {}, {})
    risk = RiskState(peak, halted, orders_today=7, last_stop_ts={"X": 0})
    view = View(2 * HOUR, int((2 + late_bars) * HOUR), {"X": 1}, study, account, risk, {"X": price})
    for rule in RULES[name]:
        target = Target(wanted, confidence=confidence)
        after = rule.limit(target, "X", view)
        assert abs(after.exposure) <= abs(wanted) + 1e-12
        assert after.exposure * wanted >= 0
        assert after.exposure == wanted or after.why


RULES = {name: load("backtest", [f"risk={name}"]).rules for name in RISKS}
