"""What makes two trials the same, whoever makes them: a combination of a search, or a backtest of one strategy on one symbol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from alpha_arena.backtest.identity import foreign_code, trial_hash
from alpha_arena.core.ports import Strategy
from alpha_arena.core.types import Instrument
from alpha_arena.settings import Settings


def terms_hash(settings: Settings, instrument: Instrument, timeframe: str, first_ts: int, last_ts: int) -> str:
    """Everything that a trial is told beside its strategy; rules of plugins count with their code.

    Args:
        first_ts, last_ts: opens of the bars that are simulated, both in, ms UTC.
    """
    told = {"timeframe": timeframe, "first_ts": first_ts, "last_ts": last_ts, "capital": settings.initial_capital}
    told |= {"equity": settings.equity, "costs": asdict(settings.costs), "instrument": asdict(instrument)}
    own = {name: settings.resolved[name] for name in ("risk", "regime")}
    return trial_hash({**told, **own, "plugins": foreign_code(settings.rules)})


def strategy_hash(terms: str, name: str, kind: type[Strategy]) -> str:
    """Terms and a strategy, before its parameters; that of a plugin counts with its code."""
    told = {"terms": terms, "strategy": name, "class": f"{kind.__module__}.{kind.__qualname__}"}
    return trial_hash({**told, "plugins": foreign_code([kind])})


def parameters_hash(strategy: str, values: Mapping[str, Any]) -> str:
    """A trial.

    Args:
        strategy: as of strategy_hash. values: all parameters, as of `as_numbers`.
    """
    return sha256(f"{strategy} {json.dumps(values, sort_keys=True, default=str)}".encode()).hexdigest()


def as_numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with whole numbers as others, since 3 and 3.0 are the same trial."""
    return {name: float(value) if type(value) is int else value for name, value in values.items()}
