"""Costs and limits of a simulated trade (specs: simulation, "Inputs")."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

Rate = Annotated[float, Field(ge=0, le=0.05, allow_inf_nan=False)]
Quote = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid"))
class Costs:
    """What trading costs and which orders are too small to send.

    Attributes:
        taker_fee, maker_fee: fraction of notional.
        slippage: fraction of price against the trader on market fills; stop_slippage: the same on stops.
        min_notional: smallest order and position, quote currency.
        diff_threshold: smallest change of a held position, quote currency; diff_fraction: the same as a fraction of equity.
        maintenance_margin: fraction of notional at which a position is liquidated.
        rearm_bars: bars after a protective exit until its side may be entered again without another target between.
    """

    taker_fee: Rate
    maker_fee: Rate
    slippage: Rate
    stop_slippage: Rate
    min_notional: Quote
    diff_threshold: Quote
    diff_fraction: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    maintenance_margin: Annotated[float, Field(ge=0, lt=0.5, allow_inf_nan=False)]
    rearm_bars: Annotated[int, Field(ge=1, le=100_000)]
