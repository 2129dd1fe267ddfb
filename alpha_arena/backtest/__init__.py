"""Simulation of the past. The package is itself the call of a notebook: `alpha_arena.backtest(frame, "ema_trend")`."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from alpha_arena.backtest.result import Run


class CallablePackage(ModuleType):
    """A package that can be called, since the folder and the notebook's function bear one name."""

    def __call__(self, frame: pd.DataFrame, strategy: str = "ema_trend", funding: pd.DataFrame | None = None, **overrides: Any) -> Run:
        """See `alpha_arena.wiring.backtest`, which stands above this package and is looked up when called."""
        run: Run = import_module("alpha_arena.wiring").backtest(frame, strategy, funding, **overrides)
        return run


sys.modules[__name__].__class__ = CallablePackage
