"""A user's own strategy from outside the package: one Python file, one YAML."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from console import Run, one_line

from alpha_arena.core.blame import blamed
from alpha_arena.settings import load

EXTENDING = Path(__file__).resolve().parents[2] / "docs" / "extending.md"


def block(language: str, number: int = 0) -> str:
    """A code block of docs/extending.md."""
    parts = EXTENDING.read_text(encoding="utf-8").split(f"```{language}\n")[1:]
    return parts[number].split("```")[0]


@pytest.fixture
def mine(own_folder: Path) -> Iterator[Path]:
    """The folder that docs/extending.md describes; what it imports is forgotten afterwards."""
    folder = own_folder / "mine"
    (folder / "conf" / "strategy").mkdir(parents=True)
    (folder / "buy_dips.py").write_text(block("python"))
    (folder / "conf" / "strategy" / "buy_dips.yaml").write_text(block("yaml"))
    path = list(sys.path)
    yield folder
    sys.path[:] = path
    for name in ("buy_dips", "broken", "elsewhere", "smooth"):
        sys.modules.pop(name, None)


def test_it_is_chosen_listed_and_checked_as_any_other(run: Run, mine: Path) -> None:
    """The documented example, as it stands there."""
    settings = load("backtest", ["plugins=mine", "strategy=buy_dips", "strategy.bars=30"])
    assert vars(settings.strategies["buy_dips"])["bars"] == 30
    assert "buy_dips: Long after a close below" in run("strategies", "plugins=mine")[1]
    code, _, err = run("backtest", "plugins=mine", "strategy=buy_dips", "strategy.bars=1")
    assert code == 2
    one_line(err, ["strategy.bars=1", ">= 2"])
    weighted = load(
        "backtest", ["plugins=[mine]", "decision=weighted", "decision.strategies=[buy_dips,momentum]", "strategies.buy_dips.bars=9"]
    )
    assert vars(weighted.strategies["buy_dips"])["bars"] == 9


def test_it_is_backtested(run: Run, mine: Path) -> None:
    """The documented command, on a generated market."""
    assert run("backfill", "exchange=synthetic", "since_days=10")[0] == 0
    code, out, err = run("backtest", "plugins=mine", "strategy=buy_dips", "strategy.bars=30", "symbol=btc", "timeframe=1h")
    assert (code, err) == (0, "")
    assert out.startswith("buy_dips: 2")


def test_without_plugins_it_is_unknown(run: Run, mine: Path) -> None:
    """Only what is named is searched."""
    code, _, err = run("backtest", "strategy=buy_dips")
    assert code == 2
    one_line(err, ["unknown strategy 'buy_dips'"])


def test_other_modules_are_still_refused(run: Run, mine: Path) -> None:
    """The folder's own names join the list, no others."""
    code, _, err = run("backtest", "plugins=mine", "strategy._target_=subprocess.Popen")
    assert code == 2
    one_line(err, ["alpha_arena.*, buy_dips.*"])


def test_a_module_that_does_not_import_is_named(run: Run, mine: Path) -> None:
    """With Python's reason."""
    (mine / "broken.py").write_text("import nothing_of_that_name\n")
    (mine / "conf" / "strategy" / "broken.yaml").write_text("_target_: broken.Thing\n")
    code, _, err = run("backtest", "plugins=mine", "strategy=broken")
    assert code == 2
    one_line(err, ["strategy._target_=broken.Thing", "nothing_of_that_name"])


def test_a_name_of_the_standard_library_is_refused(run: Run, mine: Path) -> None:
    """It would shadow it, or be shadowed."""
    (mine / "json.py").write_text("")
    code, _, err = run("backtest", "plugins=mine")
    assert code == 2
    one_line(err, ["json", "rename it"])


def test_a_module_of_another_folder_is_not_taken_for_it(run: Run, mine: Path, own_folder: Path) -> None:
    """Two folders with one module name: the second is told, instead of running the first's code."""
    load("backtest", ["plugins=mine", "strategy=buy_dips"])
    other = own_folder / "other"
    (other / "conf" / "strategy").mkdir(parents=True)
    (other / "buy_dips.py").write_text(block("python"))
    (other / "conf" / "strategy" / "buy_dips.yaml").write_text(block("yaml"))
    code, _, err = run("backtest", "plugins=other", "strategy=buy_dips")
    assert code == 2
    one_line(err, ["in the way"])


LOWEST = "windows = np.lib.stride_tricks.sliding_window_view(market.low[:-1], self.bars)"
SPACE = (
    "{method: grid, trials: 5, objective: sharpe, least_trades: 0, timeframes: null, most: 9, keep: 2, strategies: {buy_dips: {bars: [5]}}}"
)
SMOOTH = "def lowest_of(market, bars):\n    return market.lows[bars:]\n"


@pytest.mark.parametrize("command", ["backtest", "check", "decide", "trade", "sweep"])
def test_a_strategy_that_raises_is_told_with_its_place(run: Run, mine: Path, command: str) -> None:
    """One sentence with the strategy, the error and the line of the user's file, also where that is a helper's."""
    assert run("backfill", "exchange=synthetic", "since_days=10")[0] == 0
    (mine / "smooth.py").write_text(SMOOTH)
    text = block("python").replace(LOWEST, "windows = lowest_of(market, self.bars)")
    (mine / "buy_dips.py").write_text(f"from smooth import lowest_of\n{text}")
    (mine / "conf" / "sweep").mkdir()
    (mine / "conf" / "sweep" / "buy_dips.yaml").write_text(SPACE)
    code, out, err = run(command, "plugins=mine", "strategy=buy_dips")
    assert (code, out) == (1, "")
    told = "AttributeError: 'Market' object has no attribute 'lows' (mine/smooth.py, line 2)"
    one_line(err, ["buy_dips with {'bars': 5} failed:" if command == "sweep" else "BuyDips.signals failed:", told])


def test_what_the_engine_fails_at_is_not_blamed_on_a_plugin(mine: Path) -> None:
    """A traceback is what its makers need."""
    with pytest.raises(ZeroDivisionError), blamed([mine]):
        raise ZeroDivisionError
