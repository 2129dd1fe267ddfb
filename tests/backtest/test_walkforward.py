"""Walk-forward: how history is cut, that no test has a say in what is chosen for it, that the tests in a row are one history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from leaking import walk

from alpha_arena.backtest.kernel import simulate
from alpha_arena.backtest.pool import Job, Threads
from alpha_arena.backtest.scramble import Scrambler
from alpha_arena.backtest.search import Fold, Series, Walked
from alpha_arena.backtest.targets import ready
from alpha_arena.backtest.trials import bench_of
from alpha_arena.backtest.walkforward import (
    ANCHORED,
    ROLLING,
    Cut,
    Leg,
    Plan,
    Relay,
    changes,
    chosen,
    cuts,
    decay_of,
    folds_frame,
    plan_of,
)
from alpha_arena.core.errors import ConfigError, DataError
from alpha_arena.core.market import Market
from alpha_arena.core.timeframes import bars_per_year
from alpha_arena.core.types import Signals
from alpha_arena.data.trials import Tried
from alpha_arena.settings import Settings, load
from alpha_arena.wiring.searching import Ground
from alpha_arena.wiring.sweeping import NothingMade
from alpha_arena.wiring.walkforward import Course, Judging, Marks, choices_of, course_of, run_of, searched, walked_of

HOUR = 3_600_000
SCHEME = st.sampled_from([ANCHORED, ROLLING])
plans = st.builds(Plan, st.integers(1, 50), st.integers(1, 30), st.integers(0, 20), st.just(HOUR))
SPACE = [
    "sweep.strategies.ema_trend.ema_fast=[3,6,9]",
    "sweep.strategies.ema_trend.ema_medium=[12,20]",
    "sweep.strategies.ema_trend.ema_slow=30",
    "sweep.strategies.ema_trend.stop_loss_atr=2.0",
    "sweep.strategies.ema_trend.take_profit_atr=[2.0,4.0]",
]
DAYS = ["walkforward.train_days=40", "walkforward.test_days=12", "walkforward.purge_bars=5", "walkforward.embargo=0.02"]


@given(plans, SCHEME, st.integers(0, 100), st.integers(0, 400))
def test_cuts_never_let_a_training_see_its_test(plan: Plan, scheme: str, first: int, more: int) -> None:
    """Between them lies the whole gap; no test row is in the training of its own or an earlier fold, none before the first is used."""
    made = cuts(plan, scheme, first, first + plan.least + more)
    for number, cut in enumerate(made):
        assert first <= cut.train_start < cut.train_stop
        assert cut.test_start - cut.train_stop == plan.gap
        assert all(earlier.train_stop <= cut.test_start for earlier in made[: number + 1])


@given(plans, SCHEME, st.integers(0, 100), st.integers(0, 400))
def test_tests_tile_what_follows_the_first_training(plan: Plan, scheme: str, first: int, more: int) -> None:
    """Without hole or overlap, all of them whole but the last; what is left over is less than half a test."""
    stop = first + plan.least + more
    made = cuts(plan, scheme, first, stop)
    assert made[0].test_start == first + plan.train + plan.gap
    assert [cut.test_start for cut in made[1:]] == [cut.test_stop for cut in made[:-1]]
    assert all(cut.test_stop - cut.test_start == plan.test for cut in made[:-1])
    assert 2 * (made[-1].test_stop - made[-1].test_start) >= plan.test
    assert 2 * (stop - made[-1].test_stop) < plan.test


@given(plans, st.integers(0, 100), st.integers(0, 400))
def test_schemes_differ_in_their_trainings_alone(plan: Plan, first: int, more: int) -> None:
    """An anchored one starts at the first bar, a rolling one is always as long; tests and ends of trainings are the same."""
    anchored, rolling = (cuts(plan, scheme, first, first + plan.least + more) for scheme in (ANCHORED, ROLLING))
    assert {cut.train_start for cut in anchored} == {first}
    assert {cut.train_stop - cut.train_start for cut in rolling} == {plan.train}
    assert [(c.train_stop, c.test) for c in anchored] == [(c.train_stop, c.test) for c in rolling]
    assert anchored[0] == rolling[0]


@given(plans, SCHEME, st.integers(0, 100))
def test_too_few_bars_are_refused(plan: Plan, scheme: str, first: int) -> None:
    """One bar below a fold."""
    with pytest.raises(DataError, match=r"walkforward needs .* days of bars .* are stored .* shorten walkforward.train_days="):
        cuts(plan, scheme, first, first + plan.least - 1)


def test_a_plan_in_bars() -> None:
    """The shipped one on hourly bars; what is missing is said in days."""
    plan = plan_of(365, 60, 24, 0.01, HOUR)
    assert plan == Plan(8_760, 1_440, 24 + 88, HOUR)
    with pytest.raises(
        DataError, match=r"needs 429.7 days of bars \(training 365.0 days, left out 4.7 days, test 60.0 days\), 300.0 days are"
    ):
        cuts(plan, ANCHORED, 0, 7_200)
    assert cuts(plan, ROLLING, 0, 10_312 + 720)[1] == Cut(1_440, 10_200, 10_312, 11_032)
    assert len(cuts(plan, ROLLING, 0, 10_312 + 719)) == 1


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ((365, 0.01, 24, 0.01), r"walkforward.test_days=0.01 holds no bar"),
        ((0.01, 60, 0, 0.0), r"walkforward.train_days=0.01 holds no bar"),
        ((1, 1, 24, 0.0), r"purge_bars=24 and walkforward.embargo=0 leave out 24 bars before each test, no fewer than the 24"),
        ((10, 1, 150, 0.5), r"leave out 270 bars before each test, no fewer than the 240 of walkforward.train_days=10"),
    ],
)
def test_a_plan_without_bars_is_refused(given_: tuple[float, float, int, float], said: str) -> None:
    """By key and value."""
    with pytest.raises(ConfigError, match=said):
        plan_of(*given_, HOUR)


@pytest.mark.parametrize(
    ("objective", "row"),
    [([1.0, 3.0, 2.0], 1), ([3.0, 1.0, 3.0], 0), ([nan, -2.0, -1.0], 2), ([nan, nan], -1), ([1.0, np.inf], 1), ([], -1)],
)
def test_the_best_is_chosen(objective: list[float], row: int) -> None:
    """The first of equal ones, a losing one where all lose, none without a figure."""
    assert chosen(np.array(objective)) == row


@dataclass(frozen=True)
class Always:
    """Holds one exposure with a stop from the first bar on."""

    exposure: float
    max_leverage: float = 2.0
    max_position: float = 0.5
    lookback: int = 3

    def signals(self, market: Market) -> Signals:
        """The same on each row."""
        rows = np.ones(len(market))
        return Signals(self.exposure * rows, market.close * 0.5, np.full(len(market), nan), rows * 0.9)


def legs_of(market: Market, runners: Sequence[Always | None], rows: int = 4, first: int = 3) -> list[Leg]:
    """One after the other, each so many rows long."""
    starts = [first + number * rows for number in range(len(runners))]
    return [Leg(int(market.ts[s]), int(market.ts[s + rows - 1]), one) for s, one in zip(starts, runners, strict=True)]


def test_a_relay_hands_over_flat() -> None:
    """A position ends with its leg unless the same strategy goes on; before, between and in a leg of nobody it is flat."""
    market, long, short = walk(24), Always(1.0, 3.0, lookback=7), Always(-0.5)
    relay = Relay(legs_of(market, [long, long, short, None, short]))
    made = relay.signals(market)
    assert made.exposure.tolist() == [0] * 3 + [1] * 7 + [0] + [-0.5] * 3 + [0] * 5 + [-0.5] * 4 + [0]
    assert [isnan(level) for level in made.stop] == (made.exposure == 0).tolist()
    assert (relay.max_leverage, relay.max_position, relay.lookback) == (3.0, 0.5, 7)
    assert Relay(legs_of(market, [long, Always(1.0, lookback=0)])).lookback == 0


@given(st.integers(0, 23))
def test_a_relay_is_causal(t: int) -> None:
    """Cut at any row, also at the last one of a leg."""
    market = walk(24)
    relay = Relay(legs_of(market, [Always(1.0), Always(-1.0), None, Always(0.3)]))
    whole, cut = relay.signals(market), relay.signals(market.upto(t))
    assert cut.exposure.tolist() == whole.exposure[: t + 1].tolist()
    assert np.array_equal(cut.stop, whole.stop[: t + 1], equal_nan=True)


def fold(number: int, inside: tuple[float, float], parameters: dict[str, float], strategy: str = "x") -> Fold:
    """With Sharpe and CAGR in training."""
    figures = dict(zip(("sharpe", "cagr"), inside, strict=True))
    return Fold(number, 0, 1, 2, 3, strategy, parameters, figures, {"sharpe": 0.0, "cagr": 0.0})


def test_decay_is_from_means_in_training_to_the_tests_in_a_row() -> None:
    """Folds without a choice are left out; without a gain in training there is no efficiency."""
    folds = [fold(1, (2.0, 0.5), {"a": 1}), fold(2, (1.0, 0.3), {"a": 1}), fold(3, (nan, nan), {}, ""), fold(4, (0.0, 0.1), {"a": 2})]
    decay = decay_of(folds, {"sharpe": 0.25, "cagr": -0.06})
    assert decay == pytest.approx(
        {
            "in_sample_sharpe": 1.0,
            "out_of_sample_sharpe": 0.25,
            "change": -0.75,
            "in_sample_cagr": 0.3,
            "out_of_sample_cagr": -0.06,
            "efficiency": -0.2,
        }
    )
    assert changes(folds) == 2
    lost = decay_of([fold(1, (-1.0, -0.2), {"a": 1})], {"sharpe": None, "cagr": -0.4})
    assert isnan(lost["efficiency"])
    assert isnan(lost["out_of_sample_sharpe"])


def test_folds_as_a_table() -> None:
    """A column a figure and a parameter, a row a fold of each scheme."""
    frame = folds_frame({ANCHORED: [fold(1, (2.0, 0.5), {"a": 1})], ROLLING: [fold(1, (1.0, 0.5), {"b": 2}, "y")]})
    assert frame["scheme"].tolist() == [ANCHORED, ROLLING]
    assert frame["inside.sharpe"].tolist() == [2.0, 1.0]
    assert frame["x.a"].tolist()[0] == 1
    assert frame["y.b"].isna().tolist() == [True, False]


def settings_of(*more: str) -> Settings:
    """A small space and short folds."""
    return load("walkforward", [*SPACE, *DAYS, *more])


def ground_of(settings: Settings, market: Market, start: int = 200) -> Ground:
    """A market that is walked from row `start` on."""
    instrument, capital = settings.symbols[0], settings.initial_capital
    bench = bench_of(market, settings.rules, settings.costs, instrument, capital, [(start, len(market))])
    return Ground(Series(market.symbol, "1h", len(market) - start, bars_per_year(HOUR), capital), bench, "", "")


@dataclass
class Searched:
    """A course with what was tried on it; `kept`: rows that were told to be kept."""

    course: Course
    judging: Judging
    kept: list[int] = field(default_factory=list)

    @property
    def marks(self) -> Marks:
        """Of the trainings."""
        return self.judging.marks

    def walked(self) -> Walked:
        """Traded and judged."""
        return walked_of(self.course, self.judging, False)


class Inline(Threads):
    """A pool of one thread, for as long as a block."""

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *_: object) -> None:
        return None


def search(settings: Settings, market: Market, start: int = 200) -> Searched:
    """Try every combination on every training."""
    kept: list[int] = []
    course = course_of(settings, ground_of(settings, market, start))
    searching, marks, where, seconds = searched(
        course, lambda benches, templates, _: Inline(benches, templates, 1), lambda _, rows: kept.extend(rows)
    )
    return Searched(course, Judging(searching, marks, Tried(searching.total, 0.01), where, seconds), kept)


MARKET = walk(2_600)


@pytest.fixture(scope="module")
def both() -> Searched:
    """Anchored and rolling over about a hundred days."""
    return search(settings_of("walkforward.scheme=both"), MARKET)


def test_every_combination_is_tried_once(both: Searched) -> None:
    """On the whole stretch and on each training, which schemes share where they are the same; each is told to be kept."""
    first = 200
    assert both.course.windows[0] == (first, first + 960)
    assert len(both.course.windows) == 2 * len(both.course.cuts[ANCHORED]) - 1
    assert sorted(both.kept) == list(range(12))
    assert both.marks.best.shape == (12, len(both.course.windows))
    assert not np.isnan(both.marks.outcomes.figures).any()


def test_marks_are_those_of_the_training_alone(both: Searched) -> None:
    """As of a pool that is given that stretch and nothing else."""
    course, window = both.course, both.course.windows[-1]
    settings, market = course.settings, course.ground.bench.market.rows(0, window[1])
    bench = bench_of(market, settings.rules, settings.costs, settings.symbols[0], settings.initial_capital, [window])
    drafts = tuple(draft for draft in both.marks.drafts if draft)
    ((_, made),) = Threads([bench], settings.templates, 1).run([Job(0, tuple(range(12)), drafts)])
    assert settings.search
    alone = Marks.on(12, settings.search, [course.series(window)])
    alone.put(range(12), replace(made, figures=np.repeat(made.figures, 2, axis=1)))
    assert np.array_equal(alone.best[:, 0], both.marks.best[:, -1], equal_nan=True)


@pytest.mark.parametrize("number", [0, 2])
def test_a_test_has_no_say_in_what_is_chosen_for_it(both: Searched, number: int) -> None:
    """With all bars from a test on replaced, that fold and those before it choose the same by the same figures; later ones need not."""
    start = both.course.cuts[ANCHORED][number].test_start
    other = Scrambler.of(MARKET, np.random.default_rng(3)).noise(start - 1)
    assert not np.array_equal(other.close[start:], MARKET.close[start:])
    scrambled = search(settings_of("walkforward.scheme=both"), other)
    for scheme in both.course.cuts:
        seen, again = (choices_of(one.course, one.marks, scheme) for one in (both, scrambled))
        assert again[: number + 1] == seen[: number + 1]
    known = [at for at, (_, stop) in enumerate(both.course.windows) if stop <= start]
    assert len(known) >= number + 1
    assert np.array_equal(scrambled.marks.best[:, known], both.marks.best[:, known], equal_nan=True)
    later = [at for at, (_, stop) in enumerate(both.course.windows) if stop > start]
    assert not np.array_equal(scrambled.marks.best[:, later], both.marks.best[:, later], equal_nan=True)


def rebuilt(one: Searched, scheme: str) -> Relay:
    """The relay of a scheme, from its choices."""
    made: dict[int, object] = {}
    templates, market, legs = one.course.settings.templates, one.course.ground.bench.market, []
    for cut, row in zip(one.course.cuts[scheme], choices_of(one.course, one.marks, scheme), strict=True):
        draft = one.marks.drafts[row]
        assert draft
        strategy = made.setdefault(row, templates[draft.strategy].make(draft.varied))
        legs.append(Leg(int(market.ts[cut.test_start]), int(market.ts[cut.test_stop - 1]), strategy))  # type: ignore[arg-type]
    return Relay(legs)


@pytest.mark.parametrize("scheme", [ANCHORED, ROLLING])
def test_the_tests_in_a_row_are_one_history(both: Searched, scheme: str) -> None:
    """From the first test's first bar to the last one's last, equity without a break, as the kernel trades the relay's signals."""
    own = replace(both.course, settings=replace(both.course.settings, rules=()))
    every = own.cuts[scheme]
    run = run_of(own, both.marks, every, choices_of(own, both.marks, scheme), False)
    relay = rebuilt(both, scheme)
    market = MARKET.rows(0, every[-1].test_stop)
    signals = ready(relay.signals(market), market, (), own.settings.symbols[0])
    terms = (own.settings.costs, own.settings.symbols[0], relay.max_leverage, own.settings.initial_capital, every[0].test_start)
    path = simulate(market, signals, *terms)
    assert run.equity["ts"].tolist() == market.ts[every[0].test_start :].tolist()
    assert run.equity["equity"].to_numpy() == pytest.approx(path.equity, rel=1e-9)
    assert run.result["trades"] == len(path.trades)
    assert run.result["trades"] > 20


