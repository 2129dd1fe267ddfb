"""Small arenas over the laboratory's walk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from laboratory import BTC, HOUR, ROWS, walk

from alpha_arena.core.market import Market
from alpha_arena.core.types import Candles, Funding
from alpha_arena.settings import Settings, load
from alpha_arena.wiring.backtesting import Window, window
from alpha_arena.wiring.benchmarks import Beside, benchmarks, stages

SMALL = ("arena.traders=[ema_solo,equal_weight]", "arena.random_seeds=7")
COLUMNS = ("ts", "open", "high", "low", "close", "volume")


def arena(*overrides: str) -> Settings:
    """Of two traders and seven random ones."""
    return load("arena", [*SMALL, *overrides])


def market(candles: Candles | None = None, funding: Funding | None = None) -> dict[str, Market]:
    """The walk as a market."""
    return {BTC: Market.of(BTC, HOUR, candles or walk(ROWS, HOUR), funding)}


def torn(first: int, seed: int = 99) -> Candles:
    """The walk, from a row on another one."""
    one, other = walk(ROWS, HOUR), walk(ROWS, HOUR, seed)
    columns: Mapping[str, Any] = {name: np.concatenate([getattr(one, name)[:first], getattr(other, name)[first:]]) for name in COLUMNS}
    return Candles(**columns)


def beside_of(settings: Settings, markets: Mapping[str, Market], limit: int = 300) -> tuple[Beside, Window, Window]:
    """Benchmarks over the last bars, and the windows of training and contest."""
    train, contest = stages(markets, window(markets, None, limit), 0.3)
    return benchmarks(settings, markets, contest, train), train, contest
