"""A model in backtest and trade without a network: a stored market, clocks that stand, a run of a model at an address."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alpha_arena.backtest.result import Run
from alpha_arena.core.types import Candles
from alpha_arena.data.service import DataService
from alpha_arena.settings import load
from alpha_arena.wiring import run_backtest

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
HOUR = 3_600_000
START = 1_704_067_200_000
BARS = 900
KEY = "sk-a-key-that-nobody-sees"
OPENED: list[str] = []
WATCHED = [False]


def watch(event: str, _: object) -> None:
    """Note every socket that is made while somebody watches."""
    if WATCHED[0] and event == "socket.__new__":
        OPENED.append(event)


sys.addaudithook(watch)


@contextmanager
def no_socket() -> Iterator[None]:
    """Nothing within the block makes a socket."""
    OPENED.clear()
    WATCHED[0] = True
    try:
        yield
    finally:
        WATCHED[0] = False
    assert OPENED == []


class Now:
    """A clock that stands."""

    def now_ms(self) -> int:
        """A minute after the last close."""
        return START + BARS * HOUR + 60_000


class At:
    """A clock that stands a minute after a bar's close."""

    def __init__(self, bar: int) -> None:
        self.bar = bar

    def now_ms(self) -> int:
        """As said."""
        return START + (self.bar + 1) * HOUR + 60_000


def one_key(patch: pytest.MonkeyPatch) -> None:
    """One provider has a key."""
    for name in ("OPENAI_API_KEY", "DASHSCOPE_API_KEY", "MOONSHOT_API_KEY", "OPENROUTER_API_KEY", "LLM_PROVIDER"):
        patch.delenv(name, raising=False)
    patch.setenv("DEEPSEEK_API_KEY", KEY)


def stored(folder: Path) -> Iterator[DataService]:
    """A database with a market in it."""
    rng = np.random.default_rng(5)
    close = 40_000 * np.exp(np.cumsum(rng.normal(0, 0.006, BARS)))
    open_ = np.r_[40_000.0, close[:-1]]
    high, low = np.maximum(open_, close) * 1.002, np.minimum(open_, close) * 0.998
    with closing(DataService(f"sqlite:///{folder / 'arena.db'}")) as made:
        made.upgrade()
        candles = Candles(START + np.arange(BARS) * HOUR, open_, high, low, close, rng.lognormal(3, 0.5, BARS))
        made.write_candles("file", BTC, "1h", candles)
        yield made


def backtest(service: DataService, url: str, *overrides: str) -> Run:
    """Of a model at an address."""
    return run_backtest(load("backtest", ["decision=llm", f"llm.base_url={url}", *overrides]), service)


def left(run: Run) -> dict[str, Any]:
    """All that a run leaves, the seconds that it took aside."""
    frames = {name: getattr(run, name).to_json(double_precision=15) for name in ("trades", "equity", "signals", "fills")}
    return {**frames, "result": {k: v for k, v in run.result.items() if k != "seconds"}}
