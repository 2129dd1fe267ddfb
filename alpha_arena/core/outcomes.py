"""What came of each decision: from its own fill to the next decision's, costs in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import fsum, isclose, nan

from alpha_arena.core.accounting import tidy
from alpha_arena.core.records import Decision
from alpha_arena.core.types import Fill, Order, Payment, Target

NEXT = "decision"
SIGNAL = "signal"
EXTERNAL = "external"
COSTS = ("penalty", "rounding")
# below this part of the strategies' own exposures their sum says nothing about who earned what
LEAST_NET = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """One decision for one symbol, from its own fill on.

    It is opened by the first fill of the decision's orders, and ended by the first fill of a later decision, or before that by a stop, a
    take, a liquidation or somebody else's order that leaves the symbol flat. A decision that changed nothing has no fill: it belongs to the
    one before it. A decision that goes flat has an outcome of its own, which is the fee of going flat. Price changes up to the ending fill
    belong to the outcome, the fee of a protective exit too; the next decision's fee belongs to the next one. Funding belongs to whatever
    runs when it is paid. What happens while no outcome runs (a payment that comes late) belongs to no decision.

    Attributes:
        bar_ts, ts: open and close of the bar that the decision was made at.
        opened_ts: open of the bar of its first fill. closed_ts: close of the bar in which it ended, when it is known; None while it runs.
        horizon_bars: bars from that of its first fill to that of its end.
        ended_by: decision, stop, take, liquidation or external; "" while it runs.
        regime: at the decision. exposure: that was decided, signed notional / equity. equity: at the decision's close, quote currency.
        parts: by strategy, which part of the result is its own; they sum to 1, and one that wanted the other side has a negative part.
        mark: price up to which gross counts. gross: profit before costs; fees, funding: positive when paid; quote currency.
    """

    symbol: str
    bar_ts: int
    ts: int
    opened_ts: int
    regime: str
    exposure: float
    equity: float
    parts: tuple[tuple[str, float], ...]
    mark: float
    gross: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    closed_ts: int | None = None
    horizon_bars: int = 0
    ended_by: str = ""

    @property
    def place(self) -> tuple[int, int, str]:
        """Where it stands among those that have ended."""
        return self.closed_ts or 0, self.bar_ts, self.symbol

    @property
    def pnl(self) -> float:
        """Net of fees and funding, quote currency."""
        return self.gross - self.fees - self.funding

    @property
    def return_(self) -> float:
        """pnl / equity at the decision's close, as of a trade; NaN without equity."""
        return self.pnl / self.equity if self.equity > 0 else nan

    def marked(self, held: float, price: float) -> Outcome:
        """With the profit of what is held (base currency, signed) up to a price."""
        return replace(self, mark=price, gross=self.gross + held * (price - self.mark))

    def ended(self, fill: Fill, why: str) -> Outcome:
        """Ended by a fill."""
        bar_ms = self.ts - self.bar_ts
        return replace(self, closed_ts=fill.ts + bar_ms, horizon_bars=(fill.ts - self.opened_ts) // bar_ms, ended_by=why)


def parts_of(target: Target) -> tuple[tuple[str, float], ...]:
    """Which part of a target is each strategy's; they sum to 1, none where none stands behind it.

    It is what a strategy adds to the exposure, as a fraction of the whole; where the strategies all but cancel out, their weights.
    """
    shares = target.shares
    own = [share.exposure for share in shares]
    weighted = [share.weight * share.exposure for share in shares]
    # a model that sizes the position gives each strategy its part of it, weighted already
    added = own if isclose(fsum(own), target.exposure, rel_tol=1e-9, abs_tol=1e-12) else weighted
    net, gross = fsum(added), fsum(map(abs, added))
    if gross and abs(net) >= LEAST_NET * gross:
        return tuple((share.strategy_id, part / net) for share, part in zip(shares, added, strict=True))
    total = fsum(share.weight for share in shares)
    return tuple((share.strategy_id, share.weight / total) for share in shares) if total else ()


def opened(decision: Decision, fill: Fill) -> Outcome:
    """The outcome that a decision's first fill opens."""
    return Outcome(
        symbol=decision.symbol,
        bar_ts=decision.bar_ts,
        ts=decision.ts,
        opened_ts=fill.ts,
        regime=decision.regime.current,
        exposure=decision.target.exposure,
        equity=decision.equity,
        parts=parts_of(decision.wanted),
        mark=fill.price,
        fees=fill.fee,
    )


def follow(running: Outcome | None, held: float, event: Fill | Payment, decision: Decision | None) -> tuple[Outcome | None, Outcome | None]:
    """What runs for a symbol after something happened there, and what that has ended.

    Args:
        running: before it. held: quantity before it, base currency, signed.
        decision: whose order a fill is of; None where it is of none, or of one whose outcome has ended.
    """
    if isinstance(event, Payment):
        return paid(running, event) if running else None, None
    now = running.marked(held, event.price) if running else None
    if decision and (now is None or decision.bar_ts > now.bar_ts):
        return opened(decision, event), now.ended(event, NEXT) if now else None
    if now is None:
        return None, None
    now = replace(now, fees=now.fees + event.fee)
    # an order of no decision is one of people: close now, the kill switch
    why = event.reason if event.reason != SIGNAL else "" if decision else EXTERNAL
    if why and not tidy(held + event.quantity):
        return None, now.ended(event, why)
    return now, None


def paid(running: Outcome, payment: Payment) -> Outcome:
    """With a payment; what is moved between accounts came of no decision."""
    if payment.kind == "funding":
        return replace(running, funding=running.funding - payment.amount)
    return replace(running, fees=running.fees - payment.amount) if payment.kind in COSTS else running


@dataclass(slots=True)
class Outcomes:
    """The outcomes of one account, followed event by event.

    Attributes:
        closed: in the order of their ends. running: by symbol. held: quantity by symbol, base currency, signed.
        decisions: by the orders that were sent for them.
    """

    closed: list[Outcome] = field(default_factory=list)
    running: dict[str, Outcome] = field(default_factory=dict)
    held: dict[str, float] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    _ended: set[tuple[str, int]] = field(default_factory=set)

    def decided(self, decisions: Sequence[Decision], orders: Sequence[Order]) -> None:
        """Decisions of one close with their orders."""
        made = {decision.symbol: decision for decision in decisions}
        self.decisions |= {order.id: made[order.symbol] for order in orders}

    def happened(self, event: Fill | Payment) -> None:
        """A fill or payment, in the order of what happened."""
        symbol = event.symbol
        held, decision = self.held.get(symbol, 0.0), None
        if isinstance(event, Fill):
            self.held[symbol] = tidy(held + event.quantity)
            decision = self.decisions.get(event.order_id)
            if decision and (symbol, decision.bar_ts) in self._ended:
                decision = None
        running, ended = follow(self.running.get(symbol), held, event, decision)
        if ended:
            self.closed.append(ended)
            self._ended.add((symbol, ended.bar_ts))
        if running:
            self.running[symbol] = running
        else:
            self.running.pop(symbol, None)
