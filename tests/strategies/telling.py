"""Real markets, and strategies built from the shipped YAML, for the tests of strategies."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import yaml

from alpha_arena.core.market import Market
from alpha_arena.core.types import Candles, Funding

CONF = Path(__file__).resolve().parents[2] / "conf" / "strategy"
NAMES = sorted(path.stem for path in CONF.glob("*.yaml"))
HOUR_MS = 3_600_000
OKX_1H = "okx_BTC-USDT-SWAP_1h_2023-01_2025-04.parquet"
SPOT_2H = "binance_BTCUSDT-SPOT_2h_2017-08_2025-04.parquet"
FUNDING = "binance_BTCUSDT-PERP_funding_2019-09_2025-04.parquet"
JAN_2020_MS, JAN_2022_MS = 1_577_836_800_000, 1_640_995_200_000


def parameters(name: str) -> dict[str, Any]:
    """What the shipped YAML says, its target aside."""
    values = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    return {key: value for key, value in values.items() if key != "_target_"}


def component(name: str) -> Any:
    """The class that the shipped YAML names."""
    target = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))["_target_"]
    module, _, class_name = target.rpartition(".")
    return getattr(importlib.import_module(module), class_name)


def build(name: str, **changes: Any) -> Any:
    """The shipped strategy, with some parameters changed."""
    return component(name)(**{**parameters(name), **changes})


@cache
def real_market(folder: Path, file: str = OKX_1H, bar_ms: int = HOUR_MS) -> Market:
    """Candles of a file with Binance's funding."""
    table, paid = pq.read_table(folder / file), pq.read_table(folder / FUNDING)
    candles = Candles(*(table[name].to_numpy() for name in ("ts", "open", "high", "low", "close", "volume")))
    return Market.of("BTC/USDT:USDT", bar_ms, candles, Funding(paid["ts"].to_numpy(), paid["funding_rate"].to_numpy()))


def extreme_funding(folder: Path) -> Market:
    """2020 and 2021 in 2h bars: years of extreme funding."""
    market = real_market(folder, SPOT_2H, 2 * HOUR_MS)
    return market.rows(*np.searchsorted(market.ts, [JAN_2020_MS, JAN_2022_MS]).tolist())


def telling_market(folder: Path, name: str) -> Market:
    """A real market on which the strategy trades."""
    return extreme_funding(folder) if name == "funding_rate_arbitrage" else real_market(folder)
