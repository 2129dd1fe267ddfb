"""The enabled strategies and the regime model, looked at for bias on stored candles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alpha_arena.backtest.bias import Finding, examine, of_regime, of_strategy
from alpha_arena.core.errors import ConfigError
from alpha_arena.settings import Settings
from alpha_arena.settings.laboratory import Check
from alpha_arena.wiring.backtesting import Progress, part_of, window
from alpha_arena.wiring.desk import markets_of

if TYPE_CHECKING:
    from alpha_arena.data.service import DataService


def look_for_bias(settings: Settings, service: DataService, told: Progress = lambda done, total: None) -> list[Finding]:
    """Findings by symbol, then strategy, the regime model last.

    Args:
        told: (cuts done, cuts in all).

    Raises:
        NoData: too few bars are stored. ConfigError: the settings are those of another command.
    """
    action = settings.action
    if not isinstance(action, Check):
        raise ConfigError(f"{settings.command} has no settings to look for bias by; use alpha-arena check")
    every = markets_of(settings, service, settings.end_ms)
    markets = part_of(every, window(every, settings.start_ms, settings.limit)).values()
    subjects = [*(of_strategy(name, strategy) for name, strategy in settings.strategies.items()), of_regime(settings.regime)]
    steps = Steps(
        len(subjects) * len(markets) * action.cuts * (("lookahead" in action.kinds) + bool({"warmup", "start"} & {*action.kinds})), told
    )
    return [
        one
        for market in markets
        for subject in subjects
        for one in examine(subject, market, action.kinds, action.cuts, settings.seed, steps)
    ]


class Steps:
    """Counts calls, and tells of each."""

    def __init__(self, total: int, told: Progress) -> None:
        self.done, self.total, self.told = 0, total, told

    def __call__(self) -> None:
        self.done += 1
        self.told(self.done, self.total)
