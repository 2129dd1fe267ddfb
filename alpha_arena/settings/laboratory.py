"""What the laboratory's commands are told: the space of a search, the folds of a walk-forward, what is checked, verified and probed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked

FORBID = ConfigDict(extra="forbid")
Bars = Annotated[int, Field(ge=0, le=10_000_000, json_schema_extra={"unit": "bars"})]
Days = Annotated[float, Field(gt=0, le=20_000, allow_inf_nan=False, json_schema_extra={"unit": "days"})]
Objective = Literal["sharpe", "total_return", "calmar", "profit_factor"]


@checked(frozen=True, config=FORBID)
class Sweep:
    """conf/sweep: a space of strategy parameters, and how it is searched.

    Attributes:
        method: grid takes every combination, random draws `trials` of them, tpe lets each draw learn from those before it.
        objective: the figure by which one combination is better than another, of those with at least `least_trades` closed trades; of
            fewer it is that of a few lucky ones.
        strategies: by strategy, then parameter: a list of values, LOW..HIGH/STEP (both ends in), or LOW..HIGH, a range of numbers that
            random and tpe draw from. A strategy with an empty space is tried once.
        timeframes: None for the command's own.
        most: combinations above which confirm=true is asked for.
        keep: so many of the best are always among those that `verify` makes again.
    """

    method: Literal["grid", "random", "tpe"]
    trials: Annotated[int, Field(ge=1, le=100_000_000)]
    objective: Objective
    least_trades: Annotated[int, Field(ge=0, le=1_000_000)]
    strategies: dict[str, dict[str, Any]]
    timeframes: list[str] | None
    most: Annotated[int, Field(ge=1, le=1_000_000_000)]
    keep: Annotated[int, Field(ge=1, le=1_000)]


@checked(frozen=True, config=FORBID)
class Cluster:
    """Where a search runs.

    Attributes:
        use: auto takes Ray where more than `above_s` of one core's work is estimated, or where an address is given.
        address: local starts Ray on this machine; auto or HOST:PORT joins a cluster.
        workers: processes at once; None for one a core.
        above_s: seconds of one core.
    """

    use: Literal["auto", "always", "never"]
    address: Annotated[str, Field(min_length=1)]
    workers: Annotated[int, Field(ge=1, le=10_000)] | None
    above_s: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False, json_schema_extra={"unit": "seconds"})]


@checked(frozen=True, config=FORBID)
class WalkForward:
    """How history is cut: parameters are chosen on the bars before each test, and judged in it.

    Attributes:
        scheme: anchored training starts at the first bar, rolling training is always `train_days` long.
        purge_bars: bars before a test that no training sees, so that no trade chosen in training reaches into it.
        embargo: a further part left out, as a fraction of the bars of `train_days`.
    """

    scheme: Literal["anchored", "rolling", "both"]
    train_days: Days
    test_days: Days
    purge_bars: Bars
    embargo: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


@checked(frozen=True, config=FORBID)
class Verify:
    """run: folder of the run to make again."""

    run: str | None


@checked(frozen=True, config=FORBID)
class Check:
    """Which biases are looked for.

    Attributes:
        kinds: lookahead, warmup (bars that a strategy needs before its signals settle), start (signals that depend on the first bar).
        cuts: rows at which history is cut and computed again.
    """

    kinds: Annotated[list[Literal["lookahead", "warmup", "start"]], Field(min_length=1)]
    cuts: Annotated[int, Field(ge=1, le=100_000)]


@checked(frozen=True, config=FORBID)
class Probe:
    """How a model is asked whether it remembers.

    Attributes:
        most: calls above which confirm=true is asked for. least: decisions below which nothing is said.
        differ: share of decisions whose sign may change where name and dates are not told.
        flip: share of decisions whose sign must turn where the market is mirrored.
        block_bars: bars that stay together where the order of blocks is shuffled.
    """

    most: Annotated[int, Field(ge=1, le=100_000_000)]
    least: Annotated[int, Field(ge=1, le=1_000_000)]
    differ: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    flip: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    block_bars: Annotated[int, Field(ge=1, le=1_000_000, json_schema_extra={"unit": "bars"})]
