"""A run made again from its folder and the database, and laid beside what the folder holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpha_arena.backtest.folder import market_hashes
from alpha_arena.backtest.proof import Compared, Kept, same_frame, untouched
from alpha_arena.core.errors import AlphaArenaError, ConfigError, DataError
from alpha_arena.core.timeframes import timeframe_ms
from alpha_arena.settings import ExchangeChoice, Settings, load
from alpha_arena.settings.environment import MASK
from alpha_arena.settings.laboratory import Verify
from alpha_arena.settings.rebuild import rebuilt
from alpha_arena.wiring.advising import connected, replayed
from alpha_arena.wiring.again import FRAMES, Again, compared_result, read_again, same_data, surroundings
from alpha_arena.wiring.arena_again import arena_again, contest_again
from alpha_arena.wiring.backtesting import Progress, details_of, simulate
from alpha_arena.wiring.judging import deflated
from alpha_arena.wiring.search_again import ever_of, sweep_again, walk_again

if TYPE_CHECKING:
    from alpha_arena.data.service import DataService

# what meta.json says of a command's runs beside that of all
OWN = {"backtest": ("detail",), "sweep": ("strategies",), "walkforward": ("strategies",)}


def kept_run(settings: Settings) -> Kept:
    """The folder that is to be verified.

    Raises:
        ConfigError: none is named. DataError: it is not that of a whole run. AlphaArenaError: of a command whose runs are not made again.
    """
    action = settings.action
    if not isinstance(action, Verify) or not action.run:
        raise ConfigError("verify.run=null names no run; give its folder: alpha-arena verify outputs/backtest/NAME")
    kept = Kept.of(Path(action.run).expanduser())
    command = kept.meta["command"]
    if command not in MADE_AGAIN:
        raise AlphaArenaError(f"{kept.path} is a run of {command}; verify makes runs of {', '.join(MADE_AGAIN)} again")
    if not {"read", "sources", "trials", "deviation", *OWN.get(command, ())} <= set(kept.meta):
        raise DataError(f"{kept.path} is of a version that did not keep what its {command} had read; make the run again")
    return kept


def again(kept: Kept, asked: Settings) -> Again:
    """How to make a run again: with the values of its config.yaml, from the source that it had read.

    The database is the run's own, unless the command that asks names another.

    Raises:
        ConfigError: the configuration does not fit this version any more, or a file that it needs is gone.
    """
    command, stored, overrides = kept.meta["command"], kept.config, kept.overrides
    if command == "arena":
        return contest_again(kept, database_of(stored, asked))
    made = rebuilt(command, overrides, stored)
    source = made.exchange or source_of(kept.meta["sources"])
    pinned = replace(made, exchange=source, database_url=database_of(stored, asked), confirm=True)
    return Again(kept, pinned, load(command, overrides))


def source_of(sources: Mapping[str, str]) -> ExchangeChoice | None:
    """The one source that was read where none had to be named, so that another that came later is not; None where there were several."""
    names = set(sources.values())
    return ExchangeChoice(names.pop(), "file", {}, object) if len(names) == 1 else None


def database_of(stored: Mapping[str, Any], asked: Settings) -> str:
    """The address of the database to read."""
    own = str(stored["database"]["url"])
    named = any(text.startswith(("database.url=", "database=")) for text in asked.overrides)
    return asked.database_url if named or MASK in own else own


def verified(run: Again, service: DataService, told: Progress | None = None) -> list[Compared]:
    """Every part of a run beside what it is now.

    Raises:
        NoData: the rows are not stored any more. DataError: a file was changed so that the run cannot be made again.
    """
    files = untouched(run.kept)
    try:
        return [files, *MADE_AGAIN[run.kept.meta["command"]](run, service, told)]
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        if files.same:
            raise
        raise DataError(f"{run.kept.path} cannot be made again, {files.said}; take it from a copy or make the run again") from error


def backtest_again(run: Again, service: DataService, told: Progress | None) -> Iterator[Compared]:
    """A backtest: what has changed and the data, then figures and frames, on the bars that were simulated."""
    kept, made = run.kept, run.settings
    settings = replace(made, start_ms=kept.meta["start_ts"], end_ms=kept.meta["end_ts"] + timeframe_ms(made.timeframe), limit=None)
    yield from surroundings(run, service)
    read = read_again(kept, settings, service)
    yield from same_data(kept, read)
    shorter = details_of(settings, service)
    yield from same_details(kept, market_hashes(shorter)["candles"])
    simulated = deflated(simulate(connected(replayed(settings), service, "backtest"), read, run.generated, told, shorter), ever_of(kept))
    yield compared_result(kept, simulated.result)
    for name in FRAMES:
        yield same_frame(kept, name, getattr(simulated, name))


def same_details(kept: Kept, now: Mapping[str, str]) -> Iterator[Compared]:
    """Shorter bars that decided what came first within a bar, where there were any."""
    for symbol, digest in kept.meta["detail"].items():
        same = now.get(symbol) == digest
        yield Compared("detail", same, f"{symbol} is what was read" if same else f"{symbol} is not what was read within the bars")


MADE_AGAIN: Mapping[str, Callable[[Again, DataService, Progress | None], Iterator[Compared]]] = {
    "backtest": backtest_again,
    "sweep": sweep_again,
    "walkforward": walk_again,
    "arena": arena_again,
}

__all__ = ["Again", "again", "kept_run", "verified"]
