"""What is the same for every run that is made again: the rows that it had read, and what has changed since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alpha_arena.backtest.folder import git_revision, market_hashes, versions
from alpha_arena.backtest.identity import ROOT, code_hash
from alpha_arena.backtest.proof import Compared, Kept, same_code, same_config, same_result, same_versions
from alpha_arena.backtest.wording import moment
from alpha_arena.core.errors import DataError
from alpha_arena.core.market import Market
from alpha_arena.core.timeframes import timeframe_ms
from alpha_arena.core.types import Funding
from alpha_arena.data.trials import times_tried
from alpha_arena.settings import Settings
from alpha_arena.wiring.backtesting import SYNTHETIC
from alpha_arena.wiring.desk import markets_of
from alpha_arena.wiring.proof import extent
from alpha_arena.wiring.searching import series_of

if TYPE_CHECKING:
    from alpha_arena.data.service import DataService

# where things lie, who does the work, and how it is shown
SHAPE_NOTHING = ("database", "outputs", "report", "monitor", "schedule", "ray", "confirm", "most_calls")
FRAMES = ("trades", "equity", "signals")


@dataclass(frozen=True, slots=True)
class Again:
    """A kept run, the settings to make it again with, and those that its command line would give now."""

    kept: Kept
    settings: Settings
    present: Settings

    @property
    def generated(self) -> bool:
        """Whether the candles were not real."""
        return any(SYNTHETIC in source for source in self.kept.meta["sources"].values())


def surroundings(run: Again, service: DataService) -> Iterator[Compared]:
    """Code, versions, configuration and trials, then and now; for information."""
    kept = run.kept
    yield same_code(kept, code_hash(), git_revision(ROOT.parent))
    yield same_versions(kept, versions())
    yield same_config(told(kept.config, kept.meta.get("strategies")), told(run.present.resolved, fixed(run.present)), SHAPE_NOTHING)
    yield trials(kept, run.settings, service)


def told(config: Mapping[str, Any], searched: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A configuration, of a search with the parameters of its strategies that are not varied."""
    return {**config, "searched": searched} if searched else config


def fixed(settings: Settings) -> dict[str, Any]:
    """Parameters that are not varied, by strategy of a search."""
    return {name: dict(template.values) for name, template in settings.templates.items()}


def trials(kept: Kept, settings: Settings, service: DataService) -> Compared:
    """How many things were tried on the same series, then and now; for information."""
    every = series_of(settings)
    now = {name: times_tried(service, every[name].symbols[0].symbol, every[name].timeframe) for name in kept.meta["trials"]}
    words = {name: name if name.endswith(every[name].timeframe) else f"{name} {every[name].timeframe}" for name in now}
    said = "; ".join(f"{words[name]}: {then:,} when it was made, {now[name]:,} now" for name, then in kept.meta["trials"].items())
    return Compared("trials", now == kept.meta["trials"], said, binding=False)


def read_again(kept: Kept, settings: Settings, service: DataService) -> dict[str, Market]:
    """The rows of each series up to the last bar and the last settlement that were read; that of the last close often comes after its bar.

    Raises:
        NoData: none are stored any more. DataError: the configuration names other series than were read.
    """
    every, read = series_of(settings), {}
    if set(every) != set(kept.meta["read"]):
        raise DataError(f"{kept.path} was configured for {', '.join(every)} and has read {', '.join(kept.meta['read'])}; it was changed")
    for name, own in every.items():
        then = kept.meta["read"][name]
        market = markets_of(own, service, then["last_ts"] + timeframe_ms(own.timeframe))[own.symbols[0].symbol]
        read[name] = settled_by(market, then["settled_ts"])
    return read


def settled_by(market: Market, ts: int) -> Market:
    """A market as it was when the settlement at `ts` was the newest, ms."""
    known = int(np.searchsorted(market.funding_ts, ts, side="right"))
    return Market.of(market.symbol, market.bar_ms, market.candles, Funding(market.funding_ts[:known], market.funding_rate[:known]))


def same_data(kept: Kept, read: Mapping[str, Market]) -> Iterator[Compared]:
    """Candles and settlements of each series, by their hashes."""
    now = market_hashes(read)
    for kind, by_series in kept.meta["sha256"].items():
        for name, digest in by_series.items():
            same = now[kind].get(name) == digest
            rows = extent(read[name])
            said = f"{name}: {stretch(rows)}" if same else f"{name} is not what was read: {changed(kept.meta['read'][name], rows)}"
            yield Compared(kind, same, said)


def stretch(rows: Mapping[str, int]) -> str:
    """How much of a market there is, in words."""
    return f"{rows['bars']:,} bars from {moment(rows['first_ts'])} to {moment(rows['last_ts'])}, {rows['settlements']:,} settlements"


def changed(then: Mapping[str, int], now: Mapping[str, int]) -> str:
    """What a market was and is."""
    return f"{stretch(then)} then, {stretch(now)} now" if dict(then) != dict(now) else f"{stretch(now)} as then, but with other values"


def compared_result(kept: Kept, made: Mapping[str, Any]) -> Compared:
    """result.json beside the same figures made again; one that cannot be read differs."""
    try:
        return same_result(kept.result, made)
    except DataError as error:
        return Compared("result", False, str(error))
