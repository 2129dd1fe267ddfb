"""The synthetic market is one market, however it is asked."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpha_arena.core.errors import ConfigError, NoData, UnknownName
from alpha_arena.core.timeframes import aggregate
from alpha_arena.core.types import Candles
from alpha_arena.exchange.synthetic import REALISTIC, VIVID, Synthetic
from alpha_arena.exchange.synthetic.levels import Levels, load
from alpha_arena.exchange.synthetic.model import MINUTES_A_DAY
from alpha_arena.exchange.synthetic.premium import clamp
from alpha_arena.exchange.synthetic.volatility import minute_scale, season

DAY, MINUTE = 86_400_000, 60_000
MARKET = Synthetic()
EPOCH = MARKET.epoch_ms
START = EPOCH + 40 * DAY
SYMBOLS = [contract.symbol for contract in REALISTIC.contracts]
BTC, ETH = SYMBOLS[:2]
FIELDS = ("ts", "open", "high", "low", "close", "volume")
DIGEST = """
from hashlib import sha256
from alpha_arena.exchange.synthetic import Synthetic
m = Synthetic()
start, day = m.epoch_ms + 40 * 86_400_000, 86_400_000
total = sha256()
for symbol in ("XRP/USDT:USDT", "BTC/USDT:USDT"):
    for made in (m.bars(symbol, start + day, start + 2 * day), m.mark(symbol, start, start + day), m.index(symbol, start, start + day)):
        for name in ("ts", "open", "high", "low", "close", "volume"):
            total.update(getattr(made, name).tobytes())
    total.update(m.funding(symbol, start, start + 9 * day).rate.tobytes())
print(total.hexdigest())
"""


def same(a: Candles, b: Candles) -> bool:
    return all(getattr(a, name).tobytes() == getattr(b, name).tobytes() for name in FIELDS)


def chained(parts: list[Candles]) -> Candles:
    return Candles(*(np.concatenate([getattr(part, name) for part in parts]) for name in FIELDS))


@pytest.fixture(scope="module")
def reference() -> dict[str, Candles]:
    return {symbol: MARKET.bars(symbol, START, START + 6 * DAY) for symbol in SYMBOLS}


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SYMBOLS), st.integers(-100, 6 * 1440 * 60), st.integers(0, 3 * 1440 * 60))
def test_any_range_in_any_order_is_a_cut_of_the_same_market(reference: dict[str, Candles], symbol: str, second: int, length: int) -> None:
    """Also the causal law: a bar is the same whatever lies after it in what is asked."""
    start, end = START + second * 1000, min(START + (second + length) * 1000, START + 6 * DAY)
    start = max(start, START)
    whole = reference[symbol]
    assert same(MARKET.bars(symbol, start, end), whole[(whole.ts >= start) & (whole.ts < end)])


@pytest.mark.parametrize("make", ["bars", "mark", "index"])
def test_days_forwards_backwards_and_at_once_are_equal(make: str) -> None:
    ask = getattr(MARKET, make)
    days = [(START + i * DAY, START + (i + 1) * DAY) for i in range(20)]
    at_once = ask(ETH, START, START + 20 * DAY)
    assert same(at_once, chained([ask(ETH, *day) for day in days]))
    assert same(at_once, chained([ask(ETH, *day) for day in reversed(days)][::-1]))


def test_levels_do_not_depend_on_how_they_were_reached() -> None:
    contract = REALISTIC.contract(BTC)
    steps, leap = Levels(REALISTIC, contract, 7, None), Levels(REALISTIC, contract, 7, None)
    walked = [steps.at(REALISTIC.epoch_day + day) for day in range(70)]
    assert leap.at(REALISTIC.epoch_day + 69) == walked[69]
    assert [leap.at(REALISTIC.epoch_day + day) for day in range(70)] == walked


def test_a_day_ends_where_the_next_begins() -> None:
    bars = MARKET.bars(BTC, START, START + 3 * DAY)
    gap = np.rint((bars.open[1:] - bars.close[:-1]) * 10)
    assert np.abs(gap).max() <= 1


def digest_in_a_new_process(**environment: str) -> str:
    done = subprocess.run([sys.executable, "-c", DIGEST], env={**os.environ, **environment}, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_processes_hash_seeds_and_processors_give_the_same_bytes() -> None:
    """numpy's AVX2 and AVX-512 paths off, as on a smaller machine."""
    plain = digest_in_a_new_process(PYTHONHASHSEED="1")
    smaller = digest_in_a_new_process(PYTHONHASHSEED="2", NPY_DISABLE_CPU_FEATURES=dispatched_features())
    assert plain == smaller == "2d854df2dc189b1b0420753387aa25bc6a5376bb45db7b9806b4d121669d7cbe"