def test_a_fold_has_the_figures_of_its_choice(both: Searched) -> None:
    """Inside those that it was chosen by, outside those of the test alone."""
    walked = both.walked()
    for walk_ in walked.walks:
        rows = choices_of(both.course, both.marks, walk_.scheme)
        for fold_, cut, row in zip(walk_.folds, both.course.cuts[walk_.scheme], rows, strict=True):
            draft = both.marks.drafts[row]
            assert draft
            assert fold_.parameters == draft.varied
            assert fold_.inside["sharpe"] == both.marks.best[row, both.course.windows.index(cut.train)]
            assert fold_.test_first_ts == MARKET.ts[cut.test_start]
            assert fold_.outside["total_return"] != fold_.inside["total_return"]


def test_what_a_walk_forward_says(both: Searched) -> None:
    """A backtest's figures of the first scheme, and folds, schemes, decay and verdict beside them."""
    walked = both.walked()
    result = walked.result
    assert [walk_.scheme for walk_ in walked.walks] == [ANCHORED, ROLLING] == [one["scheme"] for one in result["schemes"]]
    assert {name: result[name] for name in ("final_equity", "sharpe", "bars")} == {
        name: walked.walks[0].run.result[name] for name in ("final_equity", "sharpe", "bars")
    }
    assert len(result["folds"]) == sum(len(every) for every in both.course.cuts.values())
    assert result["decay"]["in_sample_sharpe"] == pytest.approx(np.mean([f.inside["sharpe"] for f in walked.walks[0].folds]))
    assert result["verdict"]["grade"] == walked.walks[0].verdict.grade
    assert walked.walks[0].verdict.figures["in_sample_sharpe"] == result["decay"]["in_sample_sharpe"]
    assert (result["combinations"], result["made"], result["skipped"], result["trials_ever"]) == (12, 12, 0, 12)


