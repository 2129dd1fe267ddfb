"""What the loop works out once instead of at every bar says the same; a backtest of a frame loads no database."""

from __future__ import annotations

import gc
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpha_arena.core.funding import complete
from alpha_arena.core.market import Market
from alpha_arena.core.types import REGIMES, UNKNOWN_REGIME, Account, Candles, Funding, Position, Regimes
from alpha_arena.engine import rows_of
from alpha_arena.execution.simulated import Tape
from alpha_arena.wiring.backtesting import uncollected

BAR_MS = 10
Opens = st.lists(st.integers(0, 12), min_size=1, max_size=8, unique=True).map(lambda bars: [BAR_MS * bar for bar in sorted(bars)])
Times = st.lists(st.integers(0, 140), max_size=12, unique=True).map(sorted)


@given(opens=Opens, times=Times)
def test_settlements_by_row(opens: list[int], times: list[int]) -> None:
    """Carried are those after the last bar's span and up to the open, inside those strictly within the bar."""
    flat = np.ones(len(opens))
    funding = Funding(np.array(times, np.int64), np.zeros(len(times)))
    market = Market.of("X", BAR_MS, Candles(np.array(opens), *[flat] * 5), funding)
    tape, charged = Tape(market), complete(funding, opens[-1] + BAR_MS, BAR_MS).ts.tolist()
    for row, ts in enumerate(opens):
        start = opens[row - 1] + BAR_MS if row else 0
        assert [s.ts for s in tape.carried(row)] == [time for time in charged if start <= time <= ts]
        assert [s.ts for s in tape.inside(row)] == [time for time in charged if ts < time < ts + BAR_MS]


@given(stamps=Opens, wanted=Opens)
def test_rows_of_times(stamps: list[int], wanted: list[int]) -> None:
    """Each time's place, -1 where it is missing."""
    expected = [stamps.index(ts) if ts in stamps else -1 for ts in wanted]
    assert rows_of(np.array(wanted), np.array(stamps)) == expected


def test_names_of_regimes() -> None:
    """Of rows as of each row."""
    none = np.zeros(4)
    regimes = Regimes(np.array([-1, 0, 5, 2], np.int8), none, none, none, none, none)
    assert regimes.names(0, 4) == tuple(map(regimes.name, range(4))) == (UNKNOWN_REGIME, REGIMES[0], REGIMES[5], REGIMES[2])


def test_what_does_not_change_is_kept() -> None:
    """An account with the position that it has, and a position with its own levels, are themselves; others are not."""
    held = Position(1.0, 100.0, 90.0, 120.0, -1, 5)
    account = Account(1.0, {"X": held})
    assert held.with_levels(90.0, 120.0) is held
    assert held.with_levels(95.0, 120.0) == Position(1.0, 100.0, 95.0, 120.0, -1, 5)
    assert account.put("X", held) is account
    assert account.put("X", held, 2.0) == Account(2.0, {"X": held})


@pytest.mark.parametrize("collects", [True, False])
def test_garbage_is_collected_again(collects: bool) -> None:
    """After the block, also one that fails, as it was before."""
    before = gc.isenabled()
    try:
        (gc.enable if collects else gc.disable)()
        with pytest.raises(KeyError, match="False"), uncollected():
            raise KeyError(gc.isenabled())
        assert gc.isenabled() == collects
    finally:
        (gc.enable if before else gc.disable)()


def test_a_backtest_of_a_frame_loads_no_database() -> None:
    """Neither sqlalchemy nor what trades."""
    loaded = "{'sqlalchemy', 'alpha_arena.wiring.trading'} & set(sys.modules)"
    said = f"import sys, alpha_arena.wiring; alpha_arena.wiring.backtest; print({loaded})"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
