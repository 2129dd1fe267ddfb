"""Does a strategy know what it cannot know: later rows, more history than it says, or on which bar the history happens to begin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from alpha_arena.backtest.scramble import COLUMNS, Scrambler
from alpha_arena.backtest.wording import moment
from alpha_arena.core.errors import DataError, NoData
from alpha_arena.core.market import Market
from alpha_arena.core.ports import RegimeModel, Strategy
from alpha_arena.core.types import Bools, Ints

Kind = Literal["lookahead", "warmup", "start"]
Outputs = Mapping[str, NDArray[Any]]
Compute = Callable[[Market], Outputs]

# relative; sums over arrays of another length are rounded otherwise
TOLERANCE = 1e-9
LEAST_BARS = 100
# the newest bars, so that a long history takes seconds as well
MOST_BARS = 20_000
# a regime model is slower, and of these no row is without a regime for long
MOST_REGIME_BARS = 8_000
# fewer bars cannot tell a slow indicator from one that never forgets its first bar
ENOUGH_BARS = 5_000
TOLERATED_SHARE = 0.05
LADDER = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
# cuts at which it is looked for the column
NAMED = 25
LENGTH, NOISE, SCRAMBLE = "length", "noise", "scramble"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is examined.

    Attributes:
        compute: its outputs by name over a market, each of shape [T].
        lookback: bars before the first row that equals that on any longer history; 0 where all history matters.
        most: so many of the newest bars are looked at.
    """

    name: str
    compute: Compute
    lookback: int = 0
    most: int = MOST_BARS


@dataclass(frozen=True, slots=True)
class Finding:
    """What one examination has shown.

    Attributes:
        strategy: or the regime model. detail: what was found, one sentence.
        column: of the market, the one that leaks; "" where none does. outputs: those that moved.
        row: one that is wrong, counted over the bars that were examined; ts: its bar's open, ms UTC; None where none is.
    """

    strategy: str
    symbol: str
    kind: Kind
    ok: bool
    detail: str
    column: str = ""
    outputs: tuple[str, ...] = ()
    row: int | None = None
    ts: int | None = None


@dataclass(frozen=True, slots=True)
class Leak:
    """Rows that a change after row t moved, though they are not after it. outputs: first moved row by output."""

    change: str
    t: int
    outputs: Mapping[str, int]

    @property
    def row(self) -> int:
        """The first row that moved."""
        return min(self.outputs.values())

    @property
    def reach(self) -> int:
        """Bars ahead that the first moved row looks, at least."""
        return self.t + 1 - self.row


def of_strategy(name: str, strategy: Strategy) -> Subject:
    """A strategy's signals."""
    return Subject(name, lambda market: columns_of(strategy.signals(market), len(market), name), strategy.lookback)


def of_regime(model: RegimeModel) -> Subject:
    """The regime of each bar and the indicators behind it."""
    return Subject("regime", lambda market: columns_of(model.classify(market), len(market), "regime"), most=MOST_REGIME_BARS)


def columns_of(made: Any, rows: int, name: str) -> Outputs:
    """The arrays of a dataclass by name.

    Raises:
        DataError: one has not a row for each bar.
    """
    columns = {item.name: getattr(made, item.name) for item in fields(made)}
    for output, values in columns.items():
        if values.shape != (rows,):
            raise DataError(f"{name} gives {output} of shape {values.shape} for {rows} bars; give one row for each")
    return columns


def differs(ours: NDArray[Any], theirs: NDArray[Any], tolerance: float = TOLERANCE) -> Bools:
    """Rows in which two arrays are not the same, NaN being equal to NaN; tolerance is relative."""
    same: Bools = np.isclose(ours, theirs, rtol=tolerance, atol=0.0, equal_nan=True)
    return ~same


