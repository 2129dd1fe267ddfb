"""What is traded, at what costs: contracts with their margin tiers, and how orders are filled."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from alpha_arena.core.costs import Costs
from alpha_arena.core.types import Instrument
from alpha_arena.exchange.embedded.state import ZERO

LISTED_MS = 1_573_557_408_000
FIRST_TIER = 1000
DEFAULT_LEVER = Decimal(3)


@dataclass(frozen=True, slots=True)
class MarginTier:
    """Sizes in contracts; imr, mmr: initial and maintenance margin, fractions of notional."""

    min_sz: Decimal
    max_sz: Decimal
    imr: Decimal
    mmr: Decimal
    max_lever: Decimal


def tiers(max_lever: Decimal, mmr: Decimal) -> tuple[MarginTier, ...]:
    """A ladder that begins as OKX's for BTC, 1000 contracts at `mmr` (specs: okx-wire §2.11); further steps are of our own making.

    Each is twice as large as the one before and asks for half as much again.
    """
    made, low, high, rate, lever = [], ZERO, Decimal(FIRST_TIER), mmr, max_lever
    for _ in range(8):
        made.append(MarginTier(low, high, (1 / lever).quantize(Decimal("0.0001")), rate, lever))
        low, high, rate, lever = high, high * 2, rate * Decimal("1.5"), max(lever * 2 // 3, Decimal(2))
    return tuple(made)


@dataclass(frozen=True, slots=True)
class SwapContract:
    """A linear perpetual swap: ct_val in base currency, sizes in contracts, tick in quote currency."""

    inst_id: str
    symbol: str
    uly: str
    code: int
    ct_val: Decimal
    lot_sz: Decimal
    min_sz: Decimal
    tick_sz: Decimal
    max_mkt_sz: Decimal
    max_lmt_sz: Decimal
    max_lever: Decimal
    list_ms: int
    tiers: tuple[MarginTier, ...]

    def tier(self, sz: Decimal) -> MarginTier:
        """Where a position of that size stands; beyond the ladder its last step."""
        return next((tier for tier in self.tiers if abs(sz) <= tier.max_sz), self.tiers[-1])

    def base(self, sz: Decimal) -> Decimal:
        """Contracts in base currency."""
        return sz * self.ct_val

    def contracts(self, quantity: float) -> Decimal:
        """Base currency, whole lots, in contracts."""
        lots = round(quantity / float(self.lot_sz * self.ct_val))
        return lots * self.lot_sz

    def ticks(self, price: float) -> Decimal:
        """A price on the nearest tick."""
        return (Decimal(repr(float(price))) / self.tick_sz).to_integral_value() * self.tick_sz


def inst_id(symbol: str) -> str:
    """OKX's name: BTC/USDT:USDT is BTC-USDT-SWAP."""
    return f"{symbol.partition(':')[0].replace('/', '-')}-SWAP"


def contract(instrument: Instrument, code: int = 10459, maintenance: float = 0.004) -> SwapContract:
    """The contract of an instrument as conf/symbol has it."""
    size, lever = Decimal(repr(instrument.contract_size)), Decimal(repr(instrument.max_leverage))
    lot = (Decimal(repr(instrument.lot)) / size).normalize()
    name = inst_id(instrument.symbol)
    return SwapContract(
        inst_id=name,
        symbol=instrument.symbol,
        uly=name.removesuffix("-SWAP"),
        code=code,
        ct_val=size,
        lot_sz=lot,
        min_sz=lot,
        tick_sz=Decimal(repr(instrument.tick)),
        max_mkt_sz=Decimal(12_000),
        max_lmt_sz=Decimal(100_000_000),
        max_lever=lever,
        list_ms=LISTED_MS,
        tiers=tiers(lever, Decimal(repr(maintenance))),
    )


@dataclass(frozen=True, slots=True)
class Profile:
    """How orders are filled.

    Attributes:
        name: spec fills as simulation.md says, bar by bar; market has spread, impact, participation and latency, point by point.
        costs: fees, slippage, maintenance margin, fractions.
        half_spread, impact: fractions of the price; an order as large as a point's volume moves it by `impact` (square root law).
        participation: most of a point's volume that one order takes. queue_probability: that a limit price only touched fills.
        latency_ms: until an order arrives. fills_lag_ms: until a fill is told.
        path: nearest, or pessimistic: where a bar holds both stop and take, the stop comes first.
    """

    name: str
    costs: Costs
    half_spread: float = 0.0
    impact: float = 0.0
    participation: float = 1.0
    queue_probability: float = 0.0
    latency_ms: int = 0
    fills_lag_ms: int = 0
    path: str = "nearest"

    @property
    def maker(self) -> Decimal:
        """Fraction of notional."""
        return Decimal(repr(self.costs.maker_fee))

    @property
    def taker(self) -> Decimal:
        """Fraction of notional."""
        return Decimal(repr(self.costs.taker_fee))

    @property
    def spec(self) -> bool:
        """Whether bars are played by simulation.md."""
        return self.name == "spec"
