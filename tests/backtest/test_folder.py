"""The folder of a run: all of it or nothing, never over another, readable by others."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from histories import COSTS, INSTRUMENT, history
from test_run import BTC, run_of_history

from alpha_arena.backtest.folder import git_revision, installed, market_hashes, slug, stamp, write_run
from alpha_arena.backtest.kernel import simulate
from alpha_arena.backtest.record import from_simulation
from alpha_arena.backtest.report import report_html
from alpha_arena.backtest.result import Run, Terms
from alpha_arena.backtest.tables import monthly
from alpha_arena.backtest.thinning import candle_ms, extremes, merged
from alpha_arena.backtest.wording import money, number, percent, span
from alpha_arena.core.errors import StoreError
from alpha_arena.core.types import Candles

NOW = 1_706_709_909_123
FILES = {
    "config.yaml",
    "overrides.txt",
    "meta.json",
    "result.json",
    "trades.parquet",
    "equity.parquet",
    "signals.parquet",
    "report.html",
}


@pytest.fixture(scope="module")
def run() -> Run:
    """A short history in which much happens."""
    made = run_of_history(history(5, 80, 10.0))
    return Run(
        "ema trend/x",
        {"costs": {"taker_fee": 0.0005}, "key": "***"},
        made.result,
        made.trades,
        made.equity,
        made.signals,
        made.fills,
        made.markets,
    )


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder."""
    return write_run(run, tmp_path_factory.mktemp("outputs"), "backtest", NOW, ["symbol=btc", "strategy=ema_trend"])


def test_files_and_name(folder: Path) -> None:
    """outputs/<command>/<stamp>_<name>, nothing else beside it."""
    assert folder.name == "2024-01-31_14-05-09_ema_trend_x"
    assert folder.parent.name == "backtest"
    assert {path.name for path in folder.iterdir()} == FILES
    assert list(folder.parent.iterdir()) == [folder]
    assert oct(folder.stat().st_mode)[-3:] == "755"


def test_what_is_written_is_what_was_run(folder: Path, run: Run) -> None:
    """Frames, figures, configuration and overrides read back."""
    for name in ("trades", "equity", "signals"):
        pd.testing.assert_frame_equal(pd.read_parquet(folder / f"{name}.parquet"), getattr(run, name))
    assert json.loads((folder / "result.json").read_text()) == run.result
    assert yaml.safe_load((folder / "config.yaml").read_text()) == run.settings
    assert (folder / "overrides.txt").read_text() == "symbol=btc\nstrategy=ema_trend\n"


def test_meta_names_code_and_data(folder: Path, run: Run) -> None:
    """Revision (None outside a repository), versions, hashes."""
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["created_ts"] == NOW
    assert meta["created"] == "2024-01-31T14:05:09Z"
    assert meta["versions"]["numpy"] == np.__version__
    assert meta["sha256"] == market_hashes(run.markets)
    assert meta["git"] is None or re.fullmatch("[0-9a-f]{40}", meta["git"]["revision"])


def test_hashes_are_of_the_columns(run: Run) -> None:
    """ts, open, high, low, close, volume as 8 little-endian bytes a value."""
    market = run.markets[BTC]
    columns = (market.ts, market.open, market.high, market.low, market.close, market.volume)
    assert market_hashes(run.markets)["candles"][BTC] == hashlib.sha256(b"".join(c.tobytes() for c in columns)).hexdigest()


def test_given_hashes_are_kept(run: Run, tmp_path: Path) -> None:
    """Those of the rows that the database read."""
    folder = write_run(run, tmp_path, "backtest", NOW, hashes={"candles": {BTC: "ab"}, "funding": {BTC: "cd"}})
    assert json.loads((folder / "meta.json").read_text())["sha256"] == {"candles": {BTC: "ab"}, "funding": {BTC: "cd"}}


def test_a_run_never_replaces_another(run: Run, tmp_path: Path) -> None:
    """Same name, same second: a number is added."""
    names = [write_run(run, tmp_path, "backtest", NOW).name for _ in range(3)]
    assert names == ["2024-01-31_14-05-09_ema_trend_x", "2024-01-31_14-05-09_ema_trend_x_2", "2024-01-31_14-05-09_ema_trend_x_3"]


def test_nothing_is_left_of_a_run_that_could_not_be_written(run: Run, tmp_path: Path) -> None:
    """A value that YAML cannot say stops the writing; no half folder stays."""
    broken = Run("x", {"a": object()}, run.result, run.trades, run.equity, run.signals, run.fills, run.markets)
    with pytest.raises(yaml.YAMLError):
        write_run(broken, tmp_path, "backtest", NOW)
    assert list((tmp_path / "backtest").iterdir()) == []


def test_outputs_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    """A file where the folder should be: the message names the setting and the next step."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"outputs=.*cannot be written .*choose another folder"):
        write_run(run, tmp_path / "file", "backtest", NOW)


def test_names() -> None:
    """Any name makes a folder's name."""
    assert [slug(name) for name in ("a b/c", "../..", "x.y-1", "")] == ["a_b_c", "run", "x.y-1", "run"]
    assert stamp(0) == "1970-01-01_00-00-00"
    assert installed("no-such-package") is None


