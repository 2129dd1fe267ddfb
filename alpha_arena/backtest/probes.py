"""Whether a model remembers a market instead of reading it (specs: quant L8): a market by name, without it, mirrored, shuffled."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import nan, sqrt
from typing import Any

import numpy as np

from alpha_arena.backtest.overfitting import Interval, interval, resampled
from alpha_arena.backtest.result import Run
from alpha_arena.backtest.wording import number, percent
from alpha_arena.core.advice import ANOTHER, Advice
from alpha_arena.core.market import Market
from alpha_arena.core.types import Candles, Floats, Funding

REMEMBERS = "remembers"
NO_SIGN = "no sign of memory"
TOO_FEW = "too few decisions to tell"
Z95 = 1.959963984540054
# a model that is long (or short) more often than this does not read the market, whatever it remembers
ONE_SIDED = 0.9
NOTHING = 1e-9
Close = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as a sign of memory.

    Attributes:
        least: decisions below which nothing is said. differ: share of signs that may change with the name. flip: share of signs that must
            turn where the market is mirrored.
    """

    least: int
    differ: float
    flip: float


@dataclass(frozen=True, slots=True)
class Found:
    """What one probe came to.

    Attributes:
        compared: decisions that both worlds have. share: of them that the probe counts; low, high: its interval of 95 %.
        caught: whether it is a sign of memory, None where it cannot tell. text: in one sentence.
    """

    compared: int
    share: float
    low: float
    high: float
    caught: bool | None
    text: str


def mirrored(market: Market) -> Market:
    """The market turned upside down: 1 / price, at the first close's level; what rose falls as much, and funding is paid the other way."""
    level = float(market.close[0]) ** 2
    bars = Candles(market.ts, level / market.open, level / market.low, level / market.high, level / market.close, market.volume)
    return Market.of(market.symbol, market.bar_ms, bars, Funding(market.funding_ts, -market.funding_rate))


def shuffled(market: Market, first: int, block: int, draw: np.random.Generator) -> Market:
    """Blocks of bars in another order from row `first` on, each moving as it did; what came before is as it was."""
    first = max(first, 1)
    before = np.concatenate([market.close[:1], market.close[:-1]])
    blocks = [np.arange(cut, min(cut + block, len(market))) for cut in range(first, len(market), block)]
    turns = draw.permutation(len(blocks))
    # an order that changes nothing would tell nothing
    turns = np.roll(turns, 1) if (np.diff(turns) == 1).all() else turns
    order = np.concatenate([blocks[at] for at in turns]) if blocks else np.empty(0, np.int64)
    close = market.close[first - 1] * np.cumprod(market.close[order] / before[order])
    base = np.concatenate([market.close[first - 1 : first], close[:-1]])
    told = {name: base * getattr(market, name)[order] / before[order] for name in ("open", "high", "low")} | {"close": close}
    told |= {"volume": market.volume[order]}
    columns = {name: np.concatenate([getattr(market, name)[:first], values]) for name, values in told.items()}
    return Market.of(market.symbol, market.bar_ms, Candles(market.ts, **columns), Funding(market.funding_ts, market.funding_rate))


def said(advice: Sequence[Advice]) -> dict[Close, float]:
    """The exposures that a model itself wanted, by symbol and close; what it held or could not answer is left out."""
    found = {}
    for one in advice:
        told = json.loads(one.record) if one.record and one.fallback_level <= ANOTHER else {}
        if told and "total_position" in (told["parsed"] or {}):
            found[told["symbol"], told["bar_close_ts"]] = float(told["ensemble_position"])
    return found


def side(exposure: float) -> int:
    """1 long, -1 short, 0 flat."""
    return (exposure > NOTHING) - (exposure < -NOTHING)


def wilson(hits: int, n: int) -> Interval:
    """Where a share lies with 95 % confidence (Wilson 1927); NaN without any."""
    if not n:
        return Interval(nan, nan)
    share, weight = hits / n, Z95**2 / n
    middle, spread = share + weight / 2, Z95 * sqrt((share * (1 - share) + weight / 4) / n)
    return Interval((middle - spread) / (1 + weight), (middle + spread) / (1 + weight))


def by_name(named: Mapping[Close, float], anonymous: Mapping[Close, float], limits: Limits) -> Found:
    """How often a decision has another sign where the model is not told which market it is and when."""
    both = [(side(named[at]), side(anonymous[at])) for at in named.keys() & anonymous.keys()]
    other = sum(a != b for a, b in both)
    where = wilson(other, len(both))
    share = other / len(both) if both else nan
    if len(both) < limits.least:
        return Found(len(both), share, where.low, where.high, None, f"{len(both)} decisions by name and without it are too few")
    caught = where.low > limits.differ
    what = f"{percent(share, 0)} of {len(both):,} decisions have another sign where name and dates are not told"
    return Found(len(both), share, where.low, where.high, caught, f"{what}, {_bound(caught, limits.differ, 'above', 'not surely above')}")