def dispatched_features() -> str:
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return " ".join(name for name in __cpu_dispatch__ if __cpu_features__.get(name))


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_prices_lie_on_the_tick_and_volumes_are_whole_lots(reference: dict[str, Candles], symbol: str) -> None:
    bars, contract = reference[symbol], REALISTIC.contract(symbol)
    for name in FIELDS[1:5]:
        prices = getattr(bars, name)
        assert (np.rint(prices * contract.ticks_per_unit) / contract.ticks_per_unit == prices).all()
    lots = np.rint(bars.volume * contract.lots_per_unit)
    assert (lots / contract.lots_per_unit == bars.volume).all()
    assert lots.min() > 0


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_bars_are_whole_and_continuous(reference: dict[str, Candles], symbol: str) -> None:
    """No gap is wider than a tick, midnight included, and about half the bars open at the last close."""
    bars = reference[symbol]
    assert (np.diff(bars.ts) == MINUTE).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    gap = np.abs(np.rint((bars.open[1:] - bars.close[:-1]) * REALISTIC.contract(symbol).ticks_per_unit))
    assert gap.max() <= 1
    assert 0.45 < (gap == 0).mean() < 0.55


def test_higher_timeframes_are_made_of_the_minutes(reference: dict[str, Candles]) -> None:
    minutes = reference[BTC]
    direct, stepped = aggregate(minutes, MINUTE, 60 * MINUTE), aggregate(aggregate(minutes, MINUTE, 15 * MINUTE), 15 * MINUTE, 60 * MINUTE)
    assert len(direct) == 6 * 24
    assert all((getattr(direct, name) == getattr(stepped, name)).all() for name in FIELDS[:5])
    assert stepped.volume == pytest.approx(direct.volume, rel=1e-12)


def test_this_market_has_these_prices() -> None:
    """Vectors: a change here is another market and needs a new version number."""
    bars = MARKET.bars(BTC, START, START + 2 * MINUTE)
    assert bars.ts.tolist() == [START, START + MINUTE]
    assert [getattr(bars, name).tolist() for name in FIELDS[1:]] == [
        [42562.6, 42564.0],
        [42570.1, 42568.3],
        [42561.7, 42507.3],
        [42564.0, 42517.0],
        [8.3004, 29.7309],
    ]
    paid = MARKET.funding(BTC, START, START + 2 * DAY)
    assert (paid.rate * 1e8).round().tolist() == [10000.0, 1316.0, 3267.0, 5275.0, 140.0, -1626.0]