def test_git_revision_is_of_our_own_tree(tmp_path: Path) -> None:
    """A folder that is no repository, or inside another's, has none."""
    assert git_revision(tmp_path) is None
    assert git_revision(Path(__file__).parent) is None


def test_report_is_one_offline_page(folder: Path, run: Run) -> None:
    """No address is fetched; headline figures, months, costs and trades are on it."""
    html = (folder / "report.html").read_text(encoding="utf-8")
    own = html.replace(html[html.index("<script>") : html.index("</script>")], "")
    assert not re.search(r"""(src|href)=["']?https?:""", own)
    assert "SYNTHETIC" not in own
    for words in ("ema trend/x", "Buy and hold", "Max drawdown", "Return by month", "From gross to net", "Still open", "taker_fee"):
        assert words in own
    assert own.count('<tr class=""><td>1') + own.count('<tr class=""><td>2') >= min(len(run.trades), 200)
    assert "NaN" not in re.sub(r"<script.*?</script>", "", own, flags=re.DOTALL)


def report_of(run: Run, **changed: object) -> str:
    """The page without scripts, some figures replaced."""
    result: Mapping[str, object] = {**run.result, **changed}
    page = report_html(Run(run.name, {}, result, run.trades, run.equity, run.signals, run.fills, run.markets))
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_report_warns(run: Run) -> None:
    """Of generated candles, few trades, doubtful bars and assumed funding."""
    doubts = {"bars": 3, "left": 3, "share_of_bars": 0.04, "share_of_trades": 0.2, "gain_if_take_first": 12.5}
    page = report_of(run, synthetic=True, trades=3, ambiguous=doubts, funding_assumed=7)
    for words in ("SYNTHETIC DATA", "Only 3 closed trades", "20.0 % of the trades", "7 funding payments"):
        assert words in page


def test_report_without_trades(run: Run) -> None:
    """Says so, and shows dashes for what is not known."""
    h = history(5)
    still = simulate(h.market, type(h.signals)(*(np.zeros(80) for _ in range(4))), COSTS, INSTRUMENT, 1.0, 10_000.0)
    flat = Run.of("flat", from_simulation(still, h.market, h.signals, 10_000.0), Terms(COSTS, {BTC: INSTRUMENT}, 1.0))
    page = report_of(flat)
    assert "No trade was closed." in page
    assert "<b>–</b>" in page
    assert "the account ended flat" in page


def test_returns_by_month() -> None:
    """Compounded from close to close, the first from the capital; the year is their product."""
    ts = pd.to_datetime(["2023-11-30 23:00", "2023-12-31 23:00", "2024-01-01 00:00", "2024-01-31 00:00"]).as_unit("ms").astype("int64")
    table = monthly(pd.DataFrame({"ts": ts, "equity": [110.0, 99.0, 100.0, 108.9]}), 100.0)
    assert table.loc[2023, 11] == pytest.approx(0.1)
    assert table.loc[2023, 12] == pytest.approx(-0.1)
    assert table.loc[2024, 1] == pytest.approx(0.1)
    assert table.loc[2023, "year"] == pytest.approx(-0.01)
    assert np.isnan(table.loc[2024, 2])


def test_thinning_keeps_what_matters() -> None:
    """At most 2,000 candles of a usual length with all highs and lows; lines keep their extremes."""
    rng = np.random.default_rng(0)
    close = 100 + np.cumsum(rng.normal(size=20_424))
    ts = 1_672_531_200_000 + np.arange(close.size) * 3_600_000
    candles = Candles(ts, close, close + 1, close - 1, close, np.ones(close.size))
    length = candle_ms(ts, 3_600_000)
    thin = merged(candles, length)
    assert length == 12 * 3_600_000
    assert len(thin) <= 2000
    assert (thin.high.max(), thin.low.min(), thin.volume.sum()) == (candles.high.max(), candles.low.min(), close.size)
    assert (thin.open[0], thin.close[-1]) == (close[0], close[-1])
    rows = extremes([close, -close])
    assert len(rows) <= 2002
    assert close[rows].max() == close.max()
    assert {0, close.size - 1} <= set(rows.tolist())


def test_candles_that_are_few_or_very_many() -> None:
    """Few are drawn as they are; where no usual length is long enough, a multiple of the bar is."""
    day = 86_400_000
    assert candle_ms(np.arange(100) * day, day) == day
    assert candle_ms(np.arange(200_000) * day, day) % day == 0
    assert 200_000 / (candle_ms(np.arange(200_000) * day, day) / day) <= 2000


def test_numbers_for_people() -> None:
    """A true minus, zero without a sign, a dash for what is not known."""
    assert [number(-1234.5), number(-0.001, sign=True), number(None), percent(0.1234, 1, True)] == ["−1,234.50", "0.00", "–", "+12.3 %"]
    assert [money(1_234_567.8), span(48, 3_600_000), span(5, 3_600_000), span(None, 1)] == ["1,234,568", "2 days", "5 h", "–"]