def test_a_training_without_a_choice_stays_flat(both: Searched) -> None:
    """And says so; where none has one, nothing is claimed."""
    at = {window: number for number, window in enumerate(both.course.windows)}
    last = both.course.cuts[ROLLING][-1]
    poor = Marks(**{**vars(both.marks), "best": both.marks.best.copy()})
    poor.best[:, at[last.train]] = nan
    walked = walked_of(both.course, replace(both.judging, marks=poor), False)
    flat = walked.walks[1].folds[-1]
    assert (flat.strategy, flat.parameters, flat.outside["total_return"], flat.outside["trades"]) == ("", {}, 0.0, 0.0)
    assert isnan(flat.inside["sharpe"])
    assert not walked.walks[1].run.equity["exposure"].to_numpy()[last.test_start - last.test_stop + 1 :].any()
    assert any(f"rolling: fold {flat.number} stays flat" in one for one in walked.result["warnings"])
    poor.best[:] = nan
    with pytest.raises(NothingMade, match="none of 12 combinations can be chosen: none traded 5 times"):
        walked_of(both.course, replace(both.judging, marks=poor), False)


def test_what_does_not_fit_together_is_skipped() -> None:
    """And counted; the others are walked."""
    one = search(settings_of("sweep.strategies.ema_trend.ema_medium=[4,20]", "walkforward.scheme=rolling"), MARKET)
    result = one.walked().result
    assert (result["combinations"], result["skipped"]) == (12, 4)
    assert "ema_fast" in result["skipped_because"]
