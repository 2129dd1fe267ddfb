"""What a run leaves to be made again by: a backtest is counted as a trial, and every run says which rows it read from where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from alpha_arena.backtest import statistics as figures
from alpha_arena.backtest.identity import foreign_code, trial_hash
from alpha_arena.backtest.result import Run
from alpha_arena.core.market import Market
from alpha_arena.data.trials import Trial, Tried, record_trials, tried
from alpha_arena.decision.single import Single
from alpha_arena.settings import Settings
from alpha_arena.settings.build import UNHASHED
from alpha_arena.settings.components import TARGET
from alpha_arena.wiring.identity import as_numbers, parameters_hash, strategy_hash, terms_hash

if TYPE_CHECKING:
    from alpha_arena.data.service import DataService

# what shapes a backtest beside its symbol, its rows and the code
SHAPING = ("strategies", "decision", "regime", "risk", "costs", "window", "initial_capital", "equity")


def counted(run: Run, settings: Settings, service: DataService, now_ms: int, read: Mapping[str, Market], data_hash: str) -> list[Tried]:
    """Keep a run as a trial of each of its symbols; all that was ever tried on each, this one included.

    Args:
        read: the rows that it was made of, by symbol. data_hash: of these and of the shorter bars that decided within them.
    """
    record_trials(service, settings.trader, now_ms, [trial_of(run, settings, symbol, data_hash) for symbol in read])
    return [tried(service, symbol, settings.timeframe, run.result["bars"]) for symbol in read]


def searched(run: Run, settings: Settings, service: DataService, read: Mapping[str, Market], ever: Sequence[Tried]) -> dict[str, Any]:
    """What meta.json says of a search beside code and data.

    Args:
        run: what it has chosen. read: each series (`searching.series_of`). ever: all that was tried on it, by which the verdict judged.

    Returns:
        as of `origin`, and: data_hash of all series, and of each strategy the parameters that were not varied.
    """
    return {
        **origin(run, settings, service, read, ever),
        "data_hash": service.data_hash(list(read.values())),
        "strategies": {name: dict(template.values) for name, template in settings.templates.items()},
    }


def origin(run: Run, settings: Settings, service: DataService, read: Mapping[str, Market], ever: Sequence[Tried]) -> dict[str, Any]:
    """What meta.json says beside code and data: what was asked for, what was simulated, which rows were read from where, what was tried.

    Returns:
        config_hash, start_ts and end_ts (opens of the simulated bars, both in), and by series its source, how much was read of it, the
        trials ever made on it, and the deviation of their Sharpes.
    """
    return {
        "config_hash": settings.config_hash,
        "start_ts": run.result["start_ts"],
        "end_ts": run.result["end_ts"],
        "sources": {name: service.source(market.symbol, settings.source) for name, market in read.items()},
        "read": {name: extent(market) for name, market in read.items()},
        "trials": {name: one.count for name, one in zip(read, ever, strict=True)},
        "deviation": {name: one.deviation for name, one in zip(read, ever, strict=True)},
    }


def extent(market: Market) -> dict[str, int]:
    """How much there is of a market: bars, opens of the first and the last, settlements, the time of the last one (-1 without any)."""
    bars = {"bars": len(market), "first_ts": int(market.ts[0]), "last_ts": int(market.ts[-1])}
    return {**bars, "settlements": market.funding_ts.size, "settled_ts": int(market.funding_ts[-1]) if market.funding_ts.size else -1}


def trial_of(run: Run, settings: Settings, symbol: str, data_hash: str) -> Trial:
    """A run as a thing that was tried on one of its symbols."""
    nodes = settings.resolved["strategies"]
    returns = figures.returns(figures.curve(run.result["initial_capital"], run.equity["equity"].to_numpy()))
    return Trial(
        search="backtest",
        symbol=symbol,
        timeframe=settings.timeframe,
        strategy=run.name,
        parameters=nodes.get(run.name, nodes),
        config_hash=identity_of(run, settings, symbol),
        data_hash=data_hash,
        bar_sharpe=figures.bar_sharpe(returns),
        bars=returns.size,
    )


def identity_of(run: Run, settings: Settings, symbol: str) -> str:
    """A run that a search could have made is known as the search knows it; any other is a trial of its own."""
    alone = isinstance(settings.decider, Single) and len(settings.symbols) == 1
    if not alone or settings.window or settings.detail:
        return trial_hash(parts_of(run, settings, symbol))
    name, strategy = next(iter(settings.strategies.items()))
    terms = terms_hash(settings, settings.symbols[0], settings.timeframe, run.result["start_ts"], run.result["end_ts"])
    values = {key: value for key, value in settings.resolved["strategies"][name].items() if key != TARGET}
    return parameters_hash(strategy_hash(terms, name, type(strategy)), as_numbers(values))


def parts_of(run: Run, settings: Settings, symbol: str) -> dict[str, Any]:
    """Everything that a backtest was told; plugins count with their code."""
    return {
        "symbol": symbol,
        "instruments": [asdict(instrument) for instrument in settings.symbols],
        "timeframe": settings.timeframe,
        "first_ts": run.result["start_ts"],
        "last_ts": run.result["end_ts"],
        "detail": settings.detail,
        **{name: settings.resolved[name] for name in SHAPING},
        **({"llm": asked} if (asked := asked_of(settings)) else {}),
        "plugins": foreign_code([*settings.strategies.values(), settings.decider, settings.regime, *settings.rules]),
    }


def asked_of(settings: Settings) -> dict[str, Any]:
    """How a model is asked, of a trader that has one."""
    return {name: value for name, value in settings.resolved.get("llm", {}).items() if name not in UNHASHED}