def test_funding_settles_at_00_08_and_16_utc() -> None:
    paid = MARKET.funding(ETH, START + 1, START + 2 * DAY)
    assert (paid.ts % DAY // 3_600_000).tolist() == [8, 16, 0, 8, 16]
    assert (paid.ts % 3_600_000 == 0).all()
    alone = [MARKET.funding(ETH, int(ts), int(ts) + 1).rate[0] for ts in paid.ts]
    assert alone == paid.rate.tolist()


def test_funding_follows_the_premium_of_the_eight_hours_before() -> None:
    start = START + 30 * DAY
    last, index = MARKET.bars(ETH, start, start + 20 * DAY), MARKET.index(ETH, start, start + 20 * DAY)
    p = np.log(last.close / index.close).reshape(-1, 480).mean(axis=1) * 1e4
    expected = np.clip(p + np.clip(1 - p, -5, 5), -37.5, 37.5)
    paid = MARKET.funding(ETH, start + 1, start + 20 * DAY + 1)
    assert paid.rate * 1e4 == pytest.approx(expected, abs=0.02)
    assert (np.rint(paid.rate * 1e8) / 1e8 == paid.rate).all()
    assert clamp(np.array([-9.0, 3.0, 9.0]), 5.0).tolist() == [-5, 3, 5]


@pytest.mark.parametrize("make", ["mark", "index"])
def test_mark_and_index_share_the_grid_and_have_no_gaps(make: str) -> None:
    last, made = MARKET.bars(ETH, START, START + 2 * DAY), getattr(MARKET, make)(ETH, START, START + 2 * DAY)
    assert (made.ts == last.ts).all()
    assert (made.open[1:] == made.close[:-1]).all()
    assert not made.volume.any()
    assert (made.high >= np.maximum(made.open, made.close)).all()
    assert (made.low <= np.minimum(made.open, made.close)).all()


def test_the_mark_reaches_less_far_than_the_last_price() -> None:
    last, mark = MARKET.bars(BTC, START, START + 5 * DAY), MARKET.mark(BTC, START, START + 5 * DAY)
    assert (mark.high - mark.low).mean() < (last.high - last.low).mean()
    assert np.abs(np.log(mark.close / last.close)).max() < 0.01


@given(st.integers(0, 3 * DAY))
@settings(max_examples=60, deadline=None)
def test_the_running_minute_shows_what_was_passed(reference: dict[str, Candles], ms: int) -> None:
    ts = START + ms
    bar, row = MARKET.forming(BTC, ts), reference[BTC][ms // MINUTE : ms // MINUTE + 1]
    tick = MARKET.tick(BTC, ts)
    assert bar.open[0] == row.open[0]
    assert row.low[0] <= bar.low[0] <= tick.last <= bar.high[0] <= row.high[0]
    assert bar.close[0] == tick.last
    assert bar.volume[0] <= row.volume[0]
    assert tick.last in (tick.bid, tick.ask)
    assert tick.ask - tick.bid == pytest.approx(0.1)


def test_a_minute_begins_at_its_open_and_ends_as_its_bar(reference: dict[str, Candles]) -> None:
    for row in range(0, 1440, 97):
        bar, open_ms = reference[BTC][row : row + 1], START + row * MINUTE
        assert MARKET.tick(BTC, open_ms).last in (bar.open[0], *MARKET.forming(BTC, open_ms).close)
        seen = MARKET.forming(BTC, open_ms + MINUTE - 1)
        assert [getattr(seen, name)[0] for name in FIELDS[:5]] == [getattr(bar, name)[0] for name in FIELDS[:5]]


def test_nothing_lies_before_the_epoch() -> None:
    assert len(MARKET.bars(BTC, EPOCH - 9 * DAY, EPOCH)) == 0
    assert MARKET.bars(BTC, EPOCH - DAY, EPOCH + MINUTE).ts.tolist() == [EPOCH]
    assert MARKET.bars(BTC, EPOCH, EPOCH + MINUTE).open[0] == pytest.approx(45_000, abs=0.2)
    assert MARKET.funding(BTC, EPOCH - DAY, EPOCH + DAY).ts.tolist() == [EPOCH, EPOCH + DAY // 3, EPOCH + 2 * DAY // 3]
    assert MARKET.funding(BTC, EPOCH - DAY, EPOCH).ts.size == 0
    with pytest.raises(NoData, match="begins at"):
        MARKET.tick(BTC, EPOCH - 1)


def test_wrong_names_and_seeds_are_refused() -> None:
    with pytest.raises(UnknownName, match="did you mean 'BTC/USDT:USDT'"):
        MARKET.bars("BTC/USDT", START, START + DAY)
    with pytest.raises(ConfigError, match="0 to 2\\^64"):
        Synthetic(seed=-1)


def test_seeds_and_symbols_are_different_markets() -> None:
    others = [Synthetic(seed=8).bars(BTC, START, START + DAY), MARKET.bars(ETH, START, START + DAY)]
    first = np.diff(np.log(MARKET.bars(BTC, START, START + DAY).close))
    assert abs(np.corrcoef(first, np.diff(np.log(others[0].close)))[0, 1]) < 0.1
    assert np.corrcoef(first, np.diff(np.log(others[1].close)))[0, 1] > 0.7


def test_kept_sums_change_nothing_and_damage_is_noticed(tmp_path: Path) -> None:
    contract = REALISTIC.contract(BTC)
    day = REALISTIC.epoch_day + 60
    plain = Levels(REALISTIC, contract, 11, None).at(day)
    assert Levels(REALISTIC, contract, 11, tmp_path).at(day) == plain
    (kept,) = tmp_path.iterdir()
    assert load(kept).size == 60
    assert Levels(REALISTIC, contract, 11, tmp_path).at(day) == plain
    kept.write_bytes(kept.read_bytes()[:-8] + b"\0" * 8)
    assert load(kept).size == 0
    assert Levels(REALISTIC, contract, 11, tmp_path).at(day) == plain
    assert Levels(REALISTIC, contract, 12, tmp_path).at(day) != plain


def test_the_scale_is_set_in_closed_form() -> None:
    """The median minute has about a third of the mean variance; the year's volatility comes out at .58."""
    assert minute_scale(REALISTIC) == pytest.approx(0.0004553458696566209, rel=1e-12)
    assert season(REALISTIC).size == 7 * MINUTES_A_DAY


def test_regimes_appear_as_often_as_they_should() -> None:
    labels = MARKET.regime(EPOCH, EPOCH + 3650 * DAY)
    assert labels.size == 3650 * 1440
    for regime in REALISTIC.regimes:
        assert (labels[::1440] == regime.name).mean() == pytest.approx(regime.probability, abs=0.06)
    assert (MARKET.regime(START, START + DAY) == labels[40 * 1440 : 41 * 1440]).all()


def test_models_are_told_apart() -> None:
    assert REALISTIC.digest != VIVID.digest
    assert REALISTIC.digest == sha256(repr(REALISTIC).encode()).hexdigest()
    assert VIVID.contrast == 4 * REALISTIC.contrast


def test_threads_share_one_market() -> None:
    shared = Levels(REALISTIC, REALISTIC.contract(ETH), 21, None)
    days = [REALISTIC.epoch_day + day for day in (40, 3, 55, 21, 60, 1)] * 4
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(shared.at, days))
    alone = Levels(REALISTIC, REALISTIC.contract(ETH), 21, None)
    assert found == [alone.at(day) for day in days]


def test_a_day_takes_milliseconds_once_its_level_is_known() -> None:
    MARKET.bars(BTC, START, START + DAY)
    spent = []
    for _ in range(5):
        began = time.process_time()
        MARKET.bars(BTC, START, START + DAY)
        spent.append(time.process_time() - began)
    assert min(spent) < 0.05
