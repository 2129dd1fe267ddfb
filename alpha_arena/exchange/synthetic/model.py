"""The numbers of the synthetic market. Changing one makes another market: raise `version` with it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from alpha_arena.core.errors import UnknownName

MINUTES_A_DAY = 1440
MINUTES_A_YEAR = 365 * MINUTES_A_DAY


@dataclass(frozen=True, slots=True)
class Regime:
    """A state of the whole market.

    Attributes:
        probability: of a cell. drift: a day, in daily sigmas. reversal: part of the last hour's mean shock that is taken back in a minute.
        log_volatility: added to the log of sigma.
    """

    name: str
    probability: float
    drift: float
    reversal: float
    log_volatility: float


@dataclass(frozen=True, slots=True)
class Contract:
    """A perpetual swap.

    Attributes:
        anchor: price at the epoch and centre of the pull, quote currency.
        ticks_per_unit, lots_per_unit: whole numbers; the tick is 1 / ticks_per_unit, so that n / ticks_per_unit has no stray decimals.
        volatility: relative to the model's. rho: correlation of its shocks with the market's.
        own_variance: of log volatility, for each of the model's own durations. minute_volume: base currency.
    """

    symbol: str
    anchor: float
    ticks_per_unit: int
    lots_per_unit: int
    volatility: float
    rho: float
    own_variance: float
    minute_volume: float


@dataclass(frozen=True, slots=True)
class Model:
    """A market.

    Attributes:
        version: raised with any change of numbers or formulas.
        contrast: multiplies the regimes' drift and reversal.
        epoch_day: days since 1970 at which every symbol stands at its anchor; nothing is offered before.
        yearly_volatility: of a symbol of volatility 1.
        volatility: (mean duration in minutes, variance of log sigma) of the shared cells; own_volatility: durations of a symbol's own.
        slow_minutes: cells of this duration and longer count as slow for volume.
        follow, follow_minutes, reversal_minutes, pull: see `increments` and `levels`.
        jump_probability, jump_scale, jump_limit: a minute's shock is multiplied by min(scale * u^(-1/3), limit) with that probability.
        activity: (mean duration, variance) of log volume's own cells, activity_shared: the symbols' common part of that variance.
        premium: (mean duration in minutes, weight), premium_shared and premium_own: weights of common and own cells.
        momentum: (days, weight). premium_map: (y, bp).
        hours, weekdays: seasonal factors of volatility from 00 UTC and from Monday: means of |r| of the development data.
    """

    name: str
    contrast: float
    version: int = 1
    epoch_day: int = 17167
    yearly_volatility: float = 0.58
    volatility: tuple[tuple[int, float], ...] = (
        *((1, 0.04), (5, 0.05), (20, 0.07), (80, 0.09), (320, 0.06)),
        *((1280, 0.04), (5120, 0.03), (20480, 0.03), (81920, 0.04), (327680, 0.04)),
    )
    own_volatility: tuple[int, ...] = (20, 1280, 20480)
    slow_minutes: int = 5120
    jump_probability: float = 3e-4
    jump_scale: float = 4.0
    jump_limit: float = 30.0
    reversal_minutes: int = 60
    follow: float = 0.30
    follow_minutes: tuple[int, ...] = (5, 20, 80)
    pull: float = 3e-4
    regime_minutes: int = 10 * MINUTES_A_DAY
    regimes: tuple[Regime, ...] = (
        Regime("trend_up", 0.22, 0.170, 0.02, 0.0),
        Regime("trend_down", 0.20, -0.187, 0.02, 0.12),
        Regime("range", 0.30, 0.0, 0.11, -0.10),
        Regime("quiet", 0.15, 0.0, 0.08, -0.40),
        Regime("turbulent", 0.13, 0.0, 0.03, 0.40),
    )
    hours: tuple[float, ...] = (
        *(1.06, 1.09, 0.94, 0.77, 0.72, 0.73, 0.76, 0.79, 0.84, 0.80, 0.78, 0.81),
        *(0.98, 1.19, 1.49, 1.39, 1.24, 1.24, 1.14, 1.13, 1.10, 1.08, 1.03, 0.90),
    )
    weekdays: tuple[float, ...] = (1.17, 1.14, 1.14, 1.09, 1.09, 0.63, 0.74)
    activity: tuple[tuple[int, float], ...] = ((5, 0.025), (20, 0.025), (80, 0.025), (1280, 0.025), (20480, 0.025))
    activity_shared: float = 0.75
    premium: tuple[tuple[int, float], ...] = ((120, 0.25), (480, 0.25), (2880, 0.33), (14400, 0.40), (86400, 0.45))
    premium_shared: float = 0.8
    premium_own: float = 0.6
    momentum: tuple[tuple[int, float], ...] = ((3, 0.18), (10, 0.25), (30, 0.40))
    premium_map: tuple[tuple[float, float], ...] = (
        *((-3.5, -14.0), (-2.33, -7.1), (-1.645, -5.6), (-0.674, -4.63), (-0.385, -4.0), (0.0, -2.0)),
        *((0.706, 6.0), (1.645, 10.3), (2.33, 16.0), (3.09, 22.5), (4.0, 40.0)),
    )
    contracts: tuple[Contract, ...] = (
        Contract("BTC/USDT:USDT", 45000.0, 10, 10_000, 1.0, 0.985, 0.005, 20.0),
        Contract("ETH/USDT:USDT", 2500.0, 100, 1_000, 1.36, 0.95, 0.015, 270.0),
        Contract("SOL/USDT:USDT", 110.0, 100, 100, 1.75, 0.86, 0.04, 4000.0),
        Contract("XRP/USDT:USDT", 0.9, 10_000, 1, 1.55, 0.70, 0.10, 33000.0),
    )

    def contract(self, symbol: str) -> Contract:
        """The symbol's numbers.

        Raises:
            UnknownName: the market has no such symbol.
        """
        for contract in self.contracts:
            if contract.symbol == symbol:
                return contract
        raise UnknownName("symbol of the synthetic market", symbol, [c.symbol for c in self.contracts])

    @property
    def digest(self) -> str:
        """SHA-256 of every number of the model, hexadecimal: part of the data hash of a run."""
        return sha256(repr(self).encode()).hexdigest()


REALISTIC = Model("realistic", contrast=1.0)
VIVID = Model("vivid", contrast=4.0)
