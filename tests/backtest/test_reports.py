"""The pages of a run, a search, a walk-forward and an arena: what comes first, what is on them, and that nothing breaks or escapes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from math import inf, nan

import numpy as np
import pandas as pd
import pytest
from histories import COSTS, INSTRUMENT
from specimens import (
    BTC,
    FIGURES,
    GRID,
    HOSTILE,
    VERDICT,
    contest_made,
    fold_made,
    found_made,
    grid_found,
    run_made,
    table_made,
    walked_made,
)
from test_run import two_symbols

from alpha_arena.backtest.board_report import race
from alpha_arena.backtest.charts import DARK, rolling_sharpe, rolling_window
from alpha_arena.backtest.distributions import MOST_BINS, bins, daily_returns
from alpha_arena.backtest.heat import MOST_VALUES, axis_of, summed
from alpha_arena.backtest.report import report_html
from alpha_arena.backtest.result import Run, Terms
from alpha_arena.backtest.search_report import search_html
from alpha_arena.backtest.statistics import sharpe
from alpha_arena.backtest.thinning import means
from alpha_arena.backtest.walk_report import walk_html

RUN = [
    *("Equity", f"Trades on {BTC}", "Return by month", "Against holding", "Rolling Sharpe", "From gross to net", "Still open at the end"),
    *("Returns by day", "Results of trades", "By market regime", "Risk", "Trading", "Trades", "How it was made"),
]
SEARCH = ("Verdict", "Objective by parameters", "All trials by Sharpe", "Best against shipped", "Best trials", "Refused trials")
WALK = ("Verdict", "Equity out of sample", "In sample against out of sample", "Chosen parameters", "Folds, anchored training")
WALK = (*WALK, "Folds, rolling training")
SECOND_STRATEGY = {"momentum": {"window": (5, 10, 20)}}


def words_of(page: str) -> str:
    """A page without scripts, style and configuration."""
    return re.sub(r"<(script|style|pre).*?</\1>", "", page, flags=re.DOTALL)


def titles(page: str) -> list[str]:
    """Headings in their order."""
    return re.findall(r"<h2[^>]*>([^<]*?) ?<", words_of(page))


def sound(page: str) -> None:
    """Nothing is loaded, every figure is a number or a dash."""
    own = re.sub(r"<script>.*?</script>", "", page, count=1, flags=re.DOTALL)
    assert not re.search(r"""(src|href|url|@import)\s*[=(]?\s*["']?(https?:)?//""", own)
    shown = re.sub("<[^>]*>", " ", words_of(page))
    assert not re.search(r"\b(nan|NaN|None|inf|null)\b", shown)


@pytest.mark.parametrize("made", [lambda: report_html(run_made()), lambda: search_html(grid_found()), lambda: walk_html(walked_made())])
def test_every_colour_of_a_chart_has_a_dark_one(made: Callable[[], str]) -> None:
    """Those of plotly's own template, which the page does not show, aside."""
    own = re.sub(r"<script>.*?</script>", "", made(), count=1, flags=re.DOTALL)
    own = re.sub(r'"template":\{"data".*?"title":\{"x":0\.05\}[^}]*\}+', "", re.sub(r"<style>.*?</style>", "", own, flags=re.DOTALL))
    used = set(re.findall(r'"(#[0-9a-fA-F]{3,8}|rgba?\([^)]*\))"', own.replace(json.dumps(DARK), "")))
    assert len(used) > 5
    assert used - DARK.keys() == set()


def test_all_of_a_run() -> None:
    """Every section is there once, in a fixed order."""
    page = report_html(run_made())
    assert titles(page) == RUN
    for text in (
        "hold at its mean size",
        "hold at its net exposure",
        "hold at its volatility",
        "Break-even cost a side",
        "Strong trend",
        "Weak trend",
        "Unknown",
    ):
        assert text in words_of(page)
    sound(page)


@pytest.mark.parametrize(
    "run", [run_made(still=True), run_made(1), run_made(2), run_made(1, still=True)], ids=["still", "one", "two", "none"]
)
def test_runs_with_little_in_them(run: Run) -> None:
    """No trade, one bar: the sections are there and say so."""
    page = report_html(run)
    assert len(titles(page)) == len(RUN)
    assert "are too few." in page or run.result["bars"] == 80
    sound(page)


def test_a_run_of_two_symbols() -> None:
    """Each has its candles, its trades and its regimes."""
    record = two_symbols()
    codes = {symbol: np.array([-1, 0, 1], np.int8) for symbol in record.markets}
    page = report_html(Run.of("two", record, Terms(COSTS, dict.fromkeys(record.markets, INSTRUMENT), 2.0), {}, codes))
    assert {"Trades on a", "Trades on b"} <= set(titles(page))
    assert words_of(page).count("Strong trend") == 2
    sound(page)


def test_a_search_begins_with_its_verdict() -> None:
    """Grade and reasons before any other panel; then all sections, then the best run's."""
    page = search_html(grid_found())
    shown, found = words_of(page), titles(page)
    assert found[0] == "Verdict"
    assert shown.index("REJECT</b>") < shown.index('class="tile"')
    for text in (
        "✓ passed",
        "✕ failed",
        "– not defined",
        "Net return",
        "Deflated Sharpe",
        "It earned 10.00 %.",
        "1 passed, 1 failed, 1 not defined",
    ):
        assert text in shown
    assert [name for name in SEARCH if name not in found] == []
    assert found.index("The best trial") < found.index("Equity") < found.index("Still open at the end")
    assert "expected best by luck 1.75" in page
    assert "1,234 ever made there" in shown
    sound(page)


def test_every_pair_of_parameters_is_mapped() -> None:
    """Three parameters are three maps, to be chosen from; one is a line; one value each is nothing to map."""
    options = re.findall("<option value=.>(.*?)</option>", search_html(grid_found()))
    assert options == ["slow × fast", "atr × fast", "atr × slow"]
    line = found_made(table_made({"ema": {"fast": (5, 9, 12)}}), {"ema": ["fast"]})
    assert re.findall("<option value=.>(.*?)</option>", search_html(line)) == ["fast"]
    alone = found_made(table_made({"ema": {"fast": (5,)}}), {"ema": ["fast"]})
    assert "Objective by parameters" not in titles(search_html(alone))


def test_shipped_parameters_beside_the_best() -> None:
    """With their figures where they were tried, and with a remark where they were not."""
    table = table_made(GRID)
    table["total_return"] = np.where((table["ema.fast"] == 9) & (table["ema.slow"] == 21) & (table["ema.atr"] == 2), 0.4321, 0.0)
    axes = {"ema": list(GRID["ema"])}
    assert "+43.2 %" in words_of(search_html(found_made(table, axes)))
    page = words_of(search_html(found_made(table, axes, settings={"strategies": {"ema": {"fast": 8, "slow": 21, "atr": 2.0}}})))
    assert "The shipped parameters were not among the trials." in page


def refused_all() -> pd.DataFrame:
    """A grid of which nothing could be made."""
    table = table_made(GRID)
    return table.assign(refused="no", **dict.fromkeys(("sharpe", *FIGURES), nan))


def test_searches_with_little_in_them() -> None:
    """All trials refused, one trial, undefined and infinite figures."""
    axes = {"ema": list(GRID["ema"])}
    none = search_html(found_made(refused_all(), axes))
    assert "No trial could be made." in none
    assert "Refused trials" in titles(none)
    sound(none)
    sound(search_html(found_made(table_made({"ema": {"fast": (5,), "slow": (21,), "atr": (1.0,)}}), axes)))
    table = table_made(GRID)
    table.loc[:5, [name for name in FIGURES if name != "fees"]] = nan
    table.loc[6, "profit_factor"] = inf
    for objective in ("sharpe", "profit_factor"):
        page = search_html(found_made(table, axes, objective=objective, verdict=replace(VERDICT, figures={})))
        assert "expected best by luck" not in page
        sound(page)


def test_a_search_of_several_strategies_and_symbols() -> None:
    """Maps of the best trial's series come first; parameters share a column."""
    table = table_made({**GRID, **SECOND_STRATEGY}, (BTC, "ETH/USDT:USDT"))
    found = found_made(table, {"ema": list(GRID["ema"]), "momentum": ["window"]})
    page = search_html(found)
    best = table.iloc[found.best]
    options = re.findall("<option value=\\d+>(.*?)</option>", page)
    assert len(options) == 2 * 3 + 2
    assert options[0].startswith(f"{best['strategy']} on {best['symbol']} 1h: ")
    assert "<th>Parameters</th>" in page
    sound(page)


def test_a_large_search_is_a_small_page() -> None:
    """A hundred thousand trials of six parameters, two of them anything between two numbers: below 8 MB."""
    rng, rows = np.random.default_rng(0), 100_000
    axes = {name: rng.uniform(0, 100, rows) if name in "ab" else rng.integers(0, 9, rows) for name in "abcdef"}
    figures = {name: rng.normal(size=rows) for name in ("sharpe", *FIGURES)}
    own = {f"ema.{name}": values for name, values in axes.items()}
    table = pd.DataFrame({"symbol": BTC, "timeframe": "1h", "strategy": "ema", **own, **figures, "refused": ""})
    page = search_html(found_made(table, {"ema": list(axes)}))
    assert len(page.encode()) < 8_000_000
    assert len(re.findall("<option value=", page)) == 15


def test_hostile_names() -> None:
    """Names, parameters, values and reasons are text, in tables, charts and data."""
    table = table_made({HOSTILE: {HOSTILE: (HOSTILE, "a"), "x": (1, 2)}}, (HOSTILE,))
    table.loc[0, "refused"] = HOSTILE
    bad = replace(VERDICT, reasons=(replace(VERDICT.reasons[0], name=HOSTILE, text=HOSTILE),))
    search = search_html(
        found_made(table, {HOSTILE: [HOSTILE, "x"]}, name=HOSTILE, verdict=bad, settings={"a": HOSTILE}, run=run_made(name=HOSTILE))
    )
    fold = replace(fold_made(1, 1.0, 0.5, **{HOSTILE: HOSTILE}), strategy=HOSTILE)
    for page in (search, walk_html(walked_made([fold], HOSTILE)), report_html(run_made(name=HOSTILE))):
        assert HOSTILE not in page
        assert "<img" not in words_of(page)
        assert "<script>alert" not in page
        sound(page)


def test_a_walk_begins_with_its_verdict() -> None:
    """That of the first scheme, then the others'; then all sections, then the stitched run's."""
    page = walk_html(walked_made())
    shown, found = words_of(page), titles(page)
    assert found[:2] == ["Verdict", "Verdict"]
    assert shown.index("anchored training") < shown.index("rolling training")
    assert [name for name in WALK if name not in found] == []
    assert found.index("Folds, rolling training") < found.index("Out of sample, anchored training") < found.index("Equity")
    assert "mean 1.30 in, −0.10 out" in shown
    sound(page)


def test_what_each_training_chose() -> None:
    """Commonest value, in how many folds, how often it changed."""
    shown = words_of(walk_html(walked_made()))
    assert "<td>fast</td><td>6</td><td>3 of 5</td><td>2</td><td>4</td>" in shown
    assert "<td>slow</td><td>21</td><td>5 of 5</td><td>1</td><td>0</td>" in shown


def test_walks_with_little_in_them() -> None:
    """One fold, none, undefined figures, another strategy in each fold."""
    other = replace(fold_made(2, nan, nan, window=5), strategy="momentum")
    for folds in ([fold_made(1, 1.0, 0.5, fast=5)], [], [fold_made(1, nan, 0.5, fast=5)], [fold_made(1, 1.0, 0.5, fast=5), other]):
        page = walk_html(walked_made(folds))
        assert [name for name in WALK if name not in titles(page)] == []
        sound(page)
    assert "momentum.window" in page


def test_bins_divide_at_zero() -> None:
    """Gains and losses never share a bar; there are not many; all values lie within."""
    values = np.random.default_rng(1).standard_t(2, 5000) / 100
    edges = bins(values)
    assert 0.0 in edges
    assert edges.size <= MOST_BINS + 3
    assert edges[0] <= values.min()
    assert values.max() <= edges[-1]
    assert bins(np.zeros(3)).tolist() == [-0.5, 0.0, 0.5]
    assert bins(np.array([0.02])).tolist() == pytest.approx([k * 0.02 / MOST_BINS for k in range(MOST_BINS + 1)])


def test_returns_of_days() -> None:
    """From the last bar of each day; bars where all lie in one."""
    run = run_made()
    values, word = daily_returns(run)
    assert word == "day"
    assert np.prod(1 + values) - 1 == pytest.approx(run.result["total_return"])
    assert values.size == (run.equity["ts"] // 86_400_000).nunique()
    assert daily_returns(run_made(2))[1] == "bar"


def test_rolling_sharpe() -> None:
    """That of the bars up to each, NaN before there are enough and where nothing varies."""
    r = np.r_[np.random.default_rng(0).normal(size=30), np.zeros(20)]
    rolled = rolling_sharpe(r, 10, 365.0)
    assert np.isnan(rolled[:9]).all()
    assert rolled[20] == pytest.approx(sharpe(r[11:21], 365.0))
    assert np.isnan(rolled[-1])
    assert (rolling_window(run_made()), rolling_window(run_made(79))) == (20, 0)


def test_cells_of_a_map() -> None:
    """Best and median of the trials that share two values; NaN where there is none; more values than can be shown are ranges."""
    x = axis_of("x", pd.Series([1, 1, 1, 2]), 2, 1)
    y = axis_of("y", pd.Series(["b", "b", "b", "a"]), "a", "c")
    best, median = summed((y, x), np.array([1.0, 5.0, 3.0, 7.0]))
    assert (x.labels, y.labels, x.best, x.shipped, y.best, y.shipped) == (("1", "2"), ("a", "b"), "2", "1", "a", None)
    assert best == pytest.approx(np.array([[nan, 7], [5, nan]]), nan_ok=True)
    assert median == pytest.approx(np.array([[nan, 7], [3, nan]]), nan_ok=True)
    many = axis_of("z", pd.Series(np.linspace(0, 30, 1000)), 30.0, 31.0)
    assert (len(many.labels), many.best, many.shipped, many.codes.max()) == (MOST_VALUES, "29.5", None, MOST_VALUES - 1)


def test_means_of_stretches() -> None:
    """Weighted by their bars they are the mean of all; few bars are kept as they are."""
    values = np.random.default_rng(0).normal(size=1001)
    starts, mean = means(values, 10)
    assert starts.size == 11
    assert np.average(mean[:-1], weights=np.diff(np.r_[starts[:-1], 1001])) == pytest.approx(values.mean())
    assert means(np.array([1.0, 2.0]))[1].tolist() == [1, 2, 2]


def test_the_race_of_an_arena_tells_who_may_remember_the_bars() -> None:
    """Its line is named so; benchmarks are named as such."""
    names = [trace.name for trace in race(contest_made("one")).data]
    assert names[2:] == ["one", "the other", "flat (benchmark)", "model (contaminated)"]