def examine(
    subject: Subject, market: Market, kinds: Sequence[Kind], cuts: int, seed: int, told: Callable[[], None] = lambda: None
) -> Iterator[Finding]:
    """All that is found in one strategy on the newest bars of one market.

    Args:
        cuts: rows at which history is cut. told: called after each cut.

    Raises:
        NoData: fewer than LEAST_BARS bars.
    """
    part = market.rows(max(0, len(market) - subject.most), len(market))
    if len(part) < LEAST_BARS:
        raise NoData(
            f"{len(part)} bars of {market.symbol} are too few to look for bias in; ingest at least {LEAST_BARS}, some thousands are better"
        )
    rng = np.random.default_rng(seed)
    whole = subject.compute(part)
    if "lookahead" in kinds:
        rows = cut_rows(whole, cuts, rng)
        yield from leak_findings(subject.name, part, rows, list(leaks(subject.compute, part, rows, rng, told=told)))
    if "warmup" in kinds or "start" in kinds:
        starts = np.unique(rng.integers(1, len(part) // 4, cuts))
        found = restarts(subject.compute, part, starts, told=told)
        yield from (warmup_finding(subject, part, found) for kind in kinds if kind == "warmup")
        yield from (start_finding(subject, part, found) for kind in kinds if kind == "start")


def cut_rows(whole: Outputs, cuts: int, rng: np.random.Generator) -> Ints:
    """Rows to cut after: half of them anywhere, half where the first output changes, since there a leak shows most."""
    first = next(iter(whole.values()))
    changes = np.flatnonzero(differs(first[1:-1], first[:-2])) + 1
    anywhere = rng.integers(1, first.size - 1, cuts - min(changes.size, cuts // 2))
    return np.unique(np.r_[anywhere, rng.choice(changes, min(changes.size, cuts // 2), replace=False)])


def leaks(
    compute: Compute,
    market: Market,
    rows: Ints,
    rng: np.random.Generator,
    tolerance: float = TOLERANCE,
    told: Callable[[], None] = lambda: None,
) -> Iterator[Leak]:
    """What changes after a row and moves a row that is not after it.

    After each of the rows history ends, goes on as noise, or has every column scrambled; where one of these moves an earlier row, each
    column is scrambled alone, at NAMED rows at most.
    """
    whole, other, named = compute(market), Scrambler.of(market, rng), 0
    for t in map(int, rows):
        every: dict[str, Callable[[int], Market]] = {LENGTH: market.upto, NOISE: other.noise, SCRAMBLE: other.every}
        moved = list(_moved(compute, whole, every, t, tolerance))
        yield from moved
        if moved and named < NAMED:
            named += 1
            alone = {name: partial(other.column, name) for name in COLUMNS}
            yield from _moved(compute, whole, alone, t, tolerance)
        told()


def _moved(compute: Compute, whole: Outputs, changes: Mapping[str, Callable[[int], Market]], t: int, tolerance: float) -> Iterator[Leak]:
    for change, changed in changes.items():
        moved = moved_rows(compute(changed(t)), whole, t + 1, tolerance)
        if moved:
            yield Leak(change, t, moved)


def moved_rows(ours: Outputs, theirs: Outputs, stop: int, tolerance: float) -> dict[str, int]:
    """The first row before `stop` that differs, by output; outputs without one are left out."""
    moved = {}
    for name, values in ours.items():
        if not np.array_equal(values[:stop], theirs[name][:stop], equal_nan=True):
            rows = np.flatnonzero(differs(values[:stop], theirs[name][:stop], tolerance))
            moved.update({name: int(rows[0])} if rows.size else {})
    return moved


def leak_findings(name: str, market: Market, rows: Ints, found: Sequence[Leak]) -> Iterator[Finding]:
    """One finding for each column that leaks; where none does alone, one for what does."""
    changes = (*COLUMNS, SCRAMBLE, NOISE, LENGTH)
    by_change = {change: kept for change in changes if (kept := [leak for leak in found if leak.change == change])}
    leaking = [change for change in COLUMNS if change in by_change] or list(by_change)[:1]
    for change in leaking:
        yield leak_finding(name, market, change, by_change[change])
    if not leaking:
        said = f"history ended, went on as noise and was scrambled after {rows.size} of {len(market):,} rows: no earlier row moved"
        yield Finding(name, market.symbol, "lookahead", True, said)


def leak_finding(name: str, market: Market, change: str, found: Sequence[Leak]) -> Finding:
    """What a column's later rows move, told by the cut at which they reach back least."""
    least, most = min(found, key=lambda leak: (leak.reach, leak.t)), max(leak.reach for leak in found)
    outputs = tuple(dict.fromkeys(output for leak in found for output in leak.outputs))
    what = {LENGTH: "where the history ends", NOISE: "what follows", SCRAMBLE: "columns together"}.get(change, change)
    ts = int(market.ts[least.row])
    said = (
        f"{what} after row {least.t:,} moves {', '.join(least.outputs)} of row {least.row:,} ({moment(ts)}), which is decided before; "
        f"found at {len(found)} cuts, reaching back {bars(least.reach)} to {bars(most)}"
    )
    return Finding(name, market.symbol, "lookahead", False, said, change if change in COLUMNS else "", outputs, least.row, ts)


def bars(count: int) -> str:
    """A number of bars in words."""
    return f"{count:,} bar{'s' if count != 1 else ''}"


@dataclass(frozen=True, slots=True)
class Restart:
    """A history that begins at row `first`; wrong: rows from there on in which it says other than the whole one, shape [T - first]."""

    first: int
    wrong: Bools

    @property
    def settled(self) -> int:
        """Bars that are needed before all later rows are the same; all of them where the last row is not."""
        rows = np.flatnonzero(self.wrong)
        return int(rows[-1]) + 1 if rows.size else 0


def restarts(
    compute: Compute, market: Market, starts: Ints, tolerance: float = TOLERANCE, told: Callable[[], None] = lambda: None
) -> list[Restart]:
    """Compare histories that begin later with the whole one, row by row and over all outputs."""
    whole, found = compute(market), []
    for first in map(int, starts):
        made = compute(market.rows(first, len(market)))
        wrong = np.logical_or.reduce([differs(values, whole[name][first:], tolerance) for name, values in made.items()])
        found.append(Restart(first, wrong))
        told()
    return found


def warmup_finding(subject: Subject, market: Market, found: Sequence[Restart]) -> Finding:
    """How many bars are needed before a shorter history says what the whole one does; wrong where that is more than is declared."""
    worst = max(found, key=lambda one: one.settled)
    ok = not subject.lookback or worst.settled <= subject.lookback
    declared = f"lookback={subject.lookback:,} is declared" if subject.lookback else "all history is declared to matter"
    few = subject.lookback >= min(one.wrong.size for one in found)
    doubt = f", which {len(market):,} bars are too few to show" if few else ""
    needed = "some rows differ to the end" if worst.settled == worst.wrong.size else f"{bars(worst.settled)} needed"
    detail = (
        f"{needed} before signals equal those on a longer history, to {TOLERANCE:g}; {declared}{doubt}; rows that differ {ladder(found)}"
    )
    row = None if ok else worst.first + worst.settled - 1
    return Finding(subject.name, market.symbol, "warmup", ok, detail, row=row, ts=opened(market, row))


def opened(market: Market, row: int | None) -> int | None:
    """A row's bar open, ms."""
    return None if row is None else int(market.ts[row])


def ladder(found: Sequence[Restart]) -> str:
    """How many rows still differ from some number of bars on, over all starts, until none does."""
    steps = [step for step in (0, *LADDER) if step < min(one.wrong.size for one in found)]
    counts = [sum(int(one.wrong[step:].sum()) for one in found) for step in steps]
    last = next((k for k, count in enumerate(counts) if not count), len(counts) - 1)
    return ", ".join(f"after {step:,}: {count:,}" for step, count in zip(steps[: last + 1], counts, strict=False))


def start_finding(subject: Subject, market: Market, found: Sequence[Restart]) -> Finding:
    """Whether the first bar is ever forgotten, judged by the last quarter of the history; starts lie in its first quarter."""
    last = len(market) // 4
    late = np.concatenate([one.wrong[-last:] for one in found])
    share, distances = float(late.mean()), [one.settled for one in found]
    never = sum(one.settled == one.wrong.size for one in found)
    ok = share <= TOLERATED_SHARE or len(market) < ENOUGH_BARS
    usual, worst = bars(int(np.median(distances))), bars(max(distances))
    spread = f"{len(found)} histories that begin at other bars: equal from {usual} on (median), {worst} (worst)"
    detail = f"{spread}; {never} differ to the end, {share:.1%} of the last quarter's rows do: {judged(share, never, len(market))}"
    most = max(found, key=lambda one: int(one.wrong[-last:].sum()))
    row = None if ok else most.first + most.settled - 1
    return Finding(subject.name, market.symbol, "start", ok, detail, row=row, ts=opened(market, row))


def judged(share: float, never: int, rows: int) -> str:
    """The verdict in words."""
    if share > TOLERATED_SHARE and rows < ENOUGH_BARS:
        return f"{rows:,} bars are too few to say whether the first bar is ever forgotten, {ENOUGH_BARS:,} are enough"
    if share > TOLERATED_SHARE:
        return "the first bar is never forgotten, so results depend on where the history happens to begin"
    return "it remembers what it did, and sometimes for long" if share or never else "the first bar is forgotten"
