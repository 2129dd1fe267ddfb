"""The invariants of a live trader, over what is left when a scenario is over (specs: faults, "Invariants")."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from alpha_arena.core.accounting import tidy
from alpha_arena.core.records import PAYMENT_KINDS
from alpha_arena.core.types import Candles, Position
from alpha_arena.data import queries
from alpha_arena.data.live_ledger import LiveLedger
from alpha_arena.data.service import DataService
from alpha_arena.exchange.embedded.contracts import SwapContract
from alpha_arena.exchange.embedded.state import ZERO, Algo, Client, FillRow, PlacedOrder
from alpha_arena.execution.reconcile import MADE_BY_EXCHANGE, external_id
from alpha_arena.execution.tracker import exact

Rows = Sequence[Mapping[str, Any]]
SYMBOL = "BTC/USDT:USDT"
MANY = 100_000
SMALLEST = Decimal("1e-8")
AT_THE_EXCHANGE = ("WORKING", "PARTIAL", "FILLED", "CANCELLED")
ENDS = {"filled": "FILLED", "canceled": "CANCELLED"}
OBEYED_MS = 1_000
CALM_LOOKS = 3
FULL = 2


@dataclass(frozen=True, slots=True)
class Figures:
    """What was seen in so many lives: orders at the exchange, those that are there twice, rows that one side alone has."""

    lives: int = 0
    orders: int = 0
    duplicates: int = 0
    losses: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(one + another for one, another in zip(self.told, other.told, strict=True)))

    @property
    def told(self) -> tuple[int, int, int, int]:
        """As plain numbers."""
        return (self.lives, self.orders, self.duplicates, self.losses)


@dataclass(frozen=True, slots=True)
class Sent:
    """An order as it left the process, and how things stood in the database just then.

    Attributes:
        state, created_ts: of the order's row; "" and 0 without one. killed_ms, paused_ms: since when a switch is on, 0 for unknown or off.
        halted: why. account: as the ledger last kept it. leases: that are held. expires_ms: when the exchange discards it, 0 for never.
    """

    name: str
    ts: int
    reduce_only: bool
    state: str
    created_ts: int
    killed: str
    killed_ms: int
    paused_ms: int
    halted: str
    account: str
    leases: int
    expires_ms: int


@dataclass(frozen=True)
class Limits:
    """What a trader may risk: notional / equity, leverage, notional of an order in quote currency, age of the newest close in bars."""

    exposure: float = 3.0
    leverage: float = 3.0
    notional: float = 20_000.0
    age_bars: float = 2.0


@dataclass
class Finished:
    """A world that has come to its end.

    Attributes:
        start: cash of the account when it was opened. market: closed bars as they truly were, None where candles were spoiled.
        calm_looks: that failed after the faults had stopped. said: all that was logged or told. unprotected: what was found bare after a
            look. external: adopted money or positions are expected. secrets: that must be nowhere. folder: of all files.
    """

    service: DataService
    trader: str
    client: Client
    contracts: Mapping[str, SwapContract]
    start: Decimal
    bar_ms: int
    market: Candles | None
    sent: Sequence[Sent]
    calm_looks: int
    said: str
    folder: Path
    secrets: Sequence[str]
    unprotected: Sequence[str] = ()
    external: bool = False
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.ledger = LiveLedger(self.service, self.trader, "1h", "okx")
        self.orders: Rows = queries.orders(self.service, self.trader, MANY)
        self.fills: Rows = queries.fills(self.service, self.trader, MANY)
        self.decisions: Rows = queries.decisions(self.service, self.trader, limit=MANY)
        self.bills: Rows = queries.bills(self.service, self.trader, limit=MANY)

    @property
    def named(self) -> list[PlacedOrder]:
        """Orders at the exchange that a process of this trader sent."""
        return [order for order in self.client.orders.values() if order.cl_ord_id]

    def base(self, fill: FillRow) -> Decimal:
        """Signed quantity of a fill."""
        return self.contracts[fill.inst_id].base(fill.fill_sz) * (1 if fill.side == "buy" else -1)

    def held(self) -> Decimal:
        """What the exchange says is held, base currency."""
        return sum((self.contracts[one.inst_id].base(one.pos) for one in self.client.holdings.values()), ZERO)


def check(world: Finished) -> None:
    """Assure all invariants.

    Raises:
        AssertionError: with all that do not hold, each with its number.
    """
    wrong = [f"{name}: {said}" for name, law in LAWS.items() for said in law(world)]
    assert not wrong, "; ".join(wrong)


def measured(world: Finished) -> Figures:
    """Figures of one life, whether the invariants hold or not."""
    return Figures(1, len(world.named), len([*one_order(world)]), len([*same_books(world)]))


def one_order(world: Finished) -> Iterator[str]:
    """One order at the exchange for each name, and one of each leg of a decision."""
    names = Counter(order.cl_ord_id for order in world.named)
    yield from (f"{name} is {count} times at the exchange" for name, count in names.items() if count > 1)
    decided = {row["ts"] for row in world.decisions}
    rows = [row for row in world.orders if row["created_ts"] in decided and row["client_order_id"] in names]
    legs = Counter((row["created_ts"], row["symbol"], row["reduce_only"]) for row in rows)
    yield from (f"{count} orders of one leg decided at {leg[0]}" for leg, count in legs.items() if count > 1)


def same_books(world: Finished) -> Iterator[str]:
    """Orders, fills and bills, each once on both sides."""
    yield from _orders(world)
    yield from _fills(world)
    yield from _bills(world)


def _orders(world: Finished) -> Iterator[str]:
    here = {row["client_order_id"]: row for row in world.orders}
    theirs = {order.cl_ord_id for order in world.named}
    yield from (f"order {name} is at the exchange and not here" for name in sorted(theirs - here.keys()))
    for name, row in here.items():
        if row["kind"] not in MADE_BY_EXCHANGE and row["state"] in AT_THE_EXCHANGE and name not in theirs:
            yield f"order {name} is {row['state']} and not at the exchange"
    for order in world.client.orders.values():
        row_ = here.get(order.cl_ord_id) or here.get(order.algo_cl_ord_id) or here.get(external_id(order.ord_id))
        filled = world.contracts[order.inst_id].base(order.acc_fill_sz)
        if row_ is not None and abs(exact(tidy(row_["filled"])) or ZERO) != filled and not world.external:
            yield f"of order {order.ord_id} {filled} is filled, {row_['filled']} here"
        if row_ is not None and row_["state"] != ENDS.get(order.state, row_["state"]) and not world.external:
            yield f"order {order.ord_id} is {order.state}, {row_['state']} here"


def _fills(world: Finished) -> Iterator[str]:
    here: dict[str, Decimal] = {}
    for row in world.fills:
        name = row["trade_id"].removesuffix("-2")
        here[name] = here.get(name, ZERO) + (exact(row["quantity"]) or ZERO)
    theirs = {fill.bill_id: world.base(fill) for fill in world.client.fills}
    yield from (f"fill {name} is not here" for name in sorted(theirs.keys() - here.keys()))
    yield from (f"fill {name} is not at the exchange" for name in sorted(here.keys() - theirs.keys()) if not world.external)
    different = [name for name in sorted(here.keys() & theirs.keys()) if here[name] != theirs[name]]
    yield from (f"fill {name} is {here[name]} here, {theirs[name]} there" for name in different)


def _bills(world: Finished) -> Iterator[str]:
    known = Counter(row["reference"] for row in world.bills if row["kind"] in PAYMENT_KINDS)
    theirs = {bill.bill_id: bill for bill in world.client.bills[1:] if not bill.trade_id and bill.change}
    yield from (f"bill {name} ({theirs[name].type}, {theirs[name].change}) is not here" for name in sorted(theirs.keys() - known.keys()))
    strange = sorted(name for name in known.keys() - theirs.keys() if not name.startswith("rounding "))
    yield from (f"payment {name} is not at the exchange" for name in strange if not world.external)
    yield from (f"payment {name} is {count} times here" for name, count in known.items() if count > 1)


def same_position(world: Finished) -> Iterator[str]:
    """To the last digit."""
    here = exact(world.ledger.account().position(SYMBOL).quantity) or ZERO
    fills = sum((world.base(fill) for fill in world.client.fills), ZERO)
    booked = sum((exact(row["quantity"]) or ZERO for row in world.fills), ZERO)
    if not here == world.held() == fills == booked:
        yield f"the exchange holds {world.held()}, its fills make {fills}; here {here}, of fills {booked}"


def same_cash(world: Finished) -> Iterator[str]:
    """What came and went makes what is there."""
    client = world.client
    moved = sum((bill.change for bill in client.bills if not bill.trade_id), ZERO)
    earned = sum((fill.fill_pnl + fill.fee for fill in client.fills), ZERO)
    told = client.bills[-1].bal + sum((held.margin for held in client.holdings.values()), ZERO)
    if max(abs(told - client.cash), abs(moved + earned - client.cash)) > SMALLEST:
        yield f"the exchange's cash is {client.cash}, its last bill and margins say {told}, its parts make {moved + earned}"
    cash, parts = world.ledger.account().cash, sum(queries.sums(world.service, world.trader).values())
    if abs(Decimal(repr(cash)) - client.cash) > SMALLEST:
        yield f"cash is {client.cash} there, {cash} here"
    if abs(parts - cash) > 1e-7:
        yield f"cash is {cash}, its parts make {parts}"


def protected(world: Finished) -> Iterator[str]:
    """What is held has its stop at the exchange, once, or is being closed."""
    yield from world.unprotected
    said = unprotected(world.client, world.contracts, world.ledger.account().position(SYMBOL))
    yield from [said] if said else []


def unprotected(client: Client, contracts: Mapping[str, SwapContract], position: Position, once: bool = True) -> str:
    """What is wrong with the protection of what is held, "" for nothing.

    Args:
        position: as it is booked. once: nothing but what fits is left; else an old one may still be there whose cancellation failed: it can
            only reduce.
    """
    held = [one for one in client.holdings.values() if one.pos]
    live = [algo for algo in client.algos.values() if algo.state == "live"]
    if any(order.open and order.reduce_only for order in client.orders.values()):
        return ""
    if not held:
        return f"{len(live)} protective orders are left of nothing" if live and once else ""
    known = exact(position.quantity) == contracts[held[0].inst_id].base(held[0].pos)
    fitting = [algo for algo in live if _fits(algo, held[0].pos, position if known else None)]
    fine = len(fitting) == 1 and (len(live) == 1 or not once)
    return "" if fine else f"{held[0].pos} contracts have {len(live)} protective orders, {len(fitting)} of them fit"


def _fits(algo: Algo, pos: Decimal, position: Position | None) -> bool:
    """position: as it is booked, None where its fills have not been told yet."""
    sized = algo.close_fraction == "1" or (algo.sz == abs(pos) and algo.reduce_only)
    levels = position is None or (algo.sl_trigger_px, algo.tp_trigger_px) == (exact(position.stop), exact(position.take))
    return sized and levels and algo.side == ("sell" if pos > 0 else "buy")


def only_when_allowed(world: Finished) -> Iterator[str]:
    """Each order as it was sent: committed before, with an expiry, under the lease, and nothing forbade it."""
    for one in world.sent:
        yield from (f"{one.name} was sent {said}" for said in _forbidden(one, world))


def _forbidden(one: Sent, world: Finished) -> Iterator[str]:
    killed, entry = bool(one.killed) and one.ts - one.killed_ms > OBEYED_MS, not one.reduce_only
    cases = {
        f"as {one.state or 'nothing'}": one.state != "SENT",
        "without an expiry": not one.expires_ms,
        "without a lease": not one.leases,
        f"under the kill switch {one.killed}": killed and (entry or one.killed != "flatten"),
        "while paused": entry and bool(one.paused_ms) and one.ts - one.paused_ms > OBEYED_MS,
        f"while halted ({one.halted})": entry and bool(one.halted),
        f"while the account was {one.account}": entry and one.account != "READY",
        "on stale data": entry and one.ts - one.created_ts > world.limits.age_bars * world.bar_ms,
    }
    return (said for said, wrong in cases.items() if wrong)


def within_limits(world: Finished) -> Iterator[str]:
    """Position, order and leverage; a tenth of tolerance for how far the price runs from the decision to its fill."""
    if any(held.lever > world.limits.leverage for held in world.client.holdings.values()):
        yield "leverage is higher than configured"
    named, position = {order.ord_id for order in world.named}, ZERO
    for fill in world.client.fills:
        position += world.base(fill)
        worth = float(abs(position) * fill.fill_px)
        if fill.ord_id in named and worth > 1.1 * world.limits.exposure * float(world.start):
            yield f"after fill {fill.bill_id} {position} is held, {worth:.0f} of notional"
    for order in world.named:
        worth = float(world.contracts[order.inst_id].base(order.sz) * (order.avg_px or ZERO))
        if worth > 1.1 * world.limits.notional and not order.reduce_only:
            yield f"order {order.cl_ord_id} is of {worth:.0f}"


def closed_bars_only(world: Finished) -> Iterator[str]:
    """A decision knows bars that have closed, and their prices as they were told."""
    early = [one for one in world.sent if one.created_ts > one.ts]
    yield from (f"{one.name} was sent at {one.ts}, the close at which it was decided is {one.created_ts}" for one in early)
    for row in world.decisions:
        if row["bar_ts"] + world.bar_ms > row["ts"]:
            yield f"the bar at {row['bar_ts']} was not closed at {row['ts']}, when it was decided"
        elif world.market is not None:
            true = world.market.close[np.flatnonzero(world.market.ts == row["bar_ts"])]
            if true.size and abs(true[0] - row["price"]) > 1e-9:
                yield f"the bar at {row['bar_ts']} closed at {true[0]}, {row['price']} was seen"


def replayed(world: Finished) -> Iterator[str]:
    """The account comes out of its journal again."""
    kept, again = world.ledger.account(), world.ledger.rebuild()
    if abs(kept.cash - again.cash) > 1e-8 or repr(kept.position(SYMBOL)) != repr(again.position(SYMBOL)):
        yield f"{kept} is {again} from its journal"


def no_secrets(world: Finished) -> Iterator[str]:
    """Keys are in no file and in no log."""
    places = {path.name: path.read_bytes() for path in world.folder.rglob("*") if path.is_file()}
    places["what was said"] = world.said.encode()
    yield from (f"a key is in {name}" for name, content in places.items() for secret in world.secrets if secret.encode() in content)


def alive(world: Finished) -> Iterator[str]:
    """Ready, or halted for a reason, soon after the faults have stopped."""
    state, reason = world.ledger.stands()
    if state not in ("READY", "HALTED") or (state == "HALTED") != bool(world.ledger.halted()) or world.calm_looks > CALM_LOOKS:
        yield f"{state} ({reason}) after {world.calm_looks} calm looks"


def durable(world: Finished) -> Iterator[str]:
    """What is committed is on the disk: no test can cut the power."""
    with world.service.database.write() as connection:
        found = connection.exec_driver_sql("PRAGMA synchronous").scalar(), connection.exec_driver_sql("PRAGMA journal_mode").scalar()
    if found != (FULL, "wal"):
        yield f"the ledger is written with synchronous={found[0]}, journal_mode={found[1]}"


LAWS: Mapping[str, Callable[[Finished], Iterator[str]]] = {
    "I1": one_order,
    "I2": same_books,
    "I3": same_position,
    "I4": same_cash,
    "I5": protected,
    "I6": only_when_allowed,
    "I7": within_limits,
    "I8": closed_bars_only,
    "I9": replayed,
    "I10": no_secrets,
    "I11": alive,
    "FULL": durable,
}
