"""The command line: `alpha-arena COMMAND [KEY=VALUE ...]`. Nothing heavy is imported before it is known what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

from alpha_arena.core.errors import AlphaArenaError, ConfigError, UnknownName

COMMANDS = {
    "up": "everything on this machine: market, schedules, traders, API and page, until Ctrl-C",
    "backtest": "simulate stored candles; writes a folder with figures, trades, equity, signals and a report",
    "sweep": "many backtests at once over ranges of parameters, with a verdict on what the search has found",
    "walkforward": "parameters chosen on the past, judged on what follows, again and again",
    "arena": "all traders of an arena over the same stored candles, on one board with benchmarks",
    "check": "look for bias in strategies: look-ahead, warm-up, dependence on the first bar",
    "probe": "ask a model about the same closes by name, without it, mirrored and shuffled: does it remember them?",
    "verify": "verify RUN: make a run again and say what differs",
    "ingest": "store what is new of candles and funding, resuming where it stopped",
    "backfill": "store a range of candles and funding, several timeframes in one call",
    "trade": "one trading cycle on the newest closed bar",
    "sync": "apply closed bars to the accounts and mark their equity; decides nothing",
    "decide": "print a decision on the newest bar; nothing is executed or recorded",
    "loop": "ingest, trade and sync again and again, without a scheduler",
    "strategies": "list the strategies with each parameter, default, bounds and unit; on=stored shows latest signals",
    "data": "data stats | gaps | repair | check: what is stored, what is missing",
    "db": "db upgrade | browse: migrate the database, look into its tables",
    "serve": "API and page alone",
    "deploy": "register the flows with a Prefect server",
    "exchange": "the embedded exchange alone, until Ctrl-C",
    "kill": "stop all trading at once: policy=hold or flatten; trader.id= for one",
    "pause": "no new entries, of everyone or of trader.id=; exits and stops go on",
    "close": "close positions now, of everyone or of trader.id=",
    "resume": "end a pause or the kill switch",
    "doctor": "look at keys, switches, database, disk, candles and the account; each finding with its fix",
    "acknowledge": "end a trader's halt after a drawdown",
}
COMING = {
    "train": "train a reinforcement-learning agent",
    "export": "write stored data to files",
}
# commands that run until interrupted and print for themselves
LIVE = ("up", "serve", "exchange")
HELP = """alpha-arena COMMAND [KEY=VALUE ...]

{commands}

coming: {coming}

Every key of conf/ can be given as KEY=VALUE, for example
  alpha-arena backtest symbol=btc timeframe=1h strategy=breakout strategy.lookback_period=30 limit=2000
What a command takes: alpha-arena COMMAND --help. With report=json it prints exactly one JSON object on stdout.
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the process's exit code. `argv` defaults to the process's own arguments."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return dispatch(arguments)
    except AlphaArenaError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted; what was committed before stays, and the same command goes on from there", 130)
    except BrokenPipeError:
        # whoever read the output has gone; the interpreter must not complain at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 1)


def _fail(message: str, code: int) -> int:
    masked = message
    if "alpha_arena.settings.environment" in sys.modules:
        from alpha_arena.settings.environment import masked_text

        masked = masked_text(message)
    print("alpha-arena: " + " ".join(masked.split()), file=sys.stderr)
    return code


def dispatch(arguments: list[str]) -> int:
    """Find the command and run it.

    Raises:
        AlphaArenaError: wrong usage, or whatever the command could not do.
    """
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(help_text(), end="")
        return 0
    command, *rest = arguments
    if command == "--version":
        return _version()
    if command in COMING:
        raise AlphaArenaError(f"{command} ({COMING[command]}) comes with a later version; `alpha-arena --help` lists what there is")
    if command not in COMMANDS:
        raise UnknownName("command", command, [*COMMANDS, *COMING])
    from alpha_arena.commands import run_command

    return run_command(command, rest)


def _version() -> int:
    from alpha_arena import __version__

    print(f"alpha-arena {__version__}")
    return 0


def help_text() -> str:
    """All commands, a line each."""
    width = max(map(len, COMMANDS)) + 2
    commands = "\n".join(f"  {name:{width}}{summary}" for name, summary in COMMANDS.items())
    return HELP.format(commands=commands, coming=", ".join(COMING))


__all__ = ["COMING", "COMMANDS", "LIVE", "ConfigError", "main", "redirect_stdout"]

if __name__ == "__main__":
    sys.exit(main())
