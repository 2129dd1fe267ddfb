"""An arena's run made again: the same traders, as their files say now, on the rows that were read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING

from alpha_arena.backtest.contest import BOARD, curves
from alpha_arena.backtest.proof import Compared, Kept, read_json, same_frame, same_result
from alpha_arena.data.trials import Tried
from alpha_arena.settings import load
from alpha_arena.wiring.advising import replayed
from alpha_arena.wiring.again import Again, read_again, same_data, surroundings
from alpha_arena.wiring.arena import askings, competed, contest
from alpha_arena.wiring.backtesting import Progress, Window, window
from alpha_arena.wiring.benchmarks import upto

if TYPE_CHECKING:
    from alpha_arena.data.service import DataService


def contest_again(kept: Kept, database_url: str) -> Again:
    """How to make an arena's run again.

    Raises:
        ConfigError: a file that it needs is gone, or does not fit this version any more.
    """
    made = load("arena", kept.overrides)
    own = {name: one.resolved for trader in made.traders for name, _, one in askings(made, trader)}
    present = replace(made, resolved={**made.resolved, "contestants": own})
    traders = tuple(replace(replayed(one), database_url=database_url) for one in made.traders)
    return Again(kept, replace(made, database_url=database_url, traders=traders), present)


def arena_again(run: Again, service: DataService, told: Progress | None) -> Iterator[Compared]:
    """What has changed and the data, then the board and the curves, on the bars that were competed on; models are asked nothing.

    Traders are what their files say now: where these have changed since, the run cannot be made again, and the configuration differs.
    """
    kept, settings = run.kept, run.settings
    for one in surroundings(run, service):
        yield as_files_say(one)
    read = read_again(kept, settings, service)
    yield from same_data(kept, read)
    markets, stored = {market.symbol: market for market in read.values()}, read_json(kept.path / BOARD)
    part, train = window(markets, kept.meta["start_ts"], None), stored["training"]
    before = window(upto(markets, Window(train["first_ts"], train["last_ts"], train["bars"])), train["first_ts"], None)
    entries, beside = competed(settings, service, markets, part, before, run.generated, told)
    count, deviation = (next(iter(kept.meta[name].values())) for name in ("trials", "deviation"))
    ever = Tried(count, nan if deviation is None else deviation)
    made = contest(settings, service, markets, entries, beside, run.generated, ever)
    yield replace(same_result(stored, made.result), part="board")
    yield same_frame(kept, "curves", curves(made))


def as_files_say(one: Compared) -> Compared:
    """A part of the surroundings; a changed configuration is binding here, since traders are not kept whole."""
    if one.part != "configuration" or one.same:
        return one
    return replace(
        one, binding=True, said=one.said.replace("the run is made again with what it was", "the run cannot be made again as it was")
    )