def by_mirror(named: Mapping[Close, float], turned: Mapping[Close, float], limits: Limits) -> Found:
    """How often a decision turns where the market is turned upside down, under the same name and dates."""
    both = [(side(named[at]), side(turned[at])) for at in named.keys() & turned.keys() if side(named[at])]
    flips = sum(a == -b for a, b in both)
    where = wilson(flips, len(both))
    share = flips / len(both) if both else nan
    if len(both) < limits.least:
        return Found(len(both), share, where.low, where.high, None, f"{len(both)} decisions that could turn in a mirror are too few")
    longs = sum(a > 0 for a, _ in both) / len(both)
    if max(longs, 1 - longs) > ONE_SIDED:
        text = f"{percent(max(longs, 1 - longs), 0)} of its decisions are on one side, so that a mirrored market tells nothing"
        return Found(len(both), share, where.low, where.high, None, text)
    caught = where.high < limits.flip
    what = f"{percent(share, 0)} of {len(both):,} decisions turn where the market is mirrored"
    return Found(len(both), share, where.low, where.high, caught, f"{what}, {_bound(caught, limits.flip, 'below', 'not surely below')}")


def _bound(caught: bool, limit: float, yes: str, no: str) -> str:
    return f"{yes if caught else no} {percent(limit, 0)}"


def advantage(run: Run, exposures: Mapping[Close, float]) -> Floats:
    """What each bar's move gave to the exposure that the model had wanted just before, before costs; shape [bars]."""
    stamps = run.equity["ts"].to_numpy(np.int64)
    gained = np.zeros(stamps.size)
    for symbol, market in run.markets.items():
        moves = market.close[1:] / market.close[:-1] - 1
        wanted = [exposures.get((symbol, int(ts) + market.bar_ms), 0.0) for ts in market.ts[:-1].tolist()]
        gained[np.searchsorted(stamps, market.ts[1:])] += np.asarray(wanted) * moves
    return gained


def drawn_means(values: Floats, seed: int) -> Floats:
    """Means of resampled histories."""
    return np.concatenate([rows.mean(axis=1) for rows in resampled(values, seed)]) if values.size > 1 else np.empty(0)


def by_shuffle(real: Floats, other: Floats, seed: int) -> dict[str, Any]:
    """A model's advantage a bar on the market as it was and on the same blocks in another order, with intervals of 90 %.

    Returns:
        real, shuffled (each mean, low, high) and gone: whether an advantage that was there is not there any more.
    """
    drawn, again = drawn_means(real, seed), drawn_means(other, seed + 1)
    inside, outside = interval(drawn), interval(again)
    difference = interval(drawn - again) if drawn.size == again.size else Interval(nan, nan)
    gone = bool(inside.low > 0 and outside.low <= 0 and difference.low > 0)
    return {"real": {"mean": mean(real), **asdict(inside)}, "shuffled": {"mean": mean(other), **asdict(outside)}, "gone": gone}


def mean(values: Floats) -> float:
    """NaN for none."""
    return float(values.mean()) if values.size else nan


def difference(named: Run, anonymous: Run, seed: int) -> dict[str, float]:
    """Return by name less return without it, summed over the bars, with its interval of 90 % over resampled bars."""
    apart = named.returns - anonymous.returns
    where = interval(drawn_means(apart, seed) * apart.size)
    return {"total": float(apart.sum()), **asdict(where)}


def judged(worlds: Mapping[str, Run], limits: Limits, seed: int) -> dict[str, Any]:
    """What the probes found, and the verdict.

    Args:
        worlds: the runs named, anonymous, mirrored and shuffled.
    """
    told = {name: said(run.advice) for name, run in worlds.items()}
    names, mirror = by_name(told["named"], told["anonymous"], limits), by_mirror(told["named"], told["mirrored"], limits)
    apart = difference(worlds["named"], worlds["anonymous"], seed)
    real, other = (advantage(worlds[name], told[name]) for name in ("named", "shuffled"))
    shuffle = by_shuffle(real, other, seed)
    grade = verdict(names, mirror)
    return {
        "verdict": grade,
        "sentence": sentence(grade, names, mirror),
        "names": {**asdict(names), "return_difference": apart},
        "counterfactual": {"mirrored": asdict(mirror), "shuffled": {**shuffle, "text": shuffle_text(shuffle)}},
        "answered": {name: len(own) for name, own in told.items()},
    }


def verdict(names: Found, mirror: Found) -> str:
    """One sign is enough; where a mirror could tell nothing the verdict rests on the names alone, and the sentence says so."""
    if names.caught or mirror.caught:
        return REMEMBERS
    return TOO_FEW if names.caught is None else NO_SIGN


def sentence(grade: str, names: Found, mirror: Found) -> str:
    """The verdict with what it rests on."""
    signs = [one.text for one in (names, mirror) if one.caught]
    return f"{grade}: {'; '.join(signs or [names.text, mirror.text])}"


def shuffle_text(found: Mapping[str, Any]) -> str:
    """In one sentence."""
    real, other = (number(found[name]["mean"] * 1e4, 2) for name in ("real", "shuffled"))
    lost = "it is gone" if found["gone"] else "no advantage was lost"
    return f"its advantage is {real} bp a bar, {other} bp where blocks of bars come in another order: {lost}"
